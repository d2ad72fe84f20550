package scenario

import (
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

// TestBadFile refuses a wrong file at the start and at a reload, names every
// error, and goes on with the running one.
func TestBadFile(t *testing.T) {
	f, _ := drFarm(t, 2)
	good := quick(`scheduler = "rr"`, rs1, rs2)
	bad := quick("sheduler = \"rr\"", rs1+"\n wieght = 1", rs2)

	f.write(bad)
	out, code := f.try("director", "-c", f.file(), "--socket", f.socket())
	for _, want := range []string{
		`unknown key "sheduler"; did you mean "scheduler"?`, `unknown key "wieght"; did you mean "weight"?`, f.file() + ":",
	} {
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("start with a bad file: exit %d, output lacks %q:\n%s", code, want, out)
		}
	}
	if f.table() != "" {
		t.Errorf("a bad file programmed the kernel:\n%s", f.table())
	}

	f.start(good)
	load := f.client.Load("http://192.168.0.105/")
	before := f.table()
	f.write(bad)
	f.proc.Signal(syscall.SIGHUP)
	f.eventually(3*time.Second, "the reload is refused", func(s director.Status) bool {
		return s.Config.Reloads["refused"] == 1 && strings.Contains(s.Config.Error, "sheduler")
	})
	if f.table() != before {
		t.Error("a refused reload changed the table")
	}
	metrics := f.director.Run("curl", "-sf", "http://127.0.0.1:9117/metrics")
	if !strings.Contains(metrics, "ipvsd_reload_total{result=\"refused\"} 1\n") {
		t.Error("no metric of the refused reload")
	}
	f.reload(good)
	if s := f.status(); s.Config.Error != "" {
		t.Errorf("after a good reload the error stays: %s", s.Config.Error)
	}
	noneFailed(t, load.Stop())
}

// TestCommands runs what tells and changes nothing: plan, status, probe and the
// HTTP end points, with their exit statuses.
func TestCommands(t *testing.T) {
	f, webs := drFarm(t, 2)
	// Without the warning of a timeout that is longer than the interval.
	file := strings.ReplaceAll(quick(`scheduler = "rr"`, rs1, rs2), `timeout = "2s"`, `timeout = "500ms"`)
	f.write(file)
	plan := func() (string, int) { return f.try("plan", "-c", f.file(), "--socket", f.socket()) }

	if out, code := f.try("config", "check", "-c", f.file()); code != 0 {
		t.Errorf("config check: exit %d\n%s", code, out)
	}
	out, code := plan()
	if want := "-A -t 192.168.0.105:80 -s rr\n-a -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 0\n"; code != 2 || !strings.HasPrefix(out, want) {
		t.Errorf("plan before the start: exit %d\n%s", code, out)
	}
	if f.table() != "" {
		t.Error("plan changed the kernel")
	}
	if out, code := f.try("status", "--socket", f.socket()); code != 1 || !strings.Contains(out, "no director is running") {
		t.Errorf("status without a director: exit %d\n%s", code, out)
	}

	f.restart()
	if out, code := plan(); code != 0 {
		t.Errorf("plan with nothing to do: exit %d\n%s", code, out)
	}
	f.director.Run("ipvsadm", "-e", "-t", "192.168.0.105:80", "-r", "192.168.0.101:80", "-g", "-w", "1")
	if out, code := f.try("status", "--socket", f.socket()); code != 0 || !strings.Contains(out, "192.168.0.101:80") {
		t.Errorf("status, all up: exit %d\n%s", code, out)
	}
	if out, code := f.try("probe", "web", "-c", f.file()); code != 0 || !strings.Contains(out, "GET /ldirector.html HTTP/1.1") || !strings.Contains(out, "Test Page") {
		t.Errorf("probe, all healthy: exit %d\n%s", code, out)
	}

	webs[0].Page(testPage, 200, "broken")
	f.awaitState("web", "192.168.0.101:80", director.StateDown, 3*time.Second)
	if out, code := f.try("status", "--socket", f.socket()); code != 2 || !strings.Contains(out, `body lacks "Test Page"`) {
		t.Errorf("status, one down: exit %d\n%s", code, out)
	}
	if out, code := f.try("probe", "web", "192.168.0.101", "-c", f.file()); code != 2 || !strings.Contains(out, "broken") {
		t.Errorf("probe of a broken page: exit %d\n%s", code, out)
	}

	// The same by the running director, which says what it doesn't have.
	if out, code := f.try("probe", "web", "192.168.0.101", "--socket", f.socket()); code != 2 || !strings.Contains(out, "broken") {
		t.Errorf("the director's probe of a broken page: exit %d\n%s", code, out)
	}
	if out, code := f.try("probe", "web", "192.168.0.102", "--socket", f.socket()); code != 0 || !strings.Contains(out, "Test Page") {
		t.Errorf("the director's probe of a good page: exit %d\n%s", code, out)
	}
	if out, code := f.try("probe", "web", "192.168.0.99", "--socket", f.socket()); code != 1 || !strings.Contains(out, "it has: 192.168.0.101:80") {
		t.Errorf("the director's probe of nobody: exit %d\n%s", code, out)
	}

	// What a changed file would do, with the connections that it disturbs.
	f.nodes[1].Echo("tcp", ":7", "web2")
	echo := "\n[[virtual]]\nname = \"echo\"\naddress = \"192.168.0.105:7\"\n[virtual.check]\ntype = \"connect\"\n[[virtual.real]]\n" + rs2 + "\n"
	f.reload(file + echo)
	f.awaitState("echo", "192.168.0.102:7", director.StateUp, 3*time.Second)
	hold := f.client.Hold("tcp", "192.168.0.105:7")
	f.directorKeys = `removal_grace = "0s"`
	f.write(file)
	out, code = f.try("plan", "-c", f.file(), "--socket", f.socket(), "--json")
	var p struct {
		Steps []struct {
			Step string
			Cuts int
		}
	}
	if err := json.Unmarshal([]byte(out), &p); err != nil || code != 2 || len(p.Steps) != 1 || p.Steps[0].Step != "-D -t 192.168.0.105:7" || p.Steps[0].Cuts != 1 {
		t.Errorf("plan --json of a removal: exit %d, %v\n%s", code, err, out)
	}
	if r := hold.Stop(); r.Broken != nil {
		t.Errorf("plan broke a connection: %v", r)
	}

	for path, want := range map[string]string{
		"/healthz": "ok", "/readyz": "", "/active": "", "/api/v1/status": `"name":"web"`,
		"/metrics": `ipvsd_real_server_up{virtual="web",real="192.168.0.101:80"} 0`,
	} {
		if got, err := f.director.Try("curl", "-sf", "http://127.0.0.1:9117"+path); err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %v, want %q in\n%.300s", path, err, want, got)
		}
	}
}

