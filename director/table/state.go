package table

import (
	"cmp"
	"maps"
	"math/bits"
	"net/netip"
	"slices"
)

// Compare orders services: IPv4 before IPv6, marks before addresses, then by
// protocol, address, port and mark.
func (k ServiceKey) Compare(o ServiceKey) int {
	if c := cmp.Compare(k.Family, o.Family); c != 0 {
		return c
	}
	if c := cmp.Compare(k.Protocol, o.Protocol); c != 0 {
		return c
	}
	if c := k.Addr.Compare(o.Addr); c != 0 {
		return c
	}
	return cmp.Compare(k.FWMark, o.FWMark)
}

// Compare orders pairs by service and then by the real server's address.
func (p Pair) Compare(o Pair) int {
	if c := p.Service.Compare(o.Service); c != 0 {
		return c
	}
	return p.Real.Compare(o.Real)
}

// fullPrefix is the prefix length that stands for a single client.
func (f Family) fullPrefix() uint8 {
	if f == IPv6 {
		return 128
	}
	return 32
}

// Normal is the service as the kernel would tell it back: settings that mean
// nothing where the service isn't persistent have their one neutral value.
func (s Service) Normal() Service {
	if s.Timeout == 0 {
		s.PrefixLen = s.Family.fullPrefix()
	}
	return s
}

// Normal is the real server as the kernel would tell it back: an IPv4 address
// is never mapped into IPv6, and tunnel settings that its encapsulation
// doesn't have are zero.
func (r Real) Normal() Real {
	r.Addr = unmap(r.Addr)
	switch {
	case r.Forward != Tun:
		r.Tunnel = Tunnel{}
	case r.Tunnel.Type != TunnelGUE:
		r.Tunnel.Port = 0
	}
	return r
}

func unmap(a netip.AddrPort) netip.AddrPort {
	if a.Addr().Is4In6() {
		return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	}
	return a
}

// Live counts the real servers that get new connections.
func (e Entry) Live() int {
	n := 0
	for _, r := range e.Reals {
		if r.Weight > 0 {
			n++
		}
	}
	return n
}

// Clone copies the state down to the last map.
func (s State) Clone() State {
	c := maps.Clone(s)
	for k, e := range c {
		e.Reals = maps.Clone(e.Reals)
		c[k] = e
	}
	return c
}

// Keys lists the state's services in the order of Compare.
func (s State) Keys() []ServiceKey {
	return slices.SortedFunc(maps.Keys(s), ServiceKey.Compare)
}

// Addrs lists the entry's real servers in the order of their addresses.
func (e Entry) Addrs() []netip.AddrPort {
	return slices.SortedFunc(maps.Keys(e.Reals), netip.AddrPort.Compare)
}

// Reals counts the real servers of all services.
func (s State) Reals() int {
	n := 0
	for _, e := range s {
		n += len(e.Reals)
	}
	return n
}

// Netmask is an IPv4 prefix length as a mask in host order: 24 is 0xffffff00.
func Netmask(prefixLen uint8) uint32 {
	return ^uint32(0) << (32 - min(prefixLen, 32))
}

// PrefixLen is the length of an IPv4 mask in host order. A mask with holes,
// which only a foreign hand can have set, has no length; ok is then false and
// the length is that of its leading ones.
func PrefixLen(mask uint32) (n uint8, ok bool) {
	n = uint8(bits.LeadingZeros32(^mask))
	return n, Netmask(n) == mask
}
