package core

import (
	"slices"
	"time"
)

// The waits of a hand-over.
const (
	takeLimit = 500 * time.Millisecond // until the successor says that it takes it …
	sickLimit = 150 * time.Millisecond // … where we can't serve meanwhile
	showLimit = 2 * time.Second        // until its addresses are up

	// linger is how long the old holder still serves after that: for what is on
	// its way, and for who missed the first of the successor's announcements.
	linger = 30 * time.Millisecond
)

// wish is a hand-over that somebody asked for.
type wish struct {
	to  string // "": the best
	why Reason
}

// handing is a hand-over under way. The addresses stay until the successor's
// are up: make before break.
type handing struct {
	to       *peer
	why      Reason
	target   State
	at       time.Duration
	retry    time.Duration
	seq      uint64 // the successor's newest message when it began
	taken    bool
	shownAt  time.Duration // when it said that its addresses are up; 0: not yet
	operator bool
	refused  []string
}

// handOver begins to hand over to that director, or to the best. Without a
// successor it drops where it must.
func (g *group) handOver(to string, why Reason, target State) bool {
	c := g.c
	p := g.bestOther()
	if to != "" {
		if p = c.peer(to); p != nil && !g.able(p) {
			p = nil
		}
	}
	if p == nil {
		if target != Faulty && why.Code != Stopping {
			c.note(g.name, Reason{Code: FailoverFailed, Text: "no director to hand over to: " + why.String()})
			return false
		}
		g.dropFor(target, why)
		return true
	}
	g.handed = max(g.handed, g.seen) + 1
	g.handing = &handing{
		to: p, why: why, target: target, at: c.now, seq: p.maxSeq, operator: why.Code == ByOperator,
	}
	g.to(Releasing, why)
	return true
}

// dropFor gives up what can't be handed over, with the best director free to
// claim at once.
func (g *group) dropFor(target State, why Reason) {
	c := g.c
	term := g.term
	if target == Faulty {
		g.damp.add(c.now)
	}
	g.holdTo = c.now + 2*c.cfg.Timers.Interval
	g.h = holder{name: c.cfg.Name, boot: c.cfg.Boot, term: term, gone: HolderGone, goneAt: c.now}
	g.to(target, why)
	c.send("", KindYield, g, term, nil)
}

// release is Releasing.
func (g *group) release() bool {
	c, h := g.c, g.handing
	if g.lose() {
		return true
	}
	if h.shownAt > 0 {
		if !c.after(h.shownAt + linger) {
			g.decide(Reason{Code: SuccessorHas, Node: h.to.name})
			return false
		}
		return g.to(h.target, Reason{Code: SuccessorHas, Node: h.to.name})
	}
	if p := g.live; p != nil {
		s := p.holds(g.id)
		switch {
		case s.Term <= g.term && p != h.to:
		case p != h.to:
			return g.to(h.target, Reason{Code: SuccessorHas, Node: p.name})
		case s.Flags&IsUp != 0:
			return g.shown()
		default:
			h.taken = true
		}
	}
	if h.taken && h.to.holds(g.id) == nil {
		return g.refused(h.to)
	}
	if g.yieldToUnseenExcept(h.to.name) {
		return true
	}
	limit := h.at + takeLimit
	switch {
	case h.taken:
		limit = h.at + showLimit
	case h.target == Faulty:
		limit = h.at + sickLimit
	}
	if c.after(limit) || !h.taken && !g.able(h.to) {
		return g.giveUp()
	}
	if c.after(h.retry) { // also when it was taken: the answer may be lost
		h.retry = c.now + c.cfg.Timers.Burst
		c.advert = true // voters must know
		c.send(h.to.name, KindHandover, g, g.handed, func(m *Message) { m.Node, m.Operator = h.to.name, h.operator })
	}
	c.after(h.retry)
	g.decide(Reason{Code: Awaiting, Node: h.to.name})
	return false
}

// shown is the successor's word that its addresses are up.
func (g *group) shown() bool {
	h := g.handing
	if h.target == Faulty { // we serve nobody any more
		return g.to(h.target, Reason{Code: SuccessorHas, Node: h.to.name})
	}
	h.shownAt = g.c.now
	g.c.after(h.shownAt + linger)
	return false
}

// yieldToUnseenExcept is yieldToUnseen for anybody but the successor.
func (g *group) yieldToUnseenExcept(name string) bool {
	if _, holder := g.seenByOthers(); holder == name {
		return false
	}
	return g.yieldToUnseen()
}

// giveUp ends a hand-over that the successor didn't finish. A successor that
// is dead itself is no reason to stop serving, but with a quorum somebody may
// have voted for it already.
func (g *group) giveUp() bool {
	c, h := g.c, g.handing
	must := h.target == Faulty || h.why.Code == Stopping
	mute := h.to.maxSeq == h.seq
	if mute && !must && c.cfg.Quorum != Majority {
		r := Reason{Code: SuccessorMute, Node: h.to.name}
		g.endOperation(false, r)
		return g.to(Active, r)
	}
	g.dropFor(h.target, Reason{Code: SuccessorMute, Node: h.to.name})
	return true
}

