package handover

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/director/ipvs/syncd"
	"github.com/ipvsd/ipvsd/director/table"
)

// Linux is the machine. It belongs to the goroutine of Run.
type Linux struct {
	made map[int]bool // the interfaces whose clsact is ours
}

var _ System = (*Linux)(nil)

const (
	connPath    = "/proc/thread-self/net/ip_vs_conn"
	datagram    = 1472 // of payload: an Ethernet frame's less the headers
	burst       = 32   // datagrams in a row; a pause then keeps the receiver's buffer from overflowing
	burstPause  = time.Millisecond
	idle        = 10               // seconds without a packet after which a connection counts as told by the daemon
	establishes = 15 * time.Minute // the kernel's default lifetime of an established connection without packets
)

// Carry sends the connections to the daemon's multicast group.
func (*Linux) Carry(ctx context.Context, d syncd.Daemon, pick *Pick) (int, error) {
	f, err := os.Open(connPath)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil // no connections without ip_vs
	}
	if err != nil {
		return 0, fmt.Errorf("read connections: %v", err)
	}
	defer f.Close()
	out, err := dial(d)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	return carry(ctx, f, out, d.SyncID, pick)
}

// carry sends the connections that are listed in r.
func carry(ctx context.Context, r io.Reader, w io.Writer, syncID uint8, pick *Pick) (n int, err error) {
	m := message{syncID: syncID, max: datagram}
	sent := 0
	flush := func() error {
		b := m.take()
		if b == nil {
			return nil
		}
		if _, err := w.Write(b); err != nil {
			return fmt.Errorf("send connections: %v", err)
		}
		if sent++; sent%burst == 0 {
			time.Sleep(burstPause)
		}
		return nil
	}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		c, ok := parseConn(lines.Text())
		if !ok || old(c) {
			continue
		}
		mark, ok := pick.wants(c)
		if !ok {
			continue
		}
		if !m.add(c, mark) {
			if err := flush(); err != nil {
				return n, err
			}
			if err := ctx.Err(); err != nil {
				return n, fmt.Errorf("not all connections were sent: %w", err)
			}
			m.add(c, mark)
		}
		n++
	}
	if err := lines.Err(); err != nil {
		return n, fmt.Errorf("read connections: %v", err)
	}
	return n, flush()
}

// old is whether an established TCP connection was silent for so long that the
// sync daemon must have told of it. Most of a large table's are.
func old(c conn) bool {
	const full = uint32(establishes / time.Second)
	return c.proto == table.TCP && !c.template && c.state == 1 && c.left < full-idle && c.left > full/2
}

// dial opens a socket that sends to the daemon's group, but not to our own
// backup daemon.
func dial(d syncd.Daemon) (io.WriteCloser, error) {
	if !d.Group.Is4() {
		return nil, fmt.Errorf("send connections to %s: only IPv4 groups are known here", d.Group)
	}
	link, err := net.InterfaceByName(d.Interface)
	if err != nil {
		return nil, fmt.Errorf("send connections on %s: %v", d.Interface, err)
	}
	c, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return nil, fmt.Errorf("send connections: %v", err)
	}
	raw, err := c.SyscallConn()
	if err == nil {
		var failed error
		err = raw.Control(func(fd uintptr) {
			s := int(fd)
			failed = errors.Join(
				unix.SetsockoptIPMreqn(s, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(link.Index)}),
				unix.SetsockoptInt(s, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, int(d.TTL)),
				unix.SetsockoptInt(s, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0))
		})
		err = errors.Join(err, failed)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("send connections on %s: %v", d.Interface, err)
	}
	return sender{c, netip.AddrPortFrom(d.Group, d.Port)}, nil
}

// sender sends each write as a datagram.
type sender struct {
	*net.UDPConn
	to netip.AddrPort
}

func (s sender) Write(b []byte) (int, error) { return s.WriteToUDPAddrPort(b, s.to) }
