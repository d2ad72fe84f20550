package convert

import (
	"net/mail"
	"strings"
	"unicode"
)

// MailAddress reads an address for mail, and tells whether director/config
// takes it. One without a host, which ldirectord and keepalived leave to the
// machine's own mail server, is given localhost.
func MailAddress(text string) (string, bool) {
	text = strings.TrimSpace(text)
	if text != "" && !strings.ContainsAny(text, "@<> \t\"") {
		text += "@localhost"
	}
	a, err := mail.ParseAddress(text)
	return text, err == nil && !strings.ContainsFunc(a.Address, func(c rune) bool { return c > unicode.MaxASCII })
}
