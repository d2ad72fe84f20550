package mail

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/smtp"
	"net/textproto"
	"slices"
	"strings"
	"time"
)

const smtpsPort = "465"

// testOnlyRoots are the authorities that a test's server is signed by.
var testOnlyRoots *x509.CertPool

// refusal is a failure that no later try would mend.
type refusal struct{ error }

// deliver sends one message. The whole dialogue ends with ctx, which has a
// deadline.
func deliver(ctx context.Context, s Settings, m message) error {
	if len(m.to) == 0 {
		return refusal{errors.New("no address to send it to")}
	}
	host, port, err := net.SplitHostPort(s.Server)
	if err != nil {
		return refusal{err}
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Server)
	if err != nil {
		return fmt.Errorf("connect: %v", err)
	}
	defer conn.Close()
	if until, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(until)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if port == smtpsPort {
		conn = tls.Client(conn, s.tls(host))
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return said("greeting", err)
	}
	if err := s.open(c, host, port); err != nil {
		return err
	}
	if err := m.hand(c); err != nil {
		return err
	}
	_ = c.Quit() // it has the message
	return nil
}

// tls is the check of the server's certificate. Where TLS is only a gift, one
// that can't be verified is better than none: whoever can forge it could as well
// hide the offer. A password takes more.
func (s Settings) tls(host string) *tls.Config {
	return &tls.Config{ServerName: host, RootCAs: testOnlyRoots, InsecureSkipVerify: s.TLS == Auto && s.Login == ""}
}

// open goes through what comes before the message.
func (s Settings) open(c *smtp.Client, host, port string) error {
	if err := c.Hello(hostname()); err != nil {
		return said("EHLO", err)
	}
	if s.TLS != Never && port != smtpsPort {
		switch ok, _ := c.Extension("STARTTLS"); {
		case ok:
			if err := c.StartTLS(s.tls(host)); err != nil {
				return said("STARTTLS", err)
			}
		case s.TLS == Always:
			return refusal{errors.New(`the server offers no STARTTLS, and [email] says starttls = "always"`)}
		}
	}
	if s.Login == "" {
		return nil
	}
	_, safe := c.TLSConnectionState()
	if !safe && !loopback(host) {
		return refusal{errors.New("the server offers no STARTTLS, and without it the password would be readable on the way")}
	}
	password, err := s.Password()
	if err != nil {
		return refusal{fmt.Errorf("password_file: %v", err)}
	}
	return said("AUTH", c.Auth(&login{name: s.Login, password: password}))
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// hand gives the message to the server. It is for those that it takes it for.
func (m message) hand(c *smtp.Client) error {
	if err := c.Mail(m.from); err != nil {
		return said("MAIL FROM "+m.from, err)
	}
	var refused []error
	for _, to := range m.to {
		if err := c.Rcpt(to); err != nil {
			refused = append(refused, said("RCPT TO "+to, err))
		}
	}
	if len(refused) == len(m.to) {
		return worst(refused)
	}
	w, err := c.Data()
	if err != nil {
		return said("DATA", err)
	}
	if _, err := w.Write(m.data); err != nil {
		return fmt.Errorf("send: %v", err)
	}
	if err := w.Close(); err != nil {
		return said("the message", err)
	}
	if len(refused) > 0 { // the others have it: it is not sent again
		return refusal{fmt.Errorf("sent, but not to all: %v", errors.Join(refused...))}
	}
	return nil
}

// worst is one error of several: later tries help if they help one.
func worst(list []error) error {
	all := errors.New(strings.ReplaceAll(errors.Join(list...).Error(), "\n", "; "))
	for _, err := range list {
		if !errors.As(err, new(refusal)) {
			return all
		}
	}
	return refusal{all}
}

// said names the step that failed. A reply of 5xx is the server's last word.
func said(step string, err error) error {
	if err == nil {
		return nil
	}
	var reply *textproto.Error
	if !errors.As(err, &reply) {
		return fmt.Errorf("%s: %v", step, err)
	}
	err = fmt.Errorf("%s: %d %s", step, reply.Code, strings.ReplaceAll(reply.Msg, "\n", "; "))
	if reply.Code >= 500 && reply.Code < 600 {
		return refusal{err}
	}
	return err
}

// login logs in by PLAIN, or by LOGIN where that is all there is. Whether the
// way is safe was looked at before.
type login struct {
	name, password string
	asked          int
	plain          bool
}

func (l *login) Start(server *smtp.ServerInfo) (string, []byte, error) {
	has := func(way string) bool {
		return slices.ContainsFunc(server.Auth, func(a string) bool { return strings.EqualFold(a, way) })
	}
	switch {
	case has("PLAIN"):
		l.plain = true
		return "PLAIN", []byte("\x00" + l.name + "\x00" + l.password), nil
	case has("LOGIN"):
		return "LOGIN", nil, nil
	}
	return "", nil, fmt.Errorf("the server offers no login by PLAIN or LOGIN, but %s", cmp.Or(strings.Join(server.Auth, " "), "none"))
}

func (l *login) Next(_ []byte, more bool) ([]byte, error) {
	l.asked++
	switch {
	case !more:
		return nil, nil
	case l.plain || l.asked > 2:
		return nil, errors.New("the server asks for more than a name and a password")
	case l.asked == 1:
		return []byte(l.name), nil
	}
	return []byte(l.password), nil
}
