package ldirectord

import (
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/director/config/convert/emit"
	"github.com/ipvsd/ipvsd/director/table"
)

// virtual writes a virtual service with all that is below it.
func (b *builder) virtual(pl *plan) {
	v := pl.v
	t := b.doc.Array("virtual")
	b.places[t] = place{pl.parsed, v.line}
	t.Comment(v.above...)
	if v.off {
		t.Off()
	}
	b.name(pl, t)
	b.identity(pl, t)
	b.comment(pl, t)
	b.email(pl, t)
	b.scheduler(pl, t)
	reals := b.reals(pl)
	if method := usualMethod(reals); method != "" {
		t.Set("forward", method)
	}
	b.persistence(pl, t)
	if i := v.own("ops"); i != nil && i.text == "yes" {
		if v.protocol == "udp" {
			put(t, "one_packet", true, i)
		} else {
			pl.remark(i.line, "ops: ldirectord has it for protocol=udp only and ignores it here; it was left out")
		}
	}
	quiescent := pl.either(v, "quiescent")
	put(t, "quiescent", quiescent != nil && quiescent.text == "yes", quiescent)
	b.fallback(pl, t, reals)
	b.check(pl, t, reals)
	b.hooks(pl, t)
	b.rest(pl, t)
	for _, r := range reals {
		b.real(pl, t, r)
	}
}

// name uses servicename, which ldirectord has for its mails.
func (b *builder) name(pl *plan, t *emit.Table) {
	i := pl.v.own("servicename")
	if i == nil {
		return
	}
	name := unquote(i.full)
	switch odd := strings.ContainsFunc(name, func(r rune) bool { return !strconv.IsPrint(r) }); {
	case name == "" || odd:
	case b.names[name]:
		pl.lose(i.line, fmt.Sprintf("servicename: another virtual service is called %q already; this one keeps its address as its name", name))
	default:
		b.names[name] = true
		put(t, "name", name, i)
	}
}

// identity writes what makes the service the one it is.
func (b *builder) identity(pl *plan, t *emit.Table) {
	v := pl.v
	if v.host == "" {
		mark, err := strconv.ParseInt(v.mark, 10, 64)
		if err != nil || mark == 0 || mark > 1<<32-1 {
			pl.lose(v.line, fmt.Sprintf("%s is not a firewall mark that the kernel balances (1 to 4294967295); the service is in the output as a comment", v.mark))
			t.Off()
			v.off = true
		}
		k := t.Set("fwmark", mark).Note(v.trail)
		if value := unquote(v.value); strings.Contains(value, ".") {
			k.Note(fmt.Sprintf("ldirectord reads %q so: the port is missing", shorten(value)))
		}
		t.Set("family", map[bool]string{false: "ipv4", true: "ipv6"}[v.v6])
		return
	}
	address := v.host + ":" + v.port
	if v.addr.IsValid() && !v.vague {
		address = netip.AddrPortFrom(v.addr.Addr, v.number).String()
	}
	t.Set("address", address).Note(v.trail)
	if i := v.own("protocol"); i != nil || v.protocol != "tcp" {
		put(t, "protocol", v.protocol, i)
	}
}

func (b *builder) scheduler(pl *plan, t *emit.Table) {
	i, name := pl.v.own("scheduler"), "wrr"
	if i != nil {
		name = i.text
	}
	if !slices.Contains(table.Schedulers, name) {
		pl.lose(i.line, fmt.Sprintf("scheduler: %q is none of %s; the output has ldirectord's default, wrr", name, table.Schedulers))
		name = "wrr"
	}
	put(t, "scheduler", name, i)
	if i = pl.v.own("schedflags"); i == nil {
		return
	}
	var flags []string
	for f := range strings.SplitSeq(i.text, ",") {
		scheduler, _, _ := strings.Cut(f, "-")
		if known := slices.Contains([]string{"sh-fallback", "sh-port", "mh-fallback", "mh-port", "flag-1", "flag-2", "flag-3"}, f); !known || scheduler != "flag" && scheduler != name {
			pl.lose(i.line, fmt.Sprintf("schedflags: %q is no flag of the scheduler %s; it was left out", f, name))
			continue
		}
		flags = append(flags, f)
	}
	if len(flags) > 0 {
		put(t, "scheduler_flags", flags, i)
	}
}

