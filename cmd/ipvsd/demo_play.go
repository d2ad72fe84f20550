package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

const (
	// lookInterval is how often the play asks the director: what it tells of an
	// effect is late by that much at most.
	lookInterval = 50 * time.Millisecond
	// A request is lost when its answer isn't there by then. A lab on a busy
	// machine stands still for longer than one would wait.
	requestDeadline = 3 * time.Second
	// An effect comes with the next check and its timeout, 2 s; the rest is for a
	// slow machine.
	effectWithin = 6 * time.Second
	// lookOn is how long the story stays with an effect.
	lookOn = 3500 * time.Millisecond
	// outageBound is the longest that no request at all may be answered.
	outageBound = time.Second
)

// play is one run of the story.
type play struct {
	farm *demoFarm
	out  *teller
	acts []act

	load     *lab.Load
	played   []scene
	up       map[*demoWeb]bool // as the story wants it
	outSince map[*demoWeb]time.Time
	deaf     bool // no daemon is to answer now
	problems []string
}

// scene is an act that was played.
type scene struct {
	act        *act
	start, end time.Time
	effect     time.Time // when it was seen
	before     lab.Report
	lost       []lab.Failure
	sent       int
}

func (p *play) problem(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for _, known := range p.problems {
		if known == text {
			return
		}
	}
	p.problems = append(p.problems, text)
}

// run plays all acts and returns what went wrong.
func (p *play) run(ctx context.Context) []string {
	p.up, p.outSince = map[*demoWeb]bool{}, map[*demoWeb]time.Time{}
	p.out.farm(ctx, p.farm)
	if !p.raise(ctx) {
		return p.problems
	}
	p.load = p.farm.client.Load(demoURL, lab.Deadline(requestDeadline))
	for i := range p.acts {
		if !p.act(ctx, &p.acts[i]) {
			break
		}
	}
	report := p.load.Stop()
	if ctx.Err() != nil {
		return nil
	}
	p.judge(report)
	if len(p.played) == len(p.acts) {
		if err := p.farm.lb.stop(); err != nil {
			p.problem("%v", err)
		}
	}
	p.out.summary(p.played, report, p.farm)
	return p.problems
}

// raise starts the director and waits for its first answer to a client.
func (p *play) raise(ctx context.Context) bool {
	d := p.farm.lb
	start := time.Now()
	d.start()
	for _, w := range p.farm.webs {
		p.up[w] = true
	}
	if _, ok := p.await(ctx, 20*time.Second, func(s director.Status) (string, bool) { return "", ready(s) }); !ok {
		p.problem("the director wasn't ready within 20 s")
		return false
	}
	p.out.good("ready after " + seconds(time.Since(start)) + ": the address is there, the first checks are done")
	p.out.table(p.farm.last, true)
	for time.Since(start) < 25*time.Second && ctx.Err() == nil {
		if _, err := p.farm.client.Get(demoURL, time.Second); err == nil {
			return true
		}
	}
	p.problem("no request was answered at the start")
	return false
}

// act plays one act and reports whether the next one may come.
func (p *play) act(ctx context.Context, a *act) bool {
	p.untouched()
	sc := scene{act: a, before: p.load.Report(), start: time.Now()}
	p.out.title(a.say)
	if a.note != "" {
		p.out.say(a.note)
	}
	if a.web != nil {
		p.up[a.web] = a.up
	}
	p.deaf = a.noDaemon
	a.do()
	sc.effect = time.Now()
	ok := true
	if a.seen != nil {
		var how string
		if how, ok = p.await(ctx, effectWithin, a.seen); ok {
			sc.effect = time.Now()
			p.out.effect(a, sc.effect.Sub(sc.start), how)
		} else if ctx.Err() == nil {
			p.problem("%s: not seen within %v: %s", a.row, effectWithin, a.effect)
		}
		p.out.table(p.farm.last, true)
	}
	if a.web != nil {
		delete(p.outSince, a.web)
		if !a.up {
			p.outSince[a.web] = sc.effect
		}
	}
	p.look(ctx, lookOn)
	p.returned(&sc)
	sc.end = time.Now()
	now := p.load.Report()
	sc.sent = now.Sent - sc.before.Sent
	p.played = append(p.played, sc)
	p.out.client(sc.before, now, p.names())
	return ok && ctx.Err() == nil
}

