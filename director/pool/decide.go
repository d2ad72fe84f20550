package pool

import (
	"fmt"
	"time"

	"github.com/ipvsd/ipvsd/checker"
)

// standing is what the rules have found of a server so far.
type standing struct {
	weight uint32
	rising bool // its slow start isn't over
	kept   bool // by fail-open only
	spare  bool // damped, but up
}

// Decide applies the rules to the servers as they are now. The memory is that of
// Look for the same servers and moment; the zero Memory has seen nothing.
func Decide(r Rules, servers []Server, m Memory, now time.Time) Decision {
	d := Decision{Shares: make([]Share, len(servers))}
	fine, text := r.fineness(servers)
	have := make([]standing, len(servers))
	serving := 0
	for i, s := range servers {
		have[i] = r.stand(s, m, now, fine, text, &d.Shares[i])
		if have[i].weight > 0 && !have[i].spare {
			serving++
		}
	}
	r.recall(&d, have, serving)
	r.tiers(&d, servers, have)
	for i := range have {
		if d.Shares[i].Weight = have[i].weight; have[i].weight > 0 {
			d.Up++
		}
	}
	if r.Fallback && d.Up < r.need() {
		d.Fallback, d.Why = true, "no real server is up"
		if d.Up > 0 {
			d.Why = fmt.Sprintf("%d of the %d real servers that min_up asks for are up", d.Up, r.need())
		}
		for i := range d.Shares {
			if sh := &d.Shares[i]; sh.Weight > 0 {
				sh.Weight, sh.Why = 0, "the fallback serves: "+d.Why
			}
		}
	}
	d.Open = m.text(now)
	return d
}

// stand is what a server would have by itself.
func (r Rules) stand(s Server, m Memory, now time.Time, fine uint32, text string, sh *Share) standing {
	rec := m.records[s.Addr]
	var st standing
	switch {
	case s.Barred: // the person's word is the reason, and not ours to tell
	case s.State == checker.Up:
		st.weight, st.rising = r.weigh(s, rec, now, fine, text, sh)
		if rec.damped && r.Damping.Falls > 0 {
			st.spare, sh.Damped, sh.Passing = true, true, true
			sh.Until = rec.changed.Add(r.Damping.Calm)
			sh.Why = fmt.Sprintf("flapping: more than %d falls within %s, out until it is calm for %s (%s left)",
				r.Damping.Falls, words(r.Damping.Within), words(r.Damping.Calm), words(left(rec.changed, r.Damping.Calm, now)))
		}
	case s.waits():
		st.weight = s.Held
	case m.keeps(s, rec):
		st.weight, st.rising = r.weigh(s, rec, now, fine, text, sh)
		st.kept, sh.Passing = true, true
		sh.Until = m.open.until
		sh.Why = "kept in by fail_open"
	default:
		sh.Dead = true
	}
	return st
}

// recall decides about those that are damped: they come in after all where too
// few others serve, so that damping never makes an outage of an unsteady pool.
func (r Rules) recall(d *Decision, have []standing, serving int) {
	for i := range have {
		if !have[i].spare {
			continue
		}
		if serving < r.need() {
			d.Shares[i].Why, d.Shares[i].Damped = "flapping, but too few others serve", false
		} else {
			have[i].weight = 0
		}
	}
}

// tiers takes the weight of backups that aren't needed. A server counts for its
// tier once its slow start is over: until then its backup goes on beside it.
func (r Rules) tiers(d *Decision, servers []Server, have []standing) {
	last := 1
	for _, s := range servers {
		last = max(last, s.tier())
	}
	for tier := 1; tier < last; tier++ {
		up := 0
		for i, s := range servers {
			if s.tier() <= tier && have[i].weight > 0 && !have[i].rising && !have[i].kept {
				up++
			}
		}
		if up < r.need() {
			continue
		}
		for i, s := range servers {
			if s.tier() > tier && have[i].weight > 0 {
				have[i].weight = 0
				d.Shares[i].Why = fmt.Sprintf("backup: %d of the tiers before are up", up)
				if d.Shares[i].Dead = have[i].kept; have[i].kept {
					d.Shares[i].Why = ""
				}
			}
		}
		return
	}
}

// left is how much of a time that began at since is left.
func left(since time.Time, whole time.Duration, now time.Time) time.Duration {
	return max(since.Add(whole).Sub(now), 0)
}

// words prints a duration without what nobody reads.
func words(d time.Duration) string {
	if d >= 10*time.Second {
		d = d.Round(time.Second)
	} else {
		d = d.Round(100 * time.Millisecond)
	}
	return d.String()
}
