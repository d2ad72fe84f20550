// Package gossiptest is a network in memory for tests of the cluster, made for
// testing/synctest: packets and streams with latency, loss and cuts in one
// direction, in virtual time. It obeys what a real network does to memberlist:
// a packet to nobody vanishes, a dial to nobody is refused, a dial over a cut
// repeats its first packet after 1 s and times out, a stream over a cut hangs.
// (memberlist's MockNetwork loses nothing, and its sends block.)
//
// Network's mutex guards everything. Nothing runs by itself: packets on their
// way are timers.
package gossiptest

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// Network joins transports. It begins without loss, with 0.2 to 0.4 ms from
// one to the other.
type Network struct {
	mu         sync.Mutex
	rand       *rand.Rand
	latency    time.Duration
	jitter     time.Duration
	loss       float64
	transports map[netip.AddrPort]*Transport
	cut        map[way]bool
	noStreams  map[netip.Addr]bool
	noPackets  map[netip.Addr]bool
}

// way is one direction between two hosts.
type way struct{ from, to netip.Addr }

// New makes a network; the seed decides which packets are lost.
func New(seed uint64) *Network {
	return &Network{
		rand:       rand.New(rand.NewPCG(seed, 0)),
		latency:    200 * time.Microsecond,
		jitter:     200 * time.Microsecond,
		transports: map[netip.AddrPort]*Transport{},
		cut:        map[way]bool{},
		noStreams:  map[netip.Addr]bool{},
		noPackets:  map[netip.Addr]bool{},
	}
}

// Latency is for one direction; jitter, added at random, reorders packets.
func (n *Network) Latency(latency, jitter time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.latency, n.jitter = latency, jitter
}

// Loss is a packet's chance to be lost, 0 to 1. Streams repeat what is lost:
// they become slow.
func (n *Network) Loss(p float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loss = p
}

// Cut drops everything that goes from one host to another, in this direction
// only.
func (n *Network) Cut(from, to netip.Addr) { n.setCut(from, to, true) }

// Mend undoes Cut.
func (n *Network) Mend(from, to netip.Addr) { n.setCut(from, to, false) }

func (n *Network) setCut(from, to netip.Addr, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[way{from, to}] = cut
}

// Partition cuts each host of one side from each of the other, both ways.
func (n *Network) Partition(side, other []netip.Addr) {
	for _, a := range side {
		for _, b := range other {
			n.Cut(a, b)
			n.Cut(b, a)
		}
	}
}

// Heal undoes all cuts.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
}

// NoStreams makes a host take no stream, as behind a firewall that drops TCP:
// dials time out.
func (n *Network) NoStreams(host netip.Addr, none bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.noStreams[host] = none
}

// NoPackets makes a host send and get no packet, only streams, as behind a
// firewall that drops UDP.
func (n *Network) NoPackets(host netip.Addr, none bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.noPackets[host] = none
}

func (n *Network) dropsPackets(from, to netip.Addr) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.noPackets[from] || n.noPackets[to]
}

// Transport gives an address its transport; it takes the place of one that was
// there before, like a process that was started again.
func (n *Network) Transport(addr netip.AddrPort) *Transport {
	t := &Transport{
		net:     n,
		addr:    addr,
		packets: make(chan *memberlist.Packet, 4096),
		streams: make(chan net.Conn),
		done:    make(chan struct{}),
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.transports[addr] = t
	return t
}

// passes says whether a packet gets through now.
func (n *Network) passes(from, to netip.Addr) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.cut[way{from, to}] && (n.loss == 0 || n.rand.Float64() >= n.loss)
}

func (n *Network) isCut(from, to netip.Addr) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cut[way{from, to}] || n.cut[way{to, from}] || n.noStreams[from] || n.noStreams[to]
}

func (n *Network) delay() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.jitter <= 0 {
		return n.latency
	}
	return n.latency + time.Duration(n.rand.Int64N(int64(n.jitter)))
}

func (n *Network) at(addr netip.AddrPort) *Transport {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.transports[addr]
}

