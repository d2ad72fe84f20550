package ldirectord

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/ipvsd/ipvsd/director/config/convert"
)

var (
	virtualLine = regexp.MustCompile(`^virtual(6)?[\s\v]*=[\s\v]*(.*)`)
	directive   = regexp.MustCompile(`^([A-Za-z0-9_-]+)[\s\v]*=[\s\v]*(.*)`)
	noEqual     = regexp.MustCompile(`^([A-Za-z0-9]+)(?:[ \t]*:[ \t]*|[ \t]+)([^=:].*)$`)
	hidden      = regexp.MustCompile(`(?i)((?:passwd|password|secret)\s*=\s*).+`)
	commentLine = regexp.MustCompile(`^[\s\v]*#`)
)

// blanks are what Perl's \s stands for in a line.
const blanks = " \t\r\f\v"

// reader walks over the lines of a file.
type reader struct {
	*parsed
	cur     *virtual // the section that the last lines belong to, rightly or by indulgence
	inside  bool     // ldirectord is in that section
	ended   int      // the line at which it left it
	told    int      // the one of those that was told
	pending []string // comments that wait for what they belong to
	began   bool     // something other than a comment was seen
	last    *item    // the virtual line, as long as nothing came after it
}

// parse reads a file.
func parse(f convert.File, opts convert.Options) *parsed {
	r := &reader{parsed: &parsed{name: f.Name, opts: opts, globals: make(map[string]*item)}}
	text := r.decode(f.Data)
	if text != "" {
		for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
			r.line(i+1, line)
		}
	}
	r.tail = r.pending
	if r.last != nil {
		r.refuse(r.last.line, "the last line of the file is a virtual; ldirectord takes it for a duplicate of itself and stops")
	}
	r.finish()
	return r.parsed
}

// decode makes text of the bytes. Old files have comments in Latin-1.
func (r *reader) decode(data []byte) string {
	text := string(data)
	if bare, ok := strings.CutPrefix(text, "\uFEFF"); ok {
		r.refuse(1, "the file begins with a byte order mark, at which ldirectord stops; it was left out")
		text = bare
	}
	if utf8.ValidString(text) {
		return text
	}
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if !utf8.ValidString(l) {
			runes := make([]rune, len(l))
			for j := range len(l) {
				runes[j] = rune(l[j])
			}
			lines[i] = string(runes)
			r.remark(i+1, "this line isn't UTF-8; its characters were taken for Latin-1 (ISO 8859-1)")
		}
	}
	return strings.Join(lines, "\n")
}

// line reads one line as ldirectord does: the section first, if it is in one.
func (r *reader) line(n int, text string) {
	r.last = nil
	if r.inside {
		if commentLine.MatchString(text) {
			r.comment(text)
			return
		}
		cut, _, _ := strings.Cut(text, "#")
		cut = strings.ReplaceAll(cut, "\t", "    ")
		if strings.HasPrefix(cut, "    ") && len(cut) > 4 {
			r.option(n, strings.TrimLeft(cut, " "), text)
			return
		}
		r.inside, r.ended = false, n
	}
	r.outside(n, text)
}

// option is a line inside a section.
func (r *reader) option(n int, cut, text string) {
	m := directive.FindStringSubmatch(cut)
	switch {
	case strings.Trim(cut, blanks) == "":
		r.refuse(n, "blanks at the start of an empty line; ldirectord takes them for an unknown directive. The line was left out")
	case m == nil:
		r.unclear(n, text, true)
	case inSection[m[1]]:
		r.enter(r.item(n, m[1], m[2], text, true))
	default:
		r.foreign(n, m[1], m[2], text)
	}
}

