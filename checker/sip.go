package checker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"regexp"
	"strings"
)

var sipKind = kind{
	typ:    SIP,
	keys:   keysOf("request", "receive", "login", "protocol", "tls"),
	port:   5060,
	secure: 5061,
	fill:   fillSIP,
	valid:  (*problems).sip,
	build:  newSIPProbe,
}

func fillSIP(s *Spec) {
	if s.Protocol != "tcp" {
		s.Protocol = "udp"
	}
	if s.TLS {
		s.Protocol = "tcp"
	}
}

func (v *problems) sip(s Spec) {
	odd := func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`<>"`, r) }
	if s.Request != "" && (!strings.HasPrefix(s.Request, "sip:") && !strings.HasPrefix(s.Request, "sips:") || strings.ContainsFunc(s.Request, odd)) {
		v.add("request", `%q is no SIP address to ask; write "sip:user@example.org" or "sip:example.org"`, s.Request)
	}
	if user, host, ok := strings.Cut(s.Login, "@"); s.Login != "" && (!ok || user == "" || host == "" || strings.ContainsFunc(s.Login, odd)) {
		v.add("login", `%q is no SIP user; write "user@example.org"`, s.Login)
	}
}

// sipProbe sends OPTIONS and wants 200.
type sipProbe struct {
	spec    *Spec
	receive *regexp.Regexp // nil: anything
}

func newSIPProbe(spec *Spec, with workshop) (probe, error) {
	receive, err := with.pattern(spec.Receive)
	if err != nil {
		return nil, err
	}
	p := &sipProbe{spec, receive}
	if spec.Protocol == "tcp" {
		return dialogue(p.talk)(spec, with)
	}
	return p, nil
}

// options is the request. The one asked is what the Spec says, or who it says
// asks (as ldirectord does), or the server itself.
func (p *sipProbe) options(transport string, local net.Addr) sipOptions {
	uri := p.spec.Request
	switch {
	case uri != "":
	case p.spec.Login != "":
		uri = "sip:" + p.spec.Login
	default:
		uri = "sip:" + netip.AddrPortFrom(p.spec.Target.Addr().Unmap().WithZone(""), p.spec.Target.Port()).String()
	}
	from, _ := netip.ParseAddrPort(local.String())
	return newSIPOptions(transport, uri, p.spec.Login, from)
}

func (p *sipProbe) check(ctx context.Context, t *transcript) Result {
	d, err := openDatagrams(ctx, p.spec, t)
	if err != nil {
		return failed(err, connecting, p.spec.Timeout)
	}
	defer d.close()
	q := p.options("UDP", d.LocalAddr())
	return d.ask([]byte(q.String()), func(b []byte) (Result, error) {
		a, err := q.read(bufio.NewReader(bytes.NewReader(b)))
		switch {
		case errors.Is(err, errOtherSIP):
			return Result{}, err
		case err != nil:
			return bad("not a SIP answer"), nil
		case a.code < 200:
			return Result{}, errors.New("only " + a.status())
		}
		return p.verdict(a), nil
	})
}

func (p *sipProbe) talk(_ context.Context, s *session) Result {
	transport := "TCP"
	if s.encased() {
		transport = "TLS"
	}
	q := p.options(transport, s.plain.LocalAddr())
	if s.t != nil {
		s.t.sent(q.String())
	}
	s.await("the answer to OPTIONS")
	if _, err := s.conn.Write([]byte(q.String())); err != nil {
		return s.fail(err)
	}
	for {
		a, err := q.read(s.in)
		switch {
		case errors.Is(err, errNotSIP), errors.Is(err, errOtherSIP):
			return bad(err.Error())
		case err != nil:
			return s.fail(err)
		}
		if s.t != nil {
			s.t.came(a.head)
		}
		if a.code >= 200 { // provisional answers have no body
			return p.verdict(a)
		}
	}
}

func (p *sipProbe) verdict(a sipAnswer) Result {
	r := good(a.status())
	switch {
	case a.code != 200:
		r = bad(a.status())
	case p.receive != nil && !p.receive.MatchString(a.head):
		r = bad(a.status() + ", but it lacks " + quote(p.spec.Receive))
	}
	r.Sample = sample([]byte(a.head), "")
	return r
}
