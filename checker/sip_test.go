package checker

import (
	"bufio"
	"bytes"
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"testing"
)

// sipReplies answers OPTIONS with the fields of a request, by status lines.
func sipReplies(lines ...string) replies {
	return func(q []byte) [][]byte {
		var out [][]byte
		in := textproto.NewReader(bufio.NewReader(bytes.NewReader(q)))
		first, _ := in.ReadLine()
		fields, err := in.ReadMIMEHeader()
		if err != nil || !strings.HasPrefix(first, "OPTIONS sip:") || fields.Get("Max-Forwards") == "" {
			return nil
		}
		for _, line := range lines {
			out = append(out, []byte(line+"\r\nVia: "+fields.Get("Via")+";received=192.0.2.1\r\nFrom: "+fields.Get("From")+
				"\r\nTo: "+fields.Get("To")+";tag=1\r\nCall-ID: "+fields.Get("Call-Id")+"\r\nCSeq: "+fields.Get("Cseq")+
				"\r\nAllow: INVITE, OPTIONS\r\nServer: stand-in\r\nContent-Length: 0\r\n\r\n"))
		}
		return out
	}
}

// sipStream serves the same over a stream.
func sipStream(serve replies) func(net.Conn) {
	return func(conn net.Conn) {
		in := bufio.NewReader(conn)
		var q bytes.Buffer
		for !strings.HasSuffix(q.String(), "\r\n\r\n") {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			q.WriteString(line)
		}
		for _, b := range serve(q.Bytes()) {
			_, _ = conn.Write(b)
		}
		mute(conn)
	}
}

var sipCases = []struct {
	name   string
	serve  replies
	with   func(*Spec)
	ok     bool
	reason string
}{
	{name: "OK", serve: sipReplies("SIP/2.0 200 OK"), ok: true, reason: "SIP status 200 OK"},
	{name: "OK without a phrase", serve: sipReplies("SIP/2.0 200"), ok: true, reason: "SIP status 200"},
	{name: "trying first", serve: sipReplies("SIP/2.0 100 Trying", "SIP/2.0 200 OK"), ok: true, reason: "SIP status 200 OK"},
	{name: "has", serve: sipReplies("SIP/2.0 200 OK"), with: func(s *Spec) { s.Receive = "(?m)^Server: stand-in$" }, ok: true, reason: "SIP status 200 OK"},
	{name: "lacks", serve: sipReplies("SIP/2.0 200 OK"), with: func(s *Spec) { s.Receive = "asterisk" }, reason: `SIP status 200 OK, but it lacks "asterisk"`},
	{name: "unknown user", serve: sipReplies("SIP/2.0 404 Not Found"), reason: "SIP status 404 Not Found"},
	{name: "busy", serve: sipReplies("SIP/2.0 503 Service Unavailable"), reason: "SIP status 503 Service Unavailable"},
	{name: "another success", serve: sipReplies("SIP/2.0 202 Accepted"), reason: "SIP status 202 Accepted"},
	{name: "for a user", serve: func(q []byte) [][]byte {
		if !strings.HasPrefix(string(q), "OPTIONS sip:probe@example.org SIP/2.0\r\n") || !strings.Contains(string(q), "From: <sip:probe@example.org>;tag=") {
			return sipReplies("SIP/2.0 400 Bad")(q)
		}
		return sipReplies("SIP/2.0 200 OK")(q)
	}, with: func(s *Spec) { s.Login = "probe@example.org" }, ok: true, reason: "SIP status 200 OK"},
	{name: "HTTP", serve: reply(func([]byte) []byte { return []byte("HTTP/1.1 200 OK\r\n\r\n") }), reason: "not a SIP answer"},
	{name: "odd status", serve: sipReplies("SIP/2.0 2000 OK"), reason: "not a SIP answer"},
}

func TestSIP(t *testing.T) {
	base := Spec{Type: SIP, Protocol: "udp"}
	var trials []datagramTrial
	for _, c := range sipCases {
		trials = append(trials, datagramTrial{c.name, c.serve, c.with, c.ok, c.reason})
	}
	quick := func(s *Spec) { s.Timeout = quickTimeout }
	trials = append(trials,
		datagramTrial{name: "only trying", serve: sipReplies("SIP/2.0 100 Trying"), with: quick, reason: "timeout after 300ms while waiting for the answer; what came was only SIP status 100 Trying"},
		datagramTrial{name: "another's answer", with: quick, reason: "timeout after 300ms while waiting for the answer; what came was the answer to another request", serve: func(q []byte) [][]byte {
			return sipReplies("SIP/2.0 200 OK")(bytes.Replace(q, []byte("Call-ID: "), []byte("Call-ID: x"), 1))
		}},
		datagramTrial{name: "half a head", serve: func(q []byte) [][]byte {
			b := sipReplies("SIP/2.0 200 OK")(q)[0]
			return [][]byte{b[:len(b)-40]}
		}, reason: "not a SIP answer"},
	)
	tryAllDatagrams(t, base, trials)
	tryHostileDatagrams(t, base)
}

func TestSIPOverTCP(t *testing.T) {
	base := Spec{Type: SIP, Protocol: "tcp"}
	var trials []trial
	for _, c := range sipCases {
		trials = append(trials, trial{c.name, sipStream(c.serve), c.with, c.ok, c.reason})
	}
	trials = append(trials, trial{
		name: "says TCP", ok: true, reason: "SIP status 200 OK",
		serve: sipStream(func(q []byte) [][]byte {
			if !bytes.Contains(q, []byte("Via: SIP/2.0/TCP ")) || !bytes.Contains(q, []byte(";transport=tcp>")) {
				return sipReplies("SIP/2.0 400 Bad Via")(q)
			}
			return sipReplies("SIP/2.0 200 OK")(q)
		}),
	}, trial{name: "half a head", serve: func(c net.Conn) { _, _ = c.Write([]byte("SIP/2.0 200 OK\r\nVia: x\r\n")); _ = c.Close() }, reason: "connection closed in the middle of the answer…"})
	tryAll(t, base, trials)
	tryHostile(t, base)
	base.TLS = true
	trySecure(t, base, sipStream(sipReplies("SIP/2.0 200 OK")))
}

func FuzzSIP(f *testing.F) {
	q := newSIPOptions("UDP", "sip:192.0.2.1", "", netip.MustParseAddrPort("[fe80::1%eth0]:5060"))
	for _, c := range sipCases {
		for _, b := range c.serve([]byte(q.String())) {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := q.read(bufio.NewReader(bytes.NewReader(b)))
		if err == nil && (!bytes.Contains(b, []byte(q.callID)) || !bytes.Contains(b, []byte(q.branch)) || a.code < 100) {
			t.Errorf("%q is %+v", b, a)
		}
	})
}
