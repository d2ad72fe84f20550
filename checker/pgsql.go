package checker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

var pgsqlKind = kind{
	typ: PgSQL, keys: keysOf("login", "password_file", "database", "request", "receive", "starttls"), port: 5432,
	valid: (*problems).loginFor, build: newPgSQLProbe,
}

// pgDefaults is what the library's configuration begins with; every part of it
// that matters here is then set. It must be made by the library's own parser.
const pgDefaults = "host=127.0.0.1 port=5432 user=ipvsd password=none sslmode=disable target_session_attrs=any"

// maxPgMessage bounds one message of a server.
const maxPgMessage = 64 << 10

func newPgSQLProbe(spec *Spec, with workshop) (probe, error) {
	if spec.Login == "" {
		return dialogue(readyPgSQL)(spec, with)
	}
	config, err := pgconn.ParseConfig(pgDefaults)
	if err != nil { // only PG… in our environment can do that
		return nil, err
	}
	config.Host, config.Port = spec.Target.Addr().String(), spec.Target.Port()
	config.User, config.Database = spec.Login, spec.Database
	config.RuntimeParams = map[string]string{"application_name": "ipvsd"}
	config.TLSConfig, config.Fallbacks = nil, nil
	config.SSLNegotiation, config.ChannelBinding, config.RequireAuth = "", "", ""
	config.ValidateConnect, config.AfterConnect = nil, nil
	config.MaxProtocolMessageBodyLen = maxPgMessage
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	p := pgProbe{config}
	return dialogue(p.talk)(spec, with)
}

// pgProbe logs in and perhaps asks.
type pgProbe struct{ config *pgconn.Config }

func (p pgProbe) talk(ctx context.Context, s *session) Result {
	password, err := s.password()
	if err != nil {
		return s.fail(err)
	}
	if r := s.securePg(); !r.OK {
		return r
	}
	g := s.library(ctx)
	config := p.config.Copy()
	config.Password = password
	config.DialFunc = g.once()
	if s.t != nil {
		s.t.note("log in as %s", config.User)
	}
	s.await("the answer to the login")
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return s.failPg(g, "login", err)
	}
	defer conn.Close(ctx)
	if s.t != nil {
		s.t.done("logged in to version %s", conn.ParameterStatus("server_version"))
	}
	if s.spec.Request == "" {
		return good("login")
	}
	return s.queryPg(ctx, g, conn)
}

func (s *session) queryPg(ctx context.Context, g *guarded, conn *pgconn.PgConn) Result {
	if s.t != nil {
		s.t.sent(s.spec.Request)
	}
	s.await("the answer to the query")
	results := conn.Exec(ctx, s.spec.Request)
	r, err := s.rows(func() (string, bool, error) {
		for {
			if rows := results.ResultReader(); rows != nil && rows.NextRow() {
				return pgRow(rows.Values()), true, nil
			}
			if !results.NextResult() {
				return "", false, results.Close()
			}
		}
	})
	if err != nil {
		return s.failPg(g, "query", err)
	}
	return r // the rows that are left are the goodbye's to cut off
}

func pgRow(values [][]byte) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = string(v)
		if v == nil {
			texts[i] = "NULL"
		}
	}
	return strings.Join(texts, "\t")
}

// once is a dialler that hands the connection over. A library that would like
// another, to cancel a query with, gets none.
func (g *guarded) once() func(context.Context, string, string) (net.Conn, error) {
	used := make(chan struct{}, 1)
	return func(context.Context, string, string) (net.Conn, error) {
		select {
		case used <- struct{}{}:
			return g, nil
		default:
			return nil, net.ErrClosed
		}
	}
}

// failPg: what the server itself says goes first.
func (s *session) failPg(g *guarded, what string, err error) Result {
	if e := new(pgconn.PgError); errors.As(err, &e) {
		return bad(fmt.Sprintf("%s refused: %s (%s)", what, sample([]byte(e.Message), ""), printable(e.Code)))
	}
	if g.broken() {
		return s.failIn(g, err)
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner // the outer ones say to whom we connect
	}
	return bad("not a sound PostgreSQL answer: " + sample([]byte(err.Error()), ""))
}

var errNotPg = errors.New("not a PostgreSQL answer")

// securePg comes to TLS, if the Spec wants it.
func (s *session) securePg() Result {
	if !s.spec.StartTLS {
		return good("")
	}
	request := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, 80877103)
	if err := s.write(request, "the answer to SSLRequest"); err != nil {
		return s.fail(err)
	}
	var answer [1]byte
	if err := s.read(answer[:]); err != nil {
		return s.fail(err)
	}
	switch answer[0] {
	case 'S':
		if err := s.encase(); err != nil {
			return s.fail(err)
		}
		return good("")
	case 'N':
		return bad("the server offers no TLS")
	case 'E':
		return bad("the server refuses before TLS")
	}
	return bad(errNotPg.Error())
}

// readyPgSQL begins a login that it has no password for: a server that would
// take one is well. It is what pg_isready does.
func readyPgSQL(_ context.Context, s *session) Result {
	if r := s.securePg(); !r.OK {
		return r
	}
	in := &keptError{r: s.in}
	front := pgproto3.NewFrontend(in, s.conn)
	front.SetMaxBodyLen(maxPgMessage)
	if s.t != nil {
		s.t.note("begin a login as ipvsd")
	}
	s.await("the answer to the login")
	front.Send(&pgproto3.StartupMessage{
		ProtocolVersion: pgproto3.ProtocolVersion30,
		Parameters:      map[string]string{"user": "ipvsd", "application_name": "ipvsd"},
	})
	if err := front.Flush(); err != nil {
		return s.fail(err)
	}
	msg, err := front.Receive()
	switch {
	case in.err != nil && err != nil:
		if in.err == io.EOF && in.got {
			in.err = io.ErrUnexpectedEOF
		}
		return s.fail(in.err)
	case err != nil:
		return bad(errNotPg.Error())
	}
	r := pgReady(msg)
	if s.t != nil {
		s.t.came(r.Reason)
	}
	front.Send(&pgproto3.Terminate{})
	_ = front.Flush()
	return r
}

// pgReady judges the answer to the beginning of a login.
func pgReady(msg pgproto3.BackendMessage) Result {
	switch msg := msg.(type) {
	case pgproto3.AuthenticationResponseMessage:
		return good("takes logins")
	case *pgproto3.ErrorResponse:
		// Of class 28 are refusals of the user, 3D000 is one of the database: the
		// server got so far as to look.
		if strings.HasPrefix(msg.Code, "28") || msg.Code == "3D000" {
			return good("takes logins (not this one: " + printable(msg.Code) + ")")
		}
		return bad(fmt.Sprintf("takes no logins: %s (%s)", sample([]byte(msg.Message), ""), printable(msg.Code)))
	}
	return bad(errNotPg.Error())
}
