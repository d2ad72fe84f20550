package lab

import (
	"bufio"
	"fmt"
	"net"
	"sync"
)

// Echo is a server in a host that answers every line (udp: every datagram) with its name, a space and what it got. It
// holds its connections until Close.
type Echo struct {
	Name    string
	host    *Host
	network string
	addr    string

	mu     sync.Mutex
	open   bool
	closer func()
	conns  map[net.Conn]struct{}
	total  int
	wg     sync.WaitGroup
}

// Echo starts an echo server for "tcp", "sctp" or "udp" on addr.
func (h *Host) Echo(network, addr, name string) *Echo {
	h.t.Helper()
	e := &Echo{Name: name, host: h, network: network, addr: addr, conns: map[net.Conn]struct{}{}}
	e.Reopen()
	h.t.Cleanup(e.Close)
	return e
}

// Reopen listens again after a Close.
func (e *Echo) Reopen() {
	e.host.t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open {
		return
	}
	err := e.listen()
	if err != nil {
		e.host.t.Fatalf("lab: %s: echo server %s: %v", e.host.Name, e.Name, err)
	}
	e.open = true
}

func (e *Echo) listen() error {
	if e.network == "udp" {
		c, err := e.host.ListenPacket(e.network, e.addr)
		if err != nil {
			return err
		}
		e.closer = func() { c.Close() }
		e.wg.Go(func() { e.datagrams(c) })
		return nil
	}
	l, err := e.host.Listen(e.network, e.addr)
	if err != nil {
		return err
	}
	e.closer = func() { l.Close() }
	e.wg.Go(func() { e.accept(l) })
	return nil
}

func (e *Echo) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		e.mu.Lock()
		if !e.open {
			e.mu.Unlock()
			c.Close()
			return
		}
		e.conns[c] = struct{}{}
		e.total++
		e.mu.Unlock()
		e.wg.Go(func() { e.serve(c) })
	}
}

func (e *Echo) serve(c net.Conn) {
	defer func() {
		c.Close()
		e.mu.Lock()
		delete(e.conns, c)
		e.mu.Unlock()
	}()
	in := bufio.NewScanner(c)
	for in.Scan() {
		if _, err := fmt.Fprintf(c, "%s %s\n", e.Name, in.Text()); err != nil {
			return
		}
	}
}

func (e *Echo) datagrams(c net.PacketConn) {
	buf := make([]byte, 2048)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		e.mu.Lock()
		e.total++
		e.mu.Unlock()
		_, _ = c.WriteTo(append([]byte(e.Name+" "), buf[:n]...), from)
	}
}

// Total is the number of connections (udp: datagrams) so far.
func (e *Echo) Total() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.total
}

// Open is the number of connections that are open now.
func (e *Echo) Open() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.conns)
}

// Close closes the listener and all connections.
func (e *Echo) Close() {
	e.mu.Lock()
	if e.open {
		e.closer()
		for c := range e.conns {
			c.Close()
		}
	}
	e.open = false
	e.mu.Unlock()
	e.wg.Wait()
}
