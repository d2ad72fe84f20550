package core

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "replay the schedule of this seed and print what happens")
	simRuns  = flag.Int("sim.runs", 0, "how many random schedules; 0: 10,000, fewer with -short or the race detector")
	simFirst = flag.Uint64("sim.first", 1, "the first seed")
	simSlow  = flag.Duration("sim.slow", time.Hour, "print the schedules in which nobody held a group for longer")
	simTable = flag.Bool("sim.table", false, "print what the schedules came to by mode")
)

// planOf is the plan of a seed.
func planOf(seed uint64) plan {
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(of ...float64) float64 { return of[r.IntN(len(of))] }
	p := plan{n: int(pick(2, 2, 2, 3, 3, 3, 5)), timers: Standard, delay: ms(2), startHold: ms(1200)}
	switch {
	case p.n == 2:
		p.quorum = []Policy{Witness, Witness, None}[r.IntN(3)]
		if p.quorum == Witness {
			p.witnesses = r.IntN(3)
		}
	default:
		p.quorum = []Policy{Majority, Majority, None}[r.IntN(3)]
	}
	if r.IntN(3) == 0 {
		p.timers = Fast
	}
	p.preempt = r.IntN(3) == 0
	p.loss = pick(0, 0, 0, 0, 0, 0.02, 0.05, 0.1, 0.2, 0.3)
	if r.IntN(6) == 0 {
		p.delay = ms(12)
	}
	if r.IntN(10) == 0 {
		p.slow = ms(20)
	}
	p.tickFirst = r.IntN(2) == 0
	p.codec = r.IntN(16) == 0
	p.replay = r.IntN(8) == 0
	p.strict = r.IntN(20) == 0
	p.isolated = r.IntN(10) == 0
	for range 1 + r.IntN(4)/3 {
		prio := make([]int, p.n)
		for i := range prio {
			prio[i] = 100 + 10*r.IntN(3)
		}
		p.prio = append(p.prio, prio)
	}
	return p
}

func (p plan) String() string {
	s := fmt.Sprintf("%d directors, quorum %s", p.n, p.quorum)
	if p.quorum == Witness {
		s += fmt.Sprintf(" (%d)", p.witnesses)
	}
	if p.timers == Fast {
		s += ", fast"
	}
	if p.strict {
		s += ", strict fence"
	}
	s += fmt.Sprintf(", loss %.0f %%, delay %s, slow %s, preempt %v, priorities %v", p.loss*100, p.delay, p.slow, p.preempt, p.prio)
	return s
}

// mode is what the figures are gathered by.
func (p plan) mode() string {
	profile, loss := "standard", "no loss"
	if p.timers == Fast {
		profile = "fast"
	}
	if p.loss > 0 {
		loss = "2-30 % loss"
	}
	if p.slow > 0 || p.strict {
		loss += ", odd"
	}
	return fmt.Sprintf("%d %-8s %-8s %s", p.n, p.quorum, profile, loss)
}

func replay(seed uint64) (string, string) {
	w := newWorld(seed, planOf(seed))
	w.log = &strings.Builder{}
	failed := w.schedule()
	return failed, w.log.String()
}

// TestSchedules runs random histories of clusters and holds the invariants of
// the protocol against each event of them.
func TestSchedules(t *testing.T) {
	if *simSeed != 0 {
		failed, log := replay(*simSeed)
		t.Logf("%s\n%s", planOf(*simSeed), log)
		if failed != "" {
			t.Error(failed)
		}
		return
	}
	runs := *simRuns
	if runs == 0 {
		runs = 10_000
		if testing.Short() || raceEnabled {
			runs = 500
		}
	}
	start := time.Now()
	var (
		mu     sync.Mutex
		failed []uint64
		why    = make(map[uint64]string)
		modes  = make(map[string]worst)
		total  worst
		next   atomic.Uint64
		wg     sync.WaitGroup
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= uint64(runs) {
					return
				}
				seed := *simFirst + i
				w := newWorld(seed, planOf(seed))
				msg := w.schedule()
				mu.Lock()
				if msg != "" {
					failed, why[seed] = append(failed, seed), msg
				}
				if w.check.worst.unheld > *simSlow {
					t.Logf("seed %d (%s): unheld for %s", seed, w.plan, w.check.worst.unheld)
				}
				m := modes[w.plan.mode()]
				m.add(w.check.worst)
				modes[w.plan.mode()] = m
				total.add(w.check.worst)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	sort.Slice(failed, func(i, j int) bool { return failed[i] < failed[j] })
	for i, seed := range failed {
		if i == 10 {
			t.Errorf("and %d more", len(failed)-i)
			break
		}
		t.Errorf("seed %d (%s): %s\n\tgo test -run TestSchedules -sim.seed=%d -v ./cluster/core", seed, planOf(seed), why[seed], seed)
	}
	t.Logf("%d schedules, %.1f virtual hours, %d steps, %s; worst dual %s, worst unheld %s", total.runs, total.virtual.Hours(),
		total.steps, time.Since(start).Round(ms(100)), total.dual.Round(ms(1)), total.unheld.Round(ms(1)))
	if *simTable {
		var names []string
		for m := range modes {
			names = append(names, m)
		}
		sort.Strings(names)
		for _, name := range names {
			m := modes[name]
			t.Logf("%-44s %5d runs %6.2f h  dual max %5d ms (%.4f %%)  unheld max %5d ms  claims %d", name, m.runs, m.virtual.Hours(),
				m.dual.Milliseconds(), 100*m.dualTotal.Seconds()/m.virtual.Seconds(), m.unheld.Milliseconds(), m.claims)
		}
	}
}
