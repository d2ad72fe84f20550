package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Dial opens a tcp, udp or sctp connection from the host; addr is an IP address and a port.
func (h *Host) Dial(network, addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return h.DialContext(ctx, network, addr)
}

// DialContext is [Host.Dial] in the form of an http.Transport.
func (h *Host) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %v", addr, err)
	}
	conn, err := h.connect(ctx, network, ap)
	if err != nil {
		return nil, fmt.Errorf("dial %s %s: %w", network, addr, err)
	}
	return conn, nil
}

// socketType is the type and protocol of a network name; a trailing 4 or 6 is ignored, the address decides.
func socketType(network string) (typ, proto int, err error) {
	switch strings.TrimRight(network, "46") {
	case "tcp":
		return unix.SOCK_STREAM, unix.IPPROTO_TCP, nil
	case "udp":
		return unix.SOCK_DGRAM, unix.IPPROTO_UDP, nil
	case "sctp":
		return unix.SOCK_STREAM, unix.IPPROTO_SCTP, nil
	}
	return 0, 0, fmt.Errorf("unknown network %q", network)
}

func sockaddr(ap netip.AddrPort) (family int, sa unix.Sockaddr) {
	if ip := ap.Addr().Unmap(); ip.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ip.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
}

// connect makes only the socket on the host's thread – a socket keeps its namespace for life – and waits for the
// connection on the runtime's poller, so that hundreds of pending connections cost no threads. The net package takes a
// one-to-one SCTP socket for a TCP one, which does for reading and writing.
func (h *Host) connect(ctx context.Context, network string, ap netip.AddrPort) (net.Conn, error) {
	typ, proto, err := socketType(network)
	if err != nil {
		return nil, err
	}
	family, sa := sockaddr(ap)
	fd := -1
	err = h.space.quick(func() (err error) {
		fd, err = unix.Socket(family, typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, proto)
		return os.NewSyscallError("socket", err)
	})
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), network)
	defer f.Close()
	err = unix.Connect(fd, sa)
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return nil, os.NewSyscallError("connect", err)
	}
	pending := err != nil
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	if !pending {
		return conn, nil
	}
	if err := awaitConnect(ctx, conn); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func awaitConnect(ctx context.Context, conn net.Conn) error {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil {
			failed = os.NewSyscallError("getsockopt", err)
			return true
		}
		if code != 0 {
			failed = os.NewSyscallError("connect", unix.Errno(code))
			return true
		}
		// Woken without need: not connected yet.
		_, err = unix.Getpeername(int(fd))
		return err == nil
	})
	if ctx.Err() != nil {
		return os.NewSyscallError("connect", unix.ETIMEDOUT)
	}
	if err != nil {
		return err
	}
	return failed
}

// Listen listens on tcp or sctp in the host; addr is ":80", "[::]:80" or an address and a port. The caller closes it.
func (h *Host) Listen(network, addr string) (l net.Listener, err error) {
	if strings.HasPrefix(network, "sctp") {
		return h.listenSCTP(addr)
	}
	err = h.space.quick(func() (err error) {
		l, err = net.Listen(network, addr)
		return err
	})
	return l, err
}

// ListenPacket listens on udp in the host.
func (h *Host) ListenPacket(network, addr string) (c net.PacketConn, err error) {
	err = h.space.quick(func() (err error) {
		c, err = net.ListenPacket(network, addr)
		return err
	})
	return c, err
}

func (h *Host) listenSCTP(addr string) (net.Listener, error) {
	if strings.HasPrefix(addr, ":") {
		addr = "[::]" + addr
	}
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen sctp: %v", err)
	}
	family, sa := sockaddr(ap)
	var l net.Listener
	err = h.space.quick(func() error {
		fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		f := os.NewFile(uintptr(fd), "sctp")
		defer f.Close()
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		if err := unix.Bind(fd, sa); err != nil {
			return os.NewSyscallError("bind", err)
		}
		if err := unix.Listen(fd, 128); err != nil {
			return os.NewSyscallError("listen", err)
		}
		l, err = net.FileListener(f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen sctp %s: %w", addr, err)
	}
	return l, nil
}
