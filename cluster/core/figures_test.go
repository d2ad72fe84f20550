package core

import (
	"fmt"
	"testing"
	"time"
)

// idle is a cluster without faults in which lb1 (or who was first) is active.
func idle(seed uint64, n int, q Policy, t Timers, loss float64) *world {
	p := plan{n: n, quorum: q, timers: t, delay: ms(1), loss: loss, startHold: 3 * time.Second}
	if q == Witness {
		p.witnesses = 1
	}
	p.prio = [][]int{make([]int, n)}
	for i := range n {
		p.prio[0][i] = 100 + 10*(n-i)
	}
	w := newWorld(seed, p)
	for _, n := range w.nodes {
		w.at(w.between(0, ms(200)), n.start)
	}
	w.run(7*time.Second + w.between(0, ms(500)))
	return w
}

func (w *world) active() *node {
	for _, n := range w.nodes {
		if n.live(0) {
			return n
		}
	}
	return nil
}

// gap is how long no kernel answers for the address within d.
func (w *world) gap(d time.Duration) time.Duration {
	gap := time.Duration(0)
	for end := w.now + d; w.now < end; {
		w.run(w.now + ms(1))
		answers := false
		for _, n := range w.nodes {
			n.expire(0)
			answers = answers || n.powered && n.addrs[0].present
		}
		if !answers {
			gap += ms(1)
		}
	}
	return gap
}

// TestFigures holds the figures that the protocol promises: how long nobody
// answers after each single fault, worst of many.
func TestFigures(t *testing.T) {
	seeds := 60
	if testing.Short() || raceEnabled {
		seeds = 8
	}
	for _, m := range []struct {
		n     int
		q     Policy
		t     Timers
		death time.Duration
	}{
		{2, None, Standard, ms(545)},
		{2, Witness, Standard, ms(545)},
		{3, Majority, Standard, ms(546)},
		{5, Majority, Standard, ms(546)},
		{2, Witness, Fast, ms(223)},
		{3, Majority, Fast, ms(227)},
	} {
		for _, f := range []struct {
			name  string
			begin func(n *node)
			limit time.Duration
		}{
			{"machine dead", (*node).off, m.death},
			{"process killed", (*node).kill, ms(50)},
			{"process frozen", func(n *node) { n.freeze() }, ms(50)},
			{"SIGTERM", func(n *node) { n.step(Stop{}) }, 0},
			{"failover", func(n *node) { n.step(Failover{ID: 1}) }, 0},
		} {
			worst := time.Duration(0)
			for s := range seeds {
				w := idle(uint64(s), m.n, m.q, m.t, 0)
				n := w.active()
				w.check.touch(w)
				f.begin(n)
				worst = max(worst, w.gap(5*time.Second))
				if now := w.active(); w.check.failed != "" || now == nil || now == n {
					t.Fatalf("%d %s, %s, seed %d: %s, %v", m.n, m.q, f.name, s, w.check.failed, now)
				}
			}
			t.Logf("%d directors, %-8s %3d ms: %-14s nobody's for at most %s", m.n, m.q, m.t.Dead.Milliseconds(), f.name, worst)
			if worst > f.limit {
				t.Errorf("%d directors, %s, %s: %s, more than %s", m.n, m.q, f.name, worst, f.limit)
			}
		}
	}
}

// TestLoss leaves clusters alone on a bad network: nobody may move.
func TestLoss(t *testing.T) {
	d := 2 * time.Hour
	if testing.Short() || raceEnabled {
		d = time.Minute
	}
	for _, n := range []int{2, 3} {
		for _, timers := range []Timers{Standard, Fast} {
			for _, loss := range []float64{0.1, 0.2, 0.3} {
				q := [...]Policy{Witness, Majority}[n-2]
				t.Run(fmt.Sprintf("%d %s %s %.0f%%", n, q, timers.Dead, loss*100), func(t *testing.T) {
					w := idle(9, n, q, timers, loss)
					before := w.check.worst.claims
					w.run(w.now + d)
					if got := w.check.worst.claims - before; got > 0 {
						t.Errorf("%d false failovers in %s", got, d)
					}
				})
			}
		}
	}
}
