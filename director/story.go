package director

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/director/journal"
	"github.com/ipvsd/ipvsd/director/table"
)

// story is what has happened since the loop last woke. Each event is logged as
// it happens; once the kernel has had its steps, they become entries of the
// journal together.
type story struct {
	events  []*event
	steps   []taken
	drifted map[table.Pair]time.Time // when a drift was last told, so that a feud doesn't fill the journal
	ready   bool                     // was told
}

// driftPause is for how long the same drift isn't told again.
const driftPause = time.Minute

// event is one thing that happened, before its steps are known.
type event struct {
	journal.Entry
	pair  table.Pair
	whole bool // steps that no other event explains are its own
}

// taken is a step that was carried out.
type taken struct {
	table.Step
	reason        string
	before, after int64     // weight; -1: not in the table
	quiet         bool      // one of many that aren't worth an entry
	at            time.Time // when the kernel had it
}

// attrs are the event for the log.
func (e *event) attrs() []any {
	var out []any
	if e.pair.Service != (table.ServiceKey{}) {
		out = append(out, "service", e.pair.Service.String())
	}
	if e.pair.Real.IsValid() {
		out = append(out, "real", e.pair.Real.String())
	}
	switch {
	case e.Kind == journal.Drift:
		return append(out, "kind", e.Cause, "before", e.Before, "after", e.After)
	case e.Kind == journal.Operator && heldState(e.After):
		return append(out, "state", e.After, "cause", e.Cause)
	case e.Kind == journal.Operator:
		return append(out, "cause", e.Cause)
	case e.Cause != "":
		return append(out, "reason", e.Cause)
	}
	return out
}

// heldState says whether a state is one in which a person holds a real server
// back.
func heldState(state string) bool {
	return slices.Contains([]string{StateDraining, StateDrained, StateDisabled, StateMaintenance}, state)
}

// happened logs an event, with msg and more before its own attributes, and keeps
// it for the journal. Its Text is a sentence without the full stop; what the
// kernel did is added.
func (l *loop) happened(level slog.Level, msg string, e event, more ...any) {
	l.opts.Log.Log(context.Background(), level, msg, append(more, e.attrs()...)...)
	l.keep(e)
}

// keep is happened for what is logged by itself.
func (l *loop) keep(e event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if e.pair.Service != (table.ServiceKey{}) {
		e.Virtual = l.nameOf(e.pair.Service)
	}
	if e.pair.Real.IsValid() {
		e.Real = e.pair.Real.String()
	}
	l.story.events = append(l.story.events, &e)
}

// nameOf is a virtual service's name in the file, or its address where it isn't
// there any more.
func (l *loop) nameOf(key table.ServiceKey) string { return cmp.Or(l.virtuals[key].Name, key.String()) }

// who is a real server, or a virtual service, in a sentence.
func (l *loop) who(p table.Pair) string {
	if !p.Real.IsValid() {
		return l.nameOf(p.Service)
	}
	return p.Real.String() + " of " + l.nameOf(p.Service)
}

// took keeps a step for the journal. It is asked before the kernel's new state is
// what is expected.
func (l *loop) took(s table.Step, reason string, at time.Time) {
	t := taken{Step: s, reason: reason, before: -1, after: -1, at: at}
	pair := s.Pair()
	if held, ok := l.expect[pair.Service].Reals[pair.Real]; ok {
		t.before = int64(held.Weight)
	}
	if s.Op == table.AddReal || s.Op == table.EditReal {
		t.after = int64(s.Real.Weight)
	}
	_, byAgent := l.pools.percents[pair]
	t.quiet = l.rises(s) || strings.HasPrefix(reason, repairs) || byAgent && t.before > 0 && t.after > 0
	l.story.steps = append(l.story.steps, t)
}

// chronicle puts what has happened into the journal, each event with the steps
// that it explains.
func (l *loop) chronicle() {
	l.noteReady()
	s := &l.story
	if len(s.events)+len(s.steps) == 0 {
		return
	}
	own := map[table.Pair]*event{} // the first event about each
	var whole *event
	for _, e := range s.events {
		if own[e.pair] == nil {
			own[e.pair] = e
		}
		if e.whole && whole == nil {
			whole = e
		}
	}
	var rest []taken
	for _, t := range s.steps {
		if e := l.explains(own, t); e != nil {
			e.claim(t)
		} else if whole != nil {
			whole.claim(t)
		} else if !t.quiet {
			rest = append(rest, t)
		}
	}
	l.unexplained(rest, own)
	entries := make([]journal.Entry, len(s.events))
	for i, e := range s.events {
		entries[i] = l.finish(e)
	}
	s.events, s.steps = nil, nil
	l.opts.Journal.Put(entries...)
}

