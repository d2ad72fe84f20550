package main

import (
	"context"
	"syscall"
	"time"

	ipvsd "github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

// fault is what befalls the active director, and how it is mended.
type fault struct {
	name string
	hurt func(d *duo, active *director)
	heal func(active *director)
	bar  bar

	oursOnly bool // keepalived has no such thing
	often    bool // its worst case is what counts: more runs
	gone     bool // nobody can reach the old director's address any more
}

// bar is what a fault may cost at most; zero: it isn't looked at.
type bar struct {
	clean  bool          // no request fails
	outage time.Duration // for the client, with the default profile …
	fast   time.Duration // … and with the fast one
	taken  time.Duration // until another director has the address
}

const (
	frozen  = 100 * time.Millisecond
	lost    = 600 * time.Millisecond
	lostNow = 260 * time.Millisecond
)

// faults in the order in which they are measured.
var faults = []fault{
	{
		name: "failover", oursOnly: true, bar: bar{clean: true},
		// What the command does, without the start of its process.
		hurt: func(d *duo, l *director) {
			var a ipvsd.FailoverAnswer
			if err := l.api.Post(context.Background(), "/v1/failover", struct{}{}, &a); err != nil || !a.OK {
				d.b.stage.Fatalf("failover: %v, %+v", err, a)
			}
		},
		heal: func(*director) {},
	},
	{
		name: "clean stop", bar: bar{clean: true},
		hurt: func(_ *duo, l *director) { l.proc.Signal(syscall.SIGTERM) },
		heal: func(l *director) {
			if l.proc.Wait(10*time.Second) == lab.ErrRunning {
				l.slay()
			}
			l.start()
		},
	},
	{
		name: "machine dead", often: true, gone: true, bar: bar{outage: lost, fast: lostNow},
		hurt: func(_ *duo, l *director) { l.host.Cut(); l.slay() },
		heal: func(l *director) { l.clear(); l.host.Heal(); l.start() },
	},
	{
		name: "cable cut", often: true, bar: bar{outage: lost, fast: lostNow},
		hurt: func(_ *duo, l *director) { l.host.Cut() },
		heal: func(l *director) { l.host.Heal() },
	},
	{
		name: "process killed", bar: bar{outage: frozen, fast: frozen, taken: 4 * time.Second},
		hurt: func(_ *duo, l *director) { l.slay() },
		heal: func(l *director) { l.start() },
	},
	{
		name: "process frozen", bar: bar{outage: frozen, fast: frozen, taken: 4 * time.Second},
		hurt: func(_ *duo, l *director) { l.signal(syscall.SIGSTOP) },
		heal: func(l *director) { l.signal(syscall.SIGCONT) },
	},
}

// outcome is what one fault did.
type outcome struct {
	outage        time.Duration // for a client that asks every 20 ms
	failed, asked int
	taken         time.Duration // until the other director had the address; forever: not within patience
	kept          bool          // the held connection lives on
	left          bool          // at the end, the old director still had the address
	nobody        time.Duration // neither had it
	void          string        // why this says nothing about the directors; "": it does
	stood         time.Duration // for how long the lab itself stood still
	report        lab.Report
	hold          lab.HoldReport
}

const (
	forever  = time.Duration(1<<63 - 1)
	patience = 15 * time.Second

	// known is after how long the standby surely has a new connection: the
	// kernel sends it after its third packet, within 2 s and a tick of 1 s.
	known = 4 * time.Second
	// apart are faults that are taken each for itself. ipvsd waits longer for a
	// silent director when it took the addresses three times within 30 s.
	apart = 16 * time.Second
	// watched is how long a fault is looked at. By then the kernel has let go an
	// address whose lifetime (2 s) nobody renews.
	watched = 5 * time.Second
	// spare: a request that began while the address was nobody's must not be
	// saved by the kernel's second try, 1 s later.
	spare = 900 * time.Millisecond
)

// hit lets a fault befall the active director while one client opens
// connections and another one holds its own.
func (d *duo) hit(f fault) outcome {
	active, other := d.settled()
	hold := d.client.Hold("tcp", sharedEcho)
	time.Sleep(max(known, time.Until(d.rested)))
	if !active.holds.has() || other.holds.has() {
		return outcome{void: "the address moved by itself\n" + d.said()}
	}
	clock := watchClock()
	load := d.client.Load(sharedURL, lab.Deadline(spare))
	time.Sleep(500 * time.Millisecond)

	start := time.Now()
	d.rested = start.Add(apart)
	f.hurt(d, active)
	out := outcome{taken: forever}
	for time.Since(start) < patience {
		if holds, since := other.holds.now(); holds {
			out.taken = since.Sub(start)
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	// Only what comes after the move tells that the connection outlived it.
	time.Sleep(200 * time.Millisecond)
	answered := hold.Report().Answered
	time.Sleep(max(time.Second, time.Until(start.Add(watched))))
	out.left = active.holds.has()
	out.nobody, _ = heldBy([]*holding{active.holds, other.holds}, start, time.Now())
	out.report = load.Stop()
	out.outage = out.report.Outage.Duration()
	out.failed, out.asked = len(out.report.Failed), out.report.Sent
	// Both ends try again ever more rarely: 0.2, 0.4, 0.8, … s.
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		r := hold.Report()
		if out.kept = r.Broken == nil && r.Answered > answered; out.kept || r.Broken != nil {
			break
		}
	}
	out.hold = hold.Stop()
	for _, p := range clock.stop() {
		out.stood = max(out.stood, p.took)
	}
	f.heal(active)
	return out
}
