package checker

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakes answers for targets by their address and remembers when it was asked.
type fakes struct {
	mu      sync.Mutex
	answer  map[string]Result // by Request; default: good
	takes   map[string]time.Duration
	asked   map[string][]time.Time
	running map[string]int
	most    int // at once, in all
	twice   bool
}

func newFakes() *fakes {
	return &fakes{answer: map[string]Result{}, takes: map[string]time.Duration{}, asked: map[string][]time.Time{}, running: map[string]int{}}
}

func (f *fakes) probe(ctx context.Context, s Spec) Result {
	name := s.Request + s.Command
	f.mu.Lock()
	f.asked[name] = append(f.asked[name], time.Now())
	f.running[name]++
	f.twice = f.twice || f.running[name] > 1
	sum := 0
	for _, n := range f.running {
		sum += n
	}
	f.most = max(f.most, sum)
	takes := f.takes[name]
	r, ok := f.answer[name]
	f.mu.Unlock()
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running[name]--
	if !ok {
		return good("fine")
	}
	return r
}

func (f *fakes) set(name string, r Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer[name] = r
}

func (f *fakes) slow(name string, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.takes[name] = d
}

func (f *fakes) times(name string) []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]time.Time(nil), f.asked[name]...)
}

func (f *fakes) peak() (most int, twice bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.most, f.twice
}

// web is a watch of its own name.
func web(name string) Watch {
	return Watch{ID: ID(name), Spec: Spec{Type: HTTP, Request: "/" + name, Interval: time.Second, Timeout: time.Second, Target: netip.MustParseAddrPort("10.0.0.1:80")}}
}

