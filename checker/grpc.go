package checker

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

var grpcKind = kind{
	typ: GRPC, keys: keysOf("grpc_service", "virtualhost", "tls"),
	build: newGRPCProbe,
}

func newGRPCProbe(spec *Spec, with workshop) (probe, error) {
	p, err := dialogue(talkGRPC)(spec, with)
	if d, ok := p.(*dialogueProbe); ok && d.tls != nil {
		d.tls.config.NextProtos = []string{"h2"}
	}
	return p, err
}

// talkGRPC calls grpc.health.v1.Health/Check. HTTP/2 is net/http's; the few
// bytes of gRPC and protobuf in it are ours.
func talkGRPC(ctx context.Context, s *session) Result {
	ctx, cancel := context.WithDeadline(ctx, s.until)
	defer cancel()
	if secure, ok := s.conn.(*tls.Conn); ok && secure.ConnectionState().NegotiatedProtocol != "h2" {
		return bad("the server speaks no HTTP/2 in TLS (it didn't choose h2)")
	}
	g := s.library(ctx)
	transport := s.http2(g)
	defer transport.CloseIdleConnections()
	req := s.grpcRequest(ctx)
	if s.t != nil {
		s.t.sent("POST " + req.URL.String() + " service " + quote(s.spec.GRPCService))
	}
	s.await("the answer to Check")
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return s.failGRPC(g, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxGRPC+1))
	if s.t != nil {
		s.t.done("answer")
		s.t.came(headText(resp) + trailerText(resp))
	}
	if err != nil {
		return s.failGRPC(g, err)
	}
	if len(body) > maxGRPC {
		return bad("the answer is longer than 16 KiB")
	}
	return s.judgeGRPC(resp, body)
}

// maxGRPC bounds an answer; a real one has seven bytes.
const maxGRPC = 16 << 10

// http2 speaks HTTP/2 over the session's connection. In TLS the library must see
// that it is TLS; there the server has said already that it speaks HTTP/2.
func (s *session) http2(g *guarded) *http.Transport {
	t := &http.Transport{
		DialContext:            g.once(),
		DialTLSContext:         func(context.Context, string, string) (net.Conn, error) { return s.conn, nil },
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHead,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP2(s.encased())
	t.Protocols.SetUnencryptedHTTP2(!s.encased())
	return t
}

func (s *session) grpcRequest(ctx context.Context) *http.Request {
	u := &url.URL{Scheme: "http", Host: or(s.spec.VirtualHost, s.spec.Target.String()), Path: "/grpc.health.v1.Health/Check"}
	if s.encased() {
		u.Scheme = "https"
	}
	body := grpcQuestion(s.spec.GRPCService)
	req := &http.Request{
		Method: http.MethodPost, URL: u, Host: u.Host,
		Header: http.Header{
			"Content-Type": {"application/grpc"},
			"Te":           {"trailers"},
			"User-Agent":   {userAgent},
			"Grpc-Timeout": {strconv.FormatInt(max(1, time.Until(s.until).Milliseconds()), 10) + "m"},
		},
		Body:          io.NopCloser(strings.NewReader(string(body))),
		ContentLength: int64(len(body)),
	}
	return req.WithContext(ctx)
}

// failGRPC: the library tells an error of the connection in its own ways.
func (s *session) failGRPC(g *guarded, err error) Result {
	switch {
	case g.begins("HTTP/1"):
		return bad("the server speaks HTTP/1.1, not HTTP/2")
	case !time.Now().Before(s.until), isTimeout(err):
		return s.fail(os.ErrDeadlineExceeded)
	case g.broken():
		return s.failIn(g, err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return s.fail(err)
	}
	return bad("not a sound HTTP/2 answer: " + sample([]byte(err.Error()), ""))
}

func trailerText(resp *http.Response) string {
	var b strings.Builder
	_ = resp.Trailer.Write(&b)
	return b.String()
}

// judgeGRPC reads the status of the call and then what it says.
func (s *session) judgeGRPC(resp *http.Response, body []byte) Result {
	kind := resp.Header.Get("Content-Type")
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "application/grpc") {
		return bad("not gRPC: status " + strconv.Itoa(resp.StatusCode) + ", content type " + quote(sample([]byte(kind), "")))
	}
	code, message := resp.Trailer.Get("Grpc-Status"), resp.Trailer.Get("Grpc-Message")
	if code == "" { // an answer without a body has it among the headers
		code, message = resp.Header.Get("Grpc-Status"), resp.Header.Get("Grpc-Message")
	}
	if code != "0" {
		return bad(grpcReason(code, message, s.spec.GRPCService))
	}
	status, err := parseGRPC(body)
	switch {
	case err != nil:
		return bad(err.Error())
	case status == grpcServing:
		return good(status.String())
	}
	return bad(status.String())
}
