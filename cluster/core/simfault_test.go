package core

import (
	"fmt"
	"time"
)

// fault is something that happens to the world. It returns what ends it.
type fault struct {
	name   string
	weight int
	begin  func(w *world) (end func(), what string)
}

func (w *world) any() *node { return w.nodes[w.rng.IntN(len(w.nodes))] }

// holder is a node that holds the first group, or any.
func (w *world) holder() *node {
	g := w.rng.IntN(len(w.groups))
	for _, n := range w.nodes {
		if n.core != nil && n.core.groups[g].state.Holds() && w.rng.IntN(5) > 0 {
			return n
		}
	}
	return w.any()
}

// kill ends the process without a word. The kernel keeps the addresses.
func (n *node) kill() {
	n.core, n.frozen, n.inbox = nil, false, nil
	n.epoch++
}

// off is the loss of power.
func (n *node) off() {
	n.kill()
	n.vm, n.powered = false, false
	for g := range n.addrs {
		n.addrs[g] = addr{version: n.addrs[g].version + 1}
	}
}

// wake lets a frozen process or machine go on.
func (n *node) wake() {
	inbox := n.inbox
	n.inbox = nil
	if !n.w.plan.tickFirst {
		n.tickAt = max(n.tickAt, n.w.now)
	}
	if n.core != nil && n.w.plan.tickFirst {
		n.step(Tick{})
	}
	for _, fn := range inbox {
		fn()
	}
}

func (n *node) freeze() func() {
	if n.core == nil || n.frozen || n.vm {
		return func() {}
	}
	epoch := n.epoch
	n.frozen = true
	return func() {
		if n.epoch == epoch && n.frozen {
			n.frozen = false
			n.w.logf("%s: the process wakes", n.name)
			n.wake()
		}
	}
}

func (n *node) freezeVM() func() {
	if !n.powered || n.vm || n.frozen {
		return func() {}
	}
	n.froze, n.vm = n.w.now, true
	return func() {
		if n.vm {
			n.vm = false
			n.vmLost += n.w.now - n.froze
			n.woke = n.w.now
			n.w.logf("%s: the machine wakes", n.name)
			// What was armed for a time of its own clock is due that much later.
			if n.tickAt > 0 {
				n.tickAt = 0
			}
			n.wake()
			if n.core != nil {
				n.arm()
			}
		}
	}
}

// link cuts or heals everything between two nodes.
func (w *world) link(i, j int, cut bool) {
	w.cut[i][j], w.cut[j][i], w.cutARP[i][j], w.cutARP[j][i] = cut, cut, cut, cut
}

func (w *world) split(side func(i int) bool, gateway bool) {
	for i := range w.nodes {
		for j := range w.nodes {
			if i < j && side(i) != side(j) {
				w.link(i, j, true)
			}
		}
		if side(i) != gateway {
			w.gwDown[i] = true
		}
	}
}

func (w *world) heal() {
	for i := range w.nodes {
		for j := range w.nodes {
			w.cut[i][j], w.cutARP[i][j] = false, false
		}
		w.gwDown[i] = false
	}
}

