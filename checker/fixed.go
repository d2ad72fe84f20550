package checker

import (
	"context"
	"net"
	"time"
)

// fixed returns the session's connection for a library: the library may bring
// the deadline forward, never put it off or take it away.
func (s *session) fixed(ctx context.Context) net.Conn {
	return &fixedConn{s.conn, ctx.Done(), s.until}
}

type fixedConn struct {
	net.Conn
	over  <-chan struct{} // the check's end: a deadline set after it would undo it
	until time.Time
}

// set sets a deadline within the bounds. It looks for the end afterwards, since
// that may come in between.
func (c *fixedConn) set(deadline func(time.Time) error, t time.Time) error {
	if t.IsZero() || t.After(c.until) {
		t = c.until
	}
	err := deadline(t)
	select {
	case <-c.over:
		return deadline(time.Unix(1, 0))
	default:
		return err
	}
}

func (c *fixedConn) SetDeadline(t time.Time) error      { return c.set(c.Conn.SetDeadline, t) }
func (c *fixedConn) SetReadDeadline(t time.Time) error  { return c.set(c.Conn.SetReadDeadline, t) }
func (c *fixedConn) SetWriteDeadline(t time.Time) error { return c.set(c.Conn.SetWriteDeadline, t) }
