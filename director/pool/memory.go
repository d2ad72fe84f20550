package pool

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/ipvsd/ipvsd/checker"
)

// Memory is what was seen of one virtual service's servers. It is a value: Look
// returns another one and never changes what it was given. The zero Memory has
// seen nothing.
type Memory struct {
	records map[netip.AddrPort]record
	open    episode
}

// record is what was seen of one server.
type record struct {
	good    bool          // it served when last looked at
	state   checker.State // then
	first   bool          // it was there at the first look and has had no verdict since
	rising  time.Time     // when its slow start began; zero: none
	failed  time.Time     // when it fell last; zero once it is good
	changed time.Time     // when it came up or fell last
	falls   []time.Time   // within Damping.Within; never changed, but replaced
	damped  bool
	kept    bool // it failed in the present episode
	refused bool // since then
}

// episode is the time while fail-open holds.
type episode struct {
	since, until time.Time // since is zero: there is none
	failing, of  int
}

// Event is something that people should hear of.
type Event struct {
	Real  netip.AddrPort // zero: it is about the virtual service
	Alarm bool
	Text  string // what has happened
	Why   string
}

const over = "fail_open is over"

// Look brings the memory up to date with the servers as they are now. The rules
// may have changed since the last look.
func Look(p Policy, servers []Server, m Memory, now time.Time) (Memory, []Event) {
	out := Memory{records: make(map[netip.AddrPort]record, len(servers)), open: m.open}
	var events []Event
	for _, s := range servers {
		rec, known := m.records[s.Addr]
		if !known {
			// At the first look nobody knows what was before. Who is up is
			// taken to have been so for long, and so is who has no verdict yet:
			// a director's start says nothing about how warm the servers are.
			rec = record{good: s.good() && m.records == nil || s.waits() && s.Held > 0, state: s.State, first: m.records == nil}
		}
		p.see(&rec, s, now)
		out.records[s.Addr] = rec
	}
	if e := p.mass(&out, servers, now); e.Text != "" {
		events = append(events, e)
	}
	for _, s := range servers { // after mass, which takes falls back
		rec := out.records[s.Addr]
		if e := p.damp(&rec, s, now); e.Text != "" {
			events = append(events, e)
		}
		out.records[s.Addr] = rec
	}
	return out, events
}

// see takes in how one server is now.
func (p Policy) see(rec *record, s Server, now time.Time) {
	fell := rec.good && !s.Barred && s.State == checker.Down
	rose := !rec.good && !rec.first && s.good() && !s.waits()
	if s.State != rec.state && s.State != checker.Unknown && rec.state != checker.Unknown {
		rec.changed = now
	}
	rec.good, rec.state = s.good(), s.State
	rec.first = rec.first && s.State == checker.Unknown && !s.Barred
	switch {
	case s.Barred:
		rec.rising, rec.failed, rec.kept = time.Time{}, time.Time{}, false
	case fell:
		rec.rising, rec.failed, rec.changed = time.Time{}, now, now
		rec.falls = append(slices.Clone(rec.falls), now)
	case s.State == checker.Up:
		rec.failed = time.Time{}
		if rose {
			rec.rising = now
		}
	}
	if s.Refuses && s.State == checker.Down {
		rec.refused = true
	} else if s.State == checker.Up {
		rec.refused = false
	}
	if _, rising := p.risen(*rec, now); !rising {
		rec.rising = time.Time{}
	}
}

// damp counts falls. Who stayed as it is for Calm has its falls forgiven.
func (p Policy) damp(rec *record, s Server, now time.Time) Event {
	if p.Damping.Falls <= 0 {
		rec.falls, rec.damped = nil, false
		return Event{}
	}
	if rec.damped {
		if now.Sub(rec.changed) < p.Damping.Calm {
			return Event{}
		}
		rec.damped, rec.falls = false, nil
		if s.State == checker.Up && p.SlowStart > 0 {
			rec.rising = now
		}
		return Event{Real: s.Addr, Text: "real server is calm again", Why: fmt.Sprintf("no change for %s", words(p.Damping.Calm))}
	}
	old := func(t time.Time) bool { return now.Sub(t) >= p.Damping.Within }
	if slices.ContainsFunc(rec.falls, old) {
		rec.falls = slices.DeleteFunc(slices.Clone(rec.falls), old)
	}
	if len(rec.falls) <= p.Damping.Falls {
		return Event{}
	}
	rec.damped, rec.falls = true, nil
	return Event{Real: s.Addr, Alarm: true, Text: "real server is flapping", Why: fmt.Sprintf("%d falls within %s, out until it is calm for %s",
		p.Damping.Falls+1, words(p.Damping.Within), words(p.Damping.Calm))}
}