// TestSecondDirector refuses to run two directors on one machine.
func TestSecondDirector(t *testing.T) {
	f, _ := drFarm(t, 1)
	f.start(quick(`scheduler = "rr"`, rs1))
	out, code := f.try("director", "-c", f.file(), "--socket", f.socket())
	if code != 1 || !strings.Contains(out, "another ipvsd director is running") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// TestPermission runs the director without the right to change the table.
func TestPermission(t *testing.T) {
	f := newFarm(t, 1)
	f.write(quick(`scheduler = "rr"`, rs1))
	out, err := f.director.Try("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin",
		os.Getenv(binaryVar), "director", "-c", f.file(), "--socket", f.socket())
	if code := exitStatus(t, err); code != 1 || !strings.Contains(out, "CAP_NET_ADMIN") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// TestSysctl leaves the kernel's settings alone where the file says so, and
// tells what it would have set.
func TestSysctl(t *testing.T) {
	f, _ := drFarm(t, 1)
	f.director.SetSysctl("net.ipv4.vs.expire_nodest_conn", "0")
	f.start("[sysctl]\nmanage = false\n" + quick(`scheduler = "rr"`, rs1))
	if got := f.director.Sysctl("net.ipv4.vs.expire_nodest_conn"); got != "0" {
		t.Errorf("expire_nodest_conn is %s", got)
	}
	if !strings.Contains(f.proc.Output(), "key=net.ipv4.vs.expire_nodest_conn old=0 new=1") {
		t.Error("the log doesn't say what is missing")
	}
	f.reload(quick(`scheduler = "rr"`, rs1))
	lab.Eventually(t, 2*time.Second, "set after the reload", func() bool {
		return f.director.Sysctl("net.ipv4.vs.expire_nodest_conn") == "1"
	})
}

// TestStuckTarget has one real server that accepts and never answers: the others
// are checked in time, and it is out with its reason.
func TestStuckTarget(t *testing.T) {
	f, webs := drFarm(t, 2)
	f.start(strings.ReplaceAll(quick(`scheduler = "rr"`, rs1, rs2), `timeout = "2s"`, `timeout = "400ms"`))
	webs[0].Hang(testPage)
	f.awaitState("web", "192.168.0.101:80", director.StateDown, 3*time.Second)
	if r := real(f.status(), "web", "192.168.0.101:80"); !strings.Contains(r.Reason, "timeout after 400ms") {
		t.Errorf("reason %q", r.Reason)
	}
	before := webs[1].Count(testPage)
	time.Sleep(3 * time.Second)
	if n := webs[1].Count(testPage) - before; n < 5 || n > 8 {
		t.Errorf("the other server was checked %d times in 3 s, want 6", n)
	}
}

// TestSchedulerMissing asks for a scheduler that this kernel lacks: that virtual
// service fails loudly, and the others are programmed.
func TestSchedulerMissing(t *testing.T) {
	f, _ := drFarm(t, 1)
	f.write(quick(`scheduler = "rr"`, rs1) + "\n[[virtual]]\nname = \"odd\"\naddress = \"192.168.0.105:81\"\nscheduler = \"twos\"\n[[virtual.real]]\n" + rs1 + "\n")
	f.proc = f.director.Start(os.Getenv(binaryVar), "director", "-c", f.file(), "--socket", f.socket())
	f.awaitTable(5*time.Second, "-A -t 192.168.0.105:80 -s rr", "-a -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 1")
	s := f.status()
	if s.Ready || !strings.Contains(s.Kernel.Error, "-A -t 192.168.0.105:81 -s twos") || !strings.Contains(s.Kernel.Error, "no such scheduler") {
		t.Errorf("ready %v, kernel error %q", s.Ready, s.Kernel.Error)
	}
	if out, code := f.try("status", "--socket", f.socket()); code != 2 || !strings.Contains(out, "twos") {
		t.Errorf("status: exit %d\n%s", code, out)
	}
}
