package checker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// pinger holds one ICMP socket per address family, opened when first needed and
// shared by all checks: every further raw socket would get a copy of every
// reply. A goroutine per socket reads the replies and hands each to who waits.
type pinger struct {
	mu      sync.Mutex
	sockets [2]*pingSocket // IPv4, IPv6
	readers sync.WaitGroup
}

func newPinger() *pinger { return &pinger{} }

// socket returns the socket for addr's family.
func (p *pinger) socket(addr netip.Addr) (*pingSocket, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v6 := addr.Is6()
	i := 0
	if v6 {
		i = 1
	}
	if p.sockets[i] == nil {
		s, err := openPing(v6)
		if err != nil {
			return nil, err
		}
		p.sockets[i] = s
		p.readers.Go(s.read)
	}
	return p.sockets[i], nil
}

// close ends the readers. Nobody may ping any more.
func (p *pinger) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.sockets {
		if s != nil {
			_ = s.file.Close()
		}
	}
	p.readers.Wait()
}

// pingSocket is one ICMP socket.
type pingSocket struct {
	v6      bool
	rawIP   bool // a raw socket: it hears of errors, and IPv4 packets come with their IP header
	file    *os.File
	conn    syscall.RawConn
	id      uint16
	mu      sync.Mutex // guards the rest
	seq     uint16
	waiting map[uint16]*echo // by sequence number
}

// echo is one check that waits for an answer.
type echo struct {
	seq      uint16
	token    uint64 // in the payload: nobody else has it
	answered chan struct{}
	note     string // what routers said
}

// The ICMP types that matter.
const (
	echoReply4, echoRequest4, unreachable4 = 0, 8, 3
	echoReply6, echoRequest6, unreachable6 = 129, 128, 1
	echoSize                               = 16 // header and token
)

// openPing opens a raw socket, else the kernel's ping socket for programs
// without CAP_NET_RAW.
func openPing(v6 bool) (*pingSocket, error) {
	s := &pingSocket{v6: v6, rawIP: true, id: uint16(rand.Uint32()), waiting: map[uint16]*echo{}}
	family, protocol := unix.AF_INET, unix.IPPROTO_ICMP
	if v6 {
		family, protocol = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	const flags = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	fd, err := unix.Socket(family, unix.SOCK_RAW|flags, protocol)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		s.rawIP = false
		fd, err = unix.Socket(family, unix.SOCK_DGRAM|flags, protocol)
	}
	switch {
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		return nil, errors.New("ping isn't permitted: it needs CAP_NET_RAW, or our group in sysctl net.ipv4.ping_group_range")
	case err != nil:
		return nil, errors.New(socketReason(&socketError{err}))
	}
	if s.rawIP {
		err = filter(fd, v6)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("filter of the ping socket: %v", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20) // ten thousand replies at a time
	s.file = os.NewFile(uintptr(fd), "ping")
	s.conn, err = s.file.SyscallConn()
	return s, err
}

// filter lets through what we read and nothing else, so that a flood of other
// ICMP costs nothing.
func filter(fd int, v6 bool) error {
	if !v6 {
		const icmpFilter = 1 // ICMP_FILTER of linux/icmp.h
		return unix.SetsockoptInt(fd, unix.SOL_RAW, icmpFilter, ^(1<<echoReply4 | 1<<unreachable4))
	}
	var f unix.ICMPv6Filter
	for i := range f.Data {
		f.Data[i] = ^uint32(0)
	}
	for _, typ := range [...]int{echoReply6, unreachable6} {
		f.Data[typ/32] &^= 1 << (typ % 32)
	}
	return unix.SetsockoptICMPv6Filter(fd, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, &f)
}

// expect reserves a sequence number.
func (s *pingSocket) expect() *echo {
	e := &echo{token: rand.Uint64(), answered: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	for range 1 << 16 {
		s.seq++
		if s.waiting[s.seq] == nil {
			break
		}
	}
	e.seq = s.seq
	s.waiting[e.seq] = e
	return e
}

func (s *pingSocket) forget(e *echo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[e.seq] == e {
		delete(s.waiting, e.seq)
	}
}

func (s *pingSocket) note(e *echo) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return e.note
}

// send sends the echo request of e.
func (s *pingSocket) send(addr netip.Addr, e *echo) error {
	var b [echoSize]byte
	b[0] = echoRequest4
	if s.v6 {
		b[0] = echoRequest6
	}
	binary.BigEndian.PutUint16(b[4:], s.id)
	binary.BigEndian.PutUint16(b[6:], e.seq)
	binary.BigEndian.PutUint64(b[8:], e.token)
	if !s.v6 { // the kernel fills in that of IPv6
		binary.BigEndian.PutUint16(b[2:], icmpChecksum(b[:]))
	}
	to, err := pingAddr(addr)
	if err != nil {
		return err
	}
	if cerr := s.conn.Control(func(fd uintptr) { err = unix.Sendto(int(fd), b[:], unix.MSG_DONTWAIT, to) }); cerr != nil {
		return cerr
	}
	return err
}

func pingAddr(addr netip.Addr) (unix.Sockaddr, error) {
	if addr.Is4() {
		return &unix.SockaddrInet4{Addr: addr.As4()}, nil
	}
	zone, err := zoneID(addr)
	return &unix.SockaddrInet6{Addr: addr.As16(), ZoneId: zone}, err
}

// read hands out replies until the socket is closed.
func (s *pingSocket) read() {
	b := make([]byte, 2048)
	for {
		n, err := s.file.Read(b)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err == nil {
			s.take(b[:n])
		}
	}
}

// take looks at one packet: the answer to an echo, or an error about one.
func (s *pingSocket) take(b []byte) {
	var from netip.Addr
	if s.rawIP && !s.v6 {
		from, b = trimIPv4(b)
	}
	if len(b) < 8 {
		return
	}
	switch {
	case !s.v6 && b[0] == echoReply4, s.v6 && b[0] == echoReply6:
		if len(b) >= echoSize {
			s.reply(binary.BigEndian.Uint16(b[6:]), binary.BigEndian.Uint64(b[8:]))
		}
	case !s.v6 && b[0] == unreachable4:
		if _, inner := trimIPv4(b[8:]); len(inner) >= 8 && inner[0] == echoRequest4 {
			s.complain(inner, unreachable(false, b[1], from))
		}
	case s.v6 && b[0] == unreachable6:
		const header = 40
		if inner := b[8:]; len(inner) >= header+8 && inner[header] == echoRequest6 {
			s.complain(inner[header:], unreachable(true, b[1], from))
		}
	}
}

func (s *pingSocket) reply(seq uint16, token uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.waiting[seq]; e != nil && e.token == token {
		delete(s.waiting, seq)
		close(e.answered)
	}
}

// complain keeps what a router says about one of our requests. It is no
// verdict: routers are wrong for moments.
func (s *pingSocket) complain(request []byte, note string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.waiting[binary.BigEndian.Uint16(request[6:])]; e != nil && binary.BigEndian.Uint16(request[4:]) == s.id {
		e.note = note
	}
}

// trimIPv4 returns an IPv4 packet's sender and its content.
func trimIPv4(b []byte) (netip.Addr, []byte) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return netip.Addr{}, nil
	}
	size := int(b[0]&0xf) * 4
	if size < 20 || len(b) < size {
		return netip.Addr{}, nil
	}
	return netip.AddrFrom4([4]byte(b[12:16])), b[size:]
}
