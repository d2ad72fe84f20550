package vip

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func wantOf(addr string, life time.Duration) Want {
	return Want{Addr: netip.MustParsePrefix(addr), Interface: "eth0", Lifetime: life}
}

func (r *rig) apply(t *testing.T, o Order) []Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	s, err := r.Apply(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// When Apply returns, what is wanted is there and announced, and what is to go
// is gone.
func TestApplyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFake(eth(2, "eth0"))
		r := newRig(t, k)
		a, b := wantOf("192.0.2.100/32", 2*time.Second), wantOf("2001:db8::100/128", 2*time.Second)
		s := r.apply(t, Order{Wants: []Want{a, b}})
		if diff := cmp.Diff([]string{"192.0.2.100/32 eth0 *", "2001:db8::100/128 eth0 *"}, k.addrs()); diff != "" {
			t.Fatal(diff)
		}
		for _, s := range s {
			if s.State != Holding || s.Up.IsZero() || s.Told.Before(s.Up) || s.Announced != 1 {
				t.Errorf("%+v", s)
			}
		}
		k.took()
		r.apply(t, Order{Wants: []Want{b}, Granted: []netip.Addr{}, Drop: []netip.Addr{a.Addr.Addr()}})
		if diff := cmp.Diff([]string{"ip addr del 192.0.2.100/32 dev eth0"}, k.took()); diff != "" {
			t.Error(diff)
		}
	})
}

// Only what is granted lives on.
func TestApplyGrants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFake(eth(2, "eth0"))
		r := newRig(t, k)
		a, b := wantOf("192.0.2.100/32", 2*time.Second), wantOf("192.0.2.101/32", 2*time.Second)
		r.apply(t, Order{Wants: []Want{a, b}})
		for range 6 {
			time.Sleep(500 * time.Millisecond)
			r.apply(t, Order{Wants: []Want{a, b}, Granted: []netip.Addr{b.Addr.Addr()}})
		}
		r.wantAddrs(t, "192.0.2.101/32 eth0 *")
		r.wantStatus(t, "192.0.2.100", Lapsed, "not renewed for 2s")
	})
}

// Leftovers of which nobody knows yet stay untouched, the others go.
func TestApplySpares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFake(eth(2, "eth0"))
		for _, a := range []string{"192.0.2.100/32", "192.0.2.101/32"} {
			k.add(Held{Addr: netip.MustParsePrefix(a), Interface: "eth0", Ours: true, Seconds: 30})
		}
		r := newRig(t, k)
		spare := netip.MustParseAddr("192.0.2.100")
		r.apply(t, Order{Spare: []netip.Addr{spare}})
		r.wantAddrs(t, "192.0.2.100/32 eth0 *")
		k.took()
		time.Sleep(time.Millisecond)
		s := r.apply(t, Order{Wants: []Want{wantOf("192.0.2.100/32", 2*time.Second)}})
		if len(k.took()) != 1 || s[0].State != Holding { // renewed, not added
			t.Errorf("%+v", s)
		}
		r.apply(t, Order{})
		r.wantAddrs(t)
	})
}

// An Announce for some of the addresses: once, or the whole burst.
func TestAnnounceThese(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFake(eth(2, "eth0"))
		r := newRig(t, k)
		a, b := wantOf("192.0.2.100/32", 0), wantOf("192.0.2.101/32", 0)
		r.apply(t, Order{Wants: []Want{a, b}})
		time.Sleep(5 * time.Second)
		start := time.Now()
		r.AnnounceThese([]netip.Addr{a.Addr.Addr()}, false)
		time.Sleep(5 * time.Second)
		if got := len(k.times("192.0.2.100", start)); got != 1 {
			t.Errorf("%d announcements, want 1", got)
		}
		r.AnnounceThese([]netip.Addr{a.Addr.Addr()}, true)
		time.Sleep(5 * time.Second)
		if got := len(k.times("192.0.2.100", start)); got != 1+len(burst) {
			t.Errorf("%d announcements, want %d", got, 1+len(burst))
		}
		if got := len(k.times("192.0.2.101", start)); got != 0 {
			t.Errorf("the other was announced %d times", got)
		}
	})
}

func TestEarFilter(t *testing.T) {
	mac := [6]byte{2, 0, 0, 0, 0, 9}
	v4, v6 := netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("2001:db8::100")
	rooms := []Room{{Link: eth(2, "eth0"), Addrs: []netip.Addr{v6, v4, v4}}, {Link: Link{Name: "lo", Index: 1}, Addrs: []netip.Addr{v4}}}
	got := booths(rooms)
	if len(got) != 2 || len(got[0].addrs) != 1 || got[0].addrs[0] != v4 || got[1].addrs[0] != v6 {
		t.Fatalf("%+v", got)
	}
	if n := len(onlyClaims(make4(5000))); n > 4096 {
		t.Errorf("a filter of %d instructions, the kernel takes 4096", n)
	}
	// A question of our own with a sender is read back as a claim by others.
	if c, ok := claimARP(arp(arpRequest, mac, v4, [6]byte{}, netip.MustParseAddr("192.0.2.254"))); !ok || c.Addr != v4 || c.MAC != mac {
		t.Errorf("%+v", c)
	}
	if b := solicitationFrom(netip.MustParseAddr("fe80::1"), mac, v6); len(b) != 72 || b[24] != 0xff || b[64] != 1 {
		t.Errorf("% x", b)
	}
}

func make4(n int) (out []netip.Addr) {
	a := netip.MustParseAddr("10.0.0.1")
	for range n {
		out, a = append(out, a), a.Next()
	}
	return out
}
