package vip

import (
	"net/netip"
	"slices"
	"time"
)

// lookAgain is how soon the kernel is read again while a want has no
// interface. Most of what may give it one is an event: interfaces, addresses.
// Routes are not listened to, because a machine may have a million of them
// that change all the time.
const lookAgain = 5 * time.Second

// spot is where a want belongs by what the kernel holds.
type spot struct {
	Want        // Interface is the real name
	state State // Own or Failed: there is nothing to do; else ""
	err   error // why there is no interface
}

// spots finds the interface of each want. last is the index of the interface
// that had the address a moment ago, or 0.
func (f Facts) spots(wants []Want, last func(netip.Addr) int) []spot {
	out := make([]spot, 0, len(wants))
	for _, w := range wants {
		switch l, ok := f.link(w.Interface); {
		case w.Interface == "":
			out = append(out, f.find(w, last(w.Addr.Addr())))
		case ok:
			w.Interface = l.Name
			fallthrough
		default:
			out = append(out, spot{Want: w})
		}
	}
	return out
}

// find finds the interface of one want. Where nothing speaks for any, an
// address that we hold stays: a subnet that is gone for a moment, as while the
// network is configured anew, is no reason to take it from its clients.
func (f Facts) find(w Want, last int) spot {
	a := w.Addr.Addr()
	current := f.current(a)
	if i := slices.IndexFunc(f.Links, func(l Link) bool { return l.Index == last }); current == "" && i >= 0 {
		current = f.Links[i].Name
	}
	name, err := f.interfaceFor(a, current)
	switch {
	case err != nil && current == "":
		return spot{w, Failed, err}
	case err != nil:
		w.Interface = current
		return spot{w, "", err}
	case name == "":
		w.Interface = f.ownOn(a)
		return spot{w, Own, nil}
	}
	w.Interface = name
	return spot{Want: w}
}

// current is the interface on which an address is ours, or "".
func (f Facts) current(addr netip.Addr) string {
	for _, h := range f.Held {
		if h.Ours && h.Addr.Addr() == addr {
			return h.Interface
		}
	}
	return ""
}

// ownOn is the interface on which the host has an address without us, or "".
func (f Facts) ownOn(addr netip.Addr) string {
	name := ""
	for _, h := range f.Held {
		if !h.Ours && h.Addr.Addr() == addr && (name == "" || !h.Loopback) {
			name = h.Interface
		}
	}
	for _, l := range f.Links {
		if name == "" && l.Loopback && addr.IsLoopback() {
			name = l.Name
		}
	}
	return name
}

// read reads the kernel; the default routes only where a want asks for them.
func (k *Keeper) read(wants []Want) (Facts, error) {
	facts, err := k.sys.Read()
	if err != nil {
		return facts, err
	}
	unfound := func(s spot) bool { return s.err != nil }
	if slices.ContainsFunc(facts.spots(wants, k.loop.last), unfound) {
		facts.Defaults, err = k.sys.Defaults(facts.Links)
	}
	return facts, err
}

// last is the index of the interface that had addr when the kernel was last
// read, or 0.
func (l *loop) last(addr netip.Addr) int {
	if t := l.tracks[addr]; t != nil && t.status.State == Holding {
		return t.link.Index
	}
	return 0
}

// wantsOf are the wants that have an interface.
func wantsOf(spots []spot) []Want {
	var wants []Want
	for _, s := range spots {
		if s.state == "" {
			wants = append(wants, s.Want)
		}
	}
	return wants
}
