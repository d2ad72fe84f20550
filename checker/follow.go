package checker

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxRedirects is ldirectord's (libwww-perl's) bound.
const maxRedirects = 7

var errRedirects = errors.New("more than 7 redirects")

// newClient is the slow way, for checks that follow redirects.
func (p *httpProbe) newClient() *http.Client {
	transport := &http.Transport{
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHead,
		DialContext:            p.dial,
		DialTLSContext:         p.dialTLS,
		Protocols:              new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(true)
	return &http.Client{
		Transport: transport,
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return errRedirects
			}
			return nil
		},
	}
}

// dial keeps redirects within the virtual host on the real server: the name
// would lead to the virtual service, that is to any of them. A redirect to
// another host goes where it says.
func (p *httpProbe) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := net.Dialer{KeepAlive: -1}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	own := p.url()
	if !strings.EqualFold(host, own.Hostname()) {
		return dialer.DialContext(ctx, network, addr)
	}
	target := p.spec.Target.Addr().Unmap().String()
	if port == portOf(own) {
		port = strconv.Itoa(int(p.spec.Target.Port()))
	}
	if p.spec.Mark != 0 {
		return p.dialMarked(ctx, target, port)
	}
	return dialer.DialContext(ctx, network, net.JoinHostPort(target, port))
}

// dialMarked is for what bears a mark: package net knows none.
func (p *httpProbe) dialMarked(ctx context.Context, host, port string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	if err != nil {
		return nil, err
	}
	s, err := p.env.open(unix.IPPROTO_TCP, p.spec, to)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	stop := context.AfterFunc(ctx, func() { _ = s.SetDeadline(time.Unix(1, 0)) })
	err = s.established(lookTCP)
	if !stop() || err != nil {
		_ = s.Close()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: cmp.Or(context.Cause(ctx), err)}
	}
	return s, nil
}

// dialTLS is dial with the check's TLS settings. The name to verify is the
// check's own on the real server and the redirect's elsewhere.
func (p *httpProbe) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	config, err := p.tls.current()
	if err != nil {
		return nil, err
	}
	if host, _, err := net.SplitHostPort(addr); err == nil && !strings.EqualFold(host, p.url().Hostname()) {
		config = config.Clone()
		config.ServerName = host
	}
	conn, err := p.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// url is the address of the first request.
func (p *httpProbe) url() *url.URL {
	return &url.URL{Scheme: string(p.spec.Type), Host: p.spec.host()}
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

func (p *httpProbe) follow(ctx context.Context, t *transcript) Result {
	if t != nil {
		t.note("%s %s%s on %s, redirects followed, timeout %s", p.spec.Method, p.url(), p.spec.Request, p.spec.Target, p.spec.Timeout)
	}
	ctx, cancel := context.WithTimeout(ctx, p.spec.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, p.spec.Method, p.url().String()+p.spec.Request, nil)
	if err != nil {
		return void(fmt.Sprintf("request %s: %v", p.spec.Request, err))
	}
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Accept", "*/*")
	for line := range strings.SplitSeq(p.spec.Headers, "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			req.Header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return failed(err, followPhase(err), p.spec.Timeout)
	}
	defer resp.Body.Close()
	if t != nil {
		t.done("answer from %s", resp.Request.URL)
		t.came(headText(resp))
	}
	a := answers.Get().(*answer)
	defer a.release()
	a.from(nil)
	r := p.judge(resp, a, t)
	if resp.TLS != nil {
		r.CertUntil = certUntil(resp.TLS.PeerCertificates)
	}
	return r
}

// followPhase tells from an error how far the slow way came.
func followPhase(err error) phase {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return connecting
	}
	return waiting
}
