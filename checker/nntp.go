package checker

import "context"

// NNTP (RFC 3977, 4642, 4643): the greeting, perhaps STARTTLS and AUTHINFO,
// QUIT.
var nntpKind = kind{
	typ: NNTP, keys: keysOf("login", "password_file", "tls", "starttls"), port: 119, secure: 563,
	valid: (*problems).loginTLS, build: dialogue(talkNNTP),
}

// loginTLS is login for types that have both ways into TLS.
func (v *problems) loginTLS(s Spec) {
	v.login(s)
	v.oneTLS(s)
}

func (v *problems) oneTLS(s Spec) {
	if s.TLS && s.StartTLS {
		v.add("starttls", "tls = true speaks TLS from the first byte; leave out one of the two")
	}
}

func talkNNTP(_ context.Context, s *session) Result {
	greeting, err := s.numbered("2")
	if err != nil {
		return s.fail(err)
	}
	if s.spec.StartTLS {
		if _, err := s.order("STARTTLS", "382"); err != nil {
			return s.fail(err)
		}
		if err := s.encase(); err != nil {
			return s.fail(err)
		}
	}
	success := "greets with " + greeting.code
	if s.spec.Login != "" {
		success = "logged in"
		if err := s.loginNNTP(); err != nil {
			return s.fail(err)
		}
	}
	r := good(success)
	r.Sample = sample([]byte(greeting.last()), "")
	s.goodbye("QUIT")
	return r
}

func (s *session) loginNNTP() error {
	password, err := s.password()
	if err != nil {
		return err
	}
	n, err := s.order("AUTHINFO USER "+s.spec.Login, "281", "381")
	if err != nil || n.code == "281" {
		return err
	}
	_, err = s.orderSecret("AUTHINFO PASS "+password, "AUTHINFO PASS ****", "281")
	return err
}
