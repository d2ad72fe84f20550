package cluster

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/cluster/vip"
)

func TestFindPlaces(t *testing.T) {
	eth := func(i int, name string) vip.Link {
		return vip.Link{Name: name, Index: i, MAC: [6]byte{2, 0, 0, 0, 0, byte(i)}, Ethernet: true, Up: true, Carrier: true}
	}
	down := eth(3, "eth1")
	down.Carrier = false
	facts := vip.Facts{
		Links: []vip.Link{{Name: "lo", Index: 1, Loopback: true, Up: true, Carrier: true}, eth(2, "eth0"), down},
		Held: []vip.Held{
			{Addr: netip.MustParsePrefix("192.0.2.1/24"), Interface: "eth0"},
			{Addr: netip.MustParsePrefix("fe80::1/64"), Interface: "eth0"},
			{Addr: netip.MustParsePrefix("198.51.100.1/24"), Interface: "eth1"},
			{Addr: netip.MustParsePrefix("192.0.2.100/32"), Interface: "lo", Loopback: true},
		},
		Defaults: []vip.Default{{Interface: "eth0", Gateway: netip.MustParseAddr("192.0.2.254")}},
	}
	for _, test := range []struct{ name, addr, face, want, fault string }{
		{"its subnet, though it is on lo", "192.0.2.100/32", "", "eth0", ""},
		{"no carrier", "198.51.100.100/32", "", "eth1", "interface eth1 has no carrier"},
		{"named", "198.51.100.101/32", "eth0", "eth0", ""},
		{"no such interface", "192.0.2.101/32", "eth9", "", "there is no interface eth9"},
		{"the default route", "203.0.113.1/32", "", "eth0", ""},
		{"the host's own", "192.0.2.1/32", "", "", "192.0.2.1 is an address of the host's own, which can't move to another director"},
		{"nowhere", "2001:db8::1/128", "", "", "no interface has a subnet with 2001:db8::1, and there is no default route: name the interface in [[vip]]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := Options{Groups: []Group{{Name: "web", Addresses: []vip.Want{{Addr: netip.MustParsePrefix(test.addr), Interface: test.face}}}}}
			p := findPlaces(facts, o)
			got := ""
			if w := p.wants["web"]; len(w) > 0 {
				got = w[0].Interface
			}
			var faults []string
			for _, f := range p.faults["web"] {
				faults = append(faults, f.Text)
			}
			if diff := cmp.Diff([]string{test.want, test.fault}, []string{got, strings.Join(faults, "; ")}); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if test.want == "eth0" {
				if len(p.witnesses) != 1 || p.witnesses[0].addr.String() != "192.0.2.254" || p.witnesses[0].from.String() != "192.0.2.1" {
					t.Errorf("witnesses %+v", p.witnesses)
				}
			}
			if !p.equal(findPlaces(facts, o)) {
				t.Error("the same facts give another place")
			}
		})
	}
	o := Options{Witnesses: []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("203.0.113.9")}}
	w := findPlaces(facts, o).witnesses
	if len(w) != 2 || w[0].link.Name != "eth0" || w[1].link.Name != "" {
		t.Errorf("named witnesses %+v", w)
	}
}
