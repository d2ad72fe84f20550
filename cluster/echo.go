package cluster

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// echoes asks witnesses behind routers by ICMP echo (RFC 792, RFC 4443): one
// raw socket for each, connected so that nothing else comes in.
type echoes struct {
	heard chan netip.Addr
	wake  chan struct{}

	mu    sync.Mutex
	want  []netip.Addr
	conns map[netip.Addr]*net.IPConn
}

func newEchoes() *echoes {
	return &echoes{heard: make(chan netip.Addr), wake: make(chan struct{}, 1), conns: make(map[netip.Addr]*net.IPConn)}
}

func (e *echoes) set(far []netip.Addr) {
	e.mu.Lock()
	e.want = far
	e.mu.Unlock()
	poke(e.wake)
}

// ask sends one question. That it couldn't be sent shows in the silence.
func (e *echoes) ask(a netip.Addr) {
	e.mu.Lock()
	c := e.conns[a]
	e.mu.Unlock()
	if c == nil {
		return
	}
	_ = c.SetWriteDeadline(time.Now().Add(time.Millisecond)) // never waits for the network
	_, _ = c.Write(echoRequest(a))
}

// echoRequest is an ICMP echo request; the kernel makes ICMPv6's checksum.
func echoRequest(a netip.Addr) []byte {
	b := []byte{8, 0, 0, 0, 0x76, 0x69, 0, 1} // type, code, checksum, identifier, sequence
	if a.Is6() {
		b[0] = 128
		return b
	}
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	binary.BigEndian.PutUint16(b[2:], ^uint16(sum+sum>>16))
	return b
}

// echoReply is whether a packet, without its IP header, is an answer.
func echoReply(b []byte, six bool) bool {
	want := byte(0)
	if six {
		want = 129
	}
	return len(b) >= 8 && b[0] == want && b[1] == 0 && b[4] == 0x76 && b[5] == 0x69
}

// run keeps a socket for each witness until ctx ends.
func (e *echoes) run(ctx context.Context) error {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stops := make(map[netip.Addr]context.CancelFunc)
	for {
		e.mu.Lock()
		want := slices.Clone(e.want)
		e.mu.Unlock()
		for a, stop := range stops {
			if !slices.Contains(want, a) {
				stop()
				delete(stops, a)
			}
		}
		for _, a := range want {
			if stops[a] == nil {
				actx, stop := context.WithCancel(ctx)
				stops[a] = stop
				tasks.Go(func() { e.keep(actx, a) })
			}
		}
		select {
		case <-ctx.Done():
			for _, stop := range stops {
				stop()
			}
			return nil
		case <-e.wake:
		}
	}
}

// keep reads one socket, and opens it again after an error, such as that there
// is no route.
func (e *echoes) keep(ctx context.Context, a netip.Addr) {
	network := "ip4:icmp"
	if a.Is6() {
		network = "ip6:ipv6-icmp"
	}
	for ctx.Err() == nil {
		c, err := net.DialIP(network, nil, &net.IPAddr{IP: a.AsSlice(), Zone: a.Zone()})
		if err == nil {
			e.mu.Lock()
			e.conns[a] = c
			e.mu.Unlock()
			e.read(ctx, c, a)
			e.mu.Lock()
			delete(e.conns, a)
			e.mu.Unlock()
		}
		sleep(ctx, time.Second)
	}
}

func (e *echoes) read(ctx context.Context, c *net.IPConn, a netip.Addr) {
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	b := make([]byte, 256)
	for {
		n, _, err := c.ReadFromIP(b) // without the IP header, unlike Read
		if err != nil {
			return
		}
		if !echoReply(b[:n], a.Is6()) {
			continue
		}
		select {
		case e.heard <- a:
		case <-ctx.Done():
			return
		}
	}
}
