package lab

import (
	"errors"
	"testing"
	"time"
)

func TestReport(t *testing.T) {
	t0 := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	bad := errors.New("connect: connection refused")
	var samples []sample
	for i, who := range []string{"a", "b", "a", "", "", "b", "", "b"} {
		s := sample{start: t0.Add(time.Duration(i) * 20 * time.Millisecond), server: who}
		s.end = s.start.Add(time.Millisecond)
		if who == "" {
			s.err = bad
		}
		samples = append(samples, s)
	}
	// Answers come in any order.
	samples[0], samples[5] = samples[5], samples[0]
	const want = `9 sent, 5 ok, 3 failed, longest outage 60ms (2 failures), slowest good answer 1ms
  a                 2  03:04:05.000 – 03:04:05.040
  b                 3  03:04:05.020 – 03:04:05.140
  failed     3×  03:04:05.060 – 03:04:05.120  connect: connection refused
`
	if got := new(Load).report(9, samples, time.Time{}).String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if r := new(Load).report(4, samples[1:5], time.Time{}); !r.Outage.Open || r.Outage.Duration() != 40*time.Millisecond {
		t.Errorf("an outage that is not over: %+v", r.Outage)
	}
}

// TestReportLate: an answer that comes too late is an answer, and an outage.
func TestReportLate(t *testing.T) {
	t0 := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var samples []sample
	for i, ms := range []int{1, 900, 880, 1, 1} {
		start := t0.Add(time.Duration(i) * 20 * time.Millisecond)
		samples = append(samples, sample{start: start, end: start.Add(time.Duration(ms) * time.Millisecond), server: "a"})
	}
	l := &Load{late: 500 * time.Millisecond, samples: samples}
	r := l.report(5, samples, time.Time{})
	if r.OK != 5 || len(r.Failed) != 0 || r.Late != 2 || r.Outage.Duration() != 60*time.Millisecond || r.Outage.Open {
		t.Errorf("late answers: %+v", r)
	}
	before, after := l.Between(t0, t0.Add(10*time.Millisecond)), l.Between(t0.Add(10*time.Millisecond), t0.Add(time.Hour))
	if before.OK != 1 || after.OK != 4 || after.Sent != 4 || after.Outage != r.Outage {
		t.Errorf("two reports of times that meet: %+v, %+v", before, after)
	}
	if r := new(Load).report(5, samples, time.Time{}); r.Late != 0 || r.Outage.Duration() != 0 {
		t.Errorf("nothing is late without a limit: %+v", r)
	}
}
