package checker

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"time"
)

// probe is one check of one target, prepared so that the check itself does as
// little as possible. It runs at most once at a time. It returns within the
// Spec's timeout, and soon when ctx ends; t may be nil.
type probe interface {
	check(ctx context.Context, t *transcript) Result
}

// probeFunc is a probe without a transcript.
type probeFunc func(context.Context) Result

func (f probeFunc) check(ctx context.Context, _ *transcript) Result { return f(ctx) }

// quickly returns p as a probe for the owner itself, or nil.
func quickly(p probe) quick {
	switch p := p.(type) {
	case *connectProbe:
		if p.spec.Protocol == "tcp" {
			return p
		}
	case *httpProbe:
		if p.tls == nil {
			return p
		}
	}
	return nil
}

// env is what the probes of one Checker share.
type env struct {
	roots *roots
	pings *pinger
}

func newEnv() *env { return &env{roots: newRoots(), pings: newPinger()} }

func (e *env) close() { e.pings.close() }

// compile prepares the probe of a normal Spec, which it keeps. compiled holds the patterns that
// are there already.
func compile(spec *Spec, env *env, compiled map[string]*regexp.Regexp) (probe, error) {
	switch spec.Type {
	case Connect:
		if spec.Protocol == "udp" {
			return newPingProbe(spec, env.pings), nil
		}
		return newConnectProbe(spec), nil
	case HTTP, HTTPS:
		return newHTTPProbe(spec, env.roots, compiled)
	case Ping:
		return newPingProbe(spec, env.pings), nil
	case External:
		return newCommandProbe(spec), nil
	}
	return nil, fmt.Errorf("unknown check type %q", spec.Type)
}

// run carries out a check and adds when it was and how long it took.
func run(ctx context.Context, p probe, t *transcript) Result {
	start := time.Now()
	r := p.check(ctx, t)
	if ctx.Err() != nil && !r.OK {
		r = void("stopped")
	}
	r.Start, r.Duration = start, time.Since(start)
	return r
}

// Once runs one check now, independent of any Checker, and writes what was
// sent, what came and how long each part took to w.
func Once(ctx context.Context, spec Spec, w io.Writer) Result {
	spec = spec.normal()
	t := newTranscript(w)
	var r Result
	switch spec.Type {
	case On:
		r = good("always up: check type on")
	case Off:
		r = void("not checked")
	default:
		env := newEnv()
		defer env.close()
		p, err := compile(&spec, env, map[string]*regexp.Regexp{})
		if err != nil {
			r = void(err.Error())
			break
		}
		r = run(ctx, p, t)
	}
	t.verdict(r)
	return r
}

// normal fills in what the zero values mean and drops what the type doesn't
// use, so that Specs that ask for the same are equal.
func (s Spec) normal() Spec {
	if s.Interval <= 0 {
		s.Interval = 10 * time.Second
	}
	if s.Timeout <= 0 {
		s.Timeout = 5 * time.Second
	}
	n := Spec{Type: s.Type, Target: s.Target, Interval: s.Interval, Timeout: s.Timeout}
	switch s.Type {
	case Connect:
		n.Protocol = or(s.Protocol, "tcp")
	case HTTP, HTTPS:
		n = s
		n.Protocol, n.Command, n.Virtual, n.VPort, n.RPort = "", "", "", 0, 0
		n.Request = or(s.Request, "/")
		n.Method = or(s.Method, "GET")
		n.Status = or(s.Status, "200-299")
		if s.Type == HTTP && !s.Follow {
			n.ServerName, n.CAFile, n.Insecure, n.MinTLS = "", "", false, 0
		}
	case External:
		n.Command, n.Virtual, n.VPort, n.RPort = s.Command, s.Virtual, s.VPort, s.RPort
	case On, Off:
		n = Spec{Type: s.Type}
	}
	return n
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
