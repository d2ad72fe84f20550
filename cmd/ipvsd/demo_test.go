package main

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/test/lab"
)

// TestDemoJudge gives the play what a client saw, good and bad.
func TestDemoJudge(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	lost := func(list ...int) lab.Report {
		var r lab.Report
		for _, ms := range list {
			r.Failed = append(r.Failed, lab.Failure{Time: at(ms), Err: errors.New("connection refused")})
		}
		return r
	}
	outage := func(ms int, open bool) lab.Report {
		return lab.Report{Outage: lab.Outage{From: at(0), To: at(ms), Failures: 1, Open: open}}
	}
	both := map[string]lab.Server{"web1": {Count: 9}, "web2": {Count: 9}}
	for _, c := range []struct {
		name        string
		calm, death lab.Report // what the client saw in each act
		servers     map[string]lab.Server
		broken      error
		stall       time.Duration
		want        []string
	}{
		{name: "nothing lost", servers: both},
		{name: "lost to the dead server", servers: both, death: lost(995, 1000, 1010, 1500, 1990)},
		{name: "the noise of a busy lab", servers: both, calm: lost(100, 900), death: lost(1010, 2010)},
		{
			name: "lost before anything died", servers: both, calm: lost(100, 200, 300),
			want: []string{"calm: 3 requests failed: connection refused"},
		},
		{
			name: "lost after it was out", servers: both, death: lost(1500, 2010, 2030, 2050),
			want: []string{"web1: killed: 3 requests failed: connection refused"},
		},
		{
			name: "outages", servers: both, calm: outage(1500, false), death: outage(1500, true),
			want: []string{"calm: for 1.5 s no request was answered", "web1: killed: for 1.5 s no request was answered"},
		},
		{
			name: "a lab that stood still", servers: both, stall: 300 * time.Millisecond,
			calm: lost(100, 200, 300, 400), death: outage(2500, false),
		},
		{name: "an outage that such an act may have", servers: both, death: outage(1500, false)},
		{
			name: "a server without requests", servers: map[string]lab.Server{"web1": {Count: 9}},
			want: []string{"web2 answered no request"},
		},
		{
			name: "the held connection", servers: both, broken: errors.New("connection reset by peer"),
			want: []string{"the held connection broke: connection reset by peer"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &play{
				stall: c.stall,
				farm:  &demoFarm{webs: []*demoWeb{{name: "web1"}, {name: "web2"}}},
				played: []*scene{
					{act: &act{row: "calm", slack: 2, outage: time.Second}, report: c.calm},
					{act: &act{row: "web1: killed", slack: 2, outage: 2 * time.Second}, excused: at(2000), report: c.death},
				},
			}
			p.judge(lab.Report{Servers: c.servers}, lab.HoldReport{Broken: c.broken})
			if diff := cmp.Diff(c.want, p.problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDemoFile: the file that the demo shows is one that an operator may take.
func TestDemoFile(t *testing.T) {
	if _, _, err := config.Parse("ipvsd.toml", []byte(demoFile)); err != nil {
		t.Error(err)
	}
}

// TestDemoSummary fits the least width, and says which requests failed and why.
func TestDemoSummary(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	death := lab.Report{
		Sent: 214, OK: 213, Late: 31, Failed: []lab.Failure{{Time: at(2000), Err: errors.New("reset")}},
		Outage: lab.Outage{From: at(2000), To: at(2702), Failures: 32}, Servers: map[string]lab.Server{"web1": {Count: 213}},
	}
	played := []*scene{
		{act: &act{row: "an ordinary day"}, result: "loadb1 is active", end: at(2000), report: lab.Report{Sent: 100, OK: 100}},
		{act: &act{row: "loadb2: machine dead"}, result: "loadb1 active after 10.8 s", end: at(4000), excused: at(3000), report: death},
	}
	var b strings.Builder
	out := newTeller(&b, demoOptions{width: demoLeastWidth})
	out.begin(at(0))
	out.summary(played, death, lab.HoldReport{Answered: 40, Server: "web3", Silence: 766 * time.Millisecond}, []string{"web1"})
	want := `
What the client saw
  requests         214 in 4.0 s, each on a new connection
  failed           1, on the way to what had just died
  late             31, answered after more than 500 ms: TCP had to ask again
  longest outage   702 ms between two good answers
  answered by      web1 213
  held connection  alive: 40 lines answered by web3, longest silence 766 ms

What happened                                      requests failed late outage
  an ordinary day       loadb1 is active                100      0    0      -
  loadb2: machine dead  loadb1 active after 10.8 s      214      1   31 702 ms
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(line) - 1; n > demoLeastWidth {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}

// TestDemoProblems: what went wrong fits the width and ends the output.
func TestDemoProblems(t *testing.T) {
	var b strings.Builder
	newTeller(&b, demoOptions{width: demoLeastWidth}).problems([]string{"loadb1 is gone", strings.Repeat("word ", 20) + "end"})
	want := `
Not all went as it should:
  - loadb1 is gone
  - word word word word word word word word word word word word word word word
    word word word word word end
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
