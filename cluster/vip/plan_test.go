package vip

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func want(addr, name string) Want {
	return Want{Addr: netip.MustParsePrefix(addr), Interface: name}
}

func ours(addr, name string) Held {
	return Held{Addr: netip.MustParsePrefix(addr), Interface: name, Ours: true, Seconds: Forever}
}

func foreign(addr, name string) Held {
	return Held{Addr: netip.MustParsePrefix(addr), Interface: name, Loopback: name == "lo", Seconds: Forever}
}

func TestPlan(t *testing.T) {
	leased := want("192.0.2.10/32", "eth0")
	leased.Lifetime = 2 * time.Second
	leased6 := want("2001:db8::10/128", "eth0")
	leased6.Lifetime = 1500 * time.Millisecond
	expiring := ours("192.0.2.10/32", "eth0")
	expiring.Seconds = 1
	secondary := foreign("192.0.2.3/24", "eth0")
	secondary.Secondary = true

	for _, tc := range []struct {
		name string
		have []Held
		want []Want
		plan []string
	}{
		{name: "nothing"},
		{
			name: "add IPv4",
			want: []Want{want("192.0.2.10/32", "eth0")},
			plan: []string{"ip addr add 192.0.2.10/32 dev eth0 label eth0:vip metric 7760240 noprefixroute"},
		},
		{
			name: "add IPv6, never a source address",
			want: []Want{want("2001:db8::10/128", "eth0")},
			plan: []string{"ip addr add 2001:db8::10/128 dev eth0 metric 7760240 valid_lft forever preferred_lft 0 nodad noprefixroute"},
		},
		{
			name: "label fits in 15 characters",
			want: []Want{want("192.0.2.10/32", "enp100s0f10"), want("192.0.2.11/32", "enp100s0f100")},
			plan: []string{
				"ip addr add 192.0.2.10/32 dev enp100s0f10 label enp100s0f10:vip metric 7760240 noprefixroute",
				"ip addr add 192.0.2.11/32 dev enp100s0f100 metric 7760240 noprefixroute",
			},
		},
		{
			name: "with lifetimes, rounded up",
			want: []Want{leased, leased6},
			plan: []string{
				"ip addr add 192.0.2.10/32 dev eth0 label eth0:vip metric 7760240 valid_lft 2 preferred_lft 2 noprefixroute",
				"ip addr add 2001:db8::10/128 dev eth0 metric 7760240 valid_lft 2 preferred_lft 0 nodad noprefixroute",
			},
		},
		{
			name: "in place",
			have: []Held{foreign("192.0.2.2/24", "eth0"), ours("192.0.2.10/32", "eth0")},
			want: []Want{want("192.0.2.10/32", "eth0")},
		},
		{
			name: "leftover, others left alone",
			have: []Held{foreign("192.0.2.2/24", "eth0"), ours("192.0.2.10/32", "eth0")},
			plan: []string{"ip addr del 192.0.2.10/32 dev eth0"},
		},
		{
			name: "the host's own is left alone",
			have: []Held{foreign("192.0.2.10/24", "eth0")},
			want: []Want{want("192.0.2.10/32", "eth0")},
		},
		{
			name: "the host's own elsewhere is left alone",
			have: []Held{foreign("192.0.2.10/24", "eth1")},
			want: []Want{want("192.0.2.10/32", "eth0")},
		},
		{
			name: "a real server's address on lo doesn't count",
			have: []Held{foreign("192.0.2.10/32", "lo")},
			want: []Want{want("192.0.2.10/32", "eth0")},
			plan: []string{"ip addr add 192.0.2.10/32 dev eth0 label eth0:vip metric 7760240 noprefixroute"},
		},
		{
			name: "removal comes before addition",
			have: []Held{ours("192.0.2.10/32", "eth0")},
			want: []Want{want("192.0.2.11/32", "eth0")},
			plan: []string{
				"ip addr del 192.0.2.10/32 dev eth0",
				"ip addr add 192.0.2.11/32 dev eth0 label eth0:vip metric 7760240 noprefixroute",
			},
		},
		{
			name: "another interface: add before delete",
			have: []Held{ours("192.0.2.10/32", "eth0")},
			want: []Want{want("192.0.2.10/32", "eth1")},
			plan: []string{
				"ip addr add 192.0.2.10/32 dev eth1 label eth1:vip metric 7760240 noprefixroute",
				"ip addr del 192.0.2.10/32 dev eth0",
			},
		},
		{
			name: "another prefix: IPv4 add before delete, IPv6 the other way round",
			have: []Held{ours("192.0.2.10/32", "eth0"), ours("2001:db8::10/128", "eth0")},
			want: []Want{want("192.0.2.10/24", "eth0"), want("2001:db8::10/64", "eth0")},
			plan: []string{
				"ip addr add 192.0.2.10/24 dev eth0 label eth0:vip metric 7760240 noprefixroute",
				"ip addr del 192.0.2.10/32 dev eth0",
				"ip addr del 2001:db8::10/128 dev eth0",
				"ip addr add 2001:db8::10/64 dev eth0 metric 7760240 valid_lft forever preferred_lft 0 nodad noprefixroute",
			},
		},
		{
			name: "a leftover that expires is made to stay",
			have: []Held{expiring},
			want: []Want{want("192.0.2.10/32", "eth0")},
			plan: []string{"ip addr change 192.0.2.10/32 dev eth0 label eth0:vip metric 7760240 valid_lft forever preferred_lft forever noprefixroute"},
		},
		{
			name: "one that stays gets a lifetime",
			have: []Held{ours("192.0.2.10/32", "eth0")},
			want: []Want{leased},
			plan: []string{"ip addr change 192.0.2.10/32 dev eth0 label eth0:vip metric 7760240 valid_lft 2 preferred_lft 2 noprefixroute"},
		},
		{
			name: "one that expires is not renewed by a plan",
			have: []Held{expiring},
			want: []Want{leased},
		},
		{
			name: "the host's address in our subnet survives",
			have: []Held{ours("192.0.2.10/24", "eth0"), secondary},
			plan: []string{
				"sysctl -w net/ipv4/conf/eth0/promote_secondaries=1",
				"ip addr del 192.0.2.10/24 dev eth0",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, s := range Plan(tc.have, tc.want) {
				got = append(got, s.String())
			}
			if diff := cmp.Diff(tc.plan, got); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRenewals(t *testing.T) {
	leased, missing, stays := want("192.0.2.10/32", "eth0"), want("192.0.2.11/32", "eth0"), want("192.0.2.12/32", "eth0")
	leased.Lifetime, missing.Lifetime = time.Second, time.Second
	got := Renewals([]Held{ours("192.0.2.10/32", "eth0"), ours("192.0.2.12/32", "eth0")}, []Want{leased, missing, stays})
	if diff := cmp.Diff([]Step{{Change, leased.Addr, "eth0", 1}}, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("renewals (-want +got):\n%s", diff)
	}
}

// TestPlanConverges applies plans between random states to the fake kernel:
// what is wanted is there afterwards, the host's own is untouched, and a second
// plan is empty.
func TestPlanConverges(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		k := newFake(eth(1, "eth0"), eth(2, "eth1"))
		name := func() string { return fmt.Sprintf("eth%d", r.IntN(2)) }
		addr := func() netip.Prefix {
			if r.IntN(2) == 0 {
				return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(4))}), []int{24, 32}[r.IntN(2)])
			}
			return netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 15: byte(r.IntN(4))}), []int{64, 128}[r.IntN(2)])
		}
		own := map[string]bool{}
		for range r.IntN(6) {
			p, n := addr(), name()
			if k.Do(Step{Add, p, n, Forever}) == nil && r.IntN(3) == 0 {
				k.held[len(k.held)-1].Ours = false
				own[p.String()+" "+n] = true
			}
		}
		var wants []Want
		seen := map[netip.Addr]bool{}
		for range r.IntN(6) {
			if p := addr(); !seen[p.Addr()] {
				seen[p.Addr()] = true
				wants = append(wants, Want{Addr: p, Interface: name()})
			}
		}
		before, _ := k.Read()
		for _, s := range Plan(before.Held, wants) {
			if err := k.Do(s); err != nil {
				t.Fatalf("seed %d: %s: %v\nhave %v\nwant %v", seed, s, err, before.Held, wants)
			}
		}
		after, _ := k.Read()
		if again := Plan(after.Held, wants); len(again) > 0 {
			t.Fatalf("seed %d: second plan %v\nhave %v\nwant %v", seed, again, before.Held, wants)
		}
		for _, w := range wants {
			if _, ok := Foreign(after.Held, w); !ok && !holds(after.Held, w) {
				t.Fatalf("seed %d: %v is not there: %v", seed, w, after.Held)
			}
		}
		for _, h := range after.Held {
			if !h.Ours {
				delete(own, h.Addr.String()+" "+h.Interface)
			}
		}
		if len(own) > 0 {
			t.Fatalf("seed %d: the host lost %v\nhave %v\nwant %v", seed, own, before.Held, wants)
		}
	}
}
