package director

import (
	"cmp"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/table"
)

// Planned is one step that the director would carry out now.
type Planned struct {
	table.Step
	Cuts      uint32 // active connections that it breaks
	Finishing uint32 // active connections that may finish, within [director] removal_grace
}

// Preview is what a director that starts or reloads with cfg would do first to
// the kernel that have describes. verdicts are those of a running director, nil
// where none runs; owned are the virtual services that are ours.
func Preview(cfg *config.Config, have table.Have, verdicts Verdicts, holds Holds, owned map[table.ServiceKey]bool) []Planned {
	adopted := map[table.Pair]table.Real{}
	inFile := map[table.Pair]bool{}
	mine := map[table.ServiceKey]bool{}
	for key := range owned {
		mine[key] = true
	}
	for _, v := range cfg.Virtuals {
		key := v.Service.ServiceKey
		mine[key] = true
		for _, r := range v.Reals {
			pair := table.Pair{Service: key, Real: r.Addr}
			inFile[pair] = true
			if held, ok := have.State[key].Reals[r.Addr]; ok && verdicts[pair] == checker.Unknown {
				adopted[pair] = held
			}
		}
	}
	ours := func(k table.ServiceKey) bool { return mine[k] }
	want, retained := Retain(Desired(cfg, verdicts, adopted, holds), have, ours, func(p table.Pair) bool {
		return !inFile[p] && cfg.Director.RemovalGrace > 0 && !cfg.Director.IsCheckMark(p.Service)
	})

	var out []Planned
	for _, s := range table.Plan(have.State, want, ours) {
		p := Planned{Step: s}
		switch active := have.Reals[s.Pair()].Active; {
		case s.Op == table.DeleteReal:
			p.Cuts = active
		case s.Op == table.EditReal && retained[s.Pair()]:
			p.Finishing = active
		case s.Op == table.DeleteService:
			for addr := range have.State[s.Service.ServiceKey].Reals {
				p.Cuts += have.Reals[table.Pair{Service: s.Service.ServiceKey, Real: addr}].Active
			}
		}
		out = append(out, p)
	}
	return out
}

// VerdictsOf reads the verdicts over cfg's real servers from the status of a
// running director.
func VerdictsOf(s Status, cfg *config.Config) Verdicts {
	states := map[string]checker.State{}
	for _, v := range s.Virtuals {
		for _, r := range v.Reals {
			if r.Passing { // only the director knows what it remembers: the weight stays
				continue
			}
			switch cmp.Or(r.Verdict, r.State) {
			case StateUp:
				states[v.Service+" -> "+r.Address] = checker.Up
			case StateDown:
				states[v.Service+" -> "+r.Address] = checker.Down
			}
		}
	}
	out := Verdicts{}
	for _, v := range cfg.Virtuals {
		for _, r := range v.Reals {
			pair := table.Pair{Service: v.Service.ServiceKey, Real: r.Addr}
			if state, ok := states[pair.String()]; ok {
				out[pair] = state
			}
		}
	}
	return out
}
