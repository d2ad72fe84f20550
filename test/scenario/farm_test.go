package scenario

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

// The addresses of every farm. Web node n is 192.168.0.10n and fd00::10n.
const (
	vip4 = "192.168.0.105"
	vip6 = "fd00::105"

	testPage = "/ldirector.html" // the page of the Debian tutorial
	testBody = "Test Page"
)

// farm is a web farm: a client, one director and some web nodes on one segment,
// with the real ipvsd on the director.
type farm struct {
	t        *testing.T
	net      *lab.Net
	client   *lab.Host
	director *lab.Host
	nodes    []*lab.Host
	dir      string
	proc     *lab.Proc

	directorKeys string // more lines of [director]
}

// newFarm builds the hosts. How the web nodes get the VIP is up to the mode.
func newFarm(t *testing.T, nodes int) *farm {
	t.Helper()
	f := &farm{t: t, net: lab.New(t), dir: t.TempDir()}
	f.client = f.net.Host("client", "192.168.0.1/24", "fd00::1/64")
	f.director = f.net.Host("director", "192.168.0.103/24", "fd00::103/64")
	for i := range nodes {
		f.nodes = append(f.nodes, f.net.Host(fmt.Sprintf("web%d", i+1),
			fmt.Sprintf("192.168.0.%d/24", 101+i), fmt.Sprintf("fd00::%d/64", 101+i)))
	}
	return f
}

// webs starts a web server with the tutorial's page on every node.
func (f *farm) webs() []*lab.Web {
	f.t.Helper()
	var out []*lab.Web
	for _, h := range f.nodes {
		w := h.Web(":80", h.Name)
		w.Page(testPage, 200, testBody+"\n")
		out = append(out, w)
	}
	return out
}

// setup runs `ipvsd realserver setup` on every node, each with a record of its own.
func (f *farm) setup(method string, vips ...string) {
	f.t.Helper()
	for _, h := range f.nodes {
		h.Private("/var/lib/ipvsd")
		args := []string{os.Getenv(binaryVar), "realserver", "setup", "--method", method}
		for _, v := range vips {
			args = append(args, "--vip", v)
		}
		h.Run(args...)
	}
}

func (f *farm) file() string   { return filepath.Join(f.dir, "ipvsd.toml") }
func (f *farm) socket() string { return filepath.Join(f.dir, "ipvsd.sock") }

