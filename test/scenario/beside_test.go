package scenario

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/config/convert/ldirectord/gen"
	"github.com/ipvsd/ipvsd/test/lab"
)

// difference is lines that only one of the two tables has, for one reason.
type difference struct {
	theirs, ours []string // ldirectord's, ipvsd's
	why          string
}

// beside is a host with ldirectord and one with ipvsd, before the same three
// nodes with a web server and an echo each. web4 has neither.
type beside struct {
	t            *testing.T
	dir          string
	theirs, ours *lab.Host
	nodes        []*lab.Host
	webs         []*nginx
	echos        []*lab.Echo
	limit        time.Duration // for ldirectord to do what it has to
	seen         map[int]bool  // which differences were there
	logs         []func()
}

// hostsFile has the names that the files use. ldirectord asks for the name of
// each address before it looks into its maintenancedir, and waits.
const hostsFile = `127.0.0.1 localhost
192.168.0.101 web1.example.org web1
192.168.0.102 web2.example.org web2
192.168.0.103 web3.example.org web3
192.168.0.104 web4.example.org web4
`

func newBeside(t *testing.T) *beside {
	t.Helper()
	net := lab.New(t)
	b := &beside{t: t, dir: t.TempDir(), seen: make(map[int]bool)}
	b.theirs = net.Host("ldirectord", "192.168.0.2/24", "fd00::2/64")
	b.ours = net.Host("ipvsd", "192.168.0.3/24", "fd00::3/64")
	for i := range 4 {
		name := fmt.Sprintf("web%d", i+1)
		h := net.Host(name, fmt.Sprintf("192.168.0.%d/24", 101+i), fmt.Sprintf("fd00::%d/64", 101+i))
		b.nodes = append(b.nodes, h)
		if i < 3 {
			b.webs = append(b.webs, newNginx(t, h, filepath.Join(b.dir, name)))
			b.echos = append(b.echos, h.Echo("tcp", ":7", name))
		}
	}
	b.write("maintenance/web3:5353", "", 0o644)
	hosts := b.write("hosts", hostsFile, 0o644)
	for _, h := range []*lab.Host{b.theirs, b.ours} {
		if err := h.Do(func() error { return unix.Mount(hosts, "/etc/hosts", "", unix.MS_BIND, "") }); err != nil {
			t.Fatalf("hosts file: %v", err)
		}
	}
	b.write("alive", "#!/bin/sh\n[ ! -e \""+b.dir+"/down-$3\" ]\n", 0o755)
	t.Cleanup(func() {
		for _, log := range b.logs {
			if t.Failed() {
				log()
			}
		}
	})
	return b
}

