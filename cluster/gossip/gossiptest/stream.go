package gossiptest

import (
	"net"
	"sync/atomic"
	"time"
)

// retransmit is what a lost segment costs a stream.
const retransmit = 200 * time.Millisecond

// stream is one end of a net.Pipe with the network between.
type stream struct {
	net.Conn
	from, to *Transport
	hung     *atomic.Bool // both ends': it met a cut, and hangs until its deadline
}

// pipe makes a stream from t to dst; it ends with either.
func (t *Transport) pipe(dst *Transport) (ours, theirs net.Conn) {
	a, b := net.Pipe()
	hung := new(atomic.Bool)
	return &stream{a, t, dst, hung}, &stream{b, dst, t, hung}
}

// Write is slow by the latency, and by the repetitions that loss costs. What
// meets a cut is lost with all that follows: the kernel took it, so there is
// no error.
func (s *stream) Write(b []byte) (int, error) {
	n := s.from.net
	time.Sleep(n.delay())
	wait := retransmit
	for {
		if s.from.closed() || s.to.closed() {
			_ = s.Close()
			return s.Conn.Write(b) // for its error
		}
		if s.hung.Load() || n.isCut(s.from.addr.Addr(), s.to.addr.Addr()) {
			s.hung.Store(true)
			return len(b), nil
		}
		if n.passes(s.from.addr.Addr(), s.to.addr.Addr()) {
			return s.Conn.Write(b)
		}
		if wait > 4*retransmit { // nobody waits for longer
			s.hung.Store(true)
			return len(b), nil
		}
		time.Sleep(wait)
		wait *= 2
	}
}

func (s *stream) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(s.from.addr) }

// RemoteAddr has the port of the other's transport, not a passing one.
func (s *stream) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.to.addr) }
