package config

import (
	"strconv"
	"strings"
)

// node is the place of a key, a table or an element of a list in the file.
// BurntSushi/toml names a place by its dotted key alone, which is the same for
// every [[virtual]]; so the file is walked a second time, for the lines only.
type node struct {
	line  int
	keys  map[string]*node // of a table
	items []*node          // of a list
}

// get returns the place of a key; nil where there is none.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	return n.keys[key]
}

// item returns the place of an element; nil where there is none.
func (n *node) item(i int) *node {
	if n == nil || i >= len(n.items) {
		return nil
	}
	return n.items[i]
}

// child returns the place of a key and makes it where there is none.
func (n *node) child(key string, line int) *node {
	if n.keys == nil {
		n.keys = make(map[string]*node)
	}
	c, ok := n.keys[key]
	if !ok {
		c = &node{line: line}
		n.keys[key] = c
	}
	return c
}

// last returns the table that a header's parent part means: of a list its
// last element.
func (n *node) last() *node {
	if len(n.items) > 0 {
		return n.items[len(n.items)-1]
	}
	return n
}

// index walks over a text that is valid TOML and returns where everything is.
// On a text that isn't it ends somewhere, with what it found until there.
func index(text string) *node {
	root, _ := walkText(text)
	return root
}

// maxDepth is how deep values may be nested and how many parts a key may have.
// The parser has no limit of its own, neither of its stack nor of the time and
// memory that it spends on a key.
const maxDepth = 100

// tooDeep returns the line where a text goes beyond maxDepth; 0 where it
// doesn't.
func tooDeep(text string) int {
	_, line := walkText(text)
	return line
}

func walkText(text string) (root *node, tooDeep int) {
	root = &node{line: 1}
	w := &walker{text: text, line: 1}
	table := root
	for {
		w.blank()
		switch {
		case w.end():
			return root, w.tooDeep
		case w.peek() == '[':
			table = w.header(root)
		default:
			w.pair(table)
		}
	}
}

// walker is a position in the text. Every step moves forward, so that even
// nonsense comes to an end.
type walker struct {
	text string
	pos  int
	line int

	depth   int
	tooDeep int // the line that was
}

// enter goes a level deeper; beyond maxDepth it gives the rest up.
func (w *walker) enter(depth int) {
	w.depth = depth
	if depth > maxDepth {
		w.tooDeep = w.line
		w.pos = len(w.text)
	}
}

func (w *walker) end() bool { return w.pos >= len(w.text) }

func (w *walker) peek() byte {
	if w.end() {
		return 0
	}
	return w.text[w.pos]
}

func (w *walker) at(prefix string) bool {
	return !w.end() && strings.HasPrefix(w.text[w.pos:], prefix)
}

// skip moves over n bytes and counts their lines.
func (w *walker) skip(n int) {
	n = min(n, len(w.text)-w.pos)
	w.line += strings.Count(w.text[w.pos:w.pos+n], "\n")
	w.pos += n
}

// blank skips white space, newlines and comments.
func (w *walker) blank() {
	for !w.end() {
		switch w.peek() {
		case ' ', '\t', '\r', '\n':
			w.skip(1)
		case '#':
			w.until("\n")
		default:
			return
		}
	}
}

// space skips white space within a line.
func (w *walker) space() {
	for w.peek() == ' ' || w.peek() == '\t' {
		w.skip(1)
	}
}

// until skips to the next of the given bytes, or to the end.
func (w *walker) until(stop string) string {
	n := strings.IndexAny(w.text[w.pos:], stop)
	if n < 0 {
		n = len(w.text) - w.pos
	}
	s := w.text[w.pos : w.pos+n]
	w.skip(n)
	return s
}

