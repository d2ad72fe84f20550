package checker

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// database is a MySQL server with one user and one answer.
type database struct {
	plugin   string // of the login
	password string
	rows     []string
	refuse   string      // of the query
	secure   *tls.Config // nil: no TLS
	endless  bool        // rows without an end
	stop     string      // after "login" or "query" it says nothing more
}

const mysqlSalt = "12345678abcdefghijkl"

// mysqlPacket frames a payload.
func mysqlPacket(seq byte, payload string) []byte {
	n := len(payload)
	return append([]byte{byte(n), byte(n >> 8), byte(n >> 16), seq}, payload...)
}

func mysqlErr(code uint16, text string) string {
	return string(binary.LittleEndian.AppendUint16([]byte{0xff}, code)) + "#28000" + text
}

const mysqlOK = "\x00\x00\x00\x02\x00\x00\x00"

// mysqlHello is the first packet of a server.
func mysqlHello(plugin string, capabilities uint32) string {
	le := binary.LittleEndian
	b := append([]byte{10}, "8.0.99-stand-in\x00\x07\x00\x00\x00"...)
	b = append(append(b, mysqlSalt[:8]...), 0)
	b = le.AppendUint16(b, uint16(capabilities))
	b = append(b, 45, 2, 0)
	b = le.AppendUint16(b, uint16(capabilities>>16))
	b = append(append(b, 21), make([]byte, 10)...)
	b = append(append(b, mysqlSalt[8:]...), 0)
	return string(append(append(b, plugin...), 0))
}

func readMySQL(conn net.Conn) (seq byte, payload []byte, _ error) {
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return 0, nil, err
	}
	payload = make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
	_, err := io.ReadFull(conn, payload)
	return head[3], payload, err
}

// proof is what a client sends of a password.
func (d database) proof() []byte {
	mask := func(out, b []byte) []byte {
		for i := range out {
			out[i] ^= b[i]
		}
		return out
	}
	if d.password == "" {
		return nil
	}
	if d.plugin == "caching_sha2_password" {
		one := sha256.Sum256([]byte(d.password))
		two := sha256.Sum256(one[:])
		three := sha256.Sum256(append(two[:], mysqlSalt...))
		return mask(one[:], three[:])
	}
	one := sha1.Sum([]byte(d.password))
	two := sha1.Sum(one[:])
	three := sha1.Sum(append([]byte(mysqlSalt), two[:]...))
	return mask(one[:], three[:])
}

func (d database) serve(conn net.Conn) {
	const tlsBit = 1 << 11
	capabilities := uint32(0x81a20a) &^ tlsBit // of 4.1, with plugins and a database
	if d.secure != nil {
		capabilities |= tlsBit
	}
	_, _ = conn.Write(mysqlPacket(0, mysqlHello(d.plugin, capabilities|0x80000|0x200|0x8000)))
	seq, p, err := readMySQL(conn)
	if err != nil {
		return
	}
	if d.secure != nil && len(p) == 32 {
		conn = tls.Server(conn, d.secure)
		if seq, p, err = readMySQL(conn); err != nil {
			return
		}
	}
	if d.stop == "login" {
		mute(conn)
		return
	}
	if proof := d.proof(); !bytes.Contains(p, append([]byte("probe\x00"+string(byte(len(proof)))), proof...)) {
		_, _ = conn.Write(mysqlPacket(seq+1, mysqlErr(1045, "Access denied for user 'probe'@'host' (using password: YES)")))
		return
	}
	if d.plugin == "caching_sha2_password" && d.password != "" {
		_, _ = conn.Write(mysqlPacket(seq+1, "\x01\x03")) // the server had it in its cache
		seq++
	}
	_, _ = conn.Write(mysqlPacket(seq+1, mysqlOK))
	for {
		if _, p, err = readMySQL(conn); err != nil || p[0] == 1 {
			return
		}
		if d.stop == "query" {
			mute(conn)
			return
		}
		d.answer(conn)
	}
}

func (d database) answer(conn net.Conn) {
	if d.refuse != "" {
		_, _ = conn.Write(mysqlPacket(1, mysqlErr(1146, d.refuse)))
		return
	}
	text := func(s string) string { return string(byte(len(s))) + s }
	column := text("def") + strings.Repeat("\x00", 3) + text("c") + "\x00" + "\x0c\x2d\x00\xff\x00\x00\x00\xfd\x00\x00\x00\x00\x00"
	const eof = "\xfe\x00\x00\x02\x00"
	var out bytes.Buffer
	seq := byte(0)
	write := func(payload string) { seq++; out.Write(mysqlPacket(seq, payload)) }
	write("\x01")
	write(column)
	write(eof)
	for _, row := range d.rows {
		write(text(row))
	}
	for d.endless {
		write(text("row"))
		if _, err := out.WriteTo(conn); err != nil {
			return
		}
	}
	write(eof)
	_, _ = out.WriteTo(conn)
}

