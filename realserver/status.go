package realserver

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Finding is something that is not as it should be, with its cure.
type Finding struct {
	What string `json:"what"`
	Why  string `json:"why,omitempty"`
	Cure string `json:"cure,omitempty"`

	Repair bool `json:"-"` // a setup without arguments mends it
}

// Report is what `status` says; encoded, it is `status --json`.
type Report struct {
	VIPs    []VIPReport `json:"vips"`
	NAT     bool        `json:"nat,omitempty"`
	Persist string      `json:"persist,omitempty"` // how it survives a reboot
	Missing []Finding   `json:"missing"`           // something is not right
	Notes   []Finding   `json:"notes"`             // worth knowing
}

// VIPReport is one VIP.
type VIPReport struct {
	VIP
	Link    string   `json:"link,omitempty"`  // where it is
	Label   string   `json:"label,omitempty"` // IPv4 on lo
	Servers []Socket `json:"servers"`         // what gets its packets
}

// OK tells whether nothing is missing.
func (r Report) OK() bool { return len(r.Missing) == 0 }

// Check compares the node with what the goal needs. What is missing is what
// [Plan] would change, and what setup would refuse.
func Check(have State, goal Goal, sockets []Socket) Report {
	want := Want(goal)
	r := Report{VIPs: []VIPReport{}, Missing: []Finding{}, Notes: []Finding{}, NAT: goal.NAT}
	wrong := make(map[netip.Addr]bool)
	for _, vip := range goal.VIPs {
		v := VIPReport{VIP: vip, Servers: []Socket{}}
		if a, ok := have.find(vip.Addr, func(a Addr) bool { return a.Link == vip.Link() }); ok {
			v.Link, v.Label = a.Link, a.Label
		}
		if vip.Method != NAT {
			v.Servers = append(v.Servers, serving(sockets, vip.Addr)...)
			if len(v.Servers) == 0 {
				r.Notes = append(r.Notes, Finding{What: fmt.Sprintf("no server listens on %s (nor on %s)",
					vip.Addr, wildcard(vip.Addr))})
			}
		}
		r.VIPs = append(r.VIPs, v)
		if a, ok := misplaced(have, vip); ok {
			wrong[vip.Addr] = true
			r.Missing = append(r.Missing, Finding{
				What: fmt.Sprintf("%s is on %s as %s", vip.Addr, a.Link, a.Prefix),
				Why:  misplacedWhy(a, vip),
				Cure: Step{Op: OpRemove, Addr: a}.Command(),
			})
		}
		r.Missing = append(r.Missing, proxied(have, vip)...)
	}
	for _, s := range Plan(have, want) {
		if s.Op == OpAdd && wrong[s.Addr.Prefix.Addr()] {
			continue
		}
		r.Missing = append(r.Missing, Finding{What: s.lacking(), Why: s.Why, Cure: s.Command(), Repair: true})
	}
	if goal.NAT {
		missing, notes := checkRoute(have, goal)
		r.Missing = append(r.Missing, missing...)
		r.Notes = append(r.Notes, notes...)
	}
	return r
}

func wildcard(addr netip.Addr) netip.Addr {
	if addr.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// lacking says what a step would mend.
func (s Step) lacking() string {
	switch s.Op {
	case OpSysctl:
		return fmt.Sprintf("%s is %s", s.Key, s.Old)
	case OpModule:
		return fmt.Sprintf("module %s is not loaded", s.Module)
	case OpLink:
		return fmt.Sprintf("%s is %s", s.Link, s.Old)
	case OpAdd:
		return fmt.Sprintf("%s is not on %s", s.Addr.Prefix, s.Addr.Link)
	case OpWrite:
		return fmt.Sprintf("%s is missing or out of date", s.File.Path)
	}
	return s.String()
}

func misplacedWhy(a Addr, vip VIP) string {
	switch {
	case vip.Link() == "":
		return "with nat only the director has the VIP; this node answers for it"
	case a.Link == vip.Link():
		return fmt.Sprintf("with this mask the node takes the whole network %s for itself", a.Prefix.Masked())
	}
	return "there it is this node's own address, for which it answers ARP or neighbour solicitations"
}

// proxied: a neighbour proxy entry is the one way in which Linux answers
// solicitations for an IPv6 address of another interface.
func proxied(have State, vip VIP) []Finding {
	var list []Finding
	for _, p := range have.Proxies {
		if p.Addr == vip.Addr {
			list = append(list, Finding{
				What: fmt.Sprintf("%s answers neighbour solicitations for %s as a proxy", p.Link, p.Addr),
				Why:  "clients then reach this node past the director",
				Cure: fmt.Sprintf("ip -6 neigh del proxy %s dev %s", p.Addr, p.Link),
			})
		}
	}
	return list
}

// checkRoute: with nat the answers must go back through the director. Routes
// are left to whoever set them; a wrong one can cut the operator off.
func checkRoute(have State, goal Goal) (missing, notes []Finding) {
	for _, ipv6 := range natFamilies(goal) {
		var through []string
		right := false
		for _, r := range have.Routes {
			if r.IPv6 == ipv6 {
				through = append(through, r.describe())
				right = right || r.Gateway == goal.Gateway
			}
		}
		slices.Sort(through)
		family, command := "IPv4", "ip route"
		if ipv6 {
			family, command = "IPv6", "ip -6 route"
		}
		asked := goal.Gateway.IsValid() && goal.Gateway.Is6() == ipv6
		switch {
		case asked && right && len(through) == 1:
		case asked && right:
			missing = append(missing, Finding{
				What: fmt.Sprintf("there are several %s default routes: %s", family, strings.Join(through, ", ")),
				Why:  "an answer that does not pass the director is not rewritten, and its client drops it",
				Cure: fmt.Sprintf("keep the one via %s", goal.Gateway),
			})
		case asked:
			missing = append(missing, Finding{
				What: fmt.Sprintf("the %s default route is %s, not via %s", family, orNone(through), goal.Gateway),
				Why:  "an answer that does not pass the director is not rewritten, and its client drops it",
				Cure: fmt.Sprintf("%s replace default via %s, and in the node's network configuration", command, goal.Gateway),
			})
		case len(through) == 0:
			missing = append(missing, Finding{
				What: fmt.Sprintf("there is no %s default route", family),
				Why:  "answers must go back through the director, which has to rewrite them",
				Cure: command + " add default via the director's address on this side",
			})
		default:
			notes = append(notes, Finding{What: fmt.Sprintf("the %s default route is %s; it must be the director "+
				"(--gateway ADDR checks that)", family, strings.Join(through, ", "))})
		}
	}
	notes = append(notes, Finding{What: "clients in a network of this node's own are answered directly, past the director: " +
		"nat does not serve them"})
	return missing, notes
}

func (r Route) describe() string {
	if !r.Gateway.IsValid() {
		return "dev " + r.Link
	}
	return fmt.Sprintf("via %s dev %s", r.Gateway, r.Link)
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "missing"
	}
	return strings.Join(list, ", ")
}
