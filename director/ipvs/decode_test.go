package ipvs

import (
	"net/netip"
	"testing"

	"github.com/ipvsd/ipvsd/director/table"
)

func FuzzDecode(f *testing.F) {
	var l link
	l.serviceKey(table.ByAddr(table.TCP, netip.MustParseAddrPort("192.0.2.10:80")))
	f.Add(l.out[4:])
	r := reals{mixed: &mixed{}}
	r.real(table.Real{
		Addr: netip.MustParseAddrPort("[fd00::1]:80"), Forward: table.Tun, Weight: 7,
		Tunnel: table.Tunnel{Type: table.TunnelGUE, Port: 6080},
	}, true)
	f.Add(r.out[4:])
	f.Add([]byte{4, 0, 10, 0, 3, 0, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, _, err := decodeService(b); err == nil && s.ServiceKey.Addr.IsValid() == (s.FWMark != 0) {
			t.Errorf("a service without a key: %+v", s)
		}
		var c counted
		if decodeReal(b, &c) == nil && !c.real.Addr.IsValid() {
			t.Errorf("a real server without address: %+v", c.real)
		}
	})
}

func TestRealRoundTrip(t *testing.T) {
	for _, want := range []table.Real{
		{Addr: netip.MustParseAddrPort("10.0.0.11:80"), Forward: table.DR, Weight: 70000, Upper: 5, Lower: 3},
		{Addr: netip.MustParseAddrPort("[fd00::1]:65535"), Forward: table.NAT, Weight: table.MaxWeight},
		{
			Addr: netip.MustParseAddrPort("[fd00::1]:80"), Forward: table.Tun,
			Tunnel: table.Tunnel{Type: table.TunnelGUE, Port: 6080, Flags: 1},
		},
	} {
		r := reals{mixed: &mixed{}}
		r.real(want, true)
		var got counted
		if err := decodeReal(r.out[4:], &got); err != nil {
			t.Fatal(err)
		}
		if got.real != want {
			t.Errorf("got %+v, want %+v", got.real, want)
		}
	}
}

func TestNetmask(t *testing.T) {
	for n := range uint8(33) {
		if got := prefixLen(table.IPv4, netmask(table.IPv4, n)); got != n {
			t.Errorf("/%d comes back as /%d", n, got)
		}
	}
	var b [4]byte
	native.PutUint32(b[:], netmask(table.IPv4, 20))
	if b != [4]byte{255, 255, 240, 0} {
		t.Errorf("/20 travels as %v", b)
	}
}
