package table_test

import (
	"net/netip"
	"testing"

	"github.com/ipvsd/ipvsd/director/table"
)

func TestNormal(t *testing.T) {
	at := netip.MustParseAddrPort("10.0.0.1:80")
	gue := table.Tunnel{Type: table.TunnelGUE, Port: 6080, Flags: table.TunnelChecksum}
	for _, c := range []struct {
		name     string
		in, want table.Real
	}{
		{"gue stays", table.Real{Addr: at, Forward: table.Tun, Tunnel: gue}, table.Real{Addr: at, Forward: table.Tun, Tunnel: gue}},
		{"dr has no tunnel", table.Real{Addr: at, Forward: table.DR, Tunnel: gue}, table.Real{Addr: at, Forward: table.DR}},
		{
			"gre has no port",
			table.Real{Addr: at, Forward: table.Tun, Tunnel: table.Tunnel{Type: table.TunnelGRE, Port: 5}},
			table.Real{Addr: at, Forward: table.Tun, Tunnel: table.Tunnel{Type: table.TunnelGRE}},
		},
		{
			"IPv4 isn't mapped",
			table.Real{Addr: netip.MustParseAddrPort("[::ffff:10.0.0.1]:80")},
			table.Real{Addr: at},
		},
	} {
		if got := c.in.Normal(); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
	six := table.ByMark(table.IPv6, 1)
	for in, want := range map[uint8]uint8{0: 128, 24: 128} {
		if got := (table.Service{ServiceKey: six, PrefixLen: in}).Normal().PrefixLen; got != want {
			t.Errorf("prefix /%d without persistence became /%d", in, got)
		}
	}
	if got := (table.Service{ServiceKey: six, PrefixLen: 24, Timeout: 1}).Normal().PrefixLen; got != 24 {
		t.Errorf("prefix /24 with persistence became /%d", got)
	}
}

func TestPrefixLen(t *testing.T) {
	for n := range uint8(33) {
		if got, ok := table.PrefixLen(table.Netmask(n)); got != n || !ok {
			t.Errorf("/%d comes back as /%d, %v", n, got, ok)
		}
	}
	if n, ok := table.PrefixLen(0xff00ff00); n != 8 || ok {
		t.Errorf("a mask with a hole: /%d, %v", n, ok)
	}
}

func TestCloneIsDeep(t *testing.T) {
	k := table.ByMark(table.IPv4, 1)
	r := table.Real{Addr: netip.MustParseAddrPort("10.0.0.1:80")}
	a := table.State{k: {Reals: map[netip.AddrPort]table.Real{r.Addr: r}}}
	b := a.Clone()
	delete(b[k].Reals, r.Addr)
	if len(a[k].Reals) != 1 {
		t.Error("the clone shares its real servers")
	}
}
