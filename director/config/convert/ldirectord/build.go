package ldirectord

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/config/convert"
	"github.com/ipvsd/ipvsd/director/config/convert/emit"
)

// builder writes the document of one or more files.
type builder struct {
	opts    convert.Options
	doc     *emit.Document
	secrets []convert.Secret
	plans   []*plan
	files   []*parsed
	names   map[string]bool
	places  map[*emit.Table]place
	usual   plan // the times that most virtual services have
}

// place is where a table comes from.
type place struct {
	p    *parsed
	line int
}

func newBuilder(opts convert.Options) *builder {
	return &builder{opts: opts, doc: new(emit.Document), names: make(map[string]bool), places: make(map[*emit.Table]place)}
}

// file takes in one file. What depends on all of them waits for result.
func (b *builder) file(p *parsed) {
	b.files = append(b.files, p)
	b.doc.Comment(fmt.Sprintf("Imported from ldirectord's %s by \"ipvsd config import\".", p.name))
	b.doc.Comment(trimmed(p.head)...)
	b.director(p)
	for _, v := range p.virtuals {
		b.plans = append(b.plans, p.plan(v))
	}
}

// result writes the virtual services and looks whether all of it is valid.
func (b *builder) result(files []convert.File) convert.Result {
	b.usually()
	for _, p := range b.files {
		b.told(p)
	}
	for _, p := range b.files {
		b.globals(p)
	}
	for _, pl := range b.plans {
		b.virtual(pl)
	}
	for _, p := range b.files {
		b.doc.End(trimmed(p.tail)...)
	}
	b.settle()
	var notes []convert.Note
	for _, p := range b.files {
		for _, x := range p.findings {
			notes = append(notes, convert.Note{File: p.name, Line: x.line, Text: x.text, Lost: x.lost})
		}
	}
	return convert.Result{Doc: b.doc, Notes: convert.Sort(notes, files), Secrets: b.secrets}
}

// settle turns off what director/config would refuse in spite of all care.
func (b *builder) settle() {
	convert.Settle(b.doc, func(t *emit.Table, what string) {
		if at, ok := b.places[t]; ok {
			at.p.lose(at.line, what)
			return
		}
		b.files[0].lose(0, what)
	})
}

// director writes what is neither a check's nor a service's.
func (b *builder) director(p *parsed) {
	stop := true // ldirectord's default
	if i := p.global("cleanstop"); i != nil {
		stop = i.text == "yes"
	} else {
		b.setting(p, nil, "clean_stop", stop)
	}
	for _, i := range p.order {
		if to, ok := carried[i.name]; ok && !i.bad {
			b.setting(p, i, to.key, i.text == "yes")
		}
	}
	for _, v := range p.virtuals {
		if i := v.own("cleanstop"); i != nil && (i.text == "yes") != stop {
			p.lose(i.line, fmt.Sprintf("cleanstop: it is for all virtual services in ipvsd; the output has clean_stop = %t", stop))
		}
	}
}

// setting sets a key of [director]; the first file decides.
func (b *builder) setting(p *parsed, i *item, key string, value bool) {
	t := b.doc.Table("director")
	if was := t.Get(key); was != nil {
		if was.Value() != value && i != nil {
			p.lose(i.line, fmt.Sprintf("%s: the file before has another value; the output has %s = %t", i.name, key, was.Value()))
		}
		return
	}
	put(t, key, value, i)
}

// usually finds the times of most checks, for [check].
func (b *builder) usually() {
	b.usual = plan{interval: 10 * time.Second, timeout: 5 * time.Second, fall: 1}
	var intervals, timeouts []time.Duration
	var falls []int64
	for _, pl := range b.plans {
		if pl.kind.Checked() {
			intervals, timeouts, falls = append(intervals, pl.interval), append(timeouts, pl.timeout), append(falls, pl.fall)
		}
	}
	b.usual.interval = most(intervals, b.usual.interval)
	b.usual.timeout = most(timeouts, b.usual.timeout)
	b.usual.fall = most(falls, b.usual.fall)
}

// most returns the value that a list has most often, the first of several.
func most[T comparable](list []T, none T) T {
	count := make(map[T]int)
	for _, v := range list {
		count[v]++
	}
	for _, v := range list {
		if count[v] > count[none] {
			none = v
		}
	}
	return none
}

// globals writes [check] and says what became of the other directives.
func (b *builder) globals(p *parsed) {
	t := b.doc.Table("check")
	b.usualTimes(p, t)
	if slices.ContainsFunc(b.plans, func(pl *plan) bool { return pl.kind == checker.HTTP || pl.kind == checker.HTTPS }) {
		if t.Get("follow_redirects") == nil {
			t.Set("follow_redirects", true).Note("as ldirectord does")
		}
	}
	for _, i := range p.order {
		comment := p.leave(i)
		if i.told {
			continue
		}
		b.doc.Comment(i.above...)
		i.above = nil
		if comment != "" {
			b.doc.Comment(comment)
		}
	}
}

// usualTimes writes the times of [check], in the order in which the file has
// them, because of the comments.
func (b *builder) usualTimes(p *parsed, t *emit.Table) {
	if !checks(b.plans) && p.global("checkinterval") == nil && p.global("checktimeout") == nil {
		return
	}
	timeout := p.global("checktimeout")
	if i := p.global("negotiatetimeout"); timeout == nil || i != nil && secondsOf(i.num) == b.usual.timeout {
		timeout = i
	}
	interval := p.global("checkinterval")
	if timeout != nil && interval != nil && timeout.line < interval.line {
		put(t, "timeout", b.usual.timeout, timeout)
	}
	put(t, "interval", b.usual.interval, interval)
	put(t, "timeout", b.usual.timeout, timeout)
	if b.usual.fall != 1 {
		put(t, "fall", b.usual.fall, p.global("failurecount"))
	}
}

func checks(plans []*plan) bool {
	return slices.ContainsFunc(plans, func(pl *plan) bool { return pl.kind.Checked() })
}

// put sets a key and moves the comments of the directive that it comes from.
func put(t *emit.Table, key string, value any, from *item) *emit.Key {
	if from == nil || from.told {
		return t.Set(key, value)
	}
	from.told = true
	t.Comment(from.above...)
	return t.Set(key, value).Note(from.trail)
}

// trimmed drops empty lines at both ends.
func trimmed(lines []string) []string {
	for len(lines) > 0 && strings.TrimSpace(lines[0]) == "" {
		lines = lines[1:]
	}
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}
