package checker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Problem is one thing that is wrong with a Spec.
type Problem struct {
	Field string // the key of the file that it is about: "type", "receive", …
	Text  string // what is wrong and what would be right
}

func (p Problem) String() string { return p.Field + ": " + p.Text }

// types are those of this version, in the order in which to name them.
var types = []Type{Connect, HTTP, HTTPS, Ping, External, On, Off}

// later are types that users may expect, because ldirectord has them or the
// documentation names them, with what to write meanwhile.
var later = map[Type]string{
	"http_proxy": "http", "dns": "connect", "ftp": "connect", "imap": "connect", "imaps": "connect",
	"ldap": "connect", "ldaps": "connect", "mysql": "connect", "nntp": "connect", "oracle": "connect",
	"pgsql": "connect", "pop": "connect", "pops": "connect", "radius": "ping", "simpletcp": "connect",
	"sip": "connect", "smtp": "connect", "submission": "connect", "grpc": "connect", "redis": "connect",
	"none": "on", "negotiate": "http", "tcp": "connect", "udp": "ping", "icmp": "ping", "external-perl": "external",
}

// Validate returns everything that is wrong with s, without looking at files:
// see ValidateFiles.
func (s Spec) Validate() []Problem {
	var v problems
	if !slices.Contains(types, s.Type) {
		v.add("type", "%s", unknownType(s.Type))
		return v
	}
	v.times(s)
	v.target(s)
	v.foreign(s)
	switch s.Type {
	case HTTP, HTTPS:
		v.http(s)
		v.tls(s)
	case External:
		v.command(s)
	}
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
	if instead, ok := later[t]; ok {
		return fmt.Sprintf("check type %q isn't in this version; %q comes nearest, or an \"external\" command", t, instead)
	}
	if near := nearest(string(t)); near != "" {
		return fmt.Sprintf("unknown check type %q; did you mean %q?", t, near)
	}
	return fmt.Sprintf("unknown check type %q; one of %s", t, typeList())
}

func typeList() string {
	var names []string
	for _, t := range types {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

func (v *problems) times(s Spec) {
	if s.Type == On || s.Type == Off {
		return
	}
	if s.Interval <= 0 {
		v.add("interval", `%s is no interval; write a duration above zero, such as "10s"`, s.Interval)
	}
	if s.Timeout <= 0 {
		v.add("timeout", `%s is no timeout; write a duration above zero, such as "5s"`, s.Timeout)
	}
}

func (v *problems) target(s Spec) {
	if s.Type == On || s.Type == Off {
		return
	}
	if addr := s.Target.Addr(); !addr.IsValid() || addr.IsUnspecified() || addr.IsMulticast() {
		v.add("address", "%s is no address that can be checked", addr)
	}
	switch s.Protocol {
	case "", "tcp", "udp", "sctp":
	default:
		v.add("protocol", "unknown protocol %q; one of tcp, udp, sctp", s.Protocol)
	}
	needsPort := s.Type == HTTP || s.Type == HTTPS || s.Type == Connect && s.Protocol != "udp"
	if needsPort && s.Target.Port() == 0 {
		v.add("port", "check type %q needs a port to check; set port in [virtual.check] or give the real server one", s.Type)
	}
}

// foreign reports keys that mean nothing to the type: they would be ignored,
// and the user would believe that they are checked.
func (v *problems) foreign(s Spec) {
	http := s.Type == HTTP || s.Type == HTTPS
	v.only(http, s, "request", s.Request != "")
	v.only(http, s, "receive", s.Receive != "")
	v.only(http, s, "method", s.Method != "")
	v.only(http, s, "virtualhost", s.VirtualHost != "")
	v.only(http, s, "status", s.Status != "")
	v.only(http, s, "headers", s.Headers != "")
	v.only(http, s, "follow", s.Follow)
	secure := s.Type == HTTPS || s.Type == HTTP && s.Follow
	v.only(secure, s, "server_name", s.ServerName != "")
	v.only(secure, s, "ca_file", s.CAFile != "")
	v.only(secure, s, "verify", s.Insecure)
	v.only(secure, s, "tls_min_version", s.MinTLS != 0)
	v.only(s.Type == External, s, "command", s.Command != "")
}

// fits names the types that a key is for.
var fits = map[string]string{
	"server_name": "https", "ca_file": "https", "verify": "https", "tls_min_version": "https",
	"command": "external",
}

func (v *problems) only(fit bool, s Spec, field string, set bool) {
	if fit || !set {
		return
	}
	v.add(field, "means nothing to check type %q; leave it out, or use type %s", s.Type, or(fits[field], "http or https"))
}

func (v *problems) http(s Spec) {
	if s.Request != "" && !strings.HasPrefix(s.Request, "/") {
		v.add("request", `%q must begin with "/": write the path only, and the host as virtualhost`, s.Request)
	} else if i := strings.IndexFunc(s.Request, func(r rune) bool { return r <= ' ' || r == 0x7f }); i >= 0 {
		v.add("request", "%q holds a blank or a control character; write %%20 for a blank", s.Request)
	}
	v.method(s)
	v.receive(s)
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
		v.add("tls_min_version", `unknown version %#x; one of "1.0", "1.1", "1.2", "1.3"`, s.MinTLS)
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
	if s.CAFile != "" && (s.Type == HTTPS || s.Follow) && filepath.IsAbs(s.CAFile) {
		if _, err := readCA(s.CAFile); err != nil {
			v.add("ca_file", "%v", err)
		}
	}
	if s.Type == External {
		if path, _, _ := strings.Cut(s.Command, "\x00"); filepath.IsAbs(path) {
			if text := executable(path); text != "" {
				v.add("command", "%s", text)
			}
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
