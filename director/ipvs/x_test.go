package ipvs

import ("testing";"fmt";"time";"slices")

func TestX(t *testing.T) {
	tbl, want := mustOpen(t), bigTable()
	p := program(t, tbl, want)
	var ds []time.Duration
	mean := time.Duration(0)
	for range audit { d := reconcile(t, tbl, want); mean += d/audit; ds = append(ds, d) }
	slices.Sort(ds)
	fmt.Println("fresh program", p, "reconcile mean", mean, "min", ds[0], "median", ds[len(ds)/2], float64(mean)/float64(p))
}
