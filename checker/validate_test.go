package checker

import (
	"crypto/tls"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sound returns a Spec without a fault.
func sound(typ Type) Spec {
	s := Spec{Type: typ, Protocol: "tcp", Target: netip.MustParseAddrPort("10.0.0.11:80"), Interval: time.Second, Timeout: time.Second}
	switch typ {
	case External:
		s.Command = "/bin/true\x00-v"
	case HTTPProxy:
		s.Request = "http://www.example.org/"
	case DNS:
		s.Request = "www.example.org"
	case Radius:
		s.Login, s.PasswordFile, s.SecretFile = "anna", "/etc/password", "/etc/secret"
	case UDP:
		s.Send, s.Expect = "x", "."
	}
	return s
}

func TestValidate(t *testing.T) {
	with := func(typ Type, f func(*Spec)) Spec {
		s := sound(typ)
		f(&s)
		return s
	}
	http := func(f func(*Spec)) Spec { return with(HTTP, f) }
	https := func(f func(*Spec)) Spec { return with(HTTPS, f) }
	for _, tt := range []struct {
		name string
		spec Spec
		want []string
	}{
		{"connect", sound(Connect), nil},
		{"http", sound(HTTP), nil},
		{"https", sound(HTTPS), nil},
		{"ping", sound(Ping), nil},
		{"external", sound(External), nil},
		{"on", Spec{Type: On}, nil},
		{"off", Spec{Type: Off}, nil},
		{"everything", https(func(s *Spec) {
			s.Request, s.Receive, s.Method, s.VirtualHost, s.Status = "/x?y=z%20", `a\d+`, "POST", "www.example.org:8080", "200-299, 304"
			s.Headers, s.Follow, s.ServerName, s.CAFile, s.MinTLS = "X-A: b\nX-C: d", true, "a.example", "/etc/ca.pem", tls.VersionTLS12
		}), nil},

		{"no type", Spec{}, []string{"type: no check type; one of " + typeList()}},
		{"misspelt type", with("htpp", func(*Spec) {}), []string{`type: unknown check type "htpp"; did you mean "http"?`}},
		{"capitals", with("HTTPS", func(*Spec) {}), []string{`type: unknown check type "HTTPS"; did you mean "https"?`}},
		{"foreign type", with("frobnicate", func(*Spec) {}), []string{`type: unknown check type "frobnicate"; one of ` + typeList()}},
		{"type of another program", with("pop3", func(*Spec) {}), []string{`type: unknown check type "pop3"; write "pop"`}},

		{"times", with(Connect, func(s *Spec) { s.Interval, s.Timeout = 0, -time.Second }), []string{
			`interval: 0s is no interval; write a duration above zero, such as "10s"`,
			`timeout: -1s is no timeout; write a duration above zero, such as "5s"`,
		}},
		{"no port", with(Connect, func(s *Spec) { s.Target = netip.MustParseAddrPort("10.0.0.11:0") }), []string{
			`port: check type "connect" needs a port to check; set port in [virtual.check] or give the real server one`,
		}},
		{"no port, udp", with(Connect, func(s *Spec) { s.Protocol, s.Target = "udp", netip.MustParseAddrPort("10.0.0.11:0") }), nil},
		{"no port, ping", with(Ping, func(s *Spec) { s.Target = netip.MustParseAddrPort("10.0.0.11:0") }), nil},
		{"address", with(Ping, func(s *Spec) { s.Target = netip.MustParseAddrPort("0.0.0.0:80") }), []string{"address: 0.0.0.0 is no address that can be checked"}},
		{"protocol", with(Connect, func(s *Spec) { s.Protocol = "dccp" }), []string{`protocol: unknown protocol "dccp"; one of tcp, udp, sctp`}},

		{"keys of another type", with(Connect, func(s *Spec) { s.Receive, s.CAFile, s.Command = "x", "/ca", "/bin/true" }), []string{
			`receive: means nothing to check type "connect"; leave it out, or use type http, https or another that has it`,
			`ca_file: means nothing to check type "connect"; leave it out, or use type https`,
			`command: means nothing to check type "connect"; leave it out, or use type external`,
		}},
		{"TLS keys with http", http(func(s *Spec) { s.Insecure, s.MinTLS = true, tls.VersionTLS12 }), []string{
			`verify: means nothing to check type "http"; leave it out, or use type https`,
			`min_tls: means nothing to check type "http"; leave it out, or use type https`,
		}},

		{"request", http(func(s *Spec) { s.Request = "http://a.example/x" }), []string{`request: "http://a.example/x" must begin with "/": write the path only, and the host as virtualhost`}},
		{"blank in request", http(func(s *Spec) { s.Request = "/a b" }), []string{`request: "/a b" holds a blank or a control character; write %20 for a blank`}},
		{"smuggled request", http(func(s *Spec) { s.Request = "/a\r\nHost: b" }), []string{`request: "/a\r\nHost: b" holds a blank or a control character; write %20 for a blank`}},
		{"method", http(func(s *Spec) { s.Method = "get" }), []string{`method: "get": HTTP methods are written in capitals: GET`}},
		{"no method", http(func(s *Spec) { s.Method = "GET /" }), []string{`method: "GET /" is no HTTP method; GET, HEAD or POST`}},
		{"HEAD with receive", http(func(s *Spec) { s.Method, s.Receive = "HEAD", "x" }), []string{`receive: an answer to HEAD has no body to match; use method GET`}},
		{"status", http(func(s *Spec) { s.Status = "2xx" }), []string{`status: "2xx" is no status code; write 200-299`}},
		{"status order", http(func(s *Spec) { s.Status = "299-200" }), []string{`status: status range "299-200" is upside down; write 200-299`}},
		{"status word", http(func(s *Spec) { s.Status = "200,ok" }), []string{`status: "ok" is no status code; write codes and ranges such as "200-299,304"`}},
		{"virtual host", http(func(s *Spec) { s.VirtualHost = "http://a.example/" }), []string{`virtualhost: "http://a.example/" is no host name; write "www.example.org" or "www.example.org:8080", without scheme and path`}},
		{"headers", http(func(s *Spec) { s.Headers = "X-A b\nHost: c\nX-D: \x01" }), []string{
			`headers: "X-A b" is no header; write "Name: value"`,
			`headers: Host can't be set here; use virtualhost`,
			`headers: "X-D: \x01" holds a control character`,
		}},

		{"look-ahead", http(func(s *Spec) { s.Receive = "a(?!b)" }), []string{`receive: pattern "a(?!b)": look-around ((?!) isn't in RE2, the kind of pattern used here; write what must be there, or use an external check`}},
		{"look-behind", http(func(s *Spec) { s.Receive = "(?<=a)b" }), []string{`receive: pattern "(?<=a)b": look-around ((?<) isn't in RE2, the kind of pattern used here; write what must be there, or use an external check`}},
		{"back-reference", http(func(s *Spec) { s.Receive = `(a)\1` }), []string{`receive: pattern "(a)\1": back-references (\1) aren't in RE2, the kind of pattern used here; write the text again`}},
		{"parenthesis", http(func(s *Spec) { s.Receive = "a(b" }), []string{"receive: pattern \"a(b\": missing closing ): `a(b`; a parenthesis that is meant as text is written \\( or \\)"}},
		{"star", http(func(s *Spec) { s.Receive = "*a" }), []string{"receive: pattern \"*a\": missing argument to repetition operator: `*`; a character that is meant as text is written with a backslash"}},

		{"TLS version", https(func(s *Spec) { s.MinTLS = 0x0300 }), []string{`min_tls: unknown version 0x300; one of "1.0", "1.1", "1.2", "1.3"`}},
		{"server name", https(func(s *Spec) { s.ServerName = "a.example:443" }), []string{`server_name: "a.example:443" is no host name; write "www.example.org"`}},
		{"CA file", https(func(s *Spec) { s.CAFile = "ca.pem" }), []string{`ca_file: "ca.pem" isn't an absolute path; begin with "/"`}},
		{"CA file of no use", https(func(s *Spec) { s.CAFile, s.Insecure = "/ca.pem", true }), []string{`ca_file: is of no use with verify = false; leave out one of the two`}},

		{"no command", with(External, func(s *Spec) { s.Command = "" }), []string{`command: check type "external" needs a command, such as command = ["/usr/local/bin/check"]`}},
		{"relative command", with(External, func(s *Spec) { s.Command = "bin/check" }), []string{`command: "bin/check" isn't an absolute path; begin with "/"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range tt.spec.Validate() {
				got = append(got, p.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestValidateFiles(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "check")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	https := func(file string) Spec { return Spec{Type: HTTPS, CAFile: file} }
	command := func(argv ...string) Spec { return Spec{Type: External, Command: strings.Join(argv, "\x00")} }
	for _, tt := range []struct {
		name string
		spec Spec
		want []string
	}{
		{"no file", https(dir + "/none.pem"), []string{"ca_file: open " + dir + "/none.pem: no such file or directory"}},
		{"empty file", https(empty), []string{"ca_file: " + empty + " holds no certificate in PEM form"}},
		{"good file", https(newAuthority(t).file(t)), nil},
		{"good command", command("/bin/true", "-v"), nil},
		{"no command", command(dir + "/none"), []string{"command: no file " + dir + "/none"}},
		{"one string", command("/bin/true -v"), []string{`command: no file /bin/true -v; arguments are separate strings: command = ["/path", "argument"]`}},
		{"folder", command(dir), []string{"command: " + dir + " is a directory"}},
		{"not executable", command(script), []string{"command: " + script + " isn't executable; chmod +x " + script}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range tt.spec.ValidateFiles() {
				got = append(got, p.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestSoundSpecsCompile: what Validate lets pass can be run.
func TestSoundSpecsCompile(t *testing.T) {
	env := newEnv()
	defer env.close()
	for _, k := range kinds {
		if k.build == nil {
			continue
		}
		s := sound(k.typ)
		if problems := s.Validate(); len(problems) > 0 {
			t.Errorf("%s: %v", k.typ, problems)
		}
		if _, err := compile(ptr(s.normal()), env, nil); err != nil {
			t.Errorf("%s: %v", k.typ, err)
		}
	}
}