func (b *beside) write(name, text string, mode os.FileMode) string {
	b.t.Helper()
	name = filepath.Join(b.dir, name)
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil {
		err = os.WriteFile(name, []byte(text), mode)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return name
}

// cf is a file of ldirectord's.
type cf struct {
	name, path string
}

// files are those in testdata/import, and some of the generator's, joined: the
// globals of the last one count.
// LDIRECTORD_FILES says how many of its files, LDIRECTORD_SEED which. Each of
// ldirectord's processes takes two seconds of the lab's only processor to start,
// and each step of it a seventh of one, so there are few.
func (b *beside) files() []cf {
	b.t.Helper()
	var out []cf
	add := func(name, text string) {
		// In the foreground, where its output can be read.
		text = "supervised=yes\n" + strings.ReplaceAll(text, "@DIR@", b.dir)
		out = append(out, cf{name, b.write(name+".cf", text, 0o644)})
	}
	for _, name := range []string{"samples", "odd"} {
		text, err := os.ReadFile("testdata/import/" + name + ".cf")
		if err != nil {
			b.t.Fatal(err)
		}
		add(name, string(text))
	}
	count, seed := number(b.t, "LDIRECTORD_FILES", 6), number(b.t, "LDIRECTORD_SEED", 1)
	b.limit = time.Minute + time.Duration(count)*5*time.Second
	var text bytes.Buffer
	for n := range count {
		text.Write(gen.Farm{
			VIPs: []string{fmt.Sprintf("192.168.0.%d", 120+n)}, Mark: 120 + n,
			Reals: []string{"192.168.0.101", "192.168.0.102", "192.168.0.103"}, Sorry: "192.168.0.104", Command: b.dir + "/alive",
		}.File(rand.New(rand.NewPCG(uint64(seed), uint64(n)))))
	}
	add("generated", text.String())
	return out
}

func number(t *testing.T, name string, usual int) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv(name), strconv.Itoa(usual)))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// ipvsd imports the files and runs a director with the output.
func (b *beside) ipvsd(files []cf) {
	b.t.Helper()
	argv := []string{os.Getenv(binaryVar), "config", "import", "--from", "ldirectord"}
	for _, f := range files {
		argv = append(argv, f.path)
	}
	out, err := b.ours.Command(context.Background(), argv...).Output()
	if code := exitStatus(b.t, err); code != 0 && code != 3 { // 3: odd.cf has what can't be carried over
		b.t.Fatalf("import: %v", err)
	}
	text := strings.Replace(string(out), "[director]\n", fmt.Sprintf("[director]\nstate_dir = %q\n", filepath.Join(b.dir, "state")), 1)
	file, socket := b.write("ipvsd.toml", text, 0o644), filepath.Join(b.dir, "ipvsd.sock")
	p := b.ours.Start(os.Getenv(binaryVar), "director", "-c", file, "--socket", socket)
	b.logs = append(b.logs, func() { b.t.Logf("ipvsd with\n%s\n%s", text, p.Output()) })
	lab.Eventually(b.t, 20*time.Second, "ipvsd is ready", func() bool {
		var s director.Status
		out, code := tryOn(b.t, b.ours, "status", "--json", "--socket", socket)
		return code != 1 && json.Unmarshal([]byte(out), &s) == nil && s.Ready
	})
}

// handOver gives ldirectord's host the table as it is now, but for some virtual
// services that it is to make itself. ldirectord believes what it finds, corrects
// it, and has less to do. A service that it doesn't know would stay.
func (b *beside) handOver(but ...string) {
	b.t.Helper()
	var text strings.Builder
	for _, line := range b.table(b.ours) {
		words := strings.Fields(line)
		if strings.HasPrefix(line, "-") && !slices.Contains(but, words[2]) {
			text.WriteString(line + "\n")
		}
	}
	cmd := b.theirs.Command(context.Background(), "ipvsadm", "-R")
	cmd.Stdin = strings.NewReader(text.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("ipvsadm -R: %v\n%s", err, out)
	}
}

func (b *beside) ldirectord(f cf) {
	b.t.Helper()
	cmd := b.theirs.Command(context.Background(), "ldirectord", f.path, "start")
	cmd.Env = append(os.Environ(), "PERLIO=perlio") // else it starts itself again
	p := b.theirs.StartCmd(cmd)
	b.logs = append(b.logs, func() {
		text, _ := os.ReadFile(f.path)
		b.t.Logf("ldirectord with %s:\n%s\n%s", f.name, text, p.Output())
	})
}

// pings lets a node answer pings, or not.
func (b *beside) pings(node int, answers bool) {
	b.nodes[node].SetSysctl("net.ipv4.icmp_echo_ignore_all", map[bool]string{true: "0", false: "1"}[answers])
}

// alive says what the external check is to find.
func (b *beside) alive(node int, good bool) {
	b.t.Helper()
	name := fmt.Sprintf("down-192.168.0.%d", 101+node)
	if good {
		_ = os.Remove(filepath.Join(b.dir, name))
		return
	}
	b.write(name, "", 0o644)
}

