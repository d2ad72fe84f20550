package checker

import (
	"maps"
	"slices"
	"testing"
)

// TestJobs: also those with one hash are found and removed one by one.
func TestJobs(t *testing.T) {
	table := newJobs()
	one, two, three := &job{spec: Spec{Request: "1"}}, &job{spec: Spec{Request: "2"}}, &job{spec: Spec{Request: "3"}}
	for _, gone := range []*job{one, two, three} {
		table.put(one)
		table.put(two)
		table.put(three)
		h := table.hash(&gone.spec)
		one.next, two.next, three.next = nil, one, two // as if they had one
		clear(table.by)
		table.by[h] = three
		table.remove(gone)
		left := slices.Collect(table.all())
		if len(left) != 2 || slices.Contains(left, gone) {
			t.Errorf("%d are left without %s", len(left), gone.spec.Request)
		}
		clear(table.by)
		one.next, two.next, three.next = nil, nil, nil
	}
	table.put(one)
	table.put(two)
	if table.get(&Spec{Request: "2"}) != two || table.get(&Spec{Request: "3"}) != nil {
		t.Error("not found, or found what isn't there")
	}
	for j := range table.all() {
		table.remove(j)
	}
	if n := len(slices.Collect(maps.Keys(table.by))); n != 0 {
		t.Errorf("%d are left", n)
	}
}
