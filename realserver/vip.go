package realserver

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Method is how the director forwards packets to this node.
type Method string

// The forwarding methods.
const (
	DR  Method = "dr"
	TUN Method = "tun"
	NAT Method = "nat"
)

// VIP is a virtual address and the method by which its packets arrive.
type VIP struct {
	Addr   netip.Addr `json:"address"`
	Method Method     `json:"method"`
}

// Link is the interface that has to hold the VIP; "" where none may.
func (v VIP) Link() string {
	switch {
	case v.Method == DR:
		return "lo"
	case v.Method == TUN && v.Addr.Is4():
		return "tunl0"
	case v.Method == TUN:
		return "ip6tnl0"
	}
	return ""
}

// tunnels names the kernel module behind each tunnel interface. Both modules
// make their interface on loading.
var tunnels = map[string]string{"tunl0": "ipip", "ip6tnl0": "ip6_tunnel"}

// Options is what the operator asked for, as typed.
type Options struct {
	VIPs    []string
	Method  string // "" is dr
	Gateway string // nat: the director's inside address; "" is not checked
	Persist bool
}

// Goal is what the node shall be: comparable with cmp, checked, sorted.
type Goal struct {
	VIPs    []VIP      `json:"vips,omitempty"`
	NAT     bool       `json:"nat,omitempty"`     // some packets arrive by nat
	Gateway netip.Addr `json:"gateway,omitzero"`  // nat: the default route must lead here
	Persist bool       `json:"persist,omitempty"` // must survive a reboot
}

// empty tells whether there is nothing to prepare for.
func (g Goal) empty() bool { return len(g.VIPs) == 0 && !g.NAT }

// Goal checks the options; it reports every mistake, not only the first.
func (o Options) Goal() (Goal, error) {
	goal := Goal{Persist: o.Persist}
	var errs []error
	method := Method(o.Method)
	switch method {
	case "":
		method = DR
	case DR, NAT, TUN:
	default:
		errs = append(errs, fmt.Errorf("method %q: it is dr, tun or nat%s", o.Method, methodHint(o.Method)))
	}
	goal.NAT = method == NAT
	for _, text := range o.VIPs {
		addr, err := parseVIP(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("vip %s: %v", text, err))
			continue
		}
		goal.VIPs = append(goal.VIPs, VIP{addr, method})
	}
	if o.Gateway != "" {
		addr, err := netip.ParseAddr(o.Gateway)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("gateway %s: not an IP address", o.Gateway))
		case method != NAT:
			errs = append(errs, errors.New("gateway: only method nat sends its answers through the director"))
		case slices.Contains(goal.VIPs, VIP{addr, method}):
			errs = append(errs, fmt.Errorf("gateway %s: that is the VIP; "+
				"give the director's address on the side of this node", addr))
		default:
			goal.Gateway = addr
		}
	}
	sortVIPs(goal.VIPs)
	goal.VIPs = slices.Compact(goal.VIPs)
	return goal, errors.Join(errs...)
}

func parseVIP(text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			return addr, fmt.Errorf("give the address alone, %s; it always gets a host's mask, /%d",
				prefix.Addr(), prefix.Addr().BitLen())
		}
		return addr, errors.New("not an IP address")
	}
	switch {
	case addr.Is4In6():
		return addr, fmt.Errorf("write it as %s", addr.Unmap())
	case addr.Zone() != "" || addr.IsLinkLocalUnicast():
		return addr, errors.New("link-local: it is not unique and cannot be a VIP")
	case addr.IsUnspecified():
		return addr, errors.New("the unspecified address cannot be a VIP")
	case addr.IsLoopback():
		return addr, errors.New("a loopback address cannot be reached from a director")
	case addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return addr, errors.New("IPVS balances unicast addresses only")
	}
	return addr, nil
}

func methodHint(text string) string {
	switch strings.ToLower(text) {
	case "gate", "droute", "dsr":
		return "; did you mean dr?"
	case "masq", "masquerade":
		return "; did you mean nat?"
	case "ipip", "tunnel", "tunneling":
		return "; did you mean tun?"
	}
	return ""
}

func sortVIPs(vips []VIP) {
	slices.SortFunc(vips, func(a, b VIP) int {
		if c := a.Addr.Compare(b.Addr); c != 0 {
			return c
		}
		return strings.Compare(string(a.Method), string(b.Method))
	})
}

// Extend returns g with more added to it; an address cannot change its method.
func (g Goal) Extend(more Goal) (Goal, error) {
	out := Goal{
		VIPs:    slices.Clone(g.VIPs),
		NAT:     g.NAT || more.NAT,
		Gateway: g.Gateway,
		Persist: g.Persist || more.Persist,
	}
	if more.Gateway.IsValid() {
		out.Gateway = more.Gateway
	}
	var errs []error
	for _, vip := range more.VIPs {
		i := slices.IndexFunc(out.VIPs, func(v VIP) bool { return v.Addr == vip.Addr })
		switch {
		case i < 0:
			out.VIPs = append(out.VIPs, vip)
		case out.VIPs[i].Method != vip.Method:
			errs = append(errs, fmt.Errorf("vip %s is set up with method %s, not %s; "+
				"`ipvsd realserver teardown` first", vip.Addr, out.VIPs[i].Method, vip.Method))
		}
	}
	sortVIPs(out.VIPs)
	return out, errors.Join(errs...)
}
