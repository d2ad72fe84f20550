package vip

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// InterfaceFor returns the interface on which addr belongs, by what the kernel
// holds now. See Facts.InterfaceFor.
func InterfaceFor(addr netip.Addr) (string, error) {
	facts, err := Read()
	if err != nil {
		return "", fmt.Errorf("find the interface for %s: %w", addr, err)
	}
	return facts.InterfaceFor(addr)
}

// InterfaceFor returns the interface on which addr belongs: the one with the
// narrowest connected subnet that contains it, else the one of the default
// route. It is "" for an address that needs none: loopback, unspecified, or
// one that the host has as its own already. Addresses that are ours don't
// count, so that the answer after a restart is that of the first start.
func (f Facts) InterfaceFor(addr netip.Addr) (string, error) { return f.interfaceFor(addr, "") }

// interfaceFor is InterfaceFor for an address that is ours on current, if that
// isn't "": of interfaces as good as each other that one stays. And it stays
// when the host gets the address on its loopback, where nobody sees it.
func (f Facts) interfaceFor(addr netip.Addr, current string) (string, error) {
	addr = addr.Unmap()
	if addr.IsLoopback() || addr.IsUnspecified() || addr.IsMulticast() {
		return "", nil
	}
	own := slices.DeleteFunc(slices.Clone(f.Held), func(h Held) bool { return h.Ours })
	if slices.ContainsFunc(own, func(h Held) bool { return h.Addr.Addr() == addr && (current == "" || !h.Loopback) }) {
		return "", nil
	}
	if addr.IsLinkLocalUnicast() {
		return "", fmt.Errorf("%s is link-local and could be on any interface: name the interface in [[vip]]", addr)
	}
	if name, ok := f.connected(own, addr, current); ok {
		return name, nil
	}
	if name, ok := f.defaultRoute(addr.Is6(), current); ok {
		return name, nil
	}
	return "", fmt.Errorf("no interface has a subnet with %s, and there is no default route: name the interface in [[vip]]", addr)
}

// connected picks the narrowest subnet with addr; of equal ones that of an
// interface which is up, is the current one, has a carrier, and came first.
func (f Facts) connected(own []Held, addr netip.Addr, current string) (string, bool) {
	var found []Held
	for _, h := range own {
		if !h.Loopback && h.Addr.Contains(addr) {
			found = append(found, h)
		}
	}
	if len(found) == 0 {
		return "", false
	}
	best := slices.MinFunc(found, func(a, b Held) int {
		la, _ := f.link(a.Interface)
		lb, _ := f.link(b.Interface)
		return cmp.Or(
			cmp.Compare(b.Addr.Bits(), a.Addr.Bits()),
			yesFirst(la.Up, lb.Up),
			yesFirst(a.Interface == current, b.Interface == current),
			cmp.Compare(la.trouble(), lb.trouble()),
			cmp.Compare(la.Index, lb.Index))
	})
	return best.Interface, true
}

func (f Facts) defaultRoute(ipv6 bool, current string) (string, bool) {
	found := slices.DeleteFunc(slices.Clone(f.Defaults), func(d Default) bool { return d.IPv6 != ipv6 })
	if len(found) == 0 {
		return "", false
	}
	return slices.MinFunc(found, func(a, b Default) int {
		return cmp.Or(
			yesFirst(a.Interface == current, b.Interface == current),
			cmp.Compare(a.Metric, b.Metric))
	}).Interface, true
}

// yesFirst orders by a property, those that have it first.
func yesFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// Link finds an interface by its name or one of its alternative names.
func (f Facts) Link(name string) (Link, bool) { return f.link(name) }

// Problem says why an address on the interface called name serves nobody; nil:
// it does.
func (f Facts) Problem(name string) error { return f.problem(name) }

// link finds an interface by its name or one of its alternative names.
func (f Facts) link(name string) (Link, bool) {
	for _, l := range f.Links {
		if l.Name == name || slices.Contains(strings.Fields(l.AltName), name) {
			return l, true
		}
	}
	return Link{}, false
}

// trouble ranks interfaces for choosing among them: 0 is fine.
func (l Link) trouble() int {
	switch {
	case !l.Up:
		return 2
	case !l.Carrier:
		return 1
	}
	return 0
}

// problem says why an address on the interface called name serves nobody.
func (f Facts) problem(name string) error {
	l, ok := f.link(name)
	switch {
	case !ok:
		return fmt.Errorf("there is no interface %s", name)
	case !l.Up:
		return fmt.Errorf("interface %s is down (ip link set %s up)", l.Name, l.Name)
	case !l.Carrier:
		return fmt.Errorf("interface %s has no carrier", l.Name)
	}
	return nil
}
