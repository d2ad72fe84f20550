package checker

import (
	"encoding/binary"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// zone answers questions with records written as in a zone file.
func zone(records ...string) func(*dns.Msg) *dns.Msg {
	return func(q *dns.Msg) *dns.Msg {
		a := new(dns.Msg).SetReply(q)
		for _, text := range records {
			rr, err := dns.NewRR(text)
			if err != nil {
				panic(err)
			}
			if rr.Header().Rrtype == q.Question[0].Qtype || rr.Header().Rrtype == dns.TypeCNAME {
				a.Answer = append(a.Answer, rr)
			}
		}
		return a
	}
}

func rcode(code int) func(*dns.Msg) *dns.Msg {
	return func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, code) }
}

func dnsReply(f func(*dns.Msg) *dns.Msg) replies {
	return reply(func(b []byte) []byte {
		q := new(dns.Msg)
		if q.Unpack(b) != nil || !q.RecursionDesired {
			return nil
		}
		a, err := f(q).Pack()
		if err != nil {
			panic(err)
		}
		return a
	})
}

// dnsStream serves the same over a stream.
func dnsStream(f func(*dns.Msg) *dns.Msg) func(net.Conn) {
	return func(conn net.Conn) {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		b := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, b); err != nil {
			return
		}
		for _, a := range dnsReply(f)(b) {
			_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...))
		}
	}
}

// dnsCases hold for both transports.
var dnsCases = []struct {
	name   string
	answer func(*dns.Msg) *dns.Msg
	with   func(*Spec)
	ok     bool
	reason string
}{
	{name: "found", answer: zone("www.example.org. A 192.0.2.1"), ok: true, reason: "A www.example.org. is 192.0.2.1"},
	{
		name: "matches", answer: zone("www.example.org. A 192.0.2.1", "www.example.org. A 192.0.2.2"),
		with: func(s *Spec) { s.Receive = `\.2$` }, ok: true, reason: "A www.example.org. is 192.0.2.2",
	},
	{
		name: "doesn't match", answer: zone("www.example.org. A 192.0.2.1"),
		with: func(s *Spec) { s.Receive = `\.2$` }, reason: `A www.example.org. is 192.0.2.1, which lacks "\.2$"`,
	},
	{
		name: "none matches", answer: zone("www.example.org. A 192.0.2.1", "www.example.org. A 192.0.2.3"),
		with: func(s *Spec) { s.Receive = `\.2$` }, reason: `none of the 2 A records of www.example.org. has "\.2$"`,
	},
	{name: "no record", answer: zone(), reason: "the server has no A record of www.example.org."},
	{name: "another type", answer: zone("www.example.org. CNAME web.example.org."), reason: "the server has no A record of www.example.org."},
	{name: "by an alias", answer: zone("www.example.org. CNAME web.example.org.", "web.example.org. A 192.0.2.9"), ok: true, reason: "A www.example.org. is 192.0.2.9"},
	{name: "IPv6 record", answer: zone("www.example.org. AAAA 2001:db8::1"), with: func(s *Spec) { s.Record = "aaaa" }, ok: true, reason: "AAAA www.example.org. is 2001:db8::1"},
	{name: "text", answer: zone(`www.example.org. TXT "v=spf1 -all"`), with: func(s *Spec) { s.Record, s.Receive = "TXT", "spf1" }, ok: true, reason: `TXT www.example.org. is "v=spf1 -all"`},
	{
		name: "name of an address", answer: zone("1.2.0.192.in-addr.arpa. PTR www.example.org."),
		with: func(s *Spec) { s.Request, s.Receive = "192.0.2.1", `^www\.example\.org$` }, ok: true, reason: "PTR 1.2.0.192.in-addr.arpa. is www.example.org.",
	},
	{
		name: "name of an IPv6 address", answer: zone("x. PTR www.example.org."), ok: true, reason: "PTR 1.0.0.0.…",
		with: func(s *Spec) { s.Request = "2001:db8::1" },
	},
	{name: "NXDOMAIN", answer: rcode(dns.RcodeNameError), reason: "NXDOMAIN: the server knows no www.example.org."},
	{name: "SERVFAIL", answer: rcode(dns.RcodeServerFailure), reason: "SERVFAIL: …"},
	{name: "REFUSED", answer: rcode(dns.RcodeRefused), reason: "REFUSED: …"},
	{name: "NOTIMP", answer: rcode(dns.RcodeNotImplemented), reason: "NOTIMP for www.example.org."},
	{
		name: "FORMERR without a question", reason: "FORMERR for www.example.org.",
		answer: func(q *dns.Msg) *dns.Msg {
			a := new(dns.Msg).SetRcode(q, dns.RcodeFormatError)
			a.Question = nil
			return a
		},
	},
}

