package ldirectord

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/config/convert"
	"github.com/ipvsd/ipvsd/director/config/convert/emit"
)

// portKinds are the checks that have a port.
var portKinds = func() map[checker.Type]bool {
	kinds := map[checker.Type]bool{checker.Connect: true}
	for _, s := range services {
		kinds[checker.Type(s)] = true
	}
	return kinds
}()

var hostName = regexp.MustCompile(`^[A-Za-z0-9._:\[\]-]*[A-Za-z0-9\]]$`)

// check writes [virtual.check].
func (b *builder) check(pl *plan, t *emit.Table, reals []real) {
	port, portItem := b.checkPort(pl, reals)
	if (pl.kind == checker.Connect || pl.kind == checker.SimpleTCP) && port == 0 && pl.v.host == "" {
		b.noPort(pl, reals)
	}
	pl.wrapped(reals)
	c := t.Table("check")
	b.places[c] = place{pl.parsed, pl.v.line}
	put(c, "type", string(pl.kind), pl.typeItem()).Note(pl.why)
	if !pl.kind.Checked() {
		return
	}
	b.times(pl, c)
	if port != 0 && (len(reals) == 0 || !allOn(pl.v, reals, port)) {
		put(c, "port", int(port), portItem)
	}
	b.texts(pl, c, reals)
	b.logins(pl, c)
	b.command(pl, c)
	b.certificate(pl, c)
	if pl.ratio > 0 {
		put(c, "connect_ratio", int(min(pl.ratio, 65535)), pl.v.own("checktype"))
	}
}

// typeItem is the directive that decided over the type.
func (pl *plan) typeItem() *item {
	if i := pl.v.own("checktype"); i != nil && i.text != "negotiate" && pl.ratio == 0 {
		return i
	}
	return pl.v.own("service")
}

// allOn tells whether a port is the one that every real server is checked on
// anyway.
func allOn(v *virtual, reals []real, port uint16) bool {
	for _, r := range reals {
		if !r.unusable && r.here(v) != port {
			return false
		}
	}
	return true
}

// wrapped finds smtp on the port where TLS begins at the first byte.
func (pl *plan) wrapped(reals []real) {
	if pl.kind != checker.SMTP || len(reals) == 0 || pl.v.own("checkport") != nil {
		return
	}
	for _, r := range reals {
		if r.checked(pl.v) != 465 {
			return
		}
	}
	pl.kind = checker.SMTPS
	pl.remark(pl.v.line, `port 465 speaks TLS from the first byte, which ldirectord's smtp doesn't: the servers are always down for it. The output has type = "smtps"`)
}

// noPort deals with a connect that has nowhere to go.
func (b *builder) noPort(pl *plan, reals []real) {
	for _, r := range reals {
		if !r.unusable && r.here(pl.v) != 0 {
			return
		}
	}
	pl.lose(pl.v.line, `ldirectord has no port to connect to here and counts the servers as down for good; the output has type = "off". Write a port and type = "connect" there`)
	pl.never("ldirectord has no port to connect to")
}

// times writes what differs from [check].
func (b *builder) times(pl *plan, c *emit.Table) {
	if pl.interval != b.usual.interval {
		put(c, "interval", pl.interval, pl.v.own("checkinterval"))
	}
	if i := pl.v.own("checkinterval"); i != nil {
		if fork := pl.global("fork"); fork == nil || fork.text != "yes" {
			pl.remark(i.line, "checkinterval: ldirectord ignores it here without fork=yes; the output has it")
		}
	}
	if pl.timeout != b.usual.timeout {
		i := pl.v.own("checktimeout")
		if n := pl.v.own("negotiatetimeout"); i == nil || n != nil && secondsOf(n.num) == pl.timeout {
			i = n
		}
		put(c, "timeout", pl.timeout, i)
	}
	if pl.fall != b.usual.fall {
		put(c, "fall", pl.fall, pl.v.own("failurecount"))
	}
}

