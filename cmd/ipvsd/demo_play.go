package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

const (
	// awaitInterval is how often the play asks a director for an effect: what it
	// tells of it is late by that much at most. lookInterval is how often it looks
	// whether all stays well.
	awaitInterval = 50 * time.Millisecond
	lookInterval  = 200 * time.Millisecond
	// A request is lost when its answer isn't there by then. A lab on a busy
	// machine stands still for longer than one would wait.
	requestDeadline = 3 * time.Second
	requestInterval = 20 * time.Millisecond
	// lateAfter is when an answer counts as part of an outage.
	lateAfter = 500 * time.Millisecond
	// An effect comes with the next check and its timeout, 4 s; the rest is for a
	// slow machine. So it is with the others.
	effectWithin   = 10 * time.Second
	takeoverWithin = 10 * time.Second
	startWithin    = 20 * time.Second
	headStart      = 500 * time.Millisecond
)

// play is one run of the story.
type play struct {
	farm *demoFarm
	out  *teller

	load     *lab.Load
	hold     *lab.Hold
	mark     time.Time // the end of the act before
	played   []*scene
	holder   *demoDaemon       // as the story wants it
	up       map[*demoWeb]bool // so, too
	outSince map[*demoWeb]time.Time
	problems []string
	stall    time.Duration // the longest that the lab stood still, as far as is known
}

// scene is an act that was played.
type scene struct {
	act        *act
	start, end time.Time
	result     string     // for the summary
	excused    time.Time  // requests begun until then may fail
	back       []*demoWeb // they must answer again
	report     lab.Report // of the requests that ended in it
}

func (sc *scene) sinceStart() time.Duration { return time.Since(sc.start) }

func newPlay(f *demoFarm, out *teller) *play {
	return &play{farm: f, out: out, up: map[*demoWeb]bool{}, outSince: map[*demoWeb]time.Time{}}
}

func (p *play) problem(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(p.problems, text) {
		p.problems = append(p.problems, text)
	}
}

// run plays all acts and returns what went wrong.
func (p *play) run(ctx context.Context) []string {
	p.out.farm(ctx, p.farm)
	if !p.raise(ctx) {
		return p.problems
	}
	first, second := p.farm.lbs[0], p.farm.lbs[1]
	if p.holder == second { // it was quicker: the roles of the story are dealt the other way round
		first, second = second, first
	}
	p.mark = time.Now()
	p.out.begin(p.mark)
	p.load = p.farm.client.Load(demoURL, lab.Every(requestInterval), lab.Deadline(requestDeadline), lab.Late(lateAfter))
	p.hold = p.farm.client.Hold("tcp", demoChat)
	acts := p.story(first, second)
	for i := range acts {
		if !p.act(ctx, &acts[i], i == len(acts)-1) {
			break
		}
	}
	report, held := p.load.Stop(), p.hold.Stop()
	if ctx.Err() != nil {
		return nil
	}
	p.judge(report, held)
	if len(p.played) == len(acts) {
		for _, d := range []*demoDaemon{second, first} { // the standby first: nobody has to move once more
			if err := d.stop(); err != nil {
				p.problem("%v", err)
			}
		}
	}
	p.out.summary(p.played, report, held, p.names())
	switch {
	case p.starved() && len(p.problems) > 0:
		p.out.remark(p.busy("That alone can spoil it; try again when it is quieter."))
	case p.starved():
		p.out.remark(p.busy("The figures are better on one that isn't."))
	}
	return p.problems
}

// raise starts the directors and waits until they are a cluster that answers.
func (p *play) raise(ctx context.Context) bool {
	start := time.Now()
	// The first one first: it is to be the active one, as a reader expects.
	p.farm.lbs[0].start()
	p.pause(ctx, headStart)
	p.farm.lbs[1].start()
	for _, w := range p.farm.webs {
		p.up[w] = true
	}
	_, ok := p.await(ctx, startWithin, p.farm.lbs[0], "both directors are ready and agree who is active", func(v demoView) bool {
		other, err := p.farm.lbs[1].look(ctx)
		if err != nil || !v.whole() || !other.whole() || v.group().Holder != other.group().Holder {
			return false
		}
		p.holder = p.farm.lbs[0]
		if v.group().Holder != p.holder.name {
			p.holder, v = p.farm.lbs[1], other
		}
		return v.holds() && p.wrongHolder() == ""
	})
	if !ok {
		return false
	}
	v, err := p.holder.look(ctx)
	p.farm.must(err)
	p.out.good(fmt.Sprintf("Both are ready after %s. %s takes the address: %s.", seconds(time.Since(start)), p.holder.name, v.group().Reason))
	for end := time.Now().Add(effectWithin); time.Now().Before(end) && ctx.Err() == nil; {
		if _, err := p.farm.client.Get(demoURL, time.Second); err == nil {
			return true
		}
	}
	p.problem("no request was answered at the start")
	return false
}

