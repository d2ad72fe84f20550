package lab_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

func TestCut(t *testing.T) {
	a, b := pair(t)
	mustAnswer(t, a, "http://192.0.2.2/", "b")
	b.Cut()
	if got, err := a.Get("http://192.0.2.2/", 300*time.Millisecond); err == nil {
		t.Errorf("%q answered through a cut cable", got)
	}
	b.Heal()
	lab.Eventually(t, 5*time.Second, "b answers over IPv4 again", func() bool {
		_, err := a.Get("http://192.0.2.2/", time.Second)
		return err == nil
	})
	mustAnswer(t, a, "http://[2001:db8::2]/", "b")
}

func TestLoss(t *testing.T) {
	a, b := pair(t)
	answers := func() bool {
		_, err := a.Get("http://192.0.2.2/", 300*time.Millisecond)
		return err == nil
	}
	for _, x := range []struct {
		name  string
		fault func(float64, ...string)
	}{{"in", b.LossIn}, {"out", b.LossOut}} {
		x.fault(100)
		if answers() {
			t.Errorf("answered with all frames %s lost", x.name)
		}
		x.fault(0)
		// Not at once: the neighbour tables may await an answer to an ARP request that was lost.
		lab.Eventually(t, 5*time.Second, "b answers after the loss "+x.name, answers)
	}
	// One-way: b is heard while it hears nothing.
	b.LossIn(100)
	c := a.Capture(lab.GratuitousARP(b.Addr("4")))
	b.Announce(b.Addr("4"))
	lab.Eventually(t, 2*time.Second, "a hears b's announcement", func() bool { return c.Count() == 1 })
	if answers() {
		t.Error("b heard a question")
	}
}

func TestDelay(t *testing.T) {
	a, b := pair(t)
	mustAnswer(t, a, "http://192.0.2.2/", "b") // ARP is done
	b.Delay(100 * time.Millisecond)
	start := time.Now()
	mustAnswer(t, a, "http://192.0.2.2/", "b")
	if d := time.Since(start); d < 190*time.Millisecond { // SYN-ACK and answer
		t.Errorf("an answer in %v, want 200ms or more", d)
	}
	b.Delay(0)
	start = time.Now()
	mustAnswer(t, a, "http://192.0.2.2/", "b")
	if d := time.Since(start); d > 90*time.Millisecond {
		t.Errorf("an answer in %v without delay", d)
	}
}

func TestProc(t *testing.T) {
	a, b := pair(t)
	p := b.Start("sh", "-c", "echo hello; sleep 1000 & wait")
	lab.Eventually(t, 5*time.Second, "the process's output", func() bool { return p.Output() == "hello\n" })
	if err := p.Wait(10 * time.Millisecond); err != lab.ErrRunning {
		t.Errorf("wait: %v, want %v", err, lab.ErrRunning)
	}
	p.Signal(syscall.SIGSTOP)
	if !p.Running() {
		t.Error("stopped is not ended")
	}
	p.Kill()
	if p.Running() {
		t.Error("runs after a kill")
	}
	p.Kill() // again is fine

	if out, err := a.Try("sh", "-c", "echo no; exit 3"); err == nil || out != "no\n" {
		t.Errorf("try: %q, %v", out, err)
	}
}

// A server that is another program, killed and frozen under traffic.
func TestKillServer(t *testing.T) {
	n := lab.New(t)
	client := n.Host("client", "192.0.2.1/24")
	server := n.Host("server", "192.0.2.2/24")
	dir := t.TempDir()
	conf := dir + "/nginx.conf"
	server.Run("sh", "-c", `echo 'daemon off; master_process off; pid `+dir+`/pid; error_log stderr;
		events {} http { access_log off; server { listen 80; location / { return 200 nginx; } } }' >`+conf)
	start := func() *lab.Proc {
		p := server.Start("nginx", "-c", conf)
		lab.Eventually(t, 5*time.Second, "nginx answers", func() bool {
			name, _ := client.Get("http://192.0.2.2/", time.Second)
			return name == "nginx"
		})
		return p
	}
	p := start()
	l := client.Load("http://192.0.2.2/", lab.Deadline(200*time.Millisecond))
	if !l.WaitFor(func(r lab.Report) bool { return r.OK > 10 }, 5*time.Second) {
		t.Fatalf("no answers: %v", l.Report())
	}
	p.Kill()
	if !l.WaitFor(func(r lab.Report) bool { return len(r.Failed) > 10 }, 5*time.Second) {
		t.Fatalf("no failures: %v", l.Report())
	}
	if r := l.Report(); !r.Outage.Open {
		t.Errorf("the outage is over: %v", r)
	}
	p = start()
	p.Signal(syscall.SIGSTOP)
	time.Sleep(500 * time.Millisecond)
	p.Signal(syscall.SIGCONT)
	time.Sleep(200 * time.Millisecond)
	r := l.Stop()
	t.Logf("\n%v", r)
	if r.Outage.Open || r.Outage.Duration() < 200*time.Millisecond {
		t.Errorf("outage: %+v", r.Outage)
	}
}
