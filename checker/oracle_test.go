package checker

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
)

// Debian has no Oracle. The stand-in answers with packets of the form that real
// listeners send: heads, the places of lengths and the texts of REFUSE as
// tnsping and the open clients know them.

// tnsPacket is a listener's packet.
func tnsPacket(kind byte, body string) []byte {
	p := []byte{0, 0, 0, 0, kind, 0, 0, 0}
	binary.BigEndian.PutUint16(p, uint16(len(p)+len(body)))
	return append(p, body...)
}

func tnsWithData(kind byte, before, data string) []byte {
	return tnsPacket(kind, before+string(binary.BigEndian.AppendUint16(nil, uint16(len(data))))+data)
}

var (
	tnsAccepted   = tnsPacket(2, "\x01\x3a\x0c\x41\x20\x00\x7f\xff\x01\x00\x00\x00\x00\x20\x41\x41")
	tnsRedirected = tnsWithData(5, "", "(ADDRESS=(PROTOCOL=TCP)(HOST=192.0.2.1)(PORT=1526))")
	tnsPinged     = tnsWithData(4, "\x01\x00", "(DESCRIPTION=(TMP=)(VSNNUM=318767104)(ERR=0)(ALIAS=LISTENER))")
	tnsUnknown    = tnsWithData(4, "\x22\x00", "(DESCRIPTION=(TMP=)(VSNNUM=318767104)(ERR=12514)(ERROR_STACK=(ERROR=(CODE=12514)(EMFI=4))))")
)

// listener answers CONNECTs, one after the other.
func listener(wants string, answers ...[]byte) func(net.Conn) {
	return func(conn net.Conn) {
		for _, a := range answers {
			head := make([]byte, 58)
			if _, err := io.ReadFull(conn, head); err != nil {
				return
			}
			data := make([]byte, binary.BigEndian.Uint16(head[24:]))
			if _, err := io.ReadFull(conn, data); err != nil {
				return
			}
			whole := int(binary.BigEndian.Uint16(head))
			if head[4] != 1 || whole != 58+len(data) || head[27] != 58 || !strings.Contains(string(data), wants) {
				a = tnsWithData(4, "\x01\x00", "(ERR=1)")
			}
			_, _ = conn.Write(a)
		}
		mute(conn)
	}
}

func TestOracle(t *testing.T) {
	base := Spec{Type: Oracle, Database: "orders"}
	const wants = "(SERVICE_NAME=orders)"
	ping := func(s *Spec) { s.Database = "" }
	tryAll(t, base, []trial{
		{name: "accept", serve: listener(wants, tnsAccepted), ok: true, reason: "accepted by the listener"},
		{name: "redirect", serve: listener(wants, tnsRedirected), ok: true, reason: "accepted by the listener, which redirects"},
		{name: "resend", serve: listener(wants, tnsPacket(11, ""), tnsAccepted), ok: true, reason: "accepted by the listener"},
		{name: "resend without end", serve: listener(wants, tnsPacket(11, ""), tnsPacket(11, ""), tnsPacket(11, "")), reason: "the listener asks for the CONNECT again and again"},
		{name: "unknown service", serve: listener(wants, tnsUnknown), reason: "refused by the listener: TNS-12514, the listener doesn't know the service"},
		{name: "refused without a code", serve: listener(wants, tnsWithData(4, "\x01\x00", "no")), reason: "refused by the listener: no"},
		{name: "ping", serve: listener("(COMMAND=ping)", tnsPinged), with: ping, ok: true, reason: "the listener answers the ping"},
		{name: "ping answered to a service", serve: listener(wants, tnsPinged), reason: "refused by the listener: TNS-00000"},
		{name: "ping refused", serve: listener("(COMMAND=ping)", tnsUnknown), with: ping, reason: "refused by the listener: TNS-12514, the listener doesn't know the service"},
		{name: "nobody", reason: "connection refused"},
		{name: "closes after the connect", serve: hears(""), reason: "connection closed without an answer to CONNECT"},
		{name: "half", serve: hears(string(tnsAccepted[:12])), reason: "connection closed in the middle of the answer to CONNECT"},
		{name: "a DATA packet", serve: listener(wants, tnsPacket(6, "xx")), reason: "not a TNS answer: TNS packet of type 6 after CONNECT"},
		{name: "short accept", serve: listener(wants, tnsPacket(2, "x")), reason: "not a TNS answer"},
		{name: "web server", serve: hangsUp("HTTP/1.1 400 Bad Request\r\n\r\n"), reason: "not a TNS answer"},
	})
	tryHostile(t, base)
	base.Database = ""
	tryHostile(t, base)
	base.TLS = true
	trySecure(t, base, listener("ping", tnsPinged))
}

func FuzzTNS(f *testing.F) {
	for _, b := range [][]byte{tnsAccepted, tnsRedirected, tnsPinged, tnsUnknown, tnsPacket(11, "")} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		reply, err := readTNS(bytes.NewReader(b))
		if err != nil {
			return
		}
		r := reply.verdict("orders")
		if r.OK != (b[4] == 2 || b[4] == 5) {
			t.Errorf("%x is %+v", b, r)
		}
	})
}