// table is the kernel's table as sorted lines: `ipvsadm -Sn`, and the thresholds,
// which that leaves out. Those of servers with weight 0 don't count: ldirectord
// forgets them when it sets that weight, and brings them back with the other.
func (b *beside) table(h *lab.Host) []string {
	b.t.Helper()
	var out []string
	idle := make(map[string]bool)
	for line := range strings.Lines(h.Run("ipvsadm", "-Sn")) {
		line = strings.TrimSpace(line)
		out = append(out, line)
		if words := strings.Fields(line); strings.Contains(line+" ", " -w 0 ") {
			idle[words[2]+" "+words[slices.Index(words, "-r")+1]] = true
		}
	}
	protocol, service := "", ""
	for line := range strings.Lines(h.Run("ipvsadm", "-Ln", "--thresholds")) {
		words := strings.Fields(line)
		switch {
		case len(words) > 1 && words[0] != "->":
			protocol, service = words[0], words[1]
		case len(words) > 4 && words[2]+words[3] != "00" && words[1] != "RemoteAddress:Port" && !idle[service+" "+words[1]]:
			out = append(out, fmt.Sprintf("%s %s %s upper %s lower %s", protocol, service, words[1], words[2], words[3]))
		}
	}
	slices.Sort(out)
	return out
}

// unlike returns the lines that only one of two tables has.
func unlike(a, b []string) (onlyA, onlyB []string) {
	without := func(x, y []string) []string {
		return slices.DeleteFunc(slices.Clone(x), func(line string) bool { return slices.Contains(y, line) })
	}
	return without(a, b), without(b, a)
}

// same waits until the tables are the same but for differences, and stay so.
func (b *beside) same(when string) {
	b.t.Helper()
	// Both have seen it all when neither changes any more.
	const calm = 3 * time.Second // two looks at least
	began, since := time.Now(), time.Time{}
	for {
		theirs, ours := b.table(b.theirs), b.table(b.ours)
		onlyTheirs, onlyOurs := unlike(theirs, ours)
		for i, d := range differences {
			if _, none := unlike(onlyTheirs, d.theirs); len(none) > 0 {
				continue
			}
			if _, none := unlike(onlyOurs, d.ours); len(none) > 0 {
				continue
			}
			b.seen[i] = true
			onlyTheirs, _ = unlike(onlyTheirs, d.theirs)
			onlyOurs, _ = unlike(onlyOurs, d.ours)
		}
		switch {
		case len(onlyTheirs)+len(onlyOurs) > 0:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) > calm:
			b.t.Logf("%s: %d lines, the same after %v", when, len(ours), since.Sub(began).Round(time.Second))
			return
		}
		if time.Since(began) > b.limit {
			b.t.Errorf("%s: only ldirectord has\n%s\nonly ipvsd has\n%s", when, strings.Join(onlyTheirs, "\n"), strings.Join(onlyOurs, "\n"))
			return
		}
		time.Sleep(3 * time.Second) // four programs are started for each look, and that is dear in the lab
	}
}

// nginx is a web server on ports 80 and 8080.
type nginx struct {
	t         *testing.T
	host      *lab.Host
	dir, text string
	proc      *lab.Proc
}

const nginxFile = `daemon off;
master_process off;
user root;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
events { worker_connections 256; }
http {
	access_log off;
	default_type text/html;
	server {
		listen 80;
		listen [::]:80;
		listen 8080;
		root %[1]s;
		absolute_redirect off; # ldirectord would go to the virtualhost, which isn't there
		location = /moved { return 302 /index.html; }
	}
}
`

func newNginx(t *testing.T, h *lab.Host, dir string) *nginx {
	t.Helper()
	n := &nginx{t: t, host: h, dir: dir, text: "This is " + h.Name + ". Test Page\n"}
	h.Private("/var/lib/nginx")
	if err := os.MkdirAll(filepath.Join(dir, "deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	n.page(n.text)
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), fmt.Appendf(nil, nginxFile, dir), 0o644); err != nil {
		t.Fatal(err)
	}
	n.start()
	return n
}

// page replaces both pages.
func (n *nginx) page(text string) {
	n.t.Helper()
	for _, name := range []string{"index.html", "deep/page.html"} {
		if err := os.WriteFile(filepath.Join(n.dir, name), []byte(text), 0o644); err != nil {
			n.t.Fatal(err)
		}
	}
}

func (n *nginx) start() {
	n.t.Helper()
	n.proc = n.host.Start("nginx", "-p", n.dir, "-c", filepath.Join(n.dir, "nginx.conf"), "-e", filepath.Join(n.dir, "error.log"))
}

func (n *nginx) kill() {
	n.proc.Signal(syscall.SIGKILL)
	_ = n.proc.Wait(5 * time.Second) // it was killed: an error is what must come
}
