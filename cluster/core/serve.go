package core

import "time"

// upLimit is how long the addresses may take to come up.
const upLimit = 5 * time.Second

// serve is Active.
func (g *group) serve() bool {
	c := g.c
	if g.yieldToRival() || g.lose() {
		return true
	}
	if r, bad := g.hard(); bad {
		return g.handOver("", r, Faulty)
	}
	if c.stopping {
		return g.handOver("", Reason{Code: Stopping}, Standby)
	}
	if w := g.wanted; w != nil {
		g.wanted = nil
		if g.handOver(w.to, w.why, Standby) {
			return true
		}
	}
	if g.improve() {
		return true
	}
	g.decide(Reason{Code: Serving})
	return false
}

// lose gives the group up where holding it isn't safe any more.
func (g *group) lose() bool {
	c := g.c
	if g.lapsed > 0 {
		// What the others sent while we slept comes first and is old: only
		// after a while it is known who holds the group now.
		g.loseTo(Standby, Reason{Code: LeaseLapsed, Age: g.lapsed}, c.cfg.Timers.Dead)
		return true
	}
	if g.brokenTo > c.now {
		g.loseTo(Faulty, g.broken, 0)
		return true
	}
	if !g.up && c.after(g.claimed+upLimit) {
		g.fail(Reason{Code: AddressFailed, Text: "not up after " + upLimit.String()})
		g.loseTo(Faulty, g.broken, 0)
		return true
	}
	if n, ok := g.leased(); !ok {
		g.loseTo(Standby, Reason{Code: QuorumLost, N: n, Of: c.directors()}, c.cfg.Timers.Interval)
		return true
	}
	if g.isolated() {
		g.loseTo(Standby, Reason{Code: Isolated}, c.cfg.Timers.Interval)
		return true
	}
	return false
}

// isolated is whether all other directors and all witnesses fell silent at
// once: then it is we who were cut off. It is known as soon as the others take
// us for dead. Witnesses that were silent before have no say.
func (g *group) isolated() bool {
	c := g.c
	if !c.cfg.DropIsolated || !c.witnessing() || c.directors() == 1 || c.alone() {
		return false
	}
	lonely := c.living() == 1
	if lonely && !g.lonely.is {
		g.mute = c.noReach()
	}
	t := c.cfg.Timers
	return g.lonely.lasted(c, lonely, t.Dead-t.Suspect) && !g.mute && !c.reach.since(g.lonely.at)
}

// loseTo drops what we held without a successor.
func (g *group) loseTo(s State, r Reason, hold time.Duration) {
	term := g.term
	g.damp.add(g.c.now)
	g.holdTo = g.c.now + hold
	g.h = holder{}
	g.to(s, r)
	g.c.send("", KindYield, g, term, nil)
}

// yieldToRival settles it when two hold the group: one drops at once, the other
// announces again.
func (g *group) yieldToRival() bool {
	c, p := g.c, g.live
	if p == nil {
		if g.rival != "" {
			// It has dropped: whoever heard both gets our address last.
			c.note(g.name, Reason{Code: Conflict, Node: g.rival})
			g.announce(AfterConflict)
			g.rival = ""
		}
		return g.yieldToUnseen()
	}
	s := p.holds(g.id)
	own, other := g.standing(), p.standing(s)
	if g.planned && p.name == g.from && s.Term < g.term && (s.State == Releasing || !c.after(g.claimed+c.cfg.Timers.Suspect)) {
		return false // it is handing over to us
	}
	if beats(own, other) {
		if s.State == Releasing {
			return false
		}
		if g.rival == p.name && c.cfg.Quorum != Majority && c.after(g.rivalAt+c.cfg.Timers.Interval) || own.term < other.term {
			// It doesn't hear us; others will tell it of a higher term.
			g.seen++
			g.term, g.held, g.rivalAt = g.seen, g.seen, c.now
			c.advert = true
		}
		if g.rival != p.name {
			g.rival, g.rivalAt = p.name, c.now
			c.sendState(KindPing, p.name)
			g.announce(AfterConflict)
			c.note(g.name, Reason{Code: Conflict, Node: p.name})
		}
		return false
	}
	r := Reason{Code: HigherTerm, Node: p.name}
	switch {
	case own.fault != other.fault, own.noReach != other.noReach:
		r.Code = OtherHealthy
	case own.term != other.term:
	case own.priority != other.priority:
		r = Reason{Code: HigherPrio, Node: p.name}
	default:
		r.Code = LowerName
	}
	return g.to(Standby, r)
}

// yieldToUnseen drops for a holder with a higher term that others hear and we don't.
func (g *group) yieldToUnseen() bool {
	who, holder := g.seenByOthers()
	if who == nil {
		return false
	}
	if s := who.group(g.id); s.HolderTerm < g.term || s.HolderTerm == g.term && !g.heardClaim(who) {
		return false // with the same term: they hear both, and all of them choose alike
	}
	return g.to(Standby, Reason{Code: SeenElsewhere, Node: holder})
}

// heardClaim is whether p has heard that we hold the group.
func (g *group) heardClaim(p *peer) bool {
	_, ok := g.c.confirmedAt(p, g.claimSeq)
	return ok
}

