package keepalived

import (
	"slices"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/director/config/convert/emit"
)

// checkers are the kinds of checks, the one that says most first: here a real
// server has one.
var checkers = []string{"HTTP_GET", "SSL_GET", "SMTP_CHECK", "DNS_CHECK", "UDP_CHECK", "MISC_CHECK", "TCP_CHECK", "PING_CHECK"}

// probe is how one real server is checked. Those of one virtual service that
// are equal but for what real servers may have of their own are one check.
type probe struct {
	shape
	own
	n      *node // the checker; nil: there is none
	follow bool  // it is the virtual service's but for own
}

// shape is what [virtual.check] has for all real servers.
type shape struct {
	typ               string
	interval, timeout time.Duration
	fall              int64
	port              uint16 // 0: the real server's
	status, host      string
	record            string
	command           string // its words joined by NUL
}

// own is what a real server may have of its own.
type own struct {
	request, receive, send, expect string
}

// probe reads the check of a real server.
func (v *virtual) probe(r *real) probe {
	var list []*node
	for _, key := range checkers {
		list = append(list, r.n.all(key)...)
	}
	if len(list) == 0 {
		return probe{shape: shape{typ: "on"}}
	}
	p := probe{n: list[0]}
	in := []*node{p.n, r.n, v.n}
	defaultRetry := int64(1)
	switch p.n.key() {
	case "MISC_CHECK":
		defaultRetry = 0
	case "DNS_CHECK":
		defaultRetry = 3
	}
	p.interval = v.wait(inner(in, "delay_loop"), time.Minute)
	p.timeout = v.wait(inner(in, "connect_timeout"), 5*time.Second)
	p.fall = defaultRetry + 1
	if n := inner(in, "retry", "nb_get_retry"); n != nil {
		p.fall = v.number(n, 0, defaultRetry, 0, 65534) + 1
	}
	p.port = v.checkPort(r, p.n)
	switch p.n.key() {
	case "HTTP_GET", "SSL_GET":
		v.http(&p, in)
	case "SMTP_CHECK":
		v.smtp(&p)
	case "DNS_CHECK":
		v.dns(&p)
	case "UDP_CHECK":
		v.udp(&p)
	case "MISC_CHECK":
		v.misc(&p, r)
	case "TCP_CHECK":
		p.typ = "connect"
		if v.protocol == "udp" {
			v.lose(p.n, "of a udp service type \"connect\" is a ping here and no TCP connection")
		}
		v.dropRest(p.n, commonKeys, checkWords)
	case "PING_CHECK":
		p.typ = "ping"
		v.dropRest(p.n, commonKeys, checkWords)
	}
	v.portless(&p, r)
	v.others(p, list[1:])
	return p
}

// commonKeys are keywords of all checkers that are handled here.
const commonKeys = "connect_ip connect_port connect_timeout retry delay_loop"

// inner returns a statement of the innermost block that has it.
func inner(blocks []*node, keys ...string) *node {
	for _, b := range blocks {
		if n := b.last(keys...); n != nil {
			return n
		}
	}
	return nil
}

// checkPort returns the port to check, 0 where it is the real server's.
func (v *virtual) checkPort(r *real, n *node) uint16 {
	port := r.port
	if r.own != 0 && v.to.n != v.n || v.to.mark != 0 {
		port = r.own
	}
	if ip := n.last("connect_ip"); ip != nil && ip.arg(0) != r.n.arg(0) {
		v.lose(ip, "a check goes to the real server's own address; path = \"vip\" in [virtual.check] sends it to the virtual one")
	}
	if c := n.last("connect_port"); c != nil {
		port = uint16(v.number(c, 0, int64(port), 1, 65535))
	}
	if port == r.port {
		return 0
	}
	return port
}

// portless finds checks that need a port where there is none.
func (v *virtual) portless(p *probe, r *real) {
	switch p.typ {
	case "ping":
		p.port = 0
	case "external", "on":
	default:
		if r.port == 0 && p.port == 0 {
			v.lose(p.n, "a firewall mark has no port, and neither has the real server; it is pinged instead")
			p.shape = shape{typ: "ping", interval: p.interval, timeout: p.timeout, fall: p.fall}
			p.own = own{}
		}
	}
}

