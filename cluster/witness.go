package cluster

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/cluster/vip"
)

// witness is a machine whose answer shows that this director isn't the one
// that was cut off.
type witness struct {
	addr netip.Addr
	link vip.Link   // on which it is asked by ARP or NS; the zero one: asked by echo
	from netip.Addr // an address of ours on the link
}

// witnessEvery is the time between two rounds.
const witnessEvery = time.Second

// maxWitnesses is what the core counts to.
const maxWitnesses = 16

// findWitnesses are the named ones, or the gateways on the interfaces of the
// addresses.
func findWitnesses(f vip.Facts, o Options, wants map[string][]vip.Want) []witness {
	var out []witness
	add := func(w witness) {
		same := func(x witness) bool { return x.addr == w.addr && x.link.Index == w.link.Index }
		if len(out) < maxWitnesses && !slices.ContainsFunc(out, same) {
			out = append(out, w)
		}
	}
	for _, a := range o.Witnesses {
		add(onLink(f, a.Unmap()))
	}
	if len(o.Witnesses) > 0 {
		return out
	}
	var faces []string
	for _, g := range o.Groups {
		for _, w := range wants[g.Name] {
			faces = append(faces, w.Interface)
		}
	}
	for _, d := range f.Defaults {
		if link, ok := f.Link(d.Interface); ok && d.Gateway.IsValid() && link.Ethernet && slices.Contains(faces, d.Interface) {
			add(witness{d.Gateway, link, source(f, link, d.Gateway)})
		}
	}
	return out
}

// onLink is how to ask a: on the link with its subnet, or by echo.
func onLink(f vip.Facts, a netip.Addr) witness {
	for _, h := range f.Held {
		if h.Ours || h.Loopback || !h.Addr.Contains(a) || h.Addr.Addr() == a || h.Addr.IsSingleIP() {
			continue
		}
		if link, ok := f.Link(h.Interface); ok && link.Ethernet {
			return witness{a, link, source(f, link, a)}
		}
	}
	return witness{addr: a}
}

// source is the host's own address on a link, for questions to a neighbour.
// From nobody they would look as if we wanted its address.
func source(f vip.Facts, link vip.Link, to netip.Addr) (from netip.Addr) {
	for _, h := range f.Held {
		a := h.Addr.Addr()
		if h.Ours || h.Interface != link.Name || a.Is4() != to.Is4() {
			continue
		}
		if !from.IsValid() || h.Addr.Contains(to) || a.IsLinkLocalUnicast() && a.Is6() {
			from = a
		}
	}
	return from
}

// witnesses is the state of asking them, in rounds.
type witnesses struct {
	list   []witness
	echoes *echoes
	every  time.Duration
	fast   bool          // each answer counts at once
	at     time.Duration // of the next round
	begun  time.Duration
	open   bool // a round is under way
	said   map[netip.Addr]bool
}

func (w *witnesses) set(list []witness) {
	if slices.Equal(w.list, list) {
		return
	}
	w.list, w.at, w.open = list, 0, false
	var far []netip.Addr
	for _, o := range list {
		if !o.link.Ethernet {
			far = append(far, o.addr)
		}
	}
	w.echoes.set(far)
}

// pace asks that often; 0: as usual.
func (w *witnesses) pace(every, now time.Duration) {
	w.fast = every > 0
	w.every = witnessEvery
	if w.fast {
		w.every = every
		w.at = now
	}
}

// askWitnesses ends the round and begins the next one when that is due.
func (l *loop) askWitnesses() {
	w := &l.witnesses
	now := l.now()
	if len(w.list) == 0 {
		w.at = never
		return
	}
	if now < w.at {
		return
	}
	if w.open {
		l.push(core.Witnessed{Begun: w.begun, Answered: len(w.said)})
	}
	w.begun, w.open, w.said, w.at = now, true, make(map[netip.Addr]bool), now+w.every
	for _, o := range w.list {
		if !o.link.Ethernet {
			w.echoes.ask(o.addr)
			continue
		}
		if err := l.host.Ask(o.link, o.addr, o.from); err != nil {
			l.story.unasked(l, o.link.Name, err)
		}
	}
}

// claim is whether c is the answer of a witness.
func (w *witnesses) claim(c vip.Claim) bool {
	for _, o := range w.list {
		if o.addr == c.Addr && o.link.Ethernet && o.link.Name == c.Interface {
			return w.answer(c.Addr)
		}
	}
	return false
}

func (w *witnesses) answer(a netip.Addr) bool {
	if !w.open || w.said[a] {
		return false
	}
	w.said[a] = true
	return true
}

// witnessed takes the answer to an echo.
func (l *loop) witnessed(from netip.Addr) {
	if l.witnesses.answer(from) {
		l.witnessedNow()
	}
	l.flush()
}

// witnessedNow ends the round early where all have answered, and tells of each
// answer where somebody waits for it.
func (l *loop) witnessedNow() {
	w := &l.witnesses
	all := len(w.said) == len(w.list)
	if w.fast || all {
		l.push(core.Witnessed{Begun: w.begun, Answered: len(w.said)})
	}
	if all {
		w.open = false
	}
}
