package core

import (
	"fmt"
	"time"
)

// check holds the invariants of the cluster against what happens.
type check struct {
	failed  string
	calm    bool          // no fault for long: nobody may change
	touched time.Duration // the last fault or its end
	dual    []span        // by group: two live holders that hear each other
	free    []span        // nobody holds it though somebody could
	claims  []int
	worst   worst
	comp    []int
	cutAt   [][]time.Duration // i and j last didn't hear each other
	arpAt   [][]time.Duration // i last couldn't resolve j
	idleAt  [][]time.Duration // by group and node: it last didn't hold it knowingly
	goneAt  [][]time.Duration // by group and node: its kernel last didn't answer for it
}

// span is how long something has been so.
type span struct {
	is bool
	at time.Duration
}

// worst is what the schedules of a mode came to.
type worst struct {
	dual, unheld, handover time.Duration
	dualTotal, unheldTotal time.Duration
	claims                 int
	virtual                time.Duration
	runs, steps            int
}

func (a *worst) add(b worst) {
	a.dual, a.unheld, a.handover = max(a.dual, b.dual), max(a.unheld, b.unheld), max(a.handover, b.handover)
	a.dualTotal += b.dualTotal
	a.unheldTotal += b.unheldTotal
	a.claims += b.claims
	a.virtual += b.virtual
	a.runs += b.runs
	a.steps += b.steps
}

func (k *check) init(w *world) {
	k.dual, k.free, k.claims = make([]span, len(w.plan.prio)), make([]span, len(w.plan.prio)), make([]int, len(w.plan.prio))
	k.comp = make([]int, w.plan.n)
	for range w.plan.n {
		k.cutAt, k.arpAt = append(k.cutAt, make([]time.Duration, w.plan.n)), append(k.arpAt, make([]time.Duration, w.plan.n))
	}
	for range w.plan.prio {
		k.idleAt, k.goneAt = append(k.idleAt, make([]time.Duration, w.plan.n)), append(k.goneAt, make([]time.Duration, w.plan.n))
	}
}

func (k *check) fail(w *world, format string, args ...any) {
	if k.failed == "" {
		k.failed = fmt.Sprintf("at %.3f s: ", w.now.Seconds()) + fmt.Sprintf(format, args...)
		w.logf("!! %s", k.failed)
	}
}

func (k *check) touch(w *world) {
	k.touched = w.now
	clear(k.claims)
}

// live is whether n holds the group knowingly: a process that runs, with the
// address on the wire.
func (n *node) live(g int) bool {
	return n.runs() && n.core.groups[g].state.Holds() && n.addrs[g].present
}

// components finds who hears whom, both ways, perhaps through others.
func (k *check) components(w *world) {
	for i := range k.comp {
		k.comp[i] = i
	}
	for changed := true; changed; {
		changed = false
		for i := range w.nodes {
			for j := range w.nodes {
				if k.comp[j] > k.comp[i] && w.hear(i, j) && w.nodes[i].runs() && w.nodes[j].runs() {
					k.comp[j] = k.comp[i]
					changed = true
				}
			}
		}
	}
}

// runs is whether n's process does.
func (n *node) runs() bool { return n.core != nil && !n.frozen && !n.vm }

func (w *world) hear(i, j int) bool { return !w.cut[i][j] && !w.cut[j][i] && !w.cutARP[i][j] }

// see looks at the world after each event.
func (k *check) see(w *world) {
	k.components(w)
	for i := range w.nodes {
		for j := range w.nodes {
			if !w.hear(i, j) {
				k.cutAt[i][j] = w.now
			}
			if w.cutARP[i][j] {
				k.arpAt[i][j] = w.now
			}
		}
	}
	for g := range w.groups {
		for _, n := range w.nodes {
			n.expire(g)
			if !n.live(g) {
				k.idleAt[g][n.i] = w.now
			}
			if !n.powered || n.vm || !n.addrs[g].present {
				k.goneAt[g][n.i] = w.now
			}
		}
		k.seeDual(w, g)
		k.seeFree(w, g)
		for _, n := range w.nodes {
			k.seeNode(w, n, g)
		}
	}
}

