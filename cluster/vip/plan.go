package vip

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Op is what a step does.
type Op uint8

// The operations, in no particular order: Plan argues the order.
const (
	Add     Op = iota + 1 // a new address; an error where it exists
	Change                // a new lifetime for an address that is ours
	Delete                // an address that is ours
	Promote               // let the subnet's other addresses survive the Delete that follows
)

// Step is one change of the machine's addresses, as data. Its printed form is
// the command line that does the same.
type Step struct {
	Op        Op
	Addr      netip.Prefix
	Interface string
	Seconds   uint32 // Add, Change: valid lifetime, or Forever
}

// String prints the step as iproute2's command line, for example
// "ip addr add 192.0.2.10/32 dev eth0 label eth0:vip metric 7760240 noprefixroute".
func (s Step) String() string {
	switch s.Op {
	case Promote:
		return fmt.Sprintf("sysctl -w net/ipv4/conf/%s/promote_secondaries=1", s.Interface)
	case Delete:
		return fmt.Sprintf("ip addr del %s dev %s", s.Addr, s.Interface)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "ip addr %s %s dev %s", map[Op]string{Add: "add", Change: "change"}[s.Op], s.Addr, s.Interface)
	if l := s.Label(); l != "" {
		fmt.Fprintf(&b, " label %s", l)
	}
	fmt.Fprintf(&b, " metric %d", Mark)
	if s.Seconds != Forever || s.preferred() != Forever || s.Op == Change {
		fmt.Fprintf(&b, " valid_lft %s preferred_lft %s", lifetime(s.Seconds), lifetime(s.preferred()))
	}
	if s.Addr.Addr().Is6() {
		b.WriteString(" nodad")
	}
	b.WriteString(" noprefixroute")
	return b.String()
}

// doing says what the step does, for the beginning of an error.
func (s Step) doing() string {
	switch s.Op {
	case Promote:
		return fmt.Sprintf("keep the neighbours of %s on %s", s.Addr, s.Interface)
	case Delete:
		return fmt.Sprintf("remove %s from %s", s.Addr, s.Interface)
	case Change:
		return fmt.Sprintf("renew %s on %s", s.Addr, s.Interface)
	}
	return fmt.Sprintf("add %s to %s", s.Addr, s.Interface)
}

// Label is the name that old tools such as ifconfig show for an IPv4 address.
// The kernel allows 15 characters; where it doesn't fit there is none.
func (s Step) Label() string {
	l := s.Interface + ":vip"
	if s.Addr.Addr().Is6() || len(l) > 15 {
		return ""
	}
	return l
}

// preferred is the preferred lifetime in seconds. An IPv6 VIP is deprecated
// from the start: with its long prefix it would otherwise win the source
// address selection (RFC 6724 rule 8) for connections of our own, and real
// servers that hold the VIP too would answer our checks to themselves.
func (s Step) preferred() uint32 {
	if s.Addr.Addr().Is6() {
		return 0
	}
	return s.Seconds
}

func lifetime(seconds uint32) string {
	if seconds == Forever {
		return "forever"
	}
	return fmt.Sprint(seconds)
}

// Plan returns the steps that lead from the addresses held to those wanted.
// Only addresses that are ours are changed or removed.
//
// What isn't wanted goes first: giving an address up must never wait for
// taking one. Then come the wanted addresses, each with its own steps in a
// row; where one is in the wrong place the new one is added before the old one
// is removed, so that it is always held.
func Plan(have []Held, want []Want) []Step {
	wanted := make(map[netip.Addr]bool, len(want))
	for _, w := range want {
		wanted[w.Addr.Addr()] = true
	}
	var steps []Step
	for _, h := range have {
		if h.Ours && !wanted[h.Addr.Addr()] {
			steps = append(steps, remove(have, want, h)...)
		}
	}
	for _, w := range want {
		steps = append(steps, place(have, want, w)...)
	}
	return steps
}

// place returns the steps for one wanted address.
func place(have []Held, want []Want, w Want) []Step {
	var before, after []Step
	inPlace := false
	for _, h := range have {
		switch {
		case !h.Ours || h.Addr.Addr() != w.Addr.Addr():
		case h.Interface == w.Interface && h.Addr == w.Addr:
			inPlace = true
			if (h.Seconds == Forever) != (w.Lifetime <= 0) {
				before = append(before, change(w))
			}
		case h.Interface == w.Interface && h.Addr.Addr().Is6():
			// The kernel has an IPv6 address once per interface,
			// whatever its prefix: here the old one has to go first.
			before = append(before, remove(have, want, h)...)
		default:
			after = append(after, remove(have, want, h)...)
		}
	}
	if _, foreign := Foreign(have, w); !inPlace && !foreign {
		before = append(before, Step{Add, w.Addr, w.Interface, w.seconds()})
	}
	return append(before, after...)
}

// Renewals returns the steps that start the lifetimes of held addresses anew.
func Renewals(have []Held, want []Want) []Step {
	var steps []Step
	for _, w := range want {
		if w.Lifetime > 0 && holds(have, w) {
			steps = append(steps, change(w))
		}
	}
	return steps
}

// Foreign tells which address of the host's own already does what w asks for.
// The loopback's doesn't count unless w asks for the loopback: a real server
// that is also a director holds the VIP there, and answers no ARP for it.
func Foreign(have []Held, w Want) (Held, bool) {
	for _, h := range have {
		if !h.Ours && h.Addr.Addr() == w.Addr.Addr() && (!h.Loopback || h.Interface == w.Interface) {
			return h, true
		}
	}
	return Held{}, false
}

func holds(have []Held, w Want) bool {
	for _, h := range have {
		if h.Ours && h.Addr == w.Addr && h.Interface == w.Interface {
			return true
		}
	}
	return false
}

func change(w Want) Step { return Step{Change, w.Addr, w.Interface, w.seconds()} }

// remove deletes h. The kernel removes with the first IPv4 address of a subnet
// all others of that subnet, the host's own too, unless told to promote one.
func remove(have []Held, want []Want, h Held) []Step {
	del := Step{Op: Delete, Addr: h.Addr, Interface: h.Interface}
	if !h.Addr.Addr().Is4() || h.Secondary {
		return []Step{del}
	}
	same := func(name string, p netip.Prefix) bool {
		return name == h.Interface && p != h.Addr && p.Masked() == h.Addr.Masked()
	}
	if slices.ContainsFunc(have, func(o Held) bool { return o.Secondary && same(o.Interface, o.Addr) }) ||
		slices.ContainsFunc(want, func(w Want) bool { return same(w.Interface, w.Addr) }) {
		return []Step{{Op: Promote, Addr: h.Addr, Interface: h.Interface}, del}
	}
	return []Step{del}
}
