package checker

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-sql-driver/mysql"
)

var mysqlKind = kind{
	typ: MySQL, keys: keysOf("login", "password_file", "database", "request", "receive", "starttls"), port: 3306,
	valid: (*problems).mysql, build: dialogue(talkMySQL),
}

func (v *problems) mysql(s Spec) {
	v.loginFor(s)
	if s.Login == "" && s.StartTLS {
		v.add("starttls", "means nothing without login: without one, only the greeting is read, and TLS comes after it")
	}
}

// loginFor judges what means nothing to a database without a login.
func (v *problems) loginFor(s Spec) {
	if s.Login == "" {
		for _, f := range []struct{ key, value string }{
			{"password_file", s.PasswordFile}, {"database", s.Database}, {"request", s.Request},
		} {
			if f.value != "" {
				v.add(f.key, "means nothing without login, the user to log in as")
			}
		}
	}
	if s.Request == "" && s.Receive != "" {
		v.add("receive", `needs request, the query whose answer it is about, such as request = "SELECT 1"`)
	}
}

// talkMySQL logs in and perhaps asks; without a login it goes by the greeting.
//
// The library takes a zero at the end of a server's random bytes for their end,
// so that one login in 256 by client_ed25519 comes to "malformed packet": that
// is worth a second try, on a new connection and within the same time.
func talkMySQL(ctx context.Context, s *session) Result {
	if s.spec.Login == "" {
		return greetMySQL(s)
	}
	r, err := s.askMySQL(ctx)
	if !errors.Is(err, mysql.ErrMalformPkt) {
		return r
	}
	if s.t != nil {
		s.t.note("%v, so once more", err)
	}
	again := &session{spec: s.spec, env: s.env, receive: s.receive, tls: s.tls, t: s.t, until: s.until}
	defer again.close()
	if err := again.dial(ctx, s.spec.Target.Port()); err != nil {
		return again.fail(err)
	}
	r, _ = again.askMySQL(ctx)
	again.ok, s.plain.certUntil = r.OK, again.plain.certUntil
	return r
}

// askMySQL returns the verdict, and the error of a login that failed.
func (s *session) askMySQL(ctx context.Context) (Result, error) {
	g := s.library(ctx)
	config, err := mysqlConfig(s, g)
	if err != nil {
		return s.fail(err), nil
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return void("login: " + err.Error()), nil
	}
	if s.t != nil {
		s.t.note("log in as %s", s.spec.Login)
	}
	s.await("the answer to the login")
	conn, err := connector.Connect(ctx)
	if err != nil {
		return s.failMySQL(g, "login", err), err
	}
	defer conn.Close() // says goodbye
	if s.t != nil {
		s.t.done("logged in")
	}
	if s.spec.Request == "" {
		return good("login"), nil
	}
	return s.queryMySQL(ctx, g, conn.(driver.QueryerContext)), nil
}

func (s *session) queryMySQL(ctx context.Context, g *guarded, conn driver.QueryerContext) Result {
	if s.t != nil {
		s.t.sent(s.spec.Request)
	}
	s.await("the answer to the query")
	rows, err := conn.QueryContext(ctx, s.spec.Request, nil)
	if err != nil {
		return s.failMySQL(g, "query", err)
	}
	values := make([]driver.Value, len(rows.Columns()))
	r, err := s.rows(func() (string, bool, error) {
		switch err := rows.Next(values); err {
		case nil:
			return rowText(values), true, nil
		case io.EOF:
			return "", false, nil
		default:
			return "", false, err
		}
	})
	if err != nil {
		return s.failMySQL(g, "query", err)
	}
	return r // the rows that are left are the goodbye's to cut off
}

func mysqlConfig(s *session, g *guarded) (*mysql.Config, error) {
	config := mysql.NewConfig()
	config.User, config.DBName = s.spec.Login, s.spec.Database
	config.Net, config.Addr = "tcp", s.spec.Target.String()
	config.Logger = &mysql.NopLogger{}
	config.CheckConnLiveness = false
	config.DialFunc = g.once()
	var err error
	if config.Passwd, err = s.password(); err != nil {
		return nil, err
	}
	if s.tls == nil {
		return config, nil
	}
	secure, err := s.tls.current()
	if err != nil {
		return nil, err
	}
	config.TLS = secure.Clone()
	config.TLS.VerifyConnection = func(state tls.ConnectionState) error {
		s.plain.certUntil = certUntil(state.PeerCertificates)
		if s.t != nil {
			tlsNotes(s.t, state, secure)
		}
		return nil
	}
	return config, nil
}

// failMySQL: what the server itself says goes first.
func (s *session) failMySQL(g *guarded, what string, err error) Result {
	if e := new(mysql.MySQLError); errors.As(err, &e) {
		return bad(fmt.Sprintf("%s refused: %s (%d)", what, sample([]byte(e.Message), ""), e.Number))
	}
	if errors.Is(err, mysql.ErrNoTLS) {
		return bad("the server offers no TLS")
	}
	return s.failIn(g, err)
}

// rowText is a row for a pattern: its columns, with tabs in between.
func rowText(values []driver.Value) string {
	texts := make([]string, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case nil:
			texts[i] = "NULL"
		case []byte:
			texts[i] = string(v)
		default:
			texts[i] = fmt.Sprint(v)
		}
	}
	return strings.Join(texts, "\t")
}

// rows judges the answer to a query: there must be a row, and one that matches.
func (s *session) rows(next func() (row string, ok bool, err error)) (Result, error) {
	first := ""
	for n := 0; ; n++ {
		row, ok, err := next()
		switch {
		case err != nil:
			return Result{}, err
		case !ok && n == 0:
			return bad("the query found no row"), nil
		case !ok:
			r := bad("no row has " + quote(s.spec.Receive))
			r.Sample = sample([]byte(first), "")
			return r, nil
		}
		if s.t != nil && n < maxShownRows {
			s.t.came(s.veil(row))
		}
		if n == 0 {
			first = row
		}
		if r := s.matched([]byte(row), "the row", "the query found a row"); r.OK {
			r.Sample = sample([]byte(row), "")
			return r, nil
		}
	}
}

const maxShownRows = 20
