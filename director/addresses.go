package director

import (
	"context"
	"net/netip"

	"github.com/ipvsd/ipvsd/cluster/vip"
	"github.com/ipvsd/ipvsd/director/config"
)

// WantedAddresses are the addresses that clients reach by the file: those of all
// virtual services, in the file's order, where [[vip]] or else the host's subnets
// and routes put them (Interface is "" then). The wire is asked before one is
// added, because nothing else tells a single director of a second one.
func WantedAddresses(cfg *config.Config) []vip.Want {
	var out []vip.Want
	seen := map[netip.Addr]bool{}
	want := func(p netip.Prefix, name string) {
		if !seen[p.Addr()] {
			seen[p.Addr()] = true
			out = append(out, vip.Want{Addr: p, Interface: name, Probe: true})
		}
	}
	for _, v := range cfg.VIPs {
		want(v.Address, v.Interface)
	}
	for _, v := range cfg.Virtuals {
		if key := v.Service.ServiceKey; key.Protocol != 0 {
			want(netip.PrefixFrom(key.Addr.Addr(), key.Addr.Addr().BitLen()), "")
		}
	}
	return out
}

// keptAddresses is a vip.Keeper as the director sees it.
type keptAddresses struct{ *vip.Keeper }

// KeepAddresses lets a director decide what a keeper keeps.
func KeepAddresses(k *vip.Keeper) Addresses { return keptAddresses{k} }

func (k keptAddresses) Set(cfg *config.Config) { k.Keeper.Set(WantedAddresses(cfg)) }

func (k keptAddresses) Status() []AddressStatus { return addressStatus(k.Snapshot()) }

func addressStatus(list []vip.Status) []AddressStatus {
	var out []AddressStatus
	for _, s := range list {
		a := AddressStatus{
			Address:   s.Addr.String(),
			Interface: s.Interface,
			State:     string(s.State),
			Since:     s.Since,
			Announced: uint64(s.Announced),
			Repaired:  uint64(s.Repaired),
			Error:     s.Err,
		}
		switch s.State {
		case vip.Holding:
			a.State = AddressAdded
		case vip.Own:
			a.State = AddressOwn
		case vip.Waiting, vip.Failed, vip.Lapsed:
			a.State = AddressMissing
		}
		out = append(out, a)
	}
	return out
}

func (k keptAddresses) Ping(ctx context.Context) error { return k.Keeper.Ping(ctx) }