// header reads [a.b] or [[a.b]] and returns the table it opens.
func (w *walker) header(root *node) *node {
	line := w.line
	list := w.at("[[")
	w.skip(1)
	if list {
		w.skip(1)
	}
	path := w.key()
	w.until("\n")
	table := root
	for i, k := range path {
		table = table.child(k, line)
		switch {
		case i < len(path)-1:
			table = table.last()
		case list:
			item := &node{line: line}
			table.items = append(table.items, item)
			table = item
		default:
			table.line = line
		}
	}
	return table
}

// pair reads key = value into a table.
func (w *walker) pair(table *node) {
	line := w.line
	start := w.pos
	path := w.key()
	w.space()
	if w.peek() == '=' {
		w.skip(1)
	}
	w.blank()
	for _, k := range path[:len(path)-1] {
		table = table.child(k, line)
	}
	v := w.value()
	v.line = line
	if table.keys == nil {
		table.keys = make(map[string]*node)
	}
	table.keys[path[len(path)-1]] = v
	if w.pos == start {
		w.skip(1)
	}
}

// key reads a dotted key; it has at least one part.
func (w *walker) key() []string {
	var path []string
	for {
		w.space()
		switch w.peek() {
		case '"':
			path = append(path, unescape(w.quoted()))
		case '\'':
			path = append(path, w.quoted())
		default:
			path = append(path, w.until(" \t\r\n.=]#,}"))
		}
		w.space()
		if w.peek() != '.' {
			return path
		}
		w.skip(1)
		if len(path) > maxDepth {
			w.enter(len(path))
		}
	}
}

// value reads any value.
func (w *walker) value() *node {
	v := &node{line: w.line}
	switch {
	case w.at(`"""`), w.at(`'''`):
		w.multiline()
	case w.at(`"`), w.at(`'`):
		w.quoted()
	case w.at("["):
		w.list(v)
	case w.at("{"):
		w.inline(v)
	default:
		w.until(",]}#\n")
	}
	return v
}

// quoted skips a string of one line and returns what is between its quotes.
func (w *walker) quoted() string {
	quote := w.peek()
	w.skip(1)
	start := w.pos
	for !w.end() && w.peek() != quote && w.peek() != '\n' {
		if quote == '"' && w.peek() == '\\' {
			w.skip(1)
		}
		w.skip(1)
	}
	s := w.text[start:w.pos]
	w.skip(1)
	return s
}

// multiline skips a string between triple quotes. Up to two more quotes before
// the closing three belong to it.
func (w *walker) multiline() {
	quote := w.text[w.pos : w.pos+3]
	w.skip(3)
	for !w.end() && !w.at(quote) {
		if quote == `"""` && w.peek() == '\\' {
			w.skip(1)
		}
		w.skip(1)
	}
	w.skip(3)
	for range 2 {
		if w.at(quote[:1]) {
			w.skip(1)
		}
	}
}

func (w *walker) list(v *node) {
	w.enter(w.depth + 1)
	defer func() { w.depth-- }()
	w.skip(1)
	for {
		w.blank()
		switch w.peek() {
		case ']', 0:
			w.skip(1)
			return
		case ',':
			w.skip(1)
		default:
			start := w.pos
			v.items = append(v.items, w.value())
			if w.pos == start {
				w.skip(1)
			}
		}
	}
}

func (w *walker) inline(v *node) {
	w.enter(w.depth + 1)
	defer func() { w.depth-- }()
	w.skip(1)
	for {
		w.blank()
		switch w.peek() {
		case '}', 0:
			w.skip(1)
			return
		case ',':
			w.skip(1)
		default:
			w.pair(v)
		}
	}
}

// unescape resolves the escapes of a quoted key. They are Go's, except for \e
// and for \x, which means a character and not a byte.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		b.WriteByte(s[i])
		if s[i] != '\\' || i+1 == len(s) {
			continue
		}
		i++
		switch s[i] {
		case 'e':
			b.WriteString("x1b")
		case 'x':
			b.WriteString("u00")
		default:
			b.WriteByte(s[i])
		}
	}
	if u, err := strconv.Unquote(`"` + b.String() + `"`); err == nil {
		return u
	}
	return s
}
