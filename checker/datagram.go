package checker

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// tries is how often a question goes out within the timeout: datagrams get
	// lost, and one that was lost is not a dead server.
	tries       = 3
	maxDatagram = 64 << 10
)

var datagramBuffers = sync.Pool{New: func() any { return new([maxDatagram]byte) }}

// datagrams is a UDP socket of one check. It is connected: answers from others
// don't reach it, and what ICMP says of the port does.
type datagrams struct {
	*net.UDPConn
	ctx   context.Context // of the check, which the socket doesn't outlive
	spec  *Spec
	t     *transcript
	start time.Time
	stop  func() bool
	stray error // why the last thing that came was no answer

	private bool // the bytes aren't for a transcript
}

func openDatagrams(ctx context.Context, spec *Spec, t *transcript) (*datagrams, error) {
	if t != nil {
		t.note("udp %s, timeout %s", spec.Target, spec.Timeout)
	}
	conn, err := dialUDP(spec)
	if err != nil {
		return nil, err
	}
	d := &datagrams{UDPConn: conn, ctx: ctx, spec: spec, t: t, start: time.Now()}
	d.stop = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return d, nil
}

func (d *datagrams) close() {
	d.stop()
	_ = d.Close()
}

// judgement is the verdict over a datagram, or why it is none and the wait goes
// on: another's answer, an earlier one's, a provisional one.
type judgement func(datagram []byte) (Result, error)

// ask sends a question, and sends it again while there is no answer.
func (d *datagrams) ask(question []byte, judge judgement) Result {
	buf := datagramBuffers.Get().(*[maxDatagram]byte)
	defer datagramBuffers.Put(buf)
	for try := 1; ; try++ {
		if err := d.until(d.spec.Timeout); err != nil {
			return d.failed(err)
		}
		if _, err := d.Write(question); err != nil {
			return d.failed(err)
		}
		if d.t != nil && try > 1 {
			d.t.done("no answer, so once more")
		}
		if d.t != nil && !d.private {
			d.t.sent(readable(question))
		}
		r, err := d.hear(buf[:], d.spec.Timeout*time.Duration(try)/tries, judge)
		switch {
		case err == nil:
			return r
		case try == tries, d.ctx.Err() != nil, !isTimeout(err):
			return d.failed(err)
		}
	}
}

// hear waits for an answer, so long after the check's start.
func (d *datagrams) hear(buf []byte, limit time.Duration, judge judgement) (Result, error) {
	if err := d.until(limit); err != nil {
		return Result{}, err
	}
	for {
		n, err := d.Read(buf)
		if err != nil {
			return Result{}, err
		}
		if d.t != nil {
			d.t.done("%d bytes came", n)
		}
		if d.t != nil && !d.private {
			d.t.came(readable(buf[:n]))
		}
		r, stray := judge(buf[:n])
		if stray == nil {
			if r.Sample == "" && !d.private {
				r.Sample = sample(buf[:n], "")
			}
			return r, nil
		}
		d.stray = stray
		if d.t != nil {
			d.t.note("it doesn't count: %v", stray)
		}
	}
}

func (d *datagrams) until(limit time.Duration) error {
	if err := d.SetDeadline(d.start.Add(limit)); err != nil {
		return err
	}
	return d.ctx.Err() // what ended the wait may have come before the deadline was set
}

func (d *datagrams) failed(err error) Result {
	if errors.Is(err, unix.ECONNREFUSED) {
		return bad("port unreachable: nothing listens on UDP port " + strconv.Itoa(int(d.spec.Target.Port())))
	}
	r := failed(err, waiting, d.spec.Timeout)
	if d.stray != nil && isTimeout(err) {
		r.Reason += "; what came was " + d.stray.Error()
	}
	return r
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}