// bound is how long two live holders may hear each other: an interval and a
// round trip, more where messages get lost or the process waits for a CPU.
func (w *world) bound() time.Duration {
	b := w.plan.timers.Interval + 2*w.plan.delay + ms(5) + 3*w.plan.slow
	if w.plan.n > 2 {
		b += 2 * w.plan.timers.Interval
	}
	if w.plan.loss > 0 {
		b += 12 * w.plan.timers.Interval
	}
	return b
}

func (k *check) seeDual(w *world, g int) {
	is := false
	for i, a := range w.nodes {
		if !a.live(g) {
			continue
		}
		for _, b := range w.nodes[i+1:] {
			if !b.live(g) || a.core.groups[g].state == Releasing || b.core.groups[g].state == Releasing {
				continue
			}
			if w.plan.quorum == Majority && w.now > max(a.woke, b.woke)+w.plan.timers.Dead && !k.handing(a, b, g) {
				k.fail(w, "%s and %s both hold %s", a.name, b.name, w.groups[g])
			}
			is = is || k.comp[a.i] == k.comp[b.i]
		}
	}
	s := &k.dual[g]
	switch {
	case is && !s.is:
		s.at = w.now
	case is && w.now-s.at > w.bound():
		k.fail(w, "two hold %s for %s", w.groups[g], w.now-s.at)
	case !is && s.is:
		k.worst.dual = max(k.worst.dual, w.now-s.at)
		k.worst.dualTotal += w.now - s.at
	}
	s.is = is
}

// handing is whether one of them has just got the group from the other.
func (k *check) handing(a, b *node, g int) bool {
	ga, gb := a.core.groups[g], b.core.groups[g]
	return ga.planned && ga.from == b.name || gb.planned && gb.from == a.name
}

// ready is whether n could hold the group.
func (k *check) ready(w *world, n *node, g int) bool {
	if n.core == nil || n.frozen || n.vm || n.fault || n.failing || !n.table || n.core.stopping {
		return false
	}
	c := n.core.groups[g]
	if c.state == Init || c.state == Faulty || c.brokenTo > 0 {
		return false
	}
	size := 0
	for j, o := range w.nodes {
		if k.comp[j] == k.comp[n.i] && o.core != nil && !o.frozen && !o.vm && (j == n.i || w.hear(n.i, j)) {
			size++
		}
	}
	switch w.plan.quorum {
	case Majority:
		return size > w.plan.n/2
	case Witness:
		return w.plan.witnesses == 0 || !w.gwDown[n.i]
	}
	return true
}

// held is whether a machine that n's neighbours reach answers for the group.
func (k *check) held(w *world, n *node, g int) bool {
	for j, o := range w.nodes {
		if o.powered && !o.vm && o.addrs[g].present && !w.cutARP[n.i][j] {
			return true
		}
		// Another one whom somebody between us hears.
		if o.live(g) && k.comp[j] == k.comp[n.i] {
			return true
		}
		if o.core != nil && o.core.groups[g].adopt && w.hear(n.i, j) {
			return true
		}
		// A broken path between them: they stay as they are.
		if o.live(g) {
			for x := range w.nodes {
				if w.hear(n.i, x) && (w.hear(x, j) || !w.cut[j][x]) {
					return true
				}
			}
		}
	}
	return false
}

func (k *check) seeFree(w *world, g int) {
	is, factor := false, time.Duration(1)
	for _, n := range w.nodes {
		if k.ready(w, n, g) && !k.held(w, n, g) {
			is = true
			factor = max(factor, n.core.groups[g].pace.factor(n.kernelNow()-n.base))
		}
	}
	s := &k.free[g]
	if is && !s.is {
		s.at = w.now
	}
	if is {
		limit := 2*time.Second + (factor-1)*w.plan.timers.Dead + 5*w.plan.slow
		if w.plan.strict {
			limit += w.plan.timers.Alone + fenceMargin
		}
		if w.plan.loss > 0 {
			limit += 4 * time.Second
		}
		if since := max(s.at, k.touched); w.now-since > limit {
			k.fail(w, "nobody holds %s for %s", w.groups[g], w.now-since)
		}
	} else if s.is {
		k.worst.unheld = max(k.worst.unheld, w.now-s.at)
		k.worst.unheldTotal += w.now - s.at
	}
	s.is = is
}

