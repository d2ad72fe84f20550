package vip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Order is what Apply is to have done.
type Order struct {
	Wants []Want // all that this machine is to hold, as with Set
	// Granted are the wants whose lifetime begins anew; those of the others
	// runs on. Nil: all.
	Granted []netip.Addr
	// Spare are addresses of ours that are not wanted and that stay as they
	// are all the same: leftovers of an earlier process of which nobody knows
	// yet whether they are to be adopted.
	Spare []netip.Addr
	// Drop are addresses that are to go before anything else is even looked
	// at. They may not be among Wants.
	Drop []netip.Addr
}

type order struct {
	Order
	reply chan []Status
}

// Apply is Set that waits: it returns when what is not wanted any more is gone
// and what is wanted is there and was announced once, or when that failed; the
// statuses tell, in the order of the wants. Run must be running. The error is
// ctx's: the kernel didn't do it in time, and Run goes on trying.
func (k *Keeper) Apply(ctx context.Context, o Order) ([]Status, error) {
	reply := make(chan []Status, 1)
	select {
	case k.orders <- order{o, reply}:
	case <-ctx.Done():
		k.post(o, time.Now()) // for when the loop gets round to it
		poke(k.wake)
		return nil, ctx.Err()
	}
	select {
	case s := <-reply:
		return s, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// AnnounceThese announces some of the held addresses again, at once; with
// often the whole burst of a new address follows.
func (k *Keeper) AnnounceThese(addrs []netip.Addr, often bool) {
	k.mu.Lock()
	if k.mail.again == nil {
		k.mail.again = make(map[netip.Addr]bool, len(addrs))
	}
	for _, a := range addrs {
		k.mail.again[a] = k.mail.again[a] || often
	}
	k.mu.Unlock()
	poke(k.wake)
}

// post puts an order into the mailbox.
func (k *Keeper) post(o Order, now time.Time) {
	var clean []Want
	grants := make(map[netip.Addr]time.Time, len(o.Wants))
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range o.Wants {
		w.Addr = netip.PrefixFrom(w.Addr.Addr().Unmap(), w.Addr.Bits())
		a := w.Addr.Addr()
		if _, seen := grants[a]; !w.Addr.IsValid() || seen {
			continue
		}
		clean = append(clean, w)
		grants[a] = now
		if since, ok := k.mail.grants[a]; ok && o.Granted != nil && !slices.Contains(o.Granted, a) {
			grants[a] = since
		}
	}
	k.mail.known, k.mail.wants, k.mail.granted, k.mail.grants = true, clean, now, grants
	k.mail.spare = slices.Clone(o.Spare)
}

// obey carries out an order in the loop. What is to be dropped goes without
// a look at the kernel, as far as we know where it is; the turn finds the rest.
func (k *Keeper) obey(o Order) []Status {
	k.post(o, time.Now())
	for _, a := range o.Drop {
		t := k.loop.tracks[a]
		if t == nil || t.status.State != Holding || !t.status.Addr.IsSingleIP() {
			continue // in a subnet others may depend on it: Plan knows
		}
		s := Step{Op: Delete, Addr: t.status.Addr, Interface: t.link.Name}
		if err := k.sys.Do(s); err != nil && !errors.Is(err, errNotFound) {
			k.log.Error("removing an address failed, trying again", "err", fmt.Errorf("%s: %v", s.doing(), err))
			continue
		}
		k.log.Info("changed an address", "step", s.String())
	}
	now := time.Now()
	k.loop.reconcileAt = now
	k.turn(now)
	return k.Snapshot()
}

// without are the addresses held that are to be looked at.
func (m mail) without(held []Held) []Held {
	if len(m.spare) == 0 {
		return held
	}
	return slices.DeleteFunc(slices.Clone(held), func(h Held) bool {
		a := h.Addr.Addr()
		_, wanted := m.grants[a]
		return h.Ours && !wanted && slices.Contains(m.spare, a)
	})
}

// restart begins the announcements anew that were asked for.
func (m mail) restart(tracks map[netip.Addr]*track, now time.Time) {
	for a, t := range tracks {
		often, asked := m.again[a]
		switch {
		case m.announce || often:
			t.schedule = schedule{start: now}
		case asked:
			t.schedule = schedule{start: now.Add(-burst[len(burst)-1]), slot: len(burst) - 1}
		}
	}
}
