package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/director"
)

// realNow says how a real server stands and what happens next.
func (s *explainer) realNow(virtual, addr string) {
	if s.status == nil {
		return
	}
	if r := findReal(s.status, virtual, addr); r != nil {
		s.standing(r, virtual)
		s.next(r)
		return
	}
	s.say("At %s the running file has no %s in %s any more.", s.clock(s.now), addr, virtual)
}

// standing is how a real server is now.
func (s *explainer) standing(r *director.RealStatus, virtual string) {
	text := fmt.Sprintf("Now, at %s, %s of %s is %s", s.clock(s.now), r.Address, virtual, stateWords(r.State))
	if !r.Since.IsZero() {
		text += ", since " + s.when(r.Since)
	}
	switch {
	case s.status.Kernel.ReadError != "":
		text += "; the kernel can't be read: " + open(s.status.Kernel.ReadError)
	case !r.InKernel:
		text += ", and not in the kernel's table"
	case r.Weight == r.Configured || r.State == director.StateFallback || r.State == director.StateLeaving:
		text += fmt.Sprintf(", with weight %d and %s", r.Weight, count(int(r.Active), "active connection"))
	default:
		text += fmt.Sprintf(", with weight %d of the file's %d and %s", r.Weight, r.Configured, count(int(r.Active), "active connection"))
	}
	s.say("%s.", text)
	if c := r.Check.Last; c != nil {
		word := "failed"
		if c.OK {
			word = "succeeded"
		}
		s.say("Its last check, at %s, %s: %s.", s.when(c.At), word, open(c.Reason))
	}
}

func stateWords(state string) string {
	switch state {
	case director.StateUnknown:
		return "without a verdict yet"
	case director.StateUnchecked:
		return "not checked"
	case director.StateFallback:
		return "the fallback and serves"
	case director.StateLeaving:
		return "leaving: it isn't in the file any more"
	case director.StateMaintenance:
		return "in maintenance"
	}
	return state
}

// next is what will happen to a real server without anybody's doing, or what a
// person has to do.
func (s *explainer) next(r *director.RealStatus) {
	if r.Hold != nil {
		s.nextHeld(r)
	} else if r.WeightReason != "" {
		text := open(r.WeightReason)
		if r.WeightUntil != nil {
			text += "; that is over at " + s.when(*r.WeightUntil)
		}
		s.say("Its weight at %s is not the file's: %s.", s.clock(s.now), text)
	}
	c := &r.Check
	if c.Last == nil || c.Rise == 0 {
		return
	}
	every := time.Duration(c.Interval * float64(time.Second))
	switch {
	case r.Verdict == director.StateDown:
		s.needs(c, c.Rise-max(c.Streak, 0), "good", "back up", every)
	case r.Verdict == director.StateUp && c.Streak < 0:
		s.needs(c, c.Fall+c.Streak, "bad", "down", every)
	}
}

// needs says how many more checks alike it takes, and when that is at the soonest.
func (s *explainer) needs(c *director.CheckStatus, n int, kind, becomes string, every time.Duration) {
	n = max(n, 1)
	soonest := c.Last.At.Add(time.Duration(n) * every)
	if soonest.Before(s.now) {
		soonest = s.now
	}
	s.say("It needs %s, one every %s, to be %s: at %s at the soonest.", count(n, "more "+kind+" check"), every, becomes, s.when(soonest))
}

// nextHeld is what ends a person's hold.
func (s *explainer) nextHeld(r *director.RealStatus) {
	h := r.Hold
	text := "Held back since " + s.when(r.Since)
	if r.Since.IsZero() {
		text = "Held back at " + s.clock(s.now)
	}
	text += ": " + open(r.Reason)
	switch {
	case r.State == director.StateMaintenance:
		text += "; it comes back when the file " + h.File + " is removed"
	case r.State == director.StateDraining && h.Deadline != nil: // the reason says it
	case r.State == director.StateDraining:
		text += "; it is out once they have ended"
	default:
		text += fmt.Sprintf("; it stays out until `ipvsd enable %s`", r.Address)
	}
	s.say("%s.", text)
}

// virtualNow says who serves a virtual service, and who doesn't and why.
func (s *explainer) virtualNow(v *director.VirtualStatus) {
	var serving, all int
	var out []string
	for i := range v.Reals {
		r := &v.Reals[i]
		if r.Verdict == "" {
			continue // the fallback, or one that left the file
		}
		all++
		if r.Weight > 0 {
			serving++
		} else {
			out = append(out, fmt.Sprintf("%s is %s: %s", r.Address, stateWords(r.State), open(r.Reason)))
		}
	}
	text := fmt.Sprintf("Now, at %s, %d of %s of %s serve", s.clock(s.now), serving, count(all, "real server"), v.Name)
	if serving == 1 {
		text += "s"
	}
	switch {
	case v.Fallback:
		text += "; its fallback has the traffic"
	case serving == 0:
		text += "; clients are refused"
	}
	if v.FailOpen != "" {
		text += "; " + open(v.FailOpen)
	}
	const most = 10
	if more := len(out) - most; more > 0 {
		out = append(out[:most], fmt.Sprintf("and %d more", more))
	}
	s.quote(out, "%s.", text)
}

// clusterNow says who holds what, and which directors are missing.
func (s *explainer) clusterNow() {
	if s.status == nil || s.status.Cluster == nil {
		return
	}
	c := s.status.Cluster
	for _, g := range c.Groups {
		holder := "nobody holds"
		if g.Holder != "" {
			holder = g.Holder + " holds"
		}
		s.say("Now, at %s, %s group %s (%s), in term %d; %s is %s for it since %s: %s.", s.clock(s.now), holder, g.Name,
			strings.Join(g.Addresses, ", "), g.Term, c.Name, g.State, s.when(g.Since), open(g.Reason))
	}
	for _, m := range c.Members {
		if m.Self || m.State == "alive" && !m.Skew {
			continue
		}
		name := m.Name
		if name == "" {
			name = m.Address
		}
		text := fmt.Sprintf("Director %s is %s since %s", name, m.State, s.when(m.Since))
		if m.Since.IsZero() {
			text = fmt.Sprintf("Director %s is %s at %s", name, m.State, s.clock(s.now))
		}
		if m.Skew {
			text += ", and its file differs from this one"
		}
		if m.Error != "" {
			text += ": " + open(m.Error)
		}
		s.say("%s.", text)
	}
}
