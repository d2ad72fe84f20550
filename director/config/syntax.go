package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxRepairs bounds the mistakes of syntax that are told at once.
const maxRepairs = 50

// parse reads TOML. The parser stops at the first mistake; where that is a
// text without quotes or a key set twice, parse puts it right in its own copy
// and goes on, so that the mistakes after it are found as well. It returns the
// text that it read in the end; the table is nil where it had to give up.
func parse(file, text string) (table map[string]any, read string, problems []Problem) {
	last := 0
	for {
		table = nil
		_, err := toml.Decode(text, &table)
		if err == nil {
			return table, text, problems
		}
		var pe toml.ParseError
		if !errors.As(err, &pe) {
			return nil, text, append(problems, Problem{file, 1, err.Error()})
		}
		// The parser counts the newline that it stumbles over, its offset doesn't.
		line := 1 + strings.Count(text[:min(max(pe.Position.Start, 0), len(text))], "\n")
		lines := strings.Split(text, "\n")
		line = min(line, len(lines))
		problem, cured := diagnose(text, lines, line, pe)
		if line <= last { // the repair of that line was none
			return nil, text, problems
		}
		last = line
		problems = append(problems, Problem{file, line, problem})
		if cured == nil || len(problems) == maxRepairs {
			return nil, text, problems
		}
		lines[line-1] = *cured
		text = strings.Join(lines, "\n")
	}
}

var (
	keyValue   = regexp.MustCompile(`^\s*([A-Za-z0-9_-]+)\s*=\s*(.*?)\s*$`)
	keyNoEqual = regexp.MustCompile(`^\s*([A-Za-z][A-Za-z0-9_-]*)(?:\s*:\s*|\s+)([^=\s].*?)\s*$`)
	defined    = regexp.MustCompile(`^Key '(.*)' (?:has already been defined|was already created)`)
)

// diagnose says in words what is wrong with a line, and returns the line as it
// was probably meant where the rest of the file doesn't depend on the guess.
func diagnose(text string, lines []string, line int, pe toml.ParseError) (problem string, cured *string) {
	bad := strings.TrimSuffix(lines[line-1], "\r")
	pe.Message = strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(pe.Message)
	if m := defined.FindStringSubmatch(pe.Message); m != nil {
		return twice(text, lines, line, m[1])
	}
	if strings.Contains(pe.Message, "control characters") {
		return "there is a control character in this line; take it out", nil
	}
	if strings.Contains(pe.Message, "invalid UTF-8") {
		return "this line isn't UTF-8; save the file in that encoding", nil
	}
	if strings.HasPrefix(pe.Message, "invalid escape") {
		if m := keyValue.FindStringSubmatch(bad); m != nil {
			pe.Message = m[1] + ": " + pe.Message
		}
		return fmt.Sprintf(`%s; in double quotes write every \ twice, or put the text in single quotes`, pe.Message), requote(bad)
	}
	if m := keyValue.FindStringSubmatch(bad); m != nil && !valid(bad) {
		key, rest := m[1], uncomment(m[2])
		if c := fmt.Sprintf("%s = %s", key, literal(key, rest)); rest != "" && !strings.ContainsAny(rest, "\"'[]{}") && valid(c) {
			return fmt.Sprintf("%s: %s", key, unquoted(key, rest, c)), &c
		}
		if c := key + ` = ""`; rest == "" {
			return fmt.Sprintf("%s: the value is missing after the =", key), &c
		}
		if strings.Contains(pe.Message, "strings cannot contain newlines") {
			return fmt.Sprintf("%s: the closing quote is missing", key), requote(bad)
		}
	}
	if m := keyNoEqual.FindStringSubmatch(bad); m != nil && strings.Contains(pe.Message, "expected '.' or '='") {
		c := fmt.Sprintf("%s = %s", m[1], literal(m[1], strings.Trim(uncomment(m[2]), `"'`)))
		if valid(c) {
			return fmt.Sprintf("there is no = between a key and its value here; write %s", c), &c
		}
	}
	if strings.HasPrefix(pe.Message, "expected '.' or ']'") || strings.HasPrefix(pe.Message, "expected end of table array name") {
		return "the header isn't closed; write it like [check] or [[virtual]]", nil
	}
	if pe.LastKey != "" {
		return fmt.Sprintf("this isn't TOML: %s, in the value of %s", pe.Message, pe.LastKey), nil
	}
	return "this isn't TOML: " + pe.Message, nil
}

