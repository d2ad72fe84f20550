package checker

import (
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

var fuzzSeeds = []string{
	"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nTest Page",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nTest Page\r\n0\r\nX: y\r\n\r\n",
	"HTTP/1.0 200 OK\r\n\r\nTest Page",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nabc",
	"HTTP/1.1 204 No Content\r\n\r\n",
	"220 mail ESMTP\r\n",
	"\x16\x03\x01",
	"",
}

// FuzzAnswer: no answer makes the reader panic or read beyond its bounds; one
// that comes in two pieces is judged as when it comes whole.
func FuzzAnswer(f *testing.F) {
	for _, seed := range fuzzSeeds {
		f.Add([]byte(seed), uint(10), "Test")
		f.Add([]byte(seed), uint(40), "")
	}
	f.Fuzz(func(t *testing.T, b []byte, cut uint, receive string) {
		spec := Spec{Type: HTTP, Target: netip.MustParseAddrPort("10.0.0.1:80"), Receive: receive}
		if len(spec.Validate()) > 2 { // interval and timeout are none of ours here
			return
		}
		p, err := newHTTPProbe(ptr(spec.normal()), workshop{kind: &httpKind})
		if err != nil {
			return
		}
		probe := p.(*httpProbe)
		whole, complete := probe.answer(b, true)
		if !complete {
			t.Fatal("not complete after the end")
		}
		if first, complete := probe.answer(b[:min(int(cut%1000), len(b))], false); complete && (first.OK != whole.OK || first.Reason != whole.Reason) {
			t.Errorf("judged %+v by the first %d bytes, %+v by all", first, cut%1000, whole)
		}
		if len(whole.Sample) > 3*maxSample {
			t.Errorf("sample of %d bytes", len(whole.Sample))
		}
	})
}

// FuzzServer: whatever a server answers, the check ends, in both ways.
func FuzzServer(f *testing.F) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = l.Close() })
	answers := make(chan []byte, 1)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b := <-answers
			_, _ = conn.Write(b)
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	}()
	for _, seed := range fuzzSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		answers <- b
		start := time.Now()
		Once(context.Background(), Spec{
			Type: HTTP, Target: netip.MustParseAddrPort(l.Addr().String()), Receive: "Test", Timeout: 2 * time.Second,
		}, io.Discard)
		if d := time.Since(start); d > 3*time.Second {
			t.Errorf("took %s", d)
		}
	})
}
