package checker

import (
	"context"
	"io"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// quick is a probe that the owner carries itself: one TCP connection that never
// blocks, perhaps a request and its answer. Nearly all checks are of this kind,
// and so they cost no goroutine, no timer and no buffer, and six system calls
// (socket, connect, epoll_ctl, write, read, close) beside what a whole group
// shares. check does the same in the plain way, for transcripts.
type quick interface {
	probe
	target() netip.AddrPort
	question() []byte // nil: the handshake is all
	// answer judges what has come so far. It is not complete when more has to
	// come for a verdict; after the end of the answer it always is.
	answer(b []byte, ended bool) (r Result, complete bool)
	// proceed reads on where an answer is too long for the owner.
	proceed(s *sock, begun []byte) Result
}

// The owner reads answers up to this size and in this many pieces; the rest is
// for a goroutine.
const (
	quickSize   = 32 << 10
	quickPieces = 4
)

// reactor waits for the sockets of the checks that the owner carries: an epoll
// instance of ours within Go's, so that a group of sockets costs the runtime one
// wake-up. Only the owner touches it, but for wait.
type reactor struct {
	epoll  int
	file   *os.File // the same, in Go's poller
	conn   syscall.RawConn
	flying []*job // by descriptor
	events [128]unix.EpollEvent
	parted []int // descriptors to close at the next tick
	buf    [quickSize]byte
}

// flight is a job's check while the owner carries it.
type flight struct {
	fd     int
	begun  time.Duration // since the schedule began
	limit  entry         // in the wheel of limits
	phase  phase
	got    []byte // of the answer, if it comes in pieces
	pieces int
	ended  bool // the other side has
}

func newReactor() (*reactor, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, &socketError{err}
	}
	// os.NewFile looks at the flag only: an epoll descriptor blocks in
	// epoll_wait or not by that call's timeout.
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	r := &reactor{epoll: fd, file: os.NewFile(uintptr(fd), "epoll")}
	r.conn, err = r.file.SyscallConn()
	return r, err
}

// wait tells the owner each time that some socket is ready. It stays within one
// call of Read: between two of them a wake-up would be lost.
func (r *reactor) wait(ctx context.Context, ready chan<- struct{}) {
	_ = r.conn.Read(func(uintptr) bool {
		select {
		case ready <- struct{}{}:
			return false
		case <-ctx.Done():
			return true
		}
	})
}

// launch begins a check that the owner carries.
func (s *schedule) launch(ctx context.Context, j *job) {
	f := &j.flight
	f.begun, f.phase, f.pieces, f.ended = s.now(), connecting, 0, false
	if err := s.connect(ctx, j); err != nil {
		s.arrive(ctx, j, failed(err, connecting, j.spec.Timeout), s.now())
		return
	}
	s.limits.add(&f.limit, int64((f.begun+j.spec.Timeout+tick-1)/tick))
}

func (s *schedule) connect(ctx context.Context, j *job) error {
	j.flight.fd = -1
	if s.reactor == nil {
		r, err := newReactor()
		if err != nil {
			return err
		}
		s.reactor = r
		s.running.Go(func() { r.wait(ctx, s.ready) })
	}
	fd, err := dial(unix.IPPROTO_TCP, j.quick.target())
	if err != nil {
		return err
	}
	r := s.reactor
	for fd >= len(r.flying) {
		r.flying = append(r.flying, make([]*job, fd+64-len(r.flying))...)
	}
	j.flight.fd, r.flying[fd] = fd, j
	// After connect: a socket without a peer reports EPOLLHUP.
	return unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{
		Fd:     int32(fd),
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff,
	})
}

// serve carries on every check whose socket is ready.
func (s *schedule) serve(ctx context.Context) {
	r := s.reactor
	for {
		n, err := rawEpoll(r.epoll, r.events[:])
		if err == unix.EINTR {
			continue
		}
		now := s.now()
		for _, ev := range r.events[:max(n, 0)] {
			if j := r.flying[ev.Fd]; j != nil {
				s.carry(ctx, j, ev.Events, now)
			}
		}
		if n < len(r.events) {
			return
		}
	}
}

// carry takes one check a step further.
func (s *schedule) carry(ctx context.Context, j *job, events uint32, now time.Duration) {
	f := &j.flight
	if f.phase == connecting {
		switch {
		case events&(unix.EPOLLERR|unix.EPOLLHUP) != 0:
			s.arrive(ctx, j, failed(socketErrno(f.fd), connecting, j.spec.Timeout), now)
			return
		case events&unix.EPOLLOUT == 0:
			return
		}
		if done := s.ask(ctx, j, now); done {
			return
		}
	}
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		f.ended = f.ended || events&(unix.EPOLLRDHUP|unix.EPOLLERR|unix.EPOLLHUP) != 0
		s.hear(ctx, j, now)
	}
}

