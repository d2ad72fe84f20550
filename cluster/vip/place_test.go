package vip

import (
	"net/netip"
	"testing"
)

func TestInterfaceFor(t *testing.T) {
	down := eth(4, "eth3")
	down.Up = false
	facts := Facts{
		Links: []Link{{Name: "lo", Index: 1, Loopback: true, Up: true, Carrier: true}, eth(2, "eth0"), eth(3, "eth1"), down, eth(5, "eth4")},
		Held: []Held{
			foreign("127.0.0.1/8", "lo"), foreign("198.51.100.7/32", "lo"), foreign("::1/128", "lo"),
			foreign("10.0.0.2/8", "eth0"), foreign("fe80::2/64", "eth0"),
			foreign("10.1.2.2/24", "eth1"), foreign("2001:db8:1::2/64", "eth1"), foreign("fe80::3/64", "eth1"),
			foreign("172.16.0.2/24", "eth3"), foreign("172.16.0.3/24", "eth4"),
			ours("203.0.113.5/24", "eth1"),
		},
		Defaults: []Default{{Interface: "eth1", Metric: 200}, {Interface: "eth0", Metric: 100}, {IPv6: true, Interface: "eth1"}},
	}
	bare := facts
	bare.Defaults = nil
	for _, tc := range []struct {
		name  string
		facts Facts
		addr  string
		want  string
		err   string
	}{
		{name: "connected", facts: facts, addr: "10.9.9.9", want: "eth0"},
		{name: "narrowest", facts: facts, addr: "10.1.2.100", want: "eth1"},
		{name: "IPv4 in IPv6", facts: facts, addr: "::ffff:10.1.2.100", want: "eth1"},
		{name: "IPv6", facts: facts, addr: "2001:db8:1::100", want: "eth1"},
		{name: "equal subnets: the one that is up", facts: facts, addr: "172.16.0.100", want: "eth4"},
		{name: "default route with the best metric", facts: facts, addr: "192.0.2.1", want: "eth0"},
		{name: "default route of IPv6", facts: facts, addr: "2001:db8:2::1", want: "eth1"},
		{name: "loopback needs none", facts: facts, addr: "127.0.0.3"},
		{name: "unspecified needs none", facts: facts, addr: "0.0.0.0"},
		{name: "the host's own needs none", facts: facts, addr: "10.0.0.2"},
		{name: "on lo needs none", facts: facts, addr: "198.51.100.7"},
		{name: "a leftover of ours counts for nothing", facts: facts, addr: "203.0.113.5", want: "eth0"},
		{
			name: "nowhere", facts: bare, addr: "192.0.2.1",
			err: "no interface has a subnet with 192.0.2.1, and there is no default route: name the interface in [[vip]]",
		},
		{
			name: "link-local is everywhere", facts: facts, addr: "fe80::100",
			err: "fe80::100 is link-local and could be on any interface: name the interface in [[vip]]",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := tc.facts.InterfaceFor(netip.MustParseAddr(tc.addr))
			msg := ""
			if err != nil {
				msg = err.Error()
			}
			if got != tc.want || msg != tc.err {
				t.Errorf("InterfaceFor(%s) = %q, %q; want %q, %q", tc.addr, got, msg, tc.want, tc.err)
			}
		})
	}
}
