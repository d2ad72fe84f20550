package checker

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestSimpleTCP(t *testing.T) {
	asks := func(send, expect string) func(*Spec) {
		return func(s *Spec) { s.Send, s.Expect = send, expect }
	}
	base := Spec{Type: SimpleTCP, Send: "STATUS\n", Expect: "^ready$"}
	atEnd := func(c net.Conn) { // answers only to all of the request
		b, _ := io.ReadAll(c)
		_, _ = c.Write(append(b, "ready\n"...))
	}
	tryAll(t, base, []trial{
		{name: "alive", serve: plays("< STATUS", "> ready"), ok: true, reason: "the answer is there"},
		{name: "among other lines", serve: plays("> hello", "< STATUS", "> working …", "> ready", "> what next?"), ok: true, reason: "the answer is there"},
		{name: "in pieces", serve: func(c net.Conn) {
			for _, piece := range []string{"re", "ad", "y\n"} {
				_, _ = io.WriteString(c, piece)
				time.Sleep(20 * time.Millisecond)
			}
			mute(c)
		}, ok: true, reason: "the answer is there"},
		{name: "only after we close", serve: atEnd, with: func(s *Spec) { s.Timeout = 4 * time.Second }, ok: true, reason: "the answer is there"},
		{name: "any answer", serve: plays("< STATUS", "> whatever"), with: asks("STATUS\n", ""), ok: true, reason: "the answer is there"},
		{name: "banner", serve: plays("> ready"), with: asks("", "ready"), ok: true, reason: "the answer is there"},
		{name: "bytes", serve: plays("* \x00\x01\x02\x03"), with: asks("hex:00 ff", "hex:0102"), ok: true, reason: "the answer is there"},
		{name: "other bytes", serve: hangsUp("\x00\x01"), with: asks("", "hex:0102"), reason: `the answer lacks "hex:0102"`},
		{name: "wrong answer, closes", serve: hangsUp("not ready\n"), reason: `the answer lacks "^ready$"`},
		{name: "wrong answer", serve: plays("< STATUS", "> not ready"), with: quicker, reason: `the answer lacks "^ready$"`},
		{name: "half an answer", serve: func(c net.Conn) {
			_, _ = io.WriteString(c, "rea")
			time.Sleep(3 * time.Second)
		}, with: quicker, reason: `timeout after 800ms: the answer lacks "^ready$"`},
		{name: "silent", serve: mute, with: func(s *Spec) { quicker(s); asks("x", "")(s) }, reason: "…"},
		{name: "huge", serve: forever(bytes.Repeat([]byte("x"), 999)), reason: `first 256 KiB of the answer lacks "^ready$"`},
		{name: "closes", serve: func(net.Conn) {}, with: asks("x", ""), reason: "connection …"},
	})
	tryHostile(t, base)
	trySecure(t, Spec{Type: SimpleTCP, TLS: true, Send: "STATUS\n", Expect: "^ready$"}, plays("< STATUS", "> ready"))
}

func TestExpectation(t *testing.T) {
	for _, tt := range []struct {
		pattern, answer string
		want            bool
	}{
		{"", "", false},
		{"", "\x00", true},
		{"^b$", "a\r\nb\r\nc", true},
		{"^b$", "ab", false},
		{"(?i)^B", "a\nbc", true},
		{"a|^b", "xa", true},
		{"hex:0d0a", "a\r\n", true},
		{"hex:0d0a", "a\n", false},
	} {
		has, err := expectation(tt.pattern, workshop{})
		if err != nil {
			t.Fatal(err)
		}
		if got := has([]byte(tt.answer)); got != tt.want {
			t.Errorf("%q in %q: got %t", tt.pattern, tt.answer, got)
		}
	}
	for _, wrong := range []string{"hex:0", "hex:", "hex:zz", "a("} {
		var v problems
		v.exchange(Spec{Expect: wrong})
		if _, err := expectation(wrong, workshop{}); err == nil || len(v) != 1 {
			t.Errorf("%q: %v, %v", wrong, err, v)
		}
	}
	var v problems
	v.exchange(Spec{Send: "hex:0 1"})
	if len(v) != 0 { // blanks may stand anywhere
		t.Error(v)
	}
}

func TestMemcached(t *testing.T) {
	sound := plays("< version\r\n", "> VERSION 1.6.18", "< quit")
	base := Spec{Type: Memcached}
	tryAll(t, base, []trial{
		{name: "alive", serve: sound, ok: true, reason: "version 1.6.18"},
		{name: "error", serve: plays("< version", "> ERROR"), reason: "answer to version: ERROR"},
		{name: "no version", serve: plays("< version", "> VERSION "), reason: "answer to version: VERSION"},
		{name: "silent", serve: plays("< version"), with: quicker, reason: "timeout after 800ms while waiting for the answer to version"},
		{name: "half an answer", serve: plays("< version", "* VERSION 1.6"), with: quicker, reason: "timeout after 800ms while reading the answer to version"},
		{name: "another protocol", serve: plays("> 220 mail"), reason: "answer to version: 220 mail"},
	})
	tryHostile(t, base)
	trySecure(t, Spec{Type: Memcached, TLS: true}, sound)
}

