package director_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/table"
)

// TestDesiredHolds: a hold takes its own real server's traffic and nothing else.
func TestDesiredHolds(t *testing.T) {
	both := director.Verdicts{pair(web1): checker.Up, pair(web2): checker.Up}
	for _, tt := range []struct {
		name      string
		quiescent bool
		verdicts  director.Verdicts
		holds     director.Holds
		want      map[string]uint32
	}{
		{"draining", true, both, director.Holds{pair(web1): director.Quiet}, map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 5}},
		{"draining where not quiescent", false, both, director.Holds{pair(web1): director.Quiet}, map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 5}},
		{"out", true, both, director.Holds{pair(web1): director.Out}, map[string]uint32{"192.168.0.102:80": 5}},
		{
			"draining and down where not quiescent", false,
			director.Verdicts{pair(web1): checker.Down, pair(web2): checker.Up},
			director.Holds{pair(web1): director.Quiet},
			map[string]uint32{"192.168.0.102:80": 5},
		},
		{"the last one draining", true, both, director.Holds{pair(web1): director.Quiet, pair(web2): director.Quiet}, map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 0, "127.0.0.1:80": 1}},
		{"the last one out", true, both, director.Holds{pair(web1): director.Out, pair(web2): director.Out}, map[string]uint32{"127.0.0.1:80": 1}},
		{"draining without a verdict", true, director.Verdicts{pair(web2): checker.Up}, director.Holds{pair(web1): director.Quiet}, map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 5}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := director.Desired(webConfig(tt.quiescent), tt.verdicts, nil, tt.holds)
			if diff := cmp.Diff(tt.want, weights(got.State[webKey])); diff != "" {
				t.Errorf("weights (-want +got):\n%s", diff)
			}
		})
	}
}

// TestHoldsProperty tries everything that can be true at once: nobody who is
// held back ever gets a new connection, whatever the kernel holds, and the
// others' weights are what they were.
func TestHoldsProperty(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	states := []checker.State{checker.Unknown, checker.Up, checker.Down}
	for range 5000 {
		cfg := webConfig(r.IntN(2) == 0)
		verdicts, holds, adopted := director.Verdicts{}, director.Holds{}, map[table.Pair]table.Real{}
		have := table.Have{State: table.State{webKey: {Service: cfg.Virtuals[0].Service, Reals: map[netip.AddrPort]table.Real{}}}, Reals: map[table.Pair]table.Counters{}}
		for _, real := range cfg.Virtuals[0].Reals {
			p := pair(real.Addr)
			verdicts[p] = states[r.IntN(3)]
			holds[p] = director.Hold(r.IntN(3))
			if r.IntN(2) == 0 {
				held := real.Real
				held.Weight = uint32(r.IntN(3))
				have.State[webKey].Reals[real.Addr] = held
				have.Reals[p] = table.Counters{Active: uint32(r.IntN(2))}
				if r.IntN(2) == 0 {
					adopted[p] = held
				}
			}
		}
		ours := func(table.ServiceKey) bool { return true }
		inFile := func(table.Pair) bool { return false } // none of these left it
		want, free := director.Desired(cfg, verdicts, adopted, holds), director.Desired(cfg, verdicts, adopted, nil)
		held, _ := director.Retain(want, have, ours, inFile)
		for _, real := range cfg.Virtuals[0].Reals {
			got, in := held[webKey].Reals[real.Addr]
			switch holds[pair(real.Addr)] {
			case director.Quiet:
				if got.Weight > 0 {
					t.Fatalf("draining %s has weight %d: %v, %v", real.Addr, got.Weight, verdicts, have.State)
				}
			case director.Out:
				if in {
					t.Fatalf("%s is out and in the table: %v, %v", real.Addr, verdicts, have.State)
				}
			default:
				before, after := free.State[webKey].Reals[real.Addr], want.State[webKey].Reals[real.Addr]
				if before != after || after.Weight > 0 && got != after {
					t.Fatalf("%s isn't held, and changes from %+v to %+v", real.Addr, before, got)
				}
			}
		}
	}
}
