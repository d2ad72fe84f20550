// Package viplab tests package vip in the lab: real kernel, neighbours that
// listen. It is a folder of its own because all tests of a binary run in the
// lab, where the fast ones of package vip neither need nor want to be.
package viplab

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/cluster/vip"
	"github.com/ipvsd/ipvsd/test/lab"
)

// envWants makes the test binary a director that keeps the addresses in it,
// "address/bits@interface" with spaces between; "@?" asks vip.InterfaceFor, and
// "@" leaves the interface to the keeper.
const envWants = "VIPLAB_WANTS"

func TestMain(m *testing.M) {
	if s := os.Getenv(envWants); s != "" {
		if err := keep(strings.Fields(s)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	lab.Main(m)
}

// keep is the director: SIGTERM releases, anything harder doesn't.
func keep(specs []string) error {
	var wants []vip.Want
	for _, s := range specs {
		addr, name, _ := strings.Cut(s, "@")
		p, err := netip.ParsePrefix(addr)
		if err != nil {
			return err
		}
		if name == "?" {
			if name, err = vip.InterfaceFor(p.Addr()); err != nil {
				return err
			}
			fmt.Printf("%s belongs on %q\n", p, name)
		}
		wants = append(wants, vip.Want{Addr: p, Interface: name, Probe: os.Getenv("VIPLAB_PROBE") != ""})
	}
	if d, err := time.ParseDuration(os.Getenv("VIPLAB_LIFETIME")); err == nil {
		for i := range wants {
			wants[i].Lifetime = d
		}
	}
	k := vip.New(vip.Options{Logger: slog.New(slog.NewTextHandler(os.Stdout, nil))})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	run := make(chan error, 1)
	runCtx, end := context.WithCancel(context.Background())
	defer end()
	go func() { run <- k.Run(runCtx) }()
	k.Set(wants)
	renew := time.NewTicker(500 * time.Millisecond)
	defer renew.Stop()
	for {
		select {
		case <-k.Changed():
			for _, s := range k.Snapshot() {
				fmt.Printf("status %s %s %q announced %d repaired %d %s\n", s.Addr, s.Interface, s.State, s.Announced, s.Repaired, s.Err)
			}
		case <-renew.C:
			k.Set(wants)
		case err := <-run:
			return fmt.Errorf("run ended: %v", err)
		case <-ctx.Done():
			err := k.Release(context.Background())
			end()
			<-run
			return err
		}
	}
}

func start(h *lab.Host, env ...string) *lab.Proc {
	cmd := h.Command(context.Background(), os.Args[0])
	cmd.Env = append(os.Environ(), env...)
	return h.StartCmd(cmd)
}

func wants(specs ...string) string { return envWants + "=" + strings.Join(specs, " ") }

func holds(h *lab.Host, ifname, prefix string) func() bool {
	return func() bool {
		for _, p := range h.Addrs(ifname) {
			if p.String() == prefix {
				return true
			}
		}
		return false
	}
}

const (
	v4 = "192.0.2.100/32"
	v6 = "2001:db8::100/128"
)

var (
	v4Addr = netip.MustParsePrefix(v4).Addr()
	v6Addr = netip.MustParsePrefix(v6).Addr()
)

// pair is a client and a director without any VIP.
func pair(t *testing.T) (client, director *lab.Host) {
	_, client, director = network(t)
	return client, director
}

// network is a pair that others may join.
func network(t *testing.T) (n *lab.Net, client, director *lab.Host) {
	n = lab.New(t)
	client = n.Host("client", "192.0.2.1/24", "2001:db8::1/64")
	return n, client, n.Host("director", "192.0.2.10/24", "2001:db8::10/64")
}

func TestAddressesComeAndLeave(t *testing.T) {
	client, director := pair(t)
	arps := client.Capture(lab.GratuitousARP(v4Addr))
	nas := client.Capture(lab.UnsolicitedNA(v6Addr))
	p := start(director, wants(v4+"@?", v6+"@?"))
	lab.Eventually(t, 5*time.Second, "both addresses", func() bool {
		return holds(director, "eth0", v4)() && holds(director, "eth0", v6)()
	})
	if got := client.ARP(v4Addr, 2); len(got) != 1 || got[0].String() != director.MAC().String() {
		t.Errorf("ARP for the VIP: %v", got)
	}
	if got := client.NDP(v6Addr, 2); len(got) != 1 || got[0].String() != director.MAC().String() {
		t.Errorf("NDP for the VIP: %v", got)
	}
	lab.Eventually(t, 10*time.Second, "the whole burst", func() bool { return arps.Count() >= 14 && nas.Count() >= 7 })

	// The form on the wire: ARP as request and reply, by the director; NA
	// with override, hop limit 255, and without the router flag.
	ops := map[byte]int{}
	for _, f := range arps.Stop() {
		ops[f.Data[21]]++
		if f.Source().String() != director.MAC().String() || net.HardwareAddr(f.Data[:6]).String() != "ff:ff:ff:ff:ff:ff" {
			t.Errorf("ARP from %s to %x", f.Source(), f.Data[:6])
		}
	}
	if ops[1] != 7 || ops[2] != 7 {
		t.Errorf("%d requests and %d replies, want 7 each\n%s", ops[1], ops[2], p.Output())
	}
	for _, f := range nas.Stop() {
		if hop, flags := f.Data[21], f.Data[58]; hop != 255 || flags != 0x20 {
			t.Errorf("NA with hop limit %d, flags %#x", hop, flags)
		}
	}

	// The VIP is never the source of the director's own connections.
	for _, dst := range []string{"192.0.2.1", "2001:db8::1", "2001:db8::101"} {
		if out := director.Run("ip", "route", "get", dst); strings.Contains(out, "::100 ") || strings.Contains(out, "src 192.0.2.100") {
			t.Errorf("route get %s: %s", dst, out)
		}
	}
	if out := director.Run("ip", "addr", "show", "dev", "eth0"); !strings.Contains(out, "eth0:vip") || strings.Count(out, fmt.Sprintf("metric %d", vip.Mark)) != 2 {
		t.Errorf("addresses:\n%s", out)
	}

	p.Signal(syscall.SIGTERM)
	if err := p.Wait(5 * time.Second); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, p.Output())
	}
	if holds(director, "eth0", v4)() || holds(director, "eth0", v6)() {
		t.Errorf("not released: %v\n%s", director.Addrs("eth0"), p.Output())
	}
	if !holds(director, "eth0", "192.0.2.10/24")() || !holds(director, "eth0", "2001:db8::10/64")() {
		t.Errorf("the host's own were taken: %v", director.Addrs("eth0"))
	}
}

