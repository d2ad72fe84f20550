package config

import (
	"math"
	"net/netip"

	"github.com/ipvsd/ipvsd/director/table"
)

// reals reads the real servers and notes the line of each.
func (b *virtualReader) reals(lines map[netip.AddrPort]int) []Real {
	method, problem := forward(or(b.raw.Forward, "dr"))
	if problem != "" {
		b.fail("forward", "%s", problem)
	}
	check := b.check()
	b.checked = check
	if len(b.raw.Reals) == 0 && !b.raw.bad["real"] {
		b.warnf(b.raw.header, "this virtual service has no [[virtual.real]]; nobody serves its clients")
	}
	var reals []Real
	for i := range b.raw.Reals {
		raw := &b.raw.Reals[i]
		real := Real{Line: raw.header, Rise: check.rise, Fall: check.fall}
		addr, ok := b.realAddress(&raw.at, raw.Address)
		real.Real = b.realSettings(raw, method)
		real.Percent = raw.Weight != nil && raw.Weight.percent
		real.Tier = int(b.number(&raw.at, "tier", raw.Tier, 1, 1, maxTier))
		if ok {
			addr = b.ownPort(raw, addr)
			real.Addr, ok = b.realPort(&raw.at, addr, real.Forward, raw.bad["forward"] || b.raw.bad["forward"])
		}
		if ok {
			if line, was := lines[real.Addr]; was {
				b.report.key(&raw.at, "address", "%s is already the real server in line %d; remove one of the two", real.Addr, line)
				continue
			}
			lines[real.Addr] = raw.line("address")
			real.Check = b.spec(check, raw, real.Addr)
			if check.vip {
				b.through(check, &real)
			}
		}
		reals = append(reals, real)
	}
	return reals
}

// target is an address as it was written; port may be noPort.
type target struct {
	addr netip.Addr
	port int
	text string
}

func (b *virtualReader) realAddress(t *at, text *string) (target, bool) {
	if text == nil {
		if !t.has("address") {
			b.report.key(t, "address", "missing; write that of the server, such as address = \"192.0.2.11\"")
		}
		return target{}, false
	}
	addr, port, problem := parseAddress(*text)
	if problem != "" {
		b.report.key(t, "address", "%s", problem)
	}
	return target{addr, port, *text}, problem == ""
}

// ownPort takes the port from the key of that name, where there is one.
func (b *virtualReader) ownPort(raw *rawReal, to target) target {
	if raw.Port == nil {
		return to
	}
	own := int(b.number(&raw.at, "port", raw.Port, 0, 1, 65535))
	if to.port != noPort && to.port != own {
		b.report.key(&raw.at, "port", "%d, and the address has the port %d; write only one of the two", own, to.port)
	}
	to.port = own
	return to
}

// realPort completes a real server's address by the virtual service's port and
// says where the two don't go together.
func (b *virtualReader) realPort(t *at, to target, method table.Forward, methodBad bool) (netip.AddrPort, bool) {
	if !b.keyed {
		return netip.AddrPort{}, false
	}
	own := int(b.service.Addr.Port()) // 0 for a firewall mark
	if to.port == noPort {
		to.port = own
	}
	done := netip.AddrPortFrom(to.addr, uint16(to.port))
	if methodBad {
		return done, true
	}
	family := table.FamilyOf(to.addr)
	switch {
	case to.port == 0 && own != 0:
		b.report.key(t, "address", "%q: port 0 is for firewall marks; write the real server's port or leave it out", to.text)
	case to.port != own && method != table.NAT && own == 0:
		b.report.key(t, "address", "%q: with forward = %q the packets of a firewall mark keep their port; leave the port out (for the check: port in [virtual.check]), or use forward = \"nat\"", to.text, method)
	case to.port != own && method != table.NAT:
		b.report.key(t, "address", "%q: with forward = %q the kernel can't change the port %d to %d; leave the port out, or use forward = \"nat\"", to.text, method, own, to.port)
	case family != b.service.Family && method != table.Tun:
		b.report.key(t, "address", "%q is %s and the virtual service is %s; the kernel allows that with forward = \"tun\" only", to.text, family, b.service.Family)
	default:
		return done, true
	}
	return done, false
}

