package gossip

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// realNode runs on loopback sockets.
func realNode(t *testing.T, name string, listen netip.AddrPort, join ...netip.AddrPort) (*Gossip, func()) {
	t.Helper()
	g, err := New(Options{Name: name, Listen: listen, Join: join, Keys: []Key{{1}}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	return g, func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(5 * time.Second):
			t.Error("Run doesn't end")
		}
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > 5*time.Second {
			t.Fatal("not within 5 s:", what)
		}
	}
}

func TestLoopback(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			defer goleak.VerifyNone(t)
			any := netip.AddrPortFrom(netip.MustParseAddr(host), 0)
			a, stopA := realNode(t, "a", any)
			if host == "::1" && noIPv6() {
				stopA()
				t.Skip("no IPv6 here")
			}
			eventually(t, "listening", func() bool { return a.list.Load() != nil })
			b, stopB := realNode(t, "b", any, a.Addr())
			eventually(t, "joined", func() bool { return len(a.Members()) == 2 && len(b.Members()) == 2 })
			if err := b.Broadcast([]byte("from b")); err != nil {
				t.Fatal(err)
			}
			if err := a.SendTo("b", []byte("from a")); err != nil {
				t.Fatal(err)
			}
			if m := <-a.Received(); string(m.Payload) != "from b" || m.From != "b" || m.Addr != b.Addr() {
				t.Errorf("%+v", m)
			}
			if m := <-b.Received(); string(m.Payload) != "from a" {
				t.Errorf("%+v", m)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			b.Leave(ctx)
			if m := a.Members(); m[1].State != Left {
				t.Errorf("%+v", m)
			}
			stopB()
			stopA()
			if s := a.Stats(); s.SendErrors+s.SendDropped+s.ReceiveDrops+s.LogDropped > 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func noIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err == nil {
		_ = l.Close()
	}
	return errors.Is(err, syscall.EADDRNOTAVAIL)
}

// Directors at boot may be faster than their network.
func TestListenAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr).AddrPort()
	g, stop := realNode(t, "a", addr)
	defer stop()
	eventually(t, "told", func() bool {
		p := g.Problems()
		return len(p) == 1 && p[0].Kind == "listen" && strings.Contains(p[0].Text, "address already in use")
	})
	_ = l.Close()
	eventually(t, "listening", func() bool { return len(g.Members()) == 1 && len(g.Problems()) == 0 })
}

func TestOptions(t *testing.T) {
	lan := netip.MustParseAddrPort("192.168.0.103:7946")
	ok := Options{Name: "lb1", Listen: lan, Keys: []Key{{1}}, Log: slog.New(slog.DiscardHandler)}
	for _, tc := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"fine", func(*Options) {}, ""},
		{"insecure", func(o *Options) { o.Keys, o.Insecure = nil, true }, ""},
		{"loopback", func(o *Options) { o.Keys, o.Listen = nil, netip.MustParseAddrPort("127.0.0.1:7946") }, ""},
		{"no key", func(o *Options) { o.Keys = nil }, "no key: whoever reaches 192.168.0.103:7946 could make itself a director; write a key with `ipvsd cluster keygen`"},
		{"no key on all", func(o *Options) { o.Keys, o.Listen = nil, netip.MustParseAddrPort("0.0.0.0:7946") }, "no key"},
		{"no name", func(o *Options) { o.Name = "" }, `name "": 1 to 63 characters`},
		{"name", func(o *Options) { o.Name = "a/b" }, `name "a/b": '/' is not a letter`},
		{"listen", func(o *Options) { o.Listen = netip.AddrPort{} }, "listen: no address"},
		{"advertise", func(o *Options) { o.Advertise = netip.MustParseAddrPort("0.0.0.0:7946") }, "advertise 0.0.0.0:7946: nobody can send to it"},
		{"join", func(o *Options) { o.Join = []netip.AddrPort{netip.MustParseAddrPort("192.168.0.104:0")} }, "join 192.168.0.104:0: not an address"},
		{"family", func(o *Options) { o.Join = []netip.AddrPort{netip.MustParseAddrPort("[fd00::1]:7946")} }, "of the other family"},
		{"zone", func(o *Options) { o.Join = []netip.AddrPort{netip.MustParseAddrPort("[fe80::1%eth0]:7946")} }, "zone"},
		{"label", func(o *Options) { o.ClusterLabel = strings.Repeat("x", 256) }, "cluster label: 256 bytes, at most 255"},
		{"keys", func(o *Options) { o.Keys = make([]Key, maxKeys+1) }, "9 keys, at most 8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := ok
			tc.change(&o)
			_, err := New(o)
			if got := errText(err); tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
