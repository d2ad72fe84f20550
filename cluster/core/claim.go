package core

import (
	"time"
)

// elect is Standby, Suspect and Candidate: these are but three answers to
// whether a claim is permitted.
func (g *group) elect() bool {
	c := g.c
	if r, bad := g.hard(); bad {
		if g.healthy {
			g.damp.add(c.now)
		}
		return g.to(Faulty, r)
	}
	g.healthy = true
	if c.stopping {
		return g.to(Standby, Reason{Code: Stopping})
	}
	want, why := g.assess()
	if g.state == Suspect && want == Suspect {
		g.askPace()
	}
	if want != g.state {
		if g.state == Suspect && want == Standby && why.Code == HolderActive {
			g.c.note(g.name, Reason{Code: RefutedBurst, Node: why.Node, Age: c.now - g.suspectAt + g.h.suspect})
			why.Code = Refuted
		}
		return g.to(want, why)
	}
	switch want {
	case Candidate:
		return g.stand(why)
	case Standby:
		if g.live != nil && g.preempt() {
			return false
		}
	}
	g.decide(why)
	return false
}

// assess answers whether a claim is permitted: Candidate, or what to do instead.
func (g *group) assess() (State, Reason) {
	c, h := g.c, &g.h
	if g.live != nil {
		return Standby, Reason{Code: HolderActive, Node: g.live.name}
	}
	if g.force {
		return Candidate, Reason{Code: ByOperator}
	}
	who, holder := g.seenByOthers()
	silent := h.name != "" && h.gone == ""
	age := c.now - h.heard
	switch {
	case silent && !c.after(h.heard+h.suspect):
		return Standby, Reason{Code: NotYetDead, Node: h.name}
	case who != nil && silent && holder == h.name:
		return Suspect, Reason{Code: PeerHears, Node: who.name}
	case who != nil:
		return Standby, Reason{Code: HolderActive, Node: holder}
	case silent && !c.after(h.heard+g.pace.factor(c.now)*h.dead):
		return Suspect, Reason{Code: HolderSilent, Node: h.name, Age: age}
	case g.adopt:
		return Candidate, Reason{Code: Adopted}
	}
	if p := g.adopter(); p != nil {
		return Standby, Reason{Code: Listening, Node: p.name}
	}
	if h.gone == "" {
		if why, ok := g.quiet(silent); !ok {
			return Suspect, why
		}
		if why, ok := g.witnessed(); !ok {
			return Suspect, why
		}
	}
	if !c.after(g.holdTo) {
		return g.waiting(silent), Reason{Code: Holding}
	}
	if n := c.living(); c.cfg.Quorum == Majority && n < c.majority() {
		return g.waiting(silent), Reason{Code: NoMajority, N: n, Of: c.directors()}
	}
	switch {
	case silent:
		return Candidate, Reason{Code: HolderDead, Node: h.name, Age: age}
	case h.gone != "" && h.name != c.cfg.Name:
		return Candidate, Reason{Code: h.gone, Node: h.name}
	}
	return Candidate, Reason{Code: NoHolder}
}

// waiting is the state in which an outer circumstance is waited for.
func (g *group) waiting(silent bool) State {
	if silent || g.state == Suspect || g.state == Candidate && g.wire.on {
		return Suspect
	}
	return Standby
}

// seenByOthers is a director that is heard and that hears somebody else hold
// the group, whom we don't hear: half a link is broken, or the holder is new.
func (g *group) seenByOthers() (who *peer, holder string) {
	for _, p := range g.c.peers {
		s := p.group(g.id)
		if s == nil || s.Holder == "" || s.Holder == g.c.cfg.Name || s.Holder == p.name || !g.c.alive(p) {
			continue
		}
		if !g.c.knowsBetter(p, s.Holder) {
			return p, s.Holder
		}
	}
	return nil, ""
}

