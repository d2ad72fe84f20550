package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

// progressInterval is how often the line with the client's figures is redrawn.
const progressInterval = 200 * time.Millisecond

// What belongs to an act is indented: an event behind its time, the other lines
// below its text.
const (
	eventIndent = "           "
	demoIndent  = "   "
)

// teller writes the story for a reader.
type teller struct {
	w     io.Writer
	o     demoOptions
	start time.Time // of the client
	acts  int

	drawn  time.Time // when the progress line was drawn last
	online bool      // the cursor stands behind a progress line
	blank  bool      // the last line was empty
}

func newTeller(w io.Writer, o demoOptions) *teller { return &teller{w: w, o: o} }

// begin sets the clock of the events to zero.
func (t *teller) begin(start time.Time) { t.start = start }

func (t *teller) line(s style, text string) { t.line2(plain, "", s, text) }

// line2 is a line of two styles.
func (t *teller) line2(headStyle style, head string, s style, text string) {
	if t.online {
		fmt.Fprint(t.w, "\r"+lineRest)
		t.online = false
	}
	if head+text == "" && t.blank {
		return
	}
	t.blank = head+text == ""
	r := &renderer{opts: renderOptions{color: t.o.color}}
	r.write(headStyle, head)
	r.write(s, text)
	r.newline()
	_, _ = t.w.Write(r.out.Bytes()) // nobody reads any more: the demo ends soon
}

// title begins an act.
func (t *teller) title(text, note string) {
	t.acts++
	t.line(plain, "")
	t.line(bold, fmt.Sprintf("%d. %s", t.acts, text))
	if note != "" {
		t.paragraph(plain, demoIndent, note)
	}
}

func (t *teller) paragraph(s style, indent, text string) {
	for _, l := range wrap(clean(text), t.o.width-len(indent)) {
		t.line(s, indent+l)
	}
}

// say is a paragraph between the acts.
func (t *teller) say(text string) { t.paragraph(plain, demoIndent, text) }

// good is a paragraph of good news.
func (t *teller) good(text string) { t.paragraph(green, demoIndent, text) }

// remark is something that the reader should know of the whole.
func (t *teller) remark(text string) {
	t.line(plain, "")
	for _, l := range wrap(text, t.o.width) {
		t.line(yellow, l)
	}
}

// event is something that happens now.
func (t *teller) event(s style, text string) {
	head := fmt.Sprintf("%7.1f s  ", time.Since(t.start).Seconds())
	for _, l := range wrap(clean(text), t.o.width-len(eventIndent)) {
		t.line2(dim, head, s, l)
		head = eventIndent
	}
}

// block is what a command printed.
func (t *teller) block(text string) {
	for l := range strings.Lines(text) {
		t.paragraph(dim, eventIndent, strings.TrimSuffix(l, "\n"))
	}
}

// command is what an operator types on a host, and what he gets.
func (t *teller) command(host, text, output string) {
	t.line2(dim, demoIndent+host+"# ", bold, text)
	for l := range strings.Lines(output) {
		l = strings.TrimRight(demoIndent+l, "\n ")
		if utf8.RuneCountInString(l) > t.o.width {
			t.paragraph(dim, demoIndent, l)
			continue
		}
		t.line(dim, l) // as it is, with its indent
	}
}

// status is `ipvsd status` on a director.
func (t *teller) status(host string, s director.Status) {
	var b bytes.Buffer
	_ = renderStatus(&b, s, t.renderOptions()) // a Buffer takes all
	t.line(plain, "")
	t.line2(dim, demoIndent+host+"# ", bold, "ipvsd status")
	t.rendered(&b)
}

// table is the part of it that has the real servers.
func (t *teller) table(s director.Status) {
	var b bytes.Buffer
	_ = renderTable(&b, s, t.renderOptions()) // a Buffer takes all
	t.line(plain, "")
	t.rendered(&b)
}

func (t *teller) renderOptions() renderOptions {
	return renderOptions{now: time.Now(), width: t.o.width - len(demoIndent), color: t.o.color}
}

// rendered takes text that has its colours and its width.
func (t *teller) rendered(b *bytes.Buffer) {
	for l := range strings.Lines(b.String()) {
		l = strings.TrimRight(l, "\n ")
		if l != "" {
			l = demoIndent + l
		}
		t.line(plain, l)
	}
}

// due tells whether it is time to redraw the line with the client's figures.
func (t *teller) due() bool { return t.o.live && time.Since(t.drawn) >= progressInterval }

func (t *teller) progress(r lab.Report) {
	t.drawn, t.online = time.Now(), true
	text := fmt.Sprintf("%7.1f s  client so far: %s", time.Since(t.start).Seconds(), figures(r))
	fmt.Fprintf(t.w, "\r%s%s", cut(text, t.o.width-1), lineRest)
}

// client tells what the client saw in an act.
func (t *teller) client(r lab.Report, held lab.HoldReport, names []string) {
	s := green
	if len(r.Failed)+r.Late > 0 {
		s = yellow
	}
	life := "alive"
	if held.Broken != nil {
		s, life = red, "broken"
	}
	t.event(s, "client: "+figures(r)+"; held connection "+life)
	t.paragraph(dim, eventIndent, "answered by "+servers(r, names))
}

func figures(r lab.Report) string {
	text := fmt.Sprintf("%s, %d failed, ", count(r.OK+len(r.Failed), "request"), len(r.Failed))
	if r.Late > 0 {
		text += fmt.Sprintf("%d late, ", r.Late)
	}
	return text + outageText(r.Outage)
}

func servers(r lab.Report, names []string) string {
	var list []string
	for _, name := range names {
		list = append(list, fmt.Sprintf("%s %d", name, r.Servers[name].Count))
	}
	return strings.Join(list, ", ")
}

func outageText(o lab.Outage) string {
	if d := o.Duration(); d > 0 {
		return fmt.Sprintf("longest outage %d ms", d.Milliseconds())
	}
	return "no outage"
}
