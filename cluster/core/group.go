package core

import (
	"cmp"
	"time"
)

// group is the state machine of one group of addresses.
type group struct {
	c        *Core
	id       GroupID
	name     string
	priority int
	state    State
	since    time.Duration
	reason   Reason // of the state
	why      Reason // it doesn't act
	told     Reason // the why that was told last
	faults   []Fault
	faultAt  time.Duration // a fault was seen last
	broken   Reason        // what the addresses ran into
	brokenTo time.Duration
	healthy  bool // was without hard faults once

	seen uint32 // the highest term, of a claim or a vote
	held uint32 // the highest term with which somebody held it
	term uint32 // of our own last claim
	h    holder // the last one that was heard of
	live *peer  // the other director that holds it now

	// Standing by.
	wire      wire
	suspectAt time.Duration
	permitAt  time.Duration // since when a claim is permitted
	holdTo    time.Duration // no claim before
	mute      bool          // the witnesses had no answer before the holder fell silent either
	adopt     bool          // our earlier process left the addresses
	force     bool          // the operator wants the claim
	better    since         // better than the holder: wants to preempt
	requestAt time.Duration

	// Holding.
	up        bool
	planned   bool   // got it by a hand-over …
	from      string // … from
	pinned    bool   // an operator wanted it here,
	pinnedOff int    // … with that much taken off for faults
	pinnedAt  int    // … and that many witnesses
	claimed   time.Duration
	claimSeq  uint64
	renewed   time.Duration
	lifetime  time.Duration // of the last renewal
	lapsed    time.Duration // the stall that outlived the addresses
	rival     string        // holds it, too, and is to drop it
	rivalAt   time.Duration
	worse     since // others are better: hand over
	fewer     since
	lonely    since // no other director is heard
	wanted    *wish // to hand over
	handing   *handing
	operation *operation

	vote     vote
	grant    grant
	petition petition
	voted    uint32 // the highest term that we granted
	no       refusal
	handed   uint32        // the term of our last hand-over
	back     time.Duration // no vote before
	phases   Phases
	damp     damping
	pace     pace
}

// since is how long a condition is true without a break.
type since struct {
	at time.Duration
	is bool
}

// lasted is whether the condition has been true for d.
func (s *since) lasted(c *Core, is bool, d time.Duration) bool {
	if !is {
		s.is = false
		return false
	}
	if !s.is {
		s.is, s.at = true, c.now
	}
	return c.after(s.at + d)
}

func newGroup(c *Core, cfg Group) *group {
	g := &group{c: c, id: ID(cfg.Name), name: cfg.Name, state: Init}
	g.configure(cfg)
	return g
}

func (g *group) configure(cfg Group) {
	g.priority = cmp.Or(cfg.Priority, g.c.cfg.Priority)
	g.wire.configure(cfg.Interfaces)
}

// turn acts on what is known; it is true when the state changed.
func (g *group) turn() bool {
	g.look()
	g.operate()
	g.consider()
	switch g.state {
	case Init:
		return g.listen()
	case Standby, Suspect, Candidate:
		return g.elect()
	case Voting:
		return g.poll()
	case Active:
		return g.serve()
	case Releasing:
		return g.release()
	default:
		return g.recover()
	}
}

// listen is Init: know who is there before anything else.
func (g *group) listen() bool {
	c := g.c
	_, bad := g.hard()
	if g.live != nil {
		return g.to(Standby, Reason{Code: HolderKnown, Node: g.live.name})
	}
	if who, holder := g.seenByOthers(); who != nil {
		return g.to(Standby, Reason{Code: HolderKnown, Node: holder})
	}
	quorum := c.cfg.Quorum == Majority && c.directors() > 1
	g.healthy = g.healthy || !bad
	if !bad && !c.stopping {
		switch {
		case c.cfg.Directors == 1 && len(c.peers) == 0:
			return g.to(Candidate, Reason{Code: OnlyDirector})
		case g.adopt && c.after(c.began+g.adoptAfter(quorum)):
			return g.to(Candidate, Reason{Code: Adopted})
		case !quorum && !g.adopt && g.everyoneListened():
			return g.to(Candidate, Reason{Code: AllHeard})
		}
	}
	if !c.after(c.began + c.cfg.StartHold) {
		g.decide(Reason{Code: Listening})
		return false
	}
	if r, bad := g.hard(); bad {
		return g.to(Faulty, r)
	}
	return g.to(Standby, Reason{Code: StartHeld})
}

// adoptAfter is how long to listen before an earlier process's addresses are
// taken for ours. With a quorum the votes of that process must be over.
func (g *group) adoptAfter(quorum bool) time.Duration {
	d := 2 * g.c.cfg.Timers.Interval
	if quorum {
		d = max(d, g.c.cfg.Timers.Dead)
	}
	return d
}

// everyoneListened is whether all configured directors are there for two intervals.
func (g *group) everyoneListened() bool {
	c := g.c
	n := 1
	for _, p := range c.peers {
		if c.told(p) && c.after(p.since+2*c.cfg.Timers.Interval) {
			n++
		}
	}
	return n >= c.cfg.Directors
}

func (g *group) dropLeftovers() {
	if g.adopt {
		g.adopt = false
		g.c.do(Drop{g.name})
	}
}

// recover is Faulty: wait until it is over, and then some.
func (g *group) recover() bool {
	ready := g.healthy
	r, bad := g.hard()
	if bad {
		g.decide(r)
		return false
	}
	wait := g.c.cfg.RecoverDelay
	if !ready {
		wait = 0 // it wasn't ready yet, that's all
	}
	if !g.c.after(g.faultAt + wait) {
		return false
	}
	g.healthy = true
	return g.to(Standby, Reason{Code: Recovered, Age: g.c.now - g.faultAt})
}

