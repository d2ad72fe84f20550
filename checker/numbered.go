package checker

import "strings"

// refusal is an answer that says no, or that the protocol doesn't know. It
// becomes a verdict by session.fail.
type refusal string

func (r refusal) Error() string { return string(r) }

// refused is the error of an answer that isn't what it should be.
func (s *session) refused(line string) error { return refusal(s.wrong(line).Reason) }

// numbered is an answer that begins with three digits, as in SMTP (RFC 5321,
// 4.2), FTP (RFC 959, 4.2) and NNTP (RFC 3977, 3.2).
type numbered struct {
	code  string
	lines []string // without code and mark
}

// last is the line that a reader would quote.
func (n numbered) last() string { return n.code + " " + n.lines[len(n.lines)-1] }

// has tells whether one of the lines begins with a word.
func (n numbered) has(word string) bool {
	for _, line := range n.lines {
		first, _, _ := strings.Cut(line, " ")
		if strings.EqualFold(first, word) {
			return true
		}
	}
	return false
}

// numbered reads such an answer, which may have several lines, and wants its
// code to begin with one of the texts in want.
func (s *session) numbered(want ...string) (numbered, error) {
	var n numbered
	for {
		line, err := s.line()
		if err != nil {
			return n, err
		}
		code, text, more, ok := numberedLine(line)
		switch {
		case n.code == "" && !ok:
			return n, s.refused(line)
		case n.code == "":
			n.code = code
		case !ok || code != n.code: // FTP lets the lines between be anything
			text, more = strings.TrimSpace(line), true
		}
		n.lines = append(n.lines, text)
		if !more {
			break
		}
	}
	for _, w := range want {
		if strings.HasPrefix(n.code, w) {
			return n, nil
		}
	}
	return n, s.refused(n.last())
}

// numberedLine takes a line apart: "250-SIZE" is code 250, text "SIZE", and
// more follows.
func numberedLine(line string) (code, text string, more, ok bool) {
	if len(line) < 3 || line[0] < '1' || line[0] > '5' || !isDigit(line[1]) || !isDigit(line[2]) {
		return "", "", false, false
	}
	code, rest := line[:3], line[3:]
	switch {
	case rest == "":
		return code, "", false, true
	case rest[0] == ' ', rest[0] == '-':
		return code, strings.TrimSpace(rest[1:]), rest[0] == '-', true
	}
	return "", "", false, false
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// order sends a line and wants such an answer.
func (s *session) order(line string, want ...string) (numbered, error) {
	if err := s.send(line); err != nil {
		return numbered{}, err
	}
	return s.numbered(want...)
}

// orderSecret is order with a line that no transcript may show.
func (s *session) orderSecret(line, shown string, want ...string) (numbered, error) {
	if err := s.sendSecret(line, shown); err != nil {
		return numbered{}, err
	}
	return s.numbered(want...)
}
