package checker

import (
	"crypto/tls"
	"net"
	"testing"
)

func TestNNTP(t *testing.T) {
	sound := []string{"> 201 no posting", "< QUIT", "> 205 bye"}
	base := Spec{Type: NNTP}
	tryAll(t, base, []trial{
		{name: "alive", serve: plays(sound...), ok: true, reason: "greets with 201"},
		{name: "login", with: user(t, "anna", "p w"), ok: true, reason: "logged in", serve: plays(
			"> 200 hi", "< AUTHINFO USER anna\r\n", "> 381 more", "< AUTHINFO PASS p w\r\n", "> 281 in", "< QUIT")},
		{name: "no password needed", with: user(t, "anna", "x"), serve: plays("> 200 hi", "< AUTHINFO USER", "> 281 in", "< QUIT"), ok: true, reason: "logged in"},
		{name: "wrong password", with: user(t, "anna", "x"), serve: plays("> 200", "< AUTHINFO USER", "> 381 x", "< AUTHINFO PASS", "> 481 no"), reason: "answer to AUTHINFO: 481 no"},
		{name: "not now", serve: plays("> 400 loaded"), reason: "greeting: 400 loaded"},
		{name: "never", serve: plays("> 502 no"), reason: "greeting: 502 no"},
		{name: "half a greeting", serve: plays("* 200 he"), with: quicker, reason: "timeout after 800ms while reading the greeting"},
		{name: "STARTTLS refused", with: startTLS, serve: plays("> 200", "< STARTTLS", "> 580 no"), reason: "answer to STARTTLS: 580 no"},
	})
	tryHostile(t, base)
	trySecure(t, Spec{Type: NNTP, TLS: true}, plays(sound...))
	trySecureAfter(t, Spec{Type: NNTP, StartTLS: true}, func(config *tls.Config) func(net.Conn) {
		return upgrades(config, plays(sound[1:]...), "> 200 hi", "< STARTTLS", "> 382 go")
	})
}
