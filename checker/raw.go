package checker

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls of the owner's checks, made without telling Go's scheduler:
// their sockets don't block, so there is no time in which another goroutine
// could have the processor. Told, the runtime would wake its monitor thread at
// the first call of each group, which then sleeps and wakes beside us and takes
// the processor away and back: in the lab that was a third of a check's CPU.

func rawConnect(fd int, target netip.AddrPort, zone uint32) error {
	var be [2]byte
	binary.BigEndian.PutUint16(be[:], target.Port())
	port := binary.NativeEndian.Uint16(be[:])
	if target.Addr().Unmap().Is4() {
		to := unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port, Addr: target.Addr().Unmap().As4()}
		_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&to)), unix.SizeofSockaddrInet4)
		return asError(errno)
	}
	to := unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: port, Addr: target.Addr().As16(), Scope_id: zone}
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&to)), unix.SizeofSockaddrInet6)
	return asError(errno)
}

func rawRead(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func rawWrite(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func rawClose(fd int) { _, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// rawEpoll returns the events that are there, without waiting.
func rawEpoll(fd int, events []unix.EpollEvent) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func asError(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
