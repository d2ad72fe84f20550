package ldirectord

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/config/convert/emit"
)

// maxRange is more servers than anyone writes in a range by intent.
const maxRange = 4096

// real is one real server of a line.
type real struct {
	server
	*item
	first    bool // of its line
	addr     netip.Addr
	port     uint16 // in the kernel; 0: the virtual service's
	written  uint16 // as written
	forward  string // dr, nat, tun
	unusable bool
}

// reals reads the real lines of a section and leaves out what stands twice.
func (b *builder) reals(pl *plan) []real {
	var list []real
	seen := make(map[netip.AddrPort]real)
	for _, i := range pl.v.lines {
		for _, r := range b.expand(pl, i) {
			key := netip.AddrPortFrom(r.addr, r.port)
			if r.port == 0 {
				key = netip.AddrPortFrom(r.addr, pl.v.number)
			}
			if was, ok := seen[key]; ok && !r.unusable {
				text := fmt.Sprintf("%s is the server in line %d once more; it was left out", r.addr, was.line)
				if r.forward != was.forward || weightOf(r.server) != weightOf(was.server) || r.request != was.request {
					pl.lose(i.line, text+", with what it has of its own")
				} else {
					pl.remark(i.line, text)
				}
				continue
			}
			if !r.unusable {
				seen[key] = r
			}
			list = append(list, r)
		}
	}
	return list
}

// expand returns the servers of one line.
func (b *builder) expand(pl *plan, i realLine) []real {
	s := i.server
	r := real{server: s, item: i.item, first: true, forward: methods[s.forward], unusable: !i.ok}
	if !i.ok {
		return []real{r}
	}
	from, _ := pl.resolve(s.from, pl.v.v6)
	if from.note != "" {
		pl.remark(i.line, from.note)
	}
	r.addr = from.Addr
	r.written, _ = pl.servicePort(s.port, "")
	r.port = r.written
	if r.forward != "nat" && r.port != pl.v.number {
		if r.port != 0 && pl.v.host != "" {
			pl.remark(i.line, fmt.Sprintf("with %s the kernel keeps the port of the virtual service, %d, and ignores %d; the output has no port here", s.forward, pl.v.number, r.port))
		}
		r.port = 0
	}
	list := []real{r}
	if s.to == "" {
		return list
	}
	to, _ := pl.resolve(s.to, false)
	for r.addr != to.Addr {
		if len(list) == maxRange {
			pl.lose(i.line, fmt.Sprintf("the range holds more than %d servers; the output has the first of them", maxRange))
			break
		}
		r.addr, r.first = r.addr.Next(), false
		list = append(list, r)
	}
	return list
}

// usualMethod is the forwarding method of most real servers.
func usualMethod(reals []real) string {
	var all, off []string
	for _, r := range reals {
		if r.unusable {
			off = append(off, r.forward)
		} else {
			all = append(all, r.forward)
		}
	}
	return most(all, most(off, ""))
}

// real writes a real server.
func (b *builder) real(pl *plan, t *emit.Table, r real) {
	if r.unusable {
		b.draft(t.Array("real").Off(), r)
		return
	}
	e := t.Array("real")
	b.places[e] = place{pl.parsed, r.line}
	if r.first {
		e.Comment(r.above...)
	}
	address := r.addr.String()
	if r.port != 0 && r.port != pl.v.number {
		address = netip.AddrPortFrom(r.addr, r.port).String()
	}
	k := e.Set("address", address)
	if r.first {
		k.Note(r.trail)
	}
	weight, err := strconv.ParseUint(weightOf(r.server), 10, 16)
	if err != nil {
		pl.lose(r.line, fmt.Sprintf("weight %s is more than 65535; the output has that", weightOf(r.server)))
		weight = 65535
	}
	e.Set("weight", int(weight))
	if method := t.Get("forward"); method == nil || method.Value() != r.forward {
		e.Set("forward", r.forward)
	}
	b.ownTexts(pl, e, r)
	b.thresholds(pl, e, r)
}

// draft writes what is known of a server that can't be used, for somebody to
// complete.
func (b *builder) draft(e *emit.Table, r real) {
	e.Comment(r.above...)
	host := r.from
	if r.to != "" {
		host += "->" + r.to
	}
	if r.server.port != "" {
		host += ":" + r.server.port
	}
	if r.from == "" || r.server.forward == "" {
		e.Set("address", unquote(r.full)).Note(r.trail)
		return
	}
	e.Set("address", host).Note(r.trail)
	if weight, err := strconv.ParseUint(weightOf(r.server), 10, 16); err == nil {
		e.Set("weight", int(weight))
	}
}

