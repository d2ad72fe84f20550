package director

import (
	"maps"
	"net/netip"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/pool"
	"github.com/ipvsd/ipvsd/director/table"
)

// Verdicts are the checker's verdicts by stable identity. A real server that
// isn't in it has none yet.
type Verdicts map[table.Pair]checker.State

// Wanted is the table that the file and the verdicts ask for.
type Wanted struct {
	State table.State

	// Waiting are the virtual services in which nobody serves yet and a real
	// server still has no verdict: whoever serves there now, though the file no
	// longer names it, is better than nobody.
	Waiting map[table.ServiceKey]bool

	// Out are the real servers that a person took out: whatever else holds,
	// they are not in the table.
	Out map[table.Pair]bool

	// Notes are the decisions about virtual services in which a real server has
	// another weight than its verdict and the file say.
	Notes map[table.ServiceKey]pool.Decision
}

// Hold is what people want of a real server, stronger than its check. The zero
// value leaves the decision to the check.
type Hold uint8

// The two holds.
const (
	Quiet Hold = iota + 1 // weight 0
	Out                   // not in the table
)

// Holds are the real servers that a person holds back.
type Holds map[table.Pair]Hold

func newWanted(virtuals int) Wanted {
	return Wanted{
		State:   make(table.State, virtuals),
		Waiting: map[table.ServiceKey]bool{},
		Out:     map[table.Pair]bool{},
		Notes:   map[table.ServiceKey]pool.Decision{},
	}
}

// Desired is what the file, the verdicts and the operators ask for.
//
// Adopted are the real servers that the kernel held when this process first
// saw them. Until its first verdict such a server keeps the weight it had:
// one that served goes on serving over a restart, and one that a hand drained
// stays drained. A server that was never checked and that the kernel didn't
// know gets no traffic.
//
// A hold only ever takes traffic away from its own real server; the others'
// weights stay, unless the file has tiers or min_up: who is held back doesn't
// count there.
//
// The order in which health, damping, agents, slow start, tiers, min_up,
// fail-open and holds are weighed against one another is that of package pool.
// Desired remembers nothing, so that nobody is in a slow start, damped or kept
// by fail-open; the running director's pools do.
func Desired(cfg *config.Config, verdicts Verdicts, adopted map[table.Pair]table.Real, holds Holds) Wanted {
	return sight{verdicts: verdicts, adopted: adopted, holds: holds}.desired(cfg)
}

func (s sight) desired(cfg *config.Config) Wanted {
	want := newWanted(len(cfg.Virtuals) + len(cfg.CheckServices))
	for _, v := range cfg.Virtuals {
		want.add(v, s)
	}
	maps.Copy(want.State, cfg.CheckServices) // as they are: nobody's verdict or wish touches them
	return want
}

func (w Wanted) add(v config.Virtual, s sight) {
	d := s.decide(v)
	delete(w.Notes, v.Service.ServiceKey)
	if d.Notable() {
		w.Notes[v.Service.ServiceKey] = d
	}
	e := table.Entry{Service: v.Service, Reals: make(map[netip.AddrPort]table.Real, len(v.Reals)+1)}
	serving, waiting := false, false
	for i, r := range v.Reals {
		pair := table.Pair{Service: v.Service.ServiceKey, Real: r.Addr}
		real := r.Real
		real.Weight = d.Shares[i].Weight
		hold := s.holds[pair]
		if hold == Quiet && !v.Quiescent && s.verdicts[pair] == checker.Down {
			hold = Out // nobody answers its connections
		}
		delete(w.Out, pair)
		switch {
		case hold == Out:
			w.Out[pair] = true
			continue
		case hold == Quiet:
			real.Weight = 0
		case d.Shares[i].Dead:
			waiting = waiting || (s.verdicts[pair] == checker.Unknown && r.Check.Type != checker.Off)
			if !v.Quiescent {
				continue
			}
		}
		e.Reals[real.Addr] = real
		serving = serving || real.Weight > 0
	}
	if d.Fallback {
		e.Reals[v.Fallback.Addr] = *v.Fallback
	}
	w.State[v.Service.ServiceKey] = e
	if waiting && !serving {
		w.Waiting[v.Service.ServiceKey] = true
	}
}

// Retain adds to what is wanted the real servers that the file no longer names
// but clients still need:
//
//   - where the virtual service waits for a first verdict, whoever serves now
//     goes on, in the place of the fallback;
//   - one with established connections stays at weight 0, its virtual service
//     with it, so that nothing is cut. left says whether it may still do so; it
//     is asked about no other.
//
// It returns the state with the retained ones, and which they are.
func Retain(want Wanted, have table.Have, ours func(table.ServiceKey) bool, left func(table.Pair) bool) (table.State, map[table.Pair]bool) {
	out := maps.Clone(want.State)
	retained := map[table.Pair]bool{}
	for key, held := range have.State {
		entry, wanted := want.State[key]
		if !wanted && !ours(key) {
			continue
		}
		kept := map[netip.AddrPort]table.Real{}
		serving := false
		for addr, real := range held.Reals {
			pair := table.Pair{Service: key, Real: addr}
			if _, ok := entry.Reals[addr]; ok || want.Out[pair] {
				continue
			}
			if want.Waiting[key] && real.Weight > 0 {
				kept[addr], retained[pair] = real, true
				serving = true
			} else if have.Reals[pair].Active > 0 && left(pair) {
				real.Weight = 0
				kept[addr], retained[pair] = real, true
			}
		}
		if len(kept) == 0 {
			continue
		}
		if !wanted {
			entry = table.Entry{Service: held.Service}
		}
		for addr, real := range entry.Reals {
			// In a service that waits only the fallback has weight.
			if !serving || real.Weight == 0 {
				kept[addr] = real
			}
		}
		entry.Reals = kept
		out[key] = entry
	}
	return out, retained
}

// only is the part of a state that has one of the keys.
func only(s table.State, keys []table.ServiceKey) table.State {
	out := make(table.State, len(keys))
	for _, key := range keys {
		if e, ok := s[key]; ok {
			out[key] = e
		}
	}
	return out
}
