package lab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	etherARP  = 0x0806
	etherIPv6 = 0x86dd
)

// answerWait is how long ARP and NDP wait for answers after the last question.
const answerWait = 300 * time.Millisecond

// packetSocket opens a raw socket on an interface; ethertype ETH_P_ALL also shows what the host itself sends.
func (h *Host) packetSocket(ifname string, ethertype uint16) (*os.File, error) {
	link, err := h.space.nl.LinkByName(ifname)
	if err != nil {
		return nil, err
	}
	be := ethertype<<8 | ethertype>>8
	fd := -1
	err = h.space.quick(func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		// A capture must also see what is for others: a bridge floods it.
		mreq := &unix.PacketMreq{Ifindex: int32(link.Attrs().Index), Type: unix.PACKET_MR_PROMISC}
		if err = unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, mreq); err != nil {
			unix.Close(fd)
			return os.NewSyscallError("setsockopt", err)
		}
		// Bound last, with the protocol: until then no frame of another interface comes in.
		if err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: be, Ifindex: link.Attrs().Index}); err != nil {
			unix.Close(fd)
			return os.NewSyscallError("bind", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "packet"), nil
}

// ARP sends n requests for target from eth0 and returns the distinct hardware addresses that answered, in the order of
// their first answer. Two of them mean that two hosts own the address.
func (h *Host) ARP(target netip.Addr, n int) []net.HardwareAddr {
	h.t.Helper()
	mac := h.MAC()
	var src netip.Addr
	for _, p := range h.Addrs("eth0") {
		if p.Addr().Is4() && (!src.IsValid() || p.Contains(target)) {
			src = p.Addr()
		}
	}
	if !src.IsValid() {
		src = netip.IPv4Unspecified() // a probe: answered as well
	}
	return h.who(etherARP, n, arpRequest(mac, src, target), func(f []byte) net.HardwareAddr {
		a, ok := parseARP(f)
		if !ok || a.op != 2 || a.senderIP != target || bytes.Equal(a.senderMAC, mac) {
			return nil
		}
		return a.senderMAC
	})
}

// NDP is ARP for IPv6, by neighbour solicitations.
func (h *Host) NDP(target netip.Addr, n int) []net.HardwareAddr {
	h.t.Helper()
	mac := h.MAC()
	var src netip.Addr
	for _, p := range h.Addrs("eth0") {
		if p.Addr().Is6() && (!src.IsValid() || p.Contains(target)) {
			src = p.Addr()
		}
	}
	if !src.IsValid() {
		h.t.Fatalf("lab: %s: NDP: eth0 has no IPv6 address", h.Name)
	}
	return h.who(etherIPv6, n, neighbourSolicitation(mac, src, target), func(f []byte) net.HardwareAddr {
		a, ok := parseNA(f)
		if !ok || a.target != target || bytes.Equal(a.mac, mac) {
			return nil
		}
		return a.mac
	})
}

// who sends a question n times and gathers who answered.
func (h *Host) who(ethertype uint16, n int, question []byte, answer func([]byte) net.HardwareAddr) []net.HardwareAddr {
	h.t.Helper()
	sock, err := h.packetSocket("eth0", ethertype)
	if err != nil {
		h.t.Fatalf("lab: %s: packet socket: %v", h.Name, err)
	}
	defer sock.Close()
	for range n {
		if _, err := sock.Write(question); err != nil {
			h.t.Fatalf("lab: %s: send: %v", h.Name, err)
		}
	}
	_ = sock.SetReadDeadline(time.Now().Add(answerWait))
	var macs []net.HardwareAddr
	buf := make([]byte, 2048)
	for {
		k, err := sock.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return macs
		}
		if err != nil {
			h.t.Fatalf("lab: %s: receive: %v", h.Name, err)
		}
		mac := answer(buf[:k])
		known := mac == nil
		for _, m := range macs {
			known = known || bytes.Equal(m, mac)
		}
		if !known {
			macs = append(macs, bytes.Clone(mac))
		}
	}
}

// Announce makes the host claim an address before all, whether it has it or not: by a gratuitous ARP request, or an
// unsolicited neighbour advertisement with the override flag. So does a director that does not know it was replaced.
func (h *Host) Announce(addr netip.Addr) {
	h.t.Helper()
	mac := h.MAC()
	frame, ethertype := arpRequest(mac, addr, addr), uint16(etherARP)
	if addr.Is6() {
		frame, ethertype = neighbourAdvertisement(mac, addr), etherIPv6
	}
	sock, err := h.packetSocket("eth0", ethertype)
	if err == nil {
		defer sock.Close()
		_, err = sock.Write(frame)
	}
	if err != nil {
		h.t.Fatalf("lab: %s: announce %v: %v", h.Name, addr, err)
	}
}

// Capture counts the frames on an interface that a filter lets through.
type Capture struct {
	sock *os.File
	wg   sync.WaitGroup
	once sync.Once

	mu     sync.Mutex
	frames []Frame
}

// Frame is a captured frame.
type Frame struct {
	Time time.Time
	Data []byte // from the Ethernet header on
}

// Source is the hardware address of the sender.
func (f Frame) Source() net.HardwareAddr { return net.HardwareAddr(f.Data[6:12]) }

