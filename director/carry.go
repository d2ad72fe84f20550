package director

import (
	"net/netip"

	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/ipvs/handover"
	"github.com/ipvsd/ipvsd/director/ipvs/syncd"
	"github.com/ipvsd/ipvsd/director/table"
)

// moved tells the keeper of young connections what a group's change of state
// means to them. It is called on the way of a move and only leaves word.
func (m *Member) moved(t core.Transition) {
	phase := handover.Away
	switch {
	case t.To == core.Releasing:
		phase = handover.Leaving
	case t.To == core.Active && t.Reason.Code == core.HandedOver:
		phase = handover.Taken
	case t.To == core.Active:
		phase = handover.Ours
	}
	m.young.Tell(t.Group, phase)
}

// handoverSettings is what the file says about young connections: they are told
// of where connections are synchronised at all.
func handoverSettings(cfg *config.Config, want syncd.Want) handover.Settings {
	s := handover.Settings{Sync: want, Groups: make(map[string][]netip.Addr)}
	for _, g := range cfg.Groups {
		s.Groups[g.Name] = g.VIPs
	}
	for _, v := range cfg.Virtuals {
		reals := make([]table.Real, 0, len(v.Reals)+1)
		for _, r := range v.Reals {
			reals = append(reals, r.Real)
		}
		if v.Fallback != nil {
			reals = append(reals, *v.Fallback)
		}
		s.Services = append(s.Services, handover.Service{Key: v.Service.ServiceKey, Reals: reals})
	}
	return s
}