// foreign is a directive inside a section that doesn't belong there.
func (r *reader) foreign(n int, name, value, text string) {
	switch lower := strings.ToLower(name); {
	case lower == "virtual" || lower == "virtual6":
		r.refuse(n, fmt.Sprintf("%s must begin in the first column; ldirectord stops here. It was taken for a new virtual service", lower))
		r.section(n, lower, value, text)
	case inGlobal[lower] && !inSection[lower]:
		r.refuse(n, fmt.Sprintf("%s is for all virtual services and can't stand in one; ldirectord stops here. It was taken for all", lower))
		r.enterGlobal(r.item(n, lower, value, text, true))
	case inSection[lower] && lower != name:
		r.refuse(n, fmt.Sprintf("%q must be written %s; ldirectord stops here", name, lower))
		r.enter(r.item(n, lower, value, text, true))
	default:
		r.unknown(n, text)
	}
}

// outside is a line that is in no section, as far as ldirectord is concerned.
func (r *reader) outside(n int, text string) {
	if m := virtualLine.FindStringSubmatch(text); m != nil {
		r.section(n, "virtual"+m[1], m[2], text)
		return
	}
	switch trimmed := strings.Trim(text, blanks); {
	case trimmed == "":
		r.gap()
	case commentLine.MatchString(text):
		r.comment(text)
	default:
		m := directive.FindStringSubmatch(text)
		if m != nil && inGlobal[m[1]] {
			r.enterGlobal(r.item(n, m[1], m[2], text, false))
			return
		}
		if strings.HasPrefix(text, "supervised") {
			i := r.item(n, "supervised", "yes", "supervised = yes", false)
			if strings.Trim(text[len("supervised"):], blanks) != "" {
				i.value = text[len("supervised"):]
			}
			r.enterGlobal(i)
			return
		}
		r.indulge(n, text, trimmed)
	}
}

// indulge reads what ldirectord refuses and a person understands.
func (r *reader) indulge(n int, text, trimmed string) {
	indented := strings.ContainsRune(blanks, rune(text[0]))
	m := directive.FindStringSubmatch(trimmed)
	if m == nil {
		r.unclear(n, text, indented)
		return
	}
	name := strings.ToLower(m[1])
	_, own, _ := strings.Cut(trimmed, "=")
	own = strings.TrimLeft(own, blanks)
	switch {
	case name == "virtual" || name == "virtual6":
		why := "must begin in the first column"
		if !indented {
			why = "must be written so"
		}
		r.refuse(n, fmt.Sprintf("%s %s; ldirectord stops here. It was taken for a virtual service", name, why))
		r.section(n, name, own, text)
	case inSection[name] && r.cur != nil && (indented || !inGlobal[name]):
		if why := r.whyNotInside(n, text, indented); why != "" {
			r.refuse(n, why)
		}
		r.enter(r.item(n, name, own, text, true))
	case inGlobal[name]:
		r.refuse(n, fmt.Sprintf("%s must begin in the first column, in small letters; ldirectord stops here", name))
		r.enterGlobal(r.item(n, name, own, text, false))
	default:
		r.unknown(n, text)
	}
}

// whyNotInside says why a line doesn't belong to the section above it, of
// several well indented ones for the first.
func (r *reader) whyNotInside(n int, text string, indented bool) string {
	taken := fmt.Sprintf("It was taken for a part of the virtual service in line %d", r.cur.line)
	wide := strings.ReplaceAll(text, "\t", "    ")
	switch {
	case !indented:
		return "this directive of a virtual service must be indented by a tab or 4 blanks; ldirectord stops here. " + taken
	case strings.HasPrefix(wide, "    "):
		if r.told == r.ended {
			return ""
		}
		r.told = r.ended
		return fmt.Sprintf("for ldirectord the virtual service ended in line %d, and it stops here. %s", r.ended, taken)
	}
	return "fewer than 4 blanks in front; ldirectord takes this line for one that is outside of the virtual service and stops. " + taken
}

