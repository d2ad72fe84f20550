package keepalived

import (
	"path"
	"strconv"
	"strings"
)

// definition reads "$NAME=VALUE".
func definition(text string) (name, value string, ok bool) {
	if !strings.HasPrefix(text, "$") {
		return "", "", false
	}
	name, value, ok = strings.Cut(text[1:], "=")
	if !ok || !variableName(name) {
		return "", "", false
	}
	return name, strings.TrimSpace(value), true
}

func variableName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// define sets a variable. Lines are replaced when they are used, so that what
// a value refers to may change in between.
func (s *source) define(l statement, name string, body []statement) {
	if l.cond == "" && strings.HasPrefix(l.text, "@") {
		l.cond, _, _ = strings.Cut(l.text[1:], " ")
	}
	if l.cond != "" {
		if _, was := s.vars[name]; was {
			s.im.lost(l.file, l.line, "@%s: $%s already has a value, which stays; this one holds with another configuration id only", l.cond, name)
			return
		}
		s.im.lost(l.file, l.line, "@%s: this value of $%s holds with one configuration id only, and is taken for all", l.cond, name)
	}
	if len(body) > 1 && body[0].text == "" {
		body = body[1:]
	}
	s.vars[name] = body
}

// reference finds the first variable in a line that has a value. $NAME must be
// followed by a blank, ${NAME} may be followed by anything.
func (s *source) reference(l statement) (begin, end int, body []statement, ok bool) {
	for i := 0; i < len(l.text); i++ {
		if l.text[i] != '$' {
			continue
		}
		rest := l.text[i+1:]
		var name string
		n := 0
		if strings.HasPrefix(rest, "{") {
			inner, _, closed := strings.Cut(rest[1:], "}")
			if !closed {
				continue
			}
			name, n = inner, len(inner)+2
		} else {
			name, _, _ = strings.Cut(rest, " ")
			n = len(name)
		}
		if body, ok := s.value(l, name); ok {
			return i, i + 1 + n, body, true
		}
	}
	return 0, 0, nil, false
}

// value returns what a variable stands for. keepalived has some of its own.
func (s *source) value(l statement, name string) ([]statement, bool) {
	word, rest, _ := strings.Cut(name, " ")
	one := func(text string) ([]statement, bool) { return []statement{{text: text}}, true }
	switch word {
	case "_PWD":
		dir := path.Dir(l.file)
		if !path.IsAbs(dir) {
			s.im.told(l.file, l.line, "${_PWD}: taken as below /etc/keepalived, because the file was named without its folder")
			dir = path.Join("/etc/keepalived", dir)
		}
		return one(dir)
	case "_HASH":
		return one("#")
	case "_BANG":
		return one("!")
	case "_RANDOM":
		least, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if _, err := strconv.ParseUint(least, 10, 31); err != nil {
			least = "0"
		}
		s.im.lost(l.file, l.line, "${_RANDOM}: a number by chance, here %s", least)
		return one(least)
	}
	body, ok := s.vars[name]
	return body, ok
}

// substitute replaces the first variable of a line and handles what comes of
// it; false: there is none.
func (s *source) substitute(l statement, depth int) bool {
	begin, end, body, ok := s.reference(l)
	if !ok {
		return false
	}
	before, after := l.text[:begin], l.text[end:]
	if len(body) == 1 {
		l.text = strings.TrimSpace(before + body[0].text + after)
		s.line(l, depth+1)
		return true
	}
	for i, b := range body {
		if i == 0 {
			b.text = strings.TrimSpace(before + b.text)
		}
		if i == len(body)-1 {
			b.text = strings.TrimSpace(b.text + after)
		}
		if b.cond == "" {
			b.cond = l.cond
		}
		s.line(b, depth+1)
	}
	if l.comment != "" {
		s.add(statement{file: l.file, line: l.line, comment: l.comment, only: true})
	}
	return true
}

