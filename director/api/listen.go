package api

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// listenTCP opens addr; its errors say what would help.
func listenTCP(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err == nil {
		return limit(ln, maxConns), nil
	}
	hint := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "; another ipvsd? set [http] listen"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "; no interface has this address, set [http] listen"
	case errors.Is(err, syscall.EACCES):
		hint = "; ports below 1024 need CAP_NET_BIND_SERVICE, set [http] listen"
	}
	return nil, &listenError{addr: addr, hint: hint, err: cause(err)}
}

// listenError keeps the system's error testable under the words for people.
type listenError struct {
	addr, hint string
	err        error
}

func (e *listenError) Error() string { return fmt.Sprintf("listen on %s: %v%s", e.addr, e.err, e.hint) }

func (e *listenError) Unwrap() error { return e.err }

// cause strips what package net says around a system call's error: the address
// is named already.
func cause(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// samePort reports whether two listen addresses can't be open at once because
// one has the other's port on all addresses.
func samePort(a, b string) bool {
	_, pa, errA := net.SplitHostPort(a)
	_, pb, errB := net.SplitHostPort(b)
	return errA == nil && errB == nil && pa == pb
}

// limit lets at most n accepted connections be open; the next ones wait in the
// kernel's queue.
func limit(ln net.Listener, n int) net.Listener {
	return &limited{Listener: ln, slots: make(chan struct{}, n), closed: make(chan struct{})}
}

type limited struct {
	net.Listener
	slots  chan struct{}
	once   sync.Once
	closed chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: conn, slots: l.slots}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	once  sync.Once
	slots chan struct{}
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { <-c.slots })
	return err
}
