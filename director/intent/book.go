package intent

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/ipvsd/ipvsd/director/table"
)

// So many marks are kept of those that only guard against older ones (enable),
// and of those about real servers that aren't in the file; the oldest go first.
// It bounds the file and what directors tell one another where addresses come
// and go for years.
const maxSpare = 1024

// Book is all that is known of the operators' wishes. Its maps are never
// changed: each method that changes something returns another book. The zero
// value is empty.
type Book struct {
	marks map[Key]Mark
	dones map[ending]Done

	// This director's own knowledge, which the others don't hear: whom the file
	// here has named since the mark was made, and whose mark is over because the
	// file has dropped him. Each director finds that out by its own file, so
	// that one whose file is newer doesn't bring a server back on the others.
	seen map[Key]bool
	over map[Key]Version
}

// Record is one thing that directors tell one another: a mark, or the end of a
// drain.
type Record struct {
	Mark *Mark
	Done *Done
}

// Next is the version of a mark that is made now: newer than all that are known.
func (b Book) Next(now time.Time, director string) Version {
	v := Version{Time: now.UnixNano(), Director: director}
	for _, m := range b.marks {
		v.Time = max(v.Time, m.Version.Time+1)
	}
	return v
}

// Of is the mark that counts for a real server: the newest that covers it. It
// is false where there is none or the newest is Enable.
func (b Book) Of(p table.Pair) (Mark, bool) {
	m, ok := b.newest(p)
	return m, ok && m.Wish != Enable
}

// Newest is Of that also tells of Enable.
func (b Book) Newest(p table.Pair) (Mark, bool) { return b.newest(p) }

func (b Book) newest(p table.Pair) (best Mark, found bool) {
	for _, k := range KeysOf(p) {
		m, ok := b.marks[k]
		if !ok || b.isOver(m) {
			continue
		}
		if !found || m.Version.Compare(best.Version) > 0 {
			best, found = m, true
		}
	}
	return best, found
}

func (b Book) isOver(m Mark) bool {
	v, ok := b.over[m.Key]
	return ok && m.Version.Compare(v) <= 0
}

// Done is the end of the drain that m is, for one real server.
func (b Book) Done(p table.Pair, m Mark) (Done, bool) {
	d, ok := b.dones[ending{p, m.Version}]
	return d, ok
}

// Len counts the marks.
func (b Book) Len() int { return len(b.marks) }

// Equal says whether two books hold the same, this director's own knowledge
// included.
func (b Book) Equal(o Book) bool {
	return maps.Equal(b.marks, o.marks) && maps.Equal(b.dones, o.dones) && maps.Equal(b.seen, o.seen) && maps.Equal(b.over, o.over)
}

// Merge takes records in. changed says whether one was news.
func (b Book) Merge(records []Record) (out Book, changed bool) {
	out = b
	out.marks, out.dones = maps.Clone(b.marks), maps.Clone(b.dones)
	if out.marks == nil {
		out.marks, out.dones = map[Key]Mark{}, map[ending]Done{}
	}
	for _, r := range records {
		if m := r.Mark; m != nil {
			if old, ok := out.marks[m.Key]; !ok || m.newer(old) {
				out.marks[m.Key] = *m
			}
		}
	}
	for _, r := range records {
		if d := r.Done; d != nil {
			if old, ok := out.dones[d.ending()]; !ok || d.better(old) {
				out.dones[d.ending()] = *d
			}
		}
	}
	out = out.tidy()
	changed = !maps.Equal(out.marks, b.marks) || !maps.Equal(out.dones, b.dones)
	if !changed {
		return b, false
	}
	return out, true
}

// newer is for the same key. Two marks of one version can only differ where two
// directors have the same name; that must not make two directors disagree.
func (m Mark) newer(o Mark) bool {
	c := cmp.Or(m.Version.Compare(o.Version), cmp.Compare(m.Wish, o.Wish), m.Deadline.Compare(o.Deadline),
		cmp.Compare(m.By, o.By), cmp.Compare(m.Reason, o.Reason))
	return c > 0
}

