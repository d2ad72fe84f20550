package keepalived

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// node is a statement with the block below it.
type node struct {
	file  string
	line  int
	text  string
	words []string // text cut at blanks, double quotes taken out; at least one
	cond  string

	block bool
	body  []*node
	above []string // comments above it
	note  string   // the comment behind it
	end   []string // comments before the closing brace
}

// key is the keyword.
func (n *node) key() string { return n.words[0] }

// arg returns a word behind the keyword, or "".
func (n *node) arg(i int) string {
	if i+1 < len(n.words) {
		return n.words[i+1]
	}
	return ""
}

// comments returns the comments of the node itself, above and behind it, once.
func (n *node) comments() []string {
	list := n.above
	if n.note != "" {
		list = append(list, n.note)
	}
	n.above, n.note = nil, ""
	return list
}

// allComments returns those of all below it, too.
func (n *node) allComments() []string {
	list := n.comments()
	for _, c := range n.body {
		list = append(list, c.allComments()...)
	}
	list = append(list, n.end...)
	n.end = nil
	return list
}

// last returns the statement of a block with that keyword; keepalived takes the
// last one, too. nil: there is none.
func (n *node) last(keys ...string) *node {
	for _, c := range slices.Backward(n.body) {
		if slices.Contains(keys, c.key()) {
			return c
		}
	}
	return nil
}

// all returns all statements of a block with that keyword.
func (n *node) all(keys ...string) []*node {
	var list []*node
	for _, c := range n.body {
		if slices.Contains(keys, c.key()) {
			list = append(list, c)
		}
	}
	return list
}

const maxNesting = 64

// tree builds blocks of statements.
func (im *importer) tree(list []statement) *node {
	root := &node{block: true, words: []string{""}}
	open := []*node{root}
	var above []string
	for _, l := range list {
		top := open[len(open)-1]
		if strings.Contains(l.comment, "auth_pass") {
			l.comment = "" // a password that was taken out of use is one all the same
		}
		switch {
		case l.only && l.comment == "":
		case l.only:
			above = append(above, l.comment)
		case l.text == "{":
			opened := top
			if len(top.body) > 0 {
				opened = top.body[len(top.body)-1]
			}
			if opened == top || opened.block || len(open) > maxNesting {
				im.lost(l.file, l.line, "{ opens a block that has no name; what is in it isn't imported")
				opened = &node{file: l.file, line: l.line, words: []string{"{"}}
			}
			opened.above = append(opened.above, above...)
			opened.block, above = true, nil
			if l.comment != "" {
				opened.note = strings.TrimSpace(opened.note + " " + l.comment)
			}
			open = append(open, opened)
		case l.text == "}":
			top.end = append(top.end, above...)
			if l.comment != "" {
				top.end = append(top.end, l.comment)
			}
			above = nil
			if len(open) == 1 {
				im.lost(l.file, l.line, "} closes no block; passed over")
				continue
			}
			open = open[:len(open)-1]
		default:
			n := &node{file: l.file, line: l.line, text: l.text, words: split(l.text), cond: l.cond, note: l.comment}
			if len(n.words) == 0 {
				continue
			}
			n.above, above = above, nil
			if im.condition(top, n) {
				top.body = append(top.body, n)
			}
		}
	}
	root.end = append(root.end, above...)
	if len(open) > 1 {
		n := open[len(open)-1]
		im.lost(n.file, n.line, "%s: its block isn't closed by a }", n.key())
	}
	return root
}

// condition tells whether a conditional line is taken. They all are, but of one
// keyword with a single value the first is.
func (im *importer) condition(block, n *node) bool {
	if n.cond == "" {
		return true
	}
	_, err := netip.ParseAddr(n.key())
	single := err != nil && len(n.words) > 1 && !slices.Contains(repeated, n.key())
	if before := block.last(n.key()); single && before != nil && before.cond != "" {
		im.lost(n.file, n.line, "@%s: %s is taken from line %d; this one holds with another configuration id only", n.cond, n.key(), before.line)
		return false
	}
	im.lost(n.file, n.line, "@%s: this line holds with one configuration id only, and is taken for all", n.cond)
	return true
}

// repeated are keywords that may stand more than once.
var repeated = []string{
	"unicast_src_ip", "mcast_src_ip", "real_server", "virtual_server", "virtual_server_group", "vrrp_instance",
	"vrrp_script", "vrrp_sync_group", "fwmark",
}

// split cuts a line at its blanks, as keepalived does for all but scripts and
// patterns: double quotes keep blanks, and nothing escapes.
func split(text string) []string {
	var words []string
	for rest := strings.TrimSpace(text); rest != ""; rest = strings.TrimSpace(rest) {
		var word string
		if inner, ok := strings.CutPrefix(rest, `"`); ok {
			word, rest, _ = strings.Cut(inner, `"`)
		} else if i := strings.IndexAny(rest, " \""); i >= 0 {
			word, rest = rest[:i], rest[i:]
		} else {
			word, rest = rest, ""
		}
		words = append(words, word)
	}
	return words
}

// escaped cuts a line at its blanks as keepalived does for scripts and
// patterns: both kinds of quotes keep blanks, and a backslash escapes.
func escaped(text string) []string {
	var words []string
	var word strings.Builder
	var quote byte
	began := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text):
			n, r := escape(text[i+1:])
			i += n
			word.WriteString(r)
			began = true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, began = c, true
		case quote == 0 && c == ' ':
			if began {
				words = append(words, word.String())
			}
			word.Reset()
			began = false
		default:
			word.WriteByte(c)
			began = true
		}
	}
	if began {
		words = append(words, word.String())
	}
	return words
}

// escape reads what stands behind a backslash; n is how long that is.
func escape(s string) (n int, r string) {
	if i := strings.IndexByte("abEfnrtv", s[0]); i >= 0 {
		return 1, "\a\b\x1b\f\n\r\t\v"[i : i+1]
	}
	const octal, hex = "01234567", "0123456789abcdefABCDEF"
	digits, base := s[:min(3, len(s))], 8
	set := octal
	if s[0] == 'x' {
		digits, base, set = s[1:min(3, len(s))], 16, hex
	}
	digits = digits[:len(digits)-len(strings.TrimLeft(digits, set))]
	v, err := strconv.ParseUint(digits, base, 16)
	switch {
	case err != nil:
		return 1, s[:1]
	case base == 16:
		n = 1
	}
	if v = v & 0xff; v == 0 || v > 0x7f { // no text in UTF-8 has such a byte alone
		return n + len(digits), ""
	}
	return n + len(digits), string(rune(v))
}
