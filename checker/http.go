package checker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// userAgent is what web servers find in their logs.
const userAgent = "ipvsd (health check)"

var (
	httpKeys = keysOf("request", "receive", "method", "virtualhost", "status", "headers", "follow_redirects", "json_field", "json_value")

	httpKind  = kind{typ: HTTP, keys: httpKeys, port: 80, fill: fillHTTP, valid: (*problems).http, build: newHTTPProbe}
	httpsKind = kind{typ: HTTPS, keys: httpKeys, port: 443, tls: alwaysTLS, fill: fillHTTP, valid: (*problems).http, build: newHTTPProbe}
)

func fillHTTP(s *Spec) {
	s.Request = or(s.Request, "/")
	s.Method = or(s.Method, http.MethodGet)
	s.Status = or(s.Status, "200-299")
}

// httpProbe sends one request over a new connection and reads the answer. The
// connection, the request and the bounds are ours; reading the answer is left
// to net/http, which knows chunks and odd headers. What needs more than one
// exchange (redirects) is done by net/http altogether: see follow.go.
type httpProbe struct {
	spec    *Spec
	env     *env
	request []byte
	asked   *http.Request // nil, or tells http.ReadResponse of a HEAD
	status  statusSet
	receive *regexp.Regexp // nil: anything
	json    *jsonField     // nil: anything
	tls     *tlsClient     // nil: plain
	client  *http.Client   // not nil: follow redirects

	code   int // of okText
	okText string
	last   string // the sample of the answer before
}

func newHTTPProbe(spec *Spec, with workshop) (probe, error) {
	p := &httpProbe{spec: spec, env: with.env}
	if spec.Method == http.MethodHead {
		p.asked = &http.Request{Method: http.MethodHead}
	}
	var err error
	if p.status, err = parseStatus(spec.Status); err != nil {
		return nil, err
	}
	if p.receive, err = with.pattern(spec.Receive); err != nil {
		return nil, err
	}
	if p.json, err = newJSONField(spec, with); err != nil {
		return nil, err
	}
	p.request = requestBytes(spec)
	if with.kind.speaksTLS(spec) {
		p.tls = newTLSClient(spec, with.env)
	}
	if spec.Follow {
		p.client = p.newClient()
	}
	return p, nil
}

