package checker

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"math/rand"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// Stand-in servers and the trials that every protocol goes through. A protocol's
// test has a sound server of its own, a table of trials, and three calls:
//
//	tryAll(t, base, trials)        // what each answer must lead to
//	tryHostile(t, base)            // what no answer may lead to: up
//	trySecure(t, base, serve)      // TLS: names, authorities, client certificates

// trial is one server that a check meets, and what must come out.
type trial struct {
	name   string
	serve  func(net.Conn) // nil: nobody listens
	with   func(*Spec)    // what is unlike the base; may be nil
	ok     bool
	reason string // all of it, or its beginning up to "…"
}

// tryAll runs each trial over IPv4, as the daemon does and as probe does, and
// those that must be good over IPv6 as well.
func tryAll(t *testing.T, base Spec, trials []trial) {
	t.Helper()
	for _, tt := range trials {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tryOne(t, base, tt.with, tt.ok, tt.reason, func(t *testing.T, address string) netip.AddrPort {
				return standIn(t, address, tt.serve)
			})
		})
	}
}

// tryOne runs one trial against the stand-ins that at starts.
func tryOne(t *testing.T, spec Spec, with func(*Spec), ok bool, reason string, at func(*testing.T, string) netip.AddrPort) {
	t.Helper()
	if with != nil {
		with(&spec)
	}
	judge := func(t *testing.T, r Result) {
		if r.OK != ok || r.Void || !reads(r.Reason, reason) {
			t.Errorf("got %+v, want %t %q", r, ok, reason)
		}
	}
	spec.Target = at(t, "127.0.0.1:0")
	inBothWays(t, spec, judge)
	if ok {
		t.Run("IPv6", func(t *testing.T) {
			six := spec
			six.Target = at(t, "[::1]:0")
			judge(t, Once(context.Background(), six, io.Discard))
		})
	}
}

// reads compares a text with another that may end in "…" for anything.
func reads(text, want string) bool {
	if begin, open := strings.CutSuffix(want, "…"); open {
		return strings.HasPrefix(text, begin)
	}
	return text == want
}

// standIn answers each connection to an address by serve; nil is an address
// where nobody listens.
func standIn(t *testing.T, address string, serve func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("no stand-in: %v", err)
	}
	at := netip.MustParseAddrPort(l.Addr().String())
	if serve == nil {
		_ = l.Close()
		return at
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
				serve(conn)
			}()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-over
	})
	return at
}

// plays returns a server that follows a script: "> line" is sent, "< begin"
// waits for a line that begins so, "< " for any, "* bytes" is sent as it is. A
// line that isn't in the script ends it with "599 unexpected". At the end it
// waits for the other side.
func plays(script ...string) func(net.Conn) {
	return func(conn net.Conn) {
		if in := play(conn, script); in != nil {
			_, _ = io.Copy(io.Discard, in)
		}
	}
}

// upgrades returns a server that plays in the clear and goes on within TLS. The
// script must end with its own word.
func upgrades(config *tls.Config, serve func(net.Conn), script ...string) func(net.Conn) {
	return func(conn net.Conn) {
		if play(conn, script) != nil {
			within(config, serve)(conn)
		}
	}
}

// play returns where the rest can be read, or nil where the script was left.
func play(conn net.Conn, script []string) io.Reader {
	in := bufio.NewReader(conn)
	for _, step := range script {
		mark, text := step[:2], step[2:]
		var err error
		switch mark {
		case "> ":
			_, err = io.WriteString(conn, text+"\r\n")
		case "* ":
			_, err = io.WriteString(conn, text)
		case "< ":
			var line string
			if line, err = in.ReadString('\n'); err == nil && !strings.HasPrefix(line, text) {
				_, _ = io.WriteString(conn, "599 unexpected: "+line)
				return nil
			}
		default:
			panic("checker: a script's line begins with >, < or *: " + step)
		}
		if err != nil {
			return nil
		}
	}
	return in
}

// hangsUp sends a text and closes.
func hangsUp(text string) func(net.Conn) {
	return func(conn net.Conn) { _, _ = io.WriteString(conn, text) }
}

// hostile are servers that no check may find healthy. They speak at once, so
// also protocols in which the client begins must see through them.
var hostile = map[string]func(net.Conn){
	"nobody listens":        nil,
	"silent":                mute,
	"closes at once":        func(net.Conn) {},
	"one byte":              hangsUp("2"),
	"half a line, silent":   func(c net.Conn) { _, _ = io.WriteString(c, "22"); mute(c) },
	"garbage":               func(c net.Conn) { _, _ = c.Write(noise(4000)); mute(c) },
	"garbage, closes":       func(c net.Conn) { _, _ = c.Write(noise(400)) },
	"zeros, closes":         func(c net.Conn) { _, _ = c.Write(make([]byte, 400)) },
	"empty lines, silent":   func(c net.Conn) { _, _ = io.WriteString(c, "\r\n\r\n\r\n"); mute(c) },
	"a line without an end": forever(bytes.Repeat([]byte("x"), 1<<10)),
	"lines without an end":  forever([]byte("250-hello\r\n* OK\r\n-ERR\r\n")),
	"zeros without an end":  forever(make([]byte, 1<<10)),
	"resets": func(c net.Conn) {
		_ = c.(*net.TCPConn).SetLinger(0)
	},
}

