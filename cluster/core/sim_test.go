package core

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// world is a simulated LAN of directors: processes, kernels, links, a gateway.
// It has its own event heap and its own seeded chance; the same seed gives the
// same run.
type world struct {
	seed   uint64
	rng    *rand.Rand
	now    time.Duration
	heap   []event
	order  uint64
	nodes  []*node
	groups []string
	plan   plan
	cut    [][]bool // messages from i to j are lost
	cutARP [][]bool // i and j can't resolve each other
	gwDown []bool   // node i can't reach the gateway
	log    *strings.Builder
	check  check
	steps  int
	busy   int // events of late
	thaw   func()
}

// plan is what a schedule is about.
type plan struct {
	n         int
	quorum    Policy
	witnesses int
	timers    Timers
	preempt   bool
	loss      float64
	delay     time.Duration // at most, one way
	codec     bool
	replay    bool
	startHold time.Duration
	prio      [][]int // by group and node
	tickFirst bool    // after a freeze the timer comes before the messages
	strict    bool
	isolated  bool          // DropIsolated
	slow      time.Duration // a step may wait that long for a CPU
}

type event struct {
	at    time.Duration
	order uint64
	fn    func()
}

func (w *world) after(d time.Duration, fn func()) { w.at(w.now+d, fn) }

func (w *world) at(t time.Duration, fn func()) {
	w.order++
	w.heap = append(w.heap, event{t, w.order, fn})
	i := len(w.heap) - 1
	for i > 0 {
		p := (i - 1) / 2
		if !w.heap[i].before(w.heap[p]) {
			break
		}
		w.heap[i], w.heap[p] = w.heap[p], w.heap[i]
		i = p
	}
}

func (e event) before(o event) bool { return e.at < o.at || e.at == o.at && e.order < o.order }

func (w *world) pop() event {
	e := w.heap[0]
	last := len(w.heap) - 1
	w.heap[0] = w.heap[last]
	w.heap[last].fn = nil
	w.heap = w.heap[:last]
	for i := 0; ; {
		c := 2*i + 1
		if c >= last {
			break
		}
		if c+1 < last && w.heap[c+1].before(w.heap[c]) {
			c++
		}
		if !w.heap[c].before(w.heap[i]) {
			break
		}
		w.heap[i], w.heap[c] = w.heap[c], w.heap[i]
		i = c
	}
	return e
}

// run runs until a time; it stops at the first violation.
func (w *world) run(until time.Duration) {
	for len(w.heap) > 0 && w.heap[0].at <= until && w.check.failed == "" {
		e := w.pop()
		if e.at/ms(100) != w.now/ms(100) {
			w.busy = 0
		} else if w.busy++; w.busy > 5_000 {
			w.check.fail(w, "5000 events in 100 ms")
		}
		w.now = e.at
		e.fn()
		w.check.see(w)
	}
	if w.check.failed == "" {
		w.now = until
	}
}

func (w *world) logf(format string, args ...any) {
	if w.log != nil {
		fmt.Fprintf(w.log, "%9.3f ", w.now.Seconds())
		fmt.Fprintf(w.log, format+"\n", args...)
	}
}

func (w *world) lost() bool { return w.plan.loss > 0 && w.rng.Float64() < w.plan.loss }

func (w *world) between(a, b time.Duration) time.Duration {
	if b <= a {
		return a
	}
	return a + time.Duration(w.rng.Int64N(int64(b-a)))
}

func newWorld(seed uint64, p plan) *world {
	w := &world{seed: seed, rng: rand.New(rand.NewPCG(seed, 77)), plan: p}
	for i := range p.prio {
		w.groups = append(w.groups, fmt.Sprintf("g%d", i+1))
	}
	for i := range p.n {
		w.nodes = append(w.nodes, &node{
			w: w, i: i, name: fmt.Sprintf("lb%d", i+1), mac: MAC{2, 0, 0, 0, 0, byte(i + 1)}, powered: true,
			addrs: make([]addr, len(p.prio)), probing: make([]time.Duration, len(p.prio)), turn: make([]int, len(p.prio)), hard: -1,
			terms: make([]uint32, len(p.prio)),
		})
		w.cut = append(w.cut, make([]bool, p.n))
		w.cutARP = append(w.cutARP, make([]bool, p.n))
	}
	w.gwDown = make([]bool, p.n)
	w.check.init(w)
	return w
}
