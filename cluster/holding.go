package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/cluster/vip"
)

// holding is what this machine is to hold.
type holding struct {
	leases map[string]*lease       // by group
	spare  map[string][]netip.Addr // by group: left by an earlier process, undecided
}

// lease is a group that is ours.
type lease struct {
	wants    []vip.Want
	lifetime time.Duration
	up       bool      // told to the core
	sure     time.Time // when the kernel last did what it was asked for
	silent   bool      // offered to another director, which is about to announce them
}

// fails is whether a lease that the kernel doesn't renew in time is lost, or
// nearly: what is left of its lifetime is for handing over.
func (le *lease) fails(now time.Time) bool {
	return !le.up || now.Sub(le.sure) >= le.lifetime*3/4
}

func newHolding() holding {
	return holding{leases: make(map[string]*lease), spare: make(map[string][]netip.Addr)}
}

// addrs are the addresses of a group that is held.
func (h *holding) addrs(group string) []netip.Addr {
	if l := h.leases[group]; l != nil {
		return addrsOf(l.wants)
	}
	return nil
}

// order is all that is to be held, in a steady order.
func (h *holding) order() vip.Order {
	o := vip.Order{Granted: []netip.Addr{}}
	for _, name := range sortedKeys(h.leases) {
		for _, w := range h.leases[name].wants {
			w.Lifetime, w.Silent = h.leases[name].lifetime, h.leases[name].silent
			o.Wants = append(o.Wants, w)
		}
	}
	for _, name := range sortedKeys(h.spare) {
		o.Spare = append(o.Spare, h.spare[name]...)
	}
	return o
}

func addrsOf(wants []vip.Want) []netip.Addr {
	var out []netip.Addr
	for _, w := range wants {
		out = append(out, w.Addr.Addr())
	}
	return out
}

// adopt finds what an earlier process left. What is in no group goes at once.
func (l *loop) adopt(f vip.Facts) {
	ours := func(a netip.Addr) bool {
		return slices.ContainsFunc(f.Held, func(h vip.Held) bool { return h.Ours && h.Addr.Addr() == a })
	}
	for _, g := range l.opts.Groups {
		var left []netip.Addr
		for _, a := range addrsOf(g.Addresses) {
			if ours(a) {
				left = append(left, a)
			}
		}
		if len(left) > 0 {
			l.holding.spare[g.Name] = left
			l.push(core.Actuated{Group: g.Name, Result: core.Leftover})
		}
	}
	if slices.ContainsFunc(f.Held, func(h vip.Held) bool { return h.Ours }) {
		_, _ = l.apply(l.holding.order(), kernelLimit)
	}
}

// drop takes away all that the core wants dropped.
func (l *loop) drop(actions []core.Action) {
	var gone []netip.Addr
	for _, a := range actions {
		d, ok := a.(core.Drop)
		if !ok {
			continue
		}
		gone = append(gone, l.holding.addrs(d.Group)...)
		gone = append(gone, l.holding.spare[d.Group]...)
		delete(l.holding.leases, d.Group)
		delete(l.holding.spare, d.Group)
	}
	if len(gone) == 0 {
		return
	}
	o := l.holding.order()
	o.Drop = gone
	if _, err := l.apply(o, kernelLimit); err != nil {
		l.log.Error("removing addresses", "addresses", gone, "err", err)
	}
}

// hold brings or renews all that the core wants held, as one batch, and tells
// it how that came out.
func (l *loop) hold(actions []core.Action) {
	var granted []netip.Addr
	var groups []string
	limit := renewLimit
	for _, a := range actions {
		h, ok := a.(core.Hold)
		if !ok {
			continue
		}
		le := l.holding.leases[h.Group]
		if le == nil {
			le = &lease{}
			l.holding.leases[h.Group] = le
			delete(l.holding.spare, h.Group)
		}
		if !le.up {
			limit = kernelLimit
		}
		le.wants, le.lifetime = l.place.wants[h.Group], h.Lifetime
		granted = append(granted, addrsOf(le.wants)...)
		groups = append(groups, h.Group)
	}
	if len(groups) == 0 {
		return
	}
	o := l.holding.order()
	o.Granted = granted
	statuses, err := l.apply(o, limit)
	for _, name := range groups {
		l.report(name, statuses, err)
	}
}