// unclear is a line without an equals sign.
func (r *reader) unclear(n int, text string, indented bool) {
	if m := noEqual.FindStringSubmatch(strings.Trim(text, blanks)); m != nil {
		name := strings.ToLower(m[1])
		say := fmt.Sprintf("there is no = after %s; ldirectord stops here. It was taken as if there were one", name)
		switch {
		case name == "virtual" || name == "virtual6":
			r.refuse(n, say)
			r.section(n, name, m[2], text)
			return
		case inSection[name] && r.cur != nil && indented:
			r.refuse(n, say)
			r.enter(r.item(n, name, m[2], text, true))
			return
		case inGlobal[name] && !indented:
			r.refuse(n, say)
			r.enterGlobal(r.item(n, name, m[2], text, false))
			return
		}
	}
	r.unknown(n, text)
}

func (r *reader) unknown(n int, text string) {
	text = strings.Trim(text, blanks)
	if name, _, ok := strings.Cut(text, "="); ok {
		text = strings.TrimRight(name, blanks) // a value may be a password
	}
	r.find(finding{line: n, text: fmt.Sprintf("%q is no directive; ldirectord stops here. It was left out", shorten(text)), lost: true, refused: true})
	r.began = true
}

// shorten cuts what would fill the screen.
func shorten(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

func (r *reader) comment(text string) {
	text = strings.Trim(text, blanks)
	text = strings.TrimPrefix(strings.TrimLeft(text, "#"), " ")
	text = hidden.ReplaceAllString(text, "$1…")
	r.pending = append(r.pending, text)
}

// gap is an empty line: the comments above the first directive, if there is a
// gap after them, are about the file.
func (r *reader) gap() {
	if !r.began && len(r.pending) > 0 {
		r.head = append(append(r.head, r.pending...), "")
		r.pending = nil
	}
}

func (r *reader) item(n int, name, value, text string, cut bool) *item {
	_, full, ok := strings.Cut(text, "=")
	if !ok {
		full = value
	}
	i := &item{line: n, name: name, value: value, full: strings.Trim(full, blanks), above: r.pending}
	if cut {
		i.value, _, _ = strings.Cut(value, "#")
	}
	i.trail = trailing(i.full)
	r.pending, r.began = nil, true
	return i
}

// trailing returns the comment behind a value.
func trailing(full string) string {
	quoted := false
	for i, c := range full {
		switch {
		case c == '"':
			quoted = !quoted
		case c == '#' && !quoted && (i == 0 || strings.ContainsRune(blanks+`"`, rune(full[i-1]))):
			return strings.Trim(full[i+1:], blanks)
		}
	}
	return ""
}

// section begins a virtual service.
func (r *reader) section(n int, name, value, text string) {
	i := r.item(n, name, value, text, false)
	r.cur = &virtual{item: i, v6: name == "virtual6", set: make(map[string]*item)}
	r.virtuals = append(r.virtuals, r.cur)
	r.inside, r.last = true, i
	r.identify(r.cur)
}

func (r *reader) enter(i *item) {
	switch i.name {
	case "real", "real6":
		r.cur.lines = append(r.cur.lines, realLine{item: i})
		return
	case "fallback", "fallback6":
		if _, why := strictFallback(i.value); why != "" {
			r.refuse(i.line, i.name+": "+why+"; ldirectord stops here")
		}
	}
	r.read(i, r.cur)
	r.cur.order = replace(r.cur.set, r.cur.order, i)
}

func (r *reader) enterGlobal(i *item) {
	r.read(i, nil)
	if i.name == "fallback" || i.name == "fallback6" {
		r.globalFallback(i, i.name == "fallback6")
	}
	r.order = replace(r.globals, r.order, i)
}

// replace enters a directive in the place of an earlier one of the same name.
func replace(set map[string]*item, order []*item, i *item) []*item {
	if old := set[i.name]; old != nil {
		i.above = append(old.above, i.above...)
		for k, o := range order {
			if o == old {
				order = append(order[:k:k], order[k+1:]...)
				break
			}
		}
	}
	set[i.name] = i
	return append(order, i)
}
