package checker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sock is a stream socket (TCP or SCTP) in Go's poller, without the calls that
// package net makes for every connection and a check has no use for. It is a
// net.Conn for crypto/tls.
type sock struct {
	file  *os.File
	raw   syscall.RawConn
	phase phase
	then  phase // that follows connecting

	certUntil time.Time // of the server, after a TLS handshake
	unmet     func()    // not nil: called by Close where the connection never stood
}

// phase is what a check was doing when it failed.
type phase string

const (
	connecting  phase = "while connecting"
	handshaking phase = "in the TLS handshake"
	waiting     phase = "while waiting for the answer"
	reading     phase = "while reading the answer"
)

// dial creates a socket that doesn't block and begins to connect it.
func dial(protocol int, target netip.AddrPort) (fd int, _ error) {
	zone, err := zoneID(target.Addr().Unmap())
	if err != nil {
		return -1, err
	}
	fd, err = streamSocket(protocol, target.Addr())
	if err != nil {
		return -1, err
	}
	if protocol != unix.IPPROTO_TCP {
		linger(fd) // an ABORT instead of a shutdown that would wait for a dead peer
	}
	if err := rawConnect(fd, target, zone); err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// streamSocket is one of to's family that doesn't block.
func streamSocket(protocol int, to netip.Addr) (fd int, _ error) {
	fd, err := unix.Socket(familyOf(to), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, &socketError{err}
	}
	return fd, nil
}

func familyOf(addr netip.Addr) int {
	if addr.Unmap().Is6() {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// linger makes close break the connection off instead of saying goodbye, so
// that the director keeps no TIME_WAIT for it.
func linger(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// socketErrno is why a connection failed.
func socketErrno(fd int) error {
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err != nil:
		return err
	case code == 0:
		return unix.ECONNRESET
	}
	return syscall.Errno(code)
}

// open dials a port of spec's target. The first write waits until the connection
// stands.
func (e *env) open(protocol int, spec *Spec, target netip.AddrPort) (*sock, error) {
	if spec.Mark != 0 {
		return e.openMarked(protocol, spec, target)
	}
	fd, err := dial(protocol, target)
	if err != nil {
		return nil, err
	}
	return adopt(fd)
}

// adopt makes a sock of a descriptor, which it then owns.
func adopt(fd int) (*sock, error) {
	file := os.NewFile(uintptr(fd), "")
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &sock{file: file, raw: raw, phase: connecting, then: waiting}, nil
}

// limit ends every wait at the deadline, and at once when ctx ends.
func (s *sock) limit(ctx context.Context, deadline time.Time) (stop func() bool, err error) {
	if err := s.file.SetDeadline(deadline); err != nil {
		return nil, err
	}
	return context.AfterFunc(ctx, func() { _ = s.file.SetDeadline(time.Unix(1, 0)) }), nil
}

// established waits until the connection stands. It looks before it waits: what
// happened before the poller was told that a wait follows is not reported.
func (s *sock) established(look func(fd int) error) error {
	var err error
	if e := s.raw.Write(func(fd uintptr) bool {
		err = look(int(fd))
		return err != unix.EAGAIN
	}); e != nil {
		return e
	}
	if err == nil {
		s.phase = s.then
	}
	return err
}

// lookTCP sends nothing: EAGAIN while the handshake lasts, then its outcome.
func lookTCP(fd int) error { return unix.Send(fd, nil, unix.MSG_NOSIGNAL) }

// lookSCTP is for protocols that cannot send nothing.
func lookSCTP(fd int) error {
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err != nil:
		return err
	case code != 0:
		return syscall.Errno(code)
	}
	if _, err := unix.Getpeername(fd); err == unix.ENOTCONN {
		return unix.EAGAIN
	}
	return nil
}

// Write implements net.Conn. The first one waits for the connection.
func (s *sock) Write(p []byte) (int, error) {
	n, err := s.file.Write(p)
	if n > 0 && s.phase == connecting {
		s.phase = s.then
	}
	return n, err
}

// local returns our own address, for transcripts.
func (s *sock) local() string { return s.LocalAddr().String() }

// addr asks the kernel for one end of the connection.
func (s *sock) addr(of func(fd int) (unix.Sockaddr, error)) net.Addr {
	var end netip.AddrPort
	_ = s.raw.Control(func(fd uintptr) {
		if sa, err := of(int(fd)); err == nil {
			end = addrPort(sa)
		}
	})
	return net.TCPAddrFromAddrPort(end)
}

// Close implements net.Conn.
func (s *sock) Close() error {
	if s.unmet != nil && s.phase == connecting {
		s.unmet()
	}
	return s.file.Close()
}

// The rest of net.Conn.
func (s *sock) Read(p []byte) (int, error)         { return s.file.Read(p) }
func (s *sock) LocalAddr() net.Addr                { return s.addr(unix.Getsockname) }
func (s *sock) RemoteAddr() net.Addr               { return s.addr(unix.Getpeername) }
func (s *sock) SetDeadline(t time.Time) error      { return s.file.SetDeadline(t) }
func (s *sock) SetReadDeadline(t time.Time) error  { return s.file.SetReadDeadline(t) }
func (s *sock) SetWriteDeadline(t time.Time) error { return s.file.SetWriteDeadline(t) }

// socketError tells that the kernel gave us no socket, which is never the
// target's fault.
type socketError struct{ err error }

func (e *socketError) Error() string { return fmt.Sprintf("open a socket: %v", e.err) }
func (e *socketError) Unwrap() error { return e.err }

// zoneID is the interface that a link-local address is on; 0 for others.
func zoneID(addr netip.Addr) (uint32, error) {
	if addr.Zone() == "" {
		return 0, nil
	}
	link, err := net.InterfaceByName(addr.Zone())
	if err != nil {
		return 0, fmt.Errorf("interface %s: %v", addr.Zone(), err)
	}
	return uint32(link.Index), nil
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
