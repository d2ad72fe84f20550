package checker

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"time"
)

// The zero Interval and Timeout.
const (
	defaultInterval = 10 * time.Second
	defaultTimeout  = 5 * time.Second
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
	files *tlsFiles
	pings *pinger
	path  Path // may be nil
	stale stalePorts
}

func newEnv() *env { return &env{files: newTLSFiles(), pings: newPinger()} }

func (e *env) close() { e.pings.close() }

// workshop is what a probe is made with.
type workshop struct {
	*env
	compiled map[string]*regexp.Regexp // patterns that are there already; may be nil
	kind     *kind                     // of the Spec
}

// pattern compiles a pattern, once for all that match the same; "" is nil,
// which stands for any answer.
func (w workshop) pattern(text string) (*regexp.Regexp, error) {
	if text == "" {
		return nil, nil
	}
	if p := w.compiled[text]; p != nil {
		return p, nil
	}
	p, err := regexp.Compile(text)
	if err == nil && w.compiled != nil {
		w.compiled[text] = p
	}
	return p, err
}

// compile prepares the probe of a normal Spec, which it keeps.
func compile(spec *Spec, env *env, compiled map[string]*regexp.Regexp) (probe, error) {
	k := kindOf(spec.Type)
	if k == nil || k.build == nil {
		return nil, fmt.Errorf("unknown check type %q", spec.Type)
	}
	with := workshop{env, compiled, k}
	p, err := k.build(spec, with)
	if err == nil && spec.Ratio != 0 {
		p, err = newRatioProbe(spec, p, with)
	}
	if err == nil && spec.Mark != 0 {
		p = &pathProbe{spec: spec, inner: p, path: env.path}
	}
	return p, err
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
func Once(ctx context.Context, spec Spec, w io.Writer) Result { return OnceBy(ctx, spec, nil, w) }

// OnceBy is Once for a Spec that may have a Mark.
func OnceBy(ctx context.Context, spec Spec, path Path, w io.Writer) Result {
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
		env.path = path
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

func withPort(target netip.AddrPort, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(target.Addr(), port)
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