// hard is what rules this director out for the group.
func (g *group) hard() (Reason, bool) {
	r, bad := Reason{}, false
	if g.brokenTo > 0 {
		if g.c.after(g.brokenTo) {
			g.brokenTo = 0
		} else {
			r, bad = g.broken, true
		}
	}
	for _, faults := range [...][]Fault{g.c.faults, g.faults} {
		for _, f := range faults {
			if f.Weight == 0 && !bad {
				r, bad = Reason{Code: HardFault, Text: cmp.Or(f.Text, f.Name)}, true
			}
		}
	}
	if bad {
		g.faultAt = g.c.now
	}
	return r, bad
}

// effective is the priority with soft faults taken off, and what was taken off.
func (g *group) effective() (priority, off int, worst string) {
	for _, faults := range [...][]Fault{g.c.faults, g.faults} {
		for _, f := range faults {
			off += max(f.Weight, 0)
			if f.Weight > 0 && worst == "" {
				worst = cmp.Or(f.Text, f.Name)
			}
		}
	}
	return max(g.priority-off, 1), off, worst
}

// to changes the state with all that goes with it.
func (g *group) to(s State, r Reason) bool {
	c := g.c
	from := g.state
	if from == s {
		return false
	}
	if from.Holds() && !s.Holds() {
		c.do(Drop{g.name})
		g.up, g.planned, g.pinned, g.rival, g.wanted = false, false, false, "", nil
		g.worse, g.fewer, g.lonely, g.lapsed = since{}, since{}, since{}, 0
		g.phases = Phases{}
		if g.operation != nil && g.operation.dropped == 0 && g.handing != nil && !g.handing.taken {
			g.operation.dropped = c.now
		}
	}
	if s != Releasing {
		g.handing = nil
	}
	g.state, g.since, g.reason = s, c.now, r
	switch s {
	case Suspect:
		if !g.wire.on {
			g.beginAsking()
		}
	case Candidate:
		if from != Voting {
			g.permitAt = c.now
		}
	case Voting, Releasing:
	default:
		g.endAsking()
	}
	if s == Standby || s == Faulty {
		g.dropLeftovers()
	}
	if s != Candidate && s != Voting {
		g.vote = vote{}
	}
	if s != Standby {
		g.better = since{}
	}
	c.advert = true
	g.report(from, r)
	return true
}

func (g *group) report(from State, r Reason) {
	g.why, g.told = r, r
	t := Transition{Group: g.name, From: from, To: g.state, At: g.c.now, Term: g.seen, Holder: g.holder(), Reason: r}
	if g.state.Holds() {
		t.Term, t.Phases = g.term, g.phases
	}
	g.c.do(t)
}

// holder is who holds the group now, as far as is known.
func (g *group) holder() string {
	switch {
	case g.state.Holds():
		return g.c.cfg.Name
	case g.live != nil:
		return g.live.name
	}
	return ""
}

// decide remembers why nothing is done, and tells it when it is new.
func (g *group) decide(r Reason) {
	g.why = r
	if g.told.same(r) {
		return
	}
	g.told = r
	if r.Code == Serving {
		return
	}
	alarm := false
	switch r.Code {
	case HeldRemote, UnknownHolder, NoWitness, NoMajority, PeerHears:
		alarm = true
	}
	g.c.do(Decision{Group: g.name, State: g.state, At: g.c.now, Reason: r, Alarm: alarm})
}

// stalled is a stall of our own.
func (g *group) stalled(gap time.Duration) {
	c := g.c
	if credit := min(gap, 3*g.h.dead-g.h.credit); credit > 0 {
		g.h.credit += credit
		g.h.heard = min(g.h.heard+credit, c.now)
	}
	g.wire.forget()
	if g.state.Holds() && c.now >= g.renewed+g.lifetime {
		g.lapsed = gap
	}
	if !g.state.Holds() {
		g.holdTo = max(g.holdTo, c.now+2*c.cfg.Timers.Interval)
	}
}

// wireState is the group in our advert.
func (g *group) wireState() GroupState {
	prio, _, _ := g.effective()
	s := GroupState{ID: g.id, State: g.state, Priority: uint16(min(prio, 65535)), Term: g.seen}
	_, bad := g.hard()
	set := func(is bool, f GroupFlags) {
		if is {
			s.Flags |= f
		}
	}
	set(!bad && !g.c.stopping, Eligible)
	set(g.damp.suppressed(g.c.now), Damped)
	set(g.up, IsUp)
	set(g.planned, Planned)
	set(g.pinned, Pinned)
	set(g.adopt, Adopting)
	if g.state.Holds() {
		s.Term, s.Holder, s.HolderTerm = g.term, g.c.cfg.Name, g.term
	} else if g.live != nil {
		s.Holder, s.HolderTerm = g.live.name, g.h.term
	} else if g.h.name != "" && g.h.gone == "" && g.c.now < g.h.heard+g.h.suspect {
		s.Holder, s.HolderTerm = g.h.name, g.h.term
	}
	return s
}

// suspected is the silent holder, as long as asking it may help.
func (g *group) suspected() *peer {
	if g.state != Suspect || g.h.name == "" || g.h.gone != "" || g.c.after(g.suspectAt+g.h.fence+fenceMargin) {
		return nil
	}
	if p := g.c.peer(g.h.name); p != nil && !p.left {
		return p
	}
	return nil
}

// heard takes the terms that p knows.
func (g *group) heard(s *GroupState) {
	g.seen = max(g.seen, s.Term, s.HolderTerm)
	if g.held = max(g.held, s.HolderTerm); s.State.Holds() {
		g.held = max(g.held, s.Term)
	}
}
