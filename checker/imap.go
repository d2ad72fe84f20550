package checker

import (
	"context"
	"strconv"
	"strings"
)

// IMAP (RFC 9051): the greeting, perhaps STARTTLS, then LOGIN or else
// CAPABILITY, which a server must answer to anybody; LOGOUT.
var (
	imapKind = kind{
		typ: IMAP, keys: keysOf("login", "password_file", "starttls"), port: 143,
		valid: (*problems).login, build: dialogue(talkIMAP),
	}
	imapsKind = kind{
		typ: IMAPS, keys: keysOf("login", "password_file"), port: 993, tls: alwaysTLS,
		valid: (*problems).login, build: dialogue(talkIMAP),
	}
)

func talkIMAP(_ context.Context, s *session) Result {
	greeting, err := s.line()
	if err != nil {
		return s.fail(err)
	}
	known := strings.EqualFold(firstWords(greeting, 2), "* PREAUTH")
	if !known && !strings.EqualFold(firstWords(greeting, 2), "* OK") {
		return s.wrong(greeting)
	}
	if s.spec.StartTLS {
		if err := s.orderIMAP("a1", "STARTTLS"); err != nil {
			return s.fail(err)
		}
		if err := s.encase(); err != nil {
			return s.fail(err)
		}
	}
	success := "answers CAPABILITY"
	switch {
	case s.spec.Login == "":
		err = s.orderIMAP("a2", "CAPABILITY")
	case known:
		success = "logged in beforehand (PREAUTH)"
	default:
		success, err = "logged in", s.loginIMAP()
	}
	if err != nil {
		return s.fail(err)
	}
	r := good(success)
	r.Sample = sample([]byte(greeting), "")
	s.goodbye("a3 LOGOUT")
	return r
}

// firstWords returns the first n words of a line.
func firstWords(line string, n int) string {
	words := strings.Fields(line)
	return strings.Join(words[:min(n, len(words))], " ")
}

// orderIMAP sends a command under a tag and wants OK under the same.
func (s *session) orderIMAP(tag, command string) error {
	if err := s.sendAs(tag+" "+command, tag+" "+command, command); err != nil {
		return err
	}
	return s.tagged(tag)
}

// tagged reads on until the answer under a tag.
func (s *session) tagged(tag string) error {
	for {
		line, err := s.line()
		if err != nil {
			return err
		}
		switch verdict := taggedLine(line, tag); verdict {
		case "":
			continue
		case "OK":
			return nil
		}
		return s.refused(line)
	}
}

// taggedLine returns the verdict that a line gives under a tag, in capitals; ""
// says that the answer goes on. BYE ends it under any tag.
func taggedLine(line, tag string) string {
	first, rest, _ := strings.Cut(line, " ")
	word := strings.ToUpper(firstWords(rest, 1))
	switch {
	case first == tag && word != "":
		return word
	case first == "*" && word != "BYE":
		return ""
	}
	return "BAD"
}

// loginIMAP logs in. What a quoted string can't hold goes as a literal.
func (s *session) loginIMAP() error {
	password, err := s.password()
	if err != nil {
		return err
	}
	shown := "a2 LOGIN "
	parts := []string{shown}
	for _, word := range []string{s.spec.Login, password} {
		if quoted, ok := imapQuoted(word); ok {
			parts[len(parts)-1] += quoted + " "
		} else {
			parts[len(parts)-1] += "{" + strconv.Itoa(len(word)) + "}"
			parts = append(parts, word+" ")
		}
	}
	for i, part := range parts {
		if err := s.sendAs(strings.TrimSuffix(part, " "), shown+"****", "LOGIN"); err != nil {
			return err
		}
		if i == len(parts)-1 {
			break
		}
		if line, err := s.line(); err != nil {
			return err
		} else if !strings.HasPrefix(line, "+") {
			return s.refused(line)
		}
	}
	return s.tagged("a2")
}

// imapQuoted is a quoted string, which holds 7 bits only.
func imapQuoted(word string) (string, bool) {
	for i := range len(word) {
		if word[i] < ' ' || word[i] > '~' {
			return "", false
		}
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`, true
}
