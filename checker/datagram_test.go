package checker

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// What standin_test.go is for streams, for datagrams.

// replies answers a datagram with others; nil for nobody there.
type replies func(question []byte) [][]byte

// datagramTrial is one server that a check meets, and what must come out.
type datagramTrial struct {
	name   string
	serve  replies
	with   func(*Spec)
	ok     bool
	reason string // all of it, or its beginning up to "…"
}

// hears answers what comes first on a stream and hangs up.
func hears(text string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 4<<10))
		_, _ = io.WriteString(conn, text)
	}
}

// reply answers each datagram with one.
func reply(f func(question []byte) []byte) replies {
	return func(q []byte) [][]byte { return [][]byte{f(q)} }
}

func noReply([]byte) [][]byte { return nil }

// tryAllDatagrams is tryAll for datagrams.
func tryAllDatagrams(t *testing.T, base Spec, trials []datagramTrial) {
	t.Helper()
	for _, tt := range trials {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tryOne(t, base, tt.with, tt.ok, tt.reason, func(t *testing.T, address string) netip.AddrPort {
				return datagramStandIn(t, address, tt.serve)
			})
		})
	}
}

func datagramStandIn(t *testing.T, address string, serve replies) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Skipf("no stand-in: %v", err)
	}
	at := netip.MustParseAddrPort(conn.LocalAddr().String())
	if serve == nil {
		_ = conn.Close()
		return at
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		buf := make([]byte, maxDatagram)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, b := range serve(bytes.Clone(buf[:n])) {
				_, _ = conn.WriteTo(b, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-over
	})
	return at
}

// tryHostileDatagrams: no such server is up, and no check outlives its deadline.
func tryHostileDatagrams(t *testing.T, base Spec) {
	t.Helper()
	flood := make([][]byte, 200)
	for i := range flood {
		flood[i] = noise(100 + i)
	}
	for name, serve := range map[string]replies{
		"nobody listens": nil,
		"silent":         noReply,
		"empty":          reply(func([]byte) []byte { return nil }),
		"one byte":       reply(func([]byte) []byte { return []byte{2} }),
		"half":           reply(func(q []byte) []byte { return q[:len(q)/2] }),
		"echo":           reply(func(q []byte) []byte { return q }),
		"garbage":        reply(func([]byte) []byte { return noise(400) }),
		"zeros":          reply(func([]byte) []byte { return make([]byte, 400) }),
		"huge":           reply(func([]byte) []byte { return noise(60000) }),
		"flood":          func([]byte) [][]byte { return flood },
	} {
		t.Run("hostile/"+name, func(t *testing.T) {
			t.Parallel()
			spec := base
			spec.Target, spec.Timeout = datagramStandIn(t, "127.0.0.1:0", serve), quickTimeout
			var b bytes.Buffer
			start := time.Now()
			r := Once(context.Background(), spec, &b)
			if r.OK || r.Void || r.Reason == "" {
				t.Errorf("got %+v; transcript:\n%.2000s", r, b.String())
			}
			if d := time.Since(start); d > spec.Timeout+2*time.Second {
				t.Errorf("took %s with a timeout of %s", d, spec.Timeout)
			}
			if name == "nobody listens" && !reads(r.Reason, "port unreachable…") {
				t.Errorf("reason %q", r.Reason)
			}
		})
	}
}

// TestDatagramAgain: one lost datagram is no dead server.
func TestDatagramAgain(t *testing.T) {
	n := 0
	at := datagramStandIn(t, "127.0.0.1:0", func(q []byte) [][]byte {
		if n++; n == 1 {
			return nil
		}
		return [][]byte{q}
	})
	spec := Spec{Type: UDP, Target: at, Send: "hello", Expect: "^hello$", Timeout: 900 * time.Millisecond}
	r := Once(context.Background(), spec, io.Discard)
	if !r.OK || r.Duration < 300*time.Millisecond {
		t.Errorf("got %+v after %s", r, r.Duration)
	}
}

// TestDatagramStops: a check ends soon when the daemon does.
func TestDatagramStops(t *testing.T) {
	at := datagramStandIn(t, "127.0.0.1:0", noReply)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	r := Once(ctx, Spec{Type: UDP, Target: at, Send: "hello", Expect: ".", Timeout: time.Minute}, io.Discard)
	if !r.Void || r.Duration > 10*time.Second {
		t.Errorf("got %+v after %s", r, r.Duration)
	}
}
