package director

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/ipvsd/ipvsd/director/intent"
	"github.com/ipvsd/ipvsd/director/journal"
	"github.com/ipvsd/ipvsd/director/table"
)

const (
	drainInterval = time.Second     // between two looks at what drains
	drainQuiet    = 3 * time.Second // see drainWatch
)

// drainWatch is how far one real server's drain is.
//
// It is over when no connection is established and, for drainQuiet, no packet
// came for one that isn't: among those are handshakes that aren't through and
// clients that have closed their side and still read, besides thousands that
// have ended and that the kernel only remembers. UDP has no established
// connections; there the kernel's own time-out says which have ended, and none
// may be left.
type drainWatch struct {
	seen    bool
	took    bool // the address came here meanwhile, and its connections may still come
	packets uint64
	quiet   time.Time // since when nothing moves
}

// look is one look at the counters; held is whether the kernel gives no new
// connections already.
func (w *drainWatch) look(c table.Counters, udp, held bool, now time.Time) (over bool) {
	if held && c.Active+c.Inactive == 0 && !w.took {
		return true
	}
	moves := !w.seen || c.Active > 0 || udp && c.Inactive > 0 || c.PacketsIn != w.packets
	w.seen, w.packets = true, c.PacketsIn
	if moves {
		w.quiet = now
	}
	return held && now.Sub(w.quiet) >= drainQuiet
}

// drains are the watches of what drains, and when the next deadline comes. The
// loop's goroutine owns them.
type drains struct {
	watches map[table.Pair]*drainWatch
	next    time.Time
}

// hold brings up to date who is held back, and tells what changed.
func (l *loop) hold(now time.Time) {
	before := l.causes
	l.causes, l.drains.next = causes(l.cfg, l.book, l.maintenance.files(), now)
	l.holds, l.bookNews = holdsOf(l.causes), false
	for _, pair := range sortedPairs(l.causes) {
		c := l.causes[pair]
		old, was := before[pair]
		if was && old.state() == c.state() && old.mark == c.mark && old.file == c.file {
			continue
		}
		before := ""
		if was {
			before = old.state()
		}
		l.happened(slog.LevelInfo, "real server is held back", event{pair: pair, Entry: journal.Entry{
			Kind: journal.Operator, Before: before, After: c.state(), Cause: c.String(),
			Text: fmt.Sprintf("%s is %s: %s", l.who(pair), heldText(c.state()), c),
		}})
	}
	for _, pair := range sortedPairs(before) {
		if _, still := l.causes[pair]; still {
			continue
		}
		why := "its file in maintenance_dir is gone"
		if m, ok := l.book.Newest(pair); ok && before[pair].mark.Wish != "" {
			why = m.Cause()
		} else if l.pairs[pair] == "" {
			why = "it left the file"
		}
		l.happened(slog.LevelInfo, "real server is no longer held back", event{pair: pair, Entry: journal.Entry{
			Kind: journal.Operator, Before: before[pair].state(), After: l.verdicts[pair].String(), Cause: why,
			Text: fmt.Sprintf("%s is no longer held back: %s", l.who(pair), why),
		}})
	}
	for pair := range l.drains.watches {
		if l.causes[pair].state() != StateDraining {
			delete(l.drains.watches, pair)
		}
	}
	l.kernel.Draining = 0
	for pair, c := range l.causes {
		if c.state() != StateDraining {
			continue
		}
		l.kernel.Draining++
		if l.drains.watches[pair] == nil {
			l.drains.watches[pair] = &drainWatch{}
		}
	}
}

// sortedPairs are the real servers of a map, in an order that stays.
func sortedPairs(m map[table.Pair]cause) []table.Pair {
	return slices.SortedFunc(maps.Keys(m), table.Pair.Compare)
}

// heldText is a state in which a person holds a real server back, in a sentence.
func heldText(state string) string {
	if state == StateMaintenance {
		return "in maintenance"
	}
	return state
}

// decides says whether this director says when a drain is over: who holds the
// service's address, since only he sees all of its connections.
func (l *loop) decides(key table.ServiceKey) bool {
	return l.opts.Cluster == nil || l.cfg.Cluster == nil || l.opts.Cluster.Decides(key)
}

// lookAtDrains finds whose connections have ended, as of a read of the kernel.
func (l *loop) lookAtDrains(have table.Have, now time.Time) {
	var ended []intent.Record
	for pair, w := range l.drains.watches {
		if !l.decides(pair.Service) {
			*w = drainWatch{took: true} // begins anew where the address comes here
			continue
		}
		real, ok := have.State[pair.Service].Reals[pair.Real]
		_, wanted := l.want.State[pair.Service].Reals[pair.Real]
		over := !ok && !wanted // nothing to drain, as where its check took it out
		if ok {
			over = w.look(have.Reals[pair], pair.Service.Protocol == table.UDP, real.Weight == 0, now)
		}
		if over {
			d := intent.NewDone(pair, l.causes[pair].mark.Version, now, 0)
			ended = append(ended, intent.Record{Done: &d})
		}
	}
	l.learn(ended)
}

// cutByDeadline notes the drains that ended at their deadline in this round,
// with what that cut.
func (l *loop) cutByDeadline(done []table.Step, have table.Have, now time.Time) {
	var ended []intent.Record
	for _, s := range done {
		c := l.causes[s.Pair()]
		if s.Op != table.DeleteReal || c.state() != StateDrained || c.done != nil || !l.decides(s.Service.ServiceKey) {
			continue
		}
		d := intent.NewDone(s.Pair(), c.mark.Version, now, have.Reals[s.Pair()].Active)
		ended = append(ended, intent.Record{Done: &d})
		l.happened(slog.LevelWarn, "the deadline of a drain came", event{pair: s.Pair(), Entry: journal.Entry{
			Kind: journal.Operator, Before: StateDraining, After: StateDrained, Cause: c.mark.Cause(),
			Text: fmt.Sprintf("the drain of %s came to its deadline, which cut %s: %s", l.who(s.Pair()), connectionsWord(d.Cut), c.mark.Cause()),
		}}, "connections_cut", d.Cut)
	}
	l.learn(ended)
}

func drainingText(c cause, active uint32) string {
	text := fmt.Sprintf("%s; %s left", c, connectionsWord(active))
	if !c.mark.Deadline.IsZero() {
		text += ", out at " + clockText(c.mark.Deadline) + " at the latest"
	}
	return text
}

// clockText is a time of the day, with the date where that is another.
func clockText(t time.Time) string {
	t = t.Local()
	if t.Format(time.DateOnly) == time.Now().Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}
