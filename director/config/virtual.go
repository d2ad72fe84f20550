package config

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"github.com/ipvsd/ipvsd/director/table"
)

// virtuals validates all virtual services, each with what is below it.
func (r *report) virtuals(raw *rawFile, cfg *Config) []Virtual {
	if len(raw.Virtuals) == 0 && !raw.bad["virtual"] {
		r.warnf(1, "there is no [[virtual]] in the file; the director has nothing to do")
	}
	r.defaultType(&raw.Check)
	var list []Virtual
	names := make(map[string]int)
	keys := make(map[table.ServiceKey]int)
	for i := range raw.Virtuals {
		b := &virtualReader{report: r, raw: &raw.Virtuals[i], defaults: &raw.Check}
		v := b.read()
		v.Comment, v.Hooks, v.Email = b.comment(), b.hooks(cfg.Hooks.VirtualHooks), b.email(cfg.Email.To)
		list = append(list, v)
		if key := v.Service.ServiceKey; b.keyed {
			if cfg.Director.IsCheckMark(key) {
				b.fail("fwmark", "%d is one of the marks for checks, %#x to %#x; take another, or set [director] check_marks", key.FWMark, cfg.Director.CheckMarks, cfg.Director.CheckMarks+CheckMarks-1)
			}
			if line, ok := keys[key]; ok {
				r.errorf(b.keyLine(), "%s: %s is already the virtual service in line %d; remove one of the two", b.keyName(), key, line)
				continue
			}
			keys[key] = b.keyLine()
		}
		if line, ok := names[v.Name]; ok && v.Name != "" {
			r.key(&b.raw.at, "name", "%q is already the name of the virtual service in line %d; give each its own", v.Name, line)
			continue
		}
		names[v.Name] = b.raw.line("name")
	}
	return list
}

// virtualReader reads one virtual service.
type virtualReader struct {
	*report
	raw      *rawVirtual
	defaults *rawCheck // [check]
	service  table.Service
	checked  check  // how its real servers are checked
	keyed    bool   // the service's key is good, so that what depends on it can be judged
	shown    string // its name
}

func (b *virtualReader) read() Virtual {
	b.identify()
	b.settings()
	b.shown = b.name()
	v := Virtual{
		Name:      b.shown,
		Line:      b.raw.header,
		Service:   b.service,
		Quiescent: or(b.raw.Quiescent, true),
	}
	lines := make(map[netip.AddrPort]int)
	v.Reals = b.reals(lines)
	v.Fallback = b.fallback(lines)
	v.Pool = b.pool(v)
	return v
}

// keyName is the key that says which service it is.
func (b *virtualReader) keyName() string {
	if b.raw.has("address") {
		return "address"
	}
	return "fwmark"
}

func (b *virtualReader) keyLine() int { return b.raw.line(b.keyName()) }

// fail reports a problem of one of the virtual service's own keys.
func (b *virtualReader) fail(key, format string, args ...any) {
	b.report.key(&b.raw.at, key, format, args...)
}

// identify fills in the service's key: an address or a firewall mark.
func (b *virtualReader) identify() {
	raw := b.raw
	switch {
	case raw.has("address") && raw.has("fwmark"):
		b.fail("fwmark", "a virtual service has an address or a firewall mark, not both; remove this or the address in line %d", raw.line("address"))
	case raw.has("address"):
		b.byAddress()
	case raw.has("fwmark"):
		b.byMark()
	default:
		b.errorf(raw.header, "this virtual service has neither address nor fwmark; write address = \"192.0.2.10:80\"")
	}
}

func (b *virtualReader) byAddress() {
	protocol, known := b.protocol()
	if b.raw.has("family") {
		b.fail("family", "only a firewall mark needs it, an address says it by itself; leave it out")
	}
	if b.raw.Address == nil {
		return
	}
	text := *b.raw.Address
	addr, port, problem := parseAddress(text)
	switch {
	case problem != "":
		b.fail("address", "%s", problem)
	case port == noPort:
		b.fail("address", "%q has no port; write %q (for a firewall mark: fwmark = 1)", text, bracketed(addr)+":80")
	case port == 0:
		b.fail("address", "%q: port 0 is for firewall marks; write the port that clients reach", text)
	case known:
		b.service.ServiceKey = table.ByAddr(protocol, netip.AddrPortFrom(addr, uint16(port)))
		b.keyed = true
	}
}

func (b *virtualReader) protocol() (table.Protocol, bool) {
	if b.raw.bad["protocol"] {
		return 0, false
	}
	switch p := or(b.raw.Protocol, "tcp"); p {
	case "tcp":
		return table.TCP, true
	case "udp":
		return table.UDP, true
	case "sctp":
		return table.SCTP, true
	default:
		b.fail("protocol", "%q is not known; %s", p, didYouMean(p, []string{"tcp", "udp", "sctp"}))
		return 0, false
	}
}

func (b *virtualReader) byMark() {
	if b.raw.has("protocol") {
		b.fail("protocol", "only an address has one, a firewall mark covers whatever is marked; leave it out")
	}
	mark, family := or(b.raw.FWMark, 1), b.family()
	if mark < 1 || mark > 1<<32-1 {
		b.fail("fwmark", "%d is not a firewall mark; write a number from 1 to 4294967295", mark)
	}
	if family != 0 && !b.raw.bad["fwmark"] {
		b.service.ServiceKey = table.ByMark(family, uint32(mark))
		b.keyed = true
	}
}

func (b *virtualReader) family() table.Family {
	switch f := or(b.raw.Family, ""); {
	case f == "ipv4":
		return table.IPv4
	case f == "ipv6":
		return table.IPv6
	case !b.raw.has("family"):
		b.fail("family", "missing; with fwmark write family = \"ipv4\" or \"ipv6\"")
	case b.raw.Family != nil:
		b.fail("family", "%q is not known; %s", f, didYouMean(f, []string{"ipv4", "ipv6"}))
	}
	return 0
}

// name returns the name; by default the address, or the mark with its family.
// A protocol other than tcp is added, so that DNS on both needs no name.
func (b *virtualReader) name() string {
	if b.raw.Name != nil {
		name := *b.raw.Name
		switch {
		case strings.TrimSpace(name) == "":
			b.fail("name", "empty; write a name or leave it out")
		case strings.TrimSpace(name) != name:
			b.fail("name", "%q begins or ends with a blank; take it out", name)
		case strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }):
			b.fail("name", "%q has characters that can't be printed; take them out", name)
		}
		return name
	}
	switch key := b.service.ServiceKey; {
	case !b.keyed:
		return ""
	case key.Protocol == 0:
		return fmt.Sprintf("fwmark-%d/%s", key.FWMark, key.Family)
	case key.Protocol == table.TCP:
		return key.Addr.String()
	default:
		return key.String()
	}
}
