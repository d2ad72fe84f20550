package main

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

const wide = "%-16s %-17s %4s  %9s %9s  %14s  %9s %9s  %6s %5s  %6s  %s\n"

// benchFailover lets everything befall the active director of two, of each
// kind in turn, so that a slow moment of the machine falls on all alike.
func benchFailover(b *bench) {
	s := b.segment(lab.New(b.stage), "lan", 2)
	var duos []*duo
	for _, k := range kinds {
		duos = append(duos, s.duo(k))
	}
	b.report.line(wide, "fault", "directors", "runs", "outage", "worst", "failed of all", "taken in", "worst", "kept", "left", "ratio", "bar")
	for _, f := range faults {
		done := map[string]*tally{}
		for _, d := range duos {
			if f.oursOnly && !d.ours() {
				continue
			}
			t := d.suffer(f)
			done[d.name] = t
			b.report.tally(f, d.kind, t, done[d.beside])
		}
	}
	for _, text := range []string{
		"outage: from the last good request before a failed one to the next good one, 20 ms apart: 40 ms too long at most",
		"taken in: until another director has the address; kept: held connections that live on",
		"left: the old director still had the address 5 s later; ratio: ipvsd to keepalived 1 s, ipvsd fast to 0.1 s",
	} {
		b.report.note("%s", text)
	}
	b.heals(s)
}

// suffer starts the duo, lets the fault befall it again and again, and stops it.
// Runs that say nothing about the directors are made again, up to a limit.
func (d *duo) suffer(f fault) *tally {
	n := d.b.runs
	if !f.often || !d.ours() {
		n = d.b.few
	}
	d.start()
	t := &tally{}
	for t.runs() < n && t.void < 2*n+3 {
		o := d.once(f)
		if o.stood > 0 {
			t.stood++
			if t.stood <= n {
				o.void = "the lab stood still for " + whole(o.stood)
			}
		}
		if o.void != "" {
			t.void++
			d.b.tell("%s, %s: void, as %s", d.name, f.name, o.void)
			continue
		}
		t.add(o)
		d.b.tell("%s, %s, run %d: taken in %s, nobody's for %s, kept %t, left %t, lab stood still %s: %v%v",
			d.name, f.name, t.runs(), whole(o.taken), whole(o.nobody), o.kept, o.left, whole(o.stood), o.report, o.hold)
	}
	d.settled()
	d.stop()
	return t
}

// once is one run; one that fails is void, and the directors are started anew.
func (d *duo) once(f fault) (o outcome) {
	err := d.b.stage.try(func() { o = d.hit(f) })
	if err != nil {
		o = outcome{void: err.Error()}
		for _, l := range d.directors {
			l.signal(syscall.SIGCONT)
			l.host.Heal()
		}
		d.stop()
		d.start()
	}
	return o
}

// tally is the sum of some runs.
type tally struct {
	outages, taken []time.Duration
	failed, asked  int
	kept, left     int

	void  int // runs that say nothing and aren't in the rest …
	stood int // … and runs in which the lab stood still: the first ones are void
}

func (t *tally) add(o outcome) {
	t.outages = append(t.outages, o.outage)
	t.taken = append(t.taken, o.taken)
	t.failed += o.failed
	t.asked += o.asked
	if o.kept {
		t.kept++
	}
	if o.left {
		t.left++
	}
}

func (t *tally) runs() int { return len(t.outages) }

// misses are the parts of a bar that a tally doesn't reach.
func (t *tally) misses(r bar, fast bool) []string {
	var out []string
	if r.clean && t.failed > 0 {
		out = append(out, "failed requests")
	}
	if limit := r.limit(fast); limit > 0 && worst(t.outages) > limit {
		out = append(out, "outage")
	}
	if r.taken > 0 && worst(t.taken) > r.taken {
		out = append(out, "taken late")
	}
	if t.kept < t.runs() {
		out = append(out, "connections lost")
	}
	return out
}

func (r bar) limit(fast bool) time.Duration {
	if fast {
		return r.fast
	}
	return r.outage
}

func (r bar) text(fast bool) string {
	var parts []string
	if r.clean {
		parts = append(parts, "0 failed")
	}
	if limit := r.limit(fast); limit > 0 {
		parts = append(parts, "≤ "+whole(limit))
	}
	if r.taken > 0 {
		parts = append(parts, "taken ≤ "+whole(r.taken))
	}
	return strings.Join(append(parts, "kept"), ", ")
}

// tally prints what a fault did to a kind of directors; ours is that of the
// directors that it is compared with.
func (r *report) tally(f fault, k kind, t, ours *tally) {
	if t.runs() == 0 {
		r.line(wide, f.name, k.name, "0", "", "", "", "", "", "", "", "", "not measured  "+r.judge(f.name+", "+k.name, false))
		return
	}
	left, ratio, verdict := fmt.Sprintf("%d/%d", t.left, t.runs()), "", ""
	if f.gone {
		left = "–"
	}
	if outage := median(t.outages); ours != nil && ours.runs() > 0 && outage > 0 {
		ratio = fmt.Sprintf("%.2f", quotient(median(ours.outages), outage))
	}
	if k.ours() {
		missed := t.misses(f.bar, k.profile == "fast")
		verdict = f.bar.text(k.profile == "fast") + "  " + r.judge(f.name+", "+k.name, len(missed) == 0)
		if len(missed) > 0 {
			verdict += ": " + strings.Join(missed, ", ")
		}
	}
	r.line(wide, f.name, k.name, fmt.Sprint(t.runs()), whole(median(t.outages)), whole(worst(t.outages)),
		fmt.Sprintf("%d of %d", t.failed, t.asked), whole(median(t.taken)), whole(worst(t.taken)),
		fmt.Sprintf("%d/%d", t.kept, t.runs()), left, ratio, verdict)
	if t.void > 0 {
		r.note("%d more were void: the lab stood still, or the directors were not well before the fault", t.void)
	}
	if t.stood > t.runs() {
		r.note("the lab stood still in %d of the runs that count, too", t.stood-t.runs())
	}
}

// whole prints a time in whole milliseconds.
func whole(d time.Duration) string {
	if d == forever {
		return "never"
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}
