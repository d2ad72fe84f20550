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
	if got := newReport(9, samples).String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if r := newReport(4, samples[1:5]); !r.Outage.Open || r.Outage.Duration() != 40*time.Millisecond {
		t.Errorf("an outage that is not over: %+v", r.Outage)
	}
}
