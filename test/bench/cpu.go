package main

import (
	"fmt"
	"os"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// fiveHundred real servers, checked once a second.
var fiveHundred = plan{virtuals: 10, reals: 50, check: "http", interval: time.Second, timeout: 5 * time.Second}

const (
	settle = 6 * time.Second
	span   = 20 * time.Second
)

func benchCPU(b *bench) {
	s := b.site()
	s.web()
	p := s.ipvsd(fiveHundred)
	ours := s.perCheck(p, settle, span)
	s.end(p)
	p = s.keepalived(fiveHundred)
	ka := s.perCheck(p, settle, span)
	s.end(p)
	few := fiveHundred
	few.virtuals, few.reals = 1, 5
	p = s.ldirectord(few)
	s.within(60*time.Second, "ldirectord checks", time.Now(), func() bool { return s.serving(s.kernel(), few.key(0)) > 0 })
	ld := s.perCheck(p, 0, 10*time.Second)
	s.end(p)

	b.report.row(row{
		what: "CPU per http check, 500 real servers at 1 s", ours: ms(ours.each), peer: "keepalived " + ms(ka.each),
		ratio: quotient(ours.each, ka.each), bar: "≤ 1.0 ×", pass: ours.each <= ka.each,
	})
	b.report.row(row{
		what: "  checks a second", ours: fmt.Sprintf("%.0f", ours.rate), peer: fmt.Sprintf("keepalived %.0f", ka.rate),
		ratio: quotient(ours.rate, ka.rate),
	})
	b.report.row(row{
		what: "  5 real servers at 1 s", peer: fmt.Sprintf("ldirectord %s, %.1f/s", ms(ld.each), ld.rate),
		ratio: quotient(ours.each, ld.each),
	})
}

// effort is what checks cost.
type effort struct {
	each time.Duration // CPU of one
	rate float64       // checks in a second
}

// perCheck lets a daemon settle, then watches it.
func (s *site) perCheck(p *lab.Proc, settle, span time.Duration) effort {
	time.Sleep(settle)
	if !p.Running() {
		s.b.stage.Fatalf("the daemon has ended:\n%s", p.Output())
	}
	fmt.Fprintf(os.Stderr, "SPAN %.2f\n", float64(time.Now().UnixMilli())/1e3)
	start, before, made := time.Now(), cpu(p.PID()), s.requests()
	time.Sleep(span)
	used, n, took := cpu(p.PID())-before, s.requests()-made-1, time.Since(start)
	fmt.Fprintf(os.Stderr, "END %.2f n %d used %v\n", float64(time.Now().UnixMilli())/1e3, n, used)
	if n <= 0 {
		s.b.stage.Fatalf("no check was made:\n%s", p.Output())
	}
	return effort{each: used / time.Duration(n), rate: float64(n) / took.Seconds()}
}
