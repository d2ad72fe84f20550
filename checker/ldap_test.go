package checker

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"net"
	"strings"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// directory is an LDAP server with one entry.
type directory struct {
	dn       string
	lines    []string // "attribute: value"
	login    string   // who may bind; "": anybody
	password string
	secure   *tls.Config // nil: no STARTTLS
	disclose string      // instead of an answer to the search: a notice of disconnection
	twice    bool        // the entry comes twice
	longForm bool        // lengths in the form that a strict reader refuses
}

// serve speaks with one client.
func (d directory) serve(conn net.Conn) {
	bound := d.login == ""
	for {
		p, err := ber.ReadPacket(conn)
		if err != nil || len(p.Children) < 2 {
			return
		}
		id, op := int(p.Children[0].Value.(int64)), p.Children[1]
		switch op.Tag {
		case ldapBind:
			code := int64(49)
			dn, password := string(op.Children[1].ByteValue), op.Children[2].Data.String()
			if d.login == "" && dn == "" || dn == d.login && password == d.password {
				code, bound = 0, true
			}
			d.write(conn, result(id, ldapBindDone, code, ""))
		case ldapExtended:
			if d.secure == nil {
				d.write(conn, result(id, ldapExtendedDone, 2, "unsupported extended operation"))
				continue
			}
			d.write(conn, result(id, ldapExtendedDone, 0, ""))
			conn = tls.Server(conn, d.secure)
			d.secure = nil
		case ldapSearch:
			d.find(conn, id, bound, op)
		case ldapUnbind:
			return
		}
	}
}

func (d directory) find(conn net.Conn, id int, bound bool, op *ber.Packet) {
	base := string(op.Children[0].ByteValue)
	switch {
	case d.disclose != "":
		d.write(conn, result(0, ldapExtendedDone, 52, d.disclose))
	case !bound:
		d.write(conn, result(id, ldapSearchDone, 50, ""))
	case base != d.dn:
		d.write(conn, result(id, ldapSearchDone, ldapNoSuchObject, ""))
	default:
		d.write(conn, d.entry(id, op))
		if d.twice {
			d.write(conn, d.entry(id, op))
		}
		d.write(conn, result(id, ldapSearchDone, 0, ""))
	}
}

func (d directory) entry(id int, op *ber.Packet) []byte {
	attributes := ber.NewSequence("")
	if len(op.Children[7].Children) == 0 {
		for _, line := range d.lines {
			name, value, _ := strings.Cut(line, ": ")
			one, set := ber.NewSequence(""), ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
			set.AppendChild(ldapText(value))
			one.AppendChild(ldapText(name))
			one.AppendChild(set)
			attributes.AppendChild(one)
		}
	}
	return ldapOperation(id, ldapEntry, ldapText(d.dn), attributes)
}

func (d directory) write(conn net.Conn, message []byte) {
	if d.longForm && message[1] < 0x80 { // as OpenLDAP and Active Directory do
		message = append([]byte{message[0], 0x84, 0, 0, 0, message[1]}, message[2:]...)
	}
	_, _ = conn.Write(message)
}

func result(id int, op ber.Tag, code int64, text string) []byte {
	return ldapOperation(id, op, ldapNumber(ber.TagEnumerated, code), ldapText(""), ldapText(text))
}

