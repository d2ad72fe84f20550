package cluster

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/cluster/gossip"
)

// story is what happened, for log and status.
type story struct {
	config      core.Config // as the core has it
	transitions map[string]uint64
	claims      map[string]core.Transition // the last one of each group, until its addresses are up
	holders     map[string]string          // who held each group last, as far as is known
	from        map[string]string          // who held it when it was claimed here
	failovers   map[string]Failover
	notes       map[noteKey]note
	said        map[string]time.Duration // when an error was logged last
	news        bool
}

type noteKey struct {
	group string
	code  core.Code
	node  string
	mac   core.MAC
}

type note struct {
	text string
	at   time.Duration
}

// The lives of notes and of errors in the log.
const (
	noteLife   = 5 * time.Minute // of a note that has no end
	errorPause = time.Minute     // between two lines with the same error
)

func newStory() story {
	return story{
		transitions: make(map[string]uint64),
		claims:      make(map[string]core.Transition),
		holders:     make(map[string]string),
		from:        make(map[string]string),
		failovers:   make(map[string]Failover),
		notes:       make(map[noteKey]note),
		said:        make(map[string]time.Duration),
	}
}

// transition logs a group's new state, and tells the hook.
func (l *loop) transition(t core.Transition) {
	l.story.news = true
	args := []any{"group", t.Group, "from", t.From, "to", t.To, "reason", t.Reason.String(), "code", t.Reason.Code, "term", t.Term}
	if t.Holder != "" {
		args = append(args, "holder", t.Holder)
	}
	if t.From == core.Active && t.To == core.Active {
		f := l.failover(t)
		args = append(args, "decided_ms", ms(f.Decided), "address_ms", ms(f.AddressUp), "announced_ms", ms(f.Announced))
		if f.Suspected > 0 {
			args = append(args, "suspected_ms", ms(f.Suspected), "permitted_ms", ms(f.Permitted))
		}
		if f.From != "" {
			args = append(args, "former_holder", f.From)
		}
		l.log.Info("addresses up", args...)
		return
	}
	l.silence(t.Group, t.To == core.Releasing)
	if l.opts.Moved != nil {
		l.opts.Moved(t)
	}
	l.story.transitions[t.To.String()]++
	if t.To == core.Active {
		l.story.claims[t.Group], l.story.from[t.Group] = t, l.story.holders[t.Group]
	}
	l.log.Info("group changed state", args...)
	if from, to := roleOf(t.From), roleOf(t.To); t.From != 0 && from != to && l.opts.Hook != nil {
		l.opts.Hook(Event{
			Group: t.Group, From: from, To: to, Time: l.start.Add(t.At), Term: t.Term, Holder: t.Holder, Reason: t.Reason,
		})
	}
}

// failover writes down the phases of one that is complete.
func (l *loop) failover(t core.Transition) Failover {
	p := t.Phases
	zero := cmp.Or(p.LastHeard, p.Decided)
	if p.Suspected == 0 {
		zero = p.Decided // nobody fell silent
	}
	after := func(at time.Duration) time.Duration {
		if at == 0 {
			return 0
		}
		return max(at-zero, 0)
	}
	f := Failover{
		Time: l.start.Add(p.Decided), From: l.story.from[t.Group], Term: t.Term, Reason: l.story.claims[t.Group].Reason.String(),
		Code: l.story.claims[t.Group].Reason.Code, Decided: after(p.Decided), AddressUp: after(p.AddressUp),
		Announced: after(p.Announced),
	}
	if p.Suspected > 0 {
		f.Suspected, f.Permitted = after(p.Suspected), after(p.Permitted)
	}
	l.story.failovers[t.Group] = f
	return f
}

// held remembers who holds what, for the day that somebody else takes it.
func (s *story) held(c core.Status) {
	for _, g := range c.Groups {
		if g.Holder != "" {
			s.holders[g.Name] = g.Holder
		}
	}
}

// ms is a duration in milliseconds, with a decimal.
func ms(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond)
}

func (l *loop) decision(d core.Decision) {
	l.story.news = true
	log := l.log.Info
	if d.Alarm {
		log = l.log.Warn
	}
	log("group waits", "group", d.Group, "state", d.State, "reason", d.Reason.String(), "code", d.Reason.Code)
}

// note keeps what is told until it is over, and logs it once a minute at most.
func (l *loop) note(n core.Note) {
	key := noteKey{n.Group, n.Reason.Code, n.Reason.Node, n.Reason.MAC}
	old, again := l.story.notes[key]
	l.story.news = true
	if n.Over {
		if again {
			delete(l.story.notes, key)
			l.log.Info("over", "group", n.Group, "reason", n.Reason.String(), "code", n.Reason.Code)
		}
		return
	}
	if len(l.story.notes) > maxNotes {
		clear(l.story.notes)
	}
	now := note{n.Reason.String(), n.At}
	if again && n.At-old.at < errorPause {
		now.at = old.at
		l.story.notes[key] = now
		return
	}
	l.story.notes[key] = now
	l.log.Warn("notice", "group", n.Group, "reason", n.Reason.String(), "code", n.Reason.Code)
}

const maxNotes = 100

// lasting is whether a note has an end of its own.
func lasting(c core.Code) bool {
	return c == core.Skew || c == core.DirectorCount || c == core.NotHeardBy
}

// forget drops notes that are old.
func (s *story) forget(now time.Duration) {
	maps.DeleteFunc(s.notes, func(k noteKey, n note) bool { return !lasting(k.code) && now > n.at+noteLife })
}

func (s *story) list() []string {
	var out []string
	for _, k := range slices.SortedFunc(maps.Keys(s.notes), func(a, b noteKey) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.code, b.code), cmp.Compare(a.node, b.node), cmp.Compare(a.mac.String(), b.mac.String()))
	}) {
		text := s.notes[k].text
		if k.group != "" {
			text = k.group + ": " + text
		}
		out = append(out, text)
	}
	return out
}

// once is whether an error should be logged: not again within a minute.
func (s *story) once(key string, now time.Duration) bool {
	last, known := s.said[key]
	if known && now < last+errorPause {
		return false
	}
	if len(s.said) > maxNotes {
		clear(s.said)
	}
	s.said[key] = now
	return true
}

func (s *story) garbled(l *loop, g gossip.Message, err error) {
	if s.once("garbled "+g.From, l.now()) {
		l.log.Warn("a message isn't understood; does that director run another version?", "node", g.From, "err", err)
	}
}

func (s *story) unsent(l *loop, err error) {
	if s.once("unsent "+err.Error(), l.now()) {
		l.log.Warn("a message couldn't be sent", "err", err)
	}
}

func (s *story) unasked(l *loop, face string, err error) {
	if s.once("unasked "+face+err.Error(), l.now()) {
		l.log.Warn("the neighbours couldn't be asked", "interface", face, "err", err)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
