package kerneltest

import (
	"math"
	"net/netip"
	"testing"

	"github.com/ipvsd/ipvsd/director/table"
)

func testDelete(t *testing.T, k Subject) {
	s := service(web4)
	full := entry(s, real(web4, 1), real(web4, 2))
	mustDo(t, k, add(state(full))...)
	// A service takes its real servers with it, and they don't come back with it.
	mustDo(t, k, step(table.DeleteService, table.Service{ServiceKey: web4}))
	mustHold(t, k, nil)
	mustDo(t, k, step(table.AddService, s))
	mustHold(t, k, state(entry(s)))
	// A real server that left comes back as it is now described.
	r := real(web4, 1, func(r *table.Real) { r.Weight, r.Upper, r.Forward = 9, 5, table.NAT })
	mustDo(t, k, step(table.AddReal, s, r), step(table.DeleteReal, s, table.Real{Addr: r.Addr}),
		step(table.AddReal, s, real(web4, 1)))
	mustHold(t, k, state(entry(s, real(web4, 1))))
}

func testExist(t *testing.T, k Subject) {
	for _, key := range keys() {
		s, r := service(key), real(key, 1)
		mustFail(t, k, step(table.EditService, s), table.ErrNoService)
		mustFail(t, k, step(table.DeleteService, s), table.ErrNoService)
		mustFail(t, k, step(table.AddReal, s, r), table.ErrNoService)
		mustFail(t, k, step(table.EditReal, s, r), table.ErrNoService)
		mustFail(t, k, step(table.DeleteReal, s, r), table.ErrNoService)
		mustDo(t, k, step(table.AddService, s))
		mustFail(t, k, step(table.AddService, s), table.ErrExist)
		mustFail(t, k, step(table.AddService, service(key, func(s *table.Service) { s.Scheduler = "wlc" })), table.ErrExist)
		mustFail(t, k, step(table.EditReal, s, r), table.ErrNoReal)
		mustFail(t, k, step(table.DeleteReal, s, r), table.ErrNoReal)
		mustDo(t, k, step(table.AddReal, s, r))
		mustFail(t, k, step(table.AddReal, s, r), table.ErrExist)
		mustFail(t, k, step(table.AddReal, s, real(key, 1, func(r *table.Real) { r.Weight = 50 })), table.ErrExist)
		other := r
		other.Addr = netip.AddrPortFrom(r.Addr.Addr(), 4711)
		mustFail(t, k, step(table.DeleteReal, s, other), table.ErrNoReal)
	}
}

func testInvalid(t *testing.T, k Subject) {
	mustDo(t, k, add(state(
		entry(service(web4), real(web4, 1)),
		entry(service(web6), real(web6, 1)),
	))...)
	for what, s := range badServices() {
		t.Run(what, func(t *testing.T) {
			mustFail(t, k, step(table.AddService, s), table.ErrInvalid)
			mustFail(t, k, step(table.EditService, s), table.ErrInvalid)
		})
	}
	for what, r := range badReals() {
		t.Run(what, func(t *testing.T) {
			mustFail(t, k, step(table.AddReal, service(web4), r), table.ErrInvalid)
			r.Addr = real(web4, 1).Addr
			if r.Validate(web4) == nil {
				return // only its address was bad
			}
			mustFail(t, k, step(table.EditReal, service(web4), r), table.ErrInvalid)
		})
	}
	local := real(web6, 1, func(r *table.Real) { r.Addr = netip.MustParseAddrPort("[fe80::1]:80") })
	mustFail(t, k, step(table.AddReal, service(web6), local), table.ErrInvalid)
	mustFail(t, k, step(table.Op(0), service(web4)), table.ErrInvalid)
	mustFail(t, k, step(table.Op(99), service(web4), real(web4, 1)), table.ErrInvalid)
	mustFail(t, k, step(table.DeleteReal, service(web4)), table.ErrInvalid)
	pe := service(mark4, func(s *table.Service) { s.Timeout, s.PrefixLen, s.PE = 5, 32, "nosuch" })
	mustFail(t, k, step(table.AddService, pe), table.ErrScheduler)
}

