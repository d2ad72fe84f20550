package realserver

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// TestSockets finds sockets of this test in the kernel's own tables.
func TestSockets(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Logf("%s: %v", addr, err)
			continue
		}
		defer l.Close()
		p, err := net.ListenPacket("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		all, err := Sockets()
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"tcp " + l.Addr().String(), "udp " + p.LocalAddr().String()} {
			if !slices.ContainsFunc(all, func(s Socket) bool { return s.String() == want }) {
				t.Errorf("%s is not in %v", want, all)
			}
		}
	}
}

func TestServing(t *testing.T) {
	var all []Socket
	for _, text := range []string{"0.0.0.0:80", "[::]:443", "192.168.0.105:25", "10.0.0.1:22", "[fd00::105]:53"} {
		all = append(all, Socket{"tcp", netip.MustParseAddrPort(text)})
	}
	for addr, want := range map[string]string{
		"192.168.0.105": "[tcp 0.0.0.0:80 tcp [::]:443 tcp 192.168.0.105:25]",
		"fd00::105":     "[tcp [::]:443 tcp [fd00::105]:53]",
	} {
		if got := fmt.Sprint(serving(all, netip.MustParseAddr(addr))); got != want {
			t.Errorf("%s: got %s, want %s", addr, got, want)
		}
	}
}

func TestParseIPVS(t *testing.T) {
	got := parseIPVS(strings.NewReader(`IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C0A80069:0050 rr 
  -> C0A80065:0050      Route   1      0          0         
UDP  [fd00:0000:0000:0000:0000:0000:0000:0105]:0035 wlc 
FWM  00000001 rr 
TCP  broken
`))
	want := []Balanced{
		{"tcp", netip.MustParseAddrPort("192.168.0.105:80")},
		{"udp", netip.MustParseAddrPort("[fd00::105]:53")},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestParseListeners(t *testing.T) {
	got, err := ParseListeners(strings.NewReader(`  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0
   1: 00000000:0051 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 100 0 0 10 0
`), "tcp")
	want := []Listener{{Socket: Socket{"tcp", netip.MustParseAddrPort("0.0.0.0:80")}, Inode: 4711}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

func FuzzParseSockets(f *testing.F) {
	f.Add("  sl  local_address rem_address   st\n   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000\n")
	f.Add("   0: 00000000000000000000000001000000:0050 0:0 0A\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ParseListeners(strings.NewReader(text), "tcp")
		for _, s := range list {
			if err == nil && !s.Addr.IsValid() {
				t.Errorf("invalid address of %q", text)
			}
		}
	})
}
