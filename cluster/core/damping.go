package core

import (
	"math"
	"time"
)

// damping is route flap damping (RFC 2439): each loss by a fault costs, and it
// is forgotten by halves.
type damping struct {
	penalty float64
	at      time.Duration
	on      bool
}

const (
	flapCost     = 1000
	flapSuppress = 2500
	flapReuse    = 1000
	flapHalf     = 60 * time.Second
)

func (d *damping) value(now time.Duration) float64 {
	if d.penalty == 0 {
		return 0
	}
	return d.penalty * math.Exp2(-float64(now-d.at)/float64(flapHalf))
}

func (d *damping) add(now time.Duration) {
	d.penalty, d.at = d.value(now)+flapCost, now
}

// suppressed is whether everybody else goes first.
func (d *damping) suppressed(now time.Duration) bool {
	v := d.value(now)
	switch {
	case v > flapSuppress:
		d.on = true
	case v < flapReuse:
		d.on = false
	}
	return d.on
}

// pace slows claims down where there were many: three of one group within
// 30 s double the time after which a holder is dead.
type pace struct {
	claims  [3]time.Duration // the last ones, the newest first
	n       int
	double  int // times doubled, at most 3
	at      time.Duration
	asking  time.Duration // what Probe was told last
	foreign MAC           // told
}

const (
	paceWindow = 30 * time.Second
	paceDecay  = 60 * time.Second
)

func (p *pace) claim(c *Core, g *group) {
	now := c.now
	p.claims[2], p.claims[1], p.claims[0] = p.claims[1], p.claims[0], now
	if p.n++; p.n < 3 || now-p.claims[2] > paceWindow {
		return
	}
	p.n = 0
	p.double, p.at = min(int(math.Log2(float64(p.factor(now))))+1, 3), now
	c.note(g.name, Reason{Code: SlowedDown, N: 1 << p.double})
}

func (p *pace) factor(now time.Duration) time.Duration {
	if p.double == 0 {
		return 1
	}
	return 1 << max(p.double-int((now-p.at)/paceDecay), 0)
}
