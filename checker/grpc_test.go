package checker

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The server here is net/http's HTTP/2 with the few bytes of gRPC. grpc-go's
// own server was tried by hand: docs/checks.md says with what result.

// grpcServer answers health checks: a message and a gRPC status, by service.
func grpcServer(services map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		service := ""
		if len(body) > 7 {
			service = string(body[7:])
		}
		w.Header().Set("Content-Type", "application/grpc")
		answer, ok := services[service]
		switch {
		case r.URL.Path != "/grpc.health.v1.Health/Check" || r.Header.Get("Te") != "trailers" || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"):
			w.Header().Set("Grpc-Status", "12")
		case !ok:
			w.Header().Set("Grpc-Status", "5")
		default:
			w.Header().Set("Trailer", "Grpc-Status")
			_, _ = io.WriteString(w, answer)
			w.Header().Set("Grpc-Status", "0")
		}
	}
}

func grpcFrameOf(message string) string {
	return "\x00\x00\x00\x00" + string(byte(len(message))) + message
}

// overHTTP2 serves one connection.
func overHTTP2(h http.Handler) func(net.Conn) {
	return func(conn net.Conn) {
		s := &http.Server{Handler: h, Protocols: new(http.Protocols), ReadTimeout: 20 * time.Second}
		s.Protocols.SetUnencryptedHTTP2(true)
		s.Protocols.SetHTTP2(true)
		l := &oneConn{conn: conn, over: make(chan struct{})}
		s.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				close(l.over)
			}
		}
		_ = s.Serve(l)
	}
}

// oneConn is a listener of one connection, until that is closed.
type oneConn struct {
	conn net.Conn
	over chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.over
	return nil, io.EOF
}
func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

func status(code, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", code)
		w.Header().Set("Grpc-Message", text)
	}
}

func TestGRPC(t *testing.T) {
	sound := grpcServer(map[string]string{
		"": grpcFrameOf("\x08\x01"), "shop": grpcFrameOf("\x08\x01"), "draining": grpcFrameOf("\x08\x02"), "unknown": grpcFrameOf(""),
		"newer": grpcFrameOf("\x12\x02hi\x08\x01"), "cut": "\x00\x00\x00\x00\x09\x08\x01", "none": "", "odd": grpcFrameOf("\x0a\x01\x01"),
		"compressed": "\x01\x00\x00\x00\x02\x08\x01", "huge": grpcFrameOf(strings.Repeat("\x08\x01", 60)) + strings.Repeat("x", 100<<10),
	})
	serve := overHTTP2(sound)
	ask := func(service string) func(*Spec) { return func(s *Spec) { s.GRPCService = service } }
	base := Spec{Type: GRPC}
	const not = "not an answer of grpc.health.v1"
	tryAll(t, base, []trial{
		{name: "serving", serve: serve, ok: true, reason: "SERVING"},
		{name: "service", serve: serve, with: ask("shop"), ok: true, reason: "SERVING"},
		{name: "with more fields", serve: serve, with: ask("newer"), ok: true, reason: "SERVING"},
		{name: "not serving", serve: serve, with: ask("draining"), reason: "NOT_SERVING"},
		{name: "unknown", serve: serve, with: ask("unknown"), reason: "UNKNOWN"},
		{name: "no such service", serve: serve, with: ask("other"), reason: `NOT_FOUND: the server knows no service "other"`},
		{name: "cut", serve: serve, with: ask("cut"), reason: not},
		{name: "nothing", serve: serve, with: ask("none"), reason: not},
		{name: "odd", serve: serve, with: ask("odd"), reason: not},
		{name: "compressed", serve: serve, with: ask("compressed"), reason: not},
		{name: "huge", serve: serve, with: ask("huge"), reason: "the answer is longer than 16 KiB"},
		{name: "no health service", serve: overHTTP2(status("12", "unknown service")), reason: "UNIMPLEMENTED: the server has no grpc.health.v1"},
		{name: "unavailable", serve: overHTTP2(status("14", "shard%20is full")), reason: "UNAVAILABLE: shard is full"},
		{name: "odd code", serve: overHTTP2(status("77", "")), reason: "gRPC status 77"},
		{name: "OK without a message", serve: overHTTP2(status("0", "")), reason: not},
		{name: "no gRPC", serve: overHTTP2(http.NotFoundHandler()), reason: `not gRPC: status 404, content type "text/plain; charset=utf-8"`},
		{name: "HTTP/1.1", serve: hears("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"), reason: "the server speaks HTTP/1.1, not HTTP/2"},
		{name: "silent", serve: mute, with: func(s *Spec) { s.Timeout = quickTimeout }, reason: "timeout after 300ms while waiting for the answer to Check"},
		{name: "silent in HTTP/2", serve: overHTTP2(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		})), with: func(s *Spec) { s.Timeout = quickTimeout }, reason: "timeout after 300ms while waiting for the answer to Check"},
		{name: "nobody", reason: "connection refused"},
		{name: "plain to TLS", serve: hears("\x15\x03\x01\x00\x02\x02\x16"), reason: "…"},
	})
	tryHostile(t, base)
	base.TLS = true
	tryHostile(t, base)
	trySecureAfter(t, base, func(config *tls.Config) func(net.Conn) {
		config.NextProtos = []string{"h2"}
		return within(config, serve)
	})
	tryAll(t, base, []trial{{
		name: "TLS without HTTP/2", reason: "the server speaks no HTTP/2 in TLS (it didn't choose h2)", with: func(s *Spec) { s.Insecure = true },
		serve: within(&tls.Config{Certificates: []tls.Certificate{(*authority)(nil).sign(t, time.Now().Add(time.Hour))}}, mute),
	}})
}

func FuzzGRPC(f *testing.F) {
	for _, s := range []string{grpcFrameOf("\x08\x01"), grpcFrameOf(""), grpcFrameOf("\x12\x02hi\x08\x01"), "\x00\x00\x00\x00\x09\x08\x01"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		status, err := parseGRPC(b)
		if err == nil && status == grpcServing && len(b) < 7 {
			t.Errorf("%x is %s", b, status)
		}
	})
}
