package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

const (
	demoWidth = 80
	// tableRest is how long a change must last until it is shown on its own
	// account.
	tableRest = time.Second
	// progressInterval is how often the line with the client's figures is redrawn.
	progressInterval = 200 * time.Millisecond
)

// teller writes the story for a reader, 80 columns wide.
type teller struct {
	w     io.Writer
	o     demoOptions
	start time.Time
	acts  int

	shown   string // the last table, as a picture without ages
	pending string
	since   time.Time // of pending
	drawn   time.Time // when the progress line was drawn last
	online  bool      // the cursor stands behind a progress line
	blank   bool      // the last line was empty
}

func newTeller(w io.Writer, o demoOptions) *teller {
	return &teller{w: w, o: o, start: time.Now()}
}

func (t *teller) line(s style, text string) {
	if t.online {
		fmt.Fprint(t.w, "\r"+lineRest)
		t.online = false
	}
	if text == "" && t.blank {
		return
	}
	t.blank = text == ""
	r := &renderer{opts: renderOptions{color: t.o.color}}
	r.write(s, text)
	r.newline()
	_, _ = t.w.Write(r.out.Bytes()) // nobody reads any more: the demo ends soon
}

// title is what happens now.
func (t *teller) title(text string) {
	t.acts++
	t.line(plain, "")
	for i, l := range wrap(fmt.Sprintf("%d. %s", t.acts, text), demoWidth) {
		if i > 0 {
			l = "   " + l
		}
		t.line(bold, l)
	}
}

// say is a paragraph.
func (t *teller) say(text string) { t.paragraph(plain, text) }

// good is a paragraph of good news.
func (t *teller) good(text string) { t.paragraph(green, text) }

func (t *teller) paragraph(s style, text string) {
	for _, l := range wrap(clean(text), demoWidth-3) {
		t.line(s, "   "+l)
	}
}

// block is text that stays as it is.
func (t *teller) block(text string) {
	for l := range strings.Lines(text) {
		t.line(dim, strings.TrimRight("   | "+l, "\n "))
	}
}

func (t *teller) effect(a *act, took time.Duration, how string) {
	s := green
	if a.web != nil && !a.up {
		s = yellow
	}
	text := fmt.Sprintf("%s after %s", a.effect, seconds(took))
	if how != "" {
		text += ": " + how
	}
	t.paragraph(s, text)
}

// table shows the table where something changed in it: at once if the story has
// come to a point, else when the change lasts.
func (t *teller) table(s director.Status, now bool) {
	picture := tablePicture(s)
	if picture == t.shown {
		t.pending = ""
		return
	}
	if picture != t.pending {
		t.pending, t.since = picture, time.Now()
	}
	if !now && time.Since(t.since) < tableRest {
		return
	}
	t.shown, t.pending = picture, ""
	var b bytes.Buffer
	_ = renderTable(&b, s, renderOptions{now: time.Now(), width: demoWidth, color: t.o.color}) // a Buffer takes all
	t.line(plain, "")
	for l := range strings.Lines(b.String()) {
		t.line(plain, strings.TrimSuffix(l, "\n"))
	}
	t.line(plain, "")
}

// tablePicture is the part of a table that is worth a new one.
func tablePicture(s director.Status) string {
	var b strings.Builder
	for _, v := range s.Virtuals {
		fmt.Fprintln(&b, v.Name, v.Up, v.Fallback)
		for _, r := range v.Reals {
			fmt.Fprintln(&b, r.Address, r.State, r.Weight, r.InKernel, r.Reason)
		}
	}
	return b.String()
}

// due tells whether it is time to redraw the line with the client's figures.
func (t *teller) due() bool { return t.o.live && time.Since(t.drawn) >= progressInterval }

func (t *teller) progress(r lab.Report, names []string) {
	t.drawn, t.online = time.Now(), true
	fmt.Fprintf(t.w, "\r%s%s", cut("   client so far: "+figures(lab.Report{}, r, names), demoWidth-1), lineRest)
}

// client tells what a client saw between two reports.
func (t *teller) client(before, now lab.Report, names []string) {
	s := plain
	if len(now.Failed) > len(before.Failed) {
		s = yellow
	}
	t.line(s, "   client: "+figures(before, now, names))
}

func figures(before, now lab.Report, names []string) string {
	text := fmt.Sprintf("%s, %d failed;", count(now.Sent-before.Sent, "request"), len(now.Failed)-len(before.Failed))
	sep := " "
	for _, name := range names {
		n := now.Servers[name].Count - before.Servers[name].Count
		if n > 0 || name != demoFallback {
			text += fmt.Sprintf("%s%s %d", sep, name, n)
			sep = ", "
		}
	}
	return text
}
