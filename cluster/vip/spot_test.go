package vip

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func auto(addr string) Want { return want(addr, "") }

// TestCurrentStays is about what InterfaceFor decides otherwise once an
// address is ours somewhere.
func TestCurrentStays(t *testing.T) {
	down := eth(4, "eth3")
	down.Up = false
	unplugged := eth(3, "eth2")
	unplugged.Carrier = false
	links := []Link{{Name: "lo", Index: 1, Loopback: true, Up: true, Carrier: true}, eth(2, "eth1"), unplugged, down, eth(5, "eth4")}
	twins := []Held{foreign("192.0.2.1/24", "eth1"), foreign("192.0.2.2/24", "eth2"), foreign("192.0.2.3/24", "eth3"), foreign("192.0.2.4/24", "eth4")}
	for _, tc := range []struct {
		name     string
		held     []Held
		defaults []Default
		current  string
		want     string
	}{
		{name: "the first of equal subnets", held: twins, want: "eth1"},
		{name: "stays on an equal one", held: twins, current: "eth4", want: "eth4"},
		{name: "stays without a carrier", held: twins, current: "eth2", want: "eth2"},
		{name: "leaves one that is down", held: twins, current: "eth3", want: "eth1"},
		{name: "leaves a wider subnet", held: append(twins, foreign("192.0.2.65/26", "eth1")), current: "eth4", want: "eth1"},
		{name: "stays with a worse default route", defaults: []Default{{Interface: "eth1", Metric: 1}, {Interface: "eth4", Metric: 9}}, current: "eth4", want: "eth4"},
		{name: "follows the default route", defaults: []Default{{Interface: "eth1"}}, current: "eth4", want: "eth1"},
		{name: "on the loopback, too", held: append(twins, foreign("192.0.2.100/32", "lo")), current: "eth4", want: "eth4"},
		{name: "the host's own", held: append(twins, foreign("192.0.2.100/24", "eth1")), current: "eth4", want: ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := Facts{Links: links, Held: tc.held, Defaults: tc.defaults}
			got, err := f.interfaceFor(netip.MustParseAddr("192.0.2.100"), tc.current)
			if err != nil || got != tc.want {
				t.Errorf("%q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

func TestAutoInterface(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFake(Link{Name: "lo", Index: 1, Loopback: true, Up: true, Carrier: true}, eth(2, "eth0"), eth(3, "eth1"))
		k.own("192.0.2.2/24", "eth0")
		k.own("198.51.100.7/32", "lo")
		r := newRig(t, k)
		r.Set([]Want{auto("192.0.2.10/32"), auto("198.51.100.7/32"), auto("127.0.0.3/32"), auto("192.0.2.2/32")})
		r.wantAddrs(t, "192.0.2.2/24 eth0", "198.51.100.7/32 lo", "192.0.2.10/32 eth0 *")
		for addr, want := range map[string]Status{
			"192.0.2.10":   {State: Holding, Want: want("192.0.2.10/32", "eth0")},
			"198.51.100.7": {State: Own, Want: want("198.51.100.7/32", "lo")},
			"127.0.0.3":    {State: Own, Want: want("127.0.0.3/32", "lo")},
			"192.0.2.2":    {State: Own, Want: want("192.0.2.2/32", "eth0")},
		} {
			if s := r.wantStatus(t, addr, want.State, ""); s.Want != want.Want {
				t.Errorf("%s: %+v, want %+v", addr, s.Want, want.Want)
			}
		}
		if k.defaultReads > 0 {
			t.Error("the routes were read, and nothing asked for them")
		}

		// The next Set, with the kernel unreadable, doesn't hide what was found.
		k.change(func() { k.readErr = errBusy })
		r.Set([]Want{auto("192.0.2.10/32")})
		if s := r.wantStatus(t, "192.0.2.10", Holding, "busy"); s.Interface != "eth0" {
			t.Errorf("interface %q", s.Interface)
		}
		k.change(func() { k.readErr = nil })
		time.Sleep(2 * time.Second)

		// Renamed, it goes on; its subnet elsewhere, it follows.
		renamed := eth(2, "lan0")
		k.change(func() {
			k.links[1] = renamed
			for i := range k.held {
				if k.held[i].Interface == "eth0" {
					k.held[i].Interface = "lan0"
				}
			}
		})
		time.Sleep(settle)
		if s := r.wantStatus(t, "192.0.2.10", Holding, ""); s.Interface != "lan0" {
			t.Errorf("after the interface was renamed: %q", s.Interface)
		}
		k.lose("198.51.100.7/32")
		k.own("192.0.2.3/24", "eth1")
		time.Sleep(settle)
		r.wantAddrs(t, "192.0.2.2/24 lan0", "192.0.2.10/32 lan0 *", "192.0.2.3/24 eth1")
		k.own("192.0.2.4/28", "eth1")
		time.Sleep(settle)
		r.wantAddrs(t, "192.0.2.2/24 lan0", "192.0.2.3/24 eth1", "192.0.2.4/28 eth1", "192.0.2.10/32 eth1 *")
	})
}

func TestNoInterfaceFound(t *testing.T) {
	const nowhere = "no interface has a subnet with 192.0.2.10, and there is no default route: name the interface in [[vip]]"
	synctest.Test(t, func(t *testing.T) {
		k := newFake(eth(2, "eth0"), eth(3, "eth1"))
		r := newRig(t, k)
		r.Set([]Want{auto("192.0.2.10/32"), want("192.0.2.11/32", "eth1")})
		r.wantStatus(t, "192.0.2.10", Failed, nowhere)
		r.wantStatus(t, "192.0.2.11", Holding, "")

		// An address event wakes.
		k.own("192.0.2.2/24", "eth0")
		time.Sleep(settle)
		if s := r.wantStatus(t, "192.0.2.10", Holding, ""); s.Interface != "eth0" {
			t.Errorf("interface %q", s.Interface)
		}
		// What is held stays when nothing speaks for another place.
		k.lose("192.0.2.2/24")
		time.Sleep(settle)
		r.wantStatus(t, "192.0.2.10", Holding, nowhere)
		r.wantAddrs(t, "192.0.2.11/32 eth1 *", "192.0.2.10/32 eth0 *")
		// Also when it is removed at the same time.
		k.lose("192.0.2.10/32")
		time.Sleep(settle)
		r.wantAddrs(t, "192.0.2.11/32 eth1 *", "192.0.2.10/32 eth0 *")

		// A route wakes nobody; it is found all the same.
		time.Sleep(10 * time.Minute)
		k.mu.Lock()
		k.defaults = []Default{{Interface: "eth1"}}
		k.mu.Unlock()
		time.Sleep(lookAgain)
		if s := r.wantStatus(t, "192.0.2.10", Holding, ""); s.Interface != "eth1" {
			t.Errorf("interface %q", s.Interface)
		}
		r.wantAddrs(t, "192.0.2.11/32 eth1 *", "192.0.2.10/32 eth1 *")

		// The interface is made anew.
		made := eth(9, "eth1")
		k.change(func() { k.links, k.held, k.defaults = k.links[:1], nil, nil })
		time.Sleep(settle)
		r.wantStatus(t, "192.0.2.10", Failed, nowhere)
		k.change(func() { k.links, k.defaults = append(k.links, made), []Default{{Interface: "eth1"}} })
		time.Sleep(settle)
		r.wantStatus(t, "192.0.2.10", Holding, "")
	})
}
