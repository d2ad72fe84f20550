package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
	"golang.org/x/sys/unix"
)

const (
	// sendTimeout bounds a write: while neighbours can't be resolved the
	// kernel keeps their packets, and they fill the socket's buffer for all.
	sendTimeout = 20 * time.Millisecond
	sendBuffer  = 1 << 20
	readBuffer  = 1 << 20
	// classControl is DSCP CS6, network control, as VRRP has it.
	classControl = 0xc0
)

// network is UDP and TCP on one address. memberlist's own NetTransport would
// do but for four things: it allocates 64 KiB for each packet that comes, a
// write may wait for ever, a stop doesn't cut streams and dials, and its
// packets are of the best-effort class.
type network struct {
	udp     *net.UDPConn
	tcp     *net.TCPListener
	packets chan *memberlist.Packet
	streams chan net.Conn
	done    context.Context
	stop    context.CancelFunc
	wg      sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil once shut
}

var _ memberlist.NodeAwareTransport = (*network)(nil)

// listenNet listens; with port 0 on one that is free for both.
func listenNet(ctx context.Context, at netip.AddrPort) (*network, error) {
	lc := net.ListenConfig{Control: control}
	var err error
	for range 10 { // of a port 0, until it is free for UDP too
		var l net.Listener
		if l, err = lc.Listen(ctx, "tcp", at.String()); err != nil {
			return nil, err
		}
		addr := l.Addr().(*net.TCPAddr).AddrPort()
		var c net.PacketConn
		if c, err = lc.ListenPacket(ctx, "udp", netip.AddrPortFrom(at.Addr(), addr.Port()).String()); err == nil {
			return newNetwork(l.(*net.TCPListener), c.(*net.UDPConn)), nil
		}
		_ = l.Close()
		if at.Port() != 0 || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, err
}

// control marks the packets; where that isn't possible they go unmarked.
func control(network, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TOS, classControl)
		if network[len(network)-1] == '6' {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_TCLASS, classControl)
		}
	})
}

func newNetwork(l *net.TCPListener, c *net.UDPConn) *network {
	_ = c.SetReadBuffer(readBuffer) // the kernel gives what it allows
	_ = c.SetWriteBuffer(sendBuffer)
	n := &network{
		udp: c, tcp: l,
		packets: make(chan *memberlist.Packet),
		streams: make(chan net.Conn),
		conns:   map[net.Conn]struct{}{},
	}
	n.done, n.stop = context.WithCancel(context.Background())
	n.wg.Go(n.readPackets)
	n.wg.Go(n.accept)
	return n
}

func (n *network) readPackets() {
	buf := make([]byte, 64<<10)
	for {
		size, from, err := n.udp.ReadFromUDPAddrPort(buf)
		at := time.Now()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // of an earlier write: it isn't ours to tell
			time.Sleep(time.Millisecond)
			continue
		case size == 0:
			continue
		}
		p := &memberlist.Packet{Buf: append([]byte(nil), buf[:size]...), From: net.UDPAddrFromAddrPort(plain(from)), Timestamp: at}
		select {
		case n.packets <- p:
		case <-n.done.Done():
			return
		}
	}
}

func (n *network) accept() {
	for {
		c, err := n.tcp.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of files; the peers try again
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if c = n.keep(c); c == nil {
			return
		}
		select {
		case n.streams <- c:
		case <-n.done.Done():
			return
		}
	}
}

// keep remembers a stream so that Shutdown can cut it; nil after that.
func (n *network) keep(c net.Conn) net.Conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conns == nil {
		_ = c.Close()
		return nil
	}
	n.conns[c] = struct{}{}
	return &kept{Conn: c, n: n}
}

// kept is a stream that Shutdown cuts.
type kept struct {
	net.Conn
	n *network
}

func (k *kept) Close() error {
	k.n.mu.Lock()
	delete(k.n.conns, k.Conn)
	k.n.mu.Unlock()
	return k.Conn.Close()
}

func (n *network) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	if ip == "" {
		a := n.tcp.Addr().(*net.TCPAddr)
		return a.IP, a.Port, nil
	}
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return nil, 0, fmt.Errorf("advertise: %v", err)
	}
	return a.Unmap().AsSlice(), port, nil
}

func (n *network) WriteTo(b []byte, addr string) (time.Time, error) {
	return n.WriteToAddress(b, memberlist.Address{Addr: addr})
}

func (n *network) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr.Addr)
	if err != nil {
		return time.Time{}, err
	}
	_ = n.udp.SetWriteDeadline(time.Now().Add(sendTimeout))
	_, err = n.udp.WriteToUDPAddrPort(b, to)
	return time.Now(), err
}

func (n *network) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return n.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

func (n *network) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout, Control: control}
	if a := n.udp.LocalAddr().(*net.UDPAddr); !a.IP.IsUnspecified() {
		d.LocalAddr = &net.TCPAddr{IP: a.IP} // as the packets, so that the peer knows whom it hears
	}
	c, err := d.DialContext(n.done, "tcp", addr.Addr)
	if err != nil {
		return nil, err
	}
	if c = n.keep(c); c == nil {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (n *network) PacketCh() <-chan *memberlist.Packet { return n.packets }
func (n *network) StreamCh() <-chan net.Conn           { return n.streams }

func (n *network) Shutdown() error {
	n.stop()
	err := errors.Join(n.udp.Close(), n.tcp.Close())
	n.mu.Lock()
	conns := n.conns
	n.conns = nil
	n.mu.Unlock()
	for c := range conns {
		_ = c.Close()
	}
	n.wg.Wait()
	return err
}