func (b *virtualReader) realSettings(raw *rawReal, method table.Forward) table.Real {
	if raw.Forward != nil {
		var problem string
		if method, problem = forward(*raw.Forward); problem != "" {
			b.report.key(&raw.at, "forward", "%s", problem)
		}
	}
	real := table.Real{
		Forward: method,
		Weight:  b.weight(raw),
		Upper:   b.number(&raw.at, "upper_threshold", raw.UpperThreshold, 0, 0, math.MaxUint32),
		Lower:   b.number(&raw.at, "lower_threshold", raw.LowerThreshold, 0, 0, math.MaxUint32),
	}
	switch known := !raw.bad["upper_threshold"] && !raw.bad["lower_threshold"]; {
	case known && real.Lower > 0 && real.Upper == 0:
		b.report.key(&raw.at, "lower_threshold", "without upper_threshold it means nothing; add that or leave this out")
	case known && real.Lower > real.Upper:
		b.report.key(&raw.at, "lower_threshold", "%d is more than upper_threshold = %d; write %d or less", real.Lower, real.Upper, real.Upper)
	}
	if raw.Tunnel != nil {
		if method != table.Tun && !raw.bad["forward"] && !b.raw.bad["forward"] {
			b.report.key(&raw.at, "tunnel", "only for forward = \"tun\", and this one is %q; leave it out", method)
		}
		real.Tunnel = b.tunnel(raw.Tunnel)
	}
	return real
}

// number returns a number between two limits.
func (r *report) number(t *at, key string, n *int64, def, least, most int64) uint32 {
	v := or(n, def)
	if n != nil && (v < least || v > most) {
		r.key(t, key, "%d is out of range; write a number from %d to %d", v, least, most)
	}
	return uint32(v)
}

// The kernel's IP_VS_CONN_F_TUNNEL_TYPE_* and IP_VS_TUNNEL_ENCAP_FLAG_*.
var (
	tunnelTypes = []string{"ipip", "gue", "gre"}
	checksums   = []string{"none", "full", "remote"}
)

func (b *virtualReader) tunnel(raw *rawTunnel) table.Tunnel {
	kind, sum := or(raw.Type, "ipip"), or(raw.Checksum, "none")
	t := table.Tunnel{
		Type:  uint8(b.word(&raw.at, "type", kind, tunnelTypes)),
		Port:  uint16(b.number(&raw.at, "port", raw.Port, 0, 1, 65535)),
		Flags: uint16(b.word(&raw.at, "checksum", sum, checksums)),
	}
	if raw.bad["type"] {
		return t
	}
	switch {
	case kind == "gue" && !raw.has("port"):
		b.report.key(&raw.at, "port", "missing; \"gue\" needs the UDP port that the real server decapsulates on")
	case kind != "gue" && raw.has("port"):
		b.report.key(&raw.at, "port", "only for type = \"gue\", and this one is %q; leave it out", kind)
	case kind == "ipip" && sum != "none" || kind == "gre" && sum == "remote":
		b.report.key(&raw.at, "checksum", "%q is not possible with type = %q; leave it out", sum, kind)
	}
	return t
}

// word returns the position of a word in a list.
func (r *report) word(t *at, key, word string, known []string) int {
	for i, k := range known {
		if k == word {
			return i
		}
	}
	r.key(t, key, "%q is not known; %s", word, didYouMean(word, known))
	return 0
}

// fallback reads the server for the time while no real server is up.
func (b *virtualReader) fallback(reals map[netip.AddrPort]int) *table.Real {
	raw := b.raw.Fallback
	if raw == nil {
		return nil
	}
	method, problem := forward(or(raw.Forward, "dr"))
	if problem != "" {
		b.report.key(&raw.at, "forward", "%s", problem)
	}
	to, ok := b.realAddress(&raw.at, raw.Address)
	if !ok {
		return nil
	}
	addr, ok := b.realPort(&raw.at, to, method, raw.bad["forward"])
	if !ok {
		return nil
	}
	if line, was := reals[addr]; was {
		b.report.key(&raw.at, "address", "%s is already the real server in line %d; a fallback must be another one", addr, line)
	}
	return &table.Real{Addr: addr, Forward: method, Weight: 1}
}
