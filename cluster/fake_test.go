package cluster

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ipvsd/ipvsd/cluster/vip"
)

// lan is one segment: who has which address, and who hears whom. It obeys what
// the real one does: an address expires by itself, a host that is cut off hears
// no answer, a host whose process is dead goes on answering.
type lan struct {
	mu    sync.Mutex
	hosts []*fakeHost
	moves []move
}

// move is a change of who holds an address.
type move struct {
	at      time.Time
	addr    string
	holders string
}

func (n *lan) moved(a netip.Addr) {
	m := move{at: time.Now(), addr: a.String()}
	for _, h := range n.hosts {
		if f := h.held[a]; f != nil && !f.gone() && !h.dead {
			m.holders += string('0' + h.mac[5])
		}
	}
	n.moves = append(n.moves, m)
}

// since are the holders of an address one after the other, by number.
func (n *lan) since(addr string, t time.Time) (holders []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range n.moves {
		if m.addr == addr && m.at.After(t) {
			holders = append(holders, m.holders)
		}
	}
	return holders
}

// fakeHost is the machine of one director.
type fakeHost struct {
	lan     *lan
	mac     [6]byte
	changed chan struct{}
	heard   chan vip.Claim
	event   chan struct{}

	// Guarded by lan.mu.
	cut      bool // its cable is out
	dead     bool // the machine is
	up, fine bool // of its interface
	frozen   bool // netlink hangs
	held     map[netip.Addr]*fakeHeld
	order    vip.Order
	gateway  netip.Addr
	rooms    []vip.Room
	log      []string
	fail     error
}

type fakeHeld struct {
	prefix  netip.Prefix
	expires time.Time
	status  vip.Status
}

func (n *lan) host(i byte) *fakeHost {
	h := &fakeHost{
		lan: n, mac: [6]byte{2, 0, 0, 0, 0, i}, changed: make(chan struct{}, 1), heard: make(chan vip.Claim, 1000),
		event: make(chan struct{}, 1), up: true, fine: true, held: make(map[netip.Addr]*fakeHeld),
	}
	n.mu.Lock()
	n.hosts = append(n.hosts, h)
	n.mu.Unlock()
	return h
}

// again is a new process on the same machine.
func (h *fakeHost) again() *fakeHost {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	n := &fakeHost{
		lan: h.lan, mac: h.mac, changed: make(chan struct{}, 1), heard: make(chan vip.Claim, 1000),
		event: make(chan struct{}, 1), up: h.up, fine: h.fine, held: h.held, gateway: h.gateway,
	}
	h.lan.hosts[slices.Index(h.lan.hosts, h)] = n
	for _, f := range n.held {
		f.status = vip.Status{}
	}
	return n
}

func (h *fakeHost) Run(ctx context.Context) error { <-ctx.Done(); return nil }