// turn runs test beside a Checker in virtual time.
func turn(t *testing.T, opts Options, test func(c *Checker)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := New(opts)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		test(c)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func wantState(t *testing.T, c *Checker, id ID, want State) {
	t.Helper()
	synctest.Wait()
	if got := c.Snapshot()[id].State; got != want {
		t.Errorf("%s is %s, want %s", id, got, want)
	}
	if got := c.States()[id]; got != want {
		t.Errorf("States says %s is %s, want %s", id, got, want)
	}
}

func TestFirstCheckIsPromptAndPeriodIsStartToStart(t *testing.T) {
	f := newFakes()
	f.slow("/a", 300*time.Millisecond)
	turn(t, Options{Probe: f.probe}, func(c *Checker) {
		start := time.Now()
		c.Set([]Watch{web("a")})
		time.Sleep(20 * time.Second)
		asked := f.times("/a")
		if d := asked[0].Sub(start); d > 20*time.Millisecond {
			t.Errorf("first check after %s", d)
		}
		if d := asked[1].Sub(asked[0]); d > 1350*time.Millisecond { // its turn may have come while the first still ran
			t.Errorf("second check %s after the first", d)
		}
		for i := 2; i < len(asked); i++ {
			if d := asked[i].Sub(asked[i-1]); d != time.Second {
				t.Errorf("check %d came %s after the one before", i, d)
			}
		}
		if n := len(asked); n < 19 || n > 21 {
			t.Errorf("%d checks in 20 s", n)
		}
	})
}

func TestManyFirstChecksAreSpreadAndPhasesDiffer(t *testing.T) {
	f := newFakes()
	turn(t, Options{Probe: f.probe}, func(c *Checker) {
		start := time.Now()
		var set []Watch
		for i := range 400 {
			set = append(set, web(fmt.Sprint(i)))
		}
		c.Set(set)
		time.Sleep(10 * time.Second)
		ticks, phases := map[time.Duration]int{}, map[time.Duration]int{}
		for i := range set {
			asked := f.times(fmt.Sprintf("/%d", i))
			if d := asked[0].Sub(start); d > 420*time.Millisecond {
				t.Errorf("first check of %d after %s", i, d)
			}
			ticks[asked[0].Sub(start)/tick]++
			phases[asked[3].Sub(start)%time.Second]++
		}
		if len(ticks) < 30 {
			t.Errorf("400 first checks in %d ticks", len(ticks))
		}
		if len(phases) != 20 {
			t.Errorf("%d phases, want 20", len(phases))
		}
		for phase, n := range phases {
			if n > 60 {
				t.Errorf("%d of 400 checks at %s", n, phase)
			}
		}
	})
}

func TestStuckTargetDelaysNobody(t *testing.T) {
	f := newFakes()
	f.slow("/stuck", time.Hour)
	turn(t, Options{Probe: f.probe}, func(c *Checker) {
		c.Set([]Watch{web("stuck"), web("a")})
		time.Sleep(10 * time.Second)
		if n := len(f.times("/a")); n < 9 {
			t.Errorf("%d checks of a in 10 s", n)
		}
		if n := len(f.times("/stuck")); n != 1 {
			t.Errorf("%d checks of the stuck one", n)
		}
		wantState(t, c, "a", Up)
		wantState(t, c, "stuck", Unknown)
	})
}

func TestOverrunMissesTurnsAndKeepsPhase(t *testing.T) {
	f := newFakes()
	turn(t, Options{Probe: f.probe}, func(c *Checker) {
		c.Set([]Watch{web("a")})
		time.Sleep(3 * time.Second)
		f.slow("/a", 2500*time.Millisecond)
		time.Sleep(30 * time.Second)
		asked := f.times("/a")
		last := asked[len(asked)-5:]
		for i := 1; i < len(last); i++ {
			if d := last[i].Sub(last[i-1]); d != 3*time.Second {
				t.Errorf("an overrunning check starts every %s, want 3s", d)
			}
		}
		if _, twice := f.peak(); twice {
			t.Error("two checks of one Spec at once")
		}
	})
}

func TestEqualSpecsAreCheckedOnce(t *testing.T) {
	f := newFakes()
	f.set("/same", bad("status 503"))
	turn(t, Options{Probe: f.probe}, func(c *Checker) {
		a, b, d := web("same"), web("same"), web("same")
		a.ID, b.ID, d.ID = "a", "b", "d"
		b.Fall = 3
		a.Spec.Method = "GET" // says what is so anyway
		a.Spec.VPort, a.Spec.Protocol = 80, "tcp"
		c.Set([]Watch{a, b})
		time.Sleep(10 * time.Second)
		if n := len(f.times("/same")); n < 9 || n > 11 {
			t.Errorf("%d checks in 10 s", n)
		}
		if n := c.Snapshot()["a"].Bad; n != uint64(len(f.times("/same"))) {
			t.Errorf("a counts %d", n)
		}
		wantState(t, c, "b", Down)
		// One that joins knows at once what the others know.
		c.Set([]Watch{a, b, d})
		wantState(t, c, "d", Down)
		f.set("/same", good("fine"))
		time.Sleep(1100 * time.Millisecond)
		wantState(t, c, "a", Up)
		f.set("/same", bad("status 503"))
		time.Sleep(time.Second)
		wantState(t, c, "a", Down)
		wantState(t, c, "b", Up)
	})
}

func TestReloadKeepsHistory(t *testing.T) {
	f := newFakes()
	f.set("/a", bad("connection refused"))
	turn(t, Options{Probe: f.probe}, func(c *Checker) {
		w := web("a")
		c.Set([]Watch{w, web("b")})
		time.Sleep(5525 * time.Millisecond)
		before := c.Snapshot()
		c.Set([]Watch{w, web("c")})
		synctest.Wait()
		after := c.Snapshot()
		if diff := cmp.Diff(before["a"], after["a"]); diff != "" {
			t.Errorf("reload changed a (-before +after):\n%s", diff)
		}
		if _, ok := after["b"]; ok {
			t.Error("b is still there")
		}
		n := len(f.times("/b"))
		time.Sleep(3 * time.Second)
		if len(f.times("/b")) != n {
			t.Error("b is still checked")
		}

		// Another check: state and history stay until it has spoken.
		w.Spec.Request, w.Rise = "/other", 2
		f.slow("/other", 500*time.Millisecond)
		c.Set([]Watch{w})
		wantState(t, c, "a", Down)
		time.Sleep(600 * time.Millisecond)
		wantState(t, c, "a", Down) // rise 2: one good result is not enough
		time.Sleep(1600 * time.Millisecond)
		wantState(t, c, "a", Up)
		if s := c.Snapshot()["a"]; s.Bad < 5 || s.LastFailure.Reason != "connection refused" {
			t.Errorf("history is gone: %+v", s)
		}

		// Thresholds count at once.
		w.Fall = 1000
		c.Set([]Watch{w})
		f.set("/other", bad("status 500"))
		time.Sleep(10 * time.Second)
		wantState(t, c, "a", Up)
		w.Fall = 3
		c.Set([]Watch{w})
		wantState(t, c, "a", Down)
	})
}

func TestOnAndOff(t *testing.T) {
	f := newFakes()
	turn(t, Options{Probe: f.probe}, func(c *Checker) {
		on := Watch{ID: "on", Spec: Spec{Type: On}}
		off := Watch{ID: "off", Spec: Spec{Type: Off}}
		c.Set([]Watch{on, off})
		synctest.Wait()
		<-c.Changed()
		wantState(t, c, "on", Up)
		wantState(t, c, "off", Unknown)
		s := c.Snapshot()
		if s["on"].Last.Reason != "always up: check type on" || s["off"].Last.Reason != "not checked" {
			t.Errorf("reasons %q, %q", s["on"].Last.Reason, s["off"].Last.Reason)
		}
		// A checked one that is turned off, and back.
		w := web("off")
		w.ID = "off"
		c.Set([]Watch{on, w})
		time.Sleep(time.Second)
		wantState(t, c, "off", Up)
		c.Set([]Watch{on, off})
		wantState(t, c, "off", Unknown)
	})
}

func TestChangedWakesForVerdictsOnly(t *testing.T) {
	f := newFakes()
	turn(t, Options{Probe: f.probe}, func(c *Checker) {
		c.Set([]Watch{web("a")})
		synctest.Wait()
		<-c.Changed() // the set
		time.Sleep(100 * time.Millisecond)
		<-c.Changed() // the first verdict
		states := c.States()
		time.Sleep(5 * time.Second)
		select {
		case <-c.Changed():
			t.Error("woken without a changed verdict")
		default:
		}
		if len(states) != 1 || c.States()["a"] != Up {
			t.Error("States is wrong")
		}
		f.set("/a", bad("status 503"))
		at := time.Now()
		<-c.Changed()
		if d := time.Since(at); d > time.Second {
			t.Errorf("woken after %s", d)
		}
		wantState(t, c, "a", Down)
		if states["a"] != Up {
			t.Error("a map that was handed out has changed")
		}
	})
}

func TestVoidCountsForNothing(t *testing.T) {
	f := newFakes()
	turn(t, Options{Probe: f.probe}, func(c *Checker) {
		c.Set([]Watch{web("a")})
		time.Sleep(2 * time.Second)
		f.set("/a", void("the director has no file descriptor left"))
		time.Sleep(5 * time.Second)
		wantState(t, c, "a", Up)
		if s := c.Snapshot()["a"]; s.Void < 4 || s.Bad != 0 || !s.Last.Void || s.LastFailure.Reason != "" {
			t.Errorf("%+v", s)
		}
	})
}

func TestCommandsAreBounded(t *testing.T) {
	f := newFakes()
	turn(t, Options{Probe: f.probe, Commands: 3}, func(c *Checker) {
		var set []Watch
		for i := range 12 {
			name := fmt.Sprintf("/bin/check%d", i)
			f.slow(name, 400*time.Millisecond)
			set = append(set, Watch{ID: ID(name), Spec: Spec{Type: External, Command: name, Interval: 10 * time.Second, Timeout: time.Second}})
		}
		c.Set(set)
		time.Sleep(9 * time.Second)
		if most, _ := f.peak(); most != 3 {
			t.Errorf("%d commands at once, want 3", most)
		}
		for _, w := range set {
			wantState(t, c, w.ID, Up)
		}
		// Those in line that nobody watches any more are not run.
		time.Sleep(6 * time.Second)
		c.Set(nil)
		time.Sleep(time.Minute)
		c.Set(set[:1])
		time.Sleep(time.Second)
		wantState(t, c, set[0].ID, Up)
	})
}

// TestSpecThatComesBackDoesNotRunTwice: a reload that drops a Spec and one that
// brings it back, while its check is under way.
func TestSpecThatComesBackDoesNotRunTwice(t *testing.T) {
	f := newFakes()
	f.slow("/a", 700*time.Millisecond)
	turn(t, Options{Probe: f.probe}, func(c *Checker) {
		for range 20 {
			c.Set([]Watch{web("a")})
			time.Sleep(130 * time.Millisecond)
			c.Set(nil)
			time.Sleep(130 * time.Millisecond)
		}
		if _, twice := f.peak(); twice {
			t.Error("one Spec ran twice at once")
		}
		if n := len(f.times("/a")); n < 5 {
			t.Errorf("%d checks", n)
		}
	})
}

func TestPing(t *testing.T) {
	turn(t, Options{}, func(c *Checker) {
		if err := c.Ping(context.Background()); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if New(Options{}).Ping(ctx) == nil {
		t.Error("a checker that doesn't run answered")
	}
}

func TestStopCutsChecksShort(t *testing.T) {
	f := newFakes()
	f.slow("/a", time.Hour)
	synctest.Test(t, func(t *testing.T) {
		c := New(Options{Probe: f.probe})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		c.Set([]Watch{web("a")})
		time.Sleep(time.Second)
		at := time.Now()
		cancel()
		<-done
		if d := time.Since(at); d > 0 {
			t.Errorf("stopped after %s", d)
		}
	})
}
