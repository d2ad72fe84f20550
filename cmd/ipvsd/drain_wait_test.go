package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/api"
)

// TestWaitDrained shows drains to their end: 2 connections less each second.
func TestWaitDrained(t *testing.T) {
	reals := []director.OperatedReal{{Virtual: "web", Real: "192.0.2.11:80"}, {Virtual: "mail", Real: "192.0.2.11:25"}}
	for _, tc := range []struct {
		name    string
		last    string // the state once there is no connection
		cancel  time.Duration
		want    string
		problem string
	}{
		{
			"to the end", director.StateDrained, time.Hour,
			"1 of 2 real servers drained, 5 established connections left, cut in 1m0s\n" +
				"1 of 2 real servers drained, 3 established connections left, cut in 59s\n" +
				"1 of 2 real servers drained, 1 established connection left, cut in 58s\n" +
				"2 of 2 real servers drained, 0 established connections left\ndrained after 3s\n", "",
		},
		{
			"enabled meanwhile", director.StateUp, time.Hour,
			"1 of 2 real servers drained, 5 established connections left, cut in 1m0s\n" +
				"1 of 2 real servers drained, 3 established connections left, cut in 59s\n" +
				"1 of 2 real servers drained, 1 established connection left, cut in 58s\n",
			"drain: 192.0.2.11:80 of web is up: somebody else wanted that meanwhile",
		},
		{
			"interrupted", director.StateDrained, 1500 * time.Millisecond,
			"1 of 2 real servers drained, 5 established connections left, cut in 1m0s\n" +
				"1 of 2 real servers drained, 3 established connections left, cut in 59s\n" +
				"the drain goes on; \"ipvsd status\" shows it\n", "",
		},
		{
			"restarted meanwhile", "away", time.Hour,
			"1 of 2 real servers drained, 5 established connections left, cut in 1m0s\n" +
				"1 of 2 real servers drained, 3 established connections left, cut in 59s\n" +
				"1 of 2 real servers drained, 1 established connection left, cut in 58s\n" +
				"waiting for the director: no director is running\n" +
				"2 of 2 real servers drained, 0 established connections left\ndrained after 20s\n", "",
		},
		{
			"away for long", "gone", time.Hour,
			"1 of 2 real servers drained, 5 established connections left, cut in 1m0s\n" +
				"1 of 2 real servers drained, 3 established connections left, cut in 59s\n" +
				"1 of 2 real servers drained, 1 established connection left, cut in 58s\n" +
				"waiting for the director: no director is running\n",
			"the drain goes on, but can't be told: no director is running",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, deadline := time.Now(), time.Now().Add(time.Minute)
				ctx, cancel := context.WithTimeout(t.Context(), tc.cancel)
				defer cancel()
				ask := func(ctx context.Context) (director.Status, error) {
					web := director.RealStatus{Address: "192.0.2.11:80", State: director.StateDraining, Hold: &director.HoldStatus{Deadline: &deadline}}
					if gone := 2 * int(time.Since(start).Seconds()); gone < 5 {
						web.Active, web.Inactive = uint32(5-gone), 7
					} else {
						web.State = tc.last
					}
					if away := time.Since(start) < 20*time.Second; web.State == "gone" || web.State == "away" && away {
						return director.Status{}, api.ErrNoDaemon
					} else if web.State == "away" {
						web.State = director.StateDrained
					}
					mail := director.RealStatus{Address: "192.0.2.11:25", State: director.StateDrained}
					return director.Status{Virtuals: []director.VirtualStatus{
						{Name: "web", Reals: []director.RealStatus{web}}, {Name: "mail", Reals: []director.RealStatus{mail}},
					}}, ctx.Err()
				}
				var out bytes.Buffer
				err := waitDrained(ctx, &out, ask, reals)
				if got := errText(err); got != tc.problem {
					t.Errorf("error %q, want %q", got, tc.problem)
				}
				if out.String() != tc.want {
					t.Errorf("got:\n%s\nwant:\n%s", out.String(), tc.want)
				}
			})
		})
	}
	if _, _, lost := drainProgress(&director.Status{}, reals, time.Now()); !strings.Contains(lost, "left the file") {
		t.Errorf("of an empty file: %q", lost)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