// Transport is one process' end of the network.
type Transport struct {
	net     *Network
	addr    netip.AddrPort
	packets chan *memberlist.Packet
	streams chan net.Conn
	once    sync.Once
	done    chan struct{}
}

var _ memberlist.NodeAwareTransport = (*Transport)(nil)

// FinalAdvertiseAddr is the address asked for, else the transport's own.
func (t *Transport) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	if ip != "" {
		a, err := netip.ParseAddr(ip)
		return a.AsSlice(), port, err
	}
	return t.addr.Addr().AsSlice(), int(t.addr.Port()), nil
}

// WriteTo sends a packet.
func (t *Transport) WriteTo(b []byte, addr string) (time.Time, error) {
	return t.WriteToAddress(b, memberlist.Address{Addr: addr})
}

// WriteToAddress sends a packet. It never fails for a reason on the other end.
func (t *Transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	to, err := netip.ParseAddrPort(a.Addr)
	if err != nil {
		return time.Time{}, err
	}
	if t.closed() {
		return time.Time{}, t.fail("write", "udp", to, net.ErrClosed)
	}
	if t.net.dropsPackets(t.addr.Addr(), to.Addr()) || !t.net.passes(t.addr.Addr(), to.Addr()) {
		return time.Now(), nil
	}
	p := &memberlist.Packet{Buf: append([]byte(nil), b...), From: net.UDPAddrFromAddrPort(t.addr)}
	time.AfterFunc(t.net.delay(), func() {
		dst := t.net.at(to)
		if dst == nil || dst.closed() {
			return
		}
		p.Timestamp = time.Now()
		select {
		case dst.packets <- p:
		default: // its socket's buffer is full
		}
	})
	return time.Now(), nil
}

// DialTimeout opens a stream.
func (t *Transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

// DialAddressTimeout opens a stream: SYN at 0, 1, 3, 7 s.
func (t *Transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	to, err := netip.ParseAddrPort(a.Addr)
	if err != nil {
		return nil, err
	}
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	wait := time.Duration(0)
	for pause := time.Second; ; pause *= 2 {
		again := time.NewTimer(wait + 2*t.net.delay())
		select {
		case <-again.C:
		case <-deadline.C:
			again.Stop()
			return nil, t.fail("dial", "tcp", to, os.ErrDeadlineExceeded)
		case <-t.done:
			again.Stop()
			return nil, t.fail("dial", "tcp", to, net.ErrClosed)
		}
		if wait = pause; t.net.isCut(t.addr.Addr(), to.Addr()) || !t.net.passes(t.addr.Addr(), to.Addr()) || !t.net.passes(to.Addr(), t.addr.Addr()) {
			continue
		}
		dst := t.net.at(to)
		if dst == nil || dst.closed() {
			return nil, t.fail("dial", "tcp", to, errors.New("connect: connection refused"))
		}
		ours, theirs := t.pipe(dst)
		select {
		case dst.streams <- theirs:
			return ours, nil
		case <-dst.done:
			return nil, t.fail("dial", "tcp", to, errors.New("connect: connection refused"))
		case <-deadline.C:
			return nil, t.fail("dial", "tcp", to, os.ErrDeadlineExceeded)
		case <-t.done:
			return nil, t.fail("dial", "tcp", to, net.ErrClosed)
		}
	}
}

func (t *Transport) fail(op, network string, to netip.AddrPort, err error) error {
	return &net.OpError{Op: op, Net: network, Addr: net.TCPAddrFromAddrPort(to), Err: err}
}

// PacketCh gives what arrives.
func (t *Transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// StreamCh gives the streams that others open.
func (t *Transport) StreamCh() <-chan net.Conn { return t.streams }

// Shutdown closes the transport, as the end of its process does: packets to it
// vanish, dials are refused, streams end.
func (t *Transport) Shutdown() error {
	t.once.Do(func() { close(t.done) })
	return nil
}

func (t *Transport) closed() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}
