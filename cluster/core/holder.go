package core

import "time"

// holder is what is known of the last director that held the group.
type holder struct {
	name    string
	boot    uint64
	term    uint32
	macs    []MAC
	heard   time.Duration // as holding it; stalls of ours credited
	credit  time.Duration
	dead    time.Duration
	suspect time.Duration
	fence   time.Duration
	noReach bool
	gone    Code // it said itself that it doesn't hold it any more …
	goneAt  time.Duration
}

// look finds out who holds the group.
func (g *group) look() {
	c := g.c
	g.live = nil
	for _, p := range c.peers {
		s := p.holds(g.id)
		if s == nil || !c.alive(p) {
			continue
		}
		if g.live == nil || beats(p.standing(s), g.live.standing(g.live.holds(g.id))) {
			g.live = p
		}
	}
	if p := g.live; p != nil {
		s := p.holds(g.id)
		if g.h.name != "" && (g.h.name != p.name || g.h.term != s.Term) && s.Flags&Planned == 0 {
			g.pace.claim(c, g)
		}
		g.h = holder{
			name: p.name, boot: p.boot, term: s.Term, macs: p.adv.MACs, heard: p.heard, credit: p.credit,
			dead: c.dead(p), suspect: c.suspect(p), fence: ms(int(p.adv.Fence)), noReach: p.adv.Flags&NoReach != 0,
		}
		return
	}
	if g.h.gone != "" && c.after(g.h.goneAt+c.cfg.Timers.Suspect) {
		g.h = holder{} // somebody else may have taken it since, unheard
	}
	g.lookAround()
	p := c.peer(g.h.name)
	if p == nil || g.h.gone != "" || p.boot != g.h.boot {
		return
	}
	switch {
	case p.left:
		g.h.gone, g.h.goneAt = HolderLeft, c.now
	case p.holds(g.id) != nil:
		g.h.heard = p.heard
	default:
		g.h.gone, g.h.goneAt = HolderGone, c.now
	}
}

// lookAround remembers a holder that only others hear: should they leave, it
// may still be there.
func (g *group) lookAround() {
	who, name := g.seenByOthers()
	if who == nil || g.state.Holds() || g.h.name == name && g.h.gone == "" {
		return
	}
	g.vouched(name, who.group(g.id).HolderTerm, who.advAt)
}

// vouched takes it from another, or from a message that is no advert, that
// there is a holder.
func (g *group) vouched(name string, term uint32, at time.Duration) {
	c := g.c
	t := c.cfg.Timers
	h := holder{name: name, term: term, heard: at, dead: t.Dead, suspect: t.Suspect, fence: t.Lifetime + fenceMargin}
	if p := c.peer(name); p != nil && p.adv != nil {
		h.boot, h.macs, h.dead, h.suspect, h.fence = p.boot, p.adv.MACs, c.dead(p), c.suspect(p), ms(int(p.adv.Fence))
		if p.holds(g.id) == nil {
			h.boot = 0 // what it told us itself is older than this
		}
	}
	g.h = h
}