func TestMySQL(t *testing.T) {
	file := secretFile(t, "open sesame")
	base := Spec{Type: MySQL, Login: "probe", PasswordFile: file}
	native := database{plugin: "mysql_native_password", password: "open sesame", rows: []string{"1", "ready"}}
	with := func(f func(*database)) func(net.Conn) {
		d := native
		f(&d)
		return d.serve
	}
	query := func(receive string) func(*Spec) {
		return func(s *Spec) { s.Request, s.Receive = "SELECT state FROM health", receive }
	}
	tryAll(t, base, []trial{
		{name: "login", serve: native.serve, ok: true, reason: "login"},
		{name: "caching_sha2", serve: with(func(d *database) { d.plugin = "caching_sha2_password" }), ok: true, reason: "login"},
		{name: "wrong password", serve: with(func(d *database) { d.password = "x" }), reason: "login refused: Access denied for user 'probe'@'host' (using password: YES) (1045)"},
		{name: "wrong caching_sha2", serve: with(func(d *database) { d.plugin, d.password = "caching_sha2_password", "x" }), reason: "login refused: …"},
		{name: "no password", serve: with(func(d *database) { d.password = "" }), with: func(s *Spec) { s.PasswordFile = "" }, ok: true, reason: "login"},
		{name: "query", serve: native.serve, with: query(""), ok: true, reason: "the query found a row"},
		{name: "query matches", serve: native.serve, with: query("^ready$"), ok: true, reason: `the query found a row, has "^ready$"`},
		{name: "query doesn't match", serve: native.serve, with: query("^steady$"), reason: `no row has "^steady$"`},
		{name: "no row", serve: with(func(d *database) { d.rows = nil }), with: query(""), reason: "the query found no row"},
		{name: "query refused", serve: with(func(d *database) { d.refuse = "no such table" }), with: query(""), reason: "query refused: no such table (1146)"},
		{name: "says the password", serve: with(func(d *database) { d.refuse = "not with open sesame" }), with: query(""), reason: "query refused: not with **** (1146)"},
		{name: "rows without end", serve: with(func(d *database) { d.endless = true }), with: query("^steady$"), reason: "the answer is longer than 256 KiB"},
		{name: "silent after the hello", serve: with(func(d *database) { d.stop = "login" }), with: func(s *Spec) { s.Timeout = quickTimeout }, reason: "timeout after 300ms while waiting for the answer to the login"},
		{name: "silent after the login", serve: with(func(d *database) { d.stop = "query" }), with: func(s *Spec) { query("")(s); s.Timeout = quickTimeout }, reason: "timeout after 300ms while waiting for the answer to the query"},
		{name: "no TLS", serve: native.serve, with: func(s *Spec) { s.StartTLS = true }, reason: "the server offers no TLS"},
		{name: "too many connections", serve: hangsUp(string(mysqlPacket(0, mysqlErr(1040, "Too many connections")))), reason: "login refused: Too many connections (1040)"},
		{name: "nobody", reason: "connection refused"},
	})
	tryHostile(t, base)
	trySecureAfter(t, Spec{Type: MySQL, Login: "probe", PasswordFile: file, StartTLS: true}, func(config *tls.Config) func(net.Conn) {
		return with(func(d *database) { d.secure = config })
	})
}

// TestMySQLAgain: the random bytes of a server may end in a zero, which the
// library cuts off.
func TestMySQLAgain(t *testing.T) {
	odd := mysqlPacket(2, "\xfeclient_ed25519\x00"+strings.Repeat("r", 31)+"\x00")
	sound := database{plugin: "mysql_native_password", password: "open sesame"}
	spec := Spec{Type: MySQL, Login: "probe", PasswordFile: secretFile(t, "open sesame"), Timeout: 10 * time.Second}
	for _, tt := range []struct {
		name   string
		odd    int32 // so many connections
		ok     bool
		reason string
	}{
		{"once", 1, true, "login"},
		{"always", 99, false, "malformed packet"},
	} {
		var n atomic.Int32
		spec.Target = standIn(t, "127.0.0.1:0", func(conn net.Conn) {
			if n.Add(1) > tt.odd {
				sound.serve(conn)
				return
			}
			_, _ = conn.Write(mysqlPacket(0, mysqlHello("mysql_native_password", 0x81a20a|0x80000|0x200|0x8000)))
			_, _, _ = readMySQL(conn)
			_, _ = conn.Write(odd)
			mute(conn)
		})
		if r := Once(context.Background(), spec, io.Discard); r.OK != tt.ok || r.Reason != tt.reason || n.Load() != 2 {
			t.Errorf("%s: got %+v after %d connections", tt.name, r, n.Load())
		}
	}
}

func TestMySQLGreeting(t *testing.T) {
	hello := string(mysqlPacket(0, mysqlHello("mysql_native_password", 0x81a20a)))
	base := Spec{Type: MySQL}
	tryAll(t, base, []trial{
		{name: "hello", serve: hangsUp(hello), ok: true, reason: "greeting of version 8.0.99-stand-in"},
		{name: "too many connections", serve: hangsUp(string(mysqlPacket(0, mysqlErr(1040, "Too many connections")))), reason: "refused: Too many connections (1040)"},
		{name: "refused without a state", serve: hangsUp(string(mysqlPacket(0, "\xff\x6a\x04Host 'x' is not allowed"))), reason: "refused: Host 'x' is not allowed (1130)"},
		{name: "half", serve: hangsUp(hello[:30]), reason: "connection closed in the middle of the greeting"},
		{name: "ancient", serve: hangsUp(string(mysqlPacket(0, "\x093.21\x00"+strings.Repeat("x", 20)))), reason: "not a MySQL greeting"},
		{name: "mail server", serve: hangsUp("220 mail.example.org ESMTP\r\n"), reason: "not a MySQL greeting"},
	})
	tryHostile(t, base)
}

func FuzzMySQLGreeting(f *testing.F) {
	f.Add(mysqlPacket(0, mysqlHello("mysql_native_password", 0x81a20a)))
	f.Add(mysqlPacket(0, mysqlErr(1040, "Too many connections")))
	f.Add([]byte{3, 0, 0, 0, 0xff, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := readMySQLGreeting(bytes.NewReader(b))
		if err == nil && g.code == 0 && b[4] != 10 {
			t.Errorf("%x is %+v", b, g)
		}
	})
}
