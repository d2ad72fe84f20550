package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// row is one line of the report.
type row struct {
	what string
	ours string
	peer string // whose figure it is, and the figure
	// ratio is ours to the peer's; 0: there is none to tell
	ratio float64
	bar   string // "": for the record
	pass  bool
}

// report prints rows as they come.
type report struct {
	w      io.Writer
	missed []string
	bars   int
}

const layout = "%-52s %12s  %-24s %7s  %-14s %s\n"

func newReport(w io.Writer) *report {
	fmt.Fprintf(w, layout, "what", "ours", "peer", "ratio", "bar", "")
	return &report{w: w}
}

func (r *report) row(l row) {
	ratio, verdict := "", ""
	if l.ratio > 0 {
		ratio = strconv.FormatFloat(l.ratio, 'f', 2, 64)
	}
	if l.bar != "" {
		verdict = r.judge(l.what, l.pass)
	}
	fmt.Fprintf(r.w, layout, l.what, l.ours, l.peer, ratio, l.bar, verdict)
}

// judge counts a bar and says whether it was reached.
func (r *report) judge(what string, pass bool) string {
	r.bars++
	if pass {
		return "PASS"
	}
	r.missed = append(r.missed, what)
	return "FAIL"
}

// line prints a line of a table with columns of its own.
func (r *report) line(layout string, columns ...any) { fmt.Fprintf(r.w, layout, columns...) }

// note prints a line under the last row.
func (r *report) note(format string, args ...any) {
	fmt.Fprintf(r.w, "    "+format+"\n", args...)
}

func (r *report) end(took time.Duration) {
	fmt.Fprintf(r.w, "%d of %d bars reached, in %s\n", r.bars-len(r.missed), r.bars, took.Round(time.Second))
	for _, what := range r.missed {
		fmt.Fprintf(r.w, "MISSED: %s\n", what)
	}
}

// ms prints a time in milliseconds.
func ms(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.2f ms", d.Seconds()*1000)
	}
	return fmt.Sprintf("%.0f ms", d.Seconds()*1000)
}

// median is the middle of the times.
func median(ds []time.Duration) time.Duration {
	slices.Sort(ds)
	return ds[len(ds)/2]
}

// worst is the longest of the times.
func worst(ds []time.Duration) time.Duration { return slices.Max(ds) }

// best is the shortest of the times: what else runs on the machine only adds.
func best(ds []time.Duration) time.Duration { return slices.Min(ds) }

func quotient[T ~int64 | ~float64](a, b T) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