// Capture captures on eth0, or on the named interface, until Stop or the test's end; nil lets every frame through.
func (h *Host) Capture(filter func(frame []byte) bool, ifname ...string) *Capture {
	h.t.Helper()
	sock, err := h.packetSocket(ifnameOr(ifname), unix.ETH_P_ALL)
	if err != nil {
		h.t.Fatalf("lab: %s: capture: %v", h.Name, err)
	}
	c := &Capture{sock: sock}
	c.wg.Go(func() {
		buf := make([]byte, 65536)
		for {
			n, err := sock.Read(buf)
			if errors.Is(err, unix.ENETDOWN) { // told once when the interface goes down
				continue
			}
			if err != nil {
				return
			}
			if n < 14 || filter != nil && !filter(buf[:n]) {
				continue
			}
			c.mu.Lock()
			c.frames = append(c.frames, Frame{time.Now(), bytes.Clone(buf[:n])})
			c.mu.Unlock()
		}
	})
	h.t.Cleanup(func() { c.Stop() })
	return c
}

// Count is the number of frames so far.
func (c *Capture) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.frames)
}

// Frames are the frames so far.
func (c *Capture) Frames() []Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Frame(nil), c.frames...)
}

// Stop ends the capture and returns its frames.
func (c *Capture) Stop() []Frame {
	c.once.Do(func() { c.sock.Close() })
	c.wg.Wait()
	return c.Frames()
}

// GratuitousARP is a filter: announcements of addr, as request or as answer.
func GratuitousARP(addr netip.Addr) func([]byte) bool {
	return func(f []byte) bool {
		a, ok := parseARP(f)
		return ok && a.senderIP == addr && a.targetIP == addr
	}
}

// UnsolicitedNA is a filter: neighbour advertisements of addr that answer nobody.
func UnsolicitedNA(addr netip.Addr) func([]byte) bool {
	return func(f []byte) bool {
		a, ok := parseNA(f)
		return ok && a.target == addr && !a.solicited
	}
}

type arp struct {
	op                 uint16
	senderMAC          net.HardwareAddr
	senderIP, targetIP netip.Addr
}

func parseARP(f []byte) (a arp, ok bool) {
	if len(f) < 42 || binary.BigEndian.Uint16(f[12:]) != etherARP {
		return a, false
	}
	a.op = binary.BigEndian.Uint16(f[20:])
	a.senderMAC = net.HardwareAddr(f[22:28])
	a.senderIP = netip.AddrFrom4([4]byte(f[28:32]))
	a.targetIP = netip.AddrFrom4([4]byte(f[38:42]))
	return a, true
}

func arpRequest(mac net.HardwareAddr, src, target netip.Addr) []byte {
	f := bytes.Repeat([]byte{0xff}, 6)
	f = append(f, mac...)
	f = append(f, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1)
	f = append(f, mac...)
	f = append(f, src.AsSlice()...)
	f = append(f, 0, 0, 0, 0, 0, 0)
	return append(f, target.AsSlice()...)
}

type na struct {
	target    netip.Addr
	mac       net.HardwareAddr
	solicited bool
}

// parseNA reads a neighbour advertisement (RFC 4861, 4.4) in a frame without extension headers.
func parseNA(f []byte) (a na, ok bool) {
	if len(f) < 14+40+24 || binary.BigEndian.Uint16(f[12:]) != etherIPv6 || f[20] != unix.IPPROTO_ICMPV6 || f[54] != 136 {
		return a, false
	}
	icmp := f[54:]
	a.solicited = icmp[4]&0x40 != 0
	a.target = netip.AddrFrom16([16]byte(icmp[8:24]))
	a.mac = net.HardwareAddr(f[6:12])
	if opt := icmp[24:]; len(opt) >= 8 && opt[0] == 2 { // target link-layer address
		a.mac = net.HardwareAddr(opt[2:8])
	}
	return a, true
}

func neighbourSolicitation(mac net.HardwareAddr, src, target netip.Addr) []byte {
	t := target.As16()
	group := [16]byte{0: 0xff, 1: 0x02, 11: 1, 12: 0xff, 13: t[13], 14: t[14], 15: t[15]}
	icmp := append([]byte{135, 0, 0, 0, 0, 0, 0, 0}, t[:]...)
	icmp = append(icmp, 1, 1) // source link-layer address
	return ndFrame(mac, src.As16(), group, append(icmp, mac...))
}

func neighbourAdvertisement(mac net.HardwareAddr, addr netip.Addr) []byte {
	t := addr.As16()
	allNodes := [16]byte{0: 0xff, 1: 0x02, 15: 1}
	icmp := append([]byte{136, 0, 0, 0, 0x20, 0, 0, 0}, t[:]...) // override
	icmp = append(icmp, 2, 1)                                    // target link-layer address
	return ndFrame(mac, t, allNodes, append(icmp, mac...))
}

// ndFrame puts a message of neighbour discovery to a multicast group into a frame.
func ndFrame(mac net.HardwareAddr, src, group [16]byte, icmp []byte) []byte {
	binary.BigEndian.PutUint16(icmp[2:], checksum(src, group, icmp))
	f := append([]byte{0x33, 0x33}, group[12:]...)
	f = append(f, mac...)
	f = append(f, 0x86, 0xdd, 0x60, 0, 0, 0, 0, byte(len(icmp)), unix.IPPROTO_ICMPV6, 255)
	f = append(f, src[:]...)
	f = append(f, group[:]...)
	return append(f, icmp...)
}

// checksum is that of ICMPv6 with its pseudo header.
func checksum(src, dst [16]byte, icmp []byte) uint16 {
	b := append(src[:], dst[:]...)
	b = append(b, 0, 0, 0, byte(len(icmp)), 0, 0, 0, unix.IPPROTO_ICMPV6)
	b = append(b, icmp...)
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
