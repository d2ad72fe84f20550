package keepalived

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/ipvsd/ipvsd/director/config/convert/emit"
)

// virtual is a virtual_server on its way to one [[virtual]].
type virtual struct {
	*importer
	n        *node
	to       target
	t        *emit.Table
	protocol string
	method   method
	persists bool
	ipv6     bool
	bad      bool // it is a comment
}

// service imports a virtual_server, as often as it has addresses.
func (im *importer) service(n *node) {
	written := 0
	for _, to := range im.targets(n) {
		v := &virtual{importer: im, n: n, to: to}
		if written*len(n.body) > maxReals {
			im.lose(to.n, "too many real servers altogether; from here on the group isn't imported")
			return
		}
		v.write()
		written++
	}
}

func (v *virtual) write() {
	v.t = v.doc.Array("virtual")
	v.t.Comment(v.leftover...)
	v.leftover = nil
	v.t.Comment(v.n.comments()...)
	if v.to.n != v.n {
		v.t.Comment(v.to.n.comments()...)
	}
	v.protocol = v.protocolOf()
	v.method = v.methodOf(v.n.last("lvs_method", "lb_kind"), method{forward: "nat"})
	v.identify()
	noted := len(v.notes)
	v.scheduler()
	if kind := v.n.last("lvs_method", "lb_kind"); kind != nil {
		v.set(kind, "forward", v.method.forward)
	} else {
		v.t.Set("forward", v.method.forward)
	}
	v.persistence()
	if ops := v.n.last("ops"); ops != nil {
		if v.protocol == "udp" || v.to.mark != 0 {
			v.set(ops, "one_packet", true)
		} else {
			v.lose(ops, "only udp is scheduled packet by packet")
		}
	}
	reals := v.reals()
	v.quiescent(reals)
	v.minUp(reals, v.fallback(reals))
	v.dropRest(v.n, virtualKept, virtualWords)
	all := v.check(reals)
	v.hooks(reals)
	for _, c := range v.n.body {
		if c.key() != "real_server" {
			v.t.Comment(c.allComments()...)
		}
	}
	last := v.t
	for _, r := range reals {
		last = v.real(r, all)
	}
	last.Comment(v.n.end...)
	v.n.end = nil
	if v.bad { // what is in a comment has lost nothing more
		v.notes = v.notes[:noted]
	}
}

// set sets a key with the comments of its statement.
func (v *virtual) set(n *node, key string, value any) {
	v.t.Comment(n.above...)
	v.t.Set(key, value).Note(n.note)
	n.above, n.note = nil, ""
}

// off leaves the whole virtual service in the output as a comment.
func (v *virtual) off(why string) {
	v.lose(v.to.n, "%s; this virtual service is left as a comment", why)
	v.t.Off()
	v.bad = true
}

// identify writes what the virtual service is, unless there is the same already.
func (v *virtual) identify() {
	v.name()
	if v.to.bad == "" {
		v.email()
	}
	if v.to.mark != 0 {
		v.t.Set("fwmark", v.to.mark)
		v.ipv6 = v.markFamily()
		v.t.Set("family", map[bool]string{false: "ipv4", true: "ipv6"}[v.ipv6])
		v.protocol = ""
	} else {
		v.ipv6 = v.to.addr.Is6()
		address := strings.TrimSpace(v.n.arg(0) + " " + v.n.arg(1))
		if v.to.n != v.n {
			address = v.to.n.text
		}
		if v.to.bad == "" {
			address = netip.AddrPortFrom(v.to.addr, v.to.port).String()
		}
		v.t.Set("address", address)
		if p := v.n.last("protocol"); p != nil {
			v.set(p, "protocol", v.protocol)
		} else {
			v.t.Set("protocol", v.protocol)
		}
	}
	if v.to.bad != "" {
		v.off(v.to.bad)
		return
	}
	key := netip.AddrPortFrom(v.to.addr, v.to.port).String() + "/" + v.protocol
	if v.to.mark != 0 {
		key = strconv.FormatInt(v.to.mark, 10) + "/" + strconv.FormatBool(v.ipv6)
	}
	switch before := v.keys[key]; {
	case before != nil:
		v.off("the same as in line " + strconv.Itoa(before.line))
		return
	case len(v.keys) >= maxVirtuals:
		v.off("more than " + strconv.Itoa(maxVirtuals) + " virtual services")
		return
	}
	v.keys[key] = v.to.n
	if v.to.mark == 0 {
		v.virtuals[v.to.addr] = true
	}
}

