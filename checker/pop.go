package checker

import (
	"context"
	"strings"
)

// POP3 (RFC 1939, 2595): the greeting, perhaps STLS, USER, PASS and STAT where
// there is a login, QUIT.
var (
	popKind = kind{
		typ: POP, keys: keysOf("login", "password_file", "starttls"), port: 110,
		valid: (*problems).login, build: dialogue(talkPOP),
	}
	popsKind = kind{
		typ: POPS, keys: keysOf("login", "password_file"), port: 995, tls: alwaysTLS,
		valid: (*problems).login, build: dialogue(talkPOP),
	}
)

func talkPOP(_ context.Context, s *session) Result {
	greeting, err := s.line()
	if err != nil {
		return s.fail(err)
	}
	if !isOK(greeting) {
		return s.wrong(greeting)
	}
	if s.spec.StartTLS {
		if err := s.orderPOP("STLS", "STLS"); err != nil {
			return s.fail(err)
		}
		if err := s.encase(); err != nil {
			return s.fail(err)
		}
	}
	success := "answers QUIT"
	if s.spec.Login != "" {
		success = "logged in, STAT works"
		if err := s.loginPOP(); err != nil {
			return s.fail(err)
		}
	}
	if err := s.orderPOP("QUIT", "QUIT"); err != nil {
		return s.fail(err)
	}
	r := good(success)
	r.Sample = sample([]byte(greeting), "")
	s.part()
	return r
}

func (s *session) loginPOP() error {
	password, err := s.password()
	if err != nil {
		return err
	}
	if err := s.orderPOP("USER "+s.spec.Login, "USER "+s.spec.Login); err != nil {
		return err
	}
	if err := s.orderPOP("PASS "+password, "PASS ****"); err != nil {
		return err
	}
	return s.orderPOP("STAT", "STAT")
}

// orderPOP sends a command and wants +OK; shown is what a transcript may show.
func (s *session) orderPOP(command, shown string) error {
	if err := s.sendSecret(command, shown); err != nil {
		return err
	}
	line, err := s.line()
	if err == nil && !isOK(line) {
		err = s.refused(line)
	}
	return err
}

// isOK tells whether an answer begins with the word +OK.
func isOK(line string) bool {
	word, _, _ := strings.Cut(line, " ")
	return word == "+OK"
}