// write writes the file, with the farm's own state directory.
func (f *farm) write(body string) {
	f.t.Helper()
	head := fmt.Sprintf("[director]\nstate_dir = %q\n%s\n", filepath.Join(f.dir, "state"), f.directorKeys)
	if err := os.WriteFile(f.file(), []byte(head+body), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// start writes the file, starts the director and waits until it is ready.
func (f *farm) start(body string) *lab.Proc {
	f.t.Helper()
	f.write(body)
	return f.restart()
}

// restart starts the director with the file as it is.
func (f *farm) restart() *lab.Proc {
	f.t.Helper()
	f.proc = f.director.Start(os.Getenv(binaryVar), "director", "-c", f.file(), "--socket", f.socket())
	f.t.Cleanup(func() {
		if f.t.Failed() {
			f.t.Logf("ipvsd director:\n%s", f.proc.Output())
			f.t.Logf("table:\n%s", f.director.Run("ipvsadm", "-Ln"))
		}
	})
	f.eventually(10*time.Second, "the director is ready", func(s director.Status) bool { return s.Ready })
	return f.proc
}

// reload replaces the file and waits until the director has taken it.
func (f *farm) reload(body string) {
	f.t.Helper()
	before := f.status().Config.Reloads["ok"]
	f.write(body)
	f.proc.Signal(syscall.SIGHUP)
	f.eventually(5*time.Second, "the reload is done", func(s director.Status) bool { return s.Config.Reloads["ok"] > before })
}

// try runs ipvsd on the director and returns its output and exit status.
func (f *farm) try(args ...string) (string, int) {
	f.t.Helper()
	return tryOn(f.t, f.director, args...)
}

func tryOn(t *testing.T, h *lab.Host, args ...string) (string, int) {
	t.Helper()
	out, err := h.Try(append([]string{os.Getenv(binaryVar)}, args...)...)
	return out, exitStatus(t, err)
}

func exitStatus(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	exit, ok := err.(interface{ ExitCode() int })
	if !ok {
		t.Fatal(err)
	}
	return exit.ExitCode()
}

// status is what `ipvsd status --json` says; it is empty while no director runs.
func (f *farm) status() director.Status {
	f.t.Helper()
	var s director.Status
	out, code := f.try("status", "--json", "--socket", f.socket())
	if code == 1 {
		return s
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		f.t.Fatalf("status --json: %v\n%s", err, out)
	}
	return s
}

func (f *farm) eventually(limit time.Duration, what string, ok func(director.Status) bool) {
	f.t.Helper()
	lab.Eventually(f.t, limit, what, func() bool { return ok(f.status()) })
}

// node is the address and port 80 of a web node.
func (f *farm) node(i int, ipv6 bool) string {
	if ipv6 {
		return target(fmt.Sprintf("fd00::%d", 101+i), 80)
	}
	return target(fmt.Sprintf("192.168.0.%d", 101+i), 80)
}

// behind lets the web nodes' answers to the client pass through the director, as
// nat needs it. Only those with the node's own source address do, so that direct
// routing works beside it.
func (f *farm) behind() {
	f.t.Helper()
	for i, h := range f.nodes {
		h.Run("ip", "rule", "add", "from", fmt.Sprintf("192.168.0.%d", 101+i), "to", "192.168.0.1", "table", "100")
		h.Run("ip", "route", "add", "192.168.0.1/32", "via", "192.168.0.103", "table", "100")
		h.Run("ip", "-6", "rule", "add", "from", fmt.Sprintf("fd00::%d", 101+i), "to", "fd00::1", "table", "100")
		h.Run("ip", "-6", "route", "add", "fd00::1/128", "via", "fd00::103", "dev", "eth0", "table", "100")
		h.SetSysctl("net.ipv4.conf.all.accept_redirects", "0")
		h.SetSysctl("net.ipv4.conf.eth0.accept_redirects", "0")
		h.SetSysctl("net.ipv6.conf.eth0.accept_redirects", "0")
	}
}

// awaitState waits until a real server has a state.
func (f *farm) awaitState(virtual, addr, state string, limit time.Duration) {
	f.t.Helper()
	f.eventually(limit, addr+" is "+state, func(s director.Status) bool { return real(s, virtual, addr).State == state })
}

// real finds a real server in a status by virtual service and address.
func real(s director.Status, virtual, addr string) director.RealStatus {
	for _, v := range s.Virtuals {
		if v.Name != virtual {
			continue
		}
		for _, r := range v.Reals {
			if r.Address == addr {
				return r
			}
		}
	}
	return director.RealStatus{}
}

// table is the kernel's table in `ipvsadm -Sn` form, without the trailing blanks.
func (f *farm) table() string {
	f.t.Helper()
	var lines []string
	for line := range strings.Lines(f.director.Run("ipvsadm", "-Sn")) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.Join(lines, "\n")
}

// awaitTable waits until the table has each of the lines; "!line" is one that
// it must not have.
func (f *farm) awaitTable(limit time.Duration, lines ...string) {
	f.t.Helper()
	lab.Eventually(f.t, limit, "the table has "+strings.Join(lines, "; "), func() bool {
		got := "\n" + f.table() + "\n"
		for _, l := range lines {
			line, not := strings.CutPrefix(l, "!")
			if strings.Contains(got, "\n"+line+"\n") == not {
				return false
			}
		}
		return true
	})
}

// target is host and port as in a URL and in ipvsadm's output.
func target(addr string, port uint16) string {
	return netip.AddrPortFrom(netip.MustParseAddr(addr), port).String()
}

// noneFailed fails the test where a client saw a failed request.
func noneFailed(t *testing.T, r lab.Report) {
	t.Helper()
	if len(r.Failed) > 0 || r.OK == 0 {
		t.Errorf("want no failed request: %v", r)
	}
}