// knowsBetter is whether what we heard of a director is as new as what p had
// heard of it when it told us.
func (c *Core) knowsBetter(p *peer, name string) bool {
	q := c.peer(name)
	if q == nil || q.adv == nil {
		return false
	}
	for _, h := range p.adv.Heard {
		if h.Node == name {
			return uint16(q.boot) == h.Boot && int16(uint16(q.advSeq)-h.Seq) >= 0 && c.alive(q)
		}
	}
	return true // it has left, p knows
}

// adopter is another director that has just started again and may find its
// addresses still there.
func (g *group) adopter() *peer {
	for _, p := range g.c.peers {
		s := p.group(g.id)
		if s == nil || !g.c.alive(p) {
			continue
		}
		// Right after its start it may not know yet what is left.
		if s.Flags&Adopting != 0 || s.State == Init && !g.c.after(p.since+g.c.cfg.Timers.Interval) {
			return p
		}
	}
	return nil
}

// quiet is whether the wire doesn't speak against a claim.
func (g *group) quiet(silent bool) (Reason, bool) {
	c, h := g.c, &g.h
	if silent && c.cfg.StrictFence && !c.after(h.heard+h.fence) {
		return Reason{Code: FenceWait, Node: h.name}, false
	}
	if len(g.wire.faces) == 0 {
		return Reason{}, true
	}
	if !silent && c.complete() {
		return Reason{}, true // everybody is heard and holds nothing
	}
	mac, at := g.wire.answer()
	if silent && h.fence > 0 && at > h.heard+h.fence && g.asking() && !c.after(at+h.suspect) {
		// Its process is alive: nobody else renews its addresses. A moment without
		// answers says as little of it as a moment without adverts.
		return Reason{Code: HeldRemote, Node: h.name}, false
	}
	if at > 0 && at >= g.suspectAt && g.asking() && !g.wire.quiet(g.expiring()) {
		if !silent {
			return Reason{Code: UnknownHolder, MAC: mac}, false
		}
		if h.fence == 0 && c.cfg.Force {
			return Reason{}, true
		}
		if h.fence > 0 && c.after(h.heard+h.fence) {
			return Reason{Code: HeldRemote, Node: h.name}, false
		}
		return Reason{Code: WireAnswers, Node: h.name, MAC: mac}, false
	}
	if !g.asking() || !g.wire.quiet(g.expiring()) {
		return Reason{Code: WireAsked}, false
	}
	return Reason{}, true
}

// expiring is whether the silent holder's addresses may go by themselves now: it
// renews them by a quarter of their lifetime. Before that only a death of the
// whole machine silences them. With a majority it has to give them up anyway.
func (g *group) expiring() bool {
	h := &g.h
	return g.c.cfg.Quorum == Majority || h.name == "" || h.gone != "" || h.fence == 0 ||
		g.c.after(h.heard+(h.fence-fenceMargin)*3/4)
}

// witnessed is whether a witness speaks for a claim, where that is needed: we
// aren't the one who was cut off.
func (g *group) witnessed() (Reason, bool) {
	c := g.c
	if !c.witnessing() || g.mute || c.living() >= c.directors() {
		return Reason{}, true
	}
	if g.asking() && c.reach.since(g.suspectAt) {
		return Reason{}, true
	}
	return Reason{Code: NoWitness, Of: c.cfg.Witnesses}, false
}

// asking is whether what is known from asking is of now.
func (g *group) asking() bool { return g.wire.on }

// beginAsking asks the wire (and, by askWitnesses, the witnesses).
func (g *group) beginAsking() {
	g.suspectAt = g.c.now
	g.phases.Suspected = g.c.now
	g.mute = g.c.noReach() && g.h.noReach && g.h.gone == ""
	g.wire.begin()
	g.pace.asking = 0
	g.askPace()
}

func (g *group) endAsking() {
	if g.wire.on {
		g.wire.on, g.pace.asking = false, 0
		g.c.do(Probe{Group: g.name})
	}
}

