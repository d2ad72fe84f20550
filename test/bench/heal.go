package main

import (
	"fmt"
	"time"
)

// heals times for how long two directors have the address after a partition
// between them is healed. Both have it where nobody is asked for a quorum.
func (b *bench) heals(s *segment) {
	const most = 200 * time.Millisecond
	ours := map[string]time.Duration{}
	for _, k := range kinds {
		n := b.few
		if k.ours() {
			k.quorum, n = "none", b.runs
		}
		d := s.duo(k)
		d.start()
		var both []time.Duration
		for i := range n {
			both = append(both, d.reunite())
			b.tell("%s, healed, run %d: %s", k.name, i+1, whole(both[i]))
		}
		d.settled()
		d.stop()
		what := fmt.Sprintf("two holders after a partition is healed, worst of %d", n)
		if !k.ours() {
			b.report.row(row{what: "  keepalived's", peer: k.name + " " + whole(worst(both)), ratio: quotient(ours[k.beside], median(both))})
			continue
		}
		ours[k.name] = median(both)
		if k.profile != "" {
			what = "  profile " + k.profile
		}
		b.report.row(row{what: what, ours: whole(worst(both)), bar: "≤ 200 ms", pass: worst(both) <= most})
		b.report.note("median %s", whole(median(both)))
	}
}

// reunite parts the standby from everybody, by loss, so that no cable tells it;
// when it has the address, too, the loss ends.
func (d *duo) reunite() time.Duration {
	active, other := d.settled()
	time.Sleep(time.Until(d.rested))
	d.rested = time.Now().Add(apart)
	other.host.LossIn(100)
	other.host.LossOut(100)
	d.b.within(patience, "both have the address", time.Now(), func() bool { return other.holds.has() && active.holds.has() })
	time.Sleep(3 * time.Second) // gossip has given the other up, too
	other.host.LossOut(0)
	other.host.LossIn(0)
	start := time.Now()
	d.b.within(patience, "one has the address", start, func() bool { return !other.holds.has() || !active.holds.has() })
	_, left := other.holds.now()
	if !active.holds.has() {
		_, left = active.holds.now()
	}
	return max(left.Sub(start), 0)
}