// maxPersistence is what ipvsadm and director/config allow.
const maxPersistence = table.MaxTimeout * time.Second

func (b *builder) persistence(pl *plan, t *emit.Table) {
	i, mask := pl.v.own("persistent"), pl.v.own("netmask")
	if i == nil || i.num == 0 {
		if i != nil {
			pl.remark(i.line, "persistent: with 0 ipvsadm refuses the whole virtual service; the output has no persistence")
		}
		if mask != nil {
			pl.remark(mask.line, "netmask: without persistent ldirectord ignores it; it was left out")
		}
		return
	}
	d := secondsOf(i.num)
	if d > maxPersistence {
		pl.lose(i.line, "persistent: the kernel counts up to 31 days; the output has those")
		d = maxPersistence
	}
	put(t, "persistence", d, i)
	if mask != nil {
		b.netmask(pl, t, mask)
	}
}

func (b *builder) netmask(pl *plan, t *emit.Table, i *item) {
	length, err := strconv.Atoi(i.text)
	if !pl.v.v6 {
		quad, e := netip.ParseAddr(i.text)
		err = e
		if e == nil {
			four := quad.As4()
			mask := uint32(four[0])<<24 | uint32(four[1])<<16 | uint32(four[2])<<8 | uint32(four[3])
			length = bits.LeadingZeros32(^mask)
			if mask<<length != 0 || length == 0 {
				err = strconv.ErrRange
			}
		}
	}
	if err != nil {
		pl.lose(i.line, fmt.Sprintf("netmask: %s is not the mask of a network; it was left out", i.text))
		return
	}
	put(t, "persistence_netmask", length, i)
}

// fallback writes the section's fallback, or the global one for its family.
func (b *builder) fallback(pl *plan, t *emit.Table, reals []real) {
	v := pl.v
	name := sixth("fallback", v.v6)
	i, protocols := v.own(name), []string{v.protocol}
	if v.host == "" {
		protocols[0] = "fwm"
	}
	if i == nil {
		i, protocols = pl.global(name), []string{"tcp", "udp"}
		if i != nil && v.host == "" {
			pl.remark(i.line, fmt.Sprintf("%s: for a firewall mark ldirectord can't use it (it calls ipvsadm without an address); the output has it for the one in line %d too", name, v.line))
		}
	}
	if i == nil || v.off {
		return
	}
	s, a, _ := pl.parsed.fallback(i, v.v6, protocols...)
	port, _ := pl.servicePort(s.port, v.protocol)
	forward := methods[s.forward]
	if port != 0 && port != v.number && forward != "nat" {
		if v.host != "" {
			pl.remark(i.line, fmt.Sprintf("%s: with %s the kernel keeps the port of the virtual service, %d; the output has no port", name, s.forward, v.number))
		}
		port = 0
	}
	address := a.Addr.String()
	if port != 0 {
		address = netip.AddrPortFrom(a.Addr, port).String()
	}
	if slices.ContainsFunc(reals, func(r real) bool { return r.addr == a.Addr && (r.port == port || r.port|port == v.number) }) {
		pl.lose(i.line, fmt.Sprintf("%s: %s is a real server of the same virtual service; it was left out", name, a.Addr))
		return
	}
	put(t, "fallback", emit.Inline{{Key: "address", Value: address}, {Key: "forward", Value: forward}}, i)
}

// rest writes comments that nothing else took, and says what became of the
// directives without a key.
func (b *builder) rest(pl *plan, t *emit.Table) {
	for _, i := range pl.v.order {
		comment := pl.leave(i)
		if i.told {
			continue
		}
		t.Comment(i.above...)
		if comment != "" {
			t.Comment(comment)
		}
	}
}
