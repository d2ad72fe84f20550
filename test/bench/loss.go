package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// strain is what a network or a machine does to directors that are well.
type strain struct {
	name string
	loss float64 // percent of all frames, each way
	busy bool    // others want the processor
}

var strains = []strain{
	{name: "10 % loss", loss: 10},
	{name: "20 % loss", loss: 20},
	{name: "30 % loss", loss: 30},
	{name: "busy loops", busy: true},
}

const narrow = "%-12s %-17s %6s %11s  %10s %18s  %12s %12s\n"

// benchLoss has many duos at once, each on a segment of its own, that nothing
// befalls but a bad network or a busy machine: every move of the address is one
// too many. Ours and the keepalived that they are compared with run together.
func benchLoss(b *bench) {
	net := lab.New(b.stage)
	var groups []*group
	for _, k := range kinds {
		groups = append(groups, b.group(net, k))
	}
	b.idle(groups)
	b.report.line(narrow, "strain", "directors", "pairs", "pair-hours", "failovers", "per pair and hour", "no holder", "two holders")
	for _, ours := range groups {
		for _, peer := range groups {
			if peer.beside == ours.name {
				b.strain(ours, peer)
			}
		}
	}
}

// strain starts groups of duos, lets every strain befall them all together, and
// stops them.
func (b *bench) strain(groups ...*group) {
	for _, g := range groups {
		g.start()
	}
	for _, s := range strains {
		for _, g := range groups {
			g.rest()
		}
		before := map[string]int{}
		for _, g := range groups {
			before[g.name] = g.masters()
		}
		clock := watchClock()
		start, end := b.bear(groups, s)
		pauses := clock.stop()
		for _, g := range groups {
			moves, none, many := g.moves(start, end)
			if !g.ours() {
				moves = g.masters() - before[g.name]
			}
			hours := end.Sub(start).Hours() * float64(len(g.duos))
			b.report.line(narrow, s.name, g.name, fmt.Sprint(len(g.duos)), fmt.Sprintf("%.2f", hours), fmt.Sprint(moves),
				fmt.Sprintf("%.1f", float64(moves)/hours), fmt.Sprintf("%.1f s", none.Seconds()), fmt.Sprintf("%.1f s", many.Seconds()))
		}
		b.confess(pauses, groups[0])
	}
	for _, g := range groups {
		g.stop()
	}
}

// confess tells how often the lab itself stood still, and what that explains.
func (b *bench) confess(pauses []pause, ours *group) {
	const wake = 10 * time.Second // the slower one of two that slept may be late by that
	if len(pauses) == 0 {
		return
	}
	var longest time.Duration
	near := map[change]bool{}
	for _, p := range pauses {
		longest = max(longest, p.took)
		for _, d := range ours.duos {
			for _, l := range d.directors {
				for _, c := range l.holds.after(p.over.Add(-p.took)) {
					if c.holds && c.at.Before(p.over.Add(wake)) {
						near[c] = true
					}
				}
			}
		}
	}
	b.report.note("the lab stood still %d times, for %s at most: %d of %s's failovers came within %s of that",
		len(pauses), whole(longest), len(near), ours.name, wake)
}

// bear lets a strain last its time.
func (b *bench) bear(groups []*group, s strain) (start, end time.Time) {
	lossy := func(percent float64) {
		for _, g := range groups {
			for _, d := range g.duos {
				// Where each host loses what it sends, every frame is lost with the
				// same probability, whoever it is for.
				for _, h := range []*lab.Host{d.directors[0].host, d.directors[1].host, d.client} {
					h.LossOut(percent)
				}
			}
		}
	}
	start = time.Now()
	lossy(s.loss)
	var spinners []*lab.Proc
	if s.busy {
		exe, err := os.Executable()
		b.stage.must(err)
		for range runtime.NumCPU() + 2 {
			spinners = append(spinners, groups[0].duos[0].client.Start(exe, "spin"))
		}
	}
	time.Sleep(time.Duration(b.minutes * float64(time.Minute)))
	for _, p := range spinners {
		p.Kill()
	}
	end = time.Now()
	lossy(0)
	return start, end
}

// moves is how often an address went to another director, and for how long
// none and two had it.
func (g *group) moves(start, end time.Time) (n int, none, many time.Duration) {
	for i, d := range g.duos {
		var all []*holding
		for _, l := range d.directors {
			taken := l.holds.taken(start)
			n += taken
			all = append(all, l.holds)
			if taken > 0 {
				d.b.tell("%s, pair %d: %s took the address %d times\n%s", g.name, i+1, l.name, taken, tail(l.proc.Output()))
			}
		}
		no, two := heldBy(all, start, end)
		none, many = none+no, many+two
	}
	return n, none, many
}

// masters is how often keepalived's directors became master, by their own
// words: the address of one that became master and backup at once stays behind
// in the kernel, which hides every later move.
func (g *group) masters() int {
	n := 0
	for _, d := range g.duos {
		for _, l := range d.directors {
			n += strings.Count(l.proc.Output(), "Entering MASTER STATE")
		}
	}
	return n
}

// spin wants the processor, for ever.
func spin() {
	for i := 0; ; i++ {
	}
}
