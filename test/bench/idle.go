package main

import (
	"fmt"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// group are duos of one kind, each on a segment of its own, without traffic and
// without checks.
type group struct {
	kind
	duos []*duo
}

// group makes the duos of a kind. The lab has one processor, and a fast profile
// wants twice of it: there are half as many.
func (b *bench) group(net *lab.Net, k kind) *group {
	n := b.pairs
	if k.profile == "fast" || k.beside == "ipvsd fast" {
		n = (n + 1) / 2
	}
	g := &group{kind: k}
	for i := range n {
		g.duos = append(g.duos, b.segment(net, fmt.Sprintf("a%d%s", i, k.profile+k.advert), 0).duo(k))
	}
	return g
}

func (g *group) start() {
	for _, d := range g.duos {
		d.start()
	}
}

func (g *group) stop() {
	for _, d := range g.duos {
		d.stop()
	}
}

// rest waits until every duo is whole. Where loss has left one in a state that
// it doesn't leave by itself, it is started anew, beside the others.
func (g *group) rest() {
	deadline := time.Now().Add(15 * time.Second)
	for _, d := range g.duos {
		if _, _, ok := d.await(max(0, time.Until(deadline))); !ok {
			d.b.tell("%s: doesn't come to rest, and is started anew\n%s", d.name, d.said())
			d.stop()
			d.start()
		}
	}
	for _, d := range g.duos {
		d.settled()
	}
}

// cpu is what the directors have used, by /proc/PID/stat.
func (g *group) cpu() time.Duration {
	var sum time.Duration
	for _, d := range g.duos {
		for _, l := range d.directors {
			sum += cpu(l.proc.PID())
		}
	}
	return sum
}

// idle tells what the processor has to do for directors that have nothing to do:
// the whole lab's work with them, less that without.
func (b *bench) idle(groups []*group) {
	const settle, span = 10 * time.Second, 20 * time.Second
	share := func() float64 {
		before, from := b.labCPU()
		time.Sleep(span)
		after, to := b.labCPU()
		return (after - before).Seconds() / to.Sub(from).Seconds()
	}
	lab, daemon := map[string]float64{}, map[string]float64{}
	for _, g := range groups {
		n := float64(2 * len(g.duos))
		none := share()
		g.start()
		g.rest()
		time.Sleep(settle)
		own := g.cpu()
		lab[g.name] = max(0, share()-none) / n
		daemon[g.name] = (g.cpu() - own).Seconds() / span.Seconds() / n
		g.stop()
	}
	percent := func(x float64) string { return fmt.Sprintf("%.2f %%", 100*x) }
	for _, k := range kinds {
		if k.beside == "" {
			continue
		}
		b.report.row(row{
			what: "CPU of an idle director, " + k.beside, ours: percent(lab[k.beside]),
			peer: k.name + " " + percent(lab[k.name]), ratio: quotient(lab[k.beside], lab[k.name]),
		})
		b.report.note("of a core, the lab's; by /proc/PID/stat the daemon's alone is %s, keepalived's %s", percent(daemon[k.beside]), percent(daemon[k.name]))
	}
}
