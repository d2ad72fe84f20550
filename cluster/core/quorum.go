package core

import (
	"slices"
	"time"
)

// vote is our own candidature.
type vote struct {
	term    uint32
	at      time.Duration // when it was asked for first; 0: not under way
	retry   time.Duration
	planned bool // the holder hands over
	why     Reason
	granted []string
	since   time.Duration // grants count from then for the lease
}

// grant is the vote that we gave, to ourselves or to another.
type grant struct {
	node string
	boot uint64
	term uint32
	at   time.Duration
	dead time.Duration // how long it binds
}

// bound is whether our vote is given to somebody else.
func (g *group) bound(node string) bool {
	return g.grant.node != "" && g.grant.node != node && !g.c.after(g.grant.at+g.grant.dead)
}

// askVotes begins a vote when ours is free.
func (g *group) askVotes(why Reason) bool {
	c := g.c
	if !c.after(c.began+c.cfg.StartHold) && !g.adopt {
		g.decide(Reason{Code: Listening})
		return false
	}
	if g.bound(c.cfg.Name) {
		g.decide(Reason{Code: GrantGiven, Node: g.grant.node})
		return false
	}
	if g.promised(c.cfg.Name) {
		g.decide(Reason{Code: GrantGiven, Node: g.h.name})
		return false
	}
	if !c.after(g.back) {
		g.decide(Reason{Code: BackOff})
		return false
	}
	g.beginVote(g.seen+1, false, why)
	return true
}

func (g *group) beginVote(term uint32, planned bool, why Reason) {
	c := g.c
	if planned && g.bound(c.cfg.Name) {
		g.refuse()
		return
	}
	v := vote{term: term, at: c.now, since: c.now, planned: planned, why: why, retry: c.now}
	g.grant = grant{c.cfg.Name, c.cfg.Boot, term, c.now, c.cfg.Timers.Dead}
	g.seen, g.voted = max(g.seen, term), term
	g.to(Voting, why)
	g.vote = v
}

// poll is Voting.
func (g *group) poll() bool {
	c, v := g.c, &g.vote
	if r, bad := g.hard(); bad || c.stopping {
		g.abort()
		if !bad {
			return g.to(Standby, Reason{Code: Stopping})
		}
		g.damp.add(c.now)
		return g.to(Faulty, r)
	}
	if !v.planned || g.live != nil && g.live.name != g.from {
		if want, why := g.assess(); want != Candidate {
			g.abort()
			return g.to(want, why)
		}
	}
	n := len(v.granted) + 1
	if n >= c.majority() {
		g.planned = v.planned
		why := v.why
		if !v.planned {
			g.phases.LastHeard = g.h.heard
		}
		voted := *v
		g.claim(v.term, why)
		g.vote = voted // its grants are the first lease
		return true
	}
	if c.after(v.at + c.cfg.Timers.Interval) {
		g.abort()
		r := Reason{Code: VoteFailed, N: n, Of: c.directors()}
		if v.planned {
			g.refuse()
			return g.to(Standby, r)
		}
		g.back = c.now + time.Duration(c.rng.Int64N(int64(4*c.cfg.Timers.Interval)))
		return g.to(Candidate, r)
	}
	if c.after(v.retry) {
		v.retry = c.now + max(c.cfg.Timers.Interval/4, c.cfg.Timers.Burst)
		planned := v.planned
		c.send("", KindVote, g, v.term, func(m *Message) { m.Planned = planned })
	}
	c.after(v.retry)
	g.decide(g.reason)
	return false
}

// abort frees the grants, our own too.
func (g *group) abort() {
	g.c.send("", KindAbort, g, g.vote.term, nil)
	g.grant = grant{}
}

// petition is a vote that we couldn't give at once.
type petition struct {
	from *peer
	vote *Message
	at   time.Duration
}

// asked is another director's wish for our vote. It may have come just before
// our promise to the last holder is over.
func (g *group) asked(p *peer, m *Message) {
	g.petition = petition{p, m, g.c.now}
	g.consider()
}

