package viplab

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

const probing = "VIPLAB_PROBE=1"

// questions is a filter: ARP probes and solicitations from nobody.
func questions(addr netip.Addr) func([]byte) bool {
	return func(f []byte) bool {
		if addr.Is4() {
			return len(f) >= 42 && f[12] == 8 && f[13] == 6 && netip.AddrFrom4([4]byte(f[28:32])).IsUnspecified() &&
				netip.AddrFrom4([4]byte(f[38:42])) == addr
		}
		return len(f) >= 78 && f[12] == 0x86 && f[54] == 135 && netip.AddrFrom16([16]byte(f[22:38])).IsUnspecified() &&
			netip.AddrFrom16([16]byte(f[62:78])) == addr
	}
}

// Two web nodes that are set up have the VIP and don't answer for it.
func TestProbeOfSilence(t *testing.T) {
	n, client, director := network(t)
	for i, name := range []string{"web1", "web2"} {
		web := n.Host(name, fmt.Sprintf("192.0.2.%d/24", 21+i), fmt.Sprintf("2001:db8::%d/64", 21+i))
		web.SetSysctl("net.ipv4.conf.all.arp_ignore", "1")
		web.SetSysctl("net.ipv4.conf.all.arp_announce", "2")
		web.AddAddr("lo", v4)
		web.AddAddr("lo", v6)
	}
	asked := map[netip.Addr]*lab.Capture{v4Addr: client.Capture(questions(v4Addr)), v6Addr: client.Capture(questions(v6Addr))}
	told := map[netip.Addr]*lab.Capture{v4Addr: client.Capture(lab.GratuitousARP(v4Addr)), v6Addr: client.Capture(lab.UnsolicitedNA(v6Addr))}
	p := start(director, wants(v4+"@eth0", v6+"@eth0"), probing)
	for _, a := range []netip.Addr{v4Addr, v6Addr} {
		lab.Eventually(t, 5*time.Second, "the first announcement of "+a.String(), func() bool { return told[a].Count() > 0 })
		frames := asked[a].Stop()
		if len(frames) != 3 {
			t.Fatalf("%d questions about %s\n%s", len(frames), a, p.Output())
		}
		t.Logf("%s: questions after 0, %v, %v, announced after %v", a, frames[1].Time.Sub(frames[0].Time),
			frames[2].Time.Sub(frames[0].Time), told[a].Frames()[0].Time.Sub(frames[0].Time))
		if d := told[a].Frames()[0].Time.Sub(frames[0].Time); d < 140*time.Millisecond || d > time.Second {
			t.Errorf("%s was announced %v after the first question", a, d)
		}
		mac := hex.EncodeToString(director.MAC())
		to := map[bool]string{true: "ffffffffffff", false: "3333ff000100"}[a.Is4()]
		if got := hex.EncodeToString(frames[0].Data[:12]); got != to+mac {
			t.Errorf("the question went from and to %s, want %s", got, to+mac)
		}
	}
	// Put back after a foreign hand without a question.
	asked[v4Addr] = client.Capture(questions(v4Addr))
	director.DelAddr("eth0", v4)
	lab.Eventually(t, 2*time.Second, "the repair", holds(director, "eth0", v4))
	if n := asked[v4Addr].Count(); n > 0 {
		t.Errorf("%d questions before the repair", n)
	}
}