// await looks until seen, for within at most.
func (p *play) await(ctx context.Context, within time.Duration, seen func(director.Status) (string, bool)) (how string, ok bool) {
	for end := time.Now().Add(within); ; {
		s, answered := p.observe(ctx)
		if answered {
			if how, ok = seen(s); ok {
				return how, true
			}
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return "", false
		}
		p.pause(ctx, lookInterval)
	}
}

// look looks on for a while, at what mustn't change.
func (p *play) look(ctx context.Context, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; {
		if p.deaf {
			p.pause(ctx, lookInterval)
			continue
		}
		s, ok := p.observe(ctx)
		if !ok && ctx.Err() == nil {
			p.problem("the director doesn't answer")
		}
		if ok {
			p.expected(s)
		}
		p.pause(ctx, lookInterval)
	}
}

// observe asks the director and shows the table where it changed.
func (p *play) observe(ctx context.Context) (director.Status, bool) {
	s, err := p.farm.lb.client.Status(ctx)
	if err != nil || s.PID != p.farm.lb.proc().PID() {
		return s, false
	}
	p.farm.last = s
	if p.load == nil { // until all first checks are done, nobody is up
		return s, true
	}
	p.out.table(s, false)
	if fallbackUsed(s) {
		p.problem("the fallback was used")
	}
	for kind, n := range s.Kernel.Drifts {
		p.problem("the director found something to repair that nobody broke: %d %s", n, kind)
	}
	if e := s.Kernel.Error; e != "" {
		p.problem("kernel: %s", e)
	}
	return s, true
}

// expected holds every web server to the state that the story gives it.
func (p *play) expected(s director.Status) {
	for _, w := range p.farm.webs {
		want := director.StateDown
		if p.up[w] {
			want = director.StateUp
		}
		if r := realOf(s, w.addr); r.State != want {
			p.problem("%s was %s where it had to be %s: %s", w.name, r.State, want, r.Reason)
		}
	}
}

// untouched tells whether web servers that were out got requests nevertheless.
func (p *play) untouched() {
	for w, since := range p.outSince {
		if n := p.load.Since(since, w.name); n > 0 {
			p.problem("%s answered %s while it was out", w.name, count(n, "request"))
		}
	}
}

// returned waits for the first answer of a web server that is in again.
func (p *play) returned(sc *scene) {
	w := sc.act.web
	if w == nil || !sc.act.up {
		return
	}
	if !p.load.WaitFor(func(lab.Report) bool { return p.load.Since(sc.effect, w.name) > 0 }, requestDeadline) {
		p.problem("%s is in again and gets no requests", w.name)
	}
}

func (p *play) pause(ctx context.Context, d time.Duration) {
	if p.load != nil && p.out.due() {
		p.out.progress(p.load.Report(), p.names())
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (p *play) names() []string {
	var out []string
	for _, w := range p.farm.webs {
		out = append(out, w.name)
	}
	return append(out, demoFallback)
}

// judge holds what the client saw to the story: requests may fail only while a
// dead server isn't out yet.
func (p *play) judge(r lab.Report) {
	for _, lost := range r.Failed {
		sc := p.sceneOf(lost)
		sc.lost = append(sc.lost, lost)
		if !sc.excuses(lost) {
			p.problem("%s: a request failed: %v", sc.act.row, lost.Err)
		}
	}
	if r.OK == 0 {
		p.problem("no request was answered")
	}
	if d := r.Outage.Duration(); d > outageBound || r.Outage.Open {
		p.problem("for %s no request was answered", seconds(d))
	}
	if n := r.Servers[demoFallback].Count; n > 0 {
		p.problem("the fallback answered %s", count(n, "request"))
	}
	for _, name := range p.names()[:len(p.farm.webs)] {
		if r.Servers[name].Count == 0 {
			p.problem("%s answered no request", name)
		}
	}
}

// sceneOf finds the scene that a lost request belongs to: one that excuses it,
// else the one in which it began.
func (p *play) sceneOf(lost lab.Failure) *scene {
	began := &p.played[0]
	for i := range p.played {
		sc := &p.played[i]
		if sc.excuses(lost) {
			return sc
		}
		if !lost.Time.Before(sc.start) {
			began = sc
		}
	}
	return began
}

// excuses reports whether a lost request is what this scene is about: it was on
// the way when a server died, or came before the server was out.
func (sc *scene) excuses(lost lab.Failure) bool {
	return sc.act.lossy && lost.Time.Before(sc.effect) && lost.Time.Add(lost.After).After(sc.start)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