func badServices() map[string]table.Service {
	udp := table.ByAddr(table.UDP, web4.Addr)
	persistent := func(n uint8) func(*table.Service) {
		return func(s *table.Service) { s.Timeout, s.PrefixLen = 300, n }
	}
	return map[string]table.Service{
		"no key":            {Scheduler: "rr"},
		"no family":         {ServiceKey: table.ServiceKey{FWMark: 3}, Scheduler: "rr"},
		"no mark":           service(table.ByMark(table.IPv4, 0)),
		"mark and address":  service(table.ServiceKey{Family: table.IPv4, Protocol: table.TCP, Addr: web4.Addr, FWMark: 1}),
		"icmp":              service(table.ByAddr(1, web4.Addr)),
		"no address":        service(table.ServiceKey{Family: table.IPv4, Protocol: table.TCP}),
		"other family":      service(table.ServiceKey{Family: table.IPv6, Protocol: table.TCP, Addr: web4.Addr}),
		"no scheduler":      service(web4, func(s *table.Service) { s.Scheduler = "" }),
		"long scheduler":    service(web4, func(s *table.Service) { s.Scheduler = "sixteen-letters-" }),
		"odd scheduler":     service(web4, func(s *table.Service) { s.Scheduler = "r r" }),
		"long engine":       service(udp, persistent(32), func(s *table.Service) { s.PE = "sixteen-letters-" }),
		"engine alone":      service(udp, func(s *table.Service) { s.PE = "sip" }),
		"one-packet of tcp": service(web4, func(s *table.Service) { s.Flags = table.OnePacket }),
		"unknown flag":      service(web4, func(s *table.Service) { s.Flags = 0x80 }),
		"flag persistent":   service(web4, func(s *table.Service) { s.Flags = 1 }),
		"prefix 33":         service(web4, persistent(33)),
		"prefix 129":        service(web6, persistent(129)),
		"prefix 0 in ipv6":  service(web6, persistent(0)),
		"long timeout":      service(web4, func(s *table.Service) { s.Timeout, s.PrefixLen = table.MaxTimeout+1, 32 }),
		"port 0":            service(table.ByAddr(table.TCP, netip.AddrPortFrom(web4.Addr.Addr(), 0))),
	}
}

func badReals() map[string]table.Real {
	at := func(a string) table.Real {
		return real(web4, 1, func(r *table.Real) { r.Addr = netip.MustParseAddrPort(a) })
	}
	with := func(change func(*table.Real)) table.Real { return real(web4, 2, change) }
	tunnel := func(tun table.Tunnel) table.Real {
		r := real(web4, 2)
		r.Forward, r.Tunnel = table.Tun, tun
		return r
	}
	return map[string]table.Real{
		"no real server":       {Forward: table.DR, Weight: 1},
		"unspecified":          at("0.0.0.0:80"),
		"broadcast":            at("255.255.255.255:80"),
		"multicast":            at("224.0.0.1:80"),
		"dr of another family": at("[2001:db8::1]:80"),
		"dr to another port":   at("198.51.100.2:8080"),
		"nat to port 0":        with(func(r *table.Real) { r.Forward, r.Addr = table.NAT, netip.AddrPortFrom(r.Addr.Addr(), 0) }),
		"local":                with(func(r *table.Real) { r.Forward = table.Local }),
		"bypass":               with(func(r *table.Real) { r.Forward = table.Bypass }),
		"forward 7":            with(func(r *table.Real) { r.Forward = 7 }),
		"heavy":                with(func(r *table.Real) { r.Weight = math.MaxUint32 }),
		"lower above upper":    with(func(r *table.Real) { r.Upper, r.Lower = 10, 11 }),
		"lower alone":          with(func(r *table.Real) { r.Lower = 1 }),
		"huge upper":           with(func(r *table.Real) { r.Upper = math.MaxUint32 }),
		"gue without a port":   tunnel(table.Tunnel{Type: table.TunnelGUE}),
		"tunnel type 3":        tunnel(table.Tunnel{Type: 3}),
		"ipip with checksum":   tunnel(table.Tunnel{Flags: table.TunnelChecksum}),
		"gre with remcsum":     tunnel(table.Tunnel{Type: table.TunnelGRE, Flags: table.TunnelRemoteChecksum}),
		"tunnel flag 4":        tunnel(table.Tunnel{Type: table.TunnelGUE, Port: 1, Flags: 4}),
	}
}
