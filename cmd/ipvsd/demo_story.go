package main

import (
	"fmt"
	"slices"

	"github.com/ipvsd/ipvsd/director"
)

// act is one scene: somebody does something, and the farm answers.
type act struct {
	say    string // what is done
	note   string // what to look for, if it isn't plain
	do     func()
	effect string                                      // what must come: "web1 is out"
	seen   func(director.Status) (how string, ok bool) // nil: nothing to wait for
	row    string                                      // its name in the summary

	web      *demoWeb // whose state the act changes; nil: nobody's
	up       bool     // to up or to down
	lossy    bool     // requests may fail until the effect is seen
	noDaemon bool     // nobody answers for the table from here on
}

// story is the whole play in order.
func story(f *demoFarm) []act {
	web1, web2 := f.webs[0], f.webs[1]
	dealt := uint64(0)
	return []act{
		{
			say:    "An ordinary day.",
			note:   "A new connection every 20 ms; the kernel deals them out in turn.",
			do:     func() {},
			effect: "all three serve",
			row:    "an ordinary day",
		},
		goesOut(web1, act{
			say:   "web1 dies: kill -9 for its nginx.",
			note:  "Requests fail only if they come to web1 before its next check.",
			do:    web1.kill,
			row:   "web1: nginx killed",
			lossy: true,
		}),
		goesOut(web2, act{
			say:  "web2 breaks: nginx answers as before, but the test page is wrong.",
			note: "It gets no new connections. What it has begun to answer it finishes.",
			do:   func() { web2.page(brokenPage) },
			row:  "web2: page broken",
		}),
		comesBack(web1, act{
			say: "On web1, nginx starts again.",
			do:  web1.start,
			row: "web1: nginx started",
		}),
		comesBack(web2, act{
			say: "On web2, the test page is repaired.",
			do:  func() { web2.page(testPage) },
			row: "web2: page repaired",
		}),
		{
			say:  "The director dies: kill -9 for ipvsd.",
			note: "Nobody checks now, but the kernel has the table and goes on balancing.",
			do: func() {
				dealt = connections(f.last)
				f.lb.proc().Kill()
			},
			effect:   "no director",
			noDaemon: true,
			row:      "director: killed",
		},
		{
			say:    "The director starts again.",
			note:   "It takes over what the kernel holds; no connection notices.",
			do:     f.lb.start,
			effect: "ready",
			seen: func(s director.Status) (string, bool) {
				now := connections(s)
				return fmt.Sprintf("the kernel's counter has run on to %d connections", now), ready(s) && now >= dealt && dealt > 0
			},
			row: "director: started again",
		},
	}
}

func goesOut(w *demoWeb, a act) act {
	a.web, a.up, a.effect = w, false, w.name+" is out"
	a.seen = func(s director.Status) (string, bool) {
		r := realOf(s, w.addr)
		return r.Reason, r.State == director.StateDown && r.Weight == 0
	}
	return a
}

func comesBack(w *demoWeb, a act) act {
	a.web, a.up, a.effect = w, true, w.name+" is in again"
	a.seen = func(s director.Status) (string, bool) {
		r := realOf(s, w.addr)
		return r.Reason, r.State == director.StateUp && r.Weight > 0
	}
	return a
}

// ready is a director that has programmed the kernel, knows its real servers
// and has its address.
func ready(s director.Status) bool {
	return s.Ready && len(s.Addresses) > 0 && !slices.ContainsFunc(s.Addresses, func(a director.AddressStatus) bool {
		return a.State == director.AddressMissing || a.Error != ""
	})
}

// realOf finds a real server by its address.
func realOf(s director.Status, addr string) director.RealStatus {
	for _, v := range s.Virtuals {
		for _, r := range v.Reals {
			if r.Address == addr {
				return r
			}
		}
	}
	return director.RealStatus{}
}

// fallbackUsed tells whether a virtual service is on its fallback.
func fallbackUsed(s director.Status) bool {
	return slices.ContainsFunc(s.Virtuals, func(v director.VirtualStatus) bool { return v.Fallback })
}

// connections is how many the kernel has dealt out since it got the table.
func connections(s director.Status) uint64 {
	n := uint64(0)
	for _, v := range s.Virtuals {
		n += v.Counters.Connections
	}
	return n
}
