package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// fiveHundred real servers, checked once a second.
var fiveHundred = plan{virtuals: 10, reals: 50, check: "http", interval: time.Second, timeout: 5 * time.Second}

const (
	settle = 6 * time.Second
	span   = 20 * time.Second
)

// benchCPU compares what a check costs. Where the kernel measures processes,
// that is the daemon's own CPU; in user-mode-linux (see meter) it is the whole
// lab's, less what it uses idle: the web server's and the network's part is in
// both figures, so the ratio is nearer to 1 than that of the daemons.
func benchCPU(b *bench) {
	s := b.site()
	s.web()
	used, from := b.labCPU()
	time.Sleep(3 * time.Second)
	more, to := b.labCPU()
	idle := (more - used).Seconds() / to.Sub(from).Seconds()

	p := s.ipvsd(fiveHundred)
	ours := s.perCheck(p, idle, settle, span)
	s.end(p)
	p = s.keepalived(fiveHundred)
	ka := s.perCheck(p, idle, settle, span)
	s.end(p)
	few := fiveHundred
	few.virtuals, few.reals = 1, 5
	kernel := s.kernel()
	p = s.ldirectord(few)
	s.within(60*time.Second, "ldirectord checks", time.Now(), func() bool { return s.serving(kernel, few.key(0)) > 0 })
	ld := s.perCheck(p, idle, 0, 10*time.Second)
	s.end(p)

	figure, what := func(e effort) time.Duration { return e.daemon }, "the daemon's"
	if simulated() {
		figure, what = func(e effort) time.Duration { return e.lab }, "daemon, web server and network"
	}
	o, k, l := figure(ours), figure(ka), figure(ld)
	b.report.row(row{
		what: "CPU per http check, 500 real servers at 1 s", ours: ms(o), peer: "keepalived " + ms(k),
		ratio: quotient(o, k), bar: "≤ 1.0 ×", pass: o <= k,
	})
	b.report.note("%s; by /proc/PID/stat the daemon's alone is %s, keepalived's %s", what, ms(ours.daemon), ms(ka.daemon))
	b.report.row(row{
		what: "  checks a second", ours: fmt.Sprintf("%.0f", ours.rate), peer: fmt.Sprintf("keepalived %.0f", ka.rate),
		ratio: quotient(ours.rate, ka.rate),
	})
	b.report.row(row{
		what: "  its 5 real servers at 1 s", ours: ms(o), peer: fmt.Sprintf("ldirectord %s, %.1f/s", ms(l), ld.rate),
		ratio: quotient(o, l),
	})
}

// simulated tells whether the lab's kernel is user-mode-linux.
func simulated() bool {
	text, _ := os.ReadFile("/proc/cpuinfo")
	return strings.Contains(string(text), "User Mode Linux")
}

// effort is what checks cost.
type effort struct {
	daemon time.Duration // CPU of one, the daemon's by /proc/PID/stat
	lab    time.Duration // CPU of one, the whole lab's
	rate   float64       // checks in a second
}

// perCheck lets a daemon settle, then watches it.
func (s *site) perCheck(p *lab.Proc, idle float64, settle, span time.Duration) effort {
	time.Sleep(settle)
	if !p.Running() {
		s.b.stage.Fatalf("the daemon has ended:\n%s", p.Output())
	}
	before, start := s.b.labCPU()
	own, made := cpu(p.PID()), s.requests()
	time.Sleep(span)
	after, end := s.b.labCPU()
	daemon, n := cpu(p.PID())-own, s.requests()-made-1
	if n <= 0 {
		s.b.stage.Fatalf("no check was made:\n%s", p.Output())
	}
	took := end.Sub(start).Seconds()
	whole := after - before - time.Duration(idle*took*float64(time.Second))
	return effort{daemon: daemon / time.Duration(n), lab: whole / time.Duration(n), rate: float64(n) / took}
}
