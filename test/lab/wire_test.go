package lab_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// Two owners of one address are seen as two.
func TestWho(t *testing.T) {
	n := lab.New(t)
	a := n.Host("a", "192.0.2.1/24", "2001:db8::1/64")
	for _, name := range []string{"b", "c"} {
		n.Host(name, "192.0.2.9/24", "2001:db8::9/64")
	}
	v4, v6 := netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("2001:db8::9")
	if macs := a.ARP(v4, 2); len(macs) != 2 {
		t.Errorf("ARP: %v, want two", macs)
	}
	if macs := a.NDP(v6, 2); len(macs) != 2 {
		t.Errorf("NDP: %v, want two", macs)
	}
	if macs := a.ARP(v4.Next(), 2); len(macs) != 0 {
		t.Errorf("ARP for an address of nobody: %v", macs)
	}
	if macs := a.NDP(v6.Next(), 2); len(macs) != 0 {
		t.Errorf("NDP for an address of nobody: %v", macs)
	}
}

func TestCapture(t *testing.T) {
	n := lab.New(t)
	a, b := n.Host("a", "192.0.2.1/24", "2001:db8::1/64"), n.Host("b", "192.0.2.2/24", "2001:db8::2/64")
	all := a.Capture(nil)
	v4, v6 := b.Addr("4"), b.Addr("6")
	garp, una := a.Capture(lab.GratuitousARP(v4)), a.Capture(lab.UnsolicitedNA(v6))
	other := a.Capture(lab.GratuitousARP(a.Addr("4")))
	for range 3 {
		b.Announce(v4)
		b.Announce(v6)
	}
	b.NDP(a.Addr("6"), 1) // a question is no announcement
	lab.Eventually(t, 2*time.Second, "three of each", func() bool { return garp.Count() == 3 && una.Count() == 3 })
	for _, f := range append(garp.Stop(), una.Stop()...) {
		if f.Source().String() != b.MAC().String() {
			t.Errorf("from %v, want %v", f.Source(), b.MAC())
		}
	}
	if all.Count() < 6 || other.Count() != 0 {
		t.Errorf("%d frames, %d of another address", all.Count(), other.Count())
	}
}

// An announcement that overrides moves the address in the tables of the neighbours.
func TestAnnounceMoves(t *testing.T) {
	n := lab.New(t)
	client := n.Host("client", "192.0.2.1/24", "2001:db8::1/64")
	for _, name := range []string{"b", "c"} {
		n.Bare(name).Attach("lan", "eth0").Web(":80", name)
	}
	b, c := n.Hosts()[1], n.Hosts()[2]
	b.AddAddr("eth0", "192.0.2.9/24")
	b.AddAddr("eth0", "2001:db8::9/64")
	for _, url := range []string{"http://192.0.2.9", "http://[2001:db8::9]"} {
		mustAnswer(t, client, url, "b")
	}
	c.AddAddr("eth0", "192.0.2.9/24")
	c.AddAddr("eth0", "2001:db8::9/64")
	time.Sleep(1100 * time.Millisecond) // IPv4 neighbours ignore changes within locktime, 1 s
	c.Announce(netip.MustParseAddr("192.0.2.9"))
	c.Announce(netip.MustParseAddr("2001:db8::9"))
	for _, url := range []string{"http://192.0.2.9", "http://[2001:db8::9]"} {
		mustAnswer(t, client, url, "c")
	}
}