// noteReady tells once that every real server has had its first verdict.
func (l *loop) noteReady() {
	if l.story.ready || !l.Ready() {
		return
	}
	l.story.ready = true
	l.keep(event{Entry: journal.Entry{
		Kind: journal.Daemon, After: journal.Ready, Text: "the director is ready: the kernel is programmed, and every real server has had its first verdict",
	}})
}

// explains finds the event that a step follows from: one about its real server,
// or about the virtual service where the step is about that or its fallback.
func (l *loop) explains(own map[table.Pair]*event, t taken) *event {
	pair := t.Pair()
	if e := own[pair]; e != nil && pair.Service != (table.ServiceKey{}) {
		return e
	}
	service := own[table.Pair{Service: pair.Service}]
	if service == nil {
		return nil
	}
	f := l.virtuals[pair.Service].Fallback
	if service.Kind == journal.Drift || f != nil && f.Addr == pair.Real {
		return service
	}
	return nil
}

// claim makes a step the event's.
func (e *event) claim(t taken) {
	if len(e.Steps) < journal.MaxLines {
		e.Steps = append(e.Steps, t.String())
	} else {
		e.More++
	}
	e.Took = max(t.at.Sub(e.Time), 0)
	if !e.pair.Real.IsValid() || e.pair != t.Pair() {
		return
	}
	if e.Weight == nil {
		e.Weight = &journal.Change{Before: t.before}
	}
	e.Weight.After = t.after
}

// unexplained makes events of the steps that no event explains: a weight that
// changes by the rules of the pool, or a retry.
func (l *loop) unexplained(rest []taken, own map[table.Pair]*event) {
	if len(rest) > tellAll {
		e := event{Entry: journal.Entry{Kind: journal.Kernel, Text: "the kernel's table was brought to what is wanted: " + stepsWord(len(rest))}}
		for _, t := range rest {
			e.claim(t)
		}
		l.keep(e)
		return
	}
	made := map[table.Pair]*event{}
	for _, t := range rest {
		pair := t.Pair()
		if e := made[pair]; e != nil {
			e.claim(t)
			continue
		}
		e := event{Entry: journal.Entry{Kind: journal.Weight, Cause: t.reason, Time: t.at}, pair: pair}
		if pair.Real.IsValid() {
			e.Cause = l.weightCause(t, own)
			e.Text = l.who(pair) + ": " + e.Cause
		} else {
			e.Kind, e.Text = journal.Kernel, l.who(pair)+" was programmed: "+t.reason
		}
		l.keep(e)
		made[pair] = l.story.events[len(l.story.events)-1]
		made[pair].claim(t)
	}
}

// weightCause is why a weight changed without a verdict on the real server: by a
// rule, or by what happened to another one of its virtual service.
func (l *loop) weightCause(t taken, own map[table.Pair]*event) string {
	pair := t.Pair()
	v := l.virtuals[pair.Service]
	sh := share(l.want.Notes, v, pair.Real)
	switch {
	case v.Pool.SlowStart > 0 && !sh.Rising && t.before > 0 && t.after > t.before:
		return "its slow start is over"
	case sh.Why != "":
		return sh.Why
	}
	for _, r := range v.Reals {
		other := own[table.Pair{Service: pair.Service, Real: r.Addr}]
		if other != nil && r.Addr != pair.Real && (other.Kind == journal.Verdict || other.Kind == journal.Operator) {
			return fmt.Sprintf("%s is %s", r.Addr, other.After)
		}
	}
	return t.reason
}

// finish is the entry of an event whose steps are known.
func (l *loop) finish(e *event) journal.Entry {
	if c := e.Weight; c != nil && c.Before == c.After {
		e.Weight = nil
	}
	if c := e.Weight; c != nil {
		e.Text += "; " + weightText(*c)
		if sh := share(l.want.Notes, l.virtuals[e.pair.Service], e.pair.Real); sh.Why != "" && !strings.Contains(e.Text, sh.Why) {
			e.Text += " (" + sh.Why + ")"
		}
	}
	switch {
	case len(e.Steps) == 0:
	case e.Kind == journal.Drift:
		e.Text += "; it was put right"
	case e.whole:
		e.Text += "; " + stepsWord(len(e.Steps)+e.More) + " in the kernel"
	}
	e.Text += "."
	return e.Entry
}

// weightText says a weight's change in words.
func weightText(c journal.Change) string {
	switch {
	case c.After < 0:
		return fmt.Sprintf("out of the kernel's table, where it had weight %d", c.Before)
	case c.Before < 0:
		return fmt.Sprintf("into the kernel's table, with weight %d", c.After)
	}
	return fmt.Sprintf("weight %d to %d", c.Before, c.After)
}
