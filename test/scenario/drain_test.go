package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

// echoes is a second virtual service, for connections that are held.
const echoes = `
[[virtual]]
name = "echo"
address = "192.168.0.105:7"
scheduler = "rr"
[virtual.check]
type = "connect"
[[virtual.real]]
` + rs1 + "\n[[virtual.real]]\n" + rs2 + "\n"

// must runs an operator's command on the director.
func (f *farm) must(args ...string) string {
	f.t.Helper()
	out, code := f.try(append(args, "--socket", f.socket())...)
	if code != 0 {
		f.t.Errorf("ipvsd %s: exit %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

func says(t *testing.T, out string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("lacks %q:\n%s", w, out)
		}
	}
}

// TestDrain drains, disables and enables real servers under load: no request
// fails, a held connection lives until it ends or the deadline comes, and a
// killed daemon forgets nothing.
func TestDrain(t *testing.T) {
	f, webs := drFarm(t, 2)
	for _, h := range f.nodes {
		h.Echo("tcp", ":7", h.Name)
	}
	maintenance := filepath.Join(f.dir, "maintenance")
	if err := os.Mkdir(maintenance, 0o755); err != nil {
		t.Fatal(err)
	}
	f.directorKeys = `maintenance_dir = "` + maintenance + `"`
	f.start(quick(`scheduler = "rr"`, rs1, rs2) + echoes)
	f.awaitTable(5*time.Second, "-a -t 192.168.0.105:7 -r 192.168.0.101:7 -g -w 1", "-a -t 192.168.0.105:7 -r 192.168.0.102:7 -g -w 1")
	load := f.client.Load("http://192.168.0.105/", lab.Every(40*time.Millisecond))
	hold := f.client.Hold("tcp", "192.168.0.105:7")
	n, other := 0, 1
	if hold.Report().Server == "web2" {
		n, other = 1, 0
	}
	machine := []string{"192.168.0.101", "192.168.0.102"}[n]
	const on, off = "-g -w 1", "-g -w 0"
	row := func(port, settings string) string {
		return "-a -t 192.168.0.105:" + port + " -r " + machine + ":" + port + " " + settings
	}
	time.Sleep(500 * time.Millisecond)

	out := f.must("drain", machine, "--reason", "kernel update")
	says(t, out, machine+":7 of echo: weight 0, 1 connection left; out when they have ended",
		machine+":80 of web: weight 0, ", "kernel: -e -t 192.168.0.105:7 -r "+machine+":7 -g -w 0")
	f.awaitTable(time.Second, row("7", off))
	f.awaitState("web", machine+":80", director.StateDrained, 10*time.Second) // nobody holds that one
	f.awaitTable(2*time.Second, row("7", off), "!"+row("80", off), "!"+row("80", on))
	before := webs[n].Count("/")
	time.Sleep(time.Second)
	if now := webs[n].Count("/"); now != before || webs[other].Count("/") == 0 {
		t.Errorf("the drained server got %d requests", now-before)
	}

	f.proc.Kill()
	time.Sleep(500 * time.Millisecond)
	f.restart()
	f.awaitTable(5*time.Second, row("7", off), "!"+row("80", off), "!"+row("80", on))
	s := real(f.status(), "echo", machine+":7")
	if s.State != director.StateDraining || s.Active != 1 || s.Hold == nil || s.Hold.Reason != "kernel update" {
		t.Errorf("after kill -9: %+v %+v", s, s.Hold)
	}
	metrics := f.director.Run("curl", "-sf", "http://127.0.0.1:9117/metrics")
	says(t, metrics, `ipvsd_real_server_draining{virtual="echo",real="`+machine+`:7"} 1`+"\n", `ipvsd_real_server_disabled{virtual="web",real="`+machine+`:80"} 1`+"\n")
	if text, code := f.try("status", "--socket", f.socket()); code != 0 || !strings.Contains(text, "draining") || !strings.Contains(text, "kernel update") {
		t.Errorf("status: exit %d\n%s", code, text)
	}
	if r := hold.Stop(); r.Broken != nil {
		t.Errorf("held connection: %v", r)
	}
	f.awaitState("echo", machine+":7", director.StateDrained, 15*time.Second)
	f.awaitTable(2*time.Second, "!"+row("7", off), "!"+row("7", on))

	says(t, f.must("enable", machine), machine+":80 of web: in, with weight 1", "kernel: -a -t 192.168.0.105:80 -r "+machine+":80 -g -w 1")
	f.awaitTable(2*time.Second, row("7", on), row("80", on))
	lab.Eventually(t, 3*time.Second, "it has traffic again", func() bool { return webs[n].Count("/") > before })

	// A deadline cuts what is left.
	hold = f.client.Hold("tcp", "192.168.0.105:7")
	machine = map[string]string{"web1": "192.168.0.101", "web2": "192.168.0.102"}[hold.Report().Server]
	says(t, f.must("drain", machine+":7", "--deadline", "3s", "--wait"), "at the latest",
		"0 of 1 real server drained, 1 established connection left, cut in ", "drained after ")
	f.awaitState("echo", machine+":7", director.StateDrained, 6*time.Second)
	f.awaitTable(time.Second, "!"+row("7", off), row("80", on))
	if s := real(f.status(), "echo", machine+":7"); s.Hold == nil || s.Hold.Cut != 1 {
		t.Errorf("at the deadline: %+v %+v", s, s.Hold)
	}
	lab.Eventually(t, 10*time.Second, "the deadline cuts the held connection", func() bool {
		r := hold.Report()
		return r.Broken != nil || r.Silence > time.Second
	})
	f.must("enable", machine+":7")
	f.awaitTable(2*time.Second, row("7", on))

	// Out at once; the last one is told.
	f.must("disable", "192.168.0.101:7")
	out = f.must("disable", "192.168.0.102:7", "--virtual", "echo")
	says(t, out, "warning: echo has no other real server that is up, and no fallback: new clients are refused")
	f.awaitTable(time.Second, "!-a -t 192.168.0.105:7 -r 192.168.0.101:7 -g -w 1", "!-a -t 192.168.0.105:7 -r 192.168.0.102:7 -g -w 1")
	f.must("enable", "192.168.0.101:7")
	f.must("enable", "192.168.0.102:7")
	if out, code := f.try("drain", "192.168.0.199", "--socket", f.socket()); code != 1 || !strings.Contains(out, `no real server "192.168.0.199"; there are 192.168.0.101:80 (web)`) {
		t.Errorf("drain of nobody: exit %d\n%s", code, out)
	}

	// ldirectord's way.
	file := filepath.Join(maintenance, "192.168.0.101:80")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	f.awaitTable(4*time.Second, "-a -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 0", "-a -t 192.168.0.105:7 -r 192.168.0.101:7 -g -w 1")
	f.awaitState("web", "192.168.0.101:80", director.StateMaintenance, time.Second)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	f.awaitTable(4*time.Second, "-a -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 1")
	noneFailed(t, load.Stop())
}

// TestClusterDrain drains on the standby while the active director holds a
// connection to the real server, and kills that director: the other one knows,
// and brings the drain to its end.
func TestClusterDrain(t *testing.T) {
	c := newCluster(t, 2)
	c.startAll(witnessed)
	const echo1 = "192.168.0.101:7"
	hold := c.client.Hold("tcp", "192.168.0.105:7")
	time.Sleep(syncDelay)
	load := c.client.Load("http://192.168.0.105/", lab.Every(40*time.Millisecond))
	time.Sleep(300 * time.Millisecond)

	out, code := tryOn(t, c.lbs[1].host, "drain", echo1, "--socket", c.lbs[1].socket())
	if code != 0 {
		t.Fatalf("drain: exit %d\n%s", code, out)
	}
	says(t, out, "director loadb1: knows it", "warning: echo has no other real server that is up")
	awaitHold := func(l *lb, state string, limit time.Duration) {
		t.Helper()
		lab.Eventually(t, limit, l.name+": "+echo1+" is "+state, func() bool { return real(l.status(), "echo", echo1).State == state })
	}
	for _, l := range c.lbs {
		awaitHold(l, director.StateDraining, 2*time.Second)
	}
	if _, err := c.client.Get("tcp://192.168.0.105:7", 300*time.Millisecond); err == nil {
		t.Error("the draining server gets a new connection")
	}
	noneFailed(t, load.Stop())

	c.lbs[0].proc.Kill()
	lab.Eventually(t, 8*time.Second, "loadb2 holds the address", c.lbs[1].hasVIP)
	time.Sleep(6 * time.Second)
	awaitHold(c.lbs[1], director.StateDraining, time.Second)
	if r := hold.Stop(); r.Broken != nil {
		t.Errorf("held connection: %v", r)
	}
	awaitHold(c.lbs[1], director.StateDrained, 15*time.Second)

	c.lbs[0].start(c.file(0, witnessed))
	awaitHold(c.lbs[0], director.StateDrained, 15*time.Second)
	out, code = tryOn(t, c.lbs[0].host, "enable", "192.168.0.101", "--socket", c.lbs[0].socket())
	if code != 0 {
		t.Errorf("enable: exit %d\n%s", code, out)
	}
	for _, l := range c.lbs {
		awaitHold(l, director.StateUp, 10*time.Second)
	}
	lab.Eventually(t, 3*time.Second, "the server answers again", func() bool {
		name, err := c.client.Get("tcp://192.168.0.105:7", time.Second)
		return err == nil && name == "web1"
	})
}