// texts writes what is asked and what must be answered.
func (b *builder) texts(pl *plan, c *emit.Table, reals []real) {
	v := pl.v
	for _, name := range []string{"request", "receive", "httpmethod", "virtualhost", "login", "passwd", "secret", "database"} {
		if i := v.own(name); i != nil && !pl.takes(name) && !i.defaulted(v) {
			pl.remark(i.line, fmt.Sprintf("%s: ldirectord does nothing with it in a check of this type; it was left out", name))
		}
	}
	if i := v.own("virtualhost"); i != nil && pl.takes("virtualhost") && i.text != "" {
		if hostName.MatchString(i.text) {
			put(c, "virtualhost", i.text, i)
		} else {
			pl.lose(i.line, fmt.Sprintf("virtualhost: %q is no host name; it was left out", shorten(i.text)))
		}
	}
	head := v.own("httpmethod")
	if head != nil && pl.takes("httpmethod") && head.text == "HEAD" {
		if v.own("receive") != nil || slices.ContainsFunc(reals, func(r real) bool { return r.receive != "" }) {
			pl.remark(head.line, "httpmethod: the answer to HEAD has no text for receive, so ldirectord counts the servers as down for good; the output has GET")
		} else {
			put(c, "method", "HEAD", head)
		}
	}
	if i := v.own("request"); i != nil && pl.takes("request") {
		text, key := pl.request(i, i.text, false), "request"
		if pl.kind == checker.SimpleTCP {
			key, text = "send", strings.ReplaceAll(text, `\n`, "\n")
		}
		if text != "" {
			put(c, key, text, i)
		}
	}
	if i := v.own("receive"); i != nil && pl.takes("receive") {
		b.receive(pl, c, i, i.text)
	}
}

// defaulted tells whether a directive that isn't used is no cause for a remark.
func (i *item) defaulted(v *virtual) bool {
	return i.name == "httpmethod" && i.text == "GET" || v.service == "none"
}

// request brings a request into our form: http wants a path, the others what
// ldirectord sends without the / that it puts in front. A real server's own
// request may be a whole URL, which replaces server and port.
func (pl *plan) request(i *item, text string, own bool) string {
	switch pl.kind {
	case checker.HTTP, checker.HTTPS:
	case checker.HTTPProxy:
		if text = strings.TrimPrefix(text, "/"); !strings.Contains(text, "://") {
			text = "/" + text
		}
		return pl.encoded(i, text)
	default:
		return strings.TrimPrefix(text, "/")
	}
	if _, after, ok := strings.Cut(text, "://"); ok && own {
		_, path, _ := strings.Cut(after, "/")
		pl.lose(i.line, fmt.Sprintf("ldirectord asks %s instead of the server; the output has the path only, on the server itself", text))
		text = path
	}
	return pl.encoded(i, "/"+strings.TrimPrefix(text, "/"))
}

// encoded writes what can't be in a URL as %XX, as ldirectord's library does.
func (pl *plan) encoded(i *item, text string) string {
	var out strings.Builder
	for _, c := range []byte(text) {
		if c <= ' ' || c == 0x7f {
			fmt.Fprintf(&out, "%%%02X", c)
			continue
		}
		out.WriteByte(c)
	}
	if out.String() != text {
		pl.remark(i.line, fmt.Sprintf("the request %q is sent as %s", text, out.String()))
	}
	return out.String()
}

// receive writes a pattern, if RE2 has it.
func (b *builder) receive(pl *plan, t *emit.Table, i *item, perl string) {
	if perl == "" {
		return
	}
	key, text := "receive", true
	switch pl.kind {
	case checker.HTTP, checker.HTTPS, checker.HTTPProxy, checker.FTP:
	case checker.SimpleTCP:
		key, text = "expect", false
	default:
		text = false
	}
	re2, said, ok := pattern(perl, text)
	if !ok {
		pl.lose(i.line, "receive: "+said+"; any answer will do until you write another")
		i.told = false
		put(t, key, perl, i).Off().Note("not a pattern of RE2")
		return
	}
	if said != "" {
		pl.remark(i.line, "receive: "+said)
	}
	put(t, key, re2, i)
}

