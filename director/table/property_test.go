package table_test

import (
	"context"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/ipvsd/ipvsd/director/kerneltest"
	"github.com/ipvsd/ipvsd/director/table"
)

func every(table.ServiceKey) bool { return true }
func none(table.ServiceKey) bool  { return false }

// holding is a kernel that holds the state.
func holding(t *rapid.T, st table.State) *kerneltest.Kernel {
	k := kerneltest.New()
	for _, err := range k.Do(context.Background(), table.Plan(nil, st, every)) {
		if err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func TestPlanLeadsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genState().Draw(t, "a"), genState().Draw(t, "b")
		k := holding(t, a)
		done, failed := table.Execute(context.Background(), k.State(), table.Plan(k.State(), b, every), k.Do)
		for _, f := range failed {
			t.Errorf("after %v: %v", done, f.Err)
		}
		if d := kerneltest.Diff(normal(b), k.State()); d != "" {
			t.Errorf("after %v (-want +got):\n%s", done, d)
		}
	})
}

func TestPlanOfNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := genState().Draw(t, "b")
		if steps := table.Plan(b, b, every); len(steps) > 0 {
			t.Errorf("from a state to itself: %v", steps)
		}
		if steps := table.Plan(holding(t, b).State(), b, every); len(steps) > 0 {
			t.Errorf("from what the kernel made of a state to the state: %v", steps)
		}
	})
}

// starved names a service that had a server with weight before and shall have
// one after, and has none now.
func starved(before, now, after table.State) (table.ServiceKey, bool) {
	for k, e := range before {
		if e.Live() > 0 && after[k].Live() > 0 && now[k].Live() == 0 {
			return k, true
		}
	}
	return table.ServiceKey{}, false
}

func TestPlanKeepsTrafficFlowing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genState().Draw(t, "a"), genState().Draw(t, "b")
		k := holding(t, a)
		steps := table.Plan(k.State(), b, every)
		for i := range steps {
			if err := k.Do(context.Background(), steps[i:i+1])[0]; err != nil {
				t.Fatal(err)
			}
			if key, ok := starved(a, k.State(), b); ok {
				t.Fatalf("%s is without a server after %v", key, steps[:i+1])
			}
			if s := steps[i]; s.Op == table.DeleteReal {
				checkQuiet(t, a, steps[:i], s)
			}
		}
	})
}

// checkQuiet wants a deleted server to have been at weight 0 before.
func checkQuiet(t *rapid.T, a table.State, before []table.Step, deleted table.Step) {
	if a[deleted.Service.ServiceKey].Reals[deleted.Real.Addr].Weight == 0 {
		return
	}
	for _, s := range before {
		if s.Op == table.EditReal && s.Pair() == deleted.Pair() && s.Real.Weight == 0 {
			return
		}
	}
	t.Fatalf("%s without weight 0 before, in %v", deleted, before)
}

func TestPlanLeavesForeignServicesAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genState().Draw(t, "a"), genState().Draw(t, "b")
		mine := map[table.ServiceKey]bool{}
		for k := range a {
			mine[k] = rapid.Bool().Draw(t, "mine")
		}
		k := holding(t, a)
		table.Execute(context.Background(), k.State(),
			table.Plan(k.State(), b, func(k table.ServiceKey) bool { return mine[k] }), k.Do)
		want := normal(b)
		for key, e := range normal(a) {
			if _, wanted := b[key]; !wanted && !mine[key] {
				want[key] = e
			}
		}
		if d := kerneltest.Diff(want, k.State()); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

// TestFailureAtEveryStep fails step k for every k, then plans again on what
// the kernel really holds, as the director does.
func TestFailureAtEveryStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genState().Draw(t, "a"), genState().Draw(t, "b")
		steps := table.Plan(holding(t, a).State(), b, every)
		for fail := range steps {
			k := holding(t, a)
			k.FailStep(func(s table.Step) error {
				if key, ok := starved(a, k.Peek(), b); ok {
					t.Fatalf("%s is without a server before %s; %s failed", key, s, steps[fail])
				}
				if s == steps[fail] {
					return errors.New("injected")
				}
				return nil
			})
			_, failed := table.Execute(context.Background(), k.State(), steps, k.Do)
			if len(failed) == 0 {
				t.Fatalf("%s failed and nobody noticed", steps[fail])
			}
			if key, ok := starved(a, k.State(), b); ok {
				t.Fatalf("%s is without a server after %s failed", key, steps[fail])
			}
			k.FailStep(nil)
			_, failed = table.Execute(context.Background(), k.State(), table.Plan(k.State(), b, every), k.Do)
			if len(failed) > 0 {
				t.Fatalf("after %s had failed, %v", steps[fail], failed)
			}
			if d := kerneltest.Diff(normal(b), k.State()); d != "" {
				t.Fatalf("after %s had failed (-want +got):\n%s", steps[fail], d)
			}
		}
	})
}

func TestStepsAreValidAndReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genState().Draw(t, "a"), genState().Draw(t, "b")
		for _, s := range table.Plan(a, b, every) {
			if err := s.Validate(); err != nil {
				t.Errorf("%s: %v", s, err)
			}
			back, err := parseStep(s.String())
			if err != nil {
				t.Fatal(err)
			}
			if s.Op == table.AddReal || s.Op == table.EditReal {
				s.Real = s.Real.Normal()
				if s.Real.Tunnel.Type == table.TunnelIPIP {
					s.Real.Tunnel.Flags = 0
				}
			}
			if back != s {
				t.Errorf("%q reads back as\n%+v, was\n%+v", s, back, s)
			}
		}
	})
}

func TestDriftOfNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := genState().Draw(t, "a")
		if ds := table.Drift(a, holding(t, a).State()); len(ds) > 0 {
			t.Errorf("%v", ds)
		}
	})
}

// TestDriftMeansPlan: where there is drift there is something to do, and the
// other way round, foreign services apart.
func TestDriftMeansPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genState().Draw(t, "a"), genState().Draw(t, "b")
		if ds, steps := table.Drift(a, b), table.Plan(b, a, none); (len(ds) > 0) != (len(steps) > 0) {
			t.Errorf("drift %v, plan %v", ds, steps)
		}
	})
}
