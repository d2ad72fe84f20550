package checker

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// quickTimeout is long enough for a loaded machine and short enough to wait for.
const quickTimeout = 300 * time.Millisecond

// inBothWays runs a Spec as the daemon does and as Once does: they must agree.
func inBothWays(t *testing.T, spec Spec, check func(t *testing.T, r Result)) {
	t.Helper()
	if spec.Timeout == 0 {
		spec.Timeout = 10 * time.Second
	}
	spec.Interval = time.Hour
	t.Run("daemon", func(t *testing.T) {
		t.Parallel()
		check(t, watchOnce(t, spec))
	})
	t.Run("once", func(t *testing.T) {
		t.Parallel()
		var b bytes.Buffer
		r := Once(context.Background(), spec, &b)
		check(t, r)
		if t.Failed() {
			t.Logf("transcript:\n%s", b.String())
		}
	})
}

// watchOnce returns the first result of a running Checker.
func watchOnce(t *testing.T, spec Spec) Result {
	t.Helper()
	got := make(chan Result, 1)
	c := New(Options{Observe: func(_ ID, r Result) {
		select {
		case got <- r:
		default:
		}
	}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	defer func() {
		cancel()
		<-done
	}()
	c.Set([]Watch{{ID: "x", Spec: spec}})
	select {
	case r := <-got:
		return r
	case <-time.After(20 * time.Second):
		t.Error("no result in 20 s")
		return Result{}
	}
}

// rawServer answers each connection with f.
func rawServer(t *testing.T, f func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				f(conn)
			}()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

// request reads a request's head.
func request(conn net.Conn) string {
	r := bufio.NewReader(conn)
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String()
		}
	}
}

// says answers each request with a text and closes.
func says(text string) func(net.Conn) {
	return func(conn net.Conn) {
		request(conn)
		_, _ = io.WriteString(conn, text)
	}
}

