package checker

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestWheel compares the wheel with a plain list.
func TestWheel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w wheel
		model := map[*entry]int64{}
		var all []*entry
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "do") {
			case 0, 1:
				e := &entry{job: &job{}}
				e.job.turn.job = e.job
				due := w.now + rapid.Int64Range(-5, 3*slots).Draw(t, "due")
				w.add(e, due)
				model[e] = max(due, w.now+1)
				all = append(all, e)
			case 2:
				if len(all) > 0 {
					e := rapid.SampledFrom(all).Draw(t, "entry")
					w.remove(e)
					delete(model, e)
				}
			case 3:
				checkNext(t, &w, model)
				to := w.now + rapid.Int64Range(0, 2*slots).Draw(t, "to")
				want := 0
				jobs := map[*job]bool{}
				for e, due := range model {
					if due <= to {
						want++
						jobs[e.job] = true
						delete(model, e)
					}
				}
				got := w.advance(to, nil)
				if len(got) != want || slices.ContainsFunc(got, func(j *job) bool { return !jobs[j] }) {
					t.Fatalf("advance to %d: %d jobs, want %d", to, len(got), want)
				}
			}
		}
	})
}

// checkNext: next is never later than what is due, and sleeps when it can.
func checkNext(t *rapid.T, w *wheel, model map[*entry]int64) {
	first := int64(-1)
	for _, due := range model {
		if first < 0 || due < first {
			first = due
		}
	}
	next, ok := w.next()
	switch {
	case ok != (first >= 0):
		t.Fatalf("next: %t, with %d entries", ok, len(model))
	case ok && (next > first || next <= w.now):
		t.Fatalf("next is %d, now %d, first due %d", next, w.now, first)
	case ok && first < w.now+slots && next != first && !earlierSlot(w, model, next):
		t.Fatalf("next is %d, first due %d", next, first)
	}
}

// earlierSlot: a later turn's entry in an earlier slot may wake us for nothing.
func earlierSlot(w *wheel, model map[*entry]int64, next int64) bool {
	for _, due := range model {
		if due&(slots-1) == next&(slots-1) {
			return true
		}
	}
	return false
}
