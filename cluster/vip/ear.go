package vip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Claim is another machine's word, heard on an interface, that an address is
// its own: an answer to a question, or an announcement.
type Claim struct {
	Interface string
	Addr      netip.Addr
	MAC       [6]byte
}

// Room is one interface and the addresses about which claims are listened for
// on it.
type Room struct {
	Link  Link
	Addrs []netip.Addr
}

// Ear asks the neighbours about addresses and hears their claims, all the
// time: the kernel hands up only frames about the addresses in its Rooms. The
// goroutines in Run own the listening sockets; Ask has one of its own and
// belongs to one goroutine.
type Ear struct {
	log   *slog.Logger
	heard chan Claim
	wake  chan struct{}
	out   wire // only touched by Ask's goroutine

	mu    sync.Mutex
	rooms []Room
	open  map[syscall.RawConn]booth // the sockets of now, for Pending
}

// NewEar makes an Ear. It hears nothing until Run.
func NewEar(log *slog.Logger) *Ear {
	return &Ear{
		log: log, heard: make(chan Claim, 16), wake: make(chan struct{}, 1), open: make(map[syscall.RawConn]booth),
	}
}

// Listen replaces the rooms.
func (e *Ear) Listen(rooms []Room) {
	e.mu.Lock()
	e.rooms = slices.Clone(rooms)
	e.mu.Unlock()
	poke(e.wake)
}

// Heard gives the claims, those of this machine excepted. Where nobody takes
// them they wait in the sockets.
func (e *Ear) Heard() <-chan Claim { return e.heard }

// Pending reads the claims that wait in the sockets, without waiting itself.
// Before silence is taken for an answer, they must be known: on a busy machine
// the goroutines that fill Heard may not have run since a question was asked.
func (e *Ear) Pending() (claims []Claim) {
	e.mu.Lock()
	defer e.mu.Unlock()
	buf := make([]byte, 2048)
	for raw, b := range e.open {
		for {
			n, from, failed := 0, unix.Sockaddr(nil), error(nil)
			// Not raw.Read: its lock is the listening goroutine's.
			err := raw.Control(func(fd uintptr) { n, from, failed = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT) })
			if err != nil || failed != nil {
				break // nothing left, or nothing to hear from: the listener tells
			}
			if c, ok := b.claim(buf[:n], from); ok {
				claims = append(claims, Claim{b.name, c.Addr, c.MAC})
			}
		}
	}
	return claims
}

// Ask asks on an interface who has an address: from another address of this
// machine, or, where from is zero, from nobody, which tells no cache anything.
// It never waits.
func (e *Ear) Ask(l Link, addr, from netip.Addr) error {
	err := e.ask(l, addr, from)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOBUFS) {
		return nil // lost on the wire, so to speak
	}
	return err
}

func (e *Ear) ask(l Link, addr, from netip.Addr) error {
	if addr.Is4() {
		if from.IsValid() {
			return e.out.send(l, ethARP, broadcast, arp(arpRequest, l.MAC, from, [6]byte{}, addr))
		}
		return e.out.send(l, ethARP, broadcast, arpProbe(l.MAC, addr))
	}
	group := solicitedNode(addr)
	to := [8]byte{0x33, 0x33}
	copy(to[2:], group[12:])
	if from.IsValid() {
		return e.out.send(l, ethIPv6, to, solicitationFrom(from, l.MAC, addr))
	}
	return e.out.send(l, ethIPv6, to, solicitation(addr))
}

// booth is one listening socket.
type booth struct {
	link  int
	name  string
	addrs []netip.Addr // of one family, sorted
}

func (b booth) equal(o booth) bool {
	return b.link == o.link && b.name == o.name && slices.Equal(b.addrs, o.addrs)
}

// booths are the sockets that the rooms need: one for each interface and family.
func booths(rooms []Room) (out []booth) {
	for _, r := range rooms {
		if !r.Link.Ethernet {
			continue
		}
		for _, six := range []bool{false, true} {
			b := booth{link: r.Link.Index, name: r.Link.Name}
			for _, a := range r.Addrs {
				if a.Is6() == six {
					b.addrs = append(b.addrs, a)
				}
			}
			slices.SortFunc(b.addrs, netip.Addr.Compare)
			if b.addrs = slices.Compact(b.addrs); len(b.addrs) > 0 {
				out = append(out, b)
			}
		}
	}
	return out
}

