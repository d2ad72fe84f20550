package checker

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// pgServer is a PostgreSQL server with one user and one answer. SCRAM is left to
// the real one in test/servers.
type pgServer struct {
	asks     string // for a password: "", "plain", "md5"
	password string
	rows     []string
	fails    *pgproto3.ErrorResponse // instead of anything after the startup
	refuse   string                  // of the query
	secure   *tls.Config             // nil: no TLS
	endless  bool                    // rows without an end
	stop     string                  // after "login" or "query" it says nothing more
}

func (d pgServer) serve(conn net.Conn) {
	b := pgproto3.NewBackend(conn, conn)
	for {
		msg, err := b.ReceiveStartupMessage()
		if err != nil {
			return
		}
		if _, ok := msg.(*pgproto3.SSLRequest); !ok {
			break
		}
		if d.secure == nil {
			_, _ = io.WriteString(conn, "N")
			continue
		}
		_, _ = io.WriteString(conn, "S")
		conn = tls.Server(conn, d.secure)
		b = pgproto3.NewBackend(conn, conn)
	}
	send := func(messages ...pgproto3.BackendMessage) error {
		for _, m := range messages {
			b.Send(m)
		}
		return b.Flush()
	}
	switch {
	case d.stop == "login":
		mute(conn)
		return
	case d.fails != nil:
		_ = send(d.fails)
		return
	case !d.login(b, send):
		_ = send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "28P01", Message: `password authentication failed for user "probe"`})
		return
	}
	_ = send(&pgproto3.AuthenticationOk{}, &pgproto3.ParameterStatus{Name: "server_version", Value: "99"}, &pgproto3.BackendKeyData{SecretKey: []byte{1, 2, 3, 4}}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	for {
		msg, err := b.Receive()
		if _, ok := msg.(*pgproto3.Query); err != nil || !ok {
			return
		}
		if d.stop == "query" {
			mute(conn)
			return
		}
		if d.answer(send) != nil {
			return
		}
	}
}

func (d pgServer) login(b *pgproto3.Backend, send func(...pgproto3.BackendMessage) error) bool {
	want := d.password
	switch d.asks {
	case "":
		return true
	case "plain":
		_ = b.SetAuthType(pgproto3.AuthTypeCleartextPassword)
		_ = send(&pgproto3.AuthenticationCleartextPassword{})
	case "md5":
		_ = b.SetAuthType(pgproto3.AuthTypeMD5Password)
		_ = send(&pgproto3.AuthenticationMD5Password{Salt: [4]byte{1, 2, 3, 4}})
		inner := md5.Sum([]byte(want + "probe"))
		outer := md5.Sum([]byte(hex.EncodeToString(inner[:]) + "\x01\x02\x03\x04"))
		want = "md5" + hex.EncodeToString(outer[:])
	}
	msg, err := b.Receive()
	p, ok := msg.(*pgproto3.PasswordMessage)
	return err == nil && ok && p.Password == want
}

func (d pgServer) answer(send func(...pgproto3.BackendMessage) error) error {
	ready := &pgproto3.ReadyForQuery{TxStatus: 'I'}
	if d.refuse != "" {
		return send(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "42P01", Message: d.refuse}, ready)
	}
	_ = send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("c"), DataTypeOID: 25, DataTypeSize: -1}}})
	for _, row := range d.rows {
		_ = send(&pgproto3.DataRow{Values: [][]byte{[]byte(row), nil}})
	}
	for d.endless {
		if err := send(&pgproto3.DataRow{Values: [][]byte{[]byte("row"), nil}}); err != nil {
			return err
		}
	}
	return send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT")}, ready)
}

