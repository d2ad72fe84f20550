// Package ldirectord imports the files of ldirectord 4.12.0, the last version
// whose behaviour changed (2021). Its parser accepts what that one accepts and
// knows what it makes of it: several slips are read without a word as something
// else. Beyond that it understands what people mean and ldirectord refuses:
// indented globals, blank lines inside a section, blanks after yes and no. Each
// such place gets a note.
//
// The way: lines.go cuts the file into items, as ldirectord's loop does;
// directive.go and real.go read what each holds; build.go, check.go and
// server.go write the document.
package ldirectord

import (
	"cmp"
	"slices"

	"github.com/ipvsd/ipvsd/director/config/convert"
)

// Convert imports files. Each file's globals are for its own virtual services.
func Convert(files []convert.File, opts convert.Options) convert.Result {
	b := newBuilder(opts)
	for _, f := range files {
		b.file(parse(f, opts))
	}
	return b.result(files)
}

// Accepts tells whether ldirectord would start with the file, and why not. The
// lookups of opts stand for the machine's; files that its directives name are
// taken to be there.
func Accepts(f convert.File, opts convert.Options) (convert.Note, bool) {
	var first convert.Note
	refused := slices.DeleteFunc(parse(f, opts).findings, func(x finding) bool { return !x.refused })
	if len(refused) > 0 {
		x := slices.MinFunc(refused, func(a, b finding) int { return cmp.Compare(a.line, b.line) })
		first = convert.Note{File: f.Name, Line: x.line, Text: x.text}
	}
	return first, len(refused) == 0
}

// finding is something to say about a line.
type finding struct {
	line    int
	text    string
	lost    bool // not in the output
	refused bool // ldirectord would not start with this file
}

// parsed is a file that was read.
type parsed struct {
	name     string
	opts     convert.Options
	head     []string // comments at the top, and what belongs nowhere else
	tail     []string
	globals  map[string]*item
	order    []*item // globals, the last of each name, in the order of the file
	virtuals []*virtual
	findings []finding
}

// item is a directive with the comments that belong to it.
type item struct {
	line  int
	name  string
	value string // the rest of the line as ldirectord takes it
	full  string // with what it cuts off at a #
	above []string
	trail string // the comment behind the value
	told  bool   // its comments are written
	reading
}

// virtual is a section.
type virtual struct {
	*item
	v6       bool
	host     string // "": a firewall mark
	port     string // as written
	mark     string
	set      map[string]*item // the last of each name
	order    []*item          // of those, in the order of the file
	lines    []realLine
	protocol string // tcp, udp or "" for a mark
	service  string // of negotiate
	addr     address
	number   uint16 // the port
	off      bool   // nothing valid can be made of it
	vague    bool   // because of its port
}

// realLine is a real line and what was read from it.
type realLine struct {
	*item
	server
	ok bool
}

func (p *parsed) find(x finding) { p.findings = append(p.findings, x) }

// refuse says that ldirectord stops at this line, and what was made of it.
func (p *parsed) refuse(line int, text string) {
	p.find(finding{line: line, text: text, refused: true})
}

func (p *parsed) lose(line int, text string) {
	p.find(finding{line: line, text: text, lost: true})
}

func (p *parsed) remark(line int, text string) {
	p.find(finding{line: line, text: text})
}

// global returns the value of a global directive, if it has one.
func (p *parsed) global(name string) *item {
	return usable(p.globals[name])
}

// own returns the value of a directive of the section, if it has one.
func (v *virtual) own(name string) *item {
	return usable(v.set[name])
}

func usable(i *item) *item {
	if i == nil || i.bad {
		return nil
	}
	return i
}

// either returns the section's own value, else the global one.
func (p *parsed) either(v *virtual, name string) *item {
	if i := v.own(name); i != nil {
		return i
	}
	return p.global(name)
}
