package config

import (
	"fmt"
	"slices"
	"time"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/pool"
)

// The defaults of fail_open and damping, where they are used, and limits.
const (
	defaultPercent    = 50
	defaultFailWithin = span(30 * time.Second)
	defaultHold       = span(10 * time.Minute)
	defaultFalls      = 5
	defaultFallWithin = span(10 * time.Minute)
	defaultCalm       = span(10 * time.Minute)

	maxTier      = 9
	maxFalls     = 100
	minSlowStart = time.Second
	maxSlowStart = time.Hour
)

// These schedulers of the kernel don't give each real server its weight's share
// of the connections: rr, lc and dh know zero and more only, fo and ovf fill the
// heaviest first, sh deals its 256 buckets out by weight until none is left.
var shareless = []string{"rr", "lc", "dh", "sh", "fo", "ovf"}

// pool reads how the real servers share the connections.
func (b *virtualReader) pool(v Virtual) pool.Policy {
	b.checkPercent()
	b.checkTiers(v)
	return pool.Policy{
		MinUp:     b.minUp(v),
		SlowStart: b.slowStart(),
		FailOpen:  b.failOpen(),
		Damping:   b.damping(),
	}
}

// Fine tells whether real servers get parts of their weight, in a slow start or
// because they are asked what they want, and the scheduler can tell parts.
func (v Virtual) Fine() bool {
	agents := slices.ContainsFunc(v.Reals, func(r Real) bool { return r.Check.Type == checker.Agent })
	return (v.Pool.SlowStart > 0 || agents) && !slices.Contains(shareless, v.Service.Scheduler)
}

// weight reads a real server's.
func (b *virtualReader) weight(raw *rawReal) uint32 {
	if raw.Weight == nil {
		return 1
	}
	return b.number(&raw.at, "weight", &raw.Weight.n, 1, 0, 65535)
}

// checkPercent wants weights in percent of all real servers or of none.
func (b *virtualReader) checkPercent() {
	var with, without, sum int
	firstWith, firstWithout := -1, -1
	for i := range b.raw.Reals {
		raw := &b.raw.Reals[i]
		switch {
		case raw.bad["weight"]:
			return
		case raw.Weight != nil && raw.Weight.percent:
			if with++; firstWith < 0 {
				firstWith = i
			}
			sum += int(raw.Weight.n)
		default:
			if without++; firstWithout < 0 {
				firstWithout = i
			}
		}
	}
	if with == 0 {
		return
	}
	place := &b.raw.Reals[firstWith].at
	switch {
	case without > 0:
		odd := &b.raw.Reals[firstWithout].at
		b.report.key(odd, "weight", "the one in line %d is in percent, so all of this virtual service are; write it like \"30%%\"", place.line("weight"))
	case sum > 100:
		b.report.key(place, "weight", "the real servers of this virtual service have %d%% together; 100%% is all there is", sum)
	case slices.Contains(shareless, b.service.Scheduler) && !b.raw.bad["scheduler"]:
		b.report.key(place, "weight", "scheduler = %q doesn't share by weight; write scheduler = \"wlc\" or \"wrr\", or a number", b.service.Scheduler)
	}
}

// checkTiers wants a first tier. A backup that nobody checks would never come in.
func (b *virtualReader) checkTiers(v Virtual) {
	tiered := -1
	for i := range b.raw.Reals {
		switch raw := &b.raw.Reals[i]; {
		case raw.bad["tier"]:
			return
		case or(raw.Tier, 1) == 1:
			tiered = -2
		case tiered == -1:
			tiered = i
		}
	}
	if tiered >= 0 {
		b.report.key(&b.raw.Reals[tiered].at, "tier", "no real server of this virtual service has tier 1, which serves first; count from there")
	}
	if !v.tiered() || !b.unchecked() {
		return
	}
	for i := range b.raw.Reals {
		if raw := &b.raw.Reals[i]; or(raw.Tier, 1) > 1 {
			b.report.key(&raw.at, "tier", "with check type \"off\" nobody knows whether the tiers before are up; leave it out or check them")
			return
		}
	}
}

func (v Virtual) tiered() bool {
	return slices.ContainsFunc(v.Reals, func(r Real) bool { return r.Tier > 1 })
}

// unchecked tells whether the real servers never have a verdict.
func (b *virtualReader) unchecked() bool { return b.checked.spec.Type == checker.Off }

// unchanging tells whether they never have another one than the first.
func (b *virtualReader) unchanging() bool {
	return b.checked.known && (b.unchecked() || b.checked.spec.Type == checker.On)
}

