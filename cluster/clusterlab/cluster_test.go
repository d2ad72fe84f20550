package clusterlab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

const (
	v4     = "192.0.2.100/32"
	v6     = "2001:db8::100/128"
	labKey = "bGFiIGxhYiBsYWIgbGFiIGxhYiBsYWIgbGFiIGxhYiE="
)

var (
	v4Addr = netip.MustParsePrefix(v4).Addr()
	v6Addr = netip.MustParsePrefix(v6).Addr()
)

// stage is two directors or more and a client on a bridge.
type stage struct {
	t       *testing.T
	client  *lab.Host
	hosts   []*lab.Host
	procs   []*lab.Proc
	profile string
	pings   []*pinger
}

func newStage(t *testing.T, n int, profile string) *stage {
	net := lab.New(t)
	s := &stage{t: t, client: net.Host("client", "192.0.2.1/24", "2001:db8::1/64"), profile: profile}
	for i := range n {
		s.hosts = append(s.hosts, net.Host(fmt.Sprintf("lb%d", i+1), fmt.Sprintf("192.0.2.%d/24", 11+i), fmt.Sprintf("2001:db8::%d/64", 11+i)))
		s.procs = append(s.procs, nil)
	}
	for i := range n {
		s.start(i)
	}
	lab.Eventually(t, 20*time.Second, "lb1 to serve", func() bool { return s.holders() == "lb1" })
	lab.Eventually(t, 20*time.Second, "the directors to know each other", func() bool {
		return !slices.ContainsFunc(s.procs[1:], func(p *lab.Proc) bool { return !strings.Contains(p.Output(), "hook web standby") })
	})
	time.Sleep(2 * time.Second) // modules, caches, the short lifetime
	s.pings = []*pinger{ping(t, s.client, v4Addr), ping(t, s.client, v6Addr)}
	time.Sleep(500 * time.Millisecond)
	t.Cleanup(func() {
		if t.Failed() {
			for i, p := range s.procs {
				t.Logf("lb%d:\n%s", i+1, p.Output())
			}
		}
	})
	return s
}

func (s *stage) start(i int) {
	var join []string
	for j := range s.hosts {
		if j != i {
			join = append(join, fmt.Sprintf("192.0.2.%d:7946", 11+j))
		}
	}
	cmd := s.hosts[i].Command(context.Background(), os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=lb%d", envName, i+1), fmt.Sprintf("%s=192.0.2.%d:7946", envListen, 11+i),
		envJoin+"="+strings.Join(join, " "), envProfile+"="+s.profile)
	s.procs[i] = s.hosts[i].StartCmd(cmd)
}

func (s *stage) holders() string {
	var out []string
	for i, h := range s.hosts {
		if slices.Contains(h.Addrs("eth0"), netip.MustParsePrefix(v4)) {
			out = append(out, fmt.Sprintf("lb%d", i+1))
		}
	}
	return strings.Join(out, " ")
}

// saw waits until both families are answered again, and tells what the client saw.
func (s *stage) saw(began time.Time, settle time.Duration) (worst gap) {
	s.t.Helper()
	time.Sleep(settle)
	lab.Eventually(s.t, 15*time.Second, "answers", func() bool {
		return !s.pings[0].since(began).open && !s.pings[1].since(began).open
	})
	for i, p := range s.pings {
		g := p.since(began)
		s.t.Logf("%s: %v", []string{"IPv4", "IPv6"}[i], g)
		if g.longest >= worst.longest {
			worst.longest = g.longest
		}
		worst.lost = max(worst.lost, g.lost)
	}
	return worst
}

// phases logs what the director that took over says of it.
func (s *stage) phases(i int) {
	for line := range strings.Lines(s.procs[i].Output()) {
		if strings.Contains(line, "announced_ms") {
			s.t.Logf("lb%d: %s", i+1, strings.TrimSpace(line))
		}
	}
}

// patience is how long a client may wait here. How fast a failover is, make
// bench measures; on a busy machine the lab's one processor stands still for
// some hundred milliseconds now and then.
const patience = 1500 * time.Millisecond

func TestDeathOfTheMachine(t *testing.T) {
	for _, profile := range []string{"standard", "fast"} {
		t.Run(profile, func(t *testing.T) {
			s := newStage(t, 2, profile)
			began := time.Now()
			s.hosts[0].Cut()
			s.procs[0].Kill()
			if g := s.saw(began, 2*time.Second); g.longest > patience || g.longest == 0 {
				t.Errorf("the client waited %v", g.longest)
			}
			s.phases(1)
		})
	}
}

func TestHandOver(t *testing.T) {
	s := newStage(t, 2, "standard")
	began := time.Now()
	s.procs[0].Signal(syscall.SIGTERM)
	if err := s.procs[0].Wait(5 * time.Second); err != nil {
		t.Error(err)
	}
	t.Logf("ended after %v", time.Since(began))
	if got := s.holders(); got != "lb2" {
		t.Errorf("held by %q", got)
	}
	if g := s.saw(began, time.Second); g.lost > 0 {
		t.Errorf("%d pings were lost", g.lost)
	}
	s.phases(1)
}

func TestKilled(t *testing.T) {
	s := newStage(t, 2, "standard")
	began := time.Now()
	s.procs[0].Kill()
	lab.Eventually(t, 6*time.Second, "lb2 to hold it", func() bool { return s.holders() == "lb2" })
	t.Logf("held by lb2 after %v", time.Since(began))
	if g := s.saw(began, time.Second); g.longest > patience {
		t.Errorf("the client waited %v", g.longest)
	}
	s.phases(1)
}

// A frozen director loses its addresses in the kernel; when it goes on it
// notices, and doesn't take them back.
func TestFrozen(t *testing.T) {
	s := newStage(t, 2, "standard")
	began := time.Now()
	s.procs[0].Signal(syscall.SIGSTOP)
	lab.Eventually(t, 6*time.Second, "lb2 to hold it", func() bool { return s.holders() == "lb2" })
	t.Logf("held by lb2 after %v", time.Since(began))
	if g := s.saw(began, 3*time.Second); g.longest > patience {
		t.Errorf("the client waited %v", g.longest)
	}
	again := time.Now()
	s.procs[0].Signal(syscall.SIGCONT)
	for time.Since(again) < 5*time.Second {
		if got := s.holders(); got != "lb2" {
			t.Fatalf("%v after SIGCONT held by %q", time.Since(again), got)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if g := s.saw(again, 0); g.lost > 0 {
		t.Errorf("%d pings were lost after SIGCONT", g.lost)
	}
}

// Killed and started again within the lifetime: the client sees nothing.
func TestRestart(t *testing.T) {
	s := newStage(t, 2, "standard")
	began := time.Now()
	s.procs[0].Kill()
	s.start(0)
	if g := s.saw(began, 5*time.Second); g.lost > 0 || s.holders() != "lb1" {
		t.Errorf("%d pings were lost, held by %q", g.lost, s.holders())
	}
}
