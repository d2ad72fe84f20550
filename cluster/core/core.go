package core

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// Core is the state of one director: all of its groups. Make it with New.
type Core struct {
	cfg    Config
	rng    *rand.Rand
	now    time.Duration
	began  time.Duration // the first Step
	next   time.Duration // the deadline
	macs   []MAC
	peers  []*peer  // by name
	groups []*group // as configured
	faults []Fault  // of the node

	seq      uint64
	sent     [sentRing]sentAt // when the last adverts were sent
	advertAt time.Duration    // of the next one
	advert   bool             // now
	pongs    []string
	burstAt  time.Duration // of the next pings
	renewAt  time.Duration // of all addresses, as one batch
	renewNow bool
	calmTo   time.Duration // no announcements after a stall until then
	twinAt   time.Duration // another of our name was noted then
	stallAt  time.Duration // of the last one; 0: none
	reach    reach
	warm     bool
	stopping bool
	goodbyes int
	leaveAt  time.Duration

	actions []Action
	asking  time.Duration // what AskWitnesses was told last
	began1  bool
}

const (
	never    = time.Duration(1<<63 - 1)
	sentRing = 128
)

// sentAt is when an advert was sent.
type sentAt struct {
	seq uint64
	at  time.Duration
}

// New makes a Core. The first Step starts it. The configuration must be valid.
func New(cfg Config) *Core {
	if err := cfg.Validate(); err != nil {
		panic("core: " + err.Error())
	}
	c := &Core{cfg: cfg.withDefaults(), next: 0}
	c.rng = rand.New(rand.NewPCG(c.cfg.Seed, c.cfg.Boot))
	c.setMACs(cfg.MACs)
	c.faults = slices.Clone(cfg.Faults)
	for _, gc := range c.cfg.Groups {
		g := newGroup(c, gc)
		g.adopt = slices.Contains(cfg.Leftovers, g.name)
		c.groups = append(c.groups, g)
	}
	return c
}

// NextDeadline is when Step wants a Tick, at the latest.
func (c *Core) NextDeadline() time.Duration { return c.next }

// Step takes one event and returns what is to be done, in this order.
func (c *Core) Step(now time.Duration, in Input) []Action {
	c.actions = nil
	now = max(now, c.now)
	if !c.began1 {
		c.began1, c.began, c.now = true, now, now
		c.start()
	} else {
		late := now - max(c.now, min(c.next, now))
		c.now = now
		if late > c.cfg.Timers.Interval {
			c.stalled(late)
		}
	}
	c.take(in)
	c.next = never
	c.settle()
	c.stop()
	c.ping()
	for _, name := range c.pongs {
		c.sendState(KindPong, name)
	}
	c.pongs = c.pongs[:0]
	c.advertise()
	for _, g := range c.groups {
		g.renew()
	}
	c.renewNow = false
	return c.ordered()
}

// after is whether t has come; if not, Step is wanted then.
func (c *Core) after(t time.Duration) bool {
	if c.now >= t {
		return true
	}
	c.next = min(c.next, t)
	return false
}

func (c *Core) do(a Action) { c.actions = append(c.actions, a) }

// ordered puts what takes addresses away first: nothing may hold it up. What
// was taken and lost again within one Step is not held.
func (c *Core) ordered() []Action {
	for i, a := range c.actions {
		if h, ok := a.(Hold); ok {
			c.withGroup(h.Group, func(g *group) {
				if !g.state.Holds() {
					c.actions[i] = Drop{h.Group}
				}
			})
		}
	}
	slices.SortStableFunc(c.actions, func(a, b Action) int { return cmp.Compare(urgency(a), urgency(b)) })
	return c.actions
}

func urgency(a Action) int {
	switch a.(type) {
	case Drop:
		return 0
	case Hold:
		return 1
	case Send:
		return 2
	}
	return 3
}

func (c *Core) start() {
	for _, g := range c.groups {
		g.report(0, Reason{Code: Started})
	}
	c.advert = true
}

// take writes the event down; what follows from it is decided by settle.
func (c *Core) take(in Input) {
	switch in := in.(type) {
	case Tick:
	case Received:
		c.receive(in.Message)
	case Asked:
		c.withGroup(in.Group, func(g *group) { g.wire.asked(in.Interface) })
	case Answered:
		c.withGroup(in.Group, func(g *group) { g.answered(in.Interface, in.MAC) })
	case Claimed:
		c.withGroup(in.Group, func(g *group) { g.claimedBy(in.MAC) })
	case Witnessed:
		if in.Answered > 0 && c.noReach() {
			for _, g := range c.groups {
				g.wire.forget()
			}
		}
		c.reach.add(in, c.now)
	case Health:
		if in.Group == "" {
			c.faults = slices.Clone(in.Faults)
		} else {
			c.withGroup(in.Group, func(g *group) { g.faults = slices.Clone(in.Faults) })
		}
	case Actuated:
		c.withGroup(in.Group, func(g *group) { g.actuated(in) })
	case Warmed:
		c.warm = true
	case Failover:
		c.failover(in)
	case Stop:
		c.stopping, c.advert = true, true
	case Stalled:
		c.stalled(in.For)
	case MACs:
		c.setMACs(in.MACs)
	case Reload:
		c.reload(in.Config)
	}
}

