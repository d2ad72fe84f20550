package vip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// asker has a packet socket that asks on one interface and hears who claims an
// address there. It lives as long as one question, so that no machine pays for
// reading all the ARP of its network.
type asker struct {
	fd     int
	link   Link
	addrs  []netip.Addr // all IPv4 or all IPv6, sorted
	claims []claim
	buf    [2048]byte
}

// Neighbour is another machine's answer to the question who has an address.
type Neighbour struct {
	Addr netip.Addr
	MAC  [6]byte
}

// AskNeighbours asks on an interface who has the addresses and returns each
// answer once. The questions come from nobody, so that no cache learns anything
// by them. It takes some 150 ms, and needs the right to open packet sockets
// (CAP_NET_RAW).
func AskNeighbours(ctx context.Context, l Link, addrs []netip.Addr) ([]Neighbour, error) {
	var out []Neighbour
	byFamily := map[bool][]netip.Addr{}
	for _, a := range addrs {
		byFamily[a.Is6()] = append(byFamily[a.Is6()], a)
	}
	for _, list := range byFamily {
		slices.SortFunc(list, netip.Addr.Compare)
		claims, err := askNeighbours(ctx, l, slices.Compact(list))
		if err != nil {
			return nil, err
		}
		for _, c := range claims {
			if n := Neighbour(c); !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out, nil
}

// askNeighbours sends probeTimes questions about each address and gathers the claims,
// the same one perhaps several times.
func askNeighbours(ctx context.Context, l Link, addrs []netip.Addr) ([]claim, error) {
	a := &asker{link: l, addrs: addrs}
	if err := a.dial(); err != nil {
		return nil, err
	}
	// The kernel takes up to 100 ms to close a packet socket (see wire); nobody
	// waits for that.
	defer func() { go unix.Close(a.fd) }()
	start := time.Now()
	for _, t := range probeTimes {
		if err := a.listen(start.Add(t)); err != nil || ctx.Err() != nil {
			return a.claims, err
		}
		if err := a.send(); err != nil {
			return a.claims, err
		}
	}
	err := a.listen(time.Now().Add(probeWait))
	return a.claims, err
}

// receiveBuffer has room for the answers to a thousand questions.
const receiveBuffer = 1 << 20

// dial opens the socket, and lets it receive only when nothing but what is of
// use can come in: a director's interface may see any number of packets.
func (a *asker) dial() (err error) {
	if a.fd, err = packetSocket(); err != nil {
		return err
	}
	to := &unix.SockaddrLinklayer{Protocol: ethARP, Ifindex: a.link.Index}
	if a.addrs[0].Is6() {
		to.Protocol = ethIPv6
		err = unix.SetsockoptSockFprog(a.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{
			Len: uint16(len(onlyNA)), Filter: &onlyNA[0],
		})
	}
	if err == nil {
		_ = unix.SetsockoptInt(a.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer) // a smaller one will do, too
		err = unix.Bind(a.fd, to)
	}
	if err != nil {
		unix.Close(a.fd)
		return fmt.Errorf("set up a packet socket: %w", err)
	}
	return nil
}

// onlyNA lets neighbour advertisements through. The packet begins with the
// IPv6 header.
var onlyNA = [...]unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 6}, // next header
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: protoICMPv6, Jf: 3},
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 40}, // type
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: icmpAdvertisement, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}

// send asks once for each address, in heaps as announcements are sent.
func (a *asker) send() error {
	for heap := range slices.Chunk(a.addrs, paced) {
		for _, addr := range heap {
			err := a.question(addr)
			if err != nil && !errors.Is(err, unix.EAGAIN) { // full: there are more questions
				return err
			}
		}
		if len(heap) == paced {
			if err := a.listen(time.Now().Add(pause)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *asker) question(addr netip.Addr) error {
	if addr.Is4() {
		return sendTo(a.fd, a.link, ethARP, broadcast, arpProbe(a.link.MAC, addr))
	}
	group := solicitedNode(addr)
	to := [8]byte{0x33, 0x33} // RFC 2464 section 7
	copy(to[2:], group[12:])
	return sendTo(a.fd, a.link, ethIPv6, to, solicitation(addr))
}

// listen gathers claims until a time.
func (a *asker) listen(until time.Time) error {
	for {
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		ms := int((left + time.Millisecond - 1) / time.Millisecond)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(a.fd), Events: unix.POLLIN}}, ms)
		switch {
		case n > 0:
			err = a.receive()
		case errors.Is(err, unix.EINTR):
			err = nil
		}
		if err != nil {
			return err
		}
	}
}

func (a *asker) receive() error {
	n, from, err := unix.Recvfrom(a.fd, a.buf[:], unix.MSG_DONTWAIT)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return err
	}
	c, ok := claimARP(a.buf[:n])
	if a.addrs[0].Is6() {
		var sender [6]byte
		if ll, known := from.(*unix.SockaddrLinklayer); known {
			sender = [6]byte(ll.Addr[:6])
		}
		c, ok = claimNA(a.buf[:n], sender)
	}
	if _, asked := slices.BinarySearchFunc(a.addrs, c.Addr, netip.Addr.Compare); ok && asked {
		a.claims = append(a.claims, c)
	}
	return nil
}
