package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/test/lab"
)

// TestDemoJudge gives the play what a client saw, good and bad.
func TestDemoJudge(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	lost := func(ms, after int) lab.Failure {
		return lab.Failure{Time: at(ms), After: time.Duration(after) * time.Millisecond, Err: errors.New("connection refused")}
	}
	servers := func(fallback int) map[string]lab.Server {
		out := map[string]lab.Server{"web1": {Count: 9}, "web2": {Count: 9}}
		if fallback > 0 {
			out[demoFallback] = lab.Server{Count: fallback}
		}
		return out
	}
	for _, c := range []struct {
		name   string
		report lab.Report
		want   []string
	}{
		{name: "nothing lost", report: lab.Report{OK: 18, Servers: servers(0)}},
		{
			name:   "lost to the dead server, one of them on the way when it died",
			report: lab.Report{OK: 18, Servers: servers(0), Failed: []lab.Failure{lost(995, 10), lost(1500, 1), lost(1990, 100)}},
		},
		{
			name:   "lost before it died",
			report: lab.Report{OK: 18, Servers: servers(0), Failed: []lab.Failure{lost(900, 50)}},
			want:   []string{"calm: a request failed: connection refused"},
		},
		{
			name:   "lost after it was out, twice",
			report: lab.Report{OK: 18, Servers: servers(0), Failed: []lab.Failure{lost(2010, 1), lost(2030, 1)}},
			want:   []string{"web1: killed: a request failed: connection refused"},
		},
		{
			name: "an outage, and the fallback",
			report: lab.Report{
				OK: 18, Servers: servers(1), Failed: []lab.Failure{lost(1500, 1)},
				Outage: lab.Outage{From: at(1000), To: at(2500), Failures: 1},
			},
			want: []string{"for 1.5 s no request was answered", "the fallback answered 1 request"},
		},
		{
			name:   "a server without requests",
			report: lab.Report{OK: 9, Servers: map[string]lab.Server{"web1": {Count: 9}}},
			want:   []string{"web2 answered no request"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &play{
				farm: &demoFarm{webs: []*demoWeb{{name: "web1"}, {name: "web2"}}},
				played: []scene{
					{act: &act{row: "calm"}, start: at(0), effect: at(0), end: at(1000)},
					{act: &act{row: "web1: killed", lossy: true}, start: at(1000), effect: at(2000), end: at(3000)},
				},
			}
			p.judge(c.report)
			if diff := cmp.Diff(c.want, p.problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDemoProblems: what went wrong fits 80 columns and ends the output.
func TestDemoProblems(t *testing.T) {
	var b strings.Builder
	newTeller(&b, demoOptions{}).problems([]string{"the fallback was used", strings.Repeat("word ", 20) + "end"})
	want := `
Not all went as it should:
  - the fallback was used
  - word word word word word word word word word word word word word word word
    word word word word word end
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
