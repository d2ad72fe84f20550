package table

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
)

// Limits of the kernel and of ipvsadm.
const (
	MaxWeight  = math.MaxInt32 // the kernel's weight is a signed 32-bit number; ipvsadm stops at 65535
	MaxTimeout = 31 * 86400    // seconds; ipvsadm's limit. Far above it the kernel's jiffies overflow.
	maxName    = 15            // IP_VS_SCHEDNAME_MAXLEN and IP_VS_PENAME_MAXLEN less the closing zero
)

// The kernel's tunnel types and flags (IP_VS_CONN_F_TUNNEL_TYPE_*,
// IP_VS_TUNNEL_ENCAP_FLAG_*).
const (
	TunnelIPIP uint8 = 0
	TunnelGUE  uint8 = 1
	TunnelGRE  uint8 = 2

	TunnelChecksum       uint16 = 1
	TunnelRemoteChecksum uint16 = 2
)

// Schedulers are those that Linux ships, in the order of their age. Older or
// smaller kernels lack some; only the kernel's answer counts.
var Schedulers = []string{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos"}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// Validate tells what no kernel can do, and what a kernel would take but
// ipvsadm could not say: a step has to mean the same in the log, on a command
// line and in the kernel.
func (s Step) Validate() error {
	if err := s.Service.ServiceKey.Validate(); err != nil {
		return err
	}
	switch s.Op {
	case AddService, EditService:
		return s.Service.Validate()
	case AddReal, EditReal:
		return s.Real.Validate(s.Service.ServiceKey)
	case DeleteService:
		return nil
	case DeleteReal:
		if a := s.Real.Addr; !a.IsValid() || a.Addr().Zone() != "" {
			return invalid("real server address %s", a)
		}
		return nil
	}
	return invalid("operation %d", s.Op)
}

// Validate checks that the key names a service that can exist.
func (k ServiceKey) Validate() error {
	if k.Family != IPv4 && k.Family != IPv6 {
		return invalid("family %d of service %s", uint8(k.Family), k)
	}
	switch k.Protocol {
	case 0:
		if k.FWMark == 0 {
			return invalid("a service needs an address or a firewall mark above 0")
		}
		if k.Addr.IsValid() {
			return invalid("service %s has an address beside its firewall mark", k)
		}
		return nil
	case TCP, UDP, SCTP:
	default:
		return invalid("%s is not balanced by IPVS", k.Protocol)
	}
	a := k.Addr.Addr()
	switch {
	case k.FWMark != 0:
		return invalid("service %s has a firewall mark beside its address", k)
	case !a.IsValid() || a.Is4In6() || a.Zone() != "":
		return invalid("service address %s", k.Addr)
	case FamilyOf(a) != k.Family:
		return invalid("service %s is not %s", k, k.Family)
	}
	return nil
}

// Validate checks a service's settings.
func (s Service) Validate() error {
	if err := s.ServiceKey.Validate(); err != nil {
		return err
	}
	s = s.Normal()
	switch {
	case s.Scheduler == "" || !isName(s.Scheduler):
		return invalid("scheduler name %q", s.Scheduler)
	case s.PE != "" && !isName(s.PE):
		return invalid("persistence engine name %q", s.PE)
	case s.PE != "" && s.Timeout == 0:
		return invalid("persistence engine %s on a service without persistence", s.PE)
	case s.Flags&^FlagsMask != 0:
		return invalid("service flags %#x", uint32(s.Flags&^FlagsMask))
	case s.Timeout > MaxTimeout:
		return invalid("persistence of %d s; the limit is %d s (31 days)", s.Timeout, MaxTimeout)
	case s.PrefixLen > s.Family.fullPrefix():
		return invalid("persistence prefix /%d for %s", s.PrefixLen, s.Family)
	case s.PrefixLen == 0 && s.Family == IPv6:
		return invalid("persistence prefix /0 for ipv6; the kernel starts at /1")
	case s.Flags&OnePacket != 0 && s.Protocol != UDP && s.Protocol != 0:
		return invalid("one-packet scheduling of %s; only udp and firewall marks have it", s.Protocol)
	case s.Protocol != 0 && s.Addr.Port() == 0 && s.Timeout == 0:
		return invalid("port 0 (every port) on a service without persistence")
	}
	return nil
}

// Validate checks a real server's settings as a member of service k.
func (r Real) Validate(k ServiceKey) error {
	r = r.Normal()
	a := r.Addr.Addr()
	switch {
	case !a.IsValid() || a.Zone() != "" || a.IsMulticast() || a.IsUnspecified() || a == broadcast:
		return invalid("real server address %s", r.Addr)
	case !slices.Contains([]Forward{NAT, Tun, DR}, r.Forward):
		return invalid("forwarding method %s", r.Forward)
	case FamilyOf(a) != k.Family && r.Forward != Tun:
		return invalid("real server %s is not %s like its service; only tun can mix families", r.Addr, k.Family)
	case k.Protocol != 0 && r.Forward != NAT && r.Addr.Port() != k.Addr.Port():
		return invalid("real server %s has another port than its service; only nat can change it", r.Addr)
	case k.Protocol != 0 && k.Addr.Port() != 0 && r.Addr.Port() == 0:
		return invalid("port 0 of real server %s", r.Addr)
	case r.Weight > MaxWeight:
		return invalid("weight %d; the limit is %d", r.Weight, MaxWeight)
	case r.Upper > math.MaxInt32:
		return invalid("upper threshold %d; the limit is %d", r.Upper, math.MaxInt32)
	case r.Lower > r.Upper:
		return invalid("lower threshold %d above the upper one, %d", r.Lower, r.Upper)
	}
	return r.Tunnel.validate()
}

func (t Tunnel) validate() error {
	switch {
	case t.Type > TunnelGRE:
		return invalid("tunnel type %d", t.Type)
	case t.Type == TunnelGUE && t.Port == 0:
		return invalid("a gue tunnel needs a port")
	case t.Flags&^(TunnelChecksum|TunnelRemoteChecksum) != 0,
		t.Flags == TunnelChecksum|TunnelRemoteChecksum,
		t.Flags != 0 && t.Type == TunnelIPIP,
		t.Flags == TunnelRemoteChecksum && t.Type != TunnelGUE:
		return invalid("tunnel flags %#x for tunnel type %s", t.Flags, tunnelName(t.Type))
	}
	return nil
}

// isName tells whether the kernel and a shell take s as a module's name.
func isName(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return len(s) <= maxName
}
