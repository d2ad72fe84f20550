package pool

import (
	"fmt"
	"strings"
	"time"
)

const (
	maxWeight  = 65535 // ipvsadm's; the kernel takes more
	finest     = 100   // what the smallest weight is at least, where weights are fine
	allPercent = 100
)

// fineness is the number that all weights are multiplied with, and its reason.
// The ratios stay: each server's share of the connections is the file's.
func (r Rules) fineness(servers []Server) (uint32, string) {
	if !r.Fine {
		return 1, ""
	}
	var least, most uint32
	for _, s := range servers {
		if s.Weight > 0 && (least == 0 || s.Weight < least) {
			least = s.Weight
		}
		most = max(most, s.Weight)
	}
	if least == 0 {
		return 1, ""
	}
	n := min((finest+least-1)/least, maxWeight/most)
	if n <= 1 {
		return 1, ""
	}
	return n, fmt.Sprintf("weights count %d times, so that parts of them can be told", n)
}

// weigh is the weight of a server that serves: the file's, by what its agent
// says and by how far its slow start is. One that is more than nothing stays so.
func (p Policy) weigh(s Server, rec record, now time.Time, fine uint32, text string, sh *Share) (weight uint32, rising bool) {
	w := uint64(s.Weight) * uint64(fine)
	whole := w
	var why []string
	if s.Percent != allPercent {
		sh.Passing = true
		why = append(why, fmt.Sprintf("agent: %d %%", s.Percent))
		w = part(w, uint64(s.Percent), allPercent)
	}
	if done, ok := p.risen(rec, now); ok {
		rising, sh.Rising, sh.Passing = true, true, true
		sh.Until = rec.rising.Add(p.SlowStart)
		why = append(why, fmt.Sprintf("slow start: %s of %s", words(done), words(p.SlowStart)))
		w = part(w, uint64(done), uint64(p.SlowStart))
	}
	if len(why) > 0 {
		sh.Why = fmt.Sprintf("%s, of weight %d", strings.Join(why, ", "), whole)
	} else {
		sh.Why = text
	}
	return uint32(min(w, maxWeight)), rising
}

// part is a part of w, rounded, and at least 1 of something.
func part(w, of, whole uint64) uint64 {
	if w == 0 || of == 0 {
		return 0
	}
	return max((w*of+whole/2)/whole, 1)
}

// risen is how much of the slow start counts as done: whole steps, and the first
// one from the beginning.
func (p Policy) risen(rec record, now time.Time) (time.Duration, bool) {
	if p.SlowStart <= 0 || rec.rising.IsZero() {
		return 0, false
	}
	step := p.step()
	done := now.Sub(rec.rising).Truncate(step) + step
	if done < step { // the clock went back
		done = step
	}
	return done, done < p.SlowStart
}

// step is how often a rising weight changes: in two seconds nothing warms up
// much, and each step is one more write to the kernel.
func (p Policy) step() time.Duration {
	return max(min(2*time.Second, p.SlowStart/5), 100*time.Millisecond)
}
