package main

import (
	"fmt"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// benchMemory has 10,000 real servers checked every 10 s, for two rounds and a
// little.
func benchMemory(b *bench) {
	const most = 100
	p := plan{virtuals: 1000, reals: 10, check: "http", interval: 10 * time.Second, timeout: 5 * time.Second}
	s := b.site()
	web := s.web()
	now, high, rate := s.resident(s.ipvsd(p), s.requests)
	b.report.row(row{
		what: "memory, 10,000 real servers checked", ours: fmt.Sprintf("%.0f MB", high), bar: "≤ 100 MB", pass: high <= most,
	})
	b.report.note("%.0f MB at the end, %.0f checks/s", now, rate)
	b.stop(web)
	mute := s.web("mute")
	now, high, _ = s.resident(s.ipvsd(p), func() int { return 0 })
	b.report.row(row{
		what: "  and none of them answers", ours: fmt.Sprintf("%.0f MB", high), bar: "≤ 100 MB", pass: high <= most,
	})
	b.report.note("%.0f MB at the end", now)
	b.stop(mute)
	s.web()
	now, high, rate = s.resident(s.keepalived(p), s.requests)
	b.report.row(row{what: "  keepalived's", peer: fmt.Sprintf("keepalived %.0f MB", high)})
	b.report.note("%.0f MB at the end, %.0f checks/s", now, rate)
}

// resident watches a daemon's memory for two rounds of checks.
func (s *site) resident(p *lab.Proc, requests func() int) (now, high, rate float64) {
	const wait = 26 * time.Second
	before := requests()
	time.Sleep(wait)
	if !p.Running() {
		s.b.stage.Fatalf("the daemon has ended:\n%s", p.Output())
	}
	now, high = memory(p.PID())
	rate = float64(requests()-before) / wait.Seconds()
	s.end(p)
	return now, high, rate
}