// askPace asks often until the addresses of a dead holder must be gone, and
// slowly after that.
func (g *group) askPace() time.Duration {
	c := g.c
	every, long := c.cfg.Timers.Burst, c.cfg.Timers.Alone
	if g.expiring() && g.wire.steady() {
		every /= 2 // the kernel of a dead process answers until its lifetime is over: not a moment is to be lost then
	}
	if g.h.gone == "" && g.h.name != "" {
		long = g.h.fence
	}
	if c.after(g.suspectAt + long + fenceMargin) {
		every = max(every, c.cfg.Timers.Interval/2)
	}
	if every != g.pace.asking {
		g.pace.asking = every
		c.do(Probe{Group: g.name, Every: every})
	}
	return every
}

// stand is Candidate: the best one goes first, each next one a step later.
func (g *group) stand(why Reason) bool {
	c := g.c
	if g.wire.on {
		g.askPace()
	}
	if n := g.rank(); n > 0 && !g.force && !g.adopt {
		step := max(c.cfg.Timers.Interval/2, ms(30))
		if g.h.name == "" {
			step *= 4 // all have just started, not quite at once
		}
		if !c.after(g.permitAt + time.Duration(n)*step) {
			g.decide(Reason{Code: RankWait, N: n})
			return false
		}
	}
	if c.cfg.Quorum == Majority && c.directors() > 1 {
		return g.askVotes(why)
	}
	g.claim(g.seen+1, why)
	return true
}

// rank is how many living directors go before us.
func (g *group) rank() int {
	n, own := 0, g.standing()
	for _, p := range g.c.peers {
		s := p.group(g.id)
		if s == nil || s.Flags&Eligible == 0 || p.adv.Flags&Leaving != 0 || s.State == Faulty || !g.c.alive(p) {
			continue
		}
		if s.State == Init && g.h.name != "" {
			continue // it listens for seconds; somebody must serve meanwhile
		}
		if p.standing(s).before(own) {
			n++
		}
	}
	return n
}

// standing is what candidates and holders are compared by.
type standing struct {
	fault, noReach, damped bool
	term                   uint32
	priority               int
	name                   string
}

func (p *peer) standing(s *GroupState) standing {
	return standing{
		s.Flags&Eligible == 0 && p.adv.Flags&Leaving == 0, p.adv.Flags&NoReach != 0, s.Flags&Damped != 0,
		s.Term, int(s.Priority), p.name,
	}
}

func (g *group) standing() standing {
	_, bad := g.hard()
	prio, _, _ := g.effective()
	return standing{bad, g.c.noReach(), g.damp.suppressed(g.c.now), g.term, prio, g.c.cfg.Name}
}

// before is the order of candidates.
func (a standing) before(b standing) bool {
	switch {
	case a.damped != b.damped:
		return b.damped
	case a.noReach != b.noReach:
		return b.noReach
	case a.priority != b.priority:
		return a.priority > b.priority
	}
	return a.name < b.name
}

// beats is which of two holders keeps the group: who can serve, then the higher
// term, the higher priority, the first name. Both sides compare the same values
// and so decide alike.
func beats(a, b standing) bool {
	switch {
	case a.fault != b.fault:
		return b.fault
	case a.noReach != b.noReach:
		return b.noReach
	case a.term != b.term:
		return a.term > b.term
	case a.priority != b.priority:
		return a.priority > b.priority
	}
	return a.name < b.name
}

// claim takes the group.
func (g *group) claim(term uint32, why Reason) {
	c := g.c
	if !g.planned {
		g.pace.claim(c, g)
	}
	g.phases.LastHeard, g.phases.Permitted, g.phases.Decided = g.h.heard, g.permitAt, c.now
	if g.h.gone != "" || g.planned {
		g.phases.Suspected = 0
	}
	g.seen, g.held, g.term = max(g.seen, term), max(g.held, term), term
	g.up, g.rival, g.force = false, "", false
	g.claimed, g.claimSeq = c.now, c.seq+1
	g.renewed, g.lifetime = c.now, c.lifetime()
	adopt := g.adopt
	g.adopt = false
	g.to(Active, why)
	c.do(Hold{Group: g.name, Lifetime: g.lifetime, Adopt: adopt})
}
