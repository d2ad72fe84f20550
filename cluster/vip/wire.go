package vip

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ethARP and ethIPv6 are packet types in network byte order.
const (
	ethARP  = unix.ETH_P_ARP<<8&0xff00 | unix.ETH_P_ARP>>8
	ethIPv6 = unix.ETH_P_IPV6<<8&0xff00 | unix.ETH_P_IPV6>>8
)

// wire sends announcements through a packet socket. The kernel adds the link's
// own header, so that VLANs and bonds need nothing here. The socket stays open:
// closing one waits until no processor can still be using it, milliseconds
// that a takeover doesn't have.
type wire struct {
	fd   int
	open bool
}

var (
	broadcast     = [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	allNodesGroup = [8]byte{0x33, 0x33, 0, 0, 0, 1} // of ff02::1 (RFC 2464 section 7)
)

// announce sends both forms of gratuitous ARP, or a neighbour advertisement.
func (w *wire) announce(l Link, addr netip.Addr) error {
	if addr.Is6() {
		return w.send(l, ethIPv6, allNodesGroup, unsolicitedNA(l.MAC, addr, forwards(l.Name)))
	}
	err := w.send(l, ethARP, broadcast, garp(arpRequest, l.MAC, addr))
	if err != nil {
		return err
	}
	return w.send(l, ethARP, broadcast, garp(arpReply, l.MAC, addr))
}

func (w *wire) send(l Link, etherType uint16, to [8]byte, payload []byte) error {
	if err := w.dial(); err != nil {
		return err
	}
	err := sendTo(w.fd, l, etherType, to, payload)
	if errors.Is(err, unix.EBADF) || errors.Is(err, unix.ENOTSOCK) {
		w.open = false
	}
	return err
}

func sendTo(fd int, l Link, etherType uint16, to [8]byte, payload []byte) error {
	return unix.Sendto(fd, payload, unix.MSG_DONTWAIT, &unix.SockaddrLinklayer{
		Protocol: etherType,
		Ifindex:  l.Index,
		Halen:    6,
		Addr:     to,
	})
}

func (w *wire) dial() error {
	if w.open {
		return nil
	}
	fd, err := packetSocket()
	if err != nil {
		return err
	}
	w.fd, w.open = fd, true
	return nil
}

// packetSocket opens a socket that receives nothing yet (protocol 0).
func packetSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EPERM) {
		err = fmt.Errorf("%w: needs root or CAP_NET_RAW", err)
	}
	if err != nil {
		return -1, fmt.Errorf("open a packet socket: %w", err)
	}
	return fd, nil
}

func (w *wire) close() {
	if w.open {
		unix.Close(w.fd)
		w.open = false
	}
}

// forwards is whether the kernel routes IPv6 packets that come in on an
// interface.
func forwards(name string) bool {
	b, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + name + "/forwarding")
	return err == nil && strings.TrimSpace(string(b)) != "0"
}