// The client has another machine in its cache; it learns the director by its
// announcement alone.
func TestNeighboursFollow(t *testing.T) {
	client, director := pair(t)
	const old = "02:00:00:00:00:99"
	client.Run("ip", "neigh", "add", v4Addr.String(), "lladdr", old, "dev", "eth0", "nud", "reachable")
	client.Run("ip", "neigh", "add", v6Addr.String(), "lladdr", old, "dev", "eth0", "nud", "reachable")
	p := start(director, wants(v4+"@eth0", v6+"@eth0"))
	for _, a := range []netip.Addr{v4Addr, v6Addr} {
		lab.Eventually(t, 5*time.Second, "the client to know where "+a.String()+" is", func() bool {
			out, _ := client.Try("ip", "neigh", "show", a.String())
			return strings.Contains(out, director.MAC().String())
		})
	}
	if t.Failed() {
		t.Log(p.Output())
	}
}

func TestForeignRemovalIsRepaired(t *testing.T) {
	_, director := pair(t)
	p := start(director, wants(v4+"@eth0", v6+"@eth0"))
	for _, a := range []string{v4, v6} {
		lab.Eventually(t, 5*time.Second, a, holds(director, "eth0", a))
		best := time.Hour // of three: the lab's one processor has other things to do, too
		for range 3 {
			director.DelAddr("eth0", a)
			began := time.Now()
			for !holds(director, "eth0", a)() && time.Since(began) < 2*time.Second {
				time.Sleep(2 * time.Millisecond)
			}
			best = min(best, time.Since(began))
		}
		t.Logf("%s was back after %v", a, best)
		if best > 100*time.Millisecond {
			t.Errorf("too late\n%s", p.Output())
		}
	}
}

func TestOwnAddressIsLeftAlone(t *testing.T) {
	client, director := pair(t)
	director.AddAddr("eth0", v4)
	arps := client.Capture(lab.GratuitousARP(v4Addr))
	p := start(director, wants(v4+"@eth0"))
	lab.Eventually(t, 5*time.Second, "the status", func() bool { return strings.Contains(p.Output(), `"held, not ours"`) })
	p.Signal(syscall.SIGTERM)
	if err := p.Wait(5 * time.Second); err != nil {
		t.Error(err)
	}
	if !holds(director, "eth0", v4)() {
		t.Errorf("the host's own was removed\n%s", p.Output())
	}
	if n := arps.Count(); n > 0 {
		t.Errorf("the host's own was announced %d times", n)
	}
}