// name takes the name that SNMP knows, where it names one thing only.
func (v *virtual) name() {
	n := v.n.last("snmp_name")
	if n == nil || v.to.bad != "" {
		return
	}
	name := strings.TrimSpace(n.arg(0))
	if v.n.arg(0) == "group" || name == "" || v.names[name] || strings.ContainsAny(name, ":/") ||
		strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		v.lose(n, "it can't be the name of this virtual service alone")
		return
	}
	v.names[name] = true
	v.set(n, "name", name)
}

// markFamily finds the family of a firewall mark: what the file says, or that
// of its real servers.
func (v *virtual) markFamily() bool {
	if f := v.n.last("ip_family"); f != nil {
		return f.arg(0) == "inet6"
	}
	if v.to.told {
		return v.to.ipv6
	}
	for _, r := range v.n.all("real_server") {
		if a, err := netip.ParseAddr(r.arg(0)); err == nil {
			return a.Unmap().Is6()
		}
	}
	return false
}

// protocolOf returns the protocol. Where it isn't said, keepalived 2.2 takes
// udp and older ones took tcp; what the checks speak is what was meant.
func (v *virtual) protocolOf() string {
	n := v.n.last("protocol")
	if n != nil {
		switch p := strings.ToLower(n.arg(0)); p {
		case "tcp", "udp", "sctp":
			return p
		}
		v.lose(n, "%q is not known; taken as tcp", n.arg(0))
		return "tcp"
	}
	guess := "tcp"
	for _, r := range v.n.all("real_server") {
		if r.last("UDP_CHECK", "DNS_CHECK") != nil && r.last("TCP_CHECK", "HTTP_GET", "SSL_GET", "SMTP_CHECK") == nil {
			guess = "udp"
		}
	}
	if v.n.last("ops") != nil {
		guess = "udp"
	}
	if v.to.mark == 0 && v.to.bad == "" {
		v.lose(v.n, "no protocol is given, which keepalived's versions read in different ways; taken as %s by its checks", guess)
	}
	return guess
}

