package core

import "time"

// addr is the addresses of one group in one kernel.
type addr struct {
	present bool
	until   time.Duration // in the kernel's time
	version int           // of the orders about it
}

// node is a machine: a kernel, and perhaps a process.
type node struct {
	w           *world
	i           int
	name        string
	mac         MAC
	powered     bool
	core        *Core
	boot        uint64
	epoch       int // of the process: what belongs to an earlier one is dropped
	base        time.Duration
	vmLost      time.Duration // the machine's clocks stood still that long
	vm          bool          // the machine is frozen
	frozen      bool          // the process is
	froze       time.Duration
	woke        time.Duration // from a freeze that its clocks didn't see
	inbox       []func()
	tickAt      time.Duration // when the outstanding tick event fires; 0: none
	addrs       []addr
	probing     []time.Duration
	asking      time.Duration
	turn        []int // of the probing loops: only the newest one goes on
	witnessTurn int
	hard        time.Duration // since when it has a hard fault; -1: none
	fault       bool          // something hard
	weight      int           // something soft
	table       bool          // was programmed
	failing     bool          // the kernel refuses addresses
	stopped     bool
	terms       []uint32
}

func (n *node) config() Config {
	p := n.w.plan
	c := Config{
		Name: n.name, Boot: n.boot, Seed: n.w.seed, Directors: p.n, Timers: p.timers, Quorum: p.quorum,
		Witnesses: p.witnesses, Preempt: p.preempt, PreemptDelay: time.Second, RecoverDelay: time.Second, WarmCap: time.Second,
		StartHold: p.startHold, StrictFence: p.strict, DropIsolated: p.isolated,
	}
	for g, name := range n.w.groups {
		c.Groups = append(c.Groups, Group{Name: name, Priority: p.prio[g][n.i], Interfaces: []string{"eth0"}})
	}
	return c
}

// start starts the process.
func (n *node) start() {
	if !n.powered || n.core != nil {
		return
	}
	w := n.w
	n.epoch++
	n.boot = w.rng.Uint64() | 1
	n.base = n.kernelNow()
	cfg := n.config()
	early := w.rng.IntN(2) == 0 // what is so at the start, else by inputs
	if early {
		cfg.MACs, cfg.Faults = []MAC{n.mac}, []Fault{{Name: "table", Text: "the table is not programmed yet"}}
		for g := range n.addrs {
			if n.expire(g); n.addrs[g].present {
				cfg.Leftovers = append(cfg.Leftovers, w.groups[g])
			}
		}
	}
	n.core = New(cfg)
	n.table = false
	n.stopped, n.frozen, n.tickAt, n.asking = false, false, 0, 0
	n.inbox = nil
	clear(n.probing)
	clear(n.terms)
	w.logf("%s starts", n.name)
	n.health()
	n.step(MACs{[]MAC{n.mac}})
	for g := range n.addrs {
		n.expire(g)
		if n.addrs[g].present && !early {
			n.step(Actuated{Group: w.groups[g], Result: Leftover})
		}
	}
	n.later(w.between(ms(20), ms(300)), func() {
		n.table = true
		n.health()
	})
	n.witnessTurn++
	turn := n.witnessTurn
	n.later(ms(50), func() { n.witness(turn) })
}

// health tells what is wrong.
func (n *node) health() {
	var f []Fault
	if !n.table {
		f = append(f, Fault{Name: "table", Text: "the table is not programmed yet"})
	}
	if n.fault {
		f = append(f, Fault{Name: "interface", Text: "eth0 has no carrier"})
	}
	if n.weight > 0 {
		f = append(f, Fault{Name: "command", Text: "the command fails", Weight: n.weight})
	}
	n.hard = -1
	if n.fault {
		n.hard = n.w.now
	}
	n.step(Health{Faults: f})
}

// kernelNow is the machine's monotonic time.
func (n *node) kernelNow() time.Duration {
	if n.vm {
		return n.froze - n.vmLost
	}
	return n.w.now - n.vmLost
}

// later runs fn in the process: not in another one, and not before it wakes.
func (n *node) later(d time.Duration, fn func()) {
	epoch := n.epoch
	if d > 0 && n.w.plan.slow > 0 {
		d += n.w.between(0, n.w.plan.slow)
	}
	n.w.after(d, func() { n.inProcess(epoch, fn) })
}

func (n *node) inProcess(epoch int, fn func()) {
	switch {
	case n.epoch != epoch || n.core == nil:
	case n.frozen || n.vm:
		n.inbox = append(n.inbox, func() { n.inProcess(epoch, fn) })
	default:
		fn()
	}
}

// expire is the kernel's removal of addresses whose lifetime is over.
func (n *node) expire(g int) {
	if a := &n.addrs[g]; a.present && n.kernelNow() >= a.until {
		a.present = false
		n.w.logf("%s: the kernel removes %s", n.name, n.w.groups[g])
	}
}

func (n *node) step(in Input) {
	w := n.w
	w.steps++
	c := n.core
	now := n.kernelNow() - n.base
	acts := c.Step(now, in)
	w.check.acts(n, acts)
	for _, a := range acts {
		n.do(a)
	}
	if n.core == c {
		n.arm()
	}
}

// arm has one tick event outstanding, at or before the deadline.
func (n *node) arm() {
	at := max(n.core.NextDeadline()+n.base+n.vmLost, n.w.now)
	if n.tickAt > 0 && n.tickAt <= at {
		return
	}
	n.tickAt = at
	n.tick(at)
}