var faults = []fault{
	{"power off", 3, func(w *world) (func(), string) {
		n := w.holder()
		n.off()
		return func() { n.powered = true; n.start() }, n.name
	}},
	{"kill", 3, func(w *world) (func(), string) {
		n := w.holder()
		n.kill()
		return n.start, n.name
	}},
	{"SIGSTOP", 3, func(w *world) (func(), string) {
		n := w.holder()
		return n.freeze(), n.name
	}},
	{"machine frozen", 2, func(w *world) (func(), string) {
		n := w.holder()
		return n.freezeVM(), n.name
	}},
	{"split", 3, func(w *world) (func(), string) {
		m := w.rng.IntN(1 << len(w.nodes))
		w.split(func(i int) bool { return m>>i&1 == 1 }, w.rng.IntN(2) == 1)
		return w.heal, fmt.Sprintf("%b", m)
	}},
	{"isolated", 2, func(w *world) (func(), string) {
		n := w.holder()
		w.split(func(i int) bool { return i == n.i }, false)
		return w.heal, n.name
	}},
	{"one-way cut", 2, func(w *world) (func(), string) {
		a, b := w.any(), w.any()
		w.cut[a.i][b.i] = true
		return w.heal, a.name + ">" + b.name
	}},
	{"mute", 1, func(w *world) (func(), string) {
		n := w.holder()
		for j := range w.nodes {
			w.cut[n.i][j] = true
		}
		return w.heal, n.name
	}},
	{"messages cut", 2, func(w *world) (func(), string) {
		a, b := w.holder(), w.any()
		w.cut[a.i][b.i], w.cut[b.i][a.i] = true, true
		return w.heal, a.name + "-" + b.name
	}},
	{"clean stop", 3, func(w *world) (func(), string) {
		n := w.holder()
		if n.core != nil && !n.frozen && !n.vm {
			n.step(Stop{})
		}
		return n.start, n.name
	}},
	{"failover", 3, func(w *world) (func(), string) {
		n, to := w.any(), w.any()
		if n.core == nil || n.frozen || n.vm {
			return func() {}, ""
		}
		f := Failover{ID: 1}
		if w.rng.IntN(2) == 0 {
			f.To = to.name
		}
		n.step(f)
		return func() {}, n.name + " to " + f.To
	}},
	{"no carrier", 2, func(w *world) (func(), string) {
		n := w.holder()
		return n.trouble(func(on bool) { n.fault = on }), n.name
	}},
	{"degraded", 2, func(w *world) (func(), string) {
		n := w.holder()
		return n.trouble(func(on bool) { n.weight = map[bool]int{true: 5 + 10*w.rng.IntN(5)}[on] }), n.name
	}},
	{"kernel refuses", 1, func(w *world) (func(), string) {
		n := w.holder()
		n.failing = true
		return func() { n.failing = false }, n.name
	}},
	{"gateway away", 2, func(w *world) (func(), string) {
		if w.rng.IntN(2) == 0 {
			n := w.any()
			w.gwDown[n.i] = true
			return func() { w.gwDown[n.i] = false }, n.name
		}
		for i := range w.gwDown {
			w.gwDown[i] = true
		}
		return func() { clear(w.gwDown) }, "for all"
	}},
	{"address removed", 1, func(w *world) (func(), string) {
		n, g := w.holder(), w.rng.IntN(len(w.groups))
		if n.addrs[g].present && n.core != nil && !n.frozen && !n.vm {
			n.addrs[g].present = false
			n.step(Actuated{Group: w.groups[g], Result: Lost})
		}
		return func() {}, n.name
	}},
}

func (n *node) trouble(set func(on bool)) func() {
	tell := func() {
		if n.core != nil && !n.frozen && !n.vm {
			n.health()
		} else if n.core != nil {
			epoch := n.epoch
			n.inbox = append(n.inbox, func() { n.inProcess(epoch, n.health) })
		}
	}
	set(true)
	tell()
	return func() { set(false); tell() }
}

func (w *world) strike() fault {
	total := 0
	for _, f := range faults {
		total += f.weight
	}
	k := w.rng.IntN(total)
	for _, f := range faults {
		if k -= f.weight; k < 0 {
			return f
		}
	}
	panic("no fault")
}

// The times of a schedule.
const (
	warmup = 5 * time.Second
	settle = 9 * time.Second
	quiet  = 3 * time.Second // before the end: nobody may change any more
)

// schedule runs one random history and returns what was violated.
func (w *world) schedule() string {
	for _, n := range w.nodes {
		w.at(w.between(0, ms(800)), n.start)
	}
	w.check.touch(w)
	w.at(w.plan.startHold+ms(2500), func() { w.check.calm = true })
	t := max(warmup, w.plan.startHold+ms(3000))
	last := t
	for range 1 + w.rng.IntN(3) {
		d := w.between(ms(20), 5*time.Second)
		if w.rng.IntN(4) == 0 {
			d = w.between(ms(20), ms(900))
		}
		w.at(t, func() {
			w.check.calm = false
			w.check.touch(w)
			f := w.strike()
			end, what := f.begin(w)
			w.logf("-- %s %s, for %s", f.name, what, d.Round(ms(1)))
			w.check.touch(w)
			w.after(d, func() {
				w.logf("-- %s %s ends", f.name, what)
				w.check.touch(w)
				end()
				w.check.touch(w)
			})
		})
		last = max(last, t+d)
		t += w.between(ms(50), ms(2500))
	}
	w.at(last+ms(1), func() {
		w.logf("-- all is well again")
		w.heal()
		for _, n := range w.nodes {
			n.powered = true
			n.start()
		}
		w.check.touch(w)
	})
	end := last + settle + w.plan.startHold
	w.at(end-quiet, func() { w.check.calm = true })
	w.run(end)
	w.check.end(w)
	return w.check.failed
}
