package director_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/journal"
	"github.com/ipvsd/ipvsd/director/kerneltest"
	"github.com/ipvsd/ipvsd/director/table"
)

// fakeChecks are verdicts that a test sets.
type fakeChecks struct {
	mu      sync.Mutex
	status  map[checker.ID]checker.Status
	watched []checker.Watch
	changed chan struct{}
}

func newFakeChecks() *fakeChecks {
	return &fakeChecks{status: map[checker.ID]checker.Status{}, changed: make(chan struct{}, 1)}
}

func (f *fakeChecks) Set(w []checker.Watch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watched = w
}

func (f *fakeChecks) Snapshot() map[checker.ID]checker.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.status)
}

func (f *fakeChecks) States() map[checker.ID]checker.State {
	states := map[checker.ID]checker.State{}
	for id, s := range f.Snapshot() {
		states[id] = s.State
	}
	return states
}

func (f *fakeChecks) Percents() map[checker.ID]uint16 {
	percents := map[checker.ID]uint16{}
	for id, s := range f.Snapshot() {
		if s.Percent != 100 {
			percents[id] = s.Percent
		}
	}
	return percents
}

func (f *fakeChecks) Status(id checker.ID) (checker.Status, bool) {
	s, ok := f.Snapshot()[id]
	return s, ok
}

func (f *fakeChecks) Changed() <-chan struct{}   { return f.changed }
func (f *fakeChecks) Ping(context.Context) error { return nil }

func (f *fakeChecks) say(p table.Pair, s checker.State, reason string) {
	f.mu.Lock()
	f.status[checker.ID(p.String())] = checker.Status{State: s, Percent: 100, Last: checker.Result{OK: s == checker.Up, Reason: reason, Start: time.Now()}}
	f.mu.Unlock()
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// ask lets a real server's agent want so many hundredths of the weight.
func (f *fakeChecks) ask(p table.Pair, percent uint16) {
	f.mu.Lock()
	status := f.status[checker.ID(p.String())]
	status.Percent = percent
	f.status[checker.ID(p.String())] = status
	f.mu.Unlock()
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// bench is a director over the in-memory kernel, in virtual time.
type bench struct {
	t      *testing.T
	kernel *kerneltest.Kernel
	checks *fakeChecks
	d      *director.Director
	log    strings.Builder
	stop   func() error

	journal *journal.Journal
}

func runBench(t *testing.T, kernel *kerneltest.Kernel, cfg *config.Config) *bench {
	t.Helper()
	b := &bench{t: t, kernel: kernel, checks: newFakeChecks()}
	b.journal = journal.New(journal.Options{Dir: cfg.Director.StateDir, Log: slog.New(slog.DiscardHandler)})
	b.d = director.New(cfg, director.Options{
		Kernel: kernel, Checks: b.checks, SysctlRoot: t.TempDir(), Journal: b.journal,
		Log: slog.New(slog.NewTextHandler(&b.log, nil)),
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.d.Run(ctx) }()
	b.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = b.stop() })
	synctest.Wait()
	return b
}

func (b *bench) weights() map[string]uint32 {
	b.t.Helper()
	have, err := b.kernel.Read(context.Background())
	if err != nil {
		b.t.Fatal(err)
	}
	return weights(have.State[webKey])
}

func (b *bench) want(what string, want map[string]uint32) {
	b.t.Helper()
	synctest.Wait()
	if diff := cmp.Diff(want, b.weights()); diff != "" {
		b.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func isProgrammed(d *director.Director) bool {
	select {
	case <-d.Programmed():
		return true
	default:
		return false
	}
}

func TestVerdictsReachTheKernelAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := runBench(t, kerneltest.New(), webConfig(true))
		if !isProgrammed(b.d) || b.d.Ready() {
			t.Errorf("programmed %v, ready %v; want true, false", isProgrammed(b.d), b.d.Ready())
		}
		b.want("start", map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 0, "127.0.0.1:80": 1})
		b.checks.say(pair(web1), checker.Up, "status 200")
		b.want("first up", map[string]uint32{"192.168.0.101:80": 3, "192.168.0.102:80": 0})
		b.checks.say(pair(web2), checker.Up, "status 200")
		b.want("second up", map[string]uint32{"192.168.0.101:80": 3, "192.168.0.102:80": 5})
		if !b.d.Ready() {
			t.Error("not ready after every verdict")
		}
		b.checks.say(pair(web1), checker.Down, "connection refused")
		b.want("down", map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 5})
		if err := b.stop(); err != nil {
			t.Error(err)
		}
		b.want("after the stop", map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 5})
		if !strings.Contains(b.log.String(), `step="-e -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 0" reason="down: connection refused"`) {
			t.Errorf("the log lacks the step with its reason:\n%s", b.log.String())
		}
	})
}

func TestDriftIsRepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := runBench(t, kerneltest.New(), webConfig(true))
		b.checks.say(pair(web1), checker.Up, "status 200")
		synctest.Wait()
		before := b.weights()
		b.kernel.Flush()
		time.Sleep(5 * time.Second)
		b.want("after a flush", before)
		b.kernel.Do(context.Background(), []table.Step{{
			Op: table.EditReal, Service: table.Service{ServiceKey: webKey},
			Real: table.Real{Addr: web1, Forward: table.DR, Weight: 99},
		}})
		// The director itself acts on the service, and sees it at once.
		b.checks.say(pair(web2), checker.Up, "status 200")
		b.want("after a foreign weight", map[string]uint32{"192.168.0.101:80": 3, "192.168.0.102:80": 5})
		drifts := b.d.Status(context.Background()).Kernel.Drifts
		if diff := cmp.Diff(map[string]uint64{"service_missing": 1, "real_changed": 1}, drifts); diff != "" {
			t.Errorf("drifts (-want +got):\n%s", diff)
		}
	})
}

// TestVerdictsDontPutOffRepairs lets verdicts change faster than the whole table
// is compared.
func TestVerdictsDontPutOffRepairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := runBench(t, kerneltest.New(), webConfig(true))
		b.kernel.Do(context.Background(), []table.Step{{
			Op: table.AddService, Service: table.Service{ServiceKey: table.ByMark(table.IPv4, 9), Scheduler: "rr", PrefixLen: 32},
		}})
		for range 6 {
			b.checks.say(pair(web1), checker.Up, "status 200")
			time.Sleep(500 * time.Millisecond)
			b.checks.say(pair(web1), checker.Down, "status 503")
			time.Sleep(500 * time.Millisecond)
		}
		if got := b.d.Status(context.Background()).Kernel.Foreign; got != 1 {
			t.Errorf("foreign services seen: %d, want 1", got)
		}
	})
}

func TestRestartAdopts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := kerneltest.New()
		cfg := webConfig(true)
		cfg.Director.StateDir = t.TempDir()
		first := runBench(t, kernel, cfg)
		first.checks.say(pair(web1), checker.Up, "status 200")
		first.checks.say(pair(web2), checker.Up, "status 200")
		synctest.Wait()
		_ = first.stop()
		kernel.Do(context.Background(), []table.Step{{ // an operator drains by hand
			Op: table.EditReal, Service: table.Service{ServiceKey: webKey},
			Real: table.Real{Addr: web2, Forward: table.DR, Weight: 0},
		}})
		other := table.ByMark(table.IPv4, 9) // somebody else's
		kernel.Do(context.Background(), []table.Step{{Op: table.AddService, Service: table.Service{ServiceKey: other, Scheduler: "rr", PrefixLen: 32}}})

		steps := kernel.Steps()
		second := runBench(t, kernel, cfg)
		second.want("restart", map[string]uint32{"192.168.0.101:80": 3, "192.168.0.102:80": 0})
		if n := kernel.Steps() - steps; n != 0 {
			t.Errorf("the restart made %d steps, want none", n)
		}
		second.checks.say(pair(web2), checker.Up, "status 200")
		second.want("first verdict", map[string]uint32{"192.168.0.101:80": 3, "192.168.0.102:80": 5})
		_ = second.stop()

		// The service leaves the file while no director runs.
		empty := &config.Config{Director: cfg.Director}
		third := runBench(t, kernel, empty)
		have, _ := kernel.Read(context.Background())
		if _, ok := have.State[webKey]; ok {
			t.Error("our own leftover is still there")
		}
		if _, ok := have.State[other]; !ok {
			t.Error("a foreign service is gone")
		}
		if got := third.d.Status(context.Background()).Kernel.Foreign; got != 1 {
			t.Errorf("foreign services: %d, want 1", got)
		}
	})
}

func TestLeavingFinishesItsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := kerneltest.New()
		cfg := webConfig(true)
		cfg.Director.RemovalGrace = time.Minute
		b := runBench(t, kernel, cfg)
		b.checks.say(pair(web1), checker.Up, "ok")
		b.checks.say(pair(web2), checker.Up, "ok")
		synctest.Wait()
		kernel.Count(pair(web2), table.Counters{Active: 1})
		less := webConfig(true)
		less.Director.RemovalGrace = time.Minute
		less.Virtuals[0].Reals = less.Virtuals[0].Reals[:1]
		b.d.Reload(context.Background(), less, "SIGHUP")
		b.want("in the grace", map[string]uint32{"192.168.0.101:80": 3, "192.168.0.102:80": 0})
		time.Sleep(50 * time.Second)
		b.want("later in the grace", map[string]uint32{"192.168.0.101:80": 3, "192.168.0.102:80": 0})
		time.Sleep(11 * time.Second)
		b.want("after the grace", map[string]uint32{"192.168.0.101:80": 3})

		// The other way out: the last connection ends.
		b.d.Reload(context.Background(), cfg, "SIGHUP")
		synctest.Wait()
		kernel.Count(pair(web2), table.Counters{Active: 1})
		b.d.Reload(context.Background(), less, "SIGHUP")
		b.want("in the second grace", map[string]uint32{"192.168.0.101:80": 3, "192.168.0.102:80": 0})
		kernel.Count(pair(web2), table.Counters{})
		time.Sleep(time.Second)
		b.want("after the last connection", map[string]uint32{"192.168.0.101:80": 3})
	})
}

// TestFailedStepsAreRetried makes each step of a start fail in turn: the rest is
// programmed and told, and the loop converges.
func TestFailedStepsAreRetried(t *testing.T) {
	for k := range 4 {
		synctest.Test(t, func(t *testing.T) {
			kernel := kerneltest.New()
			n := 0
			kernel.FailStep(func(table.Step) error {
				n++
				if n == k+1 {
					return errors.New("cosmic ray")
				}
				return nil
			})
			b := runBench(t, kernel, webConfig(true))
			if !isProgrammed(b.d) {
				t.Errorf("step %d failed, and the daemon would wait for it", k)
			}
			if s := b.d.Status(context.Background()).Kernel; s.Programmed || !strings.Contains(s.Error, "cosmic ray") {
				t.Errorf("status: programmed %v, error %q", s.Programmed, s.Error)
			}
			time.Sleep(3 * time.Second)
			b.want("retried", map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 0, "127.0.0.1:80": 1})
			if s := b.d.Status(context.Background()).Kernel; !s.Programmed || s.Error != "" {
				t.Errorf("status after the retry: programmed %v, error %q", s.Programmed, s.Error)
			}
		})
	}
}

func TestRefusedReloadChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := runBench(t, kerneltest.New(), webConfig(true))
		before := b.weights()
		b.d.Refuse(context.Background(), errors.New("ipvsd.toml:3: unknown key"), "SIGHUP")
		b.want("after a refused reload", before)
		s := b.d.Status(context.Background()).Config
		if s.Error == "" || s.Reloads["refused"] != 1 {
			t.Errorf("status says error %q, reloads %v", s.Error, s.Reloads)
		}
	})
}

func TestCleanStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := kerneltest.New()
		other := table.ByAddr(table.UDP, netip.MustParseAddrPort("192.168.0.105:53"))
		kernel.Do(context.Background(), []table.Step{{Op: table.AddService, Service: table.Service{ServiceKey: other, Scheduler: "rr", PrefixLen: 32}}})
		cfg := webConfig(true)
		cfg.Director.CleanStop = true
		b := runBench(t, kernel, cfg)
		if err := b.stop(); err != nil {
			t.Error(err)
		}
		have, _ := kernel.Read(context.Background())
		if _, ok := have.State[webKey]; ok || len(have.State) != 1 {
			t.Errorf("after a clean stop: %v", have.State.Keys())
		}
	})
}
