package vip

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFrames(t *testing.T) {
	mac := [6]byte{0x02, 0x42, 0xc0, 0x00, 0x02, 0x0a}
	for _, tc := range []struct {
		name  string
		frame []byte
		want  string
	}{
		{
			"ARP request", garp(arpRequest, mac, netip.MustParseAddr("192.0.2.10")),
			"0001 0800 06 04 0001  0242c000020a c000020a  000000000000 c000020a",
		},
		{
			"ARP reply", garp(arpReply, mac, netip.MustParseAddr("192.0.2.10")),
			"0001 0800 06 04 0002  0242c000020a c000020a  0242c000020a c000020a",
		},
		{
			"neighbour advertisement of a host", unsolicitedNA(mac, netip.MustParseAddr("2001:db8::10"), false),
			`60000000 0020 3a ff
			 20010db8000000000000000000000010
			 ff020000000000000000000000000001
			 88 00 36c1 20000000
			 20010db8000000000000000000000010
			 02 01 0242c000020a`,
		},
		{
			"neighbour advertisement of a router", unsolicitedNA(mac, netip.MustParseAddr("2001:db8::10"), true),
			`60000000 0020 3a ff
			 20010db8000000000000000000000010
			 ff020000000000000000000000000001
			 88 00 b6c0 a0000000
			 20010db8000000000000000000000010
			 02 01 0242c000020a`,
		},
		{
			"ARP probe", arpProbe(mac, netip.MustParseAddr("192.0.2.10")),
			"0001 0800 06 04 0001  0242c000020a 00000000  000000000000 c000020a",
		},
		{
			"neighbour solicitation from nobody", solicitation(netip.MustParseAddr("2001:db8::12:3456")),
			`60000000 0018 3a ff
			 00000000000000000000000000000000
			 ff0200000000000000000001ff123456
			 87 00 e41e 00000000
			 20010db8000000000000000000123456`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := strings.Join(strings.Fields(tc.want), "")
			if diff := cmp.Diff(want, hex.EncodeToString(tc.frame)); diff != "" {
				t.Errorf("frame (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClaims(t *testing.T) {
	mac, frame := [6]byte{2, 1}, [6]byte{2, 9}
	v4, v6 := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10")
	na := unsolicitedNA(mac, v6, false)
	far := slices.Clone(na)
	far[7] = 64
	endless := slices.Clone(na)
	endless[65] = 0
	for _, tc := range []struct {
		name  string
		frame []byte
		want  claim
	}{
		{"ARP answer", garp(arpReply, mac, v4), claim{v4, mac}},
		{"its holder asks for somebody", arp(arpRequest, mac, v4, [6]byte{}, netip.MustParseAddr("192.0.2.1")), claim{v4, mac}},
		{"another one that asks", arpProbe(mac, v4), claim{}},
		{"somebody else asks for it", arp(arpRequest, mac, netip.MustParseAddr("192.0.2.1"), [6]byte{}, v4), claim{netip.MustParseAddr("192.0.2.1"), mac}},
		{"ARP, padded", append(garp(arpReply, mac, v4), make([]byte, 18)...), claim{v4, mac}},
		{"ARP, cut", garp(arpReply, mac, v4)[:27], claim{}},
		{"NA", na, claim{v6, mac}},
		{"NA without the option", na[:64], claim{v6, frame}},
		{"NA, cut", na[:63], claim{}},
		{"NA with half an option", na[:70], claim{v6, frame}},
		{"NA with an option of length 0", endless, claim{}},
		{"NA from beyond a router", far, claim{}},
		{"NS", solicitation(v6), claim{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok := claimARP(tc.frame)
			if !ok {
				got, ok = claimNA(tc.frame, frame)
			}
			if want := tc.want; ok != want.Addr.IsValid() || ok && got != want {
				t.Errorf("%v, %v; want %v", got, ok, want)
			}
		})
	}
}

func FuzzClaims(f *testing.F) {
	f.Add(garp(arpReply, [6]byte{2}, netip.MustParseAddr("192.0.2.10")))
	f.Add(unsolicitedNA([6]byte{2}, netip.MustParseAddr("2001:db8::10"), true))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, ok := claimARP(b); ok && !c.Addr.Is4() {
			t.Errorf("ARP about %s", c.Addr)
		}
		if c, ok := claimNA(b, [6]byte{}); ok && !c.Addr.Is6() {
			t.Errorf("NA about %s", c.Addr)
		}
	})
}

func TestScheduleSkipsWhatWasMissed(t *testing.T) {
	start := time.Unix(1000, 0)
	s := schedule{start: start}.next(start.Add(150 * time.Millisecond))
	if got := s.due().Sub(start); got != 300*time.Millisecond {
		t.Errorf("after 150 ms the next is due at %s", got)
	}
	s = s.next(start.Add(10 * time.Minute))
	if got := s.due().Sub(start); got <= 10*time.Minute || got > 11*time.Minute {
		t.Errorf("after a stall of 10 minutes the next is due at %s", got)
	}
}
