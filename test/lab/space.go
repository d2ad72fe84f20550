package lab

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// space is a network namespace with a mount namespace (for its /sys) and one locked thread that lives in both. Short
// system calls — socket, fork, reading /proc/sys/net — are sent to that thread; what blocks gets a thread of its own.
type space struct {
	net, mnt *os.File
	nl       *netlink.Handle

	mu     sync.Mutex // held by senders to calls, so that close cannot overtake them
	closed bool
	calls  chan func()
	done   chan struct{}
}

// newSpace makes the namespaces and runs settle in them.
func newSpace(settle func() error) (*space, error) {
	s := &space{calls: make(chan func()), done: make(chan struct{})}
	ready := make(chan error, 1)
	go func() {
		defer close(s.done)
		// Never unlocked: the runtime ends the thread with the goroutine. It cannot go back, as it left the others'
		// file system state (CLONE_FS).
		runtime.LockOSThread()
		err := s.enterNew(settle)
		ready <- err
		if err != nil {
			return
		}
		for f := range s.calls {
			f()
		}
	}()
	if err := <-ready; err != nil {
		<-s.done
		return nil, err
	}
	return s, nil
}

func (s *space) enterNew(settle func() error) error {
	wd, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %v", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make mounts slaves: %v", err)
	}
	if err := settle(); err != nil {
		return err
	}
	if err := unix.Chdir(wd); err != nil {
		return err
	}
	if s.net, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return err
	}
	if s.mnt, err = os.Open("/proc/thread-self/ns/mnt"); err != nil {
		return err
	}
	s.nl, err = netlink.NewHandle(unix.NETLINK_ROUTE)
	return err
}

func (s *space) close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	close(s.calls)
	s.mu.Unlock()
	<-s.done
	s.nl.Close()
	s.net.Close()
	s.mnt.Close()
}

var (
	errGone  = errors.New("the host is gone: the test has ended")
	errEnded = errors.New("the function ended its goroutine")
)

// quick runs f on the thread of the space and waits. f must be short and must not call quick.
func (s *space) quick(f func() error) error {
	res := make(chan error, 1)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errGone
	}
	s.calls <- func() { res <- f() }
	s.mu.Unlock()
	return <-res
}

// do runs f on a fresh thread in the space and waits.
func (s *space) do(f func() error) error {
	res := make(chan error, 1)
	go func() {
		err := errEnded
		defer func() { res <- err }() // also if f ends the goroutine
		runtime.LockOSThread()        // and the thread ends with it
		if e := s.enter(); e != nil {
			err = e
			return
		}
		err = f()
	}()
	return <-res
}

func (s *space) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errGone
	}
	wd, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := unix.Setns(int(s.net.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace: %v", err)
	}
	// A thread that shares its file system state with others may not change its mount namespace.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare file system state: %v", err)
	}
	if err := unix.Setns(int(s.mnt.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter mount namespace: %v", err)
	}
	return unix.Chdir(wd)
}