// ownTexts writes a real server's own request and receive.
func (b *builder) ownTexts(pl *plan, e *emit.Table, r real) {
	if r.request == "" && r.receive == "" {
		return
	}
	if !pl.takes("request") {
		pl.remark(r.line, fmt.Sprintf("a check of type %q has no request; the server's own was left out", string(pl.kind)))
		return
	}
	if pl.kind == checker.SimpleTCP {
		pl.lose(r.line, "ipvsd has no request of a server's own in a check of type simpletcp; it was left out")
		return
	}
	if text := pl.request(r.item, r.request, true); text != "" {
		e.Set("request", text)
	}
	if pl.takes("receive") {
		b.receive(pl, e, r.item, r.receive)
	}
}

func (b *builder) thresholds(pl *plan, e *emit.Table, r real) {
	lower, errLower := strconv.ParseUint("0"+r.lower, 10, 31)
	upper, errUpper := strconv.ParseUint("0"+r.upper, 10, 31)
	switch {
	case errLower != nil || errUpper != nil:
		pl.lose(r.line, "a threshold is more than the kernel can count; both were left out")
		return
	case lower > 0 && upper == 0:
		pl.remark(r.line, "ipvsadm refuses a lower threshold without an upper one, so that ldirectord never has this server in service; it was left out")
		lower = 0
	case lower > upper:
		pl.lose(r.line, fmt.Sprintf("the lower threshold %d is above the upper one, %d; it was left out", lower, upper))
		lower = 0
	}
	if upper > 0 {
		e.Set("upper_threshold", int(upper))
	}
	if lower > 0 {
		e.Set("lower_threshold", int(lower))
	}
}

// checkPort finds the port that ldirectord checks: checkport, else the real
// server's as written, else the usual one of the service. It differs from ours
// where the real server has none.
func (b *builder) checkPort(pl *plan, reals []real) (port uint16, from *item) {
	if !portKinds[pl.kind] {
		return 0, nil
	}
	if i := pl.v.own("checkport"); i != nil {
		return uint16(i.num), i
	}
	var theirs []uint16
	alike, common := 0, 0
	for _, r := range reals {
		if !r.unusable {
			theirs = append(theirs, r.checked(pl.v))
		}
	}
	usual := most(theirs, 0)
	for _, r := range reals {
		if theirs := r.checked(pl.v); !r.unusable {
			alike += count(theirs == r.here(pl.v))
			common += count(theirs == usual)
		}
	}
	if usual != 0 && common > alike {
		port = usual
	}
	for _, r := range reals {
		if r.first && !r.unusable {
			pl.portAdvice(r, port)
		}
	}
	return port, nil
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

// portAdvice says what is odd about the port that a server is checked on; port
// is that of all, or 0.
func (pl *plan) portAdvice(r real, port uint16) {
	theirs, ours := r.checked(pl.v), cmp.Or(port, r.here(pl.v))
	switch {
	case theirs == ours && r.written == 0 && theirs != pl.v.number && pl.v.number != 0:
		pl.remark(r.line, fmt.Sprintf("the server has no port, so ldirectord checks it on the usual one of %s, %d, whatever the virtual service's is; so does the output", pl.v.service, theirs))
	case theirs == 0 && ours != 0:
		pl.remark(r.line, fmt.Sprintf("without a port ldirectord has none to check and counts the server as down for good; the output has it checked on port %d", ours))
	case theirs != ours:
		pl.lose(r.line, fmt.Sprintf("ldirectord checks this server on port %d; the output has one port for all, and it is %d here", theirs, ours))
	}
}

// checked is the port that ldirectord checks, 0 for none.
func (r real) checked(v *virtual) uint16 {
	if r.written != 0 {
		return r.written
	}
	return servicePorts[v.service]
}

// here is the port that ipvsd checks unless told otherwise.
func (r real) here(v *virtual) uint16 {
	if r.port != 0 {
		return r.port
	}
	return v.number
}

// oneLine tells whether a text fits into a line of a protocol.
func oneLine(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
