package checker

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
)

// FTP (RFC 959, 2428, 4217): the greeting, perhaps AUTH TLS, USER and PASS; a
// file where one is asked for, over a passive connection to the same address;
// QUIT.
var ftpKind = kind{
	typ: FTP, keys: keysOf("login", "password_file", "request", "receive", "tls", "starttls"), port: 21, secure: 990,
	fill: fillFTP, valid: (*problems).ftp, build: dialogue(talkFTP),
}

// anonymous is who logs in where nobody is named, with anything for a password.
const anonymous = "anonymous"

func fillFTP(s *Spec) { s.Login = or(s.Login, anonymous) }

func (v *problems) ftp(s Spec) {
	v.oneTLS(s)
	fillFTP(&s)
	if s.PasswordFile == "" && s.Login != anonymous {
		v.add("login", "needs password_file, a file that holds the password and nothing else")
	}
	if s.Receive != "" && s.Request == "" {
		v.add("receive", "needs request, the file to fetch that must match it")
	}
	if strings.ContainsFunc(s.Request, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		v.add("request", "%q holds a control character", s.Request)
	}
}

func talkFTP(ctx context.Context, s *session) Result {
	greeting, err := s.numbered("220")
	if err != nil {
		return s.fail(err)
	}
	if s.spec.StartTLS {
		if _, err = s.order("AUTH TLS", "234"); err == nil {
			err = s.encase()
		}
		if err != nil {
			return s.fail(err)
		}
	}
	if err := s.loginFTP(); err != nil {
		return s.fail(err)
	}
	r := good("logged in as " + s.spec.Login)
	r.Sample = sample([]byte(greeting.last()), "")
	if s.spec.Request != "" {
		if r = s.fetch(ctx); !r.OK {
			return r
		}
	}
	s.goodbye("QUIT")
	return r
}

func (s *session) loginFTP() error {
	password, err := s.password()
	if err != nil {
		return err
	}
	n, err := s.order("USER "+s.spec.Login, "230", "331")
	if err != nil || n.code == "230" {
		return err
	}
	_, err = s.orderSecret("PASS "+or(password, "ipvsd@"), "PASS ****", "230", "202")
	return err
}

// fetch gets the file, or as much of it as is read of any answer.
func (s *session) fetch(ctx context.Context) Result {
	if s.tls != nil {
		for _, line := range []string{"PBSZ 0", "PROT P"} {
			if _, err := s.order(line, "200"); err != nil {
				return s.fail(err)
			}
		}
	}
	if _, err := s.order("TYPE I", "200"); err != nil {
		return s.fail(err)
	}
	port, err := s.passive()
	if err != nil {
		return s.fail(err)
	}
	data := &session{spec: s.spec, env: s.env, tls: s.tls, resume: s.resume, t: s.t, until: s.until}
	defer data.close()
	if err := data.dial(ctx, port); err != nil {
		return data.inData(err)
	}
	if _, err := s.order("RETR "+s.spec.Request, "125", "150"); err != nil {
		return s.fail(err)
	}
	if s.tls != nil {
		if err := data.encase(); err != nil {
			return data.inData(err)
		}
	}
	return s.receiveFile(data)
}

func (s *session) receiveFile(data *session) Result {
	data.await("the file")
	file, err := io.ReadAll(data.in)
	cut := errors.Is(err, errLongDialog)
	if err != nil && !cut && !errors.Is(err, io.ErrUnexpectedEOF) {
		return data.inData(err)
	}
	if s.t != nil {
		s.t.done("%d bytes of %s", len(file), s.spec.Request)
	}
	if !cut { // else the rest would still have to come
		// Within TLS some servers say that all was sent only when we have closed too.
		data.ok = true
		data.close()
		s.await("the end of RETR")
		if _, err := s.numbered("226", "250"); err != nil {
			return s.fail(err)
		}
	}
	r := s.matched(file, s.spec.Request, "got "+s.spec.Request)
	if cut && !r.OK {
		r.Reason = "first 256 KiB of " + r.Reason
	}
	r.Sample = sample(file, "")
	return r
}

// inData is fail for the second connection.
func (s *session) inData(err error) Result {
	r := s.fail(err)
	r.Reason = "data connection: " + r.Reason
	return r
}

// passive asks where to fetch. Of the answer only the port counts: another
// address than the one being checked would be another server, or nonsense from
// behind a NAT.
func (s *session) passive() (uint16, error) {
	if s.spec.Target.Addr().Unmap().Is6() {
		n, err := s.order("EPSV", "229")
		if err != nil {
			return 0, err
		}
		return s.port(n, epsvPort)
	}
	n, err := s.order("PASV", "227")
	if err != nil {
		return 0, err
	}
	return s.port(n, pasvPort)
}

func (s *session) port(n numbered, read func(string) (uint16, bool)) (uint16, error) {
	port, ok := read(n.last())
	if !ok {
		return 0, s.refused(n.last())
	}
	return port, nil
}

// pasvPort reads "227 Entering Passive Mode (h1,h2,h3,h4,p1,p2)". The
// parentheses are usual, not certain.
func pasvPort(line string) (uint16, bool) {
	for i := 3; i < len(line); i++ {
		if !isDigit(line[i]) {
			continue
		}
		end := i
		for end < len(line) && (isDigit(line[end]) || line[end] == ',') {
			end++
		}
		var six [6]uint8
		parts := strings.Split(line[i:end], ",")
		if len(parts) != len(six) {
			i = end
			continue
		}
		for j, part := range parts {
			n, err := strconv.ParseUint(part, 10, 8)
			if err != nil {
				return 0, false
			}
			six[j] = uint8(n)
		}
		port := uint16(six[4])<<8 | uint16(six[5])
		return port, port != 0
	}
	return 0, false
}

// epsvPort reads "229 Entering Extended Passive Mode (|||6446|)", with any
// delimiter.
func epsvPort(line string) (uint16, bool) {
	_, rest, ok := strings.Cut(line, "(")
	if !ok || len(rest) < 5 || rest[1] != rest[0] || rest[2] != rest[0] {
		return 0, false
	}
	digits, _, ok := strings.Cut(rest[3:], rest[:1])
	port, err := strconv.ParseUint(digits, 10, 16)
	return uint16(port), ok && err == nil && port != 0
}
