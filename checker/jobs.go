package checker

import (
	"hash/maphash"
	"iter"
)

// jobs finds a job by its Spec. A map with Specs for keys would keep a second
// copy of each, which are the largest thing that a target costs.
type jobs struct {
	seed maphash.Seed
	by   map[uint64]*job // by the Spec's hash; job.next has what has the same
}

func newJobs() jobs { return jobs{maphash.MakeSeed(), map[uint64]*job{}} }

func (t jobs) hash(spec *Spec) uint64 { return maphash.Comparable(t.seed, *spec) }

func (t jobs) get(spec *Spec) *job {
	for j := t.by[t.hash(spec)]; j != nil; j = j.next {
		if j.spec == *spec {
			return j
		}
	}
	return nil
}

// put adds a job whose Spec none has yet.
func (t jobs) put(j *job) {
	h := t.hash(&j.spec)
	j.next, t.by[h] = t.by[h], j
}

func (t jobs) remove(gone *job) {
	h := t.hash(&gone.spec)
	first := t.by[h]
	if first == gone {
		first = gone.next
	}
	for j := first; j != nil; j = j.next {
		if j.next == gone {
			j.next = gone.next
		}
	}
	gone.next = nil
	if first == nil {
		delete(t.by, h)
		return
	}
	t.by[h] = first
}

// all goes through the jobs; the one that it is at may be removed.
func (t jobs) all() iter.Seq[*job] {
	return func(yield func(*job) bool) {
		for _, j := range t.by {
			for j != nil {
				next := j.next
				if !yield(j) {
					return
				}
				j = next
			}
		}
	}
}