func TestLDAP(t *testing.T) {
	open := directory{dn: "dc=example,dc=org", lines: []string{"objectClass: dcObject", "dc: example", "o: Example"}}
	locked := open
	locked.login, locked.password = "cn=probe,dc=example,dc=org", "open sesame"
	base := Spec{Type: LDAP, Request: "dc=example,dc=org"}
	file := secretFile(t, "open sesame")
	as := func(s *Spec) { s.Login, s.PasswordFile = locked.login, file }
	with := func(f func(*directory)) func(net.Conn) {
		d := open
		f(&d)
		return d.serve
	}
	tryAll(t, base, []trial{
		{name: "found", serve: open.serve, ok: true, reason: `found "dc=example,dc=org"`},
		{name: "long lengths", serve: with(func(d *directory) { d.longForm = true }), ok: true, reason: `found "dc=example,dc=org"`},
		{name: "root", serve: with(func(d *directory) { d.dn = "" }), with: func(s *Spec) { s.Request = "" }, ok: true, reason: "found the server's root entry"},
		{name: "name matches", serve: open.serve, with: func(s *Spec) { s.Receive = "^dc=example," }, ok: true, reason: `found "dc=example,dc=org", has "^dc=example,"`},
		{name: "attribute matches", serve: open.serve, with: func(s *Spec) { s.Receive = "^o: Exa" }, ok: true, reason: `found "dc=example,dc=org", has "^o: Exa"`},
		{name: "nothing matches", serve: open.serve, with: func(s *Spec) { s.Receive = "xyz" }, reason: `found "dc=example,dc=org", but it lacks "xyz"`},
		{name: "no such entry", serve: open.serve, with: func(s *Spec) { s.Request = "dc=other" }, reason: `search for "dc=other": no such object`},
		{name: "twice", serve: with(func(d *directory) { d.twice = true }), reason: `search for "dc=example,dc=org" found 2 entries, not one`},
		{name: "login", serve: locked.serve, with: as, ok: true, reason: `found "dc=example,dc=org"`},
		{name: "wrong password", serve: locked.serve, with: func(s *Spec) { as(s); s.PasswordFile = secretFile(t, "not it") }, reason: "bind as cn=probe,dc=example,dc=org refused: invalid credentials"},
		{name: "anonymous refused", serve: locked.serve, reason: "bind as anonymous refused: invalid credentials"},
		{name: "says the password", serve: func() func(net.Conn) {
			d := locked
			d.disclose = "not with open sesame"
			return d.serve
		}(), with: as, reason: "the server ends the connection: unavailable (not with ****)"},
		{name: "ends the connection", serve: with(func(d *directory) { d.disclose = "going down" }), reason: "the server ends the connection: unavailable (going down)"},
		{name: "no STARTTLS", serve: open.serve, with: func(s *Spec) { s.StartTLS = true }, reason: "StartTLS refused: protocol error (unsupported extended operation)"},
		{name: "nobody", reason: "connection refused"},
		{name: "closes after the bind", serve: hears(string(result(1, ldapBindDone, 0, ""))), reason: "connection closed without an answer to the search…"},
		{name: "half an answer", serve: hears(string(result(1, ldapBindDone, 0, "")[:5])), reason: "connection closed in the middle of the answer to the bind"},
		{name: "another's answer", serve: hears(string(result(5, ldapBindDone, 0, ""))), reason: "not an LDAP answer"},
		{name: "a search's answer", serve: hears(string(result(1, ldapSearchDone, 0, ""))), reason: "not an LDAP answer"},
		{name: "says to be huge", serve: hears("\x30\x84\x7f\xff\xff\xff\x02"), reason: "connection closed in the middle of the answer to the bind"},
		{name: "web server", serve: hears("HTTP/1.1 400 Bad Request\r\n\r\n"), reason: "not an LDAP answer"},
	})
	tryHostile(t, base)
	base.StartTLS = true
	tryHostile(t, base)
	trySecureAfter(t, base, func(config *tls.Config) func(net.Conn) { return with(func(d *directory) { d.secure = config }) })
	tryHostile(t, Spec{Type: LDAPS, Insecure: true})
	trySecure(t, Spec{Type: LDAPS, Request: base.Request}, open.serve)
}

func FuzzLDAP(f *testing.F) {
	for _, b := range [][]byte{
		result(1, ldapBindDone, 49, "no"), result(0, ldapExtendedDone, 52, "going down"),
		directory{dn: "dc=example", lines: []string{"dc: example"}}.entry(2, ber.DecodePacket(searchRequest(2, "dc=example", true)).Children[1]),
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		reply, err := readLDAP(bufio.NewReader(bytes.NewReader(b)))
		if err == nil && len(b) < 7 {
			t.Errorf("%x is %+v", b, reply)
		}
		_ = reply.reason()
	})
}