// others notes the further checkers of a real server.
func (v *virtual) others(p probe, rest []*node) {
	for _, n := range rest {
		port := n.last("connect_port")
		switch {
		case n.key() == "PING_CHECK" && p.typ != "external", n.key() == "TCP_CHECK" && port == nil && p.typ != "external" && p.typ != "udp" && p.typ != "dns":
			v.tell(n, "%s at the real server implies it", p.n.key())
		default:
			v.lose(n, "a real server has one check here, and that is %s in line %d", p.n.key(), p.n.line)
		}
	}
}

// check writes [virtual.check]: what most real servers have. It returns what
// they may have otherwise.
func (v *virtual) check(reals []*real) own {
	best := v.common(reals)
	if best == nil {
		return own{}
	}
	t := v.t.Table("check")
	p := best.probe
	t.Set("type", p.typ)
	for _, r := range reals {
		switch {
		case r.bad != "":
		case r.probe.shape == p.shape:
			r.probe.follow = true
		case r.probe.n == nil:
			v.lose(r.n, "it has no checker and was always up; here it is checked as the others of this virtual service")
		default:
			v.lose(r.probe.n, "not the check of most real servers of this virtual service, which is one for all here")
		}
	}
	if p.typ == "on" {
		v.tell(v.n, "its real servers have no checkers and are always up; type = \"connect\" would watch them")
		return own{}
	}
	v.settings(t, p, best)
	return p.own
}

// common returns a real server whose check is that of most. Checks count more
// than none.
func (v *virtual) common(reals []*real) (best *real) {
	count := make(map[shape]int)
	for _, r := range reals {
		if r.bad == "" {
			count[r.probe.shape]++
		}
	}
	for _, r := range reals {
		switch {
		case r.bad != "":
		case best == nil, best.probe.n == nil && r.probe.n != nil, r.probe.n != nil && count[r.probe.shape] > count[best.probe.shape]:
			best = r
		}
	}
	return best
}

// settings writes the keys of [virtual.check] with the comments of those that
// they come from.
func (v *virtual) settings(t *emit.Table, p probe, best *real) {
	in := []*node{p.n, best.n, v.n}
	t.Comment(p.n.comments()...)
	set := func(value any, key string, from ...string) {
		v.importer.set(t, inner(in, from...), key, value)
	}
	set(p.interval, "interval", "delay_loop")
	set(p.timeout, "timeout", "connect_timeout", "misc_timeout")
	if p.fall != 1 {
		set(p.fall, "fall", "retry", "nb_get_retry")
	}
	if p.port != 0 {
		set(p.port, "port", "connect_port")
	}
	set = func(value any, key string, _ ...string) {
		if value != "" {
			t.Set(key, value)
		}
	}
	set(p.request, "request")
	set(p.receive, "receive")
	set(p.send, "send")
	set(p.expect, "expect")
	set(p.status, "status")
	set(p.host, "virtualhost")
	set(p.record, "record")
	if p.typ == "https" {
		t.Set("verify", false).Note("keepalived takes any certificate; true looks at it")
	}
	if p.command != "" {
		t.Set("command", strings.Split(p.command, "\x00"))
	}
	t.Comment(p.n.allComments()...)
}

// difference writes what a real server's check has of its own.
func (p probe) difference(t *emit.Table, all own) {
	if !p.follow {
		return
	}
	for _, k := range []struct{ key, mine, all string }{
		{"request", p.request, all.request},
		{"receive", p.receive, all.receive},
		{"send", p.send, all.send},
		{"expect", p.expect, all.expect},
	} {
		if k.mine != k.all {
			t.Set(k.key, k.mine)
		}
	}
}

// blocks returns the blocks of that keyword in the order of the file.
func (n *node) blocks(key string) []*node {
	return slices.DeleteFunc(n.all(key), func(c *node) bool { return !c.block })
}
