package director_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/intent"
	"github.com/ipvsd/ipvsd/director/kerneltest"
	"github.com/ipvsd/ipvsd/director/table"
)

// ask carries out a wish as an operator does.
func (b *bench) ask(w intent.Wish, real string, deadline time.Duration) director.OperatorAnswer {
	b.t.Helper()
	a := b.d.Operate(context.Background(), director.OperatorWish{Wish: w, Real: real, Deadline: deadline, By: "alice", Reason: "kernel update"})
	if a.Error != "" {
		b.t.Fatalf("%s %s: %s", w, real, a.Error)
	}
	synctest.Wait()
	return a
}

// state is what the status says of a real server of web.
func (b *bench) state(real string) director.RealStatus {
	for _, r := range b.d.Status(context.Background()).Virtuals[0].Reals {
		if r.Address == real {
			return r
		}
	}
	return director.RealStatus{}
}

// drained runs a director with both real servers up.
func drained(t *testing.T, kernel *kerneltest.Kernel, cfg *config.Config) *bench {
	b := runBench(t, kernel, cfg)
	b.checks.say(pair(web1), checker.Up, "status 200")
	b.checks.say(pair(web2), checker.Up, "status 200")
	synctest.Wait()
	return b
}

const (
	real1 = "192.168.0.101:80"
	real2 = "192.168.0.102:80"
)

func TestDrainWaitsForConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := kerneltest.New()
		b := drained(t, kernel, webConfig(true))
		kernel.Count(pair(web1), table.Counters{Active: 2, Inactive: 9, PacketsIn: 100})
		a := b.ask(intent.Drain, real1, 0)
		if diff := cmp.Diff([]string{"-e -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 0"}, a.Steps); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
		if r := a.Reals[0]; r.State != director.StateDraining || r.Active != 2 || !strings.Contains(r.Next, "2 connections left") {
			t.Errorf("answer: %+v", r)
		}
		time.Sleep(time.Hour)
		b.want("an hour later", map[string]uint32{real1: 0, real2: 5})
		s := b.state(real1)
		if s.State != director.StateDraining || s.Verdict != director.StateUp || !strings.Contains(s.Reason, "drain by alice on ") ||
			!strings.Contains(s.Reason, ": kernel update; 2 connections left") || s.Hold.Wish != "drain" {
			t.Errorf("status: %+v %+v", s, s.Hold)
		}
		// A client that has closed its side still reads.
		for n := range uint64(10) {
			kernel.Count(pair(web1), table.Counters{Inactive: 9, PacketsIn: 101 + n})
			time.Sleep(2 * time.Second)
		}
		b.want("packets still come", map[string]uint32{real1: 0, real2: 5})
		time.Sleep(5 * time.Second)
		b.want("nothing moves", map[string]uint32{real2: 5})
		if s := b.state(real1); s.State != director.StateDrained || !strings.Contains(s.Reason, "its connections have ended") {
			t.Errorf("status: %+v", s)
		}
		b.checks.say(pair(web1), checker.Down, "connection refused") // the machine is switched off
		b.checks.say(pair(web1), checker.Up, "status 200")
		b.want("its check doesn't bring it back", map[string]uint32{real2: 5})
		if a := b.ask(intent.Drain, real1, time.Hour); len(a.Steps) != 0 || b.state(real1).State != director.StateDrained {
			t.Errorf("drained twice: %+v", a)
		}
		a = b.ask(intent.Enable, "192.168.0.101", 0)
		b.want("enabled", map[string]uint32{real1: 3, real2: 5})
		if len(a.Steps) != 1 || a.Reals[0].Next != "in, with weight 3" {
			t.Errorf("enable: %+v", a)
		}
		for _, want := range []string{
			`msg="real server is held back" service=192.168.0.105:80/tcp real=192.168.0.101:80 state=draining cause="drain by alice`,
			`state=drained`, `msg="real server is no longer held back"`, `cause="enable by alice`,
			`step="-d -t 192.168.0.105:80 -r 192.168.0.101:80" reason="drain by alice`,
		} {
			if !strings.Contains(b.log.String(), want) {
				t.Errorf("the log lacks %s:\n%s", want, b.log.String())
			}
		}
	})
}

// TestDrainIdle is out at once where there is nothing to wait for.
func TestDrainIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := drained(t, kerneltest.New(), webConfig(true))
		b.ask(intent.Drain, real1, 0)
		time.Sleep(1100 * time.Millisecond)
		b.want("a second later", map[string]uint32{real2: 5})
	})
}

