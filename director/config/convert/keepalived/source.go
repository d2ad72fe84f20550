package keepalived

import (
	"path"
	"strings"

	"github.com/ipvsd/ipvsd/director/config/convert"
)

// What a file may grow to by its variables and repetitions, so that a slip in
// one doesn't take the machine's memory.
const (
	maxStatements = 200_000
	maxLine       = 64 << 10
	maxDepth      = 32
	maxSteps      = 1_000_000
	maxFiles      = 1000
)

// statement is one line as keepalived's parser sees it: variables replaced, no
// comment, no brace but as the only character.
type statement struct {
	file    string
	line    int
	text    string
	comment string // behind it; or all there is
	only    bool   // a comment alone
	cond    string // "main" of "@main", "^main" of "@^main"; "": unconditional
}

// source turns files into statements: includes, variables, repetitions,
// conditions, comments and braces are done with here.
type source struct {
	im    *importer
	vars  map[string][]statement // the lines of each value
	out   []statement
	steps int
	files int
	full  bool
	open  []string // files that are being read, to stop circles
}

// read adds a file with all that it includes.
func (s *source) read(f convert.File) {
	if s.files++; len(s.open) >= maxDepth || s.files > maxFiles {
		s.im.lost(f.Name, 1, "more files than %d are included, or deeper than %d; this one isn't read", maxFiles, maxDepth)
		return
	}
	s.open = append(s.open, f.Name)
	defer func() { s.open = s.open[:len(s.open)-1] }()
	lines := strings.Split(plain(f.Data), "\n")
	for i := 0; i < len(lines) && !s.full; i++ {
		l := statement{file: f.Name, line: i + 1}
		var more bool
		l.text, l.comment, more = decomment(lines[i])
		if name, value, ok := definition(uncondition(l.text)); ok {
			body := []statement{l}
			body[0].text = value
			for ; more && i+1 < len(lines); i++ {
				b := statement{file: f.Name, line: i + 2}
				b.text, b.comment, more = decomment(lines[i+1])
				body = append(body, b)
			}
			s.define(l, name, body)
			continue
		}
		for ; more && i+1 < len(lines) && len(l.text) < maxLine; i++ {
			var rest string
			rest, l.comment, more = decomment(lines[i+1])
			l.text += " " + rest
		}
		s.line(l, 0)
	}
}

// plain makes text of a file's bytes: no control characters, so that no value
// has one.
func plain(data []byte) string {
	text := strings.ToValidUTF8(strings.TrimPrefix(string(data), "\xef\xbb\xbf"), "\uFFFD")
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

// decomment cuts a line from its comment, which begins with # or ! outside
// double quotes; more is whether the line goes on in the next one.
func decomment(line string) (text, comment string, more bool) {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && strings.TrimSpace(line[i+1:]) == "":
			return strings.TrimSpace(line[:i]), "", true
		case c == '\\' && !quoted && (line[i+1] == '#' || line[i+1] == '!'):
			line = line[:i] + line[i+1:]
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '#' || c == '!'):
			// "##### text" and "#text" are both the comment "text".
			comment = strings.TrimRight(strings.TrimLeft(line[i:], "#!"), " ")
			comment, more = strings.CutSuffix(strings.TrimPrefix(comment, " "), `\`)
			return strings.TrimSpace(line[:i]), strings.TrimRight(comment, " "), more
		}
	}
	return strings.TrimSpace(line), "", false
}

// uncondition drops "@main" from the begin of a line.
func uncondition(text string) string {
	if !strings.HasPrefix(text, "@") {
		return text
	}
	_, rest, _ := strings.Cut(text, " ")
	return strings.TrimSpace(rest)
}

// add appends a statement that is done.
func (s *source) add(l statement) {
	if len(s.out) >= maxStatements {
		s.stop(l)
		return
	}
	s.out = append(s.out, l)
}

// stop ends the reading of a file that grows beyond any reason.
func (s *source) stop(l statement) {
	if !s.full {
		s.im.lost(l.file, l.line, "the file grows to more than %d lines by its variables and repetitions; what is below this line isn't imported", maxStatements)
	}
	s.full = true
}

// line handles one line, and the lines that come of it.
func (s *source) line(l statement, depth int) {
	s.steps++
	if s.full || depth > maxDepth || s.steps > maxSteps || len(l.text) > maxLine {
		s.stop(l)
		return
	}
	if l.text == "" {
		if l.comment != "" {
			l.only = true
			s.add(l)
		}
		return
	}
	if strings.HasPrefix(l.text, "@") {
		l.cond, l.text, _ = strings.Cut(l.text[1:], " ")
		l.text = strings.TrimSpace(l.text)
		s.line(l, depth+1)
		return
	}
	if name, value, ok := definition(l.text); ok {
		body := l
		body.text = value
		s.define(l, name, []statement{body})
		return
	}
	if s.repeat(l, depth) || s.substitute(l, depth) {
		return
	}
	if file, ok := included(l.text); ok {
		s.include(l, file)
		return
	}
	s.split(l)
}

// included returns what an include line names. Its other names say how much
// must be there.
func included(text string) (string, bool) {
	word, rest, _ := strings.Cut(text, " ")
	switch word {
	case "include", "includer", "includem", "includew", "includeb", "includea":
		return strings.Trim(strings.TrimSpace(rest), `"`), true
	}
	return "", false
}

