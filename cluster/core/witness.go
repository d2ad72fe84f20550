package core

import "time"

// reach is how many witnesses answer. A loss counts after three checks, a gain
// at once.
type reach struct {
	known bool
	now   time.Duration
	at    [maxWitnesses + 1]time.Duration // when at least that many answered, plus 1
	last  time.Duration                   // the newest round in which one answered was begun then
	good  bool
}

const (
	reachMemory  = 3 * time.Second
	maxWitnesses = 16
)

func (r *reach) add(in Witnessed, now time.Duration) {
	n := min(max(in.Answered, 0), maxWitnesses)
	r.known, r.now = true, now
	for i := 1; i <= n; i++ {
		r.at[i] = now + 1
	}
	if n > 0 && (!r.good || in.Begun > r.last) {
		r.good, r.last = true, in.Begun
	}
}

// best is the most that answered lately.
func (r *reach) best() int {
	n := 0
	for n < maxWitnesses && r.at[n+1] > 0 && r.now < r.at[n+1]+reachMemory {
		n++
	}
	return n
}

// since is whether a witness answered a question put at or after t.
func (r *reach) since(t time.Duration) bool { return r.good && r.last >= t }

// witnessing is whether claims need a witness.
func (c *Core) witnessing() bool { return c.cfg.Quorum == Witness && c.cfg.Witnesses > 0 }

// noReach is whether we have been without any witness for some time.
func (c *Core) noReach() bool { return c.witnessing() && c.reach.known && c.reach.best() == 0 }

// askWitnesses asks them often while a claim may depend on it.
func (c *Core) askWitnesses() {
	if !c.witnessing() {
		return
	}
	every := time.Duration(0)
	for _, g := range c.groups {
		from := g.suspectAt
		if g.state.Holds() {
			from = g.lonely.at
		}
		if (g.state == Suspect || g.lonely.is) && !c.reach.since(from) {
			d := c.cfg.Timers.Burst
			if c.after(from + reachMemory) {
				d = c.cfg.Timers.Interval
			}
			if every == 0 || d < every {
				every = d
			}
		}
	}
	if every != c.asking {
		c.asking = every
		c.do(AskWitnesses{Every: every})
	}
}
