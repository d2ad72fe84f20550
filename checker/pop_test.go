package checker

import (
	"crypto/tls"
	"net"
	"testing"
)

func TestPOP(t *testing.T) {
	sound := []string{"> +OK ready", "< QUIT", "> +OK bye"}
	base := Spec{Type: POP}
	tryAll(t, base, []trial{
		{name: "alive", serve: plays(sound...), ok: true, reason: "answers QUIT"},
		{name: "login", with: user(t, "anna", "p w"), ok: true, reason: "logged in, STAT works", serve: plays(
			"> +OK", "< USER anna\r\n", "> +OK", "< PASS p w\r\n", "> +OK in", "< STAT", "> +OK 0 0", "< QUIT", "> +OK")},
		{name: "wrong password", with: user(t, "anna", "x"), serve: plays("> +OK", "< USER", "> +OK", "< PASS", "> -ERR no"), reason: "answer to PASS: -ERR no"},
		{name: "mailbox locked", with: user(t, "anna", "x"), serve: plays("> +OK", "< USER", "> +OK", "< PASS", "> +OK", "< STAT", "> -ERR locked"), reason: "answer to STAT: -ERR locked"},
		{name: "refuses", serve: plays("> -ERR busy"), reason: "greeting: -ERR busy"},
		{name: "looks like it", serve: plays("> +OKAY"), reason: "greeting: +OKAY"},
		{name: "silent after the greeting", serve: plays("> +OK"), with: quicker, reason: "timeout after 800ms while waiting for the answer to QUIT"},
		{name: "half an answer", serve: plays("> +OK", "< QUIT", "* +O"), with: quicker, reason: "timeout after 800ms while reading the answer to QUIT"},
		{name: "closes after the greeting", serve: hangsUp("+OK\r\n"), reason: "connection …"},
		{name: "STLS refused", with: startTLS, serve: plays("> +OK", "< STLS", "> -ERR what"), reason: "answer to STLS: -ERR what"},
	})
	tryHostile(t, base)
	trySecure(t, Spec{Type: POPS}, plays(sound...))
	trySecureAfter(t, Spec{Type: POP, StartTLS: true}, func(config *tls.Config) func(net.Conn) {
		return upgrades(config, plays(sound[1:]...), "> +OK", "< STLS", "> +OK go")
	})
}