// noise is the same at each run.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.New(rand.NewSource(1)).Read(b)
	return b
}

// forever sends the same again and again.
func forever(b []byte) func(net.Conn) {
	return func(conn net.Conn) {
		for {
			if _, err := conn.Write(b); err != nil {
				return
			}
		}
	}
}

// tryHostile: no such server is up, and no check outlives its deadline. They
// all run at once, since most of them only wait.
func tryHostile(t *testing.T, base Spec) {
	t.Helper()
	t.Run("hostile", func(t *testing.T) {
		t.Parallel()
		var all sync.WaitGroup
		for name, serve := range hostile {
			spec := base
			spec.Target, spec.Timeout = standIn(t, "127.0.0.1:0", serve), quickTimeout
			all.Go(func() { survive(t, name, spec) })
		}
		all.Wait()
	})
}

func survive(t *testing.T, name string, spec Spec) {
	var b bytes.Buffer
	start := time.Now()
	r := Once(context.Background(), spec, &b)
	if r.OK || r.Void || r.Reason == "" {
		t.Errorf("%s: got %+v; transcript:\n%.2000s", name, r, b.String())
	}
	if d := time.Since(start); d > spec.Timeout+2*time.Second {
		t.Errorf("%s: took %s with a timeout of %s", name, d, spec.Timeout)
	}
	if len(r.Reason) > 400 || len(r.Sample) > 3*maxSample {
		t.Errorf("%s: reason of %d bytes, sample of %d", name, len(r.Reason), len(r.Sample))
	}
}

// within returns serve within TLS.
func within(config *tls.Config, serve func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		secure := tls.Server(conn, config)
		if secure.Handshake() != nil {
			return
		}
		serve(secure)
		_ = secure.Close()
	}
}

// trySecure runs a sound server of a protocol within TLS from the first byte.
func trySecure(t *testing.T, base Spec, serve func(net.Conn)) {
	t.Helper()
	trySecureAfter(t, base, func(config *tls.Config) func(net.Conn) { return within(config, serve) })
}

// trySecureAfter is trySecure for servers that are made with their TLS
// configuration.
func trySecureAfter(t *testing.T, base Spec, server func(*tls.Config) func(net.Conn)) {
	t.Helper()
	ca, soon := newAuthority(t), time.Now().Add(time.Hour)
	caFile, expired := ca.file(t), time.Now().Add(-time.Minute)
	named := ca.sign(t, soon, "a.example")
	cert, key := pairFiles(t, ca.sign(t, soon, "prober"))
	asks := func(c *tls.Config) {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, ca.pool()
		c.MaxVersion = tls.VersionTLS12 // with 1.3 the client learns of it only when it reads
	}
	for _, tt := range []struct {
		name   string
		cert   tls.Certificate
		server func(*tls.Config) // may be nil
		with   func(*Spec)
		ok     bool
		reason string
	}{
		{name: "by address", cert: ca.sign(t, soon), ok: true},
		{name: "by name", cert: named, with: func(s *Spec) { s.ServerName = "a.example" }, ok: true},
		{name: "wrong name", cert: named, with: func(s *Spec) { s.ServerName = "b.example" }, reason: "certificate is valid for a.example, not b.example"},
		{name: "expired", cert: ca.sign(t, expired), reason: "certificate expired on …"},
		{name: "self-signed", cert: (*authority)(nil).sign(t, soon), reason: "certificate is self-signed"},
		{name: "not verified", cert: (*authority)(nil).sign(t, soon, "x"), with: func(s *Spec) { s.Insecure, s.CAFile = true, "" }, ok: true},
		{name: "client certificate", cert: named, server: asks, ok: true, with: func(s *Spec) {
			s.ServerName, s.ClientCert, s.ClientKey = "a.example", cert, key
		}},
		{name: "no client certificate", cert: named, server: asks, with: func(s *Spec) { s.ServerName = "a.example" }, reason: "server refuses the TLS handshake: …"},
	} {
		t.Run("TLS/"+tt.name, func(t *testing.T) {
			t.Parallel()
			config := &tls.Config{Certificates: []tls.Certificate{tt.cert}}
			if tt.server != nil {
				tt.server(config)
			}
			spec := base
			spec.CAFile = caFile
			if tt.with != nil {
				tt.with(&spec)
			}
			spec.Target, spec.Timeout = standIn(t, "127.0.0.1:0", server(config)), 10*time.Second
			var b bytes.Buffer
			r := Once(context.Background(), spec, &b)
			if r.OK != tt.ok || r.Void || !tt.ok && !reads(r.Reason, tt.reason) {
				t.Errorf("got %+v, want %t %q; transcript:\n%s", r, tt.ok, tt.reason, b.String())
			}
			if tt.ok && r.CertUntil.IsZero() {
				t.Error("doesn't tell until when the certificate is valid")
			}
		})
	}
}
