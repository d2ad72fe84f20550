package checker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"strings"

	"golang.org/x/sys/unix"
)

// Problem is one thing that is wrong with a Spec.
type Problem struct {
	Field string // the key of the file that it is about: "type", "receive", …
	Text  string // what is wrong and what would be right
}

func (p Problem) String() string { return p.Field + ": " + p.Text }

// instead tells what to write for types that users may expect.
var instead = map[Type]string{
	"none": "on", "tcp": "connect", "icmp": "ping",
	"external-perl": "external", "imap4": "imap", "pop3": "pop", "pop3s": "pops", "postgresql": "pgsql", "postgres": "pgsql",
	"ssl": "tls", "proxy": "http_proxy", "memcache": "memcached",
}

// Validate returns everything that is wrong with s, without looking at files:
// see ValidateFiles.
func (s Spec) Validate() []Problem {
	var v problems
	k := kindOf(s.Type)
	if k == nil {
		v.add("type", "%s", unknownType(s.Type))
		return v
	}
	if k.build != nil {
		v.times(s)
		v.target(k, s)
	}
	v.foreign(k, s)
	if k.keys.has("receive") {
		v.receive(s)
	}
	if k.valid != nil {
		k.valid(&v, s)
	}
	if k.speaksTLS(&s) {
		v.tls(s)
	}
	v.secrets(s)
	return v
}

// problems gathers.
type problems []Problem

func (v *problems) add(field, format string, args ...any) {
	*v = append(*v, Problem{field, fmt.Sprintf(format, args...)})
}

func unknownType(t Type) string {
	if t == "" {
		return "no check type; one of " + typeList()
	}
	if t == "negotiate" { // ldirectord's checktype, where the service says the rest
		return `check type "negotiate": name the protocol itself, such as type = "http"`
	}
	if other, ok := instead[t]; ok {
		return fmt.Sprintf("unknown check type %q; write %q", t, other)
	}
	if near := nearest(string(t)); near != "" {
		return fmt.Sprintf("unknown check type %q; did you mean %q?", t, near)
	}
	return fmt.Sprintf("unknown check type %q; one of %s", t, typeList())
}

func typeList() string {
	var names []string
	for _, k := range kinds {
		names = append(names, string(k.typ))
	}
	return strings.Join(names, ", ")
}

func (v *problems) times(s Spec) {
	if s.Interval <= 0 {
		v.add("interval", `%s is no interval; write a duration above zero, such as "10s"`, s.Interval)
	}
	if s.Timeout <= 0 {
		v.add("timeout", `%s is no timeout; write a duration above zero, such as "5s"`, s.Timeout)
	}
	if s.Ratio < 0 {
		v.add("connect_ratio", "%d is no count; write how many checks only connect after each whole one", s.Ratio)
	}
}

func (v *problems) target(k *kind, s Spec) {
	if addr := s.Target.Addr(); !addr.IsValid() || addr.IsUnspecified() || addr.IsMulticast() {
		v.add("address", "%s is no address that can be checked", addr)
	}
	switch s.Protocol {
	case "", "tcp", "udp", "sctp":
	default:
		v.add("protocol", "unknown protocol %q; one of tcp, udp, sctp", s.Protocol)
	}
	ping := s.Type == Connect && s.Protocol == "udp"
	if k.target == portNeeded && s.Target.Port() == 0 && k.defaultPort(&s) == 0 && !ping {
		v.add("port", "check type %q needs a port to check; set port in [virtual.check] or give the real server one", s.Type)
	}
}

// foreign reports keys that mean nothing to the type: they would be ignored,
// and the user would believe that they are checked.
func (v *problems) foreign(k *kind, s Spec) {
	keys := k.uses(&s)
	for i, f := range fields {
		if keys&(1<<i) == 0 && f.isSet(&s) {
			v.add(f.key, "means nothing to check type %q; %s", s.Type, cure(k, i))
		}
	}
}