// refused is the successor's no.
func (g *group) refused(p *peer) bool {
	h := g.handing
	r := Reason{Code: SuccessorNo, Node: p.name}
	if h.target != Faulty && h.why.Code != Stopping {
		g.endOperation(false, r)
		return g.to(Active, r)
	}
	h.refused = append(h.refused, p.name)
	var next *peer
	for _, q := range g.c.peers {
		if g.able(q) && !slices.Contains(h.refused, q.name) {
			next = q
		}
	}
	if next == nil {
		g.dropFor(h.target, Reason{Code: NoSuccessor})
		return true
	}
	g.handed = max(g.handed, g.seen) + 1
	h.to, h.at, h.seq, h.retry, h.taken = next, g.c.now, next.maxSeq, 0, false
	return false
}

// message takes what is about one group.
func (g *group) message(p *peer, m *Message) {
	switch m.Kind {
	case KindHandover:
		g.take(p, m)
	case KindTook:
		if g.state == Releasing && m.Term > g.term && g.handing.to == p {
			g.handing.taken = true
			g.endOperation(true, Reason{Code: SuccessorHas, Node: p.name})
			g.seen, g.held = max(g.seen, m.Term), max(g.held, m.Term)
			g.vouched(p.name, m.Term, g.c.now)
			if g.handing.shownAt == 0 {
				g.shown()
			}
		}
	case KindRefuse:
		if g.state == Releasing && p == g.handing.to && m.Term == g.handed {
			g.refused(p)
		}
	case KindYield:
		if s := p.group(g.id); s == nil || s.Term <= m.Term {
			p.gives(g.id, m.Seq)
		}
	case KindRequest:
		g.requested(p, m)
	case KindVote:
		g.asked(p, m)
	case KindGrant:
		g.granted(p, m)
	case KindAbort:
		g.aborted(p, m)
	}
}

// take is the holder's word that the group is ours to take.
func (g *group) take(p *peer, m *Message) {
	c := g.c
	if m.Node != c.cfg.Name {
		return
	}
	if g.state.Holds() {
		if g.planned && g.from == p.name && g.up {
			c.send(p.name, KindTook, g, g.term, nil) // the first one was lost
		}
		return
	}
	g.look()
	_, bad := g.hard()
	key := refusal{p.name, m.Boot, m.Term}
	switch {
	case g.state == Voting && g.vote.planned:
		return
	case bad, c.stopping, g.state == Init, g.state == Faulty, g.no == key:
		g.no = key
		g.refuse()
		return
	case m.Term <= g.h.term, g.live != p, c.now < c.calmTo:
		return // old: from before somebody else had it, or before a stall of ours
	}
	g.no = key // from now on, unless it is taken at once
	term := max(m.Term, g.seen+1)
	r := Reason{Code: HandedOver, Node: p.name}
	g.phases = Phases{}
	g.permitAt = c.now
	if c.cfg.Quorum == Majority && c.directors() > 1 {
		g.from = p.name
		g.pin(m.Operator)
		g.beginVote(term, true, r)
		return
	}
	g.planned, g.from = true, p.name
	g.pin(m.Operator)
	g.claim(term, r)
}

// refusal is the hand-over that we were offered last. It is taken the first
// time or never: its holder counts on a no.
type refusal struct {
	node string
	boot uint64
	term uint32
}

func (g *group) refuse() { g.c.send(g.no.node, KindRefuse, g, g.no.term, nil) }

// preempt asks a worse holder for the group. It never takes it.
func (g *group) preempt() bool {
	c, p := g.c, g.live
	s := p.holds(g.id)
	own, other := g.standing(), p.standing(s)
	_, off, _ := g.effective()
	margin := 1
	if off > 0 {
		margin = c.cfg.Hysteresis
	}
	is := c.cfg.Preempt && s.State == Active && s.Flags&(Pinned|IsUp) == IsUp && own.priority >= other.priority+margin &&
		!own.damped && !own.noReach
	if !is {
		g.better.is = false
		return false
	}
	warm := c.warm || c.after(c.began+c.cfg.WarmCap)
	if !g.better.lasted(c, true, c.cfg.PreemptDelay) || !warm {
		g.decide(Reason{Code: PreemptWaits, Node: p.name})
		return true
	}
	if c.after(g.requestAt) {
		g.requestAt = c.now + time.Second
		c.send(p.name, KindRequest, g, s.Term, func(m *Message) { m.Node = c.cfg.Name })
	}
	c.after(g.requestAt)
	g.decide(Reason{Code: PreemptWaits, Node: p.name})
	return true
}

// requested is another director's wish that we hand over.
func (g *group) requested(p *peer, m *Message) {
	if g.state != Active || m.Term != g.term || !g.up {
		return
	}
	if m.Operator {
		g.wanted = &wish{to: m.Node, why: Reason{Code: ByOperator}}
		return
	}
	s := p.group(g.id)
	prio, _, _ := g.effective()
	if s == nil || m.Node != p.name || g.pinned || int(s.Priority) <= prio || s.Flags&Damped != 0 || !g.able(p) {
		return
	}
	g.wanted = &wish{to: p.name, why: Reason{Code: Preempted, Node: p.name}}
}