// ask follows the handshake: it sends the request, if there is one.
func (s *schedule) ask(ctx context.Context, j *job, now time.Duration) (done bool) {
	f := &j.flight
	q := j.quick.question()
	if q == nil {
		linger(f.fd)
		r, _ := j.quick.answer(nil, false)
		s.arrive(ctx, j, r, now)
		return true
	}
	f.phase = waiting
	n, err := rawWrite(f.fd, q)
	switch {
	case err != nil:
		s.arrive(ctx, j, failed(err, waiting, j.spec.Timeout), now)
		return true
	case n < len(q):
		s.arrive(ctx, j, void("the request is longer than the socket's buffer"), now)
		return true
	}
	return false
}

// hear reads what is there. Only when the other side has ended does it read
// again to see the end: otherwise the next piece wakes us.
func (s *schedule) hear(ctx context.Context, j *job, now time.Duration) {
	f, buf := &j.flight, s.reactor.buf[:]
	have := copy(buf, f.got)
	for {
		n, err := rawRead(f.fd, buf[have:])
		switch {
		case err == unix.EAGAIN || err == unix.EINTR:
			f.got = append(f.got[:0], buf[:have]...)
			return
		case err != nil:
			s.arrive(ctx, j, failed(err, f.phase, j.spec.Timeout), now)
			return
		case n > 0:
			f.phase = reading
			f.pieces++
		}
		have += n
		r, complete := j.quick.answer(buf[:have], n == 0)
		switch {
		case complete:
			s.arrive(ctx, j, r, now)
			return
		case have == len(buf) || f.pieces > quickPieces:
			s.hand(ctx, j, append([]byte(nil), buf[:have]...))
			return
		case !f.ended:
			f.got = append(f.got[:0], buf[:have]...)
			return
		}
	}
}

// hand gives a check to a goroutine of its own, socket and all.
func (s *schedule) hand(ctx context.Context, j *job, begun []byte) {
	f := &j.flight
	s.limits.remove(&f.limit)
	s.reactor.flying[f.fd] = nil
	_ = unix.EpollCtl(s.reactor.epoll, unix.EPOLL_CTL_DEL, f.fd, nil)
	start, q := s.begun.Add(f.begun), j.quick
	conn, err := adopt(f.fd)
	f.fd, f.got = -1, nil
	if err != nil {
		s.arrive(ctx, j, failed(err, reading, j.spec.Timeout), s.now())
		return
	}
	conn.phase = reading
	s.spawn(ctx, j, func() Result {
		defer conn.Close()
		r := void("stopped")
		if stop, err := conn.limit(ctx, start.Add(j.spec.Timeout)); err == nil {
			r = q.proceed(conn, begun)
			stop()
		}
		if !r.OK {
			_ = conn.raw.Control(func(fd uintptr) { linger(int(fd)) })
		}
		r.Start, r.Duration = start, time.Since(start)
		return r
	})
}

// expire ends a check that has taken too long.
func (s *schedule) expire(ctx context.Context, j *job) {
	r := failed(os.ErrDeadlineExceeded, j.flight.phase, j.spec.Timeout)
	r.Sample = sample(j.flight.got, "")
	s.arrive(ctx, j, r, s.now())
}

// arrive ends a check that the owner carried, with its result.
func (s *schedule) arrive(ctx context.Context, j *job, r Result, now time.Duration) {
	f := &j.flight
	s.limits.remove(&f.limit)
	if f.fd >= 0 {
		s.reactor.flying[f.fd] = nil
		s.reactor.part(f, r.OK)
	}
	f.fd, f.got = -1, nil
	r.Start, r.Duration = s.begun.Add(f.begun), max(now-f.begun, 0)
	s.finish(ctx, outcome{j, r})
}

// part closes a check's socket, which also takes it out of epoll. Who closes
// first keeps the connection in TIME_WAIT for a minute: at thousands of checks a
// second that should be the servers, each its own. Their end is on its way when
// the answer is complete, so we wait for it until the next tick with work. Where the check failed we
// don't wait for anything.
func (r *reactor) part(f *flight, ok bool) {
	switch {
	case ok && f.phase == reading && !f.ended:
		r.parted = append(r.parted, f.fd)
		return
	case !ok && f.phase != connecting && !f.ended:
		linger(f.fd)
	}
	rawClose(f.fd)
}

// closeParted closes the sockets that were to wait a moment.
func (r *reactor) closeParted() {
	for _, fd := range r.parted {
		rawClose(fd)
	}
	r.parted = r.parted[:0]
}

// land closes what is in flight when the schedule ends.
func (s *schedule) land() {
	if s.reactor == nil {
		return
	}
	for _, j := range s.reactor.flying {
		if j != nil {
			rawClose(j.flight.fd)
		}
	}
	s.reactor.closeParted()
	_ = s.reactor.file.Close()
}

// proceedFrom is the rest of an answer after what has been read of it.
func proceedFrom(begun []byte, s *sock) io.Reader {
	return io.MultiReader(&memory{b: begun, ended: true}, s)
}