// silence stops or begins to announce a group's addresses.
func (l *loop) silence(group string, silent bool) {
	le := l.holding.leases[group]
	if le == nil || le.silent == silent {
		return
	}
	le.silent = silent
	if _, err := l.apply(l.holding.order(), renewLimit); err != nil {
		l.log.Warn("the announcements of a group that is handed over may go on for a moment", "group", group, "err", err)
	}
}

// errSlow is the kernel that takes too long; the keeper goes on trying.
var errSlow = errors.New("the kernel takes too long")

// apply has the kernel do it, and waits no longer than that.
func (l *loop) apply(o vip.Order, limit time.Duration) ([]vip.Status, error) {
	ctx, cancel := context.WithTimeout(l.ctx, limit)
	defer cancel()
	s, err := l.host.Apply(ctx, o)
	if err != nil {
		err = fmt.Errorf("%w, %s and more", errSlow, limit)
	}
	return s, err
}

// report tells the core how a Hold came out. Renewals that worked aren't worth
// a word.
func (l *loop) report(group string, statuses []vip.Status, err error) {
	le := l.holding.leases[group]
	now := time.Now()
	switch {
	case err == nil:
		le.sure = now
	case errors.Is(err, errSlow) && !le.fails(now):
		l.log.Warn("renewing addresses takes long", "group", group, "err", err)
		return
	}
	var up, told time.Time
	for _, w := range le.wants {
		s, ok := statusOf(statuses, w)
		switch {
		case err != nil:
		case !ok:
			err = fmt.Errorf("%s: unknown", w.Addr)
		case s.State == vip.Own:
			err = fmt.Errorf("%s is an address of the host's own on %s", w.Addr.Addr(), s.Interface)
		case s.State != vip.Holding:
			err = fmt.Errorf("%s", cmp.Or(s.Err, string(s.State)))
		}
		if s.Up.After(up) {
			up = s.Up
		}
		if told.IsZero() || !s.Told.IsZero() && s.Told.Before(told) {
			told = s.Told
		}
	}
	switch {
	case l.ctx.Err() != nil:
	case len(le.wants) == 0:
		l.push(core.Actuated{Group: group, Result: core.Failed, Text: "no interface for its addresses is known"})
	case err != nil:
		l.push(core.Actuated{Group: group, Result: core.Failed, Text: err.Error()})
	case !le.up:
		le.up = true
		in := core.Actuated{Group: group, Result: core.Up, AddressUp: up.Sub(l.start), Announced: l.now()}
		if !told.IsZero() {
			in.Announced = told.Sub(l.start)
		}
		l.push(in)
	}
}

func statusOf(statuses []vip.Status, w vip.Want) (vip.Status, bool) {
	i := slices.IndexFunc(statuses, func(s vip.Status) bool { return s.Addr == w.Addr })
	if i < 0 {
		return vip.Status{}, false
	}
	return statuses[i], true
}

// checkAddresses looks whether something that was up is gone and can't be put
// back.
func (l *loop) checkAddresses() {
	l.dirty = true
	statuses := l.host.Snapshot()
	for _, name := range sortedKeys(l.holding.leases) {
		le := l.holding.leases[name]
		for _, w := range le.wants {
			s, ok := statusOf(statuses, w)
			if le.up && ok && (s.State == vip.Failed || s.State == vip.Lapsed || s.State == vip.Own) {
				l.log.Error("an address is gone", "group", name, "address", w.Addr, "state", s.State, "err", s.Err)
				l.push(core.Actuated{Group: name, Result: core.Lost, Text: s.Err})
				break
			}
		}
	}
	l.flush()
}

// move brings held addresses to where they belong by now.
func (l *loop) move() {
	moved := false
	for name, le := range l.holding.leases {
		if to := l.place.wants[name]; len(to) > 0 && !slices.Equal(to, le.wants) {
			le.wants, moved = to, true
		}
	}
	if !moved {
		return
	}
	o := l.holding.order()
	o.Granted = addrsOf(o.Wants)
	statuses, err := l.apply(o, kernelLimit)
	for _, name := range sortedKeys(l.holding.leases) {
		l.report(name, statuses, err)
	}
}
