package gen

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ipvsd/ipvsd/director/config"
)

// table is one table of the file with what the reference says of it.
type table struct {
	path  string // dotted
	list  bool   // written in double brackets
	intro []string
	keys  []entry
}

func (t *table) header() string {
	if t.list {
		return "[[" + t.path + "]]"
	}
	return "[" + t.path + "]"
}

// entry is one key.
type entry struct {
	name    string
	typ     string
	inside  []config.Key // of an inline table
	value   string       // as the reference writes it
	std     string       // its default in words or as a value; "": none
	needed  string       // "needed", perhaps with a condition
	text    string       // what it means
	head    []string     // paragraphs above it; a group of keys begins
	line    int
	isValue bool // std is a value and not words
}

// example is how the key is written, where its default doesn't show that.
func (e *entry) example() string {
	if e.isValue && e.std == e.value {
		return ""
	}
	return e.name + " = " + e.value
}

var (
	headerLine   = regexp.MustCompile(`^\s*((?:# )*)(\[\[?)([a-z._]+)\]\]?$`)
	keyLine      = regexp.MustCompile(`^\s*((?:# )*)([a-z_0-9]+) = (.*)$`)
	continuation = regexp.MustCompile(`^#?\s{20,}# (.*)$`)
	commentLine  = regexp.MustCompile(`^\s*(?:# ?)+(.*)$`)
	theDefault   = regexp.MustCompile(`(?:^|; |\. )default: (.*?)(; |\. |$)`)
	theNeed      = regexp.MustCompile(`^(needed[^;]*)(?:; |$)`)
	literal      = regexp.MustCompile(`^("[^"]*"|-?\d+|true|false|\[.*\])$`)
)

// howToUse begins a paragraph that is about the marks in the reference itself.
const howToUse = "To use it, take the first #"

// readReference reads the tables of reference.toml in their order, with the
// types of keys. It is an error to find a key that nobody describes.
func readReference(text string, keys []config.Key) ([]*table, error) {
	r := &reader{keys: keys}
	for i, line := range strings.Split(text, "\n") {
		r.line(i+1, line)
	}
	for _, t := range r.tables {
		for i := range t.keys {
			r.finish(t, &t.keys[i])
		}
	}
	r.missing()
	return r.tables, errors.Join(r.errs...)
}

type reader struct {
	keys   []config.Key
	tables []*table
	at     *table // nil: none yet, or one that is there already
	depth  int    // how deep its header is in comments
	last   *entry
	above  []string // paragraphs since the last blank line
	errs   []error
}

func (r *reader) errorf(line int, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("reference.toml:%d: %s", line, fmt.Sprintf(format, args...)))
}

func (r *reader) line(n int, line string) {
	switch h, k, c := headerLine.FindStringSubmatch(line), keyLine.FindStringSubmatch(line), continuation.FindStringSubmatch(line); {
	case strings.TrimSpace(line) == "":
		r.above, r.last = nil, nil
	case h != nil:
		r.depth, r.last, r.at = strings.Count(h[1], "#"), nil, nil
		if r.table(h[3]) == nil {
			intro := slices.DeleteFunc(r.above, func(p string) bool { return p == "" || strings.HasPrefix(p, howToUse) })
			r.at = &table{path: h[3], list: h[2] == "[[", intro: intro}
			r.tables = append(r.tables, r.at)
		}
		r.above = nil
	case k != nil && r.at != nil:
		value, comment := splitComment(k[3])
		e := entry{name: k[2], value: value, text: comment, head: r.above, line: n}
		// Of a [[table]] that is an example as a whole, so are its keys.
		if depth := strings.Count(k[1], "#"); depth == r.depth && !(r.at.list && depth > 0) {
			e.std, e.isValue = value, true
		}
		r.at.keys = append(r.at.keys, e)
		r.last, r.above = &r.at.keys[len(r.at.keys)-1], nil
	case k != nil:
	case c != nil && r.last != nil:
		r.last.text = strings.TrimSpace(r.last.text + " " + c[1])
	default:
		r.last = nil
		text := strings.TrimSpace(commentLine.ReplaceAllString(line, "$1"))
		switch {
		case text == "":
			r.above = append(r.above, "")
		case len(r.above) == 0:
			r.above = []string{text}
		default:
			end := &r.above[len(r.above)-1]
			*end = strings.TrimSpace(*end + " " + text)
		}
	}
}

// finish takes apart what the comment of a key says.
func (r *reader) finish(t *table, e *entry) {
	e.head = slices.DeleteFunc(e.head, func(s string) bool { return s == "" })
	if other := r.elsewhere(t, e.name); e.text == "" && other != "" {
		e.text, e.std = "as in "+other, other+"'s"
	}
	if e.text == "" {
		r.errorf(e.line, "%s has no comment that says what it means", e.name)
	}
	if m := theDefault.FindStringSubmatch(e.text); m != nil {
		e.std, e.isValue = strings.TrimSuffix(m[1], "."), literal.MatchString(m[1])
		e.text = strings.Trim(theDefault.ReplaceAllString(e.text, "$2"), "; ")
	}
	if m := theNeed.FindStringSubmatch(e.text); m != nil {
		e.needed, e.std, e.isValue = m[1], "", false
		e.text = e.text[len(m[0]):]
	}
	at := slices.IndexFunc(r.keys, func(k config.Key) bool { return k.Table == t.path && k.Name == e.name })
	if at < 0 {
		r.errorf(e.line, "there is no key %s in %s", e.name, t.header())
		return
	}
	e.typ = r.keys[at].Type
	for _, k := range r.keys {
		if k.Table == t.path+"."+e.name {
			e.typ, e.inside = "table", append(e.inside, k)
		}
	}
}

// elsewhere is the table that has a key for all virtual services which in t one
// has for itself.
func (r *reader) elsewhere(t *table, name string) string {
	of := strings.TrimPrefix(t.path, "virtual.")
	if other := r.table(of); other != nil && other != t {
		for _, e := range other.keys {
			if e.name == name {
				return other.header()
			}
		}
	}
	return ""
}

func (r *reader) table(path string) *table {
	for _, t := range r.tables {
		if t.path == path {
			return t
		}
	}
	return nil
}

// missing finds keys that the reference doesn't have. Those of [check] that
// aren't there are in [virtual.check].
func (r *reader) missing() {
	for _, k := range r.keys {
		has := func(table string) bool {
			t := r.table(table)
			return t != nil && slices.ContainsFunc(t.keys, func(e entry) bool { return e.name == k.Name })
		}
		parent, name := "", k.Table
		if i := strings.LastIndexByte(k.Table, '.'); i >= 0 {
			parent, name = k.Table[:i], k.Table[i+1:]
		}
		in := r.table(parent)
		inline := in != nil && slices.ContainsFunc(in.keys, func(e entry) bool {
			return e.name == name && slices.ContainsFunc(e.inside, func(i config.Key) bool { return i.Name == k.Name })
		})
		isTable := r.table(strings.TrimPrefix(k.Table+"."+k.Name, ".")) != nil
		if !has(k.Table) && !inline && !isTable && !(k.Table == "check" && has("virtual.check")) {
			r.errorf(0, "%s of [%s] is not there", k.Name, k.Table)
		}
	}
}

// splitComment cuts a line at the # that isn't in a text.
func splitComment(s string) (value, comment string) {
	quoted := false
	for i, c := range s {
		switch {
		case c == '"':
			quoted = !quoted
		case c == '#' && !quoted:
			return strings.TrimSpace(s[:i]), strings.TrimSpace(s[i+1:])
		}
	}
	return strings.TrimSpace(s), ""
}