// act plays one act and reports whether the next one may come.
func (p *play) act(ctx context.Context, a *act, last bool) bool {
	sc := &scene{act: a, start: time.Now()}
	p.out.title(a.title, a.note)
	ok := a.play(ctx, sc)
	if ok {
		p.look(ctx, a.look)
		ok = p.alone(ctx)
	}
	if ctx.Err() != nil {
		return false
	}
	p.returned(sc)
	if last {
		p.load.Stop() // what is on the way belongs to it
	}
	sc.end = time.Now()
	sc.report = p.load.Between(p.mark, sc.end)
	p.mark = sc.end
	p.played = append(p.played, sc)
	held := p.hold.Report()
	p.out.client(sc.report, held, p.names())
	if held.Broken != nil {
		p.problem("%s: the held connection broke: %v", a.row, held.Broken)
	}
	if ok && a.after != nil {
		a.after(ctx)
		p.out.read(ctx)
	}
	return ok && ctx.Err() == nil
}

// await asks a director until seen, for within at most.
func (p *play) await(ctx context.Context, within time.Duration, d *demoDaemon, what string, seen func(demoView) bool) (demoView, bool) {
	for end := time.Now().Add(within); ; {
		v, err := d.look(ctx)
		if err == nil {
			p.sound(d, v)
			if seen(v) {
				return v, true
			}
		}
		if ctx.Err() != nil {
			return v, false
		}
		if time.Now().After(end) {
			why := "nothing"
			if err == nil {
				why = fmt.Sprintf("it is %s: %s", v.group().State, v.group().Reason)
			}
			p.problem("not within %v: %s; %s says %s", within, what, d.name, why)
			return v, false
		}
		p.pause(ctx, awaitInterval)
	}
}

// look looks on for a while, at what mustn't change.
func (p *play) look(ctx context.Context, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; {
		v, err := p.holder.look(ctx)
		switch {
		case err == nil:
			p.sound(p.holder, v)
			p.expected(v)
		case ctx.Err() == nil:
			p.problem("%s doesn't answer: %v", p.holder.name, err)
		}
		p.pause(ctx, lookInterval)
	}
}

// sound says what no director may ever find in this story.
func (p *play) sound(d *demoDaemon, v demoView) {
	for kind, n := range v.Kernel.Drifts {
		if n > 0 {
			p.problem("%s found something to repair that nobody broke: %d %s", d.name, n, kind)
		}
	}
	if e := v.Kernel.Error; e != "" {
		p.problem("%s: kernel: %s", d.name, e)
	}
}

// expected holds the director to its role, and every web server to the state
// that the story gives it.
func (p *play) expected(v demoView) {
	if !v.Active {
		p.problem("%s gave up the address without need: %s", p.holder.name, v.group().Reason)
	}
	for _, w := range p.farm.webs {
		want := director.StateDown
		if p.up[w] {
			want = director.StateUp
		}
		if r := v.real(w.addr); r.State != want {
			p.problem("%s was %s where it had to be %s: %s", w.name, r.State, want, r.Reason)
		}
	}
}

// alone waits until the kernels agree that one director has the address, the
// right one. A dead one's kernel drops it when its lifetime is over.
func (p *play) alone(ctx context.Context) bool {
	for end := time.Now().Add(effectWithin); ; p.pause(ctx, awaitInterval) {
		wrong := p.wrongHolder()
		if wrong == "" || ctx.Err() != nil {
			return true
		}
		if time.Now().After(end) {
			p.problem("%s", wrong)
			return false
		}
	}
}

// wrongHolder says which director has the address or lacks it and shouldn't; ""
// where all is right.
func (p *play) wrongHolder() string {
	for _, d := range p.farm.lbs {
		switch has := d.hasVIP(); {
		case has && d != p.holder:
			return fmt.Sprintf("%s has the address, which %s is to have", d.name, p.holder.name)
		case !has && d == p.holder:
			return d.name + " is to have the address and hasn't"
		}
	}
	return ""
}

// untouched tells whether web servers that were out until now got requests
// nevertheless.
func (p *play) untouched() {
	for w, since := range p.outSince {
		if n := p.load.Since(since, w.name); n > 0 {
			p.problem("%s answered %s while it was out", w.name, count(n, "request"))
		}
	}
	clear(p.outSince)
}

// returned waits for the first answers of the web servers that are in again.
func (p *play) returned(sc *scene) {
	for _, w := range sc.back {
		if !p.load.WaitFor(func(lab.Report) bool { return p.load.Since(sc.start, w.name) > 0 }, requestDeadline) {
			p.problem("%s is in again and gets no requests", w.name)
		}
	}
}

func (p *play) pause(ctx context.Context, d time.Duration) {
	if p.load != nil && p.out.due() {
		p.out.progress(p.load.Report())
	}
	start := time.Now()
	select {
	case <-ctx.Done():
	case <-time.After(d):
		p.stall = max(p.stall, time.Since(start)-d)
	}
}

func (p *play) names() []string {
	var out []string
	for _, w := range p.farm.webs {
		out = append(out, w.name)
	}
	return out
}

// showStatus shows what an operator sees on a director.
func (p *play) showStatus(ctx context.Context, d *demoDaemon) {
	if v, err := d.look(ctx); err == nil {
		p.out.status(d.name, v.Status)
	}
}

// showTable shows a virtual service as the active director has it.
func (p *play) showTable(ctx context.Context, virtual string) {
	if v, err := p.holder.look(ctx); err == nil {
		p.out.table(v.only(virtual))
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
