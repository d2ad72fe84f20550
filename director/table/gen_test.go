package table_test

import (
	"net/netip"

	"pgregory.net/rapid"

	"github.com/ipvsd/ipvsd/director/table"
)

// Generators of valid tables. Keys and addresses are few, so that two tables
// have much in common.

func genKey() *rapid.Generator[table.ServiceKey] {
	return rapid.Custom(func(t *rapid.T) table.ServiceKey {
		f := rapid.SampledFrom([]table.Family{table.IPv4, table.IPv6}).Draw(t, "family")
		if rapid.Bool().Draw(t, "mark") {
			return table.ByMark(f, rapid.Uint32Range(1, 2).Draw(t, "fwmark"))
		}
		a := map[table.Family]string{table.IPv4: "192.0.2.10", table.IPv6: "2001:db8::10"}[f]
		port := rapid.SampledFrom([]uint16{80, 443}).Draw(t, "port")
		p := rapid.SampledFrom([]table.Protocol{table.TCP, table.UDP, table.SCTP}).Draw(t, "protocol")
		return table.ByAddr(p, netip.AddrPortFrom(netip.MustParseAddr(a), port))
	})
}

func genService(k table.ServiceKey) *rapid.Generator[table.Service] {
	return rapid.Custom(func(t *rapid.T) table.Service {
		s := table.Service{ServiceKey: k, Scheduler: rapid.SampledFrom(table.Schedulers).Draw(t, "scheduler")}
		s.Flags = table.Flags(rapid.IntRange(0, 7).Draw(t, "flags") * int(table.Sched1))
		if (k.Protocol == 0 || k.Protocol == table.UDP) && rapid.Bool().Draw(t, "ops") {
			s.Flags |= table.OnePacket
		}
		if rapid.Bool().Draw(t, "persistent") {
			s.Timeout = rapid.Uint32Range(1, table.MaxTimeout).Draw(t, "timeout")
			s.PrefixLen = uint8(rapid.IntRange(1, 32).Draw(t, "prefix"))
			s.PE = rapid.SampledFrom([]string{"", "sip"}).Draw(t, "engine")
		}
		// Persistence apart, the prefix means nothing and may be anything.
		return s
	})
}

func genReal(k table.ServiceKey) *rapid.Generator[table.Real] {
	return rapid.Custom(func(t *rapid.T) table.Real {
		r := table.Real{
			Forward: rapid.SampledFrom([]table.Forward{table.NAT, table.DR, table.Tun}).Draw(t, "forward"),
			Weight:  rapid.SampledFrom([]uint32{0, 0, 1, 100, 65535}).Draw(t, "weight"),
			Upper:   rapid.Uint32Range(0, 100).Draw(t, "upper"),
		}
		r.Lower = rapid.Uint32Range(0, r.Upper).Draw(t, "lower")
		port, f := k.Addr.Port(), k.Family
		switch r.Forward {
		case table.NAT:
			port = rapid.SampledFrom([]uint16{k.Addr.Port(), 8080}).Draw(t, "port")
		case table.Tun:
			f = rapid.SampledFrom([]table.Family{table.IPv4, table.IPv6}).Draw(t, "family")
			r.Tunnel.Type = uint8(rapid.IntRange(0, 2).Draw(t, "tunnel"))
			if r.Tunnel.Type != table.TunnelIPIP {
				r.Tunnel.Port = rapid.Uint16Min(1).Draw(t, "tunnel port")
				r.Tunnel.Flags = rapid.SampledFrom([]uint16{0, table.TunnelChecksum}).Draw(t, "tunnel flags")
			}
		}
		a := map[table.Family]string{table.IPv4: "10.0.0.1", table.IPv6: "fd00::1"}[f]
		addr := netip.MustParseAddr(a)
		for range rapid.IntRange(0, 3).Draw(t, "host") {
			addr = addr.Next()
		}
		r.Addr = netip.AddrPortFrom(addr, port)
		if r.Forward != table.Tun && rapid.Bool().Draw(t, "leftover") {
			r.Tunnel = table.Tunnel{Type: table.TunnelGUE, Port: 6080} // means nothing
		}
		return r
	})
}

func genState() *rapid.Generator[table.State] {
	return rapid.Custom(func(t *rapid.T) table.State {
		st := table.State{}
		for _, k := range rapid.SliceOfNDistinct(genKey(), 0, 5, rapid.ID).Draw(t, "keys") {
			e := table.Entry{Service: genService(k).Draw(t, "service"), Reals: map[netip.AddrPort]table.Real{}}
			for _, r := range rapid.SliceOfN(genReal(k), 0, 5).Draw(t, "reals") {
				e.Reals[r.Addr] = r
			}
			st[k] = e
		}
		return st
	})
}

// normal is the state as a kernel would tell it back.
func normal(st table.State) table.State {
	st = st.Clone()
	for k, e := range st {
		e.Service = e.Service.Normal()
		for a, r := range e.Reals {
			e.Reals[a] = r.Normal()
		}
		st[k] = e
	}
	return st
}
