// Package table is the model of the kernel's IPVS table: virtual services,
// real servers, the steps that change them and the plan that leads from what
// the kernel holds to what is wanted. Everything here is a pure function on
// comparable values; no clock, no kernel, no logger.
//
// Terms and limits follow the kernel's include/uapi/linux/ip_vs.h and
// net/netfilter/ipvs/ip_vs_ctl.c; the printed form follows ipvsadm(8).
package table

import (
	"fmt"
	"net/netip"
)

// Family is the address family of a virtual service. A service by address has
// the family of its address; a service by firewall mark has to say it.
type Family uint8

// The two families that IPVS knows.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

func (f Family) String() string {
	if f == IPv6 {
		return "ipv6"
	}
	return "ipv4"
}

// FamilyOf returns the family of an address.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() || a.Is4In6() {
		return IPv4
	}
	return IPv6
}

// Protocol is an IP protocol number (RFC 790 and successors). The zero value
// belongs to services by firewall mark.
type Protocol uint8

// The protocols that IPVS balances by address and port.
const (
	TCP  Protocol = 6
	UDP  Protocol = 17
	SCTP Protocol = 132
)

func (p Protocol) String() string {
	switch p {
	case 0:
		return "fwmark"
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case SCTP:
		return "sctp"
	}
	return fmt.Sprintf("protocol-%d", uint8(p))
}

// Forward is a packet forwarding method, with the kernel's numbers
// (IP_VS_CONN_F_FWD_MASK).
type Forward uint8

// The forwarding methods. Local and Bypass are the kernel's own; a file can't
// ask for them, but a foreign hand may have set them.
const (
	NAT    Forward = 0
	Local  Forward = 1
	Tun    Forward = 2
	DR     Forward = 3
	Bypass Forward = 4
)

func (f Forward) String() string {
	switch f {
	case NAT:
		return "nat"
	case Local:
		return "local"
	case Tun:
		return "tun"
	case DR:
		return "dr"
	case Bypass:
		return "bypass"
	}
	return fmt.Sprintf("forward-%d", uint8(f))
}

// Flags are the scheduler and packet flags of a virtual service
// (IP_VS_SVC_F_*). Persistence has its own field and the kernel's HASHED bit
// is never part of it.
type Flags uint32

// The flags that a user sets. Sched1 to Sched3 mean what the scheduler says:
// sh-fallback and mh-fallback are Sched1, sh-port and mh-port are Sched2.
const (
	OnePacket Flags = 0x0004
	Sched1    Flags = 0x0008
	Sched2    Flags = 0x0010
	Sched3    Flags = 0x0020
	FlagsMask       = OnePacket | Sched1 | Sched2 | Sched3
)

// ServiceKey is the identity of a virtual service: family, and protocol with
// address and port, or a firewall mark.
type ServiceKey struct {
	Family   Family
	Protocol Protocol       // 0 for a firewall mark
	Addr     netip.AddrPort // zero for a firewall mark
	FWMark   uint32
}

// ByAddr is the identity of a virtual service by address and port.
func ByAddr(p Protocol, a netip.AddrPort) ServiceKey {
	a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	return ServiceKey{Family: FamilyOf(a.Addr()), Protocol: p, Addr: a}
}

// ByMark is the identity of a virtual service by firewall mark.
func ByMark(f Family, mark uint32) ServiceKey {
	return ServiceKey{Family: f, FWMark: mark}
}

// String names the service for people: "192.0.2.10:80/tcp", "fwmark 1/ipv4".
func (k ServiceKey) String() string {
	if k.Protocol == 0 {
		return fmt.Sprintf("fwmark %d/%s", k.FWMark, k.Family)
	}
	return fmt.Sprintf("%s/%s", k.Addr, k.Protocol)
}

// Service is a virtual service with its settings.
type Service struct {
	ServiceKey
	Scheduler string // the kernel module's name without "ip_vs_"
	Flags     Flags
	Timeout   uint32 // persistence in seconds; 0: not persistent
	PrefixLen uint8  // clients are kept together by this prefix: 0..32 or 1..128; full length where not persistent
	PE        string // persistence engine, "" or "sip"
}

// Tunnel is the encapsulation of a real server with forwarding method Tun
// (IPVS_DEST_ATTR_TUN_*). The zero value is IPIP.
type Tunnel struct {
	Type  uint8  // 0 IPIP, 1 GUE, 2 GRE
	Port  uint16 // GUE's UDP port
	Flags uint16
}

// Real is a real server of one virtual service; Addr is its identity there.
type Real struct {
	Addr    netip.AddrPort
	Forward Forward
	Weight  uint32 // 0: quiescent
	Upper   uint32 // no new connections above; 0: no limit
	Lower   uint32 // … until below this again
	Tunnel  Tunnel
}

// Pair is the stable identity of a real server under a virtual service.
type Pair struct {
	Service ServiceKey
	Real    netip.AddrPort
}

func (p Pair) String() string { return fmt.Sprintf("%s -> %s", p.Service, p.Real) }

// Entry is one virtual service with its real servers by address and port. An
// IPv4 address is never in its IPv6-mapped form, here or in any other key:
// keys are compared as they are.
type Entry struct {
	Service Service
	Reals   map[netip.AddrPort]Real
}

// State is a whole table, or the wanted part of one.
type State map[ServiceKey]Entry

// Counters are the kernel's figures of one real server or virtual service.
type Counters struct {
	Active     uint32 // established connections
	Inactive   uint32 // all others, such as FIN_WAIT and UDP
	Persistent uint32 // persistence templates

	Conns, PacketsIn, PacketsOut, BytesIn, BytesOut uint64 // since the entry was made
}

// Have is what the kernel answered to a read.
type Have struct {
	State    State
	Reals    map[Pair]Counters
	Services map[ServiceKey]Counters // Active, Inactive and Persistent are 0 here
}
