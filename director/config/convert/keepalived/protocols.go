package keepalived

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// http reads HTTP_GET and SSL_GET. Of several urls the first is asked.
func (v *virtual) http(p *probe, in []*node) {
	p.typ = "http"
	if p.n.key() == "SSL_GET" {
		p.typ = "https"
	}
	v.dropRest(p.n, commonKeys+httpKept, checkWords)
	p.request = "/"
	var urls []*node
	for _, u := range p.n.blocks("url") {
		if u.last("path") != nil {
			urls = append(urls, u)
		} else {
			v.lose(u, "it has no path, and keepalived passes it over; so does the output")
		}
	}
	if len(urls) == 0 {
		v.lose(p.n, "no url with a path, so that keepalived never checks; here it asks for /")
		return
	}
	url := urls[0]
	for _, u := range urls[1:] {
		v.lose(u, "a check asks for one page here, and that is the one in line %d", url.line)
	}
	v.dropRest(url, urlKept, urlWords)
	p.request = v.path(url.last("path"))
	p.host = v.virtualhost(inner(append([]*node{url}, in...), "virtualhost"))
	p.status = v.status(url.last("status_code"))
	if not := url.last("regex_no_match"); not != nil {
		v.drop(not, urlWords)
	} else if n := url.last("regex"); n != nil {
		p.receive = v.pattern(n, url.last("regex_options"))
	}
}

// path reads what is asked for; keepalived sends it as it is.
func (v *virtual) path(n *node) string {
	s := strings.ReplaceAll(n.arg(0), " ", "%20")
	if rest, ok := strings.CutPrefix(s, "http"); ok && strings.Contains(rest, "://") {
		_, rest, _ = strings.Cut(s, "://")
		_, s, _ = strings.Cut(rest, "/")
		v.lose(n, "a path is asked for and no whole URL; taken as /%s", s)
	}
	if !strings.HasPrefix(s, "/") {
		s = "/" + s
	}
	return s
}

// virtualhost reads a name to ask for.
func (v *virtual) virtualhost(n *node) string {
	if n == nil {
		return ""
	}
	s := n.arg(0)
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._:[]", r)) {
			v.lose(n, "%q can't be the name of a host", s)
			return ""
		}
	}
	return s
}