func TestDNS(t *testing.T) {
	base := Spec{Type: DNS, Request: "www.example.org", Protocol: "udp"}
	var trials []datagramTrial
	for _, c := range dnsCases {
		trials = append(trials, datagramTrial{c.name, dnsReply(c.answer), c.with, c.ok, c.reason})
	}
	found := dnsReply(zone("www.example.org. A 192.0.2.1"))
	other := dnsReply(func(q *dns.Msg) *dns.Msg {
		a := zone("www.example.org. A 192.0.2.2")(q)
		a.Id++
		return a
	})
	trials = append(trials,
		datagramTrial{name: "nobody", reason: "port unreachable: …"},
		datagramTrial{
			name: "another's answer first", ok: true, reason: "A www.example.org. is 192.0.2.1",
			serve: func(q []byte) [][]byte { return append(other(q), found(q)...) },
		},
		datagramTrial{
			name: "another question's", with: func(s *Spec) { s.Timeout = quickTimeout }, reason: "timeout after 300ms while waiting for the answer; what came was the answer to another question",
			serve: dnsReply(func(q *dns.Msg) *dns.Msg {
				q.Question[0].Name = "a.example.org."
				return zone("a.example.org. A 192.0.2.2")(q)
			}),
		},
		datagramTrial{
			name: "truncated and matches", ok: true, reason: "A www.example.org. is 192.0.2.1",
			serve: dnsReply(func(q *dns.Msg) *dns.Msg {
				a := zone("www.example.org. A 192.0.2.1")(q)
				a.Truncated = true
				return a
			}),
		},
		datagramTrial{
			name: "truncated, no TCP", reason: "over TCP, after a truncated answer: connection refused",
			serve: dnsReply(func(q *dns.Msg) *dns.Msg {
				a := zone()(q)
				a.Truncated = true
				return a
			}),
		},
	)
	tryAllDatagrams(t, base, trials)
	tryHostileDatagrams(t, base)
}

func TestDNSOverTCP(t *testing.T) {
	base := Spec{Type: DNS, Request: "www.example.org", Protocol: "tcp"}
	var trials []trial
	for _, c := range dnsCases {
		trials = append(trials, trial{c.name, dnsStream(c.answer), c.with, c.ok, c.reason})
	}
	trials = append(trials,
		trial{name: "nobody", reason: "connection refused"},
		trial{name: "half an answer", serve: hears("\x00\x40\x01\x02"), reason: "connection closed in the middle of the answer"},
	)
	tryAll(t, base, trials)
	tryHostile(t, base)
	base.TLS = true
	trySecure(t, base, dnsStream(zone("www.example.org. A 192.0.2.1")))
}

// TestDNSTruncated: the whole answer is fetched over TCP, within the one
// timeout.
func TestDNSTruncated(t *testing.T) {
	short := dnsReply(func(q *dns.Msg) *dns.Msg {
		a := new(dns.Msg).SetReply(q)
		a.Truncated = true
		return a
	})
	for _, tt := range []struct {
		name   string
		serve  func(net.Conn)
		ok     bool
		reason string
	}{
		{"whole", dnsStream(zone("www.example.org. A 192.0.2.1")), true, "A www.example.org. is 192.0.2.1"},
		{"silent", mute, false, "over TCP, after a truncated answer: timeout after 300ms while waiting for the answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			at := standIn(t, "127.0.0.1:0", tt.serve)
			datagramStandIn(t, at.String(), short)
			inBothWays(t, Spec{Type: DNS, Request: "www.example.org", Protocol: "udp", Target: at, Timeout: quickTimeout}, func(t *testing.T, r Result) {
				if r.OK != tt.ok || r.Reason != tt.reason {
					t.Errorf("got %+v", r)
				}
			})
		})
	}
}

func FuzzDNS(f *testing.F) {
	spec := Spec{Type: DNS, Request: "www.example.org", Protocol: "udp", Receive: "192"}.normal()
	question, err := dnsQuestion(&spec)
	if err != nil {
		f.Fatal(err)
	}
	p := &dnsProbe{spec: &spec, question: question, receive: regexp.MustCompile("192")}
	question.Id = 7
	for _, c := range dnsCases {
		b, err := c.answer(question).Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := p.judge(7, b, nil)
		if err == nil && r.OK && !strings.Contains(r.Reason, "192") {
			t.Errorf("%x is %+v", b, r)
		}
	})
}