func TestRedis(t *testing.T) {
	ping := []string{"< *1", "< $4", "< PING", "> +PONG"}
	quit := "< QUIT"
	script := func(parts ...any) func(net.Conn) {
		var all []string
		for _, p := range parts {
			switch p := p.(type) {
			case string:
				all = append(all, p)
			case []string:
				all = append(all, p...)
			}
		}
		return plays(all...)
	}
	info := []string{"< *2", "< $4", "< INFO", "< $11", "< replication"}
	wants := func(s *Spec) { s.Request, s.Receive = "INFO replication", "role:master" }
	password := func(s *Spec) { user(t, "", "p w")(s) }
	base := Spec{Type: Redis}
	tryAll(t, base, []trial{
		{name: "alive", serve: script(ping, quit), ok: true, reason: "PONG"},
		{name: "password", with: password, serve: script("< *2", "< $4", "< AUTH", "< $3", "< p w", "> +OK", ping, quit), ok: true, reason: "PONG"},
		{name: "user", with: user(t, "anna", "p w"), serve: script("< *3", "< $4", "< AUTH", "< $4", "< anna", "< $3", "< p w", "> +OK", ping, quit), ok: true, reason: "PONG"},
		{name: "wrong password", with: password, serve: script("< *2", "< $4", "< AUTH", "< $3", "< p w", "> -WRONGPASS no"), reason: "answer to AUTH: WRONGPASS no"},
		{name: "password needed", serve: script("< *1", "< $4", "< PING", "> -NOAUTH Authentication required."), reason: "answer to PING: NOAUTH Authentication required."},
		{name: "loading", serve: script("< *1", "< $4", "< PING", "> -LOADING Redis is loading the dataset in memory"), reason: "answer to PING: LOADING Redis is loading the dataset in memory"},
		{name: "master", with: wants, serve: script(ping, info, "> $26", "> # Replication\r\nrole:master", quit), ok: true, reason: `PONG, INFO replication answered, has "role:master"`},
		{name: "replica", with: wants, serve: script(ping, info, "> $10", "> role:slave", quit), reason: `the answer to INFO replication lacks "role:master"`},
		{name: "no such value", with: func(s *Spec) { s.Request = "GET x" }, serve: script(ping, "< *2", "< $3", "< GET", "< $1", "< x", "> $-1"), reason: "there is no such value"},
		{name: "a list", with: func(s *Spec) { s.Request = "ROLE" }, serve: script(ping, "< *1", "< $4", "< ROLE", "> *3"), reason: "the answer to ROLE is a list, which can't be matched; ask for a text, such as INFO"},
		{name: "huge", with: wants, serve: script(ping, info, "> $99999999"), reason: "the answer is longer than 256 KiB"},
		{name: "nonsense length", with: wants, serve: script(ping, info, "> $-5"), reason: "answer to INFO: $-5"},
		{name: "half an answer", with: func(s *Spec) { wants(s); quicker(s) }, serve: script(ping, info, "> $100", "* role:mas"), reason: "timeout after 800ms while reading the answer to INFO"},
		{name: "silent", serve: mute, with: quicker, reason: "timeout after 800ms while waiting for the answer to PING"},
		{name: "another protocol", serve: plays("> HTTP/1.1 400 Bad Request"), reason: "answer to PING: HTTP/1.1 400 Bad Request"},
	})
	tryHostile(t, base)
	trySecure(t, Spec{Type: Redis, TLS: true}, script(ping, quit))
}

func TestTLSType(t *testing.T) {
	base := Spec{Type: TLS}
	tryHostile(t, base)
	tryHostile(t, Spec{Type: TLS, Insecure: true})
	ca := newAuthority(t)
	caFile := ca.file(t)
	for _, tt := range []struct {
		name   string
		left   time.Duration
		with   func(*Spec)
		ok     bool
		reason string
	}{
		{"valid", 59 * time.Minute, func(s *Spec) { s.CAFile = caFile }, true, "certificate valid for 0 days more"},
		{"long valid", 49 * time.Hour, func(s *Spec) { s.Insecure, s.MinDays = true, 2 }, true, "certificate valid for 2 days more"},
		{"too short", 49 * time.Hour, func(s *Spec) { s.Insecure, s.MinDays = true, 3 }, false, "certificate valid for 2 days more, until …"},
		{"one day", 25 * time.Hour, func(s *Spec) { s.Insecure, s.MinDays = true, 3 }, false, "certificate valid for 1 day more, until …"},
		{"expired, not verified", -time.Hour, func(s *Spec) { s.Insecure = true }, false, "certificate expired on …"},
		{"expired", -time.Hour, func(s *Spec) { s.CAFile = caFile }, false, "certificate expired on …"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			until := time.Now().Add(tt.left)
			spec := base
			tt.with(&spec)
			spec.Target, _ = secureServer(t, ca.sign(t, until), 0)
			inBothWays(t, spec, func(t *testing.T, r Result) {
				if r.OK != tt.ok || !reads(r.Reason, tt.reason) || strings.Contains(r.Reason, "-") && tt.ok {
					t.Errorf("got %+v, want %t %q", r, tt.ok, tt.reason)
				}
				if d := r.CertUntil.Sub(until).Abs(); d > 2*time.Second {
					t.Errorf("certificate until %s, want %s", r.CertUntil, until)
				}
			})
		})
	}
	trySecure(t, base, mute)
}