// status reads codes and ranges of codes.
func (v *virtual) status(n *node) string {
	if n == nil {
		return ""
	}
	var codes []string
	for _, w := range n.words[1:] {
		first, last, is := strings.Cut(w, "-")
		if !is {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || from < 100 || to > 599 || from > to || len(first) != 3 || len(last) != 3 {
			v.lose(n, "%q is neither a code nor a range of codes", w)
			continue
		}
		codes = append(codes, w)
	}
	if s := strings.Join(codes, ","); s != "200-299" {
		return s
	}
	return ""
}

// patternFlags are options of PCRE2 that RE2 has, too.
var patternFlags = map[string]string{"caseless": "i", "dotall": "s", "multiline": "m", "ungreedy": "U"}

// pattern reads a regular expression. keepalived's are PCRE2, which has more
// than RE2; what is in both means the same.
func (v *virtual) pattern(n, options *node) string {
	words := escaped(n.text)
	if len(words) < 2 || words[1] == "" {
		return ""
	}
	s, flags := words[1], ""
	if len(words) > 2 {
		v.lose(n, "more than one word; a pattern with blanks needs quotes")
	}
	if options != nil {
		for _, o := range options.words[1:] {
			switch f := patternFlags[o]; {
			case f != "" && !strings.Contains(flags, f):
				flags += f
			case f == "" && !slices.Contains([]string{"utf", "ucp", "no_auto_possess", "no_start_optimize", "no_dotstar_anchor", "auto_callout"}, o):
				v.lose(options, "%s isn't known to RE2, the kind of pattern used here", o)
			}
		}
	}
	if flags != "" {
		s = "(?" + flags + ")" + s
	}
	if _, err := regexp.Compile(s); err != nil {
		v.lose(n, "RE2, the kind of pattern used here, doesn't know it (%s); any answer will do", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return ""
	}
	return s
}

// smtp reads SMTP_CHECK, whose connection was in a block of its own once.
func (v *virtual) smtp(p *probe) {
	p.typ = "smtp"
	if n := p.n.last("helo_name"); n != nil {
		v.tell(n, "ipvsd greets by its host's name")
	}
	for _, h := range p.n.blocks("host") {
		v.dropRest(h, "connect_ip connect_port", checkWords)
		if c := h.last("connect_port"); c != nil && p.port == 0 {
			p.port = uint16(v.number(c, 0, 25, 1, 65535))
		}
		if ip := h.last("connect_ip"); ip != nil {
			v.lose(ip, "a check goes to the real server's own address; path = \"vip\" in [virtual.check] sends it to the virtual one")
		}
	}
	v.dropRest(p.n, commonKeys+smtpKept, checkWords)
}

var (
	records  = []string{"A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA"}
	nameLike = regexp.MustCompile(`^([A-Za-z0-9_-]{1,63}\.){0,8}[A-Za-z0-9_-]{1,63}\.?$`)
)

func (v *virtual) dns(p *probe) {
	p.typ, p.record, p.request = "dns", "SOA", "."
	v.dropRest(p.n, commonKeys+dnsKept, checkWords)
	if n := p.n.last("type"); n != nil {
		if t := strings.ToUpper(n.arg(0)); slices.Contains(records, t) {
			p.record = t
		} else {
			v.lose(n, "%q is no type of record; taken as SOA", n.arg(0))
		}
	}
	if n := p.n.last("name"); n != nil && n.arg(0) != "." {
		if nameLike.MatchString(n.arg(0)) && len(n.arg(0)) <= 253 {
			p.request = n.arg(0)
		} else {
			v.lose(n, "%q is no name to ask for; taken as \".\"", n.arg(0))
		}
	}
	v.tell(p.n, "NOERROR is good only with a record of that type in the answer; keepalived takes one without, too")
	if v.protocol == "tcp" {
		v.tell(p.n, "of a tcp service type \"dns\" asks over TCP")
	}
}

// udp reads UDP_CHECK. Without an answer there is nothing to tell a server that
// is well from one that isn't there, but for what ICMP says.
func (v *virtual) udp(p *probe) {
	v.dropRest(p.n, commonKeys+udpKept, checkWords)
	for _, n := range p.n.all("min_reply_length", "max_reply_length") {
		v.lose(n, "the length of an answer isn't looked at")
	}
	reply := p.n.last("require_reply")
	if reply == nil {
		p.typ, p.port = "ping", 0
		v.lose(p.n, "without require_reply any silence is good, which ipvsd doesn't take for an answer; the real server is pinged instead")
		return
	}
	p.typ, p.send, p.expect = "udp", "hex:00", "."
	if n := p.n.last("payload"); n != nil {
		if h, ok := hexWords(n.words[1:]); ok && h != "" {
			p.send = "hex:" + h
		} else {
			v.lose(n, "not read as bytes; one byte 00 is sent")
		}
	} else {
		v.lose(p.n, "keepalived sends bytes by chance; here send is one byte 00")
	}
	if h, ok := hexWords(reply.words[1:]); !ok {
		v.lose(reply, "bytes of which some don't matter aren't known here; any answer will do")
	} else if h != "" {
		p.expect = "hex:" + h
		v.tell(reply, "all these bytes must be there, anywhere in the answer; keepalived compares its beginning, and of a shorter one as much as there is")
	}
}

// hexWords reads "Ab12f 3 456" as the bytes AB 12 0F 03 45 06.
func hexWords(words []string) (string, bool) {
	var b strings.Builder
	for _, w := range words {
		for ; w != ""; w = w[min(2, len(w)):] {
			v, err := strconv.ParseUint(w[:min(2, len(w))], 16, 8)
			if err != nil {
				return "", false
			}
			if v < 16 {
				b.WriteByte('0')
			}
			b.WriteString(strconv.FormatUint(v, 16))
		}
	}
	return b.String(), b.Len() <= 2400
}

// misc reads MISC_CHECK. ipvsd gives a command the virtual and the real
// address, so that those of all real servers can be one: where the arguments
// name the real server itself, a shell puts in what ipvsd says. The shell is
// also there so that no command is given arguments that it doesn't expect.
func (v *virtual) misc(p *probe, r *real) {
	p.typ, p.port = "external", 0
	v.dropRest(p.n, miscKept, checkWords)
	p.timeout = p.interval
	if n := p.n.last("misc_timeout"); n != nil {
		p.timeout = v.wait(n, 5*time.Second)
	}
	n := p.n.last("misc_path")
	if n == nil {
		v.lose(p.n, "no misc_path; the real server counts as up")
		p.shape, p.own = shape{typ: "on"}, own{}
		return
	}
	argv := v.command(n)
	switch {
	case len(argv) == 0:
		p.shape, p.own = shape{typ: "on"}, own{}
		return
	case len(argv) == 1:
	case argv[0] == "/bin/sh" || argv[0] == "/bin/bash":
		if !strings.Contains(argv[2], "'") && r.bad == "" {
			argv[2] = strings.Join(cutAt(argv[2], r.addr.String()), "$3")
		}
		argv = append(argv, "check") // the shell's $0; what ipvsd adds is $1 and on
	default:
		argv = []string{"/bin/sh", "-c", v.script(argv, r), "check"}
	}
	p.command = strings.Join(argv, "\x00")
}

// script writes a command for a shell, with $3 for the real server's address
// and $4 for its port.
func (v *virtual) script(argv []string, r *real) string {
	words := []string{"exec"}
	for i, w := range argv {
		switch {
		case i == 0 && argv[0] == "/usr/bin/env": // a shell finds programs, too
		case i == 0 || r.bad != "":
			words = append(words, quoted(w))
		case r.port != 0 && w == strconv.Itoa(int(r.port)):
			words = append(words, `"$4"`)
		default:
			parts := cutAt(w, r.addr.String())
			for i, p := range parts {
				if parts[i] = quoted(p); p == "" && len(parts) > 1 {
					parts[i] = ""
				}
			}
			words = append(words, strings.Join(parts, `"$3"`))
		}
	}
	return strings.Join(words, " ")
}

// quoted writes a word for a shell.
func quoted(w string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,@%+"
	if w != "" && strings.Trim(w, plain) == "" {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}

// cutAt cuts a text wherever an address stands in it that isn't part of a
// longer one.
func cutAt(text, addr string) []string {
	const inside = "0123456789."
	var parts []string
	begin := 0
	for i := 0; i+len(addr) <= len(text); i++ {
		end := i + len(addr)
		switch {
		case text[i:end] != addr:
		case i > 0 && strings.IndexByte(inside, text[i-1]) >= 0:
		case end < len(text) && strings.IndexByte(inside, text[end]) >= 0:
		default:
			parts = append(parts, text[begin:i])
			begin, i = end, end-1
		}
	}
	return append(parts, text[begin:])
}
