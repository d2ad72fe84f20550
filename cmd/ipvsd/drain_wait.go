package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/ipvsd/ipvsd/director"
)

const (
	drainLook = time.Second // how often a drain is looked at
	// drainLost is for how long the director may be away: a restart, which the
	// drain outlives.
	drainLost = 30 * time.Second
)

// waitDrained tells how a drain goes on until it is over or ctx ends, which
// leaves the drain as it is. On a terminal one line changes; elsewhere there is
// a line for each change. A real server that somebody brings back meanwhile is
// an error.
func waitDrained(ctx context.Context, w io.Writer, ask statusFunc, reals []director.OperatedReal) error {
	began := time.Now()
	_, live := terminal(w)
	last, heard := "", began
	tell := func(text string) {
		switch {
		case live:
			fmt.Fprintf(w, "\r%s\x1b[K", text)
		case text != last:
			fmt.Fprintln(w, text)
		}
		last = text
	}
	end := func(text string, err error) error {
		if live {
			fmt.Fprintln(w)
		}
		if err == nil {
			fmt.Fprintln(w, text)
		}
		return err
	}
	for {
		st, err := ask(ctx)
		switch {
		case ctx.Err() != nil:
			return end("the drain goes on; \"ipvsd status\" shows it", nil)
		case err != nil && time.Since(heard) > drainLost:
			return end("", fmt.Errorf("the drain goes on, but can't be told: %v", err))
		case err != nil:
			tell("waiting for the director: " + err.Error())
		default:
			heard = time.Now()
			text, open, lost := drainProgress(&st, reals, heard)
			if lost != "" {
				return end("", fmt.Errorf("drain: %s", lost))
			}
			if tell(text); open == 0 {
				return end(fmt.Sprintf("drained after %v", time.Since(began).Round(time.Second)), nil)
			}
		}
		select {
		case <-time.After(drainLook):
		case <-ctx.Done():
		}
	}
}

// drainProgress says how many real servers still drain, and how far they are;
// lost is one that doesn't drain any more and isn't drained.
func drainProgress(st *director.Status, reals []director.OperatedReal, now time.Time) (text string, open int, lost string) {
	connections := uint64(0)
	var deadline time.Time
	for _, want := range reals {
		r := findReal(st, want.Virtual, want.Real)
		switch {
		case r == nil:
			return "", 0, fmt.Sprintf("%s left the file", want.Real)
		case r.State == director.StateDrained:
			continue
		case r.State != director.StateDraining:
			return "", 0, fmt.Sprintf("%s of %s is %s: somebody else wanted that meanwhile", want.Real, want.Virtual, r.State)
		}
		open++
		connections += uint64(r.Active)
		if r.Hold != nil && r.Hold.Deadline != nil && r.Hold.Deadline.After(deadline) {
			deadline = *r.Hold.Deadline
		}
	}
	text = fmt.Sprintf("%d of %s drained, %s left", len(reals)-open, count(len(reals), "real server"), count(int(connections), "established connection"))
	if open > 0 && !deadline.IsZero() {
		text += ", cut in " + max(deadline.Sub(now), 0).Round(time.Second).String()
	}
	return text, open, ""
}