// logins writes who asks, and where the secrets are.
func (b *builder) logins(pl *plan, c *emit.Table) {
	v := pl.v
	if i := v.own("login"); i != nil && pl.takes("login") {
		switch text := b.login(pl, i); {
		case pl.kind == checker.SIP && strings.ContainsAny(text, " \t<>\""):
			pl.lose(i.line, fmt.Sprintf("login: %q is no SIP user; it was left out", text))
		case text != "" && pl.kind == checker.SIP && !strings.Contains(text, "@"):
			put(c, "request", "sip:"+text, i)
		case text != "":
			put(c, "login", text, i)
		default:
			return
		}
	} else if i := v.own("passwd"); i != nil && pl.takes("passwd") {
		pl.remark(i.line, "passwd: ldirectord does nothing with it without a login; it was left out")
		return
	}
	if i := v.own("database"); i != nil && pl.takes("database") {
		put(c, "database", i.text, i)
	}
	for _, s := range []struct{ name, key string }{{"passwd", "password_file"}, {"secret", "secret_file"}} {
		i := v.own(s.name)
		if i == nil || !pl.takes(s.name) {
			continue
		}
		path := b.opts.SecretPath(v.label() + "-" + s.name)
		b.secrets = append(b.secrets, convert.Secret{Path: path, Text: i.text})
		i.trail = ""
		put(c, s.key, path, i)
		text := fmt.Sprintf("%s: secrets are kept in files; write this one into %s, mode 0600, or import with --secrets DIR", s.name, path)
		if b.opts.SecretsWritten {
			text = fmt.Sprintf("%s: the secret is in %s", s.name, path)
		}
		pl.find(finding{line: i.line, text: text, lost: !b.opts.SecretsWritten})
	}
}

// login returns who logs in, "" for nobody: where a password is needed and
// there is none.
func (b *builder) login(pl *plan, i *item) string {
	if pl.v.own("passwd") != nil || !pl.takes("passwd") {
		return i.text
	}
	switch pl.kind {
	case checker.MySQL, checker.PgSQL, checker.Radius:
		return i.text
	case checker.FTP:
		if i.text == "anonymous" {
			return i.text
		}
	case checker.LDAP, checker.LDAPS:
		pl.remark(i.line, "login: without passwd ldirectord binds anonymously; it was left out")
		return ""
	}
	pl.lose(i.line, "login: there is no passwd for it; it was left out, so that the check doesn't log in")
	return ""
}

// label names a virtual service in the name of a file.
func (v *virtual) label() string {
	label := strings.Trim(v.host, "[]") + "-" + v.port
	switch {
	case v.host == "":
		return sixth("fwmark", v.v6) + "-" + v.mark
	case v.addr.IsValid():
		label = fmt.Sprintf("%s-%d", v.addr.Addr, v.number)
	}
	if v.protocol != "tcp" {
		label += "-" + v.protocol
	}
	return label
}

// perl is what runs the files of external-perl.
const perl = "/usr/bin/perl"

// command writes the program of an external check.
func (b *builder) command(pl *plan, c *emit.Table) {
	if pl.kind != checker.External {
		return
	}
	i, text := pl.v.own("checkcommand"), "/bin/true"
	if i != nil {
		text = i.text
	}
	words := strings.Fields(text)
	script := pl.v.own("checktype").text == "external-perl"
	switch {
	case len(words) > 1 && script:
		words = []string{text}
	case len(words) > 1:
		pl.remark(i.line, "checkcommand: ldirectord takes all of it for the path of one program, finds none and counts the servers as down; the output has the words as its arguments")
	}
	switch {
	case script:
		words = append([]string{perl}, words...)
		pl.remark(pl.v.own("checktype").line, "checktype: ldirectord runs the file inside itself; the output has a process of perl for each check")
	case !strings.HasPrefix(words[0], "/"):
		words = append([]string{"/usr/bin/env"}, words...)
	}
	for n, w := range words {
		if !oneLine(w) {
			words[n] = strings.Map(func(r rune) rune { return max(r, ' ') }, w)
		}
	}
	put(c, "command", words, i)
}

// certificate says how strictly TLS is verified. ldirectord verifies the chain
// of the certificate and not the name in it; ipvsd verifies both or nothing.
func (b *builder) certificate(pl *plan, c *emit.Table) {
	switch pl.kind {
	case checker.LDAPS:
		c.Set("verify", false).Note("as ldirectord does")
	case checker.HTTPS:
		if c.Get("virtualhost") != nil {
			pl.remark(pl.v.line, "ldirectord verifies a certificate, but not the name in it; the output asks for the name in virtualhost as well")
			return
		}
		b.unverified(pl, c)
	case checker.IMAPS, checker.POPS, checker.SMTPS:
		b.unverified(pl, c)
	}
}

func (b *builder) unverified(pl *plan, c *emit.Table) {
	c.Set("verify", false).Note("better true, with server_name")
	pl.lose(pl.v.line, "ldirectord verifies a certificate, but not the name in it; ipvsd verifies both or nothing, and no name is known, so the output has verify = false. Better write server_name there, and verify = true")
}