// unquoted says how a bare word is to be written.
func unquoted(key, rest, cured string) string {
	switch kindOf(key) {
	case reflect.Bool:
		return fmt.Sprintf("%s is neither true nor false; write %s", rest, cured)
	case reflect.Int64:
		if n, err := strconv.ParseInt(rest, 10, 64); err == nil {
			return fmt.Sprintf("%s is not how TOML writes a number; write %s = %d", rest, key, n)
		}
		return fmt.Sprintf("%s is not a whole number; write %s = 1 or another one", rest, key)
	}
	return fmt.Sprintf("text must be in quotes; write %s", cured)
}

// literal writes a bare word as the TOML that was probably meant.
func literal(key, rest string) string {
	if b, ok := boolWord(rest); ok && kindOf(key) == reflect.Bool {
		return fmt.Sprint(b)
	}
	if _, err := strconv.ParseInt(rest, 10, 64); err == nil && rest[0] != '0' {
		return rest
	}
	if strings.Contains(rest, `\`) {
		return "'" + rest + "'"
	}
	return `"` + rest + `"`
}

// requote keeps a line's key and drops its value, which is wrong anyway.
func requote(bad string) *string {
	if m := keyValue.FindStringSubmatch(bad); m != nil {
		c := m[1] + ` = ""`
		return &c
	}
	return nil
}

// twice says where a key or a table was set before.
func twice(text string, lines []string, line int, dotted string) (problem string, cured *string) {
	n := index(strings.Join(lines[:line-1], "\n"))
	for _, k := range strings.Split(dotted, ".") {
		if n = n.last().get(strings.Trim(k, `"`)); n == nil {
			break
		}
	}
	before := ""
	if n != nil {
		before = fmt.Sprintf(", first in line %d", n.last().line)
	}
	bad := strings.TrimSpace(lines[line-1])
	if strings.HasPrefix(bad, "[") {
		path := strings.Trim(uncomment(bad), "[] \t\r")
		if h := header(path); h != "[["+path+"]]" {
			return fmt.Sprintf("%s is here a second time%s; put the two together", bad, before), nil
		}
		return fmt.Sprintf("[%s] is written in single and in double brackets%s; write [[%s]] each time", path, before, path), nil
	}
	key := dotted[strings.LastIndex(dotted, ".")+1:]
	if valid(bad) {
		cured = new(string)
	}
	return fmt.Sprintf("%s: set a second time%s; keep one of the two", key, before), cured
}

// valid tells whether a line alone is TOML.
func valid(line string) bool {
	var m map[string]any
	_, err := toml.Decode(line, &m)
	return err == nil
}

// uncomment drops a comment behind a bare word.
func uncomment(s string) string {
	if i := strings.Index(s, "#"); i >= 0 {
		s = s[:i]
	}
	return strings.TrimSpace(s)
}

// kindOf returns what a key's value is wherever the key occurs, as far as that
// is a plain one.
func kindOf(key string) reflect.Kind {
	return kindIn(key, reflect.TypeFor[rawFile]())
}

func kindIn(key string, t reflect.Type) reflect.Kind {
	for f := range t.Fields() {
		ft := f.Type
		if ft.Kind() == reflect.Pointer || ft.Kind() == reflect.Slice {
			ft = ft.Elem()
		}
		switch _, special := reflect.New(ft).Interface().(value); {
		case embedsAt(ft):
			if k := kindIn(key, ft); k != reflect.Invalid {
				return k
			}
		case f.Tag.Get("toml") == key && !special:
			return ft.Kind()
		}
	}
	return reflect.Invalid
}
