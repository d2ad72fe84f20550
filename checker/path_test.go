package checker

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// TestPathWaits: a check waits up to half its timeout until the kernel takes its
// mark to the real server, and its verdict counts only where that is so at the
// end as well.
func TestPathWaits(t *testing.T) {
	missing := errors.New("no service")
	for _, tt := range []struct {
		name   string
		ready  time.Duration // since the start
		broken bool          // it is gone when the check ends
		inner  Result
		want   Result
		after  time.Duration
	}{
		{"there", 0, false, good("fine"), good("fine"), time.Second},
		{"there, dead", 0, false, bad("refused"), bad("refused"), time.Second},
		{"soon there", 300 * time.Millisecond, false, bad("refused"), bad("refused"), 1300 * time.Millisecond},
		{"not there", time.Hour, false, good("fine"), void("no service"), 2050 * time.Millisecond},
		{"gone at the end", 0, true, good("fine"), void("no service"), time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, ended := time.Now(), false
				p := &pathProbe{
					spec: &Spec{Timeout: 4 * time.Second, Mark: 1},
					inner: probeFunc(func(context.Context) Result {
						time.Sleep(time.Second)
						ended = true
						return tt.inner
					}),
					path: func(_ context.Context, s Spec) error {
						if s.Mark != 1 || time.Since(start) < tt.ready || ended && tt.broken {
							return missing
						}
						return nil
					},
				}
				if got := p.check(t.Context(), nil); got != tt.want || time.Since(start) != tt.after {
					t.Errorf("got %+v after %v, want %+v after %v", got, time.Since(start), tt.want, tt.after)
				}
			})
		})
	}
}

// TestPathStops: the wait ends with the context.
func TestPathStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		p := &pathProbe{spec: &Spec{Timeout: time.Hour}, path: func(context.Context, Spec) error { return errors.New("no service") }}
		if got := p.check(ctx, nil); !got.Void || time.Since(start) > 2*time.Second {
			t.Errorf("got %+v after %v", got, time.Since(start))
		}
	})
}

// TestStalePorts: a port is stale for other marks only, and for a while.
func TestStalePorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p stalePorts
		key := stalePort{unix.IPPROTO_TCP, netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("192.0.2.10:80")}
		other := key
		other.here = netip.MustParseAddrPort("192.0.2.10:81")
		p.add(key, 1)
		if !p.of(key, 2) || p.of(key, 1) || p.of(other, 2) {
			t.Error("a stale port is that of another mark to the same address")
		}
		for n := range 3000 { // more than is kept unseen
			k := key
			k.from = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 1)
			p.add(k, 1)
		}
		time.Sleep(staleTime)
		if p.of(key, 2) {
			t.Error("still stale")
		}
		for n := range 2000 {
			k := key
			k.from = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}), 1)
			p.add(k, 1)
		}
		if len(p.at) > 4096 {
			t.Errorf("%d are kept", len(p.at))
		}
	})
}

// TestMarkedDial connects with a mark where that is allowed, from the address
// towards the real server; elsewhere it is a want of our own.
func TestMarkedDial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	from := make(chan string, 1)
	go func() {
		if c, err := l.Accept(); err == nil {
			from <- c.RemoteAddr().(*net.TCPAddr).IP.String()
			_ = c.Close()
		}
	}()
	spec := Spec{
		Type: Connect, Target: netip.MustParseAddrPort(l.Addr().String()), Timeout: 5 * time.Second,
		Mark: 0x49512345, Via: netip.MustParseAddrPort("127.0.0.1:0"),
	}
	var b strings.Builder
	r := Once(t.Context(), spec, &b)
	if os.Geteuid() != 0 {
		if !r.Void || !strings.Contains(r.Reason, "CAP_NET_ADMIN") {
			t.Errorf("got %+v", r)
		}
		return
	}
	if !r.OK || !strings.Contains(b.String(), "path vip: mark 0x49512345 takes it to 127.0.0.1:0") {
		t.Fatalf("got %+v\n%s", r, b.String())
	}
	if ip := <-from; ip != "127.0.0.1" {
		t.Errorf("came from %s", ip)
	}
}

// TestMarkedSource: there must be another address than the virtual one, for
// connections and for datagrams.
func TestMarkedSource(t *testing.T) {
	for _, spec := range []Spec{
		{Type: Connect},
		{Type: UDP, Send: "x", Expect: "."},
	} {
		spec.Target, spec.Via = netip.MustParseAddrPort("127.0.0.1:9"), netip.MustParseAddrPort("127.0.0.2:0")
		spec.Mark, spec.Timeout = 1, time.Second
		r := Once(t.Context(), spec, new(strings.Builder))
		if !r.Void || !strings.Contains(r.Reason, "no address towards 127.0.0.2 but the virtual one, 127.0.0.1") {
			t.Errorf("%s: got %+v", spec.Type, r)
		}
	}
}

// TestConnects: what never asks, asks by ICMP or leaves it to a program can't
// bear a mark; all others open their connections in one place.
func TestConnects(t *testing.T) {
	cant := map[Type]bool{Ping: true, External: true, On: true, Off: true}
	for _, k := range kinds {
		if got := (Spec{Type: k.typ}).Connects(); got == cant[k.typ] {
			t.Errorf("%s: %v", k.typ, got)
		}
	}
	if (Spec{Type: Connect, Protocol: "udp"}).Connects() {
		t.Error("connect for udp is a ping")
	}
	if !(Spec{Type: DNS, Protocol: "udp"}).Datagrams() || (Spec{Type: DNS, Protocol: "tcp"}).Datagrams() {
		t.Error("dns goes as its virtual service does")
	}
}
