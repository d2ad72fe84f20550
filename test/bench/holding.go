package main

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/ipvsd/ipvsd/test/lab"
)

// holding is when a host had an address, as its kernel told: asking for it
// again and again would take the lab's one processor from those it is about.
type holding struct {
	mu      sync.Mutex
	changes []change
}

// change is the address coming to the host or leaving it.
type change struct {
	at    time.Time
	holds bool
}

// watch follows an address of a host until the end of the measurement.
func (b *bench) watch(h *lab.Host, addr netip.Addr) *holding {
	w := &holding{}
	updates, done := make(chan netlink.AddrUpdate, 64), make(chan struct{})
	b.stage.must(h.Do(func() error {
		// The socket is made here, in the host's namespace, and stays there.
		return netlink.AddrSubscribeWithOptions(updates, done, netlink.AddrSubscribeOptions{
			ListExisting: true,
			ErrorCallback: func(err error) {
				select {
				case <-done:
				default:
					b.stage.Logf("%s: watch its addresses: %v", h.Name, err)
				}
			},
		})
	}))
	b.stage.Cleanup(func() { close(done) })
	go func() {
		for u := range updates {
			if ip, ok := netip.AddrFromSlice(u.LinkAddress.IP); ok && ip.Unmap() == addr {
				w.note(u.NewAddr)
			}
		}
	}()
	return w
}

// note keeps what is new: a lifetime that is renewed comes as the same again.
func (w *holding) note(holds bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.changes); n == 0 && holds || n > 0 && w.changes[n-1].holds != holds {
		w.changes = append(w.changes, change{time.Now(), holds})
	}
}

// now is whether the host has the address, and since when.
func (w *holding) now() (holds bool, since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.changes); n > 0 {
		return w.changes[n-1].holds, w.changes[n-1].at
	}
	return false, time.Time{}
}

// has is whether the host has the address.
func (w *holding) has() bool {
	holds, _ := w.now()
	return holds
}

// after are the changes since then.
func (w *holding) after(t time.Time) []change {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.changes, func(c change) bool { return c.at.After(t) })
	if i < 0 {
		return nil
	}
	return slices.Clone(w.changes[i:])
}

// taken is how often the address came to the host since then.
func (w *holding) taken(t time.Time) int {
	n := 0
	for _, c := range w.after(t) {
		if c.holds {
			n++
		}
	}
	return n
}

// heldBy tells for how long, from then until now, none and more than one of the
// hosts had the address.
func heldBy(all []*holding, from, to time.Time) (none, many time.Duration) {
	type step struct {
		at time.Time
		by int
	}
	var steps []step
	holders := 0
	for _, w := range all {
		later := w.after(from)
		holds := w.has()
		if len(later) > 0 {
			holds = !later[0].holds
		}
		if holds {
			holders++
		}
		for _, c := range later {
			by := -1
			if c.holds {
				by = 1
			}
			steps = append(steps, step{c.at, by})
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return a.at.Compare(b.at) })
	last := from
	for _, s := range append(steps, step{at: to}) {
		if s.at.After(to) {
			s.at = to
		}
		switch took := s.at.Sub(last); {
		case holders == 0:
			none += took
		case holders > 1:
			many += took
		}
		last, holders = s.at, holders+s.by
	}
	return none, many
}