// tidy drops, in maps that are the caller's own, what means nothing any more.
func (b Book) tidy() Book {
	drains := map[Version][]Key{}
	for k, m := range b.marks {
		if m.Wish == Drain {
			drains[m.Version] = append(drains[m.Version], k)
		}
	}
	maps.DeleteFunc(b.dones, func(e ending, _ Done) bool {
		return !slices.ContainsFunc(drains[e.of], func(k Key) bool { return k.Covers(e.pair) })
	})
	b.seen, b.over = maps.Clone(b.seen), maps.Clone(b.over)
	maps.DeleteFunc(b.seen, func(k Key, _ bool) bool { _, ok := b.marks[k]; return !ok })
	maps.DeleteFunc(b.over, func(k Key, v Version) bool { m, ok := b.marks[k]; return !ok || m.Version.Compare(v) > 0 })
	return b
}

// spare drops the oldest of what is kept only to be on the safe side.
func (b Book) spare() Book {
	var enabled, absent []Mark
	for k, m := range b.marks {
		switch {
		case m.Wish == Enable:
			enabled = append(enabled, m)
		case !b.seen[k]:
			absent = append(absent, m)
		}
	}
	if max(len(enabled), len(absent)) <= maxSpare {
		return b
	}
	b.marks, b.dones = maps.Clone(b.marks), maps.Clone(b.dones)
	for _, list := range [][]Mark{enabled, absent} {
		slices.SortFunc(list, func(a, b Mark) int { return b.Version.Compare(a.Version) })
		for _, m := range list[min(maxSpare, len(list)):] {
			delete(b.marks, m.Key)
		}
	}
	return b.tidy()
}

// Use takes note of which real servers the file names. lost are the drains and
// disables that are over now: a real server that left the file and comes back
// is a new one. Whom the file has not named yet keeps his mark, since another
// director may have the file already that names him.
func (b Book) Use(named func(Key) bool) (out Book, lost []Mark, changed bool) {
	out = b
	out.seen, out.over = maps.Clone(b.seen), maps.Clone(b.over)
	if out.seen == nil {
		out.seen = map[Key]bool{}
	}
	if out.over == nil {
		out.over = map[Key]Version{}
	}
	for k, m := range b.marks {
		switch {
		case m.Wish == Enable:
		case named(k) && !b.isOver(m):
			out.seen[k] = true
		case !named(k) && b.seen[k]:
			out.over[k] = m.Version
			delete(out.seen, k)
			lost = append(lost, m)
		}
	}
	slices.SortFunc(lost, func(a, b Mark) int { return a.Key.compare(b.Key) })
	out = out.spare()
	if len(out.marks) == len(b.marks) && maps.Equal(out.seen, b.seen) && maps.Equal(out.over, b.over) {
		return b, nil, false
	}
	return out, lost, true
}

// Records lists all, always in the same order.
func (b Book) Records() []Record {
	out := make([]Record, 0, len(b.marks)+len(b.dones))
	for _, k := range slices.SortedFunc(maps.Keys(b.marks), Key.compare) {
		m := b.marks[k]
		out = append(out, Record{Mark: &m})
	}
	for _, p := range slices.SortedFunc(maps.Keys(b.dones), ending.compare) {
		d := b.dones[p]
		out = append(out, Record{Done: &d})
	}
	return out
}

// News are the records of b that somebody who knows theirs hasn't.
func (b Book) News(theirs []Record) []Record {
	known, _ := Book{}.Merge(theirs)
	return slices.DeleteFunc(b.Records(), func(r Record) bool {
		if r.Mark != nil {
			m, ok := known.marks[r.Mark.Key]
			return ok && !r.Mark.newer(m)
		}
		d, ok := known.dones[r.Done.ending()]
		return ok && !r.Done.better(d)
	})
}
