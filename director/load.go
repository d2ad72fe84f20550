package director

import (
	"context"
	"errors"
	"net/netip"

	"github.com/ipvsd/ipvsd/director/table"
)

// Loads is how many connections each real server has, in the order of Status,
// for who wants to know nothing else of 10,000 of them.
type Loads struct {
	Virtuals []VirtualLoad
	Err      error // why the kernel's counts lack; nil: they don't
}

// VirtualLoad is one virtual service.
type VirtualLoad struct {
	Name  string
	Reals []RealLoad
}

// RealLoad is one of its real servers.
type RealLoad struct {
	Address          string
	Active, Inactive uint32
}

// Loads counts with one read of the kernel.
func (d *Director) Loads(ctx context.Context) Loads {
	cfg := d.Config()
	have, err := d.opts.Kernel.Read(ctx)
	out := Loads{Virtuals: make([]VirtualLoad, len(cfg.Virtuals)), Err: err}
	for i, v := range cfg.Virtuals {
		key := v.Service.ServiceKey
		load := VirtualLoad{Name: v.Name, Reals: make([]RealLoad, 0, len(v.Reals)+1)}
		add := func(addr netip.AddrPort) {
			c := have.Reals[table.Pair{Service: key, Real: addr}]
			load.Reals = append(load.Reals, RealLoad{addr.String(), c.Active, c.Inactive})
		}
		for _, r := range v.Reals {
			add(r.Addr)
		}
		for _, addr := range others(v, have) {
			add(addr)
		}
		out.Virtuals[i] = load
	}
	return out
}

// LoadsOf are the loads that a status tells of.
func LoadsOf(st *Status) Loads {
	out := Loads{Virtuals: make([]VirtualLoad, len(st.Virtuals))}
	if st.Kernel.ReadError != "" {
		out.Err = errors.New(st.Kernel.ReadError)
	}
	for i := range st.Virtuals {
		v := &st.Virtuals[i]
		load := VirtualLoad{Name: v.Name, Reals: make([]RealLoad, len(v.Reals))}
		for j := range v.Reals {
			load.Reals[j] = RealLoad{v.Reals[j].Address, v.Reals[j].Active, v.Reals[j].Inactive}
		}
		out.Virtuals[i] = load
	}
	return out
}
