package checker

import (
	"context"
	"encoding/base64"
	"net"
	"net/netip"
	"strings"
)

// SMTP (RFC 5321, 3207, 4954): the greeting, EHLO (HELO where the server has no
// EHLO), perhaps STARTTLS and AUTH, QUIT.
var (
	smtpKeys = keysOf("login", "password_file", "starttls")

	smtpKind       = kind{typ: SMTP, keys: smtpKeys, port: 25, valid: (*problems).login, build: dialogue(talkSMTP)}
	submissionKind = kind{typ: Submission, keys: smtpKeys, port: 587, valid: (*problems).login, build: dialogue(talkSMTP)}
	smtpsKind      = kind{
		typ: SMTPS, keys: keysOf("login", "password_file"), port: 465, tls: alwaysTLS,
		valid: (*problems).login, build: dialogue(talkSMTP),
	}
)

// login judges the keys of the types that can log in.
func (v *problems) login(s Spec) {
	switch {
	case s.PasswordFile != "" && s.Login == "":
		v.add("password_file", "needs login, the name that goes with it")
	case s.PasswordFile == "" && s.Login != "":
		v.add("login", "needs password_file, a file that holds the password and nothing else")
	}
}

func talkSMTP(_ context.Context, s *session) Result {
	greeting, err := s.numbered("220")
	if err != nil {
		return s.fail(err)
	}
	hello, err := s.hello()
	if err != nil {
		return s.fail(err)
	}
	if s.spec.StartTLS {
		if hello, err = s.startSMTP(hello); err != nil {
			return s.fail(err)
		}
	}
	success := strings.TrimPrefix(s.expecting, "the answer to ") + " accepted"
	if s.spec.Login != "" {
		if err := s.authSMTP(hello); err != nil {
			return s.fail(err)
		}
		success = "logged in"
	}
	r := good(success)
	r.Sample = sample([]byte(greeting.last()), "")
	s.goodbye("QUIT")
	return r
}

// hello introduces us, by our address: a name would have to resolve.
func (s *session) hello() (numbered, error) {
	me := addressLiteral(s.plain.LocalAddr())
	n, err := s.order("EHLO "+me, "250")
	if err == nil || !strings.HasPrefix(n.code, "50") {
		return n, err
	}
	return s.order("HELO "+me, "250")
}

// addressLiteral is an address as RFC 5321, 4.1.3, writes it.
func addressLiteral(a net.Addr) string {
	end, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return "[127.0.0.1]"
	}
	addr := end.Addr().Unmap().WithZone("")
	if addr.Is6() {
		return "[IPv6:" + addr.String() + "]"
	}
	return "[" + addr.String() + "]"
}

func (s *session) startSMTP(hello numbered) (numbered, error) {
	if !hello.has("STARTTLS") {
		return hello, refusal("the server offers no STARTTLS")
	}
	if _, err := s.order("STARTTLS", "220"); err != nil {
		return hello, err
	}
	if err := s.encase(); err != nil {
		return hello, err
	}
	return s.hello()
}

// authSMTP logs in by PLAIN, or by LOGIN where that is all there is.
func (s *session) authSMTP(hello numbered) error {
	password, err := s.password()
	if err != nil {
		return err
	}
	word := base64.StdEncoding.EncodeToString
	offered := ""
	for _, line := range hello.lines {
		if name, methods, _ := strings.Cut(line, " "); strings.EqualFold(name, "AUTH") {
			offered = " " + strings.ToUpper(methods) + " "
		}
	}
	switch {
	case strings.Contains(offered, " PLAIN "):
		_, err = s.orderSecret("AUTH PLAIN "+word([]byte("\x00"+s.spec.Login+"\x00"+password)), "AUTH PLAIN ****", "235")
		return err
	case strings.Contains(offered, " LOGIN "):
		if _, err = s.order("AUTH LOGIN", "334"); err != nil {
			return err
		}
		if _, err = s.orderSecret(word([]byte(s.spec.Login)), "(user name)", "334"); err != nil {
			return err
		}
		_, err = s.orderSecret(word([]byte(password)), "(password)", "235")
		return err
	}
	return refusal("the server offers no login by PLAIN or LOGIN here (many do within TLS only: starttls = true)")
}
