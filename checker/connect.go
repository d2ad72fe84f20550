package checker

import (
	"context"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

var connectKind = kind{
	typ:  Connect,
	keys: keysOf("protocol"),
	fill: func(s *Spec) { s.Protocol = or(s.Protocol, "tcp") },
	build: func(s *Spec, with workshop) (probe, error) {
		if s.Protocol == "udp" {
			return newPingProbe(s, with.pings), nil
		}
		return newConnectProbe(s, with.env), nil
	},
}

// connectProbe makes a handshake, TCP or SCTP, and breaks the connection off.
type connectProbe struct {
	spec     *Spec
	env      *env
	protocol int
	look     func(fd int) error
}

func newConnectProbe(spec *Spec, env *env) *connectProbe {
	p := &connectProbe{spec: spec, env: env, protocol: unix.IPPROTO_TCP, look: lookTCP}
	if spec.Protocol == "sctp" {
		p.protocol, p.look = unix.IPPROTO_SCTP, lookSCTP
	}
	return p
}

func (p *connectProbe) check(ctx context.Context, t *transcript) Result {
	if t != nil {
		t.note("connect %s %s, timeout %s", p.spec.Protocol, p.spec.Target, p.spec.Timeout)
	}
	s, err := p.env.open(p.protocol, p.spec, p.spec.Target)
	if err != nil {
		return failed(err, connecting, p.spec.Timeout)
	}
	defer s.Close()
	stop, err := s.limit(ctx, time.Now().Add(p.spec.Timeout))
	if err != nil {
		return failed(err, connecting, p.spec.Timeout)
	}
	defer stop()
	if err := s.established(p.look); err != nil {
		return failed(err, connecting, p.spec.Timeout)
	}
	if t != nil {
		t.done("connected from %s", s.local())
	}
	_ = s.raw.Control(func(fd uintptr) { linger(int(fd)) })
	return good("connected")
}

// The owner's way: see quick.

func (p *connectProbe) target() netip.AddrPort { return p.spec.Target }
func (p *connectProbe) question() []byte       { return nil }

func (p *connectProbe) answer([]byte, bool) (Result, bool) { return good("connected"), true }
func (p *connectProbe) proceed(*sock, []byte) Result       { return good("connected") }
