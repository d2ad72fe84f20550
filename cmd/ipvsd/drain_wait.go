package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/ipvsd/ipvsd/director"
)

// drainLook is how often a drain is looked at.
const drainLook = time.Second

// waitDrained tells how a drain goes on until it is over or ctx ends, which
// leaves the drain as it is. On a terminal one line changes; elsewhere there is
// a line for each change. A real server that somebody brings back meanwhile is
// an error.
func waitDrained(ctx context.Context, w io.Writer, ask statusFunc, reals []director.OperatedReal) error {
	began := time.Now()
	_, live := terminal(w)
	last := ""
	for {
		st, err := ask(ctx)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if ctx.Err() != nil {
			fmt.Fprintln(w, "the drain goes on; \"ipvsd status\" shows it")
			return nil
		}
		text, open, lost := drainProgress(&st, reals, time.Now())
		if lost != "" {
			return fmt.Errorf("drain: %s", lost)
		}
		switch {
		case live:
			fmt.Fprintf(w, "\r%s\x1b[K", text)
		case text != last:
			fmt.Fprintln(w, text)
		}
		if last = text; open == 0 {
			if live {
				fmt.Fprintln(w)
			}
			fmt.Fprintf(w, "drained after %v\n", time.Since(began).Round(time.Second))
			return nil
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

func findReal(st *director.Status, virtual, address string) *director.RealStatus {
	for i := range st.Virtuals {
		for j := range st.Virtuals[i].Reals {
			if r := &st.Virtuals[i].Reals[j]; st.Virtuals[i].Name == virtual && r.Address == address {
				return r
			}
		}
	}
	return nil
}