func (b *virtualReader) minUp(v Virtual) int {
	n := max(int(b.number(&b.raw.at, "min_up", b.raw.MinUp, 1, 0, 65535)), 1) // 0 is 1
	if n <= 1 || b.raw.bad["min_up"] || b.raw.bad["real"] {
		return n
	}
	switch {
	case n > len(b.raw.Reals):
		b.fail("min_up", "%d, and there are %d real servers; so many can never be up", n, len(b.raw.Reals))
	case b.unchecked():
		b.fail("min_up", "with check type \"off\" nobody knows how many are up; leave it out")
	case !b.raw.has("fallback") && !v.tiered():
		b.fail("min_up", "without a fallback or a second tier nobody would take over; add fallback = { address = \"…\" } or tier = 2 in a [[virtual.real]]")
	}
	return n
}

func (b *virtualReader) slowStart() time.Duration {
	d := or(b.raw.SlowStart, 0).duration()
	switch scheduler := b.service.Scheduler; {
	case d == 0:
	case d < minSlowStart || d > maxSlowStart:
		b.fail("slow_start", "%q is out of range; write \"0s\" for none, or \"1s\" to \"1h\"", d)
	case b.unchanging():
		b.fail("slow_start", "with check type %q no real server ever comes up; leave it out", b.checked.spec.Type)
	case b.raw.bad["scheduler"]:
	case slices.Contains(shareless, scheduler):
		b.fail("slow_start", "scheduler = %q doesn't share by weight; write scheduler = \"wlc\" or \"wrr\", or leave it out", scheduler)
	case scheduler == "mh":
		b.fail("slow_start", "with scheduler = \"mh\" every step would move clients to other real servers; leave it out")
	}
	return d
}

func (b *virtualReader) failOpen() pool.FailOpen {
	raw := b.raw.FailOpen
	if raw == nil {
		return pool.FailOpen{}
	}
	f := pool.FailOpen{
		Percent: int(b.number(&raw.at, "percent", raw.Percent, defaultPercent, 1, 99)),
		Within:  or(raw.Within, defaultFailWithin).duration(),
		Hold:    or(raw.Hold, defaultHold).duration(),
	}
	// The checks of servers that fail together don't fail together: each has
	// its own phase, and may need its whole timeout.
	spread := b.checked.spec.Interval + b.checked.spec.Timeout
	switch {
	case b.unchanging():
		b.fail("fail_open", "with check type %q no real server ever fails; leave it out", b.checked.spec.Type)
	case len(b.raw.Reals) < 2:
		b.fail("fail_open", "one real server that fails is no mass of them; it needs two at least")
	case !raw.bad["within"] && f.Within < spread:
		b.report.key(&raw.at, "within", "%q is too short: checks every %s with a timeout of %s notice a failure of all only within %q; write that or more",
			f.Within, b.checked.spec.Interval, b.checked.spec.Timeout, spread)
	case !raw.bad["hold"] && !raw.bad["within"] && f.Hold < f.Within:
		b.report.key(&raw.at, "hold", "%q is shorter than within = %q, so it would begin anew at once; write that or more", f.Hold, f.Within)
	}
	return f
}

func (b *virtualReader) damping() pool.Damping {
	raw := b.raw.Damping
	if raw == nil {
		return pool.Damping{}
	}
	d := pool.Damping{
		Falls:  int(b.number(&raw.at, "falls", raw.Falls, defaultFalls, 1, maxFalls)),
		Within: or(raw.Within, defaultFallWithin).duration(),
		Calm:   or(raw.Calm, defaultCalm).duration(),
	}
	interval := b.checked.spec.Interval
	switch {
	case b.unchanging():
		b.fail("damping", "with check type %q no real server ever falls; leave it out", b.checked.spec.Type)
	case !raw.bad["within"] && d.Within < interval*time.Duration(d.Falls):
		b.report.key(&raw.at, "within", "%q is too short for more than %d falls with a check every %s; write %q or more",
			d.Within, d.Falls, interval, interval*time.Duration(d.Falls))
	case !raw.bad["calm"] && d.Calm < interval:
		b.report.key(&raw.at, "calm", "%q is shorter than the checks' interval of %s, so nobody would notice; write that or more", d.Calm, interval)
	}
	return d
}

// poolSettings are the rules in words, "none" where there are none.
func poolSettings(v Virtual) []setting {
	p, slow, open, damping := v.Pool, "none", "none", "none"
	if p.SlowStart > 0 {
		slow = p.SlowStart.String()
	}
	if f := p.FailOpen; f != (pool.FailOpen{}) {
		open = fmt.Sprintf("%d%% within %s, hold %s", f.Percent, f.Within, f.Hold)
	}
	if d := p.Damping; d != (pool.Damping{}) {
		damping = fmt.Sprintf("%d falls within %s, calm %s", d.Falls, d.Within, d.Calm)
	}
	return []setting{
		{"min_up", fmt.Sprint(p.MinUp)},
		{"slow_start", slow},
		{"fail_open", open},
		{"damping", damping},
	}
}

// shareSettings are what only a pool makes of a real server.
func shareSettings(r Real) []setting {
	return []setting{
		{"weight in percent", fmt.Sprint(r.Percent)},
		{"tier", fmt.Sprint(max(r.Tier, 1))},
	}
}