// Killed, a director goes on serving; the next one adopts what is wanted and
// removes the rest.
func TestLeftovers(t *testing.T) {
	client, director := pair(t)
	p := start(director, wants(v4+"@eth0", v6+"@eth0", "192.0.2.101/32@eth0", "2001:db8::101/128@eth0"))
	lab.Eventually(t, 5*time.Second, "the last address", holds(director, "eth0", "2001:db8::101/128"))
	p.Kill()
	if got := client.ARP(v4Addr, 2); len(got) != 1 {
		t.Errorf("ARP after the kill: %v", got)
	}
	p = start(director, wants(v4+"@?", v6+"@?"))
	lab.Eventually(t, 5*time.Second, "the leftovers to leave", func() bool {
		return !holds(director, "eth0", "192.0.2.101/32")() && !holds(director, "eth0", "2001:db8::101/128")()
	})
	lab.Eventually(t, 5*time.Second, "both to be held", func() bool { return strings.Count(p.Output(), "adopted=true") == 2 })
	if out := p.Output(); strings.Contains(out, "ip addr add") || strings.Count(out, `belongs on "eth0"`) != 2 {
		t.Errorf("the second start:\n%s", out)
	}
}

// With a lifetime, a killed or stopped director loses its addresses by itself.
func TestLifetime(t *testing.T) {
	_, director := pair(t)
	both := func() bool { return holds(director, "eth0", v4)() && holds(director, "eth0", v6)() }
	none := func() bool { return !holds(director, "eth0", v4)() && !holds(director, "eth0", v6)() }
	p := start(director, wants(v4+"@eth0", v6+"@eth0"), "VIPLAB_LIFETIME=2s")
	lab.Eventually(t, 5*time.Second, "both", both)
	for until := time.Now().Add(4 * time.Second); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if !both() {
			t.Fatalf("lost while renewed: %v\n%s", director.Addrs("eth0"), p.Output())
		}
	}
	p.Kill()
	began := time.Now()
	lab.Eventually(t, 6*time.Second, "the kernel to remove both", none)
	if d := time.Since(began); d < time.Second || d > 4*time.Second {
		t.Errorf("gone after %v", d)
	}
}

func TestIPv6Off(t *testing.T) {
	_, director := pair(t)
	director.SetSysctl("net.ipv6.conf.eth0.disable_ipv6", "1")
	p := start(director, wants(v6+"@eth0"))
	lab.Eventually(t, 5*time.Second, "the reason to be told", func() bool {
		return strings.Contains(p.Output(), "IPv6 is off on eth0 (net.ipv6.conf.eth0.disable_ipv6)")
	})
	director.SetSysctl("net.ipv6.conf.eth0.disable_ipv6", "0")
	lab.Eventually(t, 5*time.Second, "the address once IPv6 is on", holds(director, "eth0", v6))
}

func TestInterfaceMadeAnew(t *testing.T) {
	_, director := pair(t)
	director.Attach("other", "eth1", "198.51.100.1/24")
	p := start(director, wants("198.51.100.100/32@eth1", "2001:db8:1::100/128@eth1"))
	lab.Eventually(t, 5*time.Second, "the address", holds(director, "eth1", "2001:db8:1::100/128"))
	director.Cut("eth1")
	lab.Eventually(t, 5*time.Second, "the missing carrier to be told", func() bool { return strings.Contains(p.Output(), "eth1 has no carrier") })
	arps := director.Capture(lab.GratuitousARP(netip.MustParseAddr("198.51.100.100")), "eth1")
	director.Heal("eth1")
	lab.Eventually(t, 5*time.Second, "the announcement after the cable is back", func() bool { return arps.Count() > 0 })
	arps.Stop()
	director.Run("ip", "link", "set", "eth1", "down")
	lab.Eventually(t, 5*time.Second, "the trouble to be told", func() bool { return strings.Contains(p.Output(), "is down") })
	director.Run("ip", "link", "set", "eth1", "up")
	lab.Eventually(t, 5*time.Second, "the IPv6 address to be back", holds(director, "eth1", "2001:db8:1::100/128"))
	director.Run("ip", "link", "del", "eth1")
	lab.Eventually(t, 5*time.Second, "the loss to be told", func() bool { return strings.Contains(p.Output(), "there is no interface eth1") })
	director.Run("ip", "link", "add", "eth1", "type", "dummy")
	director.Run("ip", "link", "set", "eth1", "up")
	lab.Eventually(t, 5*time.Second, "the address on the new interface", holds(director, "eth1", "198.51.100.100/32"))
	lab.Eventually(t, 5*time.Second, "the IPv6 address on the new interface", holds(director, "eth1", "2001:db8:1::100/128"))
	if t.Failed() {
		t.Log(p.Output())
	}
}

func TestNoPrivileges(t *testing.T) {
	_, director := pair(t)
	cmd := director.Command(context.Background(), "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", os.Args[0])
	cmd.Env = append(os.Environ(), wants(v4+"@eth0"))
	p := director.StartCmd(cmd)
	lab.Eventually(t, 5*time.Second, "a clear error", func() bool {
		return strings.Contains(p.Output(), "add 192.0.2.100/32 to eth0: operation not permitted: needs root or CAP_NET_ADMIN")
	})
	if t.Failed() {
		t.Log(p.Output())
	}
}
