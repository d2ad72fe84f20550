package table

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Op is what a step does.
type Op uint8

// The operations, in no particular order: Plan argues the order.
const (
	AddService Op = iota + 1
	EditService
	DeleteService
	AddReal
	EditReal
	DeleteReal
)

// Step is one change of the kernel's table, as data. For an operation on a
// real server only the key of Service counts. Its printed form is ipvsadm's
// command line without the program's name, and is the same in the log, in
// `ipvsd plan` and in golden files.
type Step struct {
	Op      Op
	Service Service
	Real    Real
}

// Pair is the real server that the step touches; its Real is zero for a step
// on a virtual service.
func (s Step) Pair() Pair { return Pair{s.Service.ServiceKey, s.Real.Addr} }

// String prints the step in ipvsadm's syntax, for example
// "-a -t 192.0.2.10:80 -r 10.0.0.11:80 -g -w 100". Pasted after "ipvsadm" it
// has the effect that the step has. Taking new connections away from a real
// server prints as what it is, an edit to weight 0: "-e … -w 0".
func (s Step) String() string {
	return strings.Join(s.args(), " ")
}

func (s Step) args() []string {
	key := s.Service.ServiceKey.args()
	switch s.Op {
	case AddService:
		return append(append([]string{"-A"}, key...), s.Service.args()...)
	case EditService:
		return append(append([]string{"-E"}, key...), s.Service.args()...)
	case DeleteService:
		return append([]string{"-D"}, key...)
	case AddReal:
		return append(append([]string{"-a"}, key...), s.Real.args()...)
	case EditReal:
		return append(append([]string{"-e"}, key...), s.Real.args()...)
	case DeleteReal:
		return append(append([]string{"-d"}, key...), "-r", s.Real.Addr.String())
	}
	return []string{fmt.Sprintf("operation-%d", s.Op)}
}

// args names the service. ipvsadm wants -6 after -f, and all of it before the
// netmask and the real server.
func (k ServiceKey) args() []string {
	switch k.Protocol {
	case 0:
		a := []string{"-f", strconv.FormatUint(uint64(k.FWMark), 10)}
		if k.Family == IPv6 {
			a = append(a, "-6")
		}
		return a
	case UDP:
		return []string{"-u", k.Addr.String()}
	case SCTP:
		return []string{"--sctp-service", k.Addr.String()}
	}
	return []string{"-t", k.Addr.String()}
}

func (s Service) args() []string {
	s = s.Normal()
	a := []string{"-s", s.Scheduler}
	if s.Timeout != 0 {
		a = append(a, "-p", strconv.FormatUint(uint64(s.Timeout), 10))
	}
	if s.PrefixLen != s.Family.fullPrefix() {
		a = append(a, "-M", s.mask())
	}
	if s.Flags&OnePacket != 0 {
		a = append(a, "-o")
	}
	if names := FlagNames(s.Scheduler, s.Flags); len(names) > 0 {
		a = append(a, "-b", strings.Join(names, ","))
	}
	if s.PE != "" {
		a = append(a, "--pe", s.PE)
	}
	return a
}

// mask is the persistence prefix as ipvsadm wants it: a dotted mask for IPv4,
// a length for IPv6.
func (s Service) mask() string {
	if s.Family == IPv6 {
		return strconv.Itoa(int(s.PrefixLen))
	}
	m := Netmask(s.PrefixLen)
	return netip.AddrFrom4([4]byte{byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)}).String()
}

// FlagNames names the scheduler flags as ipvsadm's option -b does: sh and mh
// have words of their own for the first two.
func FlagNames(scheduler string, f Flags) []string {
	words := [...]string{"flag-1", "flag-2", "flag-3"}
	if scheduler == "sh" || scheduler == "mh" {
		words[0], words[1] = scheduler+"-fallback", scheduler+"-port"
	}
	var names []string
	for i, bit := range []Flags{Sched1, Sched2, Sched3} {
		if f&bit != 0 {
			names = append(names, words[i])
		}
	}
	return names
}

func (r Real) args() []string {
	r = r.Normal()
	a := []string{"-r", r.Addr.String(), r.Forward.option(), "-w", strconv.FormatUint(uint64(r.Weight), 10)}
	if r.Upper != 0 {
		a = append(a, "-x", strconv.FormatUint(uint64(r.Upper), 10))
	}
	if r.Lower != 0 {
		a = append(a, "-y", strconv.FormatUint(uint64(r.Lower), 10))
	}
	return append(a, r.Tunnel.args()...)
}

// option is ipvsadm's letter. It prints Local as -g itself, and has none for
// Bypass; a plan contains neither.
func (f Forward) option() string {
	switch f {
	case NAT:
		return "-m"
	case Tun:
		return "-i"
	}
	return "-g"
}

func (t Tunnel) args() []string {
	if t.Type == TunnelIPIP {
		return nil
	}
	a := []string{"--tun-type", tunnelName(t.Type)}
	if t.Port != 0 {
		a = append(a, "--tun-port", strconv.Itoa(int(t.Port)))
	}
	switch t.Flags {
	case TunnelChecksum:
		a = append(a, "--tun-csum")
	case TunnelRemoteChecksum:
		a = append(a, "--tun-remcsum")
	}
	return a
}

func tunnelName(t uint8) string {
	switch t {
	case TunnelIPIP:
		return "ipip"
	case TunnelGUE:
		return "gue"
	case TunnelGRE:
		return "gre"
	}
	return fmt.Sprintf("type-%d", t)
}