func TestPgSQL(t *testing.T) {
	file := secretFile(t, "open sesame")
	base := Spec{Type: PgSQL, Login: "probe", PasswordFile: file, Database: "shop"}
	sound := pgServer{asks: "md5", password: "open sesame", rows: []string{"1", "ready"}}
	with := func(f func(*pgServer)) func(net.Conn) {
		d := sound
		f(&d)
		return d.serve
	}
	query := func(receive string) func(*Spec) {
		return func(s *Spec) { s.Request, s.Receive = "SELECT state FROM health", receive }
	}
	tryAll(t, base, []trial{
		{name: "login", serve: sound.serve, ok: true, reason: "login"},
		{name: "plain", serve: with(func(d *pgServer) { d.asks = "plain" }), ok: true, reason: "login"},
		{name: "trusted", serve: with(func(d *pgServer) { d.asks = "" }), with: func(s *Spec) { s.PasswordFile = "" }, ok: true, reason: "login"},
		{name: "wrong password", serve: with(func(d *pgServer) { d.password = "x" }), reason: `login refused: password authentication failed for user "probe" (28P01)`},
		{name: "query", serve: sound.serve, with: query(""), ok: true, reason: "the query found a row"},
		{name: "query matches", serve: sound.serve, with: query("^ready\tNULL$"), ok: true, reason: "the query found a row, has \"^ready\tNULL$\""},
		{name: "query doesn't match", serve: sound.serve, with: query("^steady"), reason: `no row has "^steady"`},
		{name: "no row", serve: with(func(d *pgServer) { d.rows = nil }), with: query(""), reason: "the query found no row"},
		{name: "query refused", serve: with(func(d *pgServer) { d.refuse = "no such table" }), with: query(""), reason: "query refused: no such table (42P01)"},
		{name: "says the password", serve: with(func(d *pgServer) { d.refuse = "not with open sesame" }), with: query(""), reason: "query refused: not with **** (42P01)"},
		{name: "rows without end", serve: with(func(d *pgServer) { d.endless = true }), with: query("^steady$"), reason: "the answer is longer than 256 KiB"},
		{name: "starting", serve: with(func(d *pgServer) {
			d.fails = &pgproto3.ErrorResponse{Severity: "FATAL", Code: "57P03", Message: "the database system is starting up"}
		}), reason: "login refused: the database system is starting up (57P03)"},
		{name: "silent after the startup", serve: with(func(d *pgServer) { d.stop = "login" }), with: func(s *Spec) { s.Timeout = quickTimeout }, reason: "timeout after 300ms while waiting for the answer to the login"},
		{name: "silent after the login", serve: with(func(d *pgServer) { d.stop = "query" }), with: func(s *Spec) { query("")(s); s.Timeout = quickTimeout }, reason: "timeout after 300ms while waiting for the answer to the query"},
		{name: "no TLS", serve: sound.serve, with: func(s *Spec) { s.StartTLS = true }, reason: "the server offers no TLS"},
		{name: "nobody", reason: "connection refused"},
	})
	tryHostile(t, base)
	base.StartTLS = true
	tryHostile(t, base)
	trySecureAfter(t, base, func(config *tls.Config) func(net.Conn) { return with(func(d *pgServer) { d.secure = config }) })
}

func TestPgSQLReady(t *testing.T) {
	base := Spec{Type: PgSQL}
	fails := func(code string) func(net.Conn) {
		return pgServer{fails: &pgproto3.ErrorResponse{Severity: "FATAL", Code: code, Message: "no"}}.serve
	}
	tryAll(t, base, []trial{
		{name: "asks for a password", serve: pgServer{asks: "md5"}.serve, ok: true, reason: "takes logins"},
		{name: "trusts", serve: pgServer{}.serve, ok: true, reason: "takes logins"},
		{name: "not this user", serve: fails("28000"), ok: true, reason: "takes logins (not this one: 28000)"},
		{name: "not this database", serve: fails("3D000"), ok: true, reason: "takes logins (not this one: 3D000)"},
		{name: "starting", serve: fails("57P03"), reason: "takes no logins: no (57P03)"},
		{name: "too many", serve: fails("53300"), reason: "takes no logins: no (53300)"},
		{name: "half", serve: hears("R\x00\x00"), reason: "connection closed in the middle of the answer to the login"},
		{name: "closes", serve: hears(""), reason: "connection closed without an answer to the login…"},
		{name: "web server", serve: hears("HTTP/1.1 400 Bad Request\r\n\r\n"), reason: "not a PostgreSQL answer"},
	})
	tryHostile(t, base)
	base.StartTLS = true
	trySecureAfter(t, base, func(config *tls.Config) func(net.Conn) { return pgServer{asks: "md5", secure: config}.serve })
}

// TestPgSQLEnvironment: what is in our environment for psql says nothing to a
// check.
func TestPgSQLEnvironment(t *testing.T) {
	t.Setenv("PGHOST", "/nowhere,192.0.2.1")
	t.Setenv("PGPORT", "1")
	t.Setenv("PGUSER", "somebody")
	t.Setenv("PGPASSWORD", "x")
	t.Setenv("PGSSLMODE", "verify-full")
	t.Setenv("PGTARGETSESSIONATTRS", "standby")
	t.Setenv("PGAPPNAME", "other")
	at := standIn(t, "127.0.0.1:0", pgServer{asks: "plain", password: "open sesame"}.serve)
	var b bytes.Buffer
	r := Once(context.Background(), Spec{Type: PgSQL, Target: at, Login: "probe", PasswordFile: secretFile(t, "open sesame")}, &b)
	if !r.OK || strings.Contains(b.String(), "sesame") {
		t.Errorf("got %+v\n%s", r, b.String())
	}
}