// inPieces answers slowly, so many bytes at a time.
func inPieces(size int, pause time.Duration, text string) func(net.Conn) {
	return func(conn net.Conn) {
		request(conn)
		for rest := text; len(rest) > 0; {
			n := min(size, len(rest))
			if _, err := io.WriteString(conn, rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
			time.Sleep(pause)
		}
	}
}

// mute keeps a connection open until the other side ends it.
func mute(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

func page(body string) string {
	return "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

func TestHTTP(t *testing.T) {
	large := strings.Repeat("x", 200<<10)
	for _, tt := range []struct {
		name   string
		serve  func(net.Conn)
		spec   Spec
		ok     bool
		reason string // all of it, or ^ and a pattern
		sample string
	}{
		{name: "alive", serve: says(page("<html>Test Page</html>")), spec: Spec{Receive: "Test Page"}, ok: true, reason: `status 200, body has "Test Page"`, sample: "<html>Test Page</html>"},
		{name: "no receive", serve: says(page("x")), ok: true, reason: "status 200", sample: "x"},
		{name: "wrong page", serve: says(page("<h1>It works!</h1>\n")), spec: Spec{Receive: "Test Page"}, reason: `body lacks "Test Page"`, sample: "<h1>It works!</h1>"},
		{name: "pattern", serve: says(page("web17 is fine")), spec: Spec{Receive: `(?i)WEB\d+ is`}, ok: true, reason: `status 200, body has "(?i)WEB\d+ is"`, sample: "web17 is fine"},
		{name: "503", serve: says("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"), reason: "status 503", sample: "busy"},
		{name: "redirect", serve: says("HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"), reason: "status 302"},
		{name: "status set", serve: says("HTTP/1.1 304 Not Modified\r\n\r\n"), spec: Spec{Status: "200-299,304"}, ok: true, reason: "status 304"},
		{name: "chunked", serve: says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nTest \r\n4\r\nPage\r\n0\r\n\r\n"), spec: Spec{Receive: "Test Page"}, ok: true, reason: `status 200, body has "Test Page"`, sample: "Test Page"},
		{name: "until closed", serve: says("HTTP/1.0 200 OK\r\n\r\nTest Page"), spec: Spec{Receive: "Test Page"}, ok: true, reason: `status 200, body has "Test Page"`, sample: "Test Page"},
		{name: "HEAD", serve: says("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"), spec: Spec{Method: "HEAD"}, ok: true, reason: "status 200"},
		{name: "100 first", serve: says("HTTP/1.1 100 Continue\r\n\r\n" + page("x")), ok: true, reason: "status 200", sample: "x"},
		{name: "only 100", serve: says(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 9)), reason: "the server only announces an answer (five 1xx in a row)", sample: strings.Repeat("HTTP/1.1 102 Processing ", 4) + "HTTP/1.1 102 Process"},
		{name: "large", serve: says(page(large + "Test Page")), spec: Spec{Receive: "Test Page$"}, ok: true, reason: `status 200, body has "Test Page$"`, sample: large[:maxSample]},
		{name: "pieces", serve: inPieces(40, 5*time.Millisecond, page("Test Page")), spec: Spec{Receive: "Test Page"}, ok: true, reason: `status 200, body has "Test Page"`, sample: "Test Page"},
		{name: "many pieces", serve: inPieces(4, time.Millisecond, page("Test Page")), spec: Spec{Receive: "Test Page"}, ok: true, reason: `status 200, body has "Test Page"`, sample: "Test Page"},
		{name: "too large", serve: says(page(strings.Repeat("x", maxBody) + "Test Page")), spec: Spec{Receive: "Test Page"}, reason: `first 1 MiB of the body lacks "Test Page"`, sample: large[:maxSample]},
		{name: "endless", serve: inPieces(1<<20, 0, "HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", 4<<20)), ok: true, reason: "status 200", sample: large[:maxSample]},
		{name: "half a body", serve: says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nTest Page"), spec: Spec{Receive: "Test Page"}, reason: "connection closed in the middle of the answer", sample: "Test Page"},
		{name: "half a head", serve: says("HTTP/1.1 200 OK\r\nContent-Le"), reason: "connection closed in the middle of the answer", sample: "HTTP/1.1 200 OK Content-Le"},
		{name: "half a chunk", serve: says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nTest"), reason: "connection closed in the middle of the answer", sample: "Test"},
		{name: "closes", serve: func(c net.Conn) { request(c) }, reason: "connection closed without an answer"},
		{name: "closes at once", serve: func(net.Conn) {}, reason: "^connection closed without an answer|connection reset by peer while waiting for the answer|broken pipe while waiting for the answer"},
		{name: "resets", serve: func(c net.Conn) { request(c); _ = c.(*net.TCPConn).SetLinger(0) }, reason: "connection reset by peer while waiting for the answer"},
		{name: "garbage", serve: says("SSH-2.0-OpenSSH_9.2p1 Debian\r\n"), reason: "not an HTTP answer", sample: "SSH-2.0-OpenSSH_9.2p1 Debian"},
		{name: "binary", serve: says("\x15\x03\x01\x00\x02\x02\x50"), reason: "not an HTTP answer", sample: "......P"},
		{name: "not quite", serve: says("HTTP/1.1 OK\r\n\r\n"), reason: `malformed HTTP status code "OK"`, sample: "HTTP/1.1 OK"},
		{name: "huge head", serve: says("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 100<<10)), reason: errTooLong.Error(), sample: "HTTP/1.1 200 OK X: " + strings.Repeat("y", maxSample-20)},
		{name: "silent", serve: mute, spec: Spec{Timeout: quickTimeout}, reason: "timeout after 300ms while waiting for the answer"},
		{name: "silent in the head", serve: func(c net.Conn) { says("HTTP/1.1 2")(c); mute(c) }, spec: Spec{Timeout: quickTimeout}, reason: "timeout after 300ms while reading the answer", sample: "HTTP/1.1 2"},
		{name: "silent in the body", serve: func(c net.Conn) { says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nTest")(c); mute(c) }, spec: Spec{Timeout: quickTimeout}, reason: "timeout after 300ms while reading the answer"},
		{name: "drips", serve: inPieces(1, 20*time.Millisecond, page(large)), spec: Spec{Timeout: quickTimeout}, reason: "timeout after 300ms while reading the answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			spec := tt.spec
			spec.Type, spec.Target = HTTP, rawServer(t, tt.serve)
			inBothWays(t, spec, func(t *testing.T, r Result) {
				match := r.Reason == tt.reason
				if strings.HasPrefix(tt.reason, "^") {
					match = regexp.MustCompile(tt.reason).MatchString(r.Reason)
				}
				if r.OK != tt.ok || r.Void || !match {
					t.Errorf("got %t %q, want %t %q", r.OK, r.Reason, tt.ok, tt.reason)
				}
				if tt.sample != "" && r.Sample != tt.sample {
					t.Errorf("sample %q, want %q", r.Sample, tt.sample)
				}
				if r.Start.IsZero() || r.Duration <= 0 {
					t.Errorf("no start or duration: %v", r)
				}
			})
		})
	}
}

func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := netip.MustParseAddrPort(l.Addr().String())
	_ = l.Close()
	for _, typ := range []Type{Connect, HTTP, HTTPS} {
		t.Run(string(typ), func(t *testing.T) {
			inBothWays(t, Spec{Type: typ, Target: target}, func(t *testing.T, r Result) {
				if r.OK || r.Void || r.Reason != "connection refused" {
					t.Errorf("got %+v", r)
				}
			})
		})
	}
}

func TestConnect(t *testing.T) {
	var v6 netip.AddrPort
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		defer l.Close()
		v6 = netip.MustParseAddrPort(l.Addr().String())
	}
	for name, target := range map[string]netip.AddrPort{"IPv4": rawServer(t, mute), "IPv6": v6} {
		t.Run(name, func(t *testing.T) {
			if !target.IsValid() {
				t.Skip("no IPv6 here")
			}
			inBothWays(t, Spec{Type: Connect, Target: target}, func(t *testing.T, r Result) {
				if !r.OK || r.Reason != "connected" {
					t.Errorf("got %+v", r)
				}
			})
		})
	}
}

// A listener whose queue is full answers nobody: the handshake hangs.
func TestConnectTimeout(t *testing.T) {
	target := fullListener(t)
	for _, typ := range []Type{Connect, HTTP, HTTPS} {
		t.Run(string(typ), func(t *testing.T) {
			inBothWays(t, Spec{Type: typ, Target: target, Timeout: quickTimeout}, func(t *testing.T, r Result) {
				if r.OK || r.Reason != "timeout after 300ms while connecting" {
					t.Errorf("got %+v", r)
				}
				if r.Duration < quickTimeout || r.Duration > quickTimeout+2*time.Second {
					t.Errorf("took %s", r.Duration)
				}
			})
		})
	}
}

func TestRequestOnTheWire(t *testing.T) {
	got := make(chan string, 2)
	target := rawServer(t, func(conn net.Conn) {
		got <- request(conn)
		_, _ = io.WriteString(conn, page("x"))
	})
	spec := Spec{
		Type: HTTP, Target: target, Request: "/health?deep=1", Method: "POST", VirtualHost: "www.example.org",
		Headers: "X-Check: lb\nUser-Agent: mine", Interval: time.Second, Timeout: 10 * time.Second,
	}
	want := "POST /health?deep=1 HTTP/1.1\r\nHost: www.example.org\r\nAccept: */*\r\nX-Check: lb\r\nUser-Agent: mine\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	if r := watchOnce(t, spec); !r.OK {
		t.Errorf("got %+v", r)
	}
	if text := <-got; text != want {
		t.Errorf("sent %q, want %q", text, want)
	}
}

func TestHostHeader(t *testing.T) {
	for _, tt := range []struct {
		spec Spec
		want string
	}{
		{Spec{Type: HTTP, Target: netip.MustParseAddrPort("10.0.0.1:80")}, "10.0.0.1"},
		{Spec{Type: HTTP, Target: netip.MustParseAddrPort("10.0.0.1:8080")}, "10.0.0.1:8080"},
		{Spec{Type: HTTPS, Target: netip.MustParseAddrPort("10.0.0.1:443")}, "10.0.0.1"},
		{Spec{Type: HTTPS, Target: netip.MustParseAddrPort("10.0.0.1:80")}, "10.0.0.1:80"},
		{Spec{Type: HTTP, Target: netip.MustParseAddrPort("[2001:db8::1]:80")}, "[2001:db8::1]"},
		{Spec{Type: HTTP, Target: netip.MustParseAddrPort("[fe80::1%eth0]:81")}, "[fe80::1]:81"},
		{Spec{Type: HTTP, Target: netip.MustParseAddrPort("10.0.0.1:81"), VirtualHost: "a.example"}, "a.example"},
	} {
		if got := tt.spec.host(); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.spec.Target, got, tt.want)
		}
	}
}

func TestFollow(t *testing.T) {
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	defer srv.Close()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "www.example.org" {
			t.Errorf("Host %q", r.Host)
		}
		_, _ = io.WriteString(w, "Test Page")
	})
	mux.HandleFunc("/old", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://www.example.org/new", http.StatusFound) // a name that doesn't resolve here
	})
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/gone", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
	})
	target := netip.MustParseAddrPort(srv.Listener.Addr().String())
	for path, want := range map[string]string{
		"/old": `status 200, body has "Test Page"`, "/": `status 200, body has "Test Page"`,
		"/loop": "more than 7 redirects", "/gone": "connection refused",
	} {
		t.Run(path, func(t *testing.T) {
			r := watchOnce(t, Spec{Type: HTTP, Target: target, Request: path, VirtualHost: "www.example.org", Receive: "Test Page", Follow: true, Interval: time.Hour, Timeout: 10 * time.Second})
			if !strings.HasSuffix(r.Reason, want) {
				t.Errorf("got %+v, want %q", r, want)
			}
		})
	}
}

// TestNoDescriptorsLeak: what the owner opens by hand it must close by hand.
func TestNoDescriptorsLeak(t *testing.T) {
	open := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(list)
	}
	hang, web := rawServer(t, mute), rawServer(t, says(page("x")))
	before := open()
	for range 3 {
		var set []Watch
		for i := range 50 {
			host := netip.AddrFrom4([4]byte{127, 0, 0, 1})
			target := netip.AddrPortFrom(host, []uint16{hang.Port(), web.Port(), 1}[i%3])
			set = append(set, Watch{ID: ID(strconv.Itoa(i)), Spec: Spec{Type: HTTP, Target: target, Request: "/" + strconv.Itoa(i), Interval: 20 * time.Millisecond, Timeout: 50 * time.Millisecond}})
		}
		c := New(Options{})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		c.Set(set)
		time.Sleep(150 * time.Millisecond)
		cancel()
		<-done
	}
	time.Sleep(50 * time.Millisecond) // the servers' side
	if after := open(); after > before+5 {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}
