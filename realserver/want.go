package realserver

import (
	"fmt"
	"net/netip"
	"slices"
)

// Wanted is what the node must have for a goal. It does not depend on what is
// there; [Plan] works that out.
type Wanted struct {
	Addrs     []Addr   // labels are chosen by Resolve
	Links     []string // must be up
	QuietARP  bool     // must not answer ARP for an address of another interface
	Loose     []string // must not filter strictly by reverse path
	Redirects []bool   // must not accept redirects; IPv6 or not, in this order
	Gateway   netip.Addr
}

// Want derives what a goal needs.
func Want(goal Goal) Wanted {
	var w Wanted
	for _, vip := range goal.VIPs {
		link := vip.Link()
		if link == "" {
			continue
		}
		w.Addrs = append(w.Addrs, Addr{Prefix: netip.PrefixFrom(vip.Addr, vip.Addr.BitLen()), Link: link})
		if !slices.Contains(w.Links, link) {
			w.Links = append(w.Links, link)
		}
		if vip.Addr.Is4() {
			w.QuietARP = true
		}
		if link == "tunl0" && !slices.Contains(w.Loose, link) {
			w.Loose = append(w.Loose, link)
		}
	}
	slices.Sort(w.Links)
	if goal.NAT {
		w.Redirects = natFamilies(goal)
		w.Gateway = goal.Gateway
	}
	return w
}

// natFamilies lists the address families that arrive by nat: false IPv4, true IPv6.
func natFamilies(goal Goal) []bool {
	var four, six bool
	note := func(addr netip.Addr) {
		if addr.Is4() {
			four = true
		} else {
			six = true
		}
	}
	for _, vip := range goal.VIPs {
		if vip.Method == NAT {
			note(vip.Addr)
		}
	}
	if goal.Gateway.IsValid() {
		note(goal.Gateway)
	}
	var families []bool
	if four || !six {
		families = append(families, false)
	}
	if six {
		families = append(families, true)
	}
	return families
}

// Resolve gives each wanted IPv4 address on lo the label it has, or else a free
// one of lo:0, lo:1, … Labels are for people and ifconfig; a taken one is
// allowed by the kernel but makes one address hide the other there.
func (w Wanted) Resolve(have State) Wanted {
	taken := make(map[string]bool)
	for _, a := range have.Addrs {
		taken[a.Label] = true
	}
	w.Addrs = slices.Clone(w.Addrs)
	next := 0
	for i := range w.Addrs {
		a := &w.Addrs[i]
		if there, ok := have.find(a.Prefix.Addr(), func(h Addr) bool { return h.Prefix == a.Prefix && h.Link == a.Link }); ok {
			a.Label = there.Label
			continue
		}
		if a.Link != "lo" || !a.Prefix.Addr().Is4() {
			continue
		}
		for taken[fmt.Sprintf("lo:%d", next)] {
			next++
		}
		a.Label = fmt.Sprintf("lo:%d", next)
		taken[a.Label] = true
	}
	return w
}
