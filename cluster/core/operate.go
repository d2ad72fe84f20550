package core

import (
	"slices"
	"strings"
	"time"
)

// operation is an operator's failover of one group under way.
type operation struct {
	id      uint64
	to      string
	from    string // who held it
	until   time.Duration
	retry   time.Duration
	dropped time.Duration // when we dropped it before the successor had it; 0: not
}

// operationLimit is how long the operator waits.
const operationLimit = 5 * time.Second

// failover takes the operator's wish.
func (c *Core) failover(in Failover) {
	found := false
	for _, g := range c.groups {
		if in.Group == "" || in.Group == g.name {
			found = true
			g.operation = &operation{id: in.ID, to: in.To, until: c.now + operationLimit}
			g.beginOperation()
		}
	}
	if !found {
		c.do(Answer{ID: in.ID, Group: in.Group, Reason: Reason{Code: FailoverFailed, Text: "no such group"}})
	}
}

func (g *group) beginOperation() {
	c, o := g.c, g.operation
	g.look()
	o.from = g.holder()
	why := Reason{Code: ByOperator}
	fail := func(text string) { g.endOperation(false, Reason{Code: FailoverFailed, Text: text}) }
	switch {
	case c.stopping:
		fail("stopping")
	case o.from != "" && o.from == o.to:
		g.endOperation(true, Reason{Code: HolderKnown, Node: o.to})
	case g.state == Active:
		p := g.bestOther()
		if o.to != "" {
			p = c.peer(o.to)
		}
		switch {
		case p == nil && o.to != "":
			fail("no director " + o.to + " was heard")
		case p == nil:
			fail(g.nobodyElse())
		case !g.able(p):
			fail(g.unable(p))
		default:
			g.wanted = &wish{to: p.name, why: why}
		}
	case g.state == Releasing:
	case g.live != nil:
		if o.to == "" || o.to == c.cfg.Name {
			return
		}
		p := c.peer(o.to)
		if p == nil {
			fail("no director " + o.to + " was heard")
		} else if !g.able(p) {
			fail(g.unable(p))
		}
	case o.to == c.cfg.Name || o.to == "":
		if r, bad := g.hard(); bad {
			fail(r.String())
			return
		}
		g.force = true
	default:
		fail("nobody holds it; ask on " + o.to)
	}
}

// nobodyElse is why there is no successor.
func (g *group) nobodyElse() string {
	if len(g.c.peers) == 0 {
		return "no other director was heard"
	}
	var why []string
	for _, p := range g.c.peers {
		why = append(why, g.unable(p))
	}
	return strings.Join(why, "; ")
}

// operate moves an operator's failover on.
func (g *group) operate() {
	c, o := g.c, g.operation
	if o == nil {
		return
	}
	holder, up := g.holder(), g.up
	if g.live != nil && !g.state.Holds() {
		up = g.live.holds(g.id).Flags&IsUp != 0
	}
	switch {
	case holder != "" && holder != o.from && up && (o.to == "" || o.to == holder):
		g.endOperation(true, Reason{Code: HolderKnown, Node: holder})
	case c.after(o.until):
		g.force = false
		g.endOperation(false, Reason{Code: FailoverFailed, Text: "it took too long"})
	case g.live != nil && !g.state.Holds() && g.live.name == o.from && c.after(o.retry):
		o.retry = c.now + c.cfg.Timers.Interval
		to := o.to
		c.send(g.live.name, KindRequest, g, g.h.term, func(m *Message) { m.Node, m.Operator = to, true })
	}
}

// endOperation answers the operator.
func (g *group) endOperation(ok bool, r Reason) {
	o := g.operation
	if o == nil {
		return
	}
	g.operation = nil
	a := Answer{ID: o.id, Group: g.name, OK: ok, Reason: r}
	if o.dropped > 0 {
		a.Nobody = g.c.now - o.dropped
	}
	g.c.do(a)
}

// goodbyeTimes is how often a leaving director says so.
const goodbyeTimes = 3

// stop says goodbye once nothing is held any more.
func (c *Core) stop() {
	if !c.stopping || slices.ContainsFunc(c.groups, func(g *group) bool { return g.state.Holds() }) {
		return
	}
	if c.goodbyes > goodbyeTimes || !c.after(c.leaveAt) {
		return
	}
	if c.goodbyes == 0 {
		c.sendState(KindAdvert, "")
	}
	if c.goodbyes++; c.goodbyes > goodbyeTimes {
		c.do(Stopped{})
		return
	}
	c.do(Send{Message: c.message(KindLeave)})
	c.leaveAt = c.now + c.cfg.Timers.Burst
	c.after(c.leaveAt)
}
