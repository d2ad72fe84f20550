package gossip

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// sendQueue is more than one turn of the election ever says at once.
	sendQueue = 64
	// stale is the age at which a message that couldn't be sent is better not
	// sent at all.
	stale = time.Second
)

// outbox is what waits for the sender.
type outbox struct {
	wake                  chan struct{}
	sent, failed, dropped atomic.Uint64

	mu    sync.Mutex
	queue []parcel
}

type parcel struct {
	kind    kind
	to      netip.AddrPort // zero: everybody
	payload []byte
	at      time.Time
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

func (o *outbox) put(p parcel) {
	o.mu.Lock()
	if len(o.queue) == sendQueue {
		o.queue = slices.Delete(o.queue, 0, 1)
		o.dropped.Add(1)
	}
	o.queue = append(o.queue, p)
	o.mu.Unlock()
	wake(o.wake)
}

func (o *outbox) take() []parcel {
	o.mu.Lock()
	defer o.mu.Unlock()
	q := o.queue
	o.queue = nil
	return q
}

// Send queues a copy of the payload for the director at an address and returns
// at once.
func (g *Gossip) Send(to netip.AddrPort, payload []byte) error {
	if to = plain(to); !to.IsValid() || to.Port() == 0 {
		return fmt.Errorf("send to %v: not an address and port", to)
	}
	return g.queue(to, payload)
}

// SendTo is Send to a director that Members names.
func (g *Gossip) SendTo(name string, payload []byte) error {
	to, _ := g.view.find(name)
	if !to.IsValid() {
		return fmt.Errorf("send to %q: never seen", name)
	}
	return g.queue(to, payload)
}

// Broadcast queues a message for every configured director, joined or not,
// and every other one that joined.
func (g *Gossip) Broadcast(payload []byte) error { return g.queue(netip.AddrPort{}, payload) }

func (g *Gossip) queue(to netip.AddrPort, payload []byte) error {
	if len(payload) > MaxPayload {
		return fmt.Errorf("message of %d bytes, at most %d", len(payload), MaxPayload)
	}
	g.out.put(parcel{kind: said, to: to, payload: slices.Clone(payload), at: time.Now()})
	return nil
}

// send is the sender: a write that waits for the socket delays only what is
// queued.
func (g *Gossip) send(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.out.wake:
		}
		for _, p := range g.out.take() {
			if time.Since(p.at) > stale {
				g.out.dropped.Add(1)
				continue
			}
			packet := g.envelope(p.kind, p.payload).encode()
			if p.to.IsValid() {
				g.sendPacket(p.to, packet)
				continue
			}
			for _, to := range g.everybody() {
				g.sendPacket(to, packet)
			}
		}
	}
}

func (g *Gossip) envelope(k kind, payload []byte) envelope {
	return envelope{kind: k, boot: g.opts.BootID, addr: g.Addr(), name: g.opts.Name, payload: payload}
}

func (g *Gossip) sendPacket(to netip.AddrPort, packet []byte) {
	if err := g.list.Load().SendToAddress(memberlist.Address{Addr: to.String()}, packet); err != nil {
		g.out.failed.Add(1) // why is seen where the peer is joined
		return
	}
	g.out.sent.Add(1)
}

// everybody are the configured directors and those that joined unasked.
func (g *Gossip) everybody() []netip.AddrPort {
	to := g.view.joinedAddrs()
	for _, p := range *g.peers.Load() {
		if p.addr != g.Addr() && !slices.Contains(to, p.addr) {
			to = append(to, p.addr)
		}
	}
	return to
}

const (
	metaEvery   = time.Second // at most
	metaTimeout = 500 * time.Millisecond
)

// SetMeta says something of this director to the others, through gossip: at
// most once a second, with the last value winning.
func (g *Gossip) SetMeta(meta []byte) error {
	if len(meta) > MaxMeta {
		return fmt.Errorf("metadata of %d bytes, at most %d", len(meta), MaxMeta)
	}
	meta = slices.Clone(meta)
	g.meta.Store(&meta)
	wake(g.metaWake)
	return nil
}

// pushMeta has a goroutine of its own, since UpdateNode waits until the change
// is on its way.
func (g *Gossip) pushMeta(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.metaWake:
		}
		if !g.left.Load() {
			// An error is a timeout: it is queued, and each join carries it.
			_ = g.list.Load().UpdateNode(metaTimeout)
		}
		if !sleep(ctx, metaEvery) {
			return
		}
	}
}

// Leave says goodbye: the others then know at once that this director went and
// did not die. It goes on to carry messages until Run's context ends, but
// joins nobody any more. It takes as long as ctx allows and at most half a
// second; it does nothing before Run took part.
func (g *Gossip) Leave(ctx context.Context) {
	g.leave.Lock()
	defer g.leave.Unlock()
	list := g.list.Load()
	if list == nil || g.down || g.left.Swap(true) {
		return
	}
	// memberlist's own way takes some gossip intervals and looks like a death.
	// Said six times, at 30 % loss fewer than one in a thousand is missed.
	say := func() {
		packet := g.envelope(farewell, nil).encode()
		for _, to := range g.everybody() {
			g.sendPacket(to, packet)
		}
	}
	for range 5 {
		say()
		sleep(ctx, 10*time.Millisecond)
	}
	timeout := 450 * time.Millisecond
	if d, ok := ctx.Deadline(); ok {
		timeout = max(min(timeout, time.Until(d)), time.Millisecond) // 0 is for ever
	}
	_ = list.Leave(timeout) // its only error is the timeout, and they were told
	say()
}