var schedulers = []string{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq", "fo", "ovf", "twos"}

func (v *virtual) scheduler() {
	n, name := v.n.last("lvs_sched", "lb_algo"), "wlc"
	if n != nil {
		name = n.arg(0)
		if !slices.Contains(schedulers, name) {
			v.lose(n, "%q is not one of the kernel's schedulers; taken as wlc", name)
			name = "wlc"
		}
		v.set(n, "scheduler", name)
	}
	var flags []string
	for _, c := range v.n.all("flag-1", "flag-2", "flag-3", "sh-port", "sh-fallback", "mh-port", "mh-fallback") {
		of, _, _ := strings.Cut(c.key(), "-")
		switch {
		case of != "flag" && of != name:
			v.lose(c, "only for the scheduler %s, and this one is %s", of, name)
		case !slices.Contains(flags, c.key()):
			flags = append(flags, c.key())
		}
		v.t.Comment(c.comments()...)
	}
	if len(flags) > 0 {
		v.t.Set("scheduler_flags", flags)
	}
}

// persistence writes how long clients stay. A netmask alone turns it on, too.
func (v *virtual) persistence() {
	n, mask, pe := v.n.last("persistence_timeout"), v.n.last("persistence_granularity"), v.n.last("persistence_engine")
	const most = 31 * 24 * 60 * 60
	seconds := int64(0)
	switch {
	case n != nil && n.arg(0) != "":
		seconds = v.number(n, 0, 360, 0, most)
	case n != nil || mask != nil:
		seconds = 360
	}
	if seconds == 0 {
		for _, c := range []*node{mask, pe} {
			if c != nil {
				v.lose(c, "without persistence it means nothing")
			}
		}
		return
	}
	v.persists = true
	if n == nil {
		v.t.Set("persistence", time.Duration(seconds)*time.Second)
	} else {
		v.set(n, "persistence", time.Duration(seconds)*time.Second)
	}
	if mask != nil {
		if bits, ok := v.granularity(mask); ok {
			v.set(mask, "persistence_netmask", bits)
		}
	}
	switch {
	case pe == nil:
	case pe.arg(0) == "sip" && (v.protocol == "udp" || v.to.mark != 0):
		v.set(pe, "persistence_engine", "sip")
	default:
		v.lose(pe, "the kernel has \"sip\" for udp only")
	}
}

// granularity reads a netmask of IPv4 or the length of a prefix.
func (v *virtual) granularity(n *node) (int, bool) {
	full := 32
	if v.ipv6 {
		full = 128
	}
	if bits, err := strconv.Atoi(n.arg(0)); err == nil && bits >= 1 && bits <= full {
		return bits, true
	}
	if bits, ok := maskBits(n.arg(0)); ok && full == 32 && bits > 0 {
		return bits, true
	}
	v.lose(n, "%q is not a netmask of this virtual service; each client stays by itself", n.arg(0))
	return 0, false
}

// maskBits counts the ones of "255.255.255.0".
func maskBits(text string) (int, bool) {
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		return 0, false
	}
	bits, zeros := 0, false
	for _, b := range a.AsSlice() {
		for bit := 7; bit >= 0; bit-- {
			one := b>>bit&1 == 1
			if one && zeros {
				return 0, false
			}
			zeros = zeros || !one
			if one {
				bits++
			}
		}
	}
	return bits, true
}

// quiescent says whether a dead real server stays at weight 0. Here all of a
// virtual service do or none.
func (v *virtual) quiescent(reals []*real) {
	own := v.n.last("inhibit_on_failure")
	all := enabled(own)
	with, without := 0, 0
	for _, r := range reals {
		is := all
		if n := r.n.last("inhibit_on_failure"); n != nil {
			is = enabled(n)
		}
		if is {
			with++
		} else {
			without++
		}
	}
	if len(reals) > 0 {
		all = with >= without
	}
	for _, r := range reals {
		if n := r.n.last("inhibit_on_failure"); n != nil && enabled(n) != all {
			v.lose(n, "quiescent is one for all real servers of a virtual service, and most have it otherwise")
		} else if n == nil && enabled(own) != all {
			v.lose(r.n, "quiescent is one for all real servers of a virtual service: dead ones stay at weight 0, this one among them")
		}
	}
	if own == nil {
		v.t.Set("quiescent", all)
		return
	}
	v.set(own, "quiescent", all)
}

// fallback writes the sorry server, and tells whether there is one.
func (v *virtual) fallback(reals []*real) bool {
	n := v.n.last("sorry_server")
	if n == nil {
		return false
	}
	m := v.methodOf(v.n.last("sorry_server_lvs_method"), v.method)
	r := v.address(n, m)
	inline := emit.Inline{{Key: "address", Value: cmp.Or(r.text, n.arg(0))}, {Key: "forward", Value: m.forward}}
	for _, other := range reals {
		if r.bad == "" && other.bad == "" && other.addr == r.addr && other.port == r.port {
			r.bad = "a real server of the same virtual service, and a fallback must be another one"
		}
	}
	if r.bad == "" && r.addr.Is6() != v.ipv6 && v.to.bad == "" {
		v.mixed = true
	}
	if m.tunnel != nil {
		v.lose(n, "a fallback's tunnel is always ipip")
	}
	v.set(n, "fallback", inline)
	if r.bad != "" {
		v.lose(n, "%s; left as a comment", r.bad)
		v.t.Get("fallback").Off()
	}
	return r.bad == ""
}
