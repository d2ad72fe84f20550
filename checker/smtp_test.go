package checker

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// mailServer is a server of SMTP that knows one user, anna with "p w", and
// speaks TLS after STARTTLS where it has a configuration.
func mailServer(config *tls.Config) func(net.Conn) {
	return func(conn net.Conn) {
		say := func(lines ...string) { _, _ = io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n") }
		say("220-mail.example", "220 ESMTP ready")
		in := bufio.NewReader(conn)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			line = strings.TrimRight(line, "\r\n")
			_, secure := conn.(*tls.Conn)
			switch word, _, _ := strings.Cut(line, " "); {
			case word == "EHLO" && config != nil && !secure:
				say("250-mail.example", "250-SIZE 1000", "250 STARTTLS")
			case word == "EHLO":
				say("250-mail.example", "250-AUTH PLAIN LOGIN", "250 SIZE 1000")
			case word == "STARTTLS":
				say("220 go ahead")
				up := tls.Server(conn, config)
				if up.Handshake() != nil {
					return
				}
				conn, in = up, bufio.NewReader(up)
			case line == "AUTH PLAIN AGFubmEAcCB3": // \0anna\0p w
				say("235 2.7.0 welcome")
			case word == "AUTH":
				say("535 5.7.8 authentication failed")
			case word == "QUIT":
				say("221 bye")
				return
			default:
				say("502 what?")
			}
		}
	}
}

func TestSMTP(t *testing.T) {
	anna := func(password string) func(*Spec) { return user(t, "anna", password) }
	base := Spec{Type: SMTP}
	tryAll(t, base, []trial{
		{name: "alive", serve: mailServer(nil), ok: true, reason: "EHLO accepted"},
		{name: "HELO only", serve: plays("> 220 old", "< EHLO [", "> 500 what?", "< HELO [", "> 250 hi", "< QUIT", "> 221 bye"), ok: true, reason: "HELO accepted"},
		{name: "login", serve: mailServer(nil), with: anna("p w"), ok: true, reason: "logged in"},
		{name: "wrong password", serve: mailServer(nil), with: anna("pw"), reason: "answer to AUTH: 535 5.7.8 authentication failed"},
		{name: "LOGIN only", with: anna("p w"), ok: true, reason: "logged in", serve: plays(
			"> 220 hi", "< EHLO", "> 250-x", "> 250 AUTH LOGIN", "< AUTH LOGIN", "> 334 VXNlcm5hbWU6", "< YW5uYQ==", "> 334 UGFzc3dvcmQ6", "< cCB3", "> 235 ok", "< QUIT")},
		{name: "no login offered", with: anna("p w"), serve: plays("> 220 hi", "< EHLO", "> 250 x"), reason: "the server offers no login by PLAIN or LOGIN here…"},
		{name: "busy", serve: plays("> 421 too many connections"), reason: "greeting: 421 too many connections"},
		{name: "refuses", serve: plays("> 554 no service"), reason: "greeting: 554 no service"},
		{name: "refuses us", serve: plays("> 220 hi", "< EHLO", "> 550 go away"), reason: "answer to EHLO: 550 go away"},
		{name: "silent after EHLO", serve: plays("> 220 hi", "< EHLO"), with: quicker, reason: "timeout after 800ms while waiting for the answer to EHLO"},
		{name: "half an answer", serve: plays("> 220 hi", "< EHLO", "> 250-half", "* 250"), with: quicker, reason: "timeout after 800ms while reading the answer to EHLO"},
		{name: "closes after EHLO", serve: func(c net.Conn) { hangsUp("220 hi\r\n")(c); _, _ = c.Read(make([]byte, 100)) }, reason: "connection closed without an answer to EHLO"},
		{name: "another protocol", serve: plays("> * OK IMAP4rev1"), reason: "greeting: * OK IMAP4rev1"},
		{name: "no STARTTLS", serve: mailServer(nil), with: func(s *Spec) { s.StartTLS = true }, reason: "the server offers no STARTTLS"},
		{name: "more in the clear", with: func(s *Spec) { s.StartTLS = true }, serve: plays("> 220 hi", "< EHLO", "> 250 STARTTLS", "< STARTTLS", "* 220 go\r\n250 injected\r\n"), reason: "the server says more before TLS than it was asked"},
		{name: "refused", reason: "connection refused"},
	})
	tryHostile(t, base)
	tryHostile(t, Spec{Type: SMTPS, Insecure: true})
	trySecureAfter(t, Spec{Type: Submission, StartTLS: true}, mailServer)
	trySecure(t, Spec{Type: SMTPS}, mailServer(nil))
}

// quicker is for trials that end by the timeout, at a certain step: a loaded
// machine must come that far.
func quicker(s *Spec) { s.Timeout = 800 * time.Millisecond }

func TestNumberedLine(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"250 ok", "250 ok false true"},
		{"250-ok", "250 ok true true"},
		{"250", "250  false true"},
		{"250ok", "  false false"},
		{"25", "  false false"},
		{"950 ok", "  false false"},
		{"-ERR", "  false false"},
		{"", "  false false"},
	} {
		code, text, more, ok := numberedLine(tt.line)
		if got := fmt.Sprint(code, " ", text, " ", more, " ", ok); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.line, got, tt.want)
		}
	}
}