func (h *fakeHost) Apply(ctx context.Context, o vip.Order) ([]vip.Status, error) {
	h.lan.mu.Lock()
	if h.frozen {
		h.lan.mu.Unlock()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	defer h.lan.mu.Unlock()
	if h.fail != nil && len(o.Wants) > 0 {
		var out []vip.Status
		for _, w := range o.Wants {
			out = append(out, vip.Status{Want: w, State: vip.Failed, Err: h.fail.Error()})
		}
		return out, nil
	}
	h.order = o
	wanted := func(a netip.Addr) bool {
		return slices.ContainsFunc(o.Wants, func(w vip.Want) bool { return w.Addr.Addr() == a })
	}
	for a := range h.held {
		if !wanted(a) && !slices.Contains(o.Spare, a) {
			delete(h.held, a)
			h.log = append(h.log, "del "+a.String())
			h.lan.moved(a)
		}
	}
	var out []vip.Status
	for _, w := range o.Wants {
		a := w.Addr.Addr()
		f := h.held[a]
		switch now := time.Now(); {
		case f == nil || f.gone():
			f = &fakeHeld{prefix: w.Addr, status: vip.Status{Want: w, State: vip.Holding, Up: now, Told: now, Announced: 1}}
			h.held[a] = f
			f.grant(w)
			h.log = append(h.log, "add "+a.String())
			h.lan.moved(a)
			h.announce(a)
		case slices.Contains(o.Granted, a):
			f.grant(w)
			if f.status.State == "" {
				f.status = vip.Status{Want: w, State: vip.Holding, Up: now, Told: now, Announced: 1}
				h.log = append(h.log, "adopt "+a.String())
				h.announce(a)
			}
		}
		out = append(out, f.status)
	}
	return out, nil
}

func (f *fakeHeld) grant(w vip.Want) { f.expires = time.Now().Add(w.Lifetime.Round(time.Second)) }
func (f *fakeHeld) gone() bool       { return !time.Now().Before(f.expires) }

// announce lets the others hear.
func (h *fakeHost) announce(a netip.Addr) {
	for _, o := range h.lan.hosts {
		if h.hears(o) && o != h && o.listens(a) {
			select {
			case o.heard <- vip.Claim{Interface: "eth0", Addr: a, MAC: h.mac}:
			default:
			}
		}
	}
}

func (h *fakeHost) listens(a netip.Addr) bool {
	return slices.ContainsFunc(h.rooms, func(r vip.Room) bool { return slices.Contains(r.Addrs, a) })
}

func (h *fakeHost) hears(o *fakeHost) bool { return !h.cut && !o.cut && !h.dead && !o.dead }

func (h *fakeHost) AnnounceThese(addrs []netip.Addr, _ bool) {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	for _, a := range addrs {
		h.announce(a)
	}
}

func (h *fakeHost) Snapshot() []vip.Status {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	var out []vip.Status
	for _, w := range h.order.Wants {
		if f := h.held[w.Addr.Addr()]; f != nil && !f.gone() {
			out = append(out, f.status)
		} else {
			out = append(out, vip.Status{Want: w, State: vip.Failed, Err: "gone"})
		}
	}
	return out
}

func (h *fakeHost) Changed() <-chan struct{}   { return h.changed }
func (h *fakeHost) Ping(context.Context) error { return nil }
func (h *fakeHost) Heard() <-chan vip.Claim    { return h.heard }
func (h *fakeHost) Pending() []vip.Claim       { return nil }

func (h *fakeHost) Listen(rooms []vip.Room) {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	h.rooms = rooms
}

func (h *fakeHost) Ask(l vip.Link, a, _ netip.Addr) error {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	if !h.up {
		return errors.New("network is down")
	}
	if h.cut || h.dead {
		return nil
	}
	answer := func(mac [6]byte) {
		time.AfterFunc(300*time.Microsecond, func() {
			select {
			case h.heard <- vip.Claim{Interface: l.Name, Addr: a, MAC: mac}:
			default:
			}
		})
	}
	if a == h.gateway {
		answer([6]byte{2, 9, 9, 9, 9, 9})
	}
	for _, o := range h.lan.hosts {
		if f := o.held[a]; o != h && h.hears(o) && f != nil && !f.gone() {
			answer(o.mac)
		}
	}
	return nil
}

func (h *fakeHost) Read() (vip.Facts, error) {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	f := vip.Facts{
		Links: []vip.Link{{Name: "eth0", Index: 2, MAC: h.mac, Ethernet: true, Up: h.up, Carrier: h.fine && h.up}},
		Held: []vip.Held{{
			Addr: netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, h.mac[5]}), 24), Interface: "eth0", Seconds: vip.Forever,
		}},
	}
	if h.gateway.IsValid() {
		f.Defaults = []vip.Default{{Interface: "eth0", Gateway: h.gateway}}
	}
	for a, x := range h.held {
		if !x.gone() {
			f.Held = append(f.Held, vip.Held{Addr: netip.PrefixFrom(a, a.BitLen()), Interface: "eth0", Ours: true, Seconds: 1})
		}
	}
	return f, nil
}

func (h *fakeHost) WatchLinks(ctx context.Context, wake func()) error {
	wake()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.event:
			wake()
		}
	}
}

// change is something that happens to the machine.
func (h *fakeHost) change(f func(*fakeHost)) {
	h.lan.mu.Lock()
	f(h)
	h.lan.mu.Unlock()
	poke(h.event)
}

func (h *fakeHost) has(a string) bool {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	f := h.held[netip.MustParseAddr(a)]
	return f != nil && !f.gone() && !h.dead
}

func (h *fakeHost) took() []string {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	return slices.Clone(h.log)
}