func (n *node) tick(at time.Duration) {
	epoch := n.epoch
	if n.w.plan.slow > 0 {
		at += n.w.between(0, n.w.plan.slow)
	}
	n.w.at(at, func() {
		n.inProcess(epoch, func() {
			if n.tickAt > n.w.now {
				return // an earlier one was armed and this is left over
			}
			n.tickAt = 0
			if n.core.NextDeadline() <= n.kernelNow()-n.base {
				n.step(Tick{})
			} else {
				n.arm()
			}
		})
	})
}

func (n *node) group(name string) int {
	for g, s := range n.w.groups {
		if s == name {
			return g
		}
	}
	panic("no group " + name)
}

// do carries an action out.
func (n *node) do(a Action) {
	w := n.w
	switch a := a.(type) {
	case Drop:
		g := n.group(a.Group)
		n.addrs[g].version++
		if n.addrs[g].present {
			w.logf("%s drops %s", n.name, a.Group)
		}
		n.addrs[g].present = false
	case Hold:
		n.hold(n.group(a.Group), a)
	case Send:
		n.send(a)
	case Probe:
		g := n.group(a.Group)
		n.probing[g] = a.Every
		n.turn[g]++
		if a.Every > 0 {
			turn := n.turn[g]
			n.later(ms(1)/5, func() { n.probe(g, turn) })
		}
	case AskWitnesses:
		n.asking = a.Every
		n.witnessTurn++
		turn := n.witnessTurn
		n.later(ms(1)/5, func() { n.witness(turn) })
	case Transition:
		w.logf("%s %s: %s -> %s (term %d): %s", n.name, a.Group, a.From, a.To, a.Term, a.Reason)
		w.check.transition(n, a)
	case Decision:
		w.logf("%s %s: stays %s: %s", n.name, a.Group, a.State, a.Reason)
	case Note:
		w.logf("%s %s: note: %s%s", n.name, a.Group, a.Reason, map[bool]string{true: " (over)"}[a.Over])
	case Answer:
		w.logf("%s %s: answer %v: %s, nobody's for %s", n.name, a.Group, a.OK, a.Reason, a.Nobody)
	case Stopped:
		w.logf("%s stopped", n.name)
		n.core = nil
		n.stopped = true
	}
}

func (n *node) hold(g int, h Hold) {
	a := &n.addrs[g]
	n.expire(g)
	lease := func() {
		if n.failing {
			n.step(Actuated{Group: h.Group, Result: Failed, Text: "no buffer space"})
			return
		}
		slip := n.w.between(0, ms(350))
		if n.w.rng.IntN(8) == 0 {
			slip = n.w.between(0, ms(1500))
		}
		a.until = n.kernelNow() + h.Lifetime + slip
	}
	if h.Renew {
		switch {
		case a.present:
			lease()
		case a.version < 0:
		default:
			if n.core.groups[g].up {
				n.step(Actuated{Group: h.Group, Result: Lost})
			}
		}
		return
	}
	a.version++
	version := a.version
	n.later(n.w.between(ms(1)/3, ms(4)), func() {
		if a.version != version {
			return
		}
		if n.failing {
			n.step(Actuated{Group: h.Group, Result: Failed, Text: "no buffer space"})
			return
		}
		a.present = true
		lease()
		n.w.logf("%s holds %s", n.name, h.Group)
		n.step(Actuated{Group: h.Group, Result: Up})
	})
}

func (n *node) send(s Send) {
	w := n.w
	w.check.sent(n, s.Message)
	m := s.Message
	if w.plan.codec {
		b, err := m.Encode()
		if err != nil {
			panic(err)
		}
		if m, err = Decode(b); err != nil {
			panic(err)
		}
	}
	for _, to := range w.nodes {
		if to == n || s.To != "" && s.To != to.name {
			continue
		}
		if w.cut[n.i][to.i] || w.lost() {
			continue
		}
		w.deliver(m, to, w.between(w.plan.delay/10, w.plan.delay))
		if w.plan.replay && w.rng.IntN(50) == 0 {
			w.deliver(m, to, w.between(0, 20*time.Second))
		}
	}
}

func (w *world) deliver(m *Message, to *node, d time.Duration) {
	epoch := to.epoch
	w.after(d, func() {
		if !to.powered {
			return
		}
		to.inProcess(max(epoch, to.epoch), func() { to.step(Received{m}) })
	})
}

// probe asks for the addresses of a group by ARP.
func (n *node) probe(g, turn int) {
	w := n.w
	if n.probing[g] == 0 || n.turn[g] != turn {
		return
	}
	name := w.groups[g]
	n.step(Asked{name, "eth0"})
	for _, to := range w.nodes {
		if to == n || !to.powered || to.vm || w.cutARP[n.i][to.i] {
			continue
		}
		to.expire(g)
		if to.addrs[g].present && !w.lost() && !w.lost() {
			mac := to.mac
			n.later(ms(1)/2, func() { n.step(Answered{name, "eth0", mac}) })
		}
	}
	if n.core != nil && n.probing[g] > 0 {
		n.later(n.probing[g], func() { n.probe(g, turn) })
	}
}

// witness asks the gateway.
func (n *node) witness(turn int) {
	w := n.w
	if w.plan.witnesses == 0 || n.core == nil || turn != n.witnessTurn {
		return
	}
	begun, got := n.kernelNow()-n.base, 0
	for range w.plan.witnesses {
		for range 3 { // each is asked up to three times
			if !w.gwDown[n.i] && !w.lost() && !w.lost() {
				got++
				break
			}
		}
	}
	n.later(ms(1), func() { n.step(Witnessed{begun, got}) })
	every := n.asking
	if every == 0 {
		every = time.Second
	}
	n.later(every, func() { n.witness(turn) })
}
