package director

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/table"
)

// CheckPath tells of the checks with path = "vip" whether the kernel takes them
// to their real server, by reading the virtual service of their mark.
func CheckPath(kernel Kernel) checker.Path {
	return func(ctx context.Context, s checker.Spec) error {
		key := table.ByMark(table.FamilyOf(s.Target.Addr()), s.Mark)
		have, err := kernel.Read(ctx, key)
		if err != nil {
			return fmt.Errorf("read the kernel's %s: %v", key, err)
		}
		serving := false
		for addr, real := range have.State[key].Reals {
			switch {
			case real.Weight == 0:
			case addr != s.Via:
				return fmt.Errorf("the kernel's %s, which carries this check, leads to %s", key, addr)
			default:
				serving = true
			}
		}
		if !serving {
			return fmt.Errorf("the kernel's table lacks %s, which carries this check; a running director with this file adds it", key)
		}
		return nil
	}
}

// AnswerLink is an interface on which real servers answer checks with
// path = "vip" from the virtual service's address. While this host has that
// address, the kernel takes such answers for forged unless it is told otherwise.
type AnswerLink struct {
	Interface string
	Strict    bool // its reverse path filter would drop them, too
}

// sysctls are what an interface needs, by Documentation/networking/ip-sysctl.rst
// and fib_validate_source of the kernel's net/ipv4/fib_frontend.c.
func (a AnswerLink) sysctls() []Sysctl {
	conf := "net/ipv4/conf/" + a.Interface + "/"
	out := []Sysctl{{conf + "accept_local", "1", `path vip: real servers answer checks from the virtual address, which this host may have itself`}}
	if a.Strict {
		out = append(out, Sysctl{conf + "rp_filter", "2", `path vip: real servers answer checks from the virtual address, which belongs to another interface`})
	}
	return out
}

// ReadAnswerLinks finds the interfaces by the routes to the real servers; root is
// /proc/sys. It isn't complete where there is no route yet. IPv6 has no such
// filter, and with nat the real servers answer from their own address.
func ReadAnswerLinks(root string, cfg *config.Config) (links []AnswerLink, complete bool) {
	type question struct{ real, virtual netip.Addr }
	asked := map[question]bool{}
	for _, v := range cfg.Virtuals {
		for _, r := range v.Reals {
			if r.Check.Via.IsValid() && r.Addr.Addr().Is4() && r.Forward != table.NAT {
				asked[question{r.Addr.Addr(), r.Check.Target.Addr()}] = true
			}
		}
	}
	if len(asked) == 0 {
		return nil, true
	}
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, false
	}
	defer h.Close()
	complete = true
	sides := map[int]*side{} // by the interface's index
	strict := map[string]bool{}
	for q := range asked {
		s := sideTowards(h, root, sides, q.real)
		switch {
		case s == nil:
			complete = false
		case s.name != "lo":
			strict[s.name] = strict[s.name] || s.strict && !s.holds(q.virtual)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(strict)) {
		links = append(links, AnswerLink{name, strict[name]})
	}
	return links, complete
}

// side is an interface as far as it decides over IPv4 answers.
type side struct {
	name    string
	strict  bool // its reverse path filter is
	subnets []netip.Prefix
}

func (s side) holds(a netip.Addr) bool {
	return slices.ContainsFunc(s.subnets, func(p netip.Prefix) bool { return p.Bits() < 32 && p.Contains(a) })
}

// sideTowards is the interface of the route to an address, or nil.
func sideTowards(h *netlink.Handle, root string, known map[int]*side, to netip.Addr) *side {
	routes, err := h.RouteGet(to.AsSlice())
	if err != nil || len(routes) == 0 {
		return nil
	}
	if s, ok := known[routes[0].LinkIndex]; ok {
		return s
	}
	link, err := h.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		return nil
	}
	addrs, err := h.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return nil
	}
	s := &side{name: link.Attrs().Name}
	for _, a := range addrs {
		ip, _ := netip.AddrFromSlice(a.IP.To4())
		bits, _ := a.Mask.Size()
		s.subnets = append(s.subnets, netip.PrefixFrom(ip, bits).Masked())
	}
	all, _ := readSysctl(filepath.Join(root, "net/ipv4/conf/all/rp_filter"))
	own, _ := readSysctl(filepath.Join(root, "net/ipv4/conf", s.name, "rp_filter"))
	s.strict = max(all, own) == "1" // the kernel takes the larger of the two
	known[routes[0].LinkIndex] = s
	return s
}

// settle sets what interfaces of answers need where a route wasn't there when
// the file was taken over.
func (l *loop) settle() {
	if !l.unsettled {
		return
	}
	links, complete := ReadAnswerLinks(l.opts.SysctlRoot, l.cfg)
	if l.cfg.Sysctl.Manage { // else it was told once
		for _, a := range links {
			setSysctls(l.opts.SysctlRoot, a.sysctls(), true, l.opts.Log)
		}
	}
	l.unsettled = !complete
}