func (c *Core) setMACs(macs []MAC) { c.macs = slices.Clone(macs[:min(len(macs), maxMACs)]) }

func (c *Core) withGroup(name string, f func(*group)) {
	for _, g := range c.groups {
		if g.name == name {
			f(g)
		}
	}
}

// settle lets each group act on what is known until nothing changes.
func (c *Core) settle() {
	for _, g := range c.groups {
		for range maxTurns {
			if !g.turn() {
				break
			}
		}
	}
	c.askWitnesses()
}

const maxTurns = 12 // more than there are states

// stalled credits a stall of our own to everybody whom we couldn't hear
// meanwhile: our sleep isn't their death.
func (c *Core) stalled(gap time.Duration) {
	c.stallAt = c.now
	c.calmTo = c.now + 2*c.cfg.Timers.Interval
	for _, p := range c.peers {
		credit := min(gap, 3*c.dead(p)-p.credit)
		if credit > 0 {
			p.credit += credit
			p.heard = min(p.heard+credit, c.now)
		}
	}
	for _, g := range c.groups {
		g.stalled(gap)
	}
	c.note("", Reason{Code: Stall, Age: gap})
	// What was received meanwhile comes first: it may say that somebody else has it.
	c.renewAt = max(c.renewAt, c.now+c.cfg.Timers.Burst)
	c.burstAt = c.now
	c.advertAt = c.now
}

func (c *Core) note(group string, r Reason) {
	c.do(Note{Group: group, At: c.now, Reason: r})
}

// advertise sends our state when it is due or has changed.
func (c *Core) advertise() {
	if c.goodbyes > 0 {
		return
	}
	if c.advert || c.after(c.advertAt) {
		c.advert = false
		c.advertAt = c.now + c.cfg.Timers.Interval
		c.after(c.advertAt)
		c.sendState(KindAdvert, "")
	}
}

// ping asks holders that are silent, and everybody when our lease runs short.
func (c *Core) ping() {
	all := false
	var whom []*peer
	for _, g := range c.groups {
		all = all || g.leaseShort()
		if p := g.suspected(); p != nil && !slices.Contains(whom, p) {
			whom = append(whom, p)
		}
	}
	if !all && len(whom) == 0 || !c.after(c.burstAt) {
		return
	}
	c.burstAt = c.now + c.cfg.Timers.Burst
	c.after(c.burstAt)
	if all {
		c.sendState(KindPing, "")
		return
	}
	for _, p := range whom {
		c.sendState(KindPing, p.name)
	}
}

// sendState sends an advert. Only those that go to all are remembered with
// their time; the heard vectors of others confirm any of them.
func (c *Core) sendState(kind Kind, to string) {
	m := c.message(kind)
	m.Advert = c.state()
	c.sent[m.Seq%sentRing] = sentAt{m.Seq, c.now}
	c.do(Send{To: to, Message: m})
}

func (c *Core) message(kind Kind) *Message {
	c.seq++
	return &Message{Kind: kind, From: c.cfg.Name, Boot: c.cfg.Boot, Seq: c.seq}
}

// send sends a message about one group.
func (c *Core) send(to string, kind Kind, g *group, term uint32, edit func(*Message)) {
	m := c.message(kind)
	m.Group, m.Term = g.id, term
	if edit != nil {
		edit(m)
	}
	c.do(Send{To: to, Message: m})
}

// reload takes another configuration. Groups that stay keep their state.
func (c *Core) reload(cfg Config) {
	cfg.Name, cfg.Boot = c.cfg.Name, c.cfg.Boot
	if cfg.Validate() != nil {
		return // the runtime validates and tells; a wrong one changes nothing
	}
	old := c.groups
	c.cfg, c.groups = cfg.withDefaults(), nil
	for _, gc := range c.cfg.Groups {
		i := slices.IndexFunc(old, func(g *group) bool { return g.name == gc.Name })
		if i < 0 {
			g := newGroup(c, gc)
			g.report(0, Reason{Code: Started})
			c.groups = append(c.groups, g)
			continue
		}
		old[i].configure(gc)
		c.groups = append(c.groups, old[i])
		old = slices.Delete(old, i, i+1)
	}
	for _, g := range old {
		if g.state.Holds() {
			c.send("", KindYield, g, g.term, nil)
		}
		g.to(Standby, Reason{Code: GroupRemoved})
		c.do(Probe{Group: g.name})
	}
	c.advert = true
}