// TestDrainUDP: the kernel's time-out says when a UDP exchange is over.
func TestDrainUDP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel, cfg := kerneltest.New(), webConfig(true)
		v := &cfg.Virtuals[0]
		v.Service.ServiceKey = table.ByAddr(table.UDP, webKey.Addr)
		p := table.Pair{Service: v.Service.ServiceKey, Real: web1}
		b := runBench(t, kernel, cfg)
		b.checks.say(p, checker.Up, "ok")
		synctest.Wait()
		kernel.Count(p, table.Counters{Inactive: 1})
		b.ask(intent.Drain, real1, 0)
		time.Sleep(5 * time.Minute)
		if s := b.state(real1); s.State != director.StateDraining {
			t.Errorf("with a UDP exchange: %+v", s)
		}
		kernel.Count(p, table.Counters{})
		time.Sleep(2 * time.Second)
		if s := b.state(real1); s.State != director.StateDrained {
			t.Errorf("without: %+v", s)
		}
	})
}

func TestDrainDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel, cfg := kerneltest.New(), webConfig(true)
		cfg.Director.StateDir = t.TempDir()
		b := drained(t, kernel, cfg)
		kernel.Count(pair(web1), table.Counters{Active: 2})
		b.ask(intent.Drain, real1, 10*time.Minute)
		time.Sleep(5 * time.Minute)
		_ = b.stop() // the deadline goes on over a restart and a reload
		time.Sleep(time.Minute)
		b = drained(t, kernel, cfg)
		b.want("restarted", map[string]uint32{real1: 0, real2: 5})
		b.d.Reload(context.Background(), cfg, "SIGHUP")
		time.Sleep(4*time.Minute - time.Second)
		b.want("a second before the deadline", map[string]uint32{real1: 0, real2: 5})
		time.Sleep(1010 * time.Millisecond)
		b.want("at the deadline", map[string]uint32{real2: 5})
		s := b.state(real1)
		if s.State != director.StateDrained || !strings.Contains(s.Reason, "the deadline cut 2 connections") || s.Hold.Cut != 2 {
			t.Errorf("status: %+v %+v", s, s.Hold)
		}
		_ = b.stop()
		b = drained(t, kernel, cfg)
		b.want("restarted after it", map[string]uint32{real2: 5})
		if s := b.state(real1); s.State != director.StateDrained {
			t.Errorf("status after the restart: %+v", s)
		}
	})
}

// TestDisable takes a machine out of everything, the last real server included.
func TestDisable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := kerneltest.New()
		b := drained(t, kernel, webConfig(true))
		kernel.Count(pair(web1), table.Counters{Active: 2})
		a := b.ask(intent.Disable, "192.168.0.101", 0)
		b.want("disabled", map[string]uint32{real2: 5})
		if len(a.Warnings) != 0 || a.Reals[0].State != director.StateDisabled || len(a.Steps) != 2 {
			t.Errorf("answer: %+v", a)
		}
		a = b.ask(intent.Drain, real2, time.Hour)
		want := []string{"web has no other real server that is up: the fallback 127.0.0.1:80 has its new clients"}
		if diff := cmp.Diff(want, a.Warnings); diff != "" {
			t.Errorf("warnings (-want +got):\n%s", diff)
		}
		b.want("the last one drains", map[string]uint32{real2: 0, "127.0.0.1:80": 1})
		v := b.d.Status(context.Background()).Virtuals[0]
		if v.Up || !v.Fallback {
			t.Errorf("virtual service: %+v", v)
		}
		b.ask(intent.Enable, real1, 0) // newer than the machine's mark
		b.ask(intent.Enable, real2, 0)
		b.want("enabled", map[string]uint32{real1: 3, real2: 5})
	})
}

func TestOperateRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := webConfig(true)
		twin := cfg.Virtuals[0]
		twin.Name, twin.Fallback = "dns", nil
		twin.Service.ServiceKey = table.ByAddr(table.UDP, webKey.Addr)
		cfg.Virtuals = append(cfg.Virtuals, twin)
		b := runBench(t, kerneltest.New(), cfg)
		for _, tt := range []struct{ real, virtual, want string }{
			{"web1", "", `"web1" is neither an address nor address:port; the real servers are 192.168.0.101:80 (web), 192.168.0.102:80 (web), 192.168.0.101:80 (dns), 192.168.0.102:80 (dns)`},
			{"192.168.0.101:81", "web", `no real server "192.168.0.101:81"; there are 192.168.0.101:80 (web), 192.168.0.102:80 (web)`},
			{"127.0.0.1", "", "127.0.0.1 is the fallback of web; only a real server can be taken out"},
			{"192.168.0.101", "shop", `no virtual service "shop"; there are web, dns`},
			{"192.168.0.101", "192.168.0.105:80", `"192.168.0.105:80" is the address of several virtual services; name one of web, dns`},
		} {
			a := b.d.Operate(context.Background(), director.OperatorWish{Wish: intent.Drain, Real: tt.real, Virtual: tt.virtual})
			if a.Error != tt.want {
				t.Errorf("%s --virtual %q:\n%s\nwant\n%s", tt.real, tt.virtual, a.Error, tt.want)
			}
		}
		a := b.d.Operate(context.Background(), director.OperatorWish{Wish: intent.Disable, Real: "[::ffff:192.168.0.101]:80", Virtual: "192.168.0.105:80/udp"})
		if a.Error != "" || len(a.Reals) != 1 || a.Reals[0].Virtual != "dns" {
			t.Errorf("one of two: %+v", a)
		}
		if a := b.d.Operate(context.Background(), director.OperatorWish{Wish: intent.Disable, Real: real1}); len(a.Reals) != 2 {
			t.Errorf("both: %+v", a.Reals)
		}
	})
}

// TestLeavesTheFile: a real server that comes back into the file is a new one.
func TestLeavesTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := webConfig(true)
		cfg.Director.StateDir = t.TempDir()
		b := drained(t, kerneltest.New(), cfg)
		b.ask(intent.Disable, real2, 0)
		less := webConfig(true)
		less.Director.StateDir = cfg.Director.StateDir
		less.Virtuals[0].Reals = less.Virtuals[0].Reals[:1]
		b.d.Reload(context.Background(), less, "SIGHUP")
		synctest.Wait()
		if !strings.Contains(b.log.String(), `msg="operator's wish is over: the real server left the file"`) {
			t.Errorf("not told:\n%s", b.log.String())
		}
		_ = b.stop()
		b = drained(t, kerneltest.New(), cfg)
		b.want("back in the file", map[string]uint32{real1: 3, real2: 5})
	})
}

// TestStateNotStored: a full disk stops nobody, and is told.
func TestStateNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := webConfig(true)
		dir := filepath.Join(t.TempDir(), "state")
		cfg.Director.StateDir = dir
		b := drained(t, kerneltest.New(), cfg)
		if err := os.Mkdir(filepath.Join(dir, intent.FileName+".new"), 0o700); err != nil {
			t.Fatal(err)
		}
		a := b.ask(intent.Disable, real1, 0)
		b.want("disabled all the same", map[string]uint32{real2: 5})
		if len(a.Warnings) != 1 || !strings.Contains(a.Warnings[0], "not stored, it would be lost at a restart") {
			t.Errorf("warnings: %q", a.Warnings)
		}
		if err := os.Remove(filepath.Join(dir, intent.FileName+".new")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if book, err := intent.Peek(dir); err != nil || book.Len() != 1 {
			t.Errorf("stored later: %d, %v", book.Len(), err)
		}
	})
}

// TestMaintenanceDir has the start, a change and an operator's wish meet a file
// in the maintenance directory.
func TestMaintenanceDir(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "192.168.0.101")
		touch := func() {
			t.Helper()
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		touch()
		for _, quiescent := range []bool{true, false} {
			kernel, cfg := kerneltest.New(), webConfig(quiescent)
			cfg.Director.MaintenanceDir = dir
			held := map[string]uint32{real1: 0, real2: 5}
			if !quiescent {
				held = map[string]uint32{real2: 5}
			}
			kernel.FailStep(func(s table.Step) error {
				if s.Real.Addr == web1 && s.Real.Weight > 0 && s.Op != table.DeleteReal {
					t.Errorf("quiescent %v: in maintenance, and %s", quiescent, s)
				}
				return nil
			})
			b := drained(t, kernel, cfg)
			b.want("at the start", held)
			s := b.state(real1)
			if s.State != director.StateMaintenance || s.Reason != "there is a file "+file || s.Verdict != director.StateUp {
				t.Errorf("status: %+v", s)
			}
			if a := b.ask(intent.Enable, real1, 0); a.Reals[0].Next != "still out here: remove the file "+file {
				t.Errorf("enable: %+v", a.Reals)
			}
			kernel.FailStep(nil)
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			time.Sleep(1100 * time.Millisecond)
			b.want("removed", map[string]uint32{real1: 3, real2: 5})
			touch()
			time.Sleep(1100 * time.Millisecond)
			b.want("there again", held)
			b.ask(intent.Disable, real1, 0)
			b.want("disabled too", map[string]uint32{real2: 5})
			_ = b.stop()
		}
	})
}
