package ldirectord

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// server is what one real line says.
type server struct {
	from, to string // to: "" unless it is a range
	port     string // "": none was written
	forward  string
	weight   string // "": none was written
	request  string
	receive  string
	lower    string
	upper    string
}

// The parts of a real line as ldirectord looks for them. Nothing holds the
// first at the start of the line, so it may begin anywhere.
var (
	realStart  = regexp.MustCompile(`(\d+\.\d+\.\d+\.\d+|[A-Za-z0-9.-]+|\[[0-9A-fa-f:]+\])(?:->(\d+\.\d+\.\d+\.\d+|[A-Za-z0-9.-]+|\[[0-9A-fa-f:]+\]))?(?::([A-Za-z0-9_-]+))?[\s\v]+(.*)`)
	realWeight = regexp.MustCompile(`[\s\v]+(\d+)(.*)`)
	realTexts  = regexp.MustCompile(`[\s\v]+"(.*)"[, ][\s\v]*"(.*)"(.*)`)
	realLower  = regexp.MustCompile(`[\s\v]+l:(\d+)(.*)`)
	realUpper  = regexp.MustCompile(`[\s\v]+u:(\d+)(.*)`)
)

// strictReal reads a line as ldirectord does. at is where the host begins.
func strictReal(value string) (s server, at int, problem string) {
	m := realStart.FindStringSubmatchIndex(value)
	if m == nil {
		return s, 0, "this is not a host, perhaps with a port, and a forwarding method"
	}
	part := func(i int) string {
		if m[2*i] < 0 {
			return ""
		}
		return value[m[2*i]:m[2*i+1]]
	}
	s.from, s.to, s.port = part(1), part(2), part(3)
	left := part(4)
	s.forward = run(left, wordChars)
	if methods[s.forward] == "" {
		return s, m[0], "the forwarding method must be gate, masq or ipip"
	}
	_, left, _ = strings.Cut(left, s.forward)
	take := func(re *regexp.Regexp, into ...*string) {
		m := re.FindStringSubmatch(left)
		for i, p := range into {
			if m != nil {
				*p = m[i+1]
			}
		}
		if m != nil {
			left = m[len(m)-1]
		}
	}
	take(realWeight, &s.weight)
	take(realTexts, &s.request, &s.receive)
	if strings.HasPrefix(s.request, "/") {
		// It looks for that / with a pattern, and so forgets what the one before
		// found: the text to receive, and all that is left of the line.
		s.request, s.receive = "", ""
		return s, m[0], ""
	}
	take(realLower, &s.lower)
	take(realUpper, &s.upper)
	if left = strings.Trim(left, blanks); left != "" {
		return s, m[0], fmt.Sprintf("%q is left over", shorten(left))
	}
	return s, m[0], ""
}

// Words of a real line, as people write them.
var (
	meantHost  = regexp.MustCompile(`^(?:([0-9A-Za-z._-]+?)(?:->([0-9A-Za-z._-]+?))?(?:::?([0-9A-Za-z_-]+))?|\[([0-9A-Fa-f:.]+)\](?:->\[?([0-9A-Fa-f:.]+)\]?)?(?::([0-9A-Za-z_-]+))?|([0-9A-Fa-f]*:[0-9A-Fa-f:.]*))$`)
	meantWord  = regexp.MustCompile(`^[\s\v,]*(?:"([^"]*)"|([^\s\v",]+))(.*)$`)
	threshold  = regexp.MustCompile(`^([lu]):(\d+)$`)
	spacedPort = regexp.MustCompile(`^(\S+)\s+(:\d+\s)`)
)

// meantReal reads a line as a person does: in words, in any order. problem is
// the word that makes no sense; odd what ldirectord drops silently.
func meantReal(value string) (s server, odd, problem string) {
	value = strings.Trim(uncomment(value), blanks)
	value = spacedPort.ReplaceAllString(value, "$1$2")
	host, left, _ := strings.Cut(strings.ReplaceAll(value, "\t", " "), " ")
	m := meantHost.FindStringSubmatch(strings.TrimSuffix(host, ","))
	if m == nil {
		return s, "", host
	}
	s.from, s.to, s.port = m[1], m[2], m[3]
	if six := m[4] + m[7]; six != "" {
		s.from, s.to, s.port = "["+six+"]", m[5], m[6]
	}
	var texts []string
	for strings.Trim(left, blanks+",") != "" {
		w := meantWord.FindStringSubmatch(left)
		if w == nil {
			return s, odd, strings.Trim(left, blanks)
		}
		bare := w[2] != ""
		word := w[1] + w[2]
		left = w[3]
		method := lower(word)
		if m, ok := ours[method]; ok {
			method = m
		}
		switch t := threshold.FindStringSubmatch(word); {
		case t != nil && t[1] == "l":
			s.lower = t[2]
		case t != nil:
			s.upper = t[2]
		case !bare && len(texts) < 2 && s.forward != "":
			texts = append(texts, word)
		case methods[method] != "" && s.forward == "":
			s.forward = method
		case onlyDigits.MatchString(word) && s.weight == "" && s.forward != "":
			s.weight = word
		case word == "-w" && s.forward != "":
			odd = word
		default:
			return s, odd, word
		}
	}
	if s.forward == "" {
		return s, odd, "no forwarding method"
	}
	for i, into := range []*string{&s.request, &s.receive} {
		if i < len(texts) {
			*into = texts[i]
		}
	}
	return s, odd, ""
}