// repeat handles a line that begins with ~SEQ(…), ~SEQx(…) or ~LST(…): the
// rest of it once for each value. false: it is none.
func (s *source) repeat(l statement, depth int) bool {
	if !strings.HasPrefix(l.text, "~") {
		return false
	}
	open := strings.IndexByte(l.text, '(')
	end := strings.IndexByte(l.text, ')')
	if open < 0 || end < open {
		return false
	}
	args, rest := s.flat(l, l.text[open+1:end], 0), strings.TrimSpace(l.text[end+1:])
	var names []string
	var values [][]string
	ok := false
	switch word := l.text[1:open]; word {
	case "SEQ", "SEQx":
		names, values, ok = sequence(args, word == "SEQx")
	case "LST":
		names, values, ok = valueList(args)
	default:
		return false
	}
	if !ok {
		s.im.lost(l.file, l.line, "%s: not understood; the line isn't imported", l.text[:end+1])
		return true
	}
	for _, set := range values {
		for i, name := range names {
			s.vars[name] = []statement{{text: set[i]}}
		}
		next := l
		next.text = rest
		s.line(next, depth+1)
		if s.full {
			break
		}
		l.comment = ""
	}
	return true
}

// flat replaces the variables of a text that must stay one line.
func (s *source) flat(l statement, text string, depth int) string {
	l.text = text
	begin, end, body, ok := s.reference(l)
	if !ok || depth > maxDepth || len(text) > maxLine {
		return text
	}
	return s.flat(l, text[:begin]+body[0].text+text[end:], depth+1)
}

// sequence reads "NAME, [START, [STEP,]] END".
func sequence(args string, hex bool) (names []string, values [][]string, ok bool) {
	words := strings.Split(args, ",")
	var n []int64
	for _, w := range words[1:] {
		v, err := strconv.ParseInt(strings.TrimSpace(w), 0, 32)
		if err != nil {
			return nil, nil, false
		}
		n = append(n, v)
	}
	name := strings.TrimSpace(words[0])
	if !variableName(name) || len(n) < 1 || len(n) > 3 {
		return nil, nil, false
	}
	start, step, end := int64(1), int64(1), n[len(n)-1]
	if end < 0 {
		start = -1
	}
	if len(n) > 1 {
		start = n[0]
	}
	if end < start {
		step = -1
	}
	if len(n) == 3 {
		step = n[1]
	}
	if step == 0 || (end-start)/step > maxStatements {
		return nil, nil, false
	}
	base := 10
	if hex {
		base = 16
	}
	for v := start; step > 0 && v <= end || step < 0 && v >= end; v += step {
		values = append(values, []string{strconv.FormatInt(v, base)})
	}
	return []string{name}, values, true
}

// valueList reads "NAME, VALUE, …" or "{NAME, NAME}, {VALUE, VALUE}, …".
func valueList(args string) (names []string, values [][]string, ok bool) {
	var sets [][]string
	for rest := strings.TrimSpace(args); rest != ""; rest = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(rest), ",")) {
		var item string
		if inner, found := strings.CutPrefix(rest, "{"); found {
			item, rest, found = strings.Cut(inner, "}")
			if !found {
				return nil, nil, false
			}
		} else if i := strings.IndexByte(rest, ','); i >= 0 {
			item, rest = rest[:i], rest[i:]
		} else {
			item, rest = rest, ""
		}
		var set []string
		for w := range strings.SplitSeq(item, ",") {
			set = append(set, strings.TrimSpace(w))
		}
		sets = append(sets, set)
	}
	if len(sets) < 2 {
		return nil, nil, false
	}
	for _, name := range sets[0] {
		if !variableName(name) {
			return nil, nil, false
		}
	}
	for _, set := range sets[1:] {
		if len(set) != len(sets[0]) {
			return nil, nil, false
		}
	}
	return sets[0], sets[1:], true
}
