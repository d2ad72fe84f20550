package config

import (
	"cmp"
	"hash/fnv"
	"net/netip"
	"slices"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/table"
)

// CheckMarks is how many firewall marks are for checks; the first is a multiple
// of it, so that one mask tells them all.
const CheckMarks = 1 << 20

// defaultCheckMarks is far from the small numbers of people and from the single
// bits of container networks. It begins with "IP" in ASCII.
const defaultCheckMarks = 0x49500000

// The two ways to a real server.
const (
	direct = "direct" // to its own address
	byVIP  = "vip"    // to the virtual service's address, through the forwarding method
)

// pathWord is the value of path that made a spec.
func pathWord(s checker.Spec) string {
	if s.Via.IsValid() {
		return byVIP
	}
	return direct
}

// checkTarget is the real server's side of what a check goes to.
func checkTarget(s checker.Spec) string {
	if s.Via.IsValid() {
		return netip.AddrPortFrom(s.Via.Addr(), cmp.Or(s.Via.Port(), s.Target.Port())).String()
	}
	return s.Target.String()
}

// IsCheckMark tells whether a virtual service is by one of the marks for checks.
func (d Director) IsCheckMark(k table.ServiceKey) bool {
	return k.Protocol == 0 && k.FWMark-d.CheckMarks < CheckMarks
}

// checkMarks reads where the marks for checks begin. They are nobody else's,
// whether a check uses them or not.
func (r *report) checkMarks(raw *rawFile) uint32 {
	first, own := or(raw.Director.CheckMarks, defaultCheckMarks), &raw.Director.at
	if first < CheckMarks || first > 1<<32-CheckMarks || first%CheckMarks != 0 {
		r.key(own, "check_marks", "%d (%#x) can't be the first mark; write one from 0x00100000 to 0xfff00000 whose last five hexadecimal digits are 0, such as %#x", first, first, defaultCheckMarks)
		return defaultCheckMarks
	}
	return uint32(first)
}

// path tells whether the check goes to the virtual service's address.
func (b *virtualReader) path(c *check) bool {
	at, path := &c.raw.at, or(c.raw.Path, direct)
	if !c.spec.Type.Checked() || path == direct {
		return false
	}
	const instead = "write path = \"direct\" in its [virtual.check]"
	switch {
	case path != byVIP:
		b.report.key(at, "path", "%q is not known; %s", path, didYouMean(path, []string{direct, byVIP}))
	case b.keyed && b.service.Protocol == 0:
		b.report.key(at, "path", "virtual service %q is a firewall mark and has no address to check; %s", b.shown, instead)
	case !c.spec.Connects() && c.spec.Type == checker.Connect:
		b.report.key(at, "path", "a check of type \"connect\" is a ping for udp, as in virtual service %q, and can't bear a mark; use type dns, radius, sip or udp, or %s", b.shown, instead)
	case !c.spec.Connects():
		b.report.key(at, "path", "a check of type %q, as in virtual service %q, can't bear a mark; use a type that connects, such as \"connect\", or %s", c.spec.Type, b.shown, instead)
	default:
		return b.keyed
	}
	return false
}

// through sends the check of a real server to the virtual service's address.
// Its mark comes when all virtual services are known.
func (b *virtualReader) through(c check, real *Real) {
	at := &c.raw.at
	switch {
	case real.Addr.Addr().Is4() != b.service.Addr.Addr().Is4():
		b.report.key(at, "path", "real server %s is of another family than its virtual service %q, and the director's address towards it can't be a client's; write path = \"direct\" in its [virtual.check]", real.Addr, b.shown)
		return
	case real.Forward == table.NAT && real.Check.Datagrams():
		b.report.key(at, "path", "real server %s has forward = \"nat\", and the kernel keeps a udp client's port with one real server for 5 minutes, so a check could be answered by another; write path = \"direct\" in the [virtual.check] of %q", real.Addr, b.shown)
		return
	}
	spec := &real.Check
	target := netip.AddrPortFrom(b.service.Addr.Addr(), cmp.Or(c.port, b.service.Addr.Port()))
	port := uint16(0) // leaves the packet's as it is
	if real.Forward == table.NAT && c.port == 0 && real.Addr.Port() != target.Port() {
		port = real.Addr.Port()
	}
	if port != 0 && spec.Type == checker.FTP && spec.Request != "" {
		b.report.key(at, "path", "nat changes the port %d to %d, also that of the connection over which FTP would send %q; leave out request, or write path = \"direct\" in the [virtual.check] of %q", target.Port(), port, spec.Request, b.shown)
		return
	}
	spec.Target, spec.Via = target, netip.AddrPortFrom(real.Addr.Addr(), port)
}

// checkServices gives each check that goes to a virtual service's address its
// mark, and lists the virtual services that carry them.
//
// A mark follows from the pair of virtual service and real server, so that it is
// the same after a reload, after a restart and on another director. Only where
// two pairs come to the same one does the later of them, by their names, take
// the next that is free; among a thousand pairs that is one case in two.
func checkServices(cfg *Config) table.State {
	type checked struct {
		pair table.Pair
		real *Real
	}
	var all []checked
	for _, v := range cfg.Virtuals {
		for i := range v.Reals {
			if real := &v.Reals[i]; real.Check.Via.IsValid() {
				all = append(all, checked{table.Pair{Service: v.Service.ServiceKey, Real: real.Addr}, real})
			}
		}
	}
	slices.SortFunc(all, func(a, b checked) int { return a.pair.Compare(b.pair) })
	out := make(table.State, len(all))
	taken := make(map[uint32]bool, len(all))
	for _, c := range all {
		mark := markOf(c.pair)
		for taken[mark] {
			mark = (mark + 1) % CheckMarks
		}
		taken[mark] = true
		spec := &c.real.Check
		spec.Mark = cfg.Director.CheckMarks + mark
		key := table.ByMark(c.pair.Service.Family, spec.Mark)
		out[key] = table.Entry{
			Service: checkService(key, spec.Datagrams()),
			Reals: map[netip.AddrPort]table.Real{
				spec.Via: {Addr: spec.Via, Forward: c.real.Forward, Weight: 1, Tunnel: c.real.Tunnel},
			},
		}
	}
	return out
}

func markOf(p table.Pair) uint32 {
	h := fnv.New32a()
	h.Write([]byte(p.String()))
	return h.Sum32() % CheckMarks
}

// checkService schedules datagrams one by one: the kernel remembers no client,
// whose port may be another check's next time.
func checkService(key table.ServiceKey, datagrams bool) table.Service {
	s := table.Service{ServiceKey: key, Scheduler: "rr"}
	if datagrams {
		s.Flags = table.OnePacket
	}
	return s.Normal()
}
