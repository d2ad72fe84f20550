package ipvs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/director/table"
)

const (
	// bufferSize is what one message to us may hold. The kernel sizes the
	// pieces of a dump by it: at 16 KiB, 40 real servers come in one piece.
	bufferSize = 16 << 10
	// buffers are received in one system call. A dump of one service's real
	// servers takes two: its piece and the end mark.
	buffers = 4
)

var native = binary.NativeEndian

// link is a generic netlink socket with reused buffers. It opens itself and,
// after a lost answer, opens itself anew, because a late answer would be taken
// for that to the next question. It has one owner and isn't safe for two.
type link struct {
	timeout time.Duration

	fd     int // valid where opened
	opened bool
	port   uint32 // ours, in every answer
	seq    uint32
	family uint16 // of IPVS

	out     []byte // the request being built
	in      [buffers][]byte
	from    [buffers]unix.RawSockaddrNetlink
	vec     [buffers]unix.Iovec
	headers [buffers]mmsghdr
	got     int // datagrams received by the last call
	next    int // of which this is the next to hand out
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// ensure opens the socket and finds the family, where that isn't done.
func (l *link) ensure(ctx context.Context) error {
	if l.opened {
		return nil
	}
	if err := l.open(); err != nil {
		return err
	}
	family, err := l.resolve(ctx)
	if err != nil {
		return errors.Join(err, l.close())
	}
	l.family = family
	return nil
}

func (l *link) open() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_GENERIC)
	if err != nil {
		return os.NewSyscallError("netlink socket", err)
	}
	if l.port, err = bind(fd); err != nil {
		unix.Close(fd)
		return err
	}
	l.fd, l.opened = fd, true
	l.got, l.next = 0, 0
	for i := range l.in {
		if l.in[i] == nil {
			l.in[i] = make([]byte, bufferSize)
		}
		l.vec[i].Base = &l.in[i][0]
		l.vec[i].SetLen(bufferSize)
		h := &l.headers[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&l.from[i]))
		h.Iov = &l.vec[i]
		h.SetIovlen(1)
	}
	return nil
}

func bind(fd int) (port uint32, err error) {
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, os.NewSyscallError("bind netlink socket", err)
	}
	// Errors come without a copy of the request, so that many fit.
	if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1); err != nil {
		return 0, os.NewSyscallError("netlink socket option", err)
	}
	addr, err := unix.Getsockname(fd)
	if err != nil {
		return 0, os.NewSyscallError("name of netlink socket", err)
	}
	nl, ok := addr.(*unix.SockaddrNetlink)
	if !ok {
		return 0, fmt.Errorf("netlink socket has the address %v", addr)
	}
	return nl.Pid, nil
}

func (l *link) close() error {
	if !l.opened {
		return nil
	}
	l.opened = false
	return os.NewSyscallError("close netlink socket", unix.Close(l.fd))
}

// send sends what was built in l.out and empties it.
func (l *link) send() error {
	err := unix.Sendto(l.fd, l.out, unix.MSG_DONTWAIT, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	l.out = l.out[:0]
	return os.NewSyscallError("send to the kernel", err)
}

// message is one netlink message of an answer; its body is valid until the
// next call of receive.
type message struct {
	kind, flags uint16
	seq         uint32
	body        []byte
}

// receive calls each with the messages that come, until each says stop. Any
// error leaves the socket closed: the rest of the answer may be anywhere.
func (l *link) receive(ctx context.Context, each func(message) (stop bool, err error)) error {
	for {
		for l.next < l.got {
			i := l.next
			l.next++
			stop, err := l.datagram(i, each)
			if err != nil {
				return errors.Join(err, l.close())
			}
			if stop {
				return nil
			}
		}
		if err := l.fetch(ctx); err != nil {
			return errors.Join(err, l.close())
		}
	}
}

// datagram hands out the messages of datagram i.
func (l *link) datagram(i int, each func(message) (bool, error)) (stop bool, err error) {
	if l.from[i].Pid != 0 {
		return false, nil // any process may write to us; only the kernel counts
	}
	if l.headers[i].hdr.Flags&unix.MSG_TRUNC != 0 {
		return false, errors.New("an answer of the kernel is longer than the buffer")
	}
	b := l.in[i][:l.headers[i].len]
	for len(b) >= unix.NLMSG_HDRLEN {
		n := int(native.Uint32(b))
		if n < unix.NLMSG_HDRLEN || n > len(b) {
			return false, errMalformed
		}
		m := message{
			kind: native.Uint16(b[4:]), flags: native.Uint16(b[6:]),
			seq: native.Uint32(b[8:]), body: b[unix.NLMSG_HDRLEN:n],
		}
		if native.Uint32(b[12:]) == l.port {
			// All messages are looked at, so that nothing of this datagram
			// is left behind; only an end may come in the midst.
			s, err := each(m)
			if err != nil {
				return false, err
			}
			stop = stop || s
		}
		b = b[min(align(n), len(b)):]
	}
	return stop, nil
}

// fetch receives as many datagrams as are there, waiting for the first. The
// kernel answers before send returns, so that there is hardly ever a wait.
func (l *link) fetch(ctx context.Context) error {
	deadline := time.Time{}
	for {
		for i := range l.headers {
			l.headers[i].hdr.Namelen = unix.SizeofSockaddrNetlink
		}
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(l.fd), uintptr(unsafe.Pointer(&l.headers[0])),
			buffers, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			l.got, l.next = int(n), 0
			return nil
		case unix.EINTR:
			continue
		case unix.EAGAIN:
		default:
			return os.NewSyscallError("receive from the kernel", errno)
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(l.timeout)
		}
		if err := l.wait(ctx, deadline); err != nil {
			return err
		}
	}
}

// wait returns when there may be something to receive. It looks at ctx a few
// times a second; that is soon enough for an answer that is lost.
func (l *link) wait(ctx context.Context, deadline time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	left := time.Until(deadline)
	if left <= 0 {
		return fmt.Errorf("%w within %v", table.ErrTimeout, l.timeout)
	}
	ms := int(min(left, 200*time.Millisecond)/time.Millisecond) + 1
	_, err := unix.Poll([]unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}, ms)
	if err != nil && err != unix.EINTR {
		return os.NewSyscallError("poll netlink socket", err)
	}
	return nil
}
