package vip

import (
	"fmt"
	"net/netip"
	"time"
)

// burst are the times of the first announcements after an address came up.
// Several, because a frame may get lost, a switch port may need a moment, and
// the former holder may answer once more.
var burst = [...]time.Duration{
	0, 20 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond,
	time.Second, 2 * time.Second, 3500 * time.Millisecond,
}

// refresh is the time between announcements after the burst: for neighbours
// that missed it all, and for switches that forget.
const refresh = 60 * time.Second

// paced is how many addresses are announced in a row before a pause, so that
// a machine with many VIPs doesn't flood its switch.
const (
	paced = 64
	pause = time.Millisecond
)

// schedule is the state of one address's announcements.
type schedule struct {
	start time.Time
	slot  int // the next announcement, counted from 0
}

// due is when the next announcement is to be sent.
func (s schedule) due() time.Time {
	if s.slot < len(burst) {
		return s.start.Add(burst[s.slot])
	}
	return s.start.Add(burst[len(burst)-1] + time.Duration(s.slot-len(burst)+1)*refresh)
}

// next is the schedule after an announcement at now. Announcements that were
// missed meanwhile are not caught up: each says the same.
func (s schedule) next(now time.Time) schedule {
	for s.slot++; !s.due().After(now); s.slot++ {
	}
	return s
}

// announce sends what is due, in small heaps.
func (k *Keeper) announce(now time.Time) {
	l := &k.loop
	l.announceAt = time.Time{}
	if now.Sub(l.heapAt) >= pause {
		l.heapAt, l.heap = now, 0
	}
	for _, a := range l.order {
		t := l.tracks[a]
		if t.want.Silent || t.status.State != Holding || !t.link.Ethernet || !t.link.Carrier {
			continue
		}
		if !t.schedule.due().After(now) && l.heap < paced {
			l.heap++
			k.send(t, a, now)
		}
		due := t.schedule.due()
		if !due.After(now) {
			due = l.heapAt.Add(pause)
		}
		if l.announceAt.IsZero() || due.Before(l.announceAt) {
			l.announceAt = due
		}
	}
}

func (k *Keeper) send(t *track, a netip.Addr, now time.Time) {
	err := k.sys.Announce(t.link, a)
	t.schedule = t.schedule.next(now)
	if err == nil {
		if t.status.Announced == 0 {
			t.status.Told = time.Now()
		}
		t.status.Announced++
		t.sendErr = ""
		return
	}
	old := t.sendErr
	t.sendErr = fmt.Sprintf("announce on %s: %v", t.link.Name, err)
	if t.sendErr != old {
		k.log.Error("announcing an address failed", "address", t.status.Addr, "interface", t.link.Name, "err", err)
	}
}
