package checker

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// fullListener listens with a full queue.
func fullListener(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	target := addrPort(sa)
	for range 4 {
		s, err := dial(unix.IPPROTO_TCP, target)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(s) })
	}
	return target
}

func TestSCTPUnavailableIsVoid(t *testing.T) {
	s, err := dial(unix.IPPROTO_SCTP, netip.MustParseAddrPort("127.0.0.1:9"))
	if err == nil {
		_ = unix.Close(s)
		t.Skip("this kernel speaks SCTP")
	}
	if r := failed(err, connecting, 0); err != unix.ECONNREFUSED && !r.Void {
		t.Errorf("got %+v", r)
	}
}
