package checker

import (
	"math/bits"
	"time"
)

// tick is the grain of time here: what falls into the same tick is done
// together, which saves a wake-up for each.
const tick = 10 * time.Millisecond

// slots × tick = 10.24 s: one turn of a wheel. What is due later stays in its
// slot for more turns.
const slots = 1 << 10

// wheel is a hashed timing wheel: adding, removing and firing cost the same
// whether there are ten entries or a hundred thousand. It knows ticks, no clock.
type wheel struct {
	now  int64 // the last tick that was served
	slot [slots]*entry
	used [slots / 64]uint64 // a bit for each slot that holds something
}

// entry is a job's place in a wheel.
type entry struct {
	job        *job
	due        int64 // tick
	in         bool
	prev, next *entry
}

// add puts e in for the tick due, or the next one if that is past.
func (w *wheel) add(e *entry, due int64) {
	e.due = max(due, w.now+1)
	i := e.due & (slots - 1)
	e.in, e.prev, e.next = true, nil, w.slot[i]
	if e.next != nil {
		e.next.prev = e
	}
	w.slot[i] = e
	w.used[i/64] |= 1 << (i % 64)
}

// remove takes e out, if it is in.
func (w *wheel) remove(e *entry) {
	if !e.in {
		return
	}
	i := e.due & (slots - 1)
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		w.slot[i] = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	}
	if w.slot[i] == nil {
		w.used[i/64] &^= 1 << (i % 64)
	}
	e.in, e.prev, e.next = false, nil, nil
}

// advance serves the ticks up to and including to: it takes out what is due and
// appends the jobs to due.
func (w *wheel) advance(to int64, due []*job) []*job {
	for t := max(w.now+1, to-slots+1); t <= to; t++ {
		for e := w.slot[t&(slots-1)]; e != nil; {
			next := e.next
			if e.due <= to {
				w.remove(e)
				due = append(due, e.job)
			}
			e = next
		}
	}
	w.now = max(w.now, to)
	return due
}

// next returns the first tick after now whose slot holds something.
func (w *wheel) next() (int64, bool) {
	start := w.now + 1
	for n := int64(0); n < slots; {
		i := (start + n) & (slots - 1)
		if word := w.used[i/64] >> (i % 64); word != 0 {
			return start + n + int64(bits.TrailingZeros64(word)), true
		}
		n += 64 - i%64
	}
	return 0, false
}
