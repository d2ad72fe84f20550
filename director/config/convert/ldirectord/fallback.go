package ldirectord

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	lastWords = regexp.MustCompile(`([^\s\v]+)(?:[\s\v]+([^\s\v]+))?[\s\v]*$`)
	endPort   = regexp.MustCompile(`:([A-Za-z0-9_-]+)$`)
)

// sorry is a fallback server.
type sorry struct {
	host    string
	port    string // "": none was written
	forward string
}

// methods are ldirectord's words for ours.
var methods = map[string]string{"gate": "dr", "masq": "nat", "ipip": "tun"}

// strictFallback reads the last two words of a line, as ldirectord does: host
// and port, and the method.
func strictFallback(value string) (sorry, string) {
	s := sorry{forward: "gate"}
	words := lastWords.FindStringSubmatch(value)
	if words == nil {
		return s, ""
	}
	if words[2] != "" {
		s.forward = words[2]
	}
	s.host = words[1]
	if m := endPort.FindStringSubmatchIndex(s.host); m != nil {
		s.host, s.port = s.host[:m[0]], s.host[m[2]:]
	}
	if methods[s.forward] == "" {
		return s, fmt.Sprintf("%q is no forwarding method; gate, masq or ipip", s.forward)
	}
	return s, ""
}

// fallback reads a fallback server: as ldirectord does, else as a person.
func (p *parsed) fallback(i *item, v6 bool, protocols ...string) (sorry, address, bool) {
	s, why := strictFallback(i.value)
	a, err := p.resolveOwn(s.host, v6)
	if why == "" && err == nil {
		why = p.fallbackPort(s, protocols)
	} else if why == "" {
		why = err.Error()
	}
	if why == "" {
		if a.note != "" {
			p.remark(i.line, i.name+": "+a.note)
		}
		if before, _, _ := strings.Cut(i.value, s.host); strings.Trim(before, blanks) != "" {
			p.remark(i.line, fmt.Sprintf("%s: ldirectord reads the last two words, %s %s; so does the output", i.name, s.host, s.forward))
		}
		return s, a, true
	}
	meant, problem := strictFallback(unquote(lower(i.value)))
	if m, ok := ours[meant.forward]; ok {
		meant.forward, problem = m, ""
	}
	if protocols = protocols[:1]; protocols[0] == "fwm" {
		protocols = []string{""}
	}
	if a, err = p.resolve(meant.host, v6); err != nil || problem != "" || p.fallbackPort(meant, protocols) != "" {
		p.find(finding{line: i.line, text: fmt.Sprintf("%s: %s; ldirectord stops here. It was left out", i.name, why), lost: true, refused: true})
		return s, a, false
	}
	p.refuse(i.line, fmt.Sprintf("%s: %s; ldirectord stops here. It was taken for %s %s", i.name, why, meant.host, meant.forward))
	return meant, a, true
}

// resolveOwn resolves a host as resolve does; none at all is this machine.
func (p *parsed) resolveOwn(host string, v6 bool) (address, error) {
	switch {
	case host != "" && host != "[]":
		return p.resolve(host, v6)
	case v6:
		host = "::1"
	default:
		host = "127.0.0.1"
	}
	a, err := p.resolve(host, v6)
	a.note = fmt.Sprintf("there is no host; ldirectord takes that for its own machine, %s, and so does the output", host)
	return a, err
}

// ours are words of other programs for ldirectord's methods.
var ours = map[string]string{"dr": "gate", "direct": "gate", "route": "gate", "nat": "masq", "masquerade": "masq", "tun": "ipip", "tunnel": "ipip"}

// fallbackPort says why a port can't be the fallback's, or "". A global one
// must exist for both protocols.
func (p *parsed) fallbackPort(s sorry, protocols []string) string {
	if s.port == "" || s.port == "0" {
		return ""
	}
	bad := func(protocol string) bool {
		_, ok := p.servicePort(s.port, protocol)
		return !ok
	}
	if i := slices.IndexFunc(protocols, bad); i >= 0 {
		return fmt.Sprintf("%s is no port of %s", s.port, protocols[i])
	}
	return ""
}

// globalFallback judges a global fallback, once.
func (p *parsed) globalFallback(i *item, v6 bool) {
	_, _, ok := p.fallback(i, v6, "tcp", "udp")
	i.bad = !ok
}

// checkFallback judges a section's own fallback.
func (p *parsed) checkFallback(i *item, v *virtual) {
	protocol := v.protocol
	if v.host == "" {
		protocol = "fwm"
	}
	_, _, ok := p.fallback(i, v.v6, protocol)
	i.bad = !ok
}
