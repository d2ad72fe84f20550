package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ipvsd/ipvsd/director"
)

// act is one scene: somebody does something, and the cluster answers.
type act struct {
	title string
	note  string // what to look for, if it isn't plain
	row   string // its name in the summary
	// play does it and sees what came; false: it didn't, the story can't go on.
	play func(context.Context, *scene) bool
	look time.Duration // how long the story stays with the effect
	// after shows something when the client has told what it saw.
	after func(context.Context)

	slack  int           // requests that may fail without an excuse
	outage time.Duration // the longest that the client may see
}

// A lab on a busy machine stands still now and then: what an act may cost has
// room for that. What is usual is in the output.
const (
	noiseSlack  = 3
	noiseOutage = 2 * time.Second
	moveSlack   = 10 // connections in the middle of their handshake while the address moves
	deathOutage = 6 * time.Second

	failoverTries = 3
)

// shortLook and longLook are how long the story stays with an effect. A request
// that a death has hit ends within longLook, so that it counts in its act.
const (
	shortLook = 2200 * time.Millisecond
	longLook  = requestDeadline + 500*time.Millisecond
)

// story is the whole play in order. The first is the director that is active at
// its beginning, and that is the one it ends with.
func (p *play) story(first, second *demoDaemon) []act {
	web1, web2 := p.farm.webs[0], p.farm.webs[1]
	acts := []act{
		{
			title: "An ordinary day",
			note:  "The client opens a connection every 20 ms and holds one to chat; " + first.name + " deals them out.",
			row:   "an ordinary day",
			play: func(_ context.Context, sc *scene) bool {
				sc.result = first.name + " is active"
				return true
			},
			after: func(ctx context.Context) { p.showStatus(ctx, first) },
		},
		{
			title: "A web server dies",
			note:  "Only requests that come to it before its next check fail.",
			row:   "web1: nginx killed",
			play: func(ctx context.Context, sc *scene) bool {
				p.out.event(plain, "on web1: kill -9 for nginx")
				web1.kill()
				return p.goesOut(ctx, sc, web1)
			},
		},
		{
			title: "A web server breaks",
			note:  "It answers as quickly as before. No new connections for it; what it has begun it finishes.",
			row:   "web2: page broken",
			play: func(ctx context.Context, sc *scene) bool {
				p.out.event(plain, `on web2: the test page says "Sorry, the database is gone."`)
				web2.page(brokenPage)
				return p.goesOut(ctx, sc, web2)
			},
			after: func(ctx context.Context) { p.showTable(ctx, "web") },
		},
		{
			title: "Both are repaired",
			row:   "both repaired",
			play: func(ctx context.Context, sc *scene) bool {
				p.out.event(plain, "on web1: nginx starts again; on web2: the test page is right again")
				p.untouched()
				web1.start()
				web2.page(testPage)
				return p.comesBack(ctx, sc, web1) && p.comesBack(ctx, sc, web2)
			},
		},
		{
			title: "Planned work: the active director hands over",
			note:  "The successor takes the address before the holder lets go, and it knows the connections.",
			row:   "ipvsd failover",
			play:  func(ctx context.Context, sc *scene) bool { return p.handsOver(ctx, sc, first, second) },
			slack: moveSlack,
		},
		{
			title:  "The machine of the active director dies",
			note:   "Nobody says goodbye. The other one has to notice, and to be sure.",
			row:    second.name + ": machine dead",
			play:   func(ctx context.Context, sc *scene) bool { return p.takesOver(ctx, sc, first, second) },
			look:   longLook,
			after:  func(ctx context.Context) { p.showStatus(ctx, first) },
			slack:  moveSlack,
			outage: deathOutage,
		},
		{
			title: "The dead director returns",
			note:  "One that is well keeps the role: no move without need.",
			row:   second.name + ": back",
			play:  func(ctx context.Context, sc *scene) bool { return p.returns(ctx, sc, first, second) },
		},
	}
	for i := range acts {
		a := &acts[i]
		a.look, a.slack, a.outage = max(a.look, shortLook), max(a.slack, noiseSlack), max(a.outage, noiseOutage)
	}
	return acts
}

func (p *play) goesOut(ctx context.Context, sc *scene, w *demoWeb) bool {
	p.up[w] = false
	v, ok := p.await(ctx, effectWithin, p.holder, w.name+" is out", func(v demoView) bool {
		r := v.real(w.addr)
		return r.State == director.StateDown && r.Weight == 0
	})
	if !ok {
		return false
	}
	sc.excused = time.Now()
	p.outSince[w] = sc.excused
	sc.result = fmt.Sprintf("out after %s", seconds(sc.sinceStart()))
	p.out.event(yellow, fmt.Sprintf("%s is out after %s: %s", w.name, seconds(sc.sinceStart()), v.real(w.addr).Reason))
	return true
}