// real reads a real line: as it was meant, where that can be told, else as
// ldirectord reads it. It says where the two differ.
func (p *parsed) real(i *item, v *virtual) (server, bool) {
	if (i.name == "real6") != v.v6 {
		p.refuse(i.line, fmt.Sprintf("in a %s it is written %s; ldirectord stops here. It was taken for that", v.name, sixth("real", v.v6)))
	}
	strict, at, refused := strictReal(i.value)
	if refused == "" {
		refused = p.resolvable(strict, v)
	}
	meant, odd, problem := meantReal(i.value)
	sane := problem == "" && p.resolvable(meant, v) == ""
	switch {
	case refused == "" && sane && same(strict, meant):
		if odd != "" {
			p.remark(i.line, fmt.Sprintf("ldirectord drops %s silently and takes the number behind it for the weight; so does the output", odd))
		}
		return strict, true
	case refused == "" && sane:
		p.remark(i.line, "ldirectord reads "+differences(strict, meant))
		return meant, true
	case refused == "":
		text := "ldirectord reads " + show(strict) + "; so does the output"
		if at > 0 || problem != "" {
			p.remark(i.line, text)
		}
		return strict, true
	case sane:
		p.refuse(i.line, fmt.Sprintf("%s; ldirectord stops here. It was taken for %s", refused, show(meant)))
		return meant, true
	}
	p.find(finding{line: i.line, text: refused + "; ldirectord stops here. The server is in the output as a comment", lost: true, refused: true})
	return meant, false
}

// resolvable says why ldirectord stops at a line that has the right form, or "".
func (p *parsed) resolvable(s server, v *virtual) string {
	from, err := p.resolve(s.from, v.v6)
	if err != nil {
		return err.Error()
	}
	if _, ok := p.servicePort(s.port, ""); !ok && s.port != "" {
		return s.port + " is no port"
	}
	if s.to == "" {
		return ""
	}
	to, err := p.resolve(s.to, v.v6)
	switch {
	case err != nil:
		return err.Error()
	case v.v6:
		return "there are no ranges of IPv6 addresses"
	case to.Less(from.Addr):
		return fmt.Sprintf("the range from %s to %s is reversed", s.from, s.to)
	}
	return ""
}

// same tells whether two readings of a line are.
func same(a, b server) bool {
	a.request, b.request = strings.TrimPrefix(a.request, "/"), strings.TrimPrefix(b.request, "/")
	if a.port == "0" {
		a.port = ""
	}
	if b.port == "0" {
		b.port = ""
	}
	a.weight, b.weight = weightOf(a), weightOf(b)
	return a == b
}

func weightOf(s server) string {
	if n, err := strconv.ParseUint(s.weight, 10, 64); err == nil {
		return strconv.FormatUint(n, 10)
	}
	return "1"
}

// differences names what ldirectord made of a line and what the output has.
func differences(strict, meant server) string {
	return show(strict) + "; the output has what was probably meant: " + show(meant)
}

// show prints a reading.
func show(s server) string {
	text := s.from
	if s.to != "" {
		text += " to " + s.to
	}
	if s.port != "" {
		text += " port " + s.port
	}
	text += " " + s.forward + " weight " + weightOf(s)
	for _, part := range []struct{ name, value string }{{"request", s.request}, {"receive", s.receive}} {
		if part.value != "" {
			text += fmt.Sprintf(" %s %q", part.name, part.value)
		}
	}
	for _, part := range []struct{ name, value string }{{"lower threshold", s.lower}, {"upper threshold", s.upper}} {
		if part.value != "" {
			text += " " + part.name + " " + part.value
		}
	}
	return text
}
