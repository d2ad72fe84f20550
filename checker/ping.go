package checker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

var pingKind = kind{
	typ:    Ping,
	target: portless,
	build:  func(s *Spec, with workshop) (probe, error) { return newPingProbe(s, with.pings), nil },
}

// pingProbe sends ICMP echo requests until one is answered: a lost packet is no
// dead server.
type pingProbe struct {
	spec  *Spec
	pings *pinger
	every time.Duration // between two requests
	ok    string
}

func newPingProbe(spec *Spec, pings *pinger) *pingProbe {
	p := &pingProbe{spec: spec, pings: pings, every: min(spec.Timeout/3, time.Second), ok: "echo reply"}
	if spec.Type == Connect {
		p.ok = "echo reply (UDP has no handshake: a ping instead)"
	}
	return p
}

func (p *pingProbe) check(ctx context.Context, t *transcript) Result {
	addr := p.spec.Target.Addr().Unmap()
	if t != nil {
		t.note("ping %s every %s, timeout %s", addr, p.every, p.spec.Timeout)
	}
	socket, err := p.pings.socket(addr)
	if err != nil {
		return void(err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, p.spec.Timeout)
	defer cancel()
	e := socket.expect()
	defer socket.forget(e)
	again := time.NewTicker(p.every)
	defer again.Stop()
	for sent := 1; ; sent++ {
		if t != nil {
			t.done("echo request %d", sent)
		}
		if err := socket.send(addr, e); err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.ENOBUFS) {
			return failed(err, connecting, p.spec.Timeout)
		}
		select {
		case <-e.answered:
			if t != nil {
				t.done("echo reply")
			}
			return good(p.ok)
		case <-ctx.Done():
			return bad(p.silence(socket, e, sent))
		case <-again.C:
		}
	}
}

// silence says what is known of a server that did not answer.
func (p *pingProbe) silence(socket *pingSocket, e *echo, sent int) string {
	reason := fmt.Sprintf("no echo reply within %s (%d sent)", p.spec.Timeout, sent)
	if note := socket.note(e); note != "" {
		reason = note + ": " + reason
	}
	return reason
}

// icmpChecksum is RFC 1071's.
func icmpChecksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// unreachable is what an ICMP destination unreachable says, by its code.
func unreachable(v6 bool, code byte, from netip.Addr) string {
	what := "destination unreachable"
	switch {
	case !v6 && code == 0, v6 && code == 0:
		what = "no route to host"
	case !v6 && code == 1, v6 && code == 3:
		what = "host unreachable"
	case !v6 && (code == 9 || code == 10 || code == 13), v6 && code == 1:
		what = "administratively prohibited"
	}
	if from.IsValid() {
		what += ", says " + from.String()
	}
	return what
}