func (k *check) seeNode(w *world, n *node, g int) {
	if n.core == nil || n.frozen || n.vm {
		return
	}
	c := n.core.groups[g]
	if n.addrs[g].present && !c.state.Holds() && c.state != 0 && (!c.adopt || c.state == Standby || c.state == Faulty) {
		k.fail(w, "%s has %s on the wire in state %s", n.name, w.groups[g], c.state)
	}
	if n.hard >= 0 && w.now-max(n.hard, k.touched) > ms(400)+2*w.plan.slow && c.state.Holds() {
		k.fail(w, "%s holds %s though it can't serve", n.name, w.groups[g])
	}
}

// acts looks at what one Step returned.
func (k *check) acts(n *node, acts []Action) {
	other := false
	for _, a := range acts {
		if _, drop := a.(Drop); !drop {
			other = true
		} else if other {
			k.fail(n.w, "%s: a drop comes after something else", n.name)
		}
	}
}

func (k *check) sent(n *node, m *Message) {
	w := n.w
	if m.Kind == KindGrant && n.kernelNow()-n.base < w.plan.startHold {
		k.fail(w, "%s grants a vote right after its start", n.name)
	}
	if m.Advert == nil {
		return
	}
	for i, s := range m.Advert.Groups {
		if s.Term < n.terms[i] && s.State.Holds() {
			k.fail(w, "%s: the term of %s goes back from %d to %d", n.name, w.groups[i], n.terms[i], s.Term)
		}
		if s.State.Holds() {
			n.terms[i] = s.Term
		}
	}
}

func (k *check) transition(n *node, t Transition) {
	w := n.w
	if t.To == Active && t.From != Active && t.From != Releasing {
		k.worst.claims++
		g := n.group(t.Group)
		k.needless(n, g, t)
		if k.claims[g]++; k.claims[g] > 4 && w.plan.loss == 0 && w.plan.slow == 0 && !w.plan.preempt {
			k.fail(w, "%s: %d claims of %s after one fault", n.name, k.claims[g], t.Group)
		}
	}
	preempted := t.Reason.Code == Preempted || w.plan.preempt && (t.From == Releasing || t.Reason.Code == HandedOver)
	if k.calm && !preempted && (t.To == Active) != (t.From == Active) && !(w.plan.quorum == Majority && w.plan.loss >= 0.2) {
		k.fail(w, "%s goes from %s to %s without a fault: %s", n.name, t.From, t.To, t.Reason)
	}
}

// needless is a claim on the group of a director that is well, or whose kernel
// still serves.
func (k *check) needless(n *node, g int, t Transition) {
	w := n.w
	if t.Reason.Code != HolderDead && t.Reason.Code != NoHolder {
		return
	}
	since := w.now - w.plan.timers.Dead - w.plan.timers.Interval
	for j, o := range w.nodes {
		if o == n || o.powered && !o.vm && w.now < o.woke+w.plan.timers.Dead {
			continue
		}
		if k.idleAt[g][j] < since && k.cutAt[n.i][j] < since && (w.plan.loss <= 0.2 || w.plan.n == 2) {
			k.fail(w, "%s takes %s from %s, which is well: %s", n.name, t.Group, o.name, t.Reason)
		}
		if w.plan.loss == 0 && k.goneAt[g][j] < since && k.arpAt[n.i][j] < since && !n.core.cfg.StrictFence {
			k.fail(w, "%s takes %s though the kernel of %s serves: %s", n.name, t.Group, o.name, t.Reason)
		}
	}
}

// end is what must be so when all was well for long.
func (k *check) end(w *world) {
	k.worst.virtual, k.worst.runs, k.worst.steps = w.now, 1, w.steps
	if k.failed != "" || w.plan.quorum == Majority && w.plan.loss >= 0.2 {
		return
	}
	for g, name := range w.groups {
		n := 0
		for _, o := range w.nodes {
			if o.addrs[g].present && o.powered {
				n++
			}
		}
		if n != 1 {
			k.fail(w, "%d hold %s at the end", n, name)
		}
	}
}