func (p *play) comesBack(ctx context.Context, sc *scene, w *demoWeb) bool {
	p.up[w] = true
	v, ok := p.await(ctx, effectWithin, p.holder, w.name+" is in again", func(v demoView) bool {
		r := v.real(w.addr)
		return r.State == director.StateUp && r.Weight > 0
	})
	if !ok {
		return false
	}
	sc.back = append(sc.back, w)
	sc.result = fmt.Sprintf("in again after %s", seconds(sc.sinceStart()))
	p.out.event(green, fmt.Sprintf("%s is in again after %s: %s", w.name, seconds(sc.sinceStart()), v.real(w.addr).Reason))
	return true
}

// handsOver moves the address from one director to the other as an operator does.
func (p *play) handsOver(ctx context.Context, sc *scene, from, to *demoDaemon) bool {
	p.holder = to
	if !p.failover(ctx, from, to) {
		return false
	}
	v, ok := p.await(ctx, effectWithin, to, to.name+" is active", demoView.holds)
	if !ok {
		return false
	}
	p.out.event(green, to.name+" is active: "+v.group().Reason)
	if v, ok = p.await(ctx, effectWithin, from, from.name+" is standby", func(v demoView) bool {
		return !v.Active && v.group().State == "standby"
	}); !ok {
		return false
	}
	p.out.event(plain, from.name+" is standby: "+v.group().Reason)
	sc.result = "handed over to " + to.name
	return true
}

// failover is what the operator types. The successor has to answer at once, which
// in a lab that stands still it can't: then nothing is moved, and he tries again.
func (p *play) failover(ctx context.Context, from, to *demoDaemon) bool {
	for try := 1; ; try++ {
		printed, err := from.host.Try(p.farm.exe, "failover", "--to", to.name)
		p.out.event(plain, "on "+from.name+": ipvsd failover --to "+to.name)
		p.out.block(printed)
		if err == nil {
			return true
		}
		if try == failoverTries || ctx.Err() != nil {
			p.problem("ipvsd failover: %v", err)
			return false
		}
		p.pause(ctx, time.Second)
		if v, err := to.look(ctx); err == nil && v.holds() {
			return true // it came to that after all
		}
		p.out.event(yellow, "this machine is busy: once more")
	}
}

// takesOver has one director die and the other one take its place.
func (p *play) takesOver(ctx context.Context, sc *scene, heir, dead *demoDaemon) bool {
	p.holder = heir
	dead.die()
	p.out.event(plain, "on "+dead.name+": the cable is cut, and kill -9 for ipvsd")
	v, ok := p.await(ctx, takeoverWithin, heir, heir.name+" is active", demoView.holds)
	if !ok {
		return false
	}
	took := sc.sinceStart()
	sc.excused = time.Now().Add(time.Second) // until the last one on the network has heard the announcement
	sc.result = fmt.Sprintf("%s active after %s", heir.name, seconds(took))
	why := v.group().Reason
	if l := v.group().Last; l != nil {
		why = l.Reason
	}
	p.out.event(green, fmt.Sprintf("%s is active after %s: %s", heir.name, seconds(took), why))
	return p.expires(ctx, dead)
}

// expires waits until the kernel of a dead director has dropped the address: its
// process had to renew it.
func (p *play) expires(ctx context.Context, d *demoDaemon) bool {
	for end := time.Now().Add(effectWithin); d.hasVIP(); p.pause(ctx, awaitInterval) {
		if ctx.Err() != nil {
			return false
		}
		if time.Now().After(end) {
			p.problem("the kernel of %s, whose ipvsd is dead, still has the address", d.name)
			return false
		}
	}
	p.out.event(plain, "the kernel of "+d.name+" has dropped the address by itself: nobody renews it")
	return true
}

// returns has the dead director come back, to a cluster that doesn't need it now.
func (p *play) returns(ctx context.Context, sc *scene, holder, dead *demoDaemon) bool {
	p.out.event(plain, dead.name+" is plugged in again, and ipvsd starts")
	dead.host.Heal()
	dead.start()
	v, ok := p.await(ctx, startWithin, dead, dead.name+" is standby", func(v demoView) bool {
		return v.whole() && !v.Active && v.group().State == "standby" && v.group().Holder == holder.name
	})
	if !ok {
		return false
	}
	sc.result = fmt.Sprintf("standby after %s", seconds(sc.sinceStart()))
	p.out.event(green, fmt.Sprintf("%s is standby after %s: %s", dead.name, seconds(sc.sinceStart()), v.group().Reason))
	return true
}
