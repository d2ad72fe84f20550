package checker

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// transcript writes what one check did, for `ipvsd probe`. A nil transcript is
// the normal case: callers ask for nil before they gather what to write.
type transcript struct {
	w    io.Writer
	last time.Time // when the current part began
}

func newTranscript(w io.Writer) *transcript { return &transcript{w: w, last: time.Now()} }

// note writes a line of ours.
func (t *transcript) note(format string, args ...any) {
	fmt.Fprintf(t.w, "* "+format+"\n", args...)
}

// done writes a line of ours with the time since the last one that had it.
func (t *transcript) done(format string, args ...any) {
	now := time.Now()
	fmt.Fprintf(t.w, "* %s (%s)\n", fmt.Sprintf(format, args...), short(now.Sub(t.last)))
	t.last = now
}

// sent and came write what went over the wire, line by line.
func (t *transcript) sent(text string) { t.lines("> ", text) }
func (t *transcript) came(text string) { t.lines("< ", text) }

func (t *transcript) lines(mark, text string) {
	text = strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintln(t.w, strings.TrimRight(mark+printable(line), " "))
	}
}

func (t *transcript) verdict(r Result) {
	word := "down"
	switch {
	case r.Void:
		word = "no verdict"
	case r.OK:
		word = "up"
	}
	fmt.Fprintf(t.w, "= %s: %s (%s in all)\n", word, r.Reason, short(r.Duration))
}

// short rounds a duration to what a reader wants to see.
func short(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}
