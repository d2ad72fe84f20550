package emit

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// order is that of reference.toml.
var order = []string{"http", "director", "sysctl", "check", "hooks", "email", "cluster", "group", "vip", "virtual"}

// Where comments behind values begin: at this column, further right where the
// values need it, but not further than the last.
const (
	column     = 33
	lastColumn = 49
)

// Bytes returns the file.
func (d *Document) Bytes() []byte {
	return []byte(d.write().String())
}

// Places returns a function that finds the table that a line of Bytes is in,
// with those above it, the innermost last. The lines count from 1.
func (d *Document) Places() func(line int) []*Table {
	starts := d.write().starts
	return func(line int) []*Table {
		i := sort.Search(len(starts), func(i int) bool { return starts[i].line > line })
		if i == 0 {
			return nil
		}
		return starts[i-1].path
	}
}

func (d *Document) write() *writer {
	w := new(writer)
	for _, c := range d.head {
		w.comment("", c)
	}
	tables := slices.Clone(d.tables)
	slices.SortStableFunc(tables, func(a, b *Table) int { return cmp.Compare(rank(a.name), rank(b.name)) })
	for _, t := range tables {
		w.table(t, nil, "", false)
	}
	if len(d.end) > 0 && w.Len() > 0 {
		w.line("")
	}
	for _, c := range d.end {
		w.comment("", c)
	}
	return w
}

func rank(name string) int {
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	return len(order)
}

type writer struct {
	strings.Builder
	lines  int
	starts []start
}

// start is where a table begins.
type start struct {
	line int
	path []*Table
}

// table writes a table with all below it. A table without a key of its own
// needs no header, unless it is an element of an array.
func (w *writer) table(t *Table, above []*Table, indent string, off bool) {
	off = off || t.off
	path := append(slices.Clip(above), t)
	w.starts = append(w.starts, start{w.lines + 1, path})
	keys := slices.ContainsFunc(t.lines, func(l line) bool { return l.key != nil && !l.key.off })
	w.gap(t)
	for _, c := range t.above {
		w.comment(indent, c)
	}
	switch {
	case t.array:
		w.put(indent, "[["+t.name+"]]", off)
	case keys:
		w.put(indent, "["+t.name+"]", off)
	case len(t.lines) > 0:
		w.put(indent, "["+t.name+"]", true)
	}
	w.keys(t, indent, off)
	if len(t.tables) > 0 && strings.Count(t.name, ".") == 0 {
		indent += "  "
	}
	for _, sub := range t.tables {
		w.table(sub, path, indent, off)
	}
}

// gap writes the empty line above a table that has something to show.
func (w *writer) gap(t *Table) {
	if w.Len() > 0 && (t.array || len(t.lines)+len(t.above) > 0) {
		w.line("")
	}
}

func (w *writer) line(s string) {
	w.WriteString(s + "\n")
	w.lines++
}

func (w *writer) keys(t *Table, indent string, off bool) {
	column := t.column(off)
	for _, l := range t.lines {
		if l.key == nil {
			w.comment(indent, l.comment)
			continue
		}
		set := l.key.name + " = " + text(l.key.value)
		if l.key.note != "" {
			wide := utf8.RuneCountInString(set) + commentWidth(off || l.key.off)
			set += strings.Repeat(" ", max(column-wide, 3)) + "# " + clean(l.key.note)
		}
		w.put(indent, set, off || l.key.off)
	}
}

// column returns where the comments behind t's values begin.
func (t *Table) column(off bool) int {
	c := column
	for _, l := range t.lines {
		if l.key == nil || l.key.note == "" {
			continue
		}
		wide := utf8.RuneCountInString(l.key.name+" = "+text(l.key.value)) + commentWidth(off || l.key.off) + 2
		if wide <= lastColumn {
			c = max(c, wide)
		}
	}
	return c
}

func commentWidth(off bool) int {
	if off {
		return 2
	}
	return 0
}

func (w *writer) put(indent, s string, off bool) {
	if off {
		s = "# " + s
	}
	w.line(indent + s)
}

func (w *writer) comment(indent, text string) {
	w.line(strings.TrimRight(indent+"# "+clean(text), " "))
}

// clean takes out what a comment in TOML can't hold.
func clean(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\t", "    ")
	return strings.TrimRight(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s), " ")
}

// text returns a value in TOML.
func text(value any) string {
	switch v := value.(type) {
	case string:
		return Quote(v)
	case bool:
		return strconv.FormatBool(v)
	case time.Duration:
		return Quote(span(v))
	case []string:
		quoted := make([]string, len(v))
		for i, s := range v {
			quoted[i] = Quote(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case Inline:
		pairs := make([]string, len(v))
		for i, p := range v {
			pairs[i] = p.Key + " = " + text(p.Value)
		}
		return "{ " + strings.Join(pairs, ", ") + " }"
	}
	return fmt.Sprint(value)
}

// span writes a duration without the zeros of its String: "5m", "1h30m", "90s"
// stays as short.
func span(d time.Duration) string {
	s := d.String()
	if d < 2*time.Minute && d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	if d%time.Minute == 0 {
		s = strings.TrimSuffix(s, "0s")
		if d%time.Hour == 0 {
			s = strings.TrimSuffix(s, "0m")
		}
	}
	return s
}

// Quote returns a string of TOML: in single quotes where double ones would need
// a backslash, as regular expressions often do.
func Quote(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.ContainsAny(s, `\"`) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\'' }) {
		return "'" + s + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
