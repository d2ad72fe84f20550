package checker

import (
	"crypto/tls"
	"net"
	"testing"
)

var soundIMAP = []string{"> * OK IMAP4rev1 ready", "< a2 CAPABILITY", "> * CAPABILITY IMAP4rev1", "> a2 OK done", "< a3 LOGOUT"}

// user fills in a login with its file.
func user(t *testing.T, name, password string) func(*Spec) {
	file := secretFile(t, password)
	return func(s *Spec) { s.Login, s.PasswordFile = name, file }
}

func startTLS(s *Spec) { s.StartTLS = true }

func TestIMAP(t *testing.T) {
	base := Spec{Type: IMAP}
	tryAll(t, base, []trial{
		{name: "alive", serve: plays(soundIMAP...), ok: true, reason: "answers CAPABILITY"},
		{name: "login", with: user(t, "anna", `p "w\`), ok: true, reason: "logged in", serve: plays(
			"> * ok ready", `< a2 LOGIN "anna" "p \"w\\"`, "> * CAPABILITY IMAP4rev1", "> a2 OK in", "< a3 LOGOUT")},
		{name: "login by literals", with: user(t, "änna", "pässword"), ok: true, reason: "logged in", serve: plays(
			"> * OK ready", "< a2 LOGIN {5}", "> + go on", "< änna {9}", "> + go on", "< pässword\r\n", "> a2 OK in", "< a3 LOGOUT")},
		{name: "literal refused", with: user(t, "änna", "x"), serve: plays("> * OK", "< a2 LOGIN {5}", "> a2 BAD no"), reason: "answer to LOGIN: a2 BAD no"},
		{name: "logged in beforehand", with: user(t, "anna", "x"), serve: plays("> * PREAUTH hi", "< a3 LOGOUT"), ok: true, reason: "logged in beforehand (PREAUTH)"},
		{name: "wrong password", with: user(t, "anna", "x"), serve: plays("> * OK", "< a2 LOGIN", "> a2 NO [AUTHENTICATIONFAILED] no"), reason: "answer to LOGIN: a2 NO [AUTHENTICATIONFAILED] no"},
		{name: "busy", serve: plays("> * BYE too busy"), reason: "greeting: * BYE too busy"},
		{name: "bye later", serve: plays("> * OK", "< a2", "> * BYE backend is gone"), reason: "answer to CAPABILITY: * BYE backend is gone"},
		{name: "no", serve: plays("> * OK", "< a2", "> a2 NO not now"), reason: "answer to CAPABILITY: a2 NO not now"},
		{name: "another tag", serve: plays("> * OK", "< a2", "> a9 OK done"), reason: "answer to CAPABILITY: a9 OK done"},
		{name: "silent after CAPABILITY", serve: plays("> * OK", "< a2"), with: quicker, reason: "timeout after 800ms while waiting for the answer to CAPABILITY"},
		{name: "half an answer", serve: plays("> * OK", "< a2", "* a2 O"), with: quicker, reason: "timeout after 800ms while reading the answer to CAPABILITY"},
		{name: "another protocol", serve: plays("> 220 mail ESMTP"), reason: "greeting: 220 mail ESMTP"},
		{name: "STARTTLS refused", with: startTLS, serve: plays("> * OK", "< a1 STARTTLS", "> a1 BAD what"), reason: "answer to STARTTLS: a1 BAD what"},
	})
	tryHostile(t, base)
	trySecure(t, Spec{Type: IMAPS}, plays(soundIMAP...))
	trySecureAfter(t, Spec{Type: IMAP, StartTLS: true}, func(config *tls.Config) func(net.Conn) {
		return upgrades(config, plays(soundIMAP[1:]...), soundIMAP[0], "< a1 STARTTLS", "> a1 OK go")
	})
}

func TestTaggedLine(t *testing.T) {
	for line, want := range map[string]string{
		"a2 OK done": "OK", "a2 ok": "OK", "a2 NO x": "NO", "* OK x": "", "* CAPABILITY": "", "* BYE": "BAD", "a3 OK": "BAD", "a2": "BAD", "": "BAD", "*": "",
	} {
		if got := taggedLine(line, "a2"); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}