// mass begins and ends fail-open.
//
// It begins where more than Percent of the servers that were good have failed
// within Within, two at least: one server that fails is an ordinary failure,
// and the last one of a pool that has shrunk shall not keep the fallback out.
// It ends when Percent or fewer of them fail, or after Hold, whichever is first,
// or when none is left that could only be overloaded.
func (p Policy) mass(m *Memory, servers []Server, now time.Time) Event {
	f := p.FailOpen
	if f.Percent <= 0 {
		m.close(servers, true)
		return Event{}
	}
	of, failing, doubtful := 0, 0, 0
	for _, s := range servers {
		rec := m.records[s.Addr]
		switch {
		case rec.good:
			of++
		case rec.failing(now, f.Within):
			of++
			failing++
			if !rec.refused {
				doubtful++
			}
		}
	}
	many := failing*100 > f.Percent*of
	switch {
	case m.open.since.IsZero() && many && failing >= 2 && doubtful > 0:
		m.open = episode{since: now, until: now.Add(f.Hold), failing: failing, of: of}
		m.keep(servers, now, f.Within)
		return Event{Alarm: true, Text: "fail_open keeps real servers in that fail", Why: fmt.Sprintf("%d of %d failed within %s; until %d %% or fewer do, %s at most",
			failing, of, words(f.Within), f.Percent, words(f.Hold))}
	case m.open.since.IsZero():
	case !many:
		m.close(servers, false)
		return Event{Text: over, Why: fmt.Sprintf("%d of %d real servers fail", failing, of)}
	case doubtful == 0:
		m.close(servers, false)
		return Event{Alarm: true, Text: over, Why: "all that fail refuse connections, and are out"}
	case !now.Before(m.open.until):
		m.close(servers, true)
		return Event{Alarm: true, Text: over, Why: fmt.Sprintf("%d of %d real servers still fail after %s, and are out", failing, of, words(f.Hold))}
	default:
		m.open.failing, m.open.of = failing, of
		m.keep(servers, now, f.Within)
	}
	return Event{}
}

// failing tells whether a server counts as one of those that fail at once.
func (rec record) failing(now time.Time, within time.Duration) bool {
	return rec.kept || !rec.failed.IsZero() && now.Sub(rec.failed) < within
}

// keep makes those that fail part of the episode. Such a fall isn't the server's
// own unsteadiness, so it doesn't count for damping.
func (m *Memory) keep(servers []Server, now time.Time, within time.Duration) {
	for _, s := range servers {
		rec := m.records[s.Addr]
		switch {
		case rec.good && rec.kept:
			rec.kept = false
		case !rec.good && !rec.kept && rec.failing(now, within):
			rec.kept = true
			rec.falls = slices.DeleteFunc(slices.Clone(rec.falls), func(t time.Time) bool { return !t.Before(rec.failed) })
		default:
			continue
		}
		m.records[s.Addr] = rec
	}
}

// close ends the episode. Those that still fail are out; forget makes their
// failures old ones, so that they don't begin the next one at once.
func (m *Memory) close(servers []Server, forget bool) {
	m.open = episode{}
	for _, s := range servers {
		rec, ok := m.records[s.Addr]
		if !ok || !rec.kept && !(forget && !rec.failed.IsZero()) {
			continue
		}
		if rec.kept = false; forget {
			rec.failed = time.Time{}
		}
		m.records[s.Addr] = rec
	}
}

// keeps tells whether fail-open lets a server serve that is down.
func (m Memory) keeps(s Server, rec record) bool {
	return !m.open.since.IsZero() && s.State == checker.Down && rec.kept && !rec.refused
}

func (m Memory) text(now time.Time) string {
	if m.open.since.IsZero() {
		return ""
	}
	return fmt.Sprintf("fail_open: %d of %d real servers fail and are kept in, %s more at most", m.open.failing, m.open.of, words(max(m.open.until.Sub(now), 0)))
}

// Next is when a decision may become another without anything new; zero: never.
func (m Memory) Next(p Policy, now time.Time) time.Time {
	next := m.open.until
	sooner := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for rec := range maps.Values(m.records) {
		if _, rising := p.risen(rec, now); rising {
			step := p.step()
			sooner(rec.rising.Add(now.Sub(rec.rising).Truncate(step) + step))
		}
		if rec.damped {
			sooner(rec.changed.Add(p.Damping.Calm))
		}
	}
	return next
}
