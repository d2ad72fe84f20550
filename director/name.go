package director

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/table"
)

// parseReal reads a real server as a person writes it: as status shows it, or
// without its port, IPv6 with or without brackets.
func parseReal(text string) (real netip.AddrPort, machine, ok bool) {
	if ap, err := netip.ParseAddrPort(text); err == nil && ap.Addr().Zone() == "" {
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), false, true
	}
	inner, bracketed := strings.CutPrefix(text, "[")
	if bracketed {
		if inner, bracketed = strings.CutSuffix(inner, "]"); !bracketed {
			return netip.AddrPort{}, false, false
		}
	}
	if a, err := netip.ParseAddr(inner); err == nil && a.Zone() == "" {
		return netip.AddrPortFrom(a.Unmap(), 0), true, true
	}
	return netip.AddrPort{}, false, false
}

// findVirtual finds a virtual service by its name, or by its address or mark
// where that says which one is meant.
func findVirtual(cfg *config.Config, name string) (config.Virtual, error) {
	var found []config.Virtual
	var all, also []string
	for _, v := range cfg.Virtuals {
		key := v.Service.ServiceKey
		if name == v.Name || name == key.String() {
			return v, nil
		}
		all = append(all, v.Name)
		if key.Protocol != 0 && (name == key.Addr.String() || name == key.Addr.Addr().String()) {
			found = append(found, v)
			also = append(also, v.Name)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return config.Virtual{}, fmt.Errorf("no virtual service %q; there are %s", name, candidates(all))
	}
	return config.Virtual{}, fmt.Errorf("%q is the address of several virtual services; name one of %s", name, candidates(also))
}

// realList names the real servers of one virtual service, or of all, with the
// virtual service behind each.
func realList(cfg *config.Config, key table.ServiceKey) string {
	var list []string
	for _, v := range cfg.Virtuals {
		if key != (table.ServiceKey{}) && key != v.Service.ServiceKey {
			continue
		}
		for _, r := range v.Reals {
			list = append(list, fmt.Sprintf("%s (%s)", r.Addr, v.Name))
		}
	}
	return candidates(list)
}

// candidates are as many as a person reads.
func candidates(list []string) string {
	const most = 10
	if len(list) == 0 {
		return "none"
	}
	text := strings.Join(list[:min(most, len(list))], ", ")
	if more := len(list) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
