package ipvs

import (
	"fmt"
	"math/bits"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/director/table"
)

// decodeService reads the attributes of a virtual service.
func decodeService(b []byte) (table.Service, table.Counters, error) {
	var (
		s                       table.Service
		c                       table.Counters
		addr                    []byte
		port, family            uint16
		netmask, flags, timeout uint32
	)
	for kind, v := range attrs(b) {
		switch kind {
		case svcFamily:
			family = num16(v)
		case svcProtocol:
			s.Protocol = table.Protocol(num16(v))
		case svcAddr:
			addr = v
		case svcPort:
			port = num16be(v)
		case svcFWMark:
			s.FWMark = num32(v)
		case svcScheduler:
			s.Scheduler = name(v)
		case svcFlags:
			flags = num32(v)
		case svcTimeout:
			timeout = num32(v)
		case svcNetmask:
			netmask = num32(v)
		case svcPE:
			s.PE = name(v)
		case svcStats64:
			decodeStats(v, &c)
		case svcStats: // 32 bits, before Linux 4.1
			if c == (table.Counters{}) {
				decodeStats(v, &c)
			}
		}
	}
	switch family {
	case unix.AF_INET:
		s.Family = table.IPv4
	case unix.AF_INET6:
		s.Family = table.IPv6
	default:
		return s, c, fmt.Errorf("%w: a service of family %d", errMalformed, family)
	}
	if s.FWMark != 0 {
		s.Protocol = 0 // the kernel files it under tcp
	} else {
		a, ok := address(family, addr)
		if !ok {
			return s, c, fmt.Errorf("%w: a service without address", errMalformed)
		}
		s.Addr = netip.AddrPortFrom(a, port)
	}
	s.Flags = table.Flags(flags) & table.FlagsMask // without HASHED, which is the kernel's own
	if flags&flagPersistent != 0 {
		s.Timeout = timeout
		s.PrefixLen = prefixLen(s.Family, netmask)
	}
	return s.Normal(), c, nil
}

// prefixLen reads the netmask attribute: for IPv4 a mask in network byte
// order, for IPv6 a length in host order.
func prefixLen(f table.Family, netmask uint32) uint8 {
	if f == table.IPv6 {
		return uint8(min(netmask, 128))
	}
	n, _ := table.PrefixLen(hostOrder(netmask))
	return n
}

// netmask is the inverse of prefixLen.
func netmask(f table.Family, prefixLen uint8) uint32 {
	if f == table.IPv6 {
		return uint32(prefixLen)
	}
	return hostOrder(table.Netmask(prefixLen))
}

// hostOrder turns four bytes in network order, read as a native number, into
// the number they mean, and back.
func hostOrder(n uint32) uint32 {
	if native.Uint16([]byte{1, 0}) == 1 {
		return bits.ReverseBytes32(n)
	}
	return n
}

// decodeReal reads the attributes of a real server.
func decodeReal(b []byte, c *counted) error {
	var (
		addr         []byte
		port, family uint16
		r            = &c.real
	)
	for kind, v := range attrs(b) {
		switch kind {
		case realFamily:
			family = num16(v)
		case realAddr:
			addr = v
		case realPort:
			port = num16be(v)
		case realForward:
			r.Forward = table.Forward(num32(v) & forwardMask)
		case realWeight:
			r.Weight = num32(v)
		case realUpper:
			r.Upper = num32(v)
		case realLower:
			r.Lower = num32(v)
		case realActive:
			c.counters.Active = num32(v)
		case realInactive:
			c.counters.Inactive = num32(v)
		case realPersistent:
			c.counters.Persistent = num32(v)
		case realTunnelType:
			if len(v) > 0 {
				r.Tunnel.Type = v[0]
			}
		case realTunnelPort:
			r.Tunnel.Port = num16be(v)
		case realTunnelFlags:
			r.Tunnel.Flags = num16(v)
		case realStats64:
			decodeStats(v, &c.counters)
		case realStats: // 32 bits, before Linux 4.1; overwritten by the above
			if c.counters.Conns == 0 && c.counters.PacketsIn == 0 {
				decodeStats(v, &c.counters)
			}
		}
	}
	a, ok := address(family, addr)
	if !ok {
		return fmt.Errorf("%w: a real server of family %d", errMalformed, family)
	}
	r.Addr = netip.AddrPortFrom(a, port)
	*r = r.Normal()
	return nil
}

// address reads an address attribute: the kernel sends 16 bytes in any case.
// Linux before 3.18 doesn't tell the family of a real server; those are long
// out of use.
func address(family uint16, b []byte) (netip.Addr, bool) {
	switch {
	case family == unix.AF_INET && len(b) >= 4:
		return netip.AddrFrom4([4]byte(b[:4])), true
	case family == unix.AF_INET6 && len(b) >= 16:
		return netip.AddrFrom16([16]byte(b[:16])), true
	}
	return netip.Addr{}, false
}

func decodeStats(b []byte, c *table.Counters) {
	for kind, v := range attrs(b) {
		switch kind {
		case statsConns:
			c.Conns = num(v)
		case statsPacketsIn:
			c.PacketsIn = num(v)
		case statsPacketsOut:
			c.PacketsOut = num(v)
		case statsBytesIn:
			c.BytesIn = num(v)
		case statsBytesOut:
			c.BytesOut = num(v)
			return // rates follow
		}
	}
}

// name is a string attribute, without an allocation for the usual ones.
func name(b []byte) string {
	for i, c := range b {
		if c == 0 {
			b = b[:i]
			break
		}
	}
	for _, s := range table.Schedulers {
		if string(b) == s {
			return s
		}
	}
	return string(b)
}