// include reads the files that a pattern matches; it is relative to the file
// that it stands in.
func (s *source) include(l statement, pattern string) {
	if l.comment != "" {
		s.add(statement{file: l.file, line: l.line, comment: l.comment, only: true})
	}
	if pattern == "" {
		s.im.lost(l.file, l.line, "include: no file is named")
		return
	}
	count := 0
	for _, p := range braces(pattern, 0) {
		if !path.IsAbs(p) {
			p = path.Join(path.Dir(l.file), p)
		}
		names := []string{p}
		if strings.ContainsAny(p, "*?[") {
			names, _ = s.im.opts.GlobFiles(p) // a bad pattern matches nothing
		}
		for _, name := range names {
			if s.circle(l, name) {
				return
			}
			data, err := s.im.opts.ReadFile(name)
			if err != nil {
				s.im.lost(l.file, l.line, "include: %v; what it holds isn't imported", err)
				count++
				continue
			}
			count++
			s.im.files = append(s.im.files, convert.File{Name: name})
			s.read(convert.File{Name: name, Data: data})
		}
	}
	if count == 0 {
		s.im.lost(l.file, l.line, "include: no file matches %s", pattern)
	}
}

func (s *source) circle(l statement, name string) bool {
	for _, open := range s.open {
		if path.Clean(open) == path.Clean(name) {
			s.im.lost(l.file, l.line, "include: %s includes itself; not read again", name)
			return true
		}
	}
	return false
}

// braces expands "a{b,c}d" to "abd" and "acd".
func braces(pattern string, depth int) []string {
	from := strings.IndexByte(pattern, '{')
	to := strings.IndexByte(pattern, '}')
	if from < 0 || to < from || depth > 4 {
		return []string{pattern}
	}
	var list []string
	for alt := range strings.SplitSeq(pattern[from+1:to], ",") {
		list = append(list, braces(pattern[:from]+alt+pattern[to+1:], depth+1)...)
	}
	return list
}

// split cuts a line at its braces: each is a statement of its own, wherever it
// stands. Those in double quotes and of a variable that isn't defined are text.
func (s *source) split(l statement) {
	rest, quoted, begin := l.text, false, 0
	part := func(text string) {
		if text = strings.TrimSpace(text); text != "" {
			p := l
			p.text = text
			s.add(p)
			l.comment = "" // it goes with the first part
		}
	}
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '$' && strings.HasPrefix(rest[i:], "${") && strings.Contains(rest[i:], "}"):
			i += strings.IndexByte(rest[i:], '}')
		case c == '{' || c == '}':
			part(rest[begin:i])
			part(rest[i : i+1])
			begin = i + 1
		}
	}
	part(rest[begin:])
}
