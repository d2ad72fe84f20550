package handover

import (
	"bytes"
	"context"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director/table"
)

func TestParseConn(t *testing.T) {
	ap := netip.MustParseAddrPort
	for _, tt := range []struct {
		name, line string
		want       conn
		ok         bool
	}{
		{
			"established", "TCP C0A80001 D431 C0A80069 0050 C0A80065 1F90 ESTABLISHED     897",
			conn{table.TCP, ap("192.168.0.1:54321"), ap("192.168.0.105:80"), ap("192.168.0.101:8080"), 1, true, false, 897},
			true,
		},
		{
			"closing", "TCP C0A80001 D431 C0A80069 0050 C0A80065 0050 FIN_WAIT        110",
			conn{table.TCP, ap("192.168.0.1:54321"), ap("192.168.0.105:80"), ap("192.168.0.101:80"), 4, false, false, 110},
			true,
		},
		{
			"IPv6", "TCP fd00:0000:0000:0000:0000:0000:0000:0001 D431 fd00:0000:0000:0000:0000:0000:0000:0105 0050 fd00:0000:0000:0000:0000:0000:0000:0101 0050 SYN_RECV     59",
			conn{table.TCP, ap("[fd00::1]:54321"), ap("[fd00::105]:80"), ap("[fd00::101]:80"), 3, true, false, 59},
			true,
		},
		{
			"UDP", "UDP C0A80001 D431 C0A80069 0035 C0A80065 0035 UDP         298",
			conn{table.UDP, ap("192.168.0.1:54321"), ap("192.168.0.105:53"), ap("192.168.0.101:53"), 0, true, false, 298},
			true,
		},
		{
			"template", "TCP C0A80000 0000 C0A80069 0050 C0A80065 0050 ASSURED     298",
			conn{table.TCP, ap("192.168.0.0:0"), ap("192.168.0.105:80"), ap("192.168.0.101:80"), 1, false, true, 298},
			true,
		},
		{"template of a mark", "IP  C0A80000 0000 00000005 0000 C0A80065 0050 NONE     298", conn{0, ap("192.168.0.0:0"), ap("0.0.0.5:0"), ap("192.168.0.101:80"), 0, false, true, 298}, true},
		{"header", "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData", conn{}, false},
		{"persistence engine", "UDP C0A80001 0000 C0A80069 13C4 C0A80065 13C4 UDP 298 sip 1234", conn{}, false},
		{"unknown state", "TCP C0A80001 D431 C0A80069 0050 C0A80065 1F90 BUG! 897", conn{}, false},
		{"mixed families", "TCP fd00::1 D431 fd00::105 0050 C0A80065 0050 ESTABLISHED 897", conn{}, false},
		{"empty", "", conn{}, false},
	} {
		got, ok := parseConn(tt.line)
		if ok != tt.ok {
			t.Errorf("%s: ok is %v", tt.name, ok)
			continue
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(conn{}), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); ok && diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestMessage pins the layout; that the kernel takes it is handoverlab's to show.
func TestMessage(t *testing.T) {
	m := message{syncID: 7, max: datagram}
	four, _ := parseConn("TCP C0A80001 D431 C0A80069 0050 C0A80065 1F90 FIN_WAIT 110")
	six, _ := parseConn("TCP fd00::1 D431 fd00::105 0050 fd00::101 0050 ESTABLISHED 897")
	if m.take() != nil {
		t.Error("a message without connections")
	}
	if !m.add(four, 5) || !m.add(six, 0) {
		t.Fatal("no room")
	}
	want := "0007" + "0074" + "02" + "01" + "0000" +
		"00060024" + "00000100" + "0004" + "d431" + "0050" + "1f90" + "00000005" + "0000006e" + "c0a80001" + "c0a80069" + "c0a80065" +
		"01060048" + "00000000" + "0001" + "d431" + "0050" + "0050" + "00000000" + "00000381" +
		"fd000000000000000000000000000001" + "fd000000000000000000000000000105" + "fd000000000000000000000000000101"
	if got := hex.EncodeToString(m.take()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	n := 0
	for m.add(six, 0) {
		n++
	}
	if b := m.take(); len(b) > datagram || n != (datagram-headerSize)/connSize6 {
		t.Errorf("%d connections in %d bytes", n, len(b))
	}
}

// datagrams counts writes.
type datagrams struct{ n, conns int }

func (d *datagrams) Write(b []byte) (int, error) {
	d.n++
	d.conns += int(b[4])
	return len(b), nil
}

func TestCarry(t *testing.T) {
	vip := netip.MustParseAddr("192.168.0.105")
	real := table.Real{Addr: netip.MustParseAddrPort("192.168.0.101:80")}
	services := []Service{
		{table.ByAddr(table.TCP, netip.MustParseAddrPort("192.168.0.105:80")), []table.Real{real}},
		{table.ByAddr(table.TCP, netip.MustParseAddrPort("192.168.0.106:80")), []table.Real{real}},
	}
	ours := "TCP C0A80001 D431 C0A80069 0050 C0A80065 0050 ESTABLISHED     897\n"
	others := "TCP C0A80001 D431 C0A8006A 0050 C0A80065 0050 ESTABLISHED     897\n"
	told := "TCP C0A80001 D431 C0A80069 0050 C0A80065 0050 ESTABLISHED     700\n"
	foreign := "TCP C0A80001 D431 C0A80069 01BB C0A80065 01BB ESTABLISHED     897\n"
	out := &datagrams{}
	n, err := carry(context.Background(), strings.NewReader("Pro FromIP\n"+strings.Repeat(ours, 100)+others+told+foreign), out, 1,
		NewPick(services, []netip.Addr{vip}))
	if err != nil || n != 100 || out.conns != 100 || out.n != 3 {
		t.Errorf("%d connections, %d in %d datagrams, %v", n, out.conns, out.n, err)
	}
	marked := []Service{{table.ByMark(table.IPv4, 5), []table.Real{real}}}
	if n, err := carry(context.Background(), strings.NewReader(others), &datagrams{}, 1, NewPick(marked, nil)); err != nil || n != 1 {
		t.Errorf("of a service by mark: %d, %v", n, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := carry(ctx, strings.NewReader(strings.Repeat(ours, 1000)), out, 1, NewPick(services, []netip.Addr{vip})); err == nil {
		t.Error("no error for what was not sent")
	}
}

func FuzzParseConn(f *testing.F) {
	f.Add("TCP C0A80001 D431 C0A80069 0050 C0A80065 1F90 ESTABLISHED     897")
	f.Add("TCP fd00::1 D431 fd00::105 0050 fd00::101 0050 ESTABLISHED 897")
	f.Fuzz(func(t *testing.T, line string) {
		c, ok := parseConn(line)
		if !ok {
			return
		}
		m := message{max: datagram}
		if !m.add(c, 0) || bytes.Equal(m.take(), nil) {
			t.Errorf("%q: no message", line)
		}
	})
}