// pin notes whether it was an operator who put the group here, and with which
// faults: those don't move it away again, only new ones.
func (g *group) pin(operator bool) {
	_, off, _ := g.effective()
	g.pinned, g.pinnedOff, g.pinnedAt = operator, off, g.c.reach.best()
}

// improve hands over to a director that can serve better, without any hurry.
func (g *group) improve() bool {
	c := g.c
	best := g.bestOther()
	prio, off, worst := g.effective()
	known, witnesses := 0, c.cfg.Witnesses
	if g.pinned {
		// The operator knew of these.
		g.pinnedOff, g.pinnedAt = min(g.pinnedOff, off), max(g.pinnedAt, c.reach.best())
		known, witnesses = g.pinnedOff, g.pinnedAt
	}
	degraded := best != nil && off > known && int(best.group(g.id).Priority) >= prio+c.cfg.Hysteresis
	if g.worse.lasted(c, degraded, 5*time.Second) && g.up {
		return g.handOver(best.name, Reason{Code: Degraded, Node: best.name, Text: worst}, Standby)
	}
	fewer := best != nil && c.witnessing() && c.reach.known && c.reach.best() < witnesses &&
		int(best.adv.Reach) > c.reach.best() && int(best.adv.Witnesses) == c.cfg.Witnesses
	// Others may notice up to a round later that a witness is gone for all. One of
	// several may be missed for long by chance.
	wait := 2500 * time.Millisecond
	if c.reach.best() > 0 {
		wait *= 2
	}
	if g.fewer.lasted(c, fewer, wait) && g.up {
		return g.handOver(best.name, Reason{Code: FewerWitness, Node: best.name, N: c.reach.best(), Of: c.cfg.Witnesses}, Standby)
	}
	return false
}

// bestOther is the living director that would take over.
func (g *group) bestOther() *peer {
	var best *peer
	for _, p := range g.c.peers {
		if g.able(p) && (best == nil || p.standing(p.group(g.id)).before(best.standing(best.group(g.id)))) {
			best = p
		}
	}
	return best
}

// able is whether p could take the group now.
func (g *group) able(p *peer) bool { return g.unable(p) == "" }

// unable is why p couldn't take the group now; "": it could.
func (g *group) unable(p *peer) string {
	s := p.group(g.id)
	switch {
	case !g.c.alive(p):
		return p.name + " isn't heard"
	case s == nil:
		return p.name + " doesn't have it in its file"
	case p.adv.Flags&Leaving != 0:
		return p.name + " is stopping"
	case s.State == Faulty || s.State != Init && s.Flags&Eligible == 0:
		return p.name + " has a fault, which its status tells"
	case s.State == Init || s.Flags&Eligible == 0:
		return p.name + " has just started; try again in some seconds"
	}
	return ""
}

// renew extends the life of the addresses, all groups' in one batch.
func (g *group) renew() {
	c := g.c
	if !g.state.Holds() {
		return
	}
	due := c.renewNow || g.lifetime != c.lifetime() && !c.alone()
	if !due && !c.after(max(g.renewed+g.lifetime/4, min(c.renewAt, g.renewed+g.lifetime/2))) {
		return
	}
	for _, o := range c.groups {
		if o.state.Holds() && o.renewed < c.now {
			o.renewed, o.lifetime = c.now, c.lifetime()
			c.do(Hold{Group: o.name, Lifetime: o.lifetime, Renew: true})
		}
	}
	c.after(g.renewed + g.lifetime/4)
}

// announce tells the neighbours again, but not right after a stall: first it
// must be clear that nobody else has it.
func (g *group) announce(kind AnnounceKind) {
	if g.c.now >= g.c.calmTo {
		g.c.do(Announce{Group: g.name, Kind: kind})
	}
}

// claimed is another machine's word on the wire that our address is its own.
func (g *group) claimedBy(mac MAC) {
	c := g.c
	if !g.state.Holds() {
		return
	}
	for _, p := range c.peers {
		if p.adv == nil {
			continue
		}
		for _, m := range p.adv.MACs {
			if m == mac {
				c.sendState(KindPing, p.name) // terms decide
				return
			}
		}
	}
	g.announce(Defend)
	g.foreign(mac)
}

// actuated is how an order came out.
func (g *group) actuated(in Actuated) {
	c := g.c
	switch in.Result {
	case Leftover:
		g.adopt = g.state == Init
	case Up:
		if !g.state.Holds() || g.up {
			return
		}
		g.up, c.advert = true, true
		g.phases.AddressUp, g.phases.Announced = in.AddressUp, in.Announced
		if in.AddressUp == 0 {
			g.phases.AddressUp = c.now
		}
		if in.Announced == 0 {
			g.phases.Announced = c.now
		}
		if g.planned {
			c.send(g.from, KindTook, g, g.term, nil)
		}
		g.report(g.state, Reason{Code: AddressesUp})
	case Lost, Failed:
		if !g.state.Holds() {
			return
		}
		if in.Result == Failed {
			g.fail(Reason{Code: AddressFailed, Text: in.Text})
			g.loseTo(Faulty, g.broken, 0)
		} else {
			g.loseTo(Standby, Reason{Code: AddressLost}, c.cfg.Timers.Interval)
		}
	}
}

// fail rules us out for a while.
func (g *group) fail(r Reason) {
	g.broken, g.brokenTo = r, g.c.now+time.Second
}