// cure says what to do about a key that doesn't fit.
func cure(k *kind, i int) string {
	const out = "leave it out"
	if tlsKeys&(1<<i) != 0 {
		switch {
		case k.keys.has("starttls"):
			return out + ", or set starttls = true"
		case k.keys.has("tls"):
			return out + ", or set tls = true"
		}
		return out + ", or use type https"
	}
	if fields[i].key == "connect_ratio" {
		return out
	}
	var names []string
	for _, k := range kinds {
		if k.keys&(1<<i) != 0 {
			names = append(names, string(k.typ))
		}
	}
	if len(names) > 4 {
		names = append(names[:2], "another that has it")
	}
	return out + ", or use type " + alternatives(names)
}

// alternatives joins words: "a, b or c".
func alternatives(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// secrets judges the keys that come together.
func (v *problems) secrets(s Spec) {
	for _, f := range []struct{ key, path string }{
		{"password_file", s.PasswordFile},
		{"secret_file", s.SecretFile},
		{"client_cert", s.ClientCert},
		{"client_key", s.ClientKey},
	} {
		if f.path != "" {
			v.absolute(f.key, f.path)
		}
	}
	switch {
	case s.ClientCert != "" && s.ClientKey == "":
		v.add("client_cert", "needs client_key, the file with its private key")
	case s.ClientKey != "" && s.ClientCert == "":
		v.add("client_key", "needs client_cert, the file with its certificate")
	}
	if strings.ContainsFunc(s.Login, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		v.add("login", "%q holds a control character", s.Login)
	}
}

func (v *problems) http(s Spec) {
	if s.Request != "" && !strings.HasPrefix(s.Request, "/") {
		v.add("request", `%q must begin with "/": write the path only, and the host as virtualhost`, s.Request)
	} else if i := strings.IndexFunc(s.Request, func(r rune) bool { return r <= ' ' || r == 0x7f }); i >= 0 {
		v.add("request", "%q holds a blank or a control character; write %%20 for a blank", s.Request)
	}
	v.method(s)
	v.json(s)
	if s.Status != "" {
		if _, err := parseStatus(s.Status); err != nil {
			v.add("status", "%v", err)
		}
	}
	if s.VirtualHost != "" && !hostLike(s.VirtualHost) {
		v.add("virtualhost", `%q is no host name; write "www.example.org" or "www.example.org:8080", without scheme and path`, s.VirtualHost)
	}
	v.headers(s)
}

func (v *problems) method(s Spec) {
	m := or(s.Method, "GET")
	switch {
	case !isToken(m):
		v.add("method", "%q is no HTTP method; GET, HEAD or POST", m)
	case m != strings.ToUpper(m):
		v.add("method", "%q: HTTP methods are written in capitals: %s", m, strings.ToUpper(m))
	case m == "CONNECT":
		v.add("method", "CONNECT asks a proxy for a tunnel; GET, HEAD or POST")
	}
}

func (v *problems) receive(s Spec) {
	if s.Receive == "" {
		return
	}
	if strings.EqualFold(s.Method, "HEAD") {
		v.add("receive", "an answer to HEAD has no body to match; use method GET")
	}
	if _, err := regexp.Compile(s.Receive); err != nil {
		v.add("receive", "%s", patternReason(s.Receive, err))
	}
}

// patternReason explains what RE2 has not, where that is it.
func patternReason(pattern string, err error) string {
	var e *syntax.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	what := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	switch {
	case strings.HasPrefix(e.Expr, "(?=") || strings.HasPrefix(e.Expr, "(?!") || strings.HasPrefix(e.Expr, "(?<"):
		e.Expr = e.Expr[:3]
		what = "look-around (" + e.Expr + ") isn't in RE2, the kind of pattern used here; write what must be there, or use an external check"
	case e.Code == syntax.ErrInvalidEscape && len(e.Expr) == 2 && e.Expr[1] >= '1' && e.Expr[1] <= '9':
		what = "back-references (" + e.Expr + ") aren't in RE2, the kind of pattern used here; write the text again"
	case e.Code == syntax.ErrMissingParen || e.Code == syntax.ErrUnexpectedParen:
		what += `; a parenthesis that is meant as text is written \( or \)`
	case e.Code == syntax.ErrMissingRepeatArgument:
		what += `; a character that is meant as text is written with a backslash`
	}
	return fmt.Sprintf("pattern %s: %s", quote(pattern), what)
}

// ownHeaders are written by the check itself.
var ownHeaders = map[string]string{
	"host":              "use virtualhost",
	"connection":        "each check closes its connection",
	"content-length":    "a check sends no body",
	"transfer-encoding": "a check sends no body",
}

func (v *problems) headers(s Spec) {
	if s.Headers == "" {
		return
	}
	for line := range strings.SplitSeq(s.Headers, "\n") {
		name, value, ok := strings.Cut(line, ":")
		switch instead, own := ownHeaders[strings.ToLower(name)]; {
		case !ok || !isToken(name):
			v.add("headers", `%q is no header; write "Name: value"`, line)
		case own:
			v.add("headers", "%s can't be set here; %s", name, instead)
		case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			v.add("headers", "%q holds a control character", line)
		}
	}
}

func (v *problems) tls(s Spec) {
	switch s.MinTLS {
	case 0, tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13:
	default:
		v.add("min_tls", `unknown version %#x; one of "1.0", "1.1", "1.2", "1.3"`, s.MinTLS)
	}
	if s.ServerName != "" && (!hostLike(s.ServerName) || strings.Contains(s.ServerName, ":")) {
		v.add("server_name", `%q is no host name; write "www.example.org"`, s.ServerName)
	}
	if s.CAFile != "" {
		if s.Insecure {
			v.add("ca_file", "is of no use with verify = false; leave out one of the two")
		}
		v.absolute("ca_file", s.CAFile)
	}
}

func (v *problems) command(s Spec) {
	path, _, _ := strings.Cut(s.Command, "\x00")
	if path == "" {
		v.add("command", `check type "external" needs a command, such as command = ["/usr/local/bin/check"]`)
		return
	}
	v.absolute("command", path)
}

func (v *problems) absolute(field, path string) {
	if !filepath.IsAbs(path) {
		v.add(field, `%q isn't an absolute path; begin with "/"`, path)
	}
}

// ValidateFiles returns what is wrong with the files that s names: they must be
// there on this machine, now.
func (s Spec) ValidateFiles() []Problem {
	var v problems
	check := func(key string, err error) {
		if err != nil {
			v.add(key, "%v", err)
		}
	}
	if filepath.IsAbs(s.CAFile) {
		_, err := readCA(s.CAFile)
		check("ca_file", err)
	}
	if filepath.IsAbs(s.ClientCert) && filepath.IsAbs(s.ClientKey) {
		_, err := readPair(s.ClientCert, s.ClientKey)
		check("client_cert", err)
	}
	if filepath.IsAbs(s.PasswordFile) {
		_, err := ReadSecret(s.PasswordFile)
		check("password_file", err)
	}
	if filepath.IsAbs(s.SecretFile) {
		_, err := ReadSecret(s.SecretFile)
		check("secret_file", err)
	}
	if path, _, _ := strings.Cut(s.Command, "\x00"); filepath.IsAbs(path) {
		if text := executable(path); text != "" {
			v.add("command", "%s", text)
		}
	}
	return v
}

// executable says why a file cannot be run, or "".
func executable(path string) string {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if strings.Contains(path, " ") {
			return fmt.Sprintf(`no file %s; arguments are separate strings: command = ["/path", "argument"]`, path)
		}
		return "no file " + path
	case err != nil:
		return err.Error()
	case info.IsDir():
		return path + " is a directory"
	case unix.Access(path, unix.X_OK) != nil:
		return path + " isn't executable; chmod +x " + path
	}
	return ""
}
