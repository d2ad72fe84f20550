package realserver

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Plan is the ordered difference between what the node has and what it wants;
// empty where nothing is missing.
//
// The order is a rule: modules make the interfaces whose sysctls come next;
// sysctls come before addresses, because an address that is up for a moment
// without them is answered for on the network, and neighbours keep that answer
// for minutes; an interface comes up after its rp_filter is right and before
// its address, so that the address serves from its first moment.
func Plan(have State, want Wanted) []Step {
	want = want.Resolve(have)
	var steps []Step
	for _, link := range want.Links {
		if _, ok := have.Links[link]; !ok {
			steps = append(steps, Step{Op: OpModule, Module: tunnels[link], Why: link + " does not exist"})
		}
	}
	for _, s := range settings(have, want) {
		if s.Old != s.New {
			steps = append(steps, Step{Op: OpSysctl, Key: s.Key, Old: s.Old, New: s.New, Why: s.Why})
		}
	}
	for _, link := range want.Links {
		if !have.Links[link].Up {
			steps = append(steps, Step{
				Op: OpLink, Link: link, Old: "down", New: "up",
				Why: "packets for addresses on " + link + " are dropped while it is down",
			})
		}
	}
	for _, addr := range want.Addrs {
		if !have.has(addr) {
			steps = append(steps, Step{
				Op: OpAdd, Addr: addr,
				Why: "this node drops packets for it: the address is not its own",
			})
		}
	}
	return steps
}

// PlanTeardown leads from what the node has back to the record: the opposite
// order of [Plan], so that no address is up without its sysctls. Files come
// last; the record itself is deleted by the caller, after everything.
func PlanTeardown(have State, rec Record) []Step {
	var steps []Step
	for _, addr := range slices.Backward(rec.Addresses) {
		if have.has(addr) {
			steps = append(steps, Step{Op: OpRemove, Addr: addr})
		}
	}
	for _, link := range slices.Backward(rec.Links) {
		if have.Links[link].Up && !inUse(have, rec, link) {
			steps = append(steps, Step{Op: OpLink, Link: link, Old: "up", New: "down"})
		}
	}
	for _, s := range slices.Backward(rec.Sysctls) {
		if now, ok := have.Sysctls[s.Key]; ok && now != s.Before {
			steps = append(steps, Step{Op: OpSysctl, Key: s.Key, Old: now, New: s.Before})
		}
	}
	return steps
}

// inUse tells whether somebody else put an address on a link that we set up.
func inUse(have State, rec Record, link string) bool {
	return slices.ContainsFunc(have.Addrs, func(a Addr) bool {
		return a.Link == link && !a.Prefix.Addr().IsLinkLocalUnicast() && !a.Prefix.Addr().IsLoopback() &&
			!slices.ContainsFunc(rec.Addresses, func(own Addr) bool { return own.Link == link && own.Prefix == a.Prefix })
	})
}

// Conflicts lists why a goal cannot be set up on this node as it is, every
// reason with its cure.
func Conflicts(have State, goal Goal) error {
	var errs []error
	for _, vip := range goal.VIPs {
		if a, ok := misplaced(have, vip); ok {
			errs = append(errs, errors.New(describeMisplaced(a, vip)))
			continue
		}
		if vip.Method == NAT {
			continue
		}
		if svc, ok := balancedHere(have, vip); ok {
			errs = append(errs, fmt.Errorf("vip %s: this node's own IPVS balances %s %s, so it is a director; "+
				"what another director sends here would be balanced a second time and could go round in circles. "+
				"Run the web server on a machine of its own, or, with the connection sync daemon running, "+
				"`sysctl -w net.ipv4.vs.backup_only=1` and try again", vip.Addr, svc.Protocol, svc.Service))
		}
		off := conf6(vip.Link(), "disable_ipv6")
		if _, ok := have.Sysctls[conf6("all", "disable_ipv6")]; !ok && !vip.Addr.Is4() {
			errs = append(errs, fmt.Errorf("vip %s: this kernel runs without IPv6", vip.Addr))
		} else if !vip.Addr.Is4() && have.value(off) == "1" {
			errs = append(errs, fmt.Errorf("vip %s: IPv6 is turned off on %s; `sysctl -w %s=0` and try again",
				vip.Addr, vip.Link(), off))
		}
	}
	return errors.Join(errs...)
}

// misplaced finds a VIP where it must not be: on another interface, or with a
// mask that makes a whole network local.
func misplaced(have State, vip VIP) (Addr, bool) {
	return have.find(vip.Addr, func(a Addr) bool { return a.Link != vip.Link() || !a.Prefix.IsSingleIP() })
}

func describeMisplaced(a Addr, vip VIP) string {
	link := vip.Link()
	switch {
	case link == "":
		return fmt.Sprintf("vip %s is on %s: with nat only the director has the VIP; `ip addr del %s dev %s`",
			vip.Addr, a.Link, a.Prefix, a.Link)
	case a.Link == link:
		return fmt.Sprintf("vip %s is on %s as %s: with this mask the node takes the whole network %s for itself; "+
			"`ip addr del %s dev %s` and try again", vip.Addr, link, a.Prefix, a.Prefix.Masked(), a.Prefix, link)
	}
	return fmt.Sprintf("vip %s is on %s: there it is this node's own address, for which it answers ARP or "+
		"neighbour solicitations. A real server has it on %s only; if this node is a director that holds the VIP, "+
		"or it is this node's own address, it is the wrong one. Else `ip addr del %s dev %s` and try again",
		vip.Addr, a.Link, link, a.Prefix, a.Link)
}

// balancedHere finds the VIP in the node's own IPVS table. backup_only makes
// the kernel leave packets alone while this director is on standby.
func balancedHere(have State, vip VIP) (Balanced, bool) {
	if have.Sysctls["net/ipv4/vs/backup_only"] == "1" {
		return Balanced{}, false
	}
	i := slices.IndexFunc(have.Balance, func(b Balanced) bool { return b.Service.Addr() == vip.Addr })
	if i < 0 {
		return Balanced{}, false
	}
	return have.Balance[i], true
}

// Script prints steps as shell commands.
func Script(steps []Step) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintln(&b, s.Command())
	}
	return b.String()
}