// consider gives our vote as soon as it may be given.
func (g *group) consider() {
	c := g.c
	p, m := g.petition.from, g.petition.vote
	if p == nil {
		return
	}
	if c.now > g.petition.at+c.cfg.Timers.Interval || m.Boot != p.boot {
		g.petition = petition{}
		return
	}
	again := g.grant == grant{m.From, m.Boot, m.Term, g.grant.at, g.grant.dead}
	switch {
	case !c.after(c.began + c.cfg.StartHold), p.adv == nil:
		return // an earlier process of ours may have promised something
	case m.Term <= max(g.voted, g.held) && !again:
		return
	case g.state == Active, g.state == Releasing && (g.handing.to != p || !m.Planned):
		return
	case g.bound(m.From):
		return
	}
	if !m.Planned {
		if g.promised(m.From) {
			return
		}
	} else if g.live != nil && g.live != p && g.live.holds(g.id).State != Releasing {
		return
	}
	g.grant = grant{m.From, m.Boot, m.Term, c.now, max(c.cfg.Timers.Dead, c.dead(p))}
	g.seen, g.voted = max(g.seen, m.Term), m.Term
	g.petition = petition{}
	c.send(p.name, KindGrant, g, m.Term, nil)
}

// promised is whether we heard a holder so lately that it counts on us.
func (g *group) promised(candidate string) bool {
	c := g.c
	for _, p := range c.peers {
		if p.holds(g.id) != nil && !c.after(p.heard+c.dead(p)) && p.name != candidate {
			return true
		}
	}
	return g.h.name != "" && g.h.gone == "" && g.h.name != candidate && !c.after(g.h.heard+g.h.dead)
}

func (g *group) granted(p *peer, m *Message) {
	v := &g.vote
	if g.state != Voting || m.Term != v.term || slices.Contains(v.granted, p.name) {
		return
	}
	v.granted = append(v.granted, p.name)
}

func (g *group) aborted(p *peer, m *Message) {
	if g.petition.from == p && g.petition.vote.Term == m.Term {
		g.petition = petition{}
	}
	if g.grant.node == p.name && g.grant.boot == m.Boot && g.grant.term == m.Term {
		g.grant = grant{}
	}
}

// leasedUntil is until when a majority can't have voted for somebody else: each
// counts from when what it confirmed was sent.
func (g *group) leasedUntil() (until time.Duration, confirmed int) {
	c := g.c
	span := c.cfg.Timers.Dead - c.cfg.Timers.Interval/2
	times := make([]time.Duration, 0, MaxPeers)
	confirmed = 1
	for _, p := range c.peers {
		at, ok := c.confirmedAt(p, g.claimSeq)
		voted := slices.Contains(g.vote.granted, p.name)
		if voted && (!ok || at < g.vote.since) {
			at, ok = g.vote.since, true
		}
		if ok && (!p.left || voted) {
			times = append(times, at)
			if c.now < at+span {
				confirmed++
			}
		}
	}
	need := c.majority() - 1
	if need == 0 {
		return never, confirmed
	}
	if len(times) < need {
		return 0, confirmed
	}
	slices.Sort(times)
	return times[len(times)-need] + span, confirmed
}

// leased is whether the majority still stands behind us.
func (g *group) leased() (confirmed int, ok bool) {
	if g.c.cfg.Quorum != Majority {
		return 0, true
	}
	until, n := g.leasedUntil()
	return n, until == never || !g.c.after(until)
}

// leaseShort is whether the lease has not been confirmed for as long as makes a
// holder suspect: then everybody is asked.
func (g *group) leaseShort() bool {
	c := g.c
	if c.cfg.Quorum != Majority || !g.state.Holds() {
		return false
	}
	until, _ := g.leasedUntil()
	return until != never && c.after(until-c.cfg.Timers.Dead+c.cfg.Timers.Suspect)
}
