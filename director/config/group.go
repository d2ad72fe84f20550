package config

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/ipvsd/ipvsd/director/table"
)

// Group is addresses that move together: a [[group]], or "default" for those
// that are in none.
type Group struct {
	Name     string
	Line     int // of its header in the file; 0: the default group
	VIPs     []netip.Addr
	Priority int // [cluster]'s unless the group has its own
}

// DefaultGroup is the name of the group of all addresses that are in no other.
const DefaultGroup = "default"

const maxGroups = 64 // that an advert tells of, the default group among them

// addresses returns all virtual addresses of a file, each once.
func addresses(cfg *Config) []netip.Addr {
	var list []netip.Addr
	seen := make(map[netip.Addr]bool)
	add := func(a netip.Addr) {
		if a.IsValid() && !seen[a] {
			seen[a] = true
			list = append(list, a)
		}
	}
	for _, v := range cfg.VIPs {
		add(v.Address.Addr())
	}
	for _, v := range cfg.Virtuals {
		add(v.Service.Addr.Addr())
	}
	return list
}

// groups reads all [[group]] and adds the default one. A single director has
// none.
func (r *report) groups(raw *rawFile, cluster *Cluster, vips []netip.Addr) []Group {
	var list []Group
	names, of := make(map[string]int), make(map[netip.Addr]int)
	for i := range raw.Groups {
		g := &raw.Groups[i]
		name := r.groupName(g, names)
		group := Group{Name: name, Line: g.header, VIPs: r.groupVIPs(g, vips, of)}
		group.Priority = int(r.number(&g.at, "priority", g.Priority, 0, 1, 255))
		if cluster != nil && !g.has("priority") {
			group.Priority = cluster.Priority
		}
		list = append(list, group)
	}
	if cluster == nil {
		if len(raw.Groups) > 0 && !raw.has("cluster") {
			r.warnf(raw.Groups[0].header, "without [cluster] there is a single director, which has all addresses; this [[group]] does nothing")
		}
		return nil
	}
	rest := slices.DeleteFunc(slices.Clone(vips), func(a netip.Addr) bool { return of[a] != 0 })
	if len(rest) > 0 || len(list) == 0 {
		list = append(list, Group{Name: DefaultGroup, VIPs: rest, Priority: cluster.Priority})
	}
	if len(list) > maxGroups {
		r.errorf(raw.Groups[len(raw.Groups)-1].header, "there are %d groups, the default one among them; there can be %d", len(list), maxGroups)
	}
	return list
}

func (r *report) groupName(g *rawGroup, names map[string]int) string {
	name := or(g.Name, "")
	line, was := names[name]
	switch p := nameProblem(name); {
	case g.bad["name"]:
	case name == "":
		r.key(&g.at, "name", "missing; write what the group is called in status and metrics, such as name = \"mail\"")
	case p != "":
		r.key(&g.at, "name", "%s", p)
	case name == DefaultGroup:
		r.key(&g.at, "name", "%q is the group of all addresses that are in no other, with the settings of [cluster]; write another name", name)
	case was:
		r.key(&g.at, "name", "%q is already the name of the group in line %d; give each its own", name, line)
	default:
		names[name] = g.line("name")
	}
	return name
}

// groupVIPs reads the addresses of one group and notes the line of each.
func (r *report) groupVIPs(g *rawGroup, vips []netip.Addr, of map[netip.Addr]int) []netip.Addr {
	var list []netip.Addr
	for _, text := range or(g.VIPs, nil) {
		a, problem := plainAddress(text)
		switch {
		case problem != "":
		case a.Zone() != "":
			problem = fmt.Sprintf("%q %s", text, unusable(a))
		case slices.Contains(list, a):
			problem = fmt.Sprintf("%s is in the list twice; remove one of the two", a)
		case of[a] != 0:
			problem = fmt.Sprintf("%s is already in the group in line %d; remove it from one of the two", a, of[a])
		case !slices.Contains(vips, a):
			problem = fmt.Sprintf("no [[virtual]] and no [[vip]] has the address %s; write one that is there", a)
		default:
			list = append(list, a)
			of[a] = g.line("vips")
			continue
		}
		r.key(&g.at, "vips", "%s", problem)
	}
	if len(list) == 0 && !g.bad["vips"] {
		r.key(&g.at, "vips", "no address; write those that move together, such as vips = [\"192.0.2.10\"]")
	}
	return list
}

// mixed reports real servers of another family than their virtual service,
// which the kernel refuses while a sync daemon runs (ip_vs_ctl.c).
func (r *report) mixed(cfg *Config) {
	if cfg.Cluster == nil || !cfg.Cluster.Sync.Enabled {
		return
	}
	const cure = "the kernel refuses that while connections are synced between directors; write an address of the same family, or enabled = false in [cluster.sync]"
	for _, v := range cfg.Virtuals {
		differs := func(a netip.AddrPort) bool {
			return a.IsValid() && v.Service.Family != 0 && table.FamilyOf(a.Addr()) != v.Service.Family
		}
		if v.Fallback != nil && differs(v.Fallback.Addr) {
			r.errorf(v.Line, "fallback: %s is not %s as the virtual service, and %s", v.Fallback.Addr.Addr(), v.Service.Family, cure)
		}
		for _, real := range v.Reals {
			if differs(real.Addr) {
				r.errorf(real.Line, "address: %s is not %s as the virtual service, and %s", real.Addr.Addr(), v.Service.Family, cure)
			}
		}
	}
}
