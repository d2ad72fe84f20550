package checker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// guarded is a session's connection for a library. The library may bring its
// deadline forward and nothing else; what it reads is bounded; and how reading
// and writing went is kept, because libraries tend to swallow it. It may be used
// from several goroutines, and after the session.
type guarded struct {
	net.Conn

	mu      sync.Mutex
	left    int    // bytes that may still be read
	err     error  // the first
	replied bool   // something came since the last write
	start   []byte // what came first
}

// maxStart bounds what is kept of the first that came.
const maxStart = 16

// library hands the session's connection over. Nothing may have been read ahead.
func (s *session) library(ctx context.Context) *guarded {
	return &guarded{Conn: s.fixed(ctx), left: maxDialog}
}

func (g *guarded) Read(p []byte) (int, error) {
	g.mu.Lock()
	left := g.left
	g.mu.Unlock()
	if left <= 0 {
		return 0, g.keep(errLongDialog)
	}
	n, err := g.Conn.Read(p[:min(len(p), left)])
	g.mu.Lock()
	g.left -= n
	g.replied = g.replied || n > 0
	if len(g.start) < maxStart {
		g.start = append(g.start, p[:min(n, maxStart)]...)
	}
	g.mu.Unlock()
	return n, g.keep(err)
}

func (g *guarded) Write(p []byte) (int, error) {
	g.mu.Lock()
	g.replied = false
	g.mu.Unlock()
	n, err := g.Conn.Write(p)
	return n, g.keep(err)
}

func (g *guarded) keep(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = err
	}
	return err
}

// failIn puts a library's error into a verdict. What the connection met goes
// before what the library made of it.
func (s *session) failIn(g *guarded, err error) Result {
	g.mu.Lock()
	at := waiting
	if g.replied {
		at = reading
	}
	if g.err != nil {
		err = g.err
	}
	g.mu.Unlock()
	if errors.Is(err, unix.EPIPE) { // the other side had closed before all was written
		err = io.EOF
	}
	if errors.Is(err, errLongDialog) {
		return bad(err.Error())
	}
	r := failed(err, at, s.spec.Timeout)
	r.Reason = s.step(r.Reason)
	return r
}

// begins tells whether the first that came is that text.
func (g *guarded) begins(text string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return bytes.HasPrefix(g.start, []byte(text))
}

// broken tells whether the connection itself failed.
func (g *guarded) broken() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err != nil
}
