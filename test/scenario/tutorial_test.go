package scenario

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// walk is a walk through the page on the page's machines.
type walk struct {
	t     *testing.T
	hosts map[string]*lab.Host
	dir   string
	env   []string
}

// TestTutorialPage does what docs/tutorial.md tells a person to do, in its order and
// as it is written there, and sees what the page says that one sees.
func TestTutorialPage(t *testing.T) {
	w := newWalk(t)
	commands := 0
	for _, b := range readPage(t, "../../docs/tutorial.md") {
		for _, name := range b.hosts {
			commands += b.commands()
			w.run(b, name)
		}
		if b.count != 0 && b.count != commands {
			t.Errorf("docs/tutorial.md says behind line %d that these were %d commands, and they were %d", b.line, b.count, commands)
		}
	}
}

// newWalk builds the machines as the page assumes them: bare, in one network
// with a gateway, and each with a disk of its own.
func newWalk(t *testing.T) *walk {
	t.Helper()
	w := &walk{t: t, hosts: map[string]*lab.Host{}, dir: t.TempDir()}
	shims, err := filepath.Abs("testdata/tutorial")
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(w.dir, "hosts")
	w.env = append(os.Environ(), "LC_ALL=C.UTF-8", "TUTORIAL_HOSTS="+list,
		"PATH="+shims+":"+os.Getenv("PATH"))
	n := lab.New(t)
	n.Host("gateway", "192.168.0.1/24")
	var text strings.Builder
	for _, m := range []struct{ name, address string }{
		{"web1", "192.168.0.101"},
		{"web2", "192.168.0.102"},
		{"lb1", "192.168.0.103"},
		{"lb2", "192.168.0.104"},
		{"client", "192.168.0.10"},
	} {
		h := n.Host(m.name, m.address+"/24")
		h.Route("default", "192.168.0.1")
		h.Own("/etc", "/var", "/run", "/usr/bin")
		h.Run("sh", "-c", bare)
		w.hosts[m.name] = h
		fmt.Fprintln(&text, m.address, h.Start("sleep", "infinity").PID())
		// The page leaves daemons behind, and a broken test does, too.
		t.Cleanup(func() { _ = w.command(context.Background(), h, "systemctl poweroff -ff").Run() })
	}
	mustWrite(t, list, text.String())
	return w
}

// bare is what a fresh machine has, whatever this one's disk is like: its network
// is run by systemd-networkd, and nothing was served or balanced before.
const bare = `rm -rf /usr/bin/ipvsd /etc/ipvsd /var/lib/ipvsd /var/www/html/*
mkdir -p /etc/systemd/network /etc/systemd/system/multi-user.target.wants
ln -sf /lib/systemd/system/systemd-networkd.service /etc/systemd/system/multi-user.target.wants/
printf '[Match]\nName=eth0\n' >/etc/systemd/network/10-eth0.network
`

// patience is how long a person looks again; a starved lab needs it.
const patience = 60 * time.Second

func (w *walk) run(b *block, name string) {
	w.t.Helper()
	h := w.hosts[name]
	if h == nil {
		w.t.Fatalf("docs/tutorial.md:%d: there is no machine %q", b.line, name)
	}
	if b.beside {
		h.StartCmd(w.command(w.t.Context(), h, b.text))
		return
	}
	began := time.Now()
	for {
		problem := w.once(b, h)
		switch {
		case problem == "":
			return
		case b.again && time.Since(began) < patience:
			time.Sleep(500 * time.Millisecond)
		default:
			w.t.Fatalf("docs/tutorial.md:%d, on %s: %s\n%s", b.line, name, problem, w.logs())
		}
	}
}

// once runs a block and says what is not as the page has it, or "".
func (w *walk) once(b *block, h *lab.Host) string {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	out, err := w.command(ctx, h, b.text).CombinedOutput()
	if code := exitStatus(w.t, err); code != b.exit {
		return fmt.Sprintf("exit status %d, want %d\n%s", code, b.exit, out)
	}
	w.t.Logf("%s# %s%s", h.Name, b.text, out)
	if b.output == nil {
		return ""
	}
	return differs(b.output, string(out))
}

// command is a text for the shell of a host. It fails with its first command
// that does.
func (w *walk) command(ctx context.Context, h *lab.Host, text string) *lab.Cmd {
	cmd := h.Command(ctx, "bash", "-ec", text)
	cmd.Dir, cmd.Env = w.dir, w.env
	return cmd
}

// logs is what the directors wrote.
func (w *walk) logs() string {
	var b strings.Builder
	for _, name := range []string{"lb1", "lb2"} {
		_ = w.hosts[name].Do(func() error {
			log, _ := os.ReadFile("/run/ipvsd.log") // none: it was never started
			fmt.Fprintf(&b, "--- %s\n%s", name, log)
			return nil
		})
	}
	return b.String()
}