// Run listens until ctx ends.
func (e *Ear) Run(ctx context.Context) error {
	defer e.out.close()
	type open struct {
		booth
		stop context.CancelFunc
	}
	var tasks sync.WaitGroup
	defer tasks.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var now []open
	for {
		e.mu.Lock()
		want := booths(e.rooms)
		e.mu.Unlock()
		now = slices.DeleteFunc(now, func(o open) bool {
			gone := !slices.ContainsFunc(want, o.equal)
			if gone {
				o.stop()
			}
			return gone
		})
		for _, b := range want {
			if slices.ContainsFunc(now, func(o open) bool { return o.equal(b) }) {
				continue
			}
			bctx, stop := context.WithCancel(ctx)
			now = append(now, open{b, stop})
			tasks.Go(func() { e.sit(bctx, b) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-e.wake:
		}
	}
}

// sit keeps one socket open, whatever happens to it.
func (e *Ear) sit(ctx context.Context, b booth) {
	told := ""
	for ctx.Err() == nil {
		err := e.hear(ctx, b)
		if err != nil && ctx.Err() == nil && err.Error() != told {
			told = err.Error()
			e.log.Warn("listening to the neighbours failed, trying again", "interface", b.name, "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(backoffMin):
		}
	}
}

// hear reads one socket until ctx ends.
func (e *Ear) hear(ctx context.Context, b booth) error {
	fd, err := packetSocket()
	if err != nil {
		return err
	}
	to := &unix.SockaddrLinklayer{Protocol: ethARP, Ifindex: b.link}
	if b.addrs[0].Is6() {
		to.Protocol = ethIPv6
	}
	filter := onlyClaims(b.addrs)
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	if err == nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
		err = unix.SetNonblock(fd, true)
	}
	if err == nil {
		err = unix.Bind(fd, to)
	}
	if err != nil {
		unix.Close(fd)
		return fmt.Errorf("set up a packet socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), "packet socket")
	defer f.Close()
	defer context.AfterFunc(ctx, func() { f.Close() })()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.open[raw] = b
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		delete(e.open, raw)
		e.mu.Unlock()
	}()
	buf := make([]byte, 2048)
	for {
		c, ok, err := receiveClaim(raw, buf, b)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		select {
		case e.heard <- Claim{b.name, c.Addr, c.MAC}:
		case <-ctx.Done():
			return nil
		}
	}
}

// receiveClaim waits for one frame.
func receiveClaim(raw syscall.RawConn, buf []byte, b booth) (c claim, ok bool, err error) {
	var n int
	var from unix.Sockaddr
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, from, failed = unix.Recvfrom(int(fd), buf, 0)
		return !errors.Is(failed, unix.EAGAIN) && !errors.Is(failed, unix.EINTR)
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return c, false, err // also when the interface went down: it is bound anew
	}
	c, ok = b.claim(buf[:n], from)
	return c, ok, nil
}

// claim reads a frame.
func (b booth) claim(frame []byte, from unix.Sockaddr) (c claim, ok bool) {
	ll, known := from.(*unix.SockaddrLinklayer)
	if !known || ll.Pkttype == unix.PACKET_OUTGOING {
		return c, false
	}
	if b.addrs[0].Is6() {
		c, ok = claimNA(frame, [6]byte(ll.Addr[:6]))
	} else {
		c, ok = claimARP(frame)
	}
	_, ours := slices.BinarySearchFunc(b.addrs, c.Addr, netip.Addr.Compare)
	return c, ok && ours
}

// onlyClaims lets through ARP packets whose sender, or neighbour advertisements
// whose target, ends like one of the addresses. A packet begins with ARP's or
// IPv6's own header.
func onlyClaims(addrs []netip.Addr) []unix.SockFilter {
	const load, equal, ret = unix.BPF_LD | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	deny := unix.SockFilter{Code: ret, K: 0}
	allow := unix.SockFilter{Code: ret, K: 0xffff}
	var p []unix.SockFilter
	if addrs[0].Is6() {
		p = append(p,
			unix.SockFilter{Code: load | unix.BPF_B, K: 6}, // next header
			unix.SockFilter{Code: equal, K: protoICMPv6, Jt: 1}, deny,
			unix.SockFilter{Code: load | unix.BPF_B, K: 40}, // type
			unix.SockFilter{Code: equal, K: icmpAdvertisement, Jt: 1}, deny,
			unix.SockFilter{Code: load | unix.BPF_W, K: 60}) // the target's last 4 bytes
	} else {
		p = append(p, unix.SockFilter{Code: load | unix.BPF_W, K: 14}) // the sender's address
	}
	for _, a := range addrs[:min(len(addrs), maxFilter)] {
		b := a.AsSlice()
		b = b[len(b)-4:]
		k := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		p = append(p, unix.SockFilter{Code: equal, K: k, Jf: 1}, allow)
	}
	return append(p, deny)
}

// maxFilter keeps the filter within the kernel's 4096 instructions.
const maxFilter = 2000