// requestBytes is the request as it goes over the wire.
func requestBytes(spec *Spec) []byte {
	var b strings.Builder
	request, host := spec.Request, spec.host()
	if spec.Type == HTTPProxy {
		request, host = proxied(spec)
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", spec.Method, request, host)
	own := "\n" + strings.ToLower(spec.Headers)
	if !strings.Contains(own, "\nuser-agent:") {
		b.WriteString("User-Agent: " + userAgent + "\r\n")
	}
	if !strings.Contains(own, "\naccept:") {
		b.WriteString("Accept: */*\r\n")
	}
	for line := range strings.SplitSeq(spec.Headers, "\n") {
		if line != "" {
			b.WriteString(line + "\r\n")
		}
	}
	if spec.Method == "POST" || spec.Method == "PUT" || spec.Method == "PATCH" {
		b.WriteString("Content-Length: 0\r\n")
	}
	b.WriteString("Connection: close\r\n\r\n")
	return []byte(b.String())
}

// host is the Host header: the virtual host, else the target's address, with
// its port unless that is the scheme's own.
func (s *Spec) host() string {
	if s.VirtualHost != "" {
		return s.VirtualHost
	}
	addr := s.Target.Addr().Unmap().WithZone("").String()
	if s.Type == HTTP && s.Target.Port() != 80 || s.Type == HTTPS && s.Target.Port() != 443 {
		return net.JoinHostPort(addr, strconv.Itoa(int(s.Target.Port())))
	}
	if strings.Contains(addr, ":") {
		return "[" + addr + "]"
	}
	return addr
}

func (p *httpProbe) check(ctx context.Context, t *transcript) Result {
	if p.client != nil {
		return p.follow(ctx, t)
	}
	if t != nil {
		t.note("connect tcp %s, timeout %s", p.spec.Target, p.spec.Timeout)
	}
	s, err := p.env.open(unix.IPPROTO_TCP, p.spec, p.spec.Target)
	if err != nil {
		return failed(err, connecting, p.spec.Timeout)
	}
	defer s.Close()
	stop, err := s.limit(ctx, time.Now().Add(p.spec.Timeout))
	if err != nil {
		return failed(err, connecting, p.spec.Timeout)
	}
	defer stop()
	src, err := p.ask(s, t)
	if err != nil {
		r := failed(err, s.phase, p.spec.Timeout)
		r.CertUntil = s.certUntil
		return r
	}
	r := p.hear(src, waiting, t)
	r.CertUntil = s.certUntil
	if !r.OK {
		_ = s.raw.Control(func(fd uintptr) { linger(int(fd)) })
	}
	return r
}

// ask sends the request and returns where the answer comes from.
func (p *httpProbe) ask(s *sock, t *transcript) (io.Reader, error) {
	if p.tls != nil {
		s.then = handshaking
	}
	if err := s.established(lookTCP); err != nil {
		return nil, err
	}
	if t != nil {
		t.done("connected from %s", s.local())
	}
	conn := net.Conn(s)
	if p.tls != nil {
		secure, err := p.tls.handshake(s, t, nil)
		if err != nil {
			return nil, err
		}
		conn = secure
	}
	if t != nil {
		t.sent(string(p.request))
	}
	_, err := conn.Write(p.request)
	return conn, err
}

// hear reads the answer and judges it.
func (p *httpProbe) hear(src io.Reader, at phase, t *transcript) Result {
	a := answers.Get().(*answer)
	defer a.release()
	a.from(src)
	return p.read(a, at, t)
}

func (p *httpProbe) read(a *answer, at phase, t *transcript) Result {
	resp, err := a.head(p.asked)
	if err != nil {
		return p.noHead(err, a, at)
	}
	if t != nil {
		t.done("head of the answer")
		t.came(headText(resp))
	}
	return p.judge(resp, a, t)
}

// noHead says why there is no answer to judge.
func (p *httpProbe) noHead(err error, a *answer, at phase) Result {
	if a.err != nil {
		err = a.err
	}
	if a.got > 0 {
		at = reading
	}
	r := failed(err, at, p.spec.Timeout)
	r.Sample = a.start()
	if a.got > 0 && !a.looksLikeHTTP() {
		r.Reason = "not an HTTP answer"
	}
	return r
}

// judge reads the body as far as it matters and gives the verdict.
func (p *httpProbe) judge(resp *http.Response, a *answer, t *transcript) Result {
	if !p.status.has(resp.StatusCode) {
		a.glance(resp.Body)
		return p.sampled(bad("status "+strconv.Itoa(resp.StatusCode)), a, t)
	}
	cut, err := a.readBody(resp.Body, p.receive != nil || p.json != nil)
	if t != nil {
		t.done("body, %d bytes", a.size)
	}
	switch {
	case errors.Is(err, errMore):
		return Result{}
	case err != nil:
		return p.sampled(failed(err, reading, p.spec.Timeout), a, t)
	case p.receive != nil && !p.receive.Match(a.body):
		reason := "body lacks "
		if cut {
			reason = "first 1 MiB of the body lacks "
		}
		return p.sampled(bad(reason+quote(p.spec.Receive)), a, t)
	}
	if p.json != nil {
		if wrong := p.json.judge(a.body); wrong != "" {
			return p.sampled(bad(wrong), a, t)
		}
	}
	return p.sampled(good(p.success(resp.StatusCode)), a, t)
}

// success is the reason of a good answer, kept because it is nearly always the
// same.
func (p *httpProbe) success(code int) string {
	if p.code != code {
		p.code, p.okText = code, "status "+strconv.Itoa(code)
		if p.receive != nil {
			p.okText += ", body has " + quote(p.spec.Receive)
		}
		if p.json != nil {
			p.okText += ", " + p.json.name + " is as it should be"
		}
	}
	return p.okText
}

func (p *httpProbe) sampled(r Result, a *answer, t *transcript) Result {
	p.last = sample(a.body, p.last)
	r.Sample = p.last
	if t != nil && r.Sample != "" {
		t.note("the body begins: %s", r.Sample)
	}
	return r
}

// headText is the head of an answer for a transcript.
func headText(resp *http.Response) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", resp.Proto, resp.Status)
	_ = resp.Header.Write(&b)
	return b.String()
}

// The owner's way: see quick.

func (p *httpProbe) target() netip.AddrPort { return p.spec.Target }
func (p *httpProbe) question() []byte       { return p.request }

func (p *httpProbe) answer(b []byte, ended bool) (Result, bool) {
	a := answers.Get().(*answer)
	defer a.release()
	a.memory = memory{b: b, ended: ended}
	a.from(&a.memory)
	r := p.read(a, waiting, nil)
	return r, !a.memory.short
}

func (p *httpProbe) proceed(s *sock, begun []byte) Result {
	return p.hear(proceedFrom(begun, s), reading, nil)
}
