package ldirectord

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var (
	hostPort  = regexp.MustCompile(`^([0-9A-Za-z._+-]+):([0-9A-Za-z_-]+)`)
	sixPort   = regexp.MustCompile(`^\[([0-9A-Fa-f:]+)\]:([0-9A-Za-z_-]+)`)
	leadDigit = regexp.MustCompile(`^\d+`)
	bareSix   = regexp.MustCompile(`^\[?([0-9A-Fa-f]*:[0-9A-Fa-f:.]*)\]?$`)
)

// identify reads a virtual line: host and port, or a firewall mark.
func (p *parsed) identify(v *virtual) {
	value := unquote(v.value)
	if m := hostPort.FindStringSubmatch(v.value); m != nil {
		v.host, v.port = m[1], m[2]
	} else if m := leadDigit.FindString(v.value); m != "" {
		v.mark = m
		p.markAdvice(v, value)
	} else if m := sixPort.FindStringSubmatch(v.value); m != nil {
		v.host, v.port = "["+m[1]+"]", m[2]
		if !v.v6 {
			p.refuse(v.line, "an IPv6 address needs virtual6; ldirectord stops here. It was taken for that")
			v.v6 = true
		}
	} else if m := hostPort.FindStringSubmatch(value); m != nil {
		p.refuse(v.line, "the address of a virtual stands without quotes; ldirectord stops here. They were left out")
		v.host, v.port = m[1], m[2]
	} else {
		say := fmt.Sprintf("%q is no address for a virtual service; ldirectord stops here. The service is in the output as a comment", shorten(value))
		if m := bareSix.FindStringSubmatch(value); m != nil {
			say = fmt.Sprintf("an IPv6 address is written [%s]:port; ldirectord stops here. The service is in the output as a comment", m[1])
		}
		p.find(finding{line: v.line, text: say, lost: true, refused: true})
		v.host, v.off = value, true
	}
}

// markAdvice warns of an address that was taken for a firewall mark because its
// port is missing.
func (p *parsed) markAdvice(v *virtual, value string) {
	if value == v.mark {
		return
	}
	text := fmt.Sprintf("ldirectord reads %q as the firewall mark %s; so does the output", shorten(value), v.mark)
	if _, ok := aton(value); ok && strings.Contains(value, ".") {
		text = fmt.Sprintf("the port is missing, and ldirectord reads %q as the firewall mark %s; so does the output. For an address write address = \"%s:PORT\" there", value, v.mark, value)
	} else if strings.Contains(value, ":") {
		text += "; an IPv6 address needs brackets and a port: [ADDRESS]:PORT"
	}
	p.remark(v.line, text)
}

// defaultServices are the services that ldirectord assumes by the port of the
// virtual service, and the other way round. It compares the text.
var defaultServices = map[string]string{
	"21": "ftp", "25": "smtp", "53": "dns", "80": "http", "110": "pop", "119": "nntp", "143": "imap", "389": "ldap",
	"443": "https", "587": "submission", "636": "ldaps", "993": "imaps", "995": "pops", "1521": "oracle", "1812": "radius",
	"3128": "http_proxy", "3306": "mysql", "5060": "sip", "5432": "pgsql",
}

var servicePorts = func() map[string]uint16 {
	ports := make(map[string]uint16)
	for port, service := range defaultServices {
		n, _ := strconv.ParseUint(port, 10, 16)
		ports[service] = uint16(n)
	}
	return ports
}()

// finish resolves what depends on a whole section or on the whole file.
func (p *parsed) finish() {
	seen := make(map[string]int)
	for _, v := range p.virtuals {
		p.complete(v)
		id := v.protocol + "/" + v.addr.String() + "/" + v.port
		if v.host == "" {
			id = "mark/" + sixth("", v.v6) + "/" + v.mark
		}
		if line, ok := seen[id]; ok && !v.off {
			p.find(finding{line: v.line, text: fmt.Sprintf("the same as the virtual service in line %d; ldirectord stops here. This one is in the output as a comment", line), lost: true, refused: true})
			v.off = true
		} else if !v.off {
			seen[id] = v.line
		}
	}
}

// complete resolves a section.
func (p *parsed) complete(v *virtual) {
	if v.host == "" {
		v.service = "none"
	} else {
		v.protocol = "tcp"
		if v.port == "53" || v.port == "domain" {
			v.protocol = "udp"
		}
		if i := v.own("protocol"); i != nil {
			v.protocol = i.text
		}
		p.locate(v)
	}
	if i := v.own("service"); i != nil {
		v.service = i.text
	}
	if i := v.own(sixth("fallback", v.v6)); i != nil {
		p.checkFallback(i, v)
	}
	for n := range v.lines {
		l := &v.lines[n]
		l.server, l.ok = p.real(l.item, v)
	}
}

// locate resolves the address and the port.
func (p *parsed) locate(v *virtual) {
	v.service = "none"
	if v.off {
		return
	}
	var err error
	if v.addr, err = p.resolve(v.host, v.v6); err != nil {
		p.find(finding{line: v.line, text: err.Error() + "; ldirectord stops here. The service is in the output as a comment", lost: true, refused: true})
		v.off = true
	} else if v.addr.note != "" {
		p.remark(v.line, v.addr.note)
	}
	port, ok := p.servicePort(v.port, v.protocol)
	if !ok {
		p.find(finding{line: v.line, text: fmt.Sprintf("%s is no port of %s; ldirectord stops here. The service is in the output as a comment", v.port, v.protocol), lost: true, refused: true})
		v.off, v.vague = true, true
		return
	}
	v.number = port
	text := v.port
	if strings.Trim(text, digits) != "" {
		text = strconv.Itoa(int(port))
	}
	if s, ok := defaultServices[text]; ok {
		v.service = s
	}
}
