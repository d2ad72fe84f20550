package scenario

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

// quick is the tutorial's file with a check twice a second, and patience for a
// starved lab kernel. More keys of the
// virtual service and its real servers come as text.
func quick(virtual string, reals ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
[check]
type = "http"
request = "/ldirector.html"
receive = "Test Page"
interval = "500ms"
timeout = "2s"

[[virtual]]
name = "web"
address = "192.168.0.105:80"
%s
`, virtual)
	for _, r := range reals {
		fmt.Fprintf(&b, "  [[virtual.real]]\n  %s\n", r)
	}
	return b.String()
}

const (
	rs1 = `address = "192.168.0.101"`
	rs2 = `address = "192.168.0.102"`
)

// drFarm is a farm with the tutorial's web servers behind direct routing.
func drFarm(t *testing.T, nodes int) (*farm, []*lab.Web) {
	t.Helper()
	f := newFarm(t, nodes)
	webs := f.webs()
	f.setup("dr", vip4)
	return f, webs
}

// TestReload changes everything that a file may change under load: no request
// fails, a held connection lives, and no check history begins anew.
func TestReload(t *testing.T) {
	f, _ := drFarm(t, 3)
	f.nodes[0].Echo("tcp", ":7", "web1")
	f.nodes[1].Echo("tcp", ":7", "web2")
	echo := func(reals ...string) string {
		s := "\n[[virtual]]\nname = \"echo\"\naddress = \"192.168.0.105:7\"\nscheduler = \"rr\"\n[virtual.check]\ntype = \"connect\"\ninterval = \"500ms\"\ntimeout = \"400ms\"\n"
		for _, r := range reals {
			s += "[[virtual.real]]\n" + r + "\n"
		}
		return s
	}
	web3 := `address = "192.168.0.104"`
	f.nodes[2].DelAddr("eth0", "192.168.0.103/24") // the director's own
	f.nodes[2].AddAddr("eth0", "192.168.0.104/24")
	f.start(quick(`scheduler = "rr"`, rs1, rs2) + echo(rs1))
	f.eventually(5*time.Second, "some checks ran", func(s director.Status) bool {
		return real(s, "web", "192.168.0.101:80").Check.Good >= 3
	})

	load := f.client.Load("http://192.168.0.105/")
	hold := f.client.Hold("tcp", "192.168.0.105:7")
	good := real(f.status(), "web", "192.168.0.101:80").Check.Good
	for _, step := range []struct {
		name, file string
		want       []string
	}{
		{"adds a real server", quick(`scheduler = "rr"`, rs1, rs2, web3) + echo(rs1), []string{"-a -t 192.168.0.105:80 -r 192.168.0.104:80 -g -w 1"}},
		{"reweights", quick(`scheduler = "wrr"`, rs1+"\n weight = 7", rs2, web3) + echo(rs1), []string{"-A -t 192.168.0.105:80 -s wrr", "-a -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 7"}},
		{"changes the scheduler and its flags", quick("scheduler = \"sh\"\nscheduler_flags = [\"sh-port\", \"sh-fallback\"]", rs1, rs2, web3) + echo(rs1), []string{"-A -t 192.168.0.105:80 -s sh -b sh-fallback,sh-port"}},
		{"removes a real server", quick(`scheduler = "rr"`, rs2, web3) + echo(rs1), []string{"!-a -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 7", "!-a -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 0"}},
		{"takes it back and changes the check", strings.ReplaceAll(quick(`scheduler = "rr"`, rs1, rs2, web3), `receive = "Test Page"`, `receive = "Test"`) + echo(rs1), []string{"-a -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 1"}},
		{"removes the server of the held connection", quick(`scheduler = "rr"`, rs1, rs2, web3) + echo(rs2), []string{"-a -t 192.168.0.105:7 -r 192.168.0.101:7 -g -w 0", "-a -t 192.168.0.105:7 -r 192.168.0.102:7 -g -w 1"}},
		{"turns persistence on", quick("scheduler = \"rr\"\npersistence = \"5m\"", rs1, rs2, web3) + echo(rs2), []string{"-A -t 192.168.0.105:80 -s rr -p 300"}},
	} {
		f.reload(step.file)
		f.awaitTable(6*time.Second, step.want...)
		time.Sleep(300 * time.Millisecond)
		if r := load.Report(); len(r.Failed) > 0 {
			t.Errorf("%s: %v", step.name, r)
			break
		}
	}
	noneFailed(t, load.Stop())
	if r := hold.Stop(); r.Broken != nil || r.Server != "web1" {
		t.Errorf("held connection: %v", r)
	}
	if now := real(f.status(), "web", "192.168.0.102:80").Check.Good; now < good+5 {
		t.Errorf("the check history of web2 began anew: %d good checks, %d before the reloads", now, good)
	}
}

// TestReloadForward changes the forwarding method and port of real servers
// under load: dr to nat on another port and back.
func TestReloadForward(t *testing.T) {
	f, _ := drFarm(t, 2)
	f.behind()
	f.director.SetSysctl("net.ipv4.conf.all.send_redirects", "0")
	for _, h := range f.nodes {
		h.Web(":8080", h.Name).Page(testPage, 200, testBody)
	}
	f.start(quick(`scheduler = "rr"`, rs1, rs2))
	load := f.client.Load("http://192.168.0.105/")
	nat := []string{
		"address = \"192.168.0.101:8080\"\n forward = \"nat\"",
		"address = \"192.168.0.102:8080\"\n forward = \"nat\"",
	}
	f.reload(quick(`scheduler = "rr"`, nat...))
	f.awaitTable(6*time.Second, "-a -t 192.168.0.105:80 -r 192.168.0.101:8080 -m -w 1", "!-a -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 0")
	time.Sleep(500 * time.Millisecond)
	f.reload(quick(`scheduler = "rr"`, rs1, rs2))
	f.awaitTable(6*time.Second, "-a -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 1", "!-a -t 192.168.0.105:80 -r 192.168.0.101:8080 -m -w 0")
	time.Sleep(500 * time.Millisecond)
	noneFailed(t, load.Stop())
}

// TestKill kills the daemon with -9 under load and starts it again: no request
// fails, no connection breaks, and what a hand drained stays drained until the
// first verdict.
func TestKill(t *testing.T) {
	f, webs := drFarm(t, 2)
	f.nodes[0].Echo("tcp", ":7", "web1")
	file := quick(`scheduler = "rr"`, rs1, rs2) + "\n[[virtual]]\naddress = \"192.168.0.105:7\"\n[virtual.check]\ntype = \"connect\"\n[[virtual.real]]\n" + rs1 + "\n"
	f.start(file)
	load := f.client.Load("http://192.168.0.105/", lab.Every(50*time.Millisecond))
	hold := f.client.Hold("tcp", "192.168.0.105:7")
	time.Sleep(time.Second)

	f.proc.Kill()
	f.director.Run("ipvsadm", "-e", "-t", "192.168.0.105:80", "-r", "192.168.0.102:80", "-g", "-w", "0")
	time.Sleep(500 * time.Millisecond)
	webs[1].Hang(testPage) // no verdict before its timeout
	before := f.table()
	f.proc = f.director.Start(os.Getenv(binaryVar), "director", "-c", f.file(), "--socket", f.socket())
	f.eventually(5*time.Second, "the director programmed the kernel", func(s director.Status) bool { return s.Kernel.Programmed })
	if now := f.table(); now != before {
		t.Errorf("the restart changed the table from\n%s\nto\n%s", before, now)
	}
	webs[1].Page(testPage, 200, testBody)
	f.eventually(5*time.Second, "ready again", func(s director.Status) bool { return s.Ready })
	f.awaitTable(5*time.Second, "-a -t 192.168.0.105:80 -r 192.168.0.102:80 -g -w 1")
	time.Sleep(time.Second)
	noneFailed(t, load.Stop())
	if r := hold.Stop(); r.Broken != nil {
		t.Errorf("held connection: %v", r)
	}
}

// TestDrift lets foreign hands change the table: what is ours is repaired within
// 5 s, what is theirs stays.
func TestDrift(t *testing.T) {
	f, _ := drFarm(t, 2)
	f.start(quick(`scheduler = "rr"`, rs1, rs2))
	want := f.table()
	foreign := "-A -t 192.168.0.103:2525 -s lc"
	for _, hurt := range []string{
		"-C",
		"-D -t 192.168.0.105:80",
		"-d -t 192.168.0.105:80 -r 192.168.0.101:80",
		"-e -t 192.168.0.105:80 -r 192.168.0.101:80 -m -w 9 -x 100",
		"-a -t 192.168.0.105:80 -r 192.168.0.199:80 -g",
		"-E -t 192.168.0.105:80 -s wlc -p 60",
	} {
		f.director.Run(append([]string{"ipvsadm"}, strings.Fields(hurt)...)...)
		lab.Eventually(t, 5*time.Second, "repaired after ipvsadm "+hurt, func() bool { return f.table() == want })
	}
	f.director.Run(append([]string{"ipvsadm"}, strings.Fields(foreign)...)...)
	time.Sleep(3 * time.Second)
	if !strings.Contains(f.table(), foreign) {
		t.Errorf("the foreign service is gone:\n%s", f.table())
	}
	s := f.status()
	if s.Kernel.Foreign != 1 || s.Kernel.Drifts["service_missing"] != 2 || s.Kernel.Drifts["real_missing"] != 1 ||
		s.Kernel.Drifts["real_changed"] != 1 || s.Kernel.Drifts["real_unexpected"] != 1 || s.Kernel.Drifts["service_changed"] != 1 {
		t.Errorf("foreign %d, drifts %v", s.Kernel.Foreign, s.Kernel.Drifts)
	}
}

// TestNeverChecked has one real server that answers no check: it gets no
// traffic before its first good one.
func TestNeverChecked(t *testing.T) {
	f, webs := drFarm(t, 2)
	webs[1].Page(testPage, 404, "no")
	f.start(quick(`scheduler = "rr"`, rs1, rs2))
	load := f.client.Load("http://192.168.0.105/")
	time.Sleep(2 * time.Second)
	r := load.Stop()
	noneFailed(t, r)
	if n := webs[1].Count("/"); n != 0 {
		t.Errorf("the server that was never good got %d requests", n)
	}
}

// TestStop stops the daemon in each way and looks at what stays.
func TestStop(t *testing.T) {
	f, _ := drFarm(t, 1)
	file := quick(`scheduler = "rr"`, rs1)
	has := func(want bool) {
		t.Helper()
		got := slices.Contains(f.director.Addrs("eth0"), netip.MustParsePrefix("192.168.0.105/32"))
		if got != want {
			t.Errorf("the director has the address: %v, want %v", got, want)
		}
	}
	end := func(sig syscall.Signal) {
		t.Helper()
		f.proc.Signal(sig)
		if err := f.proc.Wait(10 * time.Second); err != nil {
			t.Fatalf("%v: %v\n%s", sig, err, f.proc.Output())
		}
	}
	f.start(file)
	has(true)
	table := f.table()
	if f.status().Addresses[0].State != director.AddressAdded {
		t.Errorf("addresses: %+v", f.status().Addresses)
	}

	end(syscall.SIGUSR2)
	has(true)
	if f.table() != table {
		t.Error("SIGUSR2 changed the table")
	}
	f.restart()
	end(syscall.SIGTERM)
	has(false)
	if f.table() != table {
		t.Error("SIGTERM changed the table")
	}
	f.directorKeys = "clean_stop = true"
	f.start(file)
	has(true)
	end(syscall.SIGTERM)
	has(false)
	if got := f.table(); got != "" {
		t.Errorf("after a clean stop the table has:\n%s", got)
	}
}

// TestLeftover takes a virtual service out of the file while no director runs.
func TestLeftover(t *testing.T) {
	f, _ := drFarm(t, 1)
	second := "\n[[virtual]]\naddress = \"192.168.0.106:80\"\n[[virtual.real]]\n" + rs1 + "\n"
	f.start(quick(`scheduler = "rr"`, rs1) + second)
	f.proc.Kill()
	f.director.Run("ipvsadm", "-A", "-u", "192.168.0.106:53", "-s", "rr")
	f.start(quick(`scheduler = "rr"`, rs1))
	f.awaitTable(3*time.Second, "-A -t 192.168.0.105:80 -s rr", "!-A -t 192.168.0.106:80 -s wlc", "-A -u 192.168.0.106:53 -s rr")
	lab.Eventually(t, 3*time.Second, "its address is gone", func() bool {
		return !slices.Contains(f.director.Addrs("eth0"), netip.MustParsePrefix("192.168.0.106/32"))
	})
}