// Another machine has the addresses: they are not added, and the log says why.
// It leaves: they are added.
func TestProbeOfAnotherHolder(t *testing.T) {
	n, client, director := network(t)
	other := n.Host("other", "192.0.2.11/24", "2001:db8::11/64")
	o := start(other, wants(v4+"@eth0", v6+"@eth0"))
	lab.Eventually(t, 5*time.Second, "the other", func() bool { return holds(other, "eth0", v4)() && holds(other, "eth0", v6)() })
	p := start(director, wants(v4+"@", v6+"@"), probing)
	for _, a := range []netip.Addr{v4Addr, v6Addr} {
		said := fmt.Sprintf("%s is answered by %s on eth0: another director holds it, or a web node lacks `ipvsd realserver setup`", a, other.MAC())
		lab.Eventually(t, 5*time.Second, said, func() bool { return strings.Contains(p.Output(), said) })
	}
	time.Sleep(6 * time.Second)
	if holds(director, "eth0", v4)() || holds(director, "eth0", v6)() {
		t.Fatalf("added all the same: %v\n%s", director.Addrs("eth0"), p.Output())
	}
	if n := strings.Count(p.Output(), "level=ERROR"); n != 2 {
		t.Errorf("%d errors in the log, want one for each address\n%s", n, p.Output())
	}
	o.Signal(syscall.SIGTERM)
	if err := o.Wait(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	lab.Eventually(t, 6*time.Second, "both addresses", func() bool {
		return holds(director, "eth0", v4)() && holds(director, "eth0", v6)()
	})
	t.Logf("taken over after %v", time.Since(began))

	// Killed and started anew it adopts them, and nobody is asked.
	p.Kill()
	asked := client.Capture(func(f []byte) bool { return questions(v4Addr)(f) || questions(v6Addr)(f) })
	p = start(director, wants(v4+"@", v6+"@"), probing)
	lab.Eventually(t, 5*time.Second, "both to be adopted", func() bool { return strings.Count(p.Output(), "adopted=true") == 2 })
	if n := asked.Count(); n > 0 {
		t.Errorf("%d questions about adopted addresses", n)
	}
}

// A web node that isn't set up answers for the VIP on its loopback. IPv6 knows
// no such answer.
func TestProbeOfBareWebNode(t *testing.T) {
	n, _, director := network(t)
	web := n.Host("web", "192.0.2.21/24", "2001:db8::21/64")
	web.AddAddr("lo", v4)
	web.AddAddr("lo", v6)
	p := start(director, wants(v4+"@eth0", v6+"@eth0"), probing)
	said := fmt.Sprintf("%s is answered by %s", v4Addr, web.MAC())
	lab.Eventually(t, 5*time.Second, said, func() bool { return strings.Contains(p.Output(), said) })
	lab.Eventually(t, 5*time.Second, "the IPv6 address", holds(director, "eth0", v6))
	web.SetSysctl("net.ipv4.conf.all.arp_ignore", "1")
	lab.Eventually(t, 6*time.Second, "the address once the web node is set up", holds(director, "eth0", v4))
}

// The host has two interfaces on one segment and the VIP on its loopback: it
// answers itself.
func TestProbeOfOneself(t *testing.T) {
	_, director := pair(t)
	director.Attach("lan", "eth1", "192.0.2.12/24")
	director.AddAddr("lo", v4)
	answers := director.Capture(func(f []byte) bool {
		return len(f) >= 42 && f[12] == 8 && f[13] == 6 && f[21] == 2 && netip.AddrFrom4([4]byte(f[28:32])) == v4Addr &&
			net.HardwareAddr(f[6:12]).String() == director.MAC("eth1").String()
	})
	p := start(director, wants(v4+"@eth0"), probing)
	lab.Eventually(t, 3*time.Second, "the address", holds(director, "eth0", v4))
	if answers.Count() == 0 {
		t.Error("the host didn't answer itself: nothing was tested")
	}
	if strings.Contains(p.Output(), "answered") {
		t.Error(p.Output())
	}
}

func TestAutoInterface(t *testing.T) {
	_, director := pair(t)
	director.Attach("other", "eth1", "198.51.100.1/24", "2001:db8:1::1/64")
	const far4, far6 = "203.0.113.100/32", "2001:db8:2::100/128"
	p := start(director, wants("198.51.100.100/32@", "2001:db8:1::100/128@", v4+"@", "192.0.2.10/32@", far4+"@", far6+"@"), probing)
	for _, want := range []struct{ ifname, addr string }{{"eth1", "198.51.100.100/32"}, {"eth1", "2001:db8:1::100/128"}, {"eth0", v4}} {
		lab.Eventually(t, 5*time.Second, want.addr+" on "+want.ifname, holds(director, want.ifname, want.addr))
	}
	for _, said := range []string{
		`status 192.0.2.10/32 eth0 "held, not ours"`,
		`status 203.0.113.100/32  "failed" announced 0 repaired 0 no interface has a subnet with 203.0.113.100, and there is no default route: name the interface in [[vip]]`,
		`no interface has a subnet with 2001:db8:2::100`,
	} {
		lab.Eventually(t, 5*time.Second, said, func() bool { return strings.Contains(p.Output(), said) })
	}

	// A default route comes up, and no event tells of it.
	director.Route("default", "198.51.100.2")
	lab.Eventually(t, 6*time.Second, far4, holds(director, "eth1", far4))
	director.Run("ip", "-6", "route", "add", "default", "via", "2001:db8::1", "dev", "eth0")
	lab.Eventually(t, 6*time.Second, far6, holds(director, "eth0", far6))
	lab.Eventually(t, 2*time.Second, "the status", func() bool { return strings.Contains(p.Output(), `status 203.0.113.100/32 eth1 "held"`) })

	// Renamed, it is the same interface still; made anew, it is found again.
	director.Run("ip", "link", "set", "eth1", "down")
	director.Run("ip", "link", "set", "eth1", "name", "lan1")
	director.Run("ip", "link", "set", "lan1", "up")
	director.AddAddr("lan1", "2001:db8:1::1/64") // went with the link
	lab.Eventually(t, 5*time.Second, "the IPv4 address after the rename", holds(director, "lan1", "198.51.100.100/32"))
	lab.Eventually(t, 7*time.Second, "the IPv6 address after the rename", holds(director, "lan1", "2001:db8:1::100/128"))
	lab.Eventually(t, 5*time.Second, "its new name in the status", func() bool {
		return strings.Contains(p.Output(), `status 198.51.100.100/32 lan1 "held"`)
	})
	director.Run("ip", "link", "del", "lan1")
	lab.Eventually(t, 5*time.Second, "the loss to be told", func() bool { return strings.Contains(p.Output(), "no interface has a subnet with 198.51.100.100") })
	director.Attach("other", "eth2", "198.51.100.1/24")
	lab.Eventually(t, 6*time.Second, "the address where its subnet is", holds(director, "eth2", "198.51.100.100/32"))
	if t.Failed() {
		t.Log(p.Output())
	}
}
