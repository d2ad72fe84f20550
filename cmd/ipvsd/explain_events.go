package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/ipvsd/ipvsd/director/journal"
)

// A failover's story has what happened around it, from the silence on where
// there was one.
const (
	failoverBefore = 3 * time.Second
	failoverAfter  = 10 * time.Second
)

// moves says whether an entry is about addresses that moved between directors.
func moves(e journal.Entry) bool {
	return e.Kind == journal.Failover || e.Kind == journal.Role && e.Before != "" && e.Before != "starting"
}

// failover tells the last move of a group of addresses, with its phases.
func (s *explainer) failover() error {
	last := -1
	for i, e := range s.entries {
		if moves(e) {
			last = i
		}
	}
	if last < 0 {
		return s.noFailover()
	}
	at := s.entries[last].Time
	begin := began(s.entries[last]).Add(-failoverBefore)
	part := []journal.Kind{journal.Failover, journal.Role, journal.Member, journal.Address, journal.Sync, journal.Operator, journal.Daemon}
	list := s.choose(len(s.entries), func(e journal.Entry) bool {
		if !slices.Contains(part, e.Kind) || e.Kind == journal.Operator && e.Real != "" {
			return false
		}
		return s.since > 0 || e.Time.After(begin) && e.Time.Before(at.Add(failoverAfter))
	})
	slices.SortStableFunc(list, func(a, b journal.Entry) int { return began(a).Compare(began(b)) })
	for _, e := range list {
		switch {
		case e.Phases != nil:
			s.phases(e)
		case !slices.ContainsFunc(list, func(f journal.Entry) bool { return f.Phases != nil && decides(e, f) }):
			s.entry(e)
		}
	}
	s.clusterNow()
	return nil
}

// began is when what an entry tells began: a failover with the silence.
func began(e journal.Entry) time.Time {
	if e.Phases != nil && !e.Phases.LastHeard.IsZero() {
		return e.Phases.LastHeard
	}
	return e.Time
}

// decides says whether an entry is the decision of a failover, which tells that,
// too.
func decides(e, failover journal.Entry) bool {
	return e.Kind == journal.Role && e.Group == failover.Group && e.Cause == failover.Cause && e.After == "active"
}

func (s *explainer) noFailover() error {
	if s.status != nil && s.status.Cluster == nil {
		return fmt.Errorf("explain failover: this director is alone, its file has no [cluster]; its addresses: `ipvsd status`")
	}
	if len(s.entries) == 0 {
		return fmt.Errorf("explain failover: the journal is empty")
	}
	s.nothing("No address has moved")
	s.clusterNow()
	return nil
}

// phases tells how a group came to this director, phase by phase.
func (s *explainer) phases(e journal.Entry) {
	p := e.Phases
	after := func(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
	zero, since := e.Time, "the decision"
	if !p.LastHeard.IsZero() {
		zero, since = p.LastHeard, "that"
		from := p.From
		if from == "" {
			from = "The former holder"
		}
		s.say("%s, which held group %s, was last heard at %s, %s.", from, e.Group, s.exact(zero), s.relative(zero))
		if p.Suspected > 0 {
			s.say("It was suspected %s after that, at %s.", millis(after(p.Suspected)), s.exact(zero.Add(after(p.Suspected))))
		}
		s.say("This director decided to take over %s after that, at %s: %s.", millis(after(p.Decided)), s.exact(e.Time), open(e.Cause))
	} else {
		s.say("At %s this director took group %s: %s.", s.when(e.Time), e.Group, open(e.Cause))
	}
	s.say("The addresses were up %s after %s, at %s.", millis(after(p.AddressUp)), since, s.exact(zero.Add(after(p.AddressUp))))
	s.say("The first announcement to the neighbours went out %s after %s, at %s.", millis(after(p.Announced)), since, s.exact(zero.Add(after(p.Announced))))
}

// relative is how long ago a time is.
func (s *explainer) relative(t time.Time) string {
	if d := s.now.Sub(t); d >= time.Second {
		return span(d) + " ago"
	}
	return "just now"
}

// reload tells the last reload, and the last good one before it where that one
// was refused.
func (s *explainer) reload() error {
	list := s.choose(1, func(e journal.Entry) bool { return e.Kind == journal.Reload })
	if len(list) == 0 {
		s.nothing("The file has not been read again")
	}
	for _, e := range list {
		lines := slices.Clip(e.Details)
		if e.More > 0 && len(e.Steps) == 0 {
			lines = append(lines, fmt.Sprintf("and %d more", e.More))
		}
		switch {
		case e.After == journal.Refused:
			s.quote(lines, "At %s the file was read again (%s) and refused: %s.", s.when(e.Time), open(e.Cause), count(len(e.Details), "error"))
		case len(lines) == 0:
			s.say("At %s the file was read again (%s) and taken over; it means the same as before.", s.when(e.Time), open(e.Cause))
		default:
			s.quote(lines, "At %s the file was read again (%s) and taken over: %s.", s.when(e.Time), open(e.Cause), count(len(e.Details), "change"))
		}
		s.steps(e)
	}
	if s.status == nil {
		return nil
	}
	c := &s.status.Config
	text := fmt.Sprintf("Now, at %s, the file runs that was loaded at %s, with the hash %.12s", s.clock(s.now), s.when(c.Loaded), c.Hash)
	if c.Error != "" {
		text += "; the one on disk is wrong, and a restart would fail until it is mended"
	}
	s.say("%s.", text)
	if t := c.Trial; t != nil {
		s.say("It is on trial: unless it is confirmed by `ipvsd confirm`, the file before comes back at %s.", s.when(t.Deadline))
	}
	return nil
}
