package scenario

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

var (
	nodeVIP4 = netip.MustParseAddr("192.168.0.105")
	nodeVIP6 = netip.MustParseAddr("fd00::105")
)

// nodeFarm is a client, a director that holds both VIPs on eth0, and two web
// nodes with folders of their own for what setup writes.
func nodeFarm(t *testing.T) (client, director *lab.Host, nodes []*lab.Host) {
	t.Helper()
	n := lab.New(t)
	client = n.Host("client", "192.168.0.1/24", "fd00::1/64")
	director = n.Host("director", "192.168.0.103/24", "fd00::103/64", nodeVIP4.String()+"/32", nodeVIP6.String()+"/128")
	for i := range 2 {
		h := n.Host(fmt.Sprintf("web%d", i+1), fmt.Sprintf("192.168.0.%d/24", 101+i), fmt.Sprintf("fd00::%d/64", 101+i))
		h.Private("/var/lib/ipvsd")
		nodes = append(nodes, h)
	}
	return client, director, nodes
}

func realserver(h *lab.Host, args ...string) string {
	return h.Run(append([]string{os.Getenv(binaryVar), "realserver"}, args...)...)
}

// nodeStatus runs `realserver status` and returns what is missing.
func nodeStatus(t *testing.T, h *lab.Host, args ...string) (missing []string, text string) {
	t.Helper()
	out, err := h.Try(append([]string{os.Getenv(binaryVar), "realserver", "status", "--json"}, args...)...)
	var report struct {
		Missing []struct{ What string }
	}
	if jsonErr := json.Unmarshal([]byte(out), &report); jsonErr != nil {
		t.Fatalf("status --json: %v\n%s", jsonErr, out)
	}
	if (err != nil) != (len(report.Missing) > 0) {
		t.Errorf("status: exit status %v with %d missing pieces", err, len(report.Missing))
	}
	for _, m := range report.Missing {
		missing = append(missing, m.What)
	}
	return missing, out
}

func onlyDirector(t *testing.T, when string, director *lab.Host, macs []net.HardwareAddr) {
	t.Helper()
	if len(macs) != 1 || !bytes.Equal(macs[0], director.MAC()) {
		t.Errorf("%s: %v answered, want the director %v alone", when, macs, director.MAC())
	}
}

// TestRealserverARP counts on the wire who answers ARP for the VIP: with setup
// the director alone, at every moment of setup and teardown; with the VIP on lo
// and nothing else, everybody.
func TestRealserverARP(t *testing.T) {
	client, director, nodes := nodeFarm(t)
	onlyDirector(t, "before setup", director, client.ARP(nodeVIP4, 3))

	for _, h := range nodes {
		h.AddAddr("lo", nodeVIP4.String()+"/32")
	}
	if macs := client.ARP(nodeVIP4, 3); len(macs) != 3 {
		t.Errorf("VIP on lo without setup: %v answered, want all three machines", macs)
	}
	if missing, _ := nodeStatus(t, nodes[0], "--vip", nodeVIP4.String()); len(missing) != 2 {
		t.Errorf("status of a node set up by hand: missing %q, want both sysctls", missing)
	}
	for _, h := range nodes {
		h.DelAddr("lo", nodeVIP4.String()+"/32")
	}

	// From here on a node may never answer, not between two steps either: each
	// command of the plan by itself, there and back, and who answers after it.
	h := nodes[0]
	for _, command := range nodeCommands(realserver(h, "setup", "-n", "--vip", nodeVIP4.String())) {
		h.Run("sh", "-c", command)
		onlyDirector(t, "after "+command, director, client.ARP(nodeVIP4, 3))
	}
	h.Run("ip", "addr", "del", nodeVIP4.String()+"/32", "dev", "lo")
	h.SetSysctl("net.ipv4.conf.all.arp_ignore", "0")
	h.SetSysctl("net.ipv4.conf.all.arp_announce", "0")
	realserver(h, "setup", "--vip", nodeVIP4.String())
	back := nodeCommands(realserver(h, "teardown", "-n"))
	if len(back) != 3 {
		t.Errorf("teardown -n: %q, want the address and two sysctls", back)
	}
	for _, command := range back {
		h.Run("sh", "-c", command)
		onlyDirector(t, "after "+command, director, client.ARP(nodeVIP4, 3))
	}
	realserver(h, "teardown")

	// And as it really goes, with everybody asking all the time.
	leaks := client.Capture(func(f []byte) bool {
		return isARP(f) && binary.BigEndian.Uint16(f[20:]) == 2 && netip.AddrFrom4([4]byte(f[28:32])) == nodeVIP4 &&
			!bytes.Equal(f[6:12], director.MAC())
	})
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for range 4 {
			client.ARP(nodeVIP4, 20)
		}
	}()
	for _, h := range nodes {
		realserver(h, "setup", "--vip", nodeVIP4.String())
		realserver(h, "teardown")
		realserver(h, "setup", "--vip", nodeVIP4.String())
	}
	<-asked
	onlyDirector(t, "with setup", director, client.ARP(nodeVIP4, 50))
	if frames := leaks.Stop(); len(frames) > 0 {
		t.Errorf("web nodes answered ARP for the VIP %d times while it came and went", len(frames))
	}
}

// nodeCommands are the shell commands of a dry run.
func nodeCommands(out string) []string {
	var list []string
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "note: ") {
			list = append(list, strings.TrimSpace(line))
		}
	}
	return list
}

// TestRealserverNDP is the same for IPv6, where it is the kernel's nature:
// Linux answers solicitations only for addresses of the interface on which they
// arrive. So a VIP on lo is silent without any sysctl, one on eth0 is not, and a
// proxy entry, the one way to spoil it, is named by status.
func TestRealserverNDP(t *testing.T) {
	client, director, nodes := nodeFarm(t)
	for _, h := range nodes {
		h.AddAddr("eth0", nodeVIP6.String()+"/128")
	}
	if macs := client.NDP(nodeVIP6, 3); len(macs) != 3 {
		t.Errorf("VIP on eth0: %v answered, want all three machines", macs)
	}
	if out, err := nodes[0].Try(os.Getenv(binaryVar), "realserver", "setup", "--vip", nodeVIP6.String()); err == nil ||
		!strings.Contains(out, "ip addr del "+nodeVIP6.String()+"/128 dev eth0") {
		t.Errorf("setup with the VIP on eth0: %v, %s; want a refusal with the cure", err, out)
	}
	for _, h := range nodes {
		h.DelAddr("eth0", nodeVIP6.String()+"/128")
		realserver(h, "setup", "--vip", nodeVIP6.String())
	}
	onlyDirector(t, "with setup", director, client.NDP(nodeVIP6, 50))
	for _, h := range nodes {
		h.SetSysctl("net.ipv6.conf.all.forwarding", "1")
		h.SetSysctl("net.ipv6.conf.all.proxy_ndp", "1")
		h.SetSysctl("net.ipv6.neigh.eth0.proxy_delay", "0")
	}
	onlyDirector(t, "with forwarding and proxy_ndp", director, client.NDP(nodeVIP6, 50))

	nodes[0].Run("ip", "-6", "neigh", "add", "proxy", nodeVIP6.String(), "dev", "eth0")
	if macs := client.NDP(nodeVIP6, 3); len(macs) != 2 {
		t.Errorf("with a proxy entry: %v answered, want the director and web1", macs)
	}
	if missing, _ := nodeStatus(t, nodes[0]); len(missing) != 1 || !strings.Contains(missing[0], "as a proxy") {
		t.Errorf("status with a proxy entry: missing %q", missing)
	}
}

// nodePicture is everything of a host that setup may touch.
func nodePicture(h *lab.Host) string {
	var b strings.Builder
	for _, key := range []string{"arp_ignore", "arp_announce", "rp_filter", "accept_redirects"} {
		for _, link := range []string{"all", "default", "lo", "eth0"} {
			fmt.Fprintf(&b, "%s %s %s\n", link, key, h.Sysctl("net.ipv4.conf."+link+"."+key))
		}
	}
	b.WriteString(h.Run("ip", "-o", "addr"))
	b.WriteString(h.Run("ip", "route", "show", "table", "all"))
	return b.String()
}

// TestRealserverLife: twice is once, more VIPs extend, a reboot doesn't confuse
// teardown, and afterwards everything is exactly as before.
func TestRealserverLife(t *testing.T) {
	_, _, nodes := nodeFarm(t)
	h := nodes[0]
	h.SetSysctl("net.ipv4.conf.all.arp_announce", "1")
	h.SetSysctl("net.ipv4.conf.eth0.arp_ignore", "3") // larger than 1, and not silent
	h.Run("ip", "addr", "add", "10.9.9.9/32", "dev", "lo", "label", "lo:0")
	before := nodePicture(h)

	out := realserver(h, "setup", "--vip", nodeVIP4.String(), "--vip", nodeVIP6.String())
	want := `net.ipv4.conf.all.arp_ignore: 0 -> 1
net.ipv4.conf.eth0.arp_ignore: 3 -> 1
net.ipv4.conf.all.arp_announce: 1 -> 2
added 192.168.0.105/32 to lo (label lo:1)
added fd00::105/128 to lo
note: this lasts until the next boot; --persist keeps it
`
	if out != want {
		t.Errorf("setup printed\n%swant\n%s", out, want)
	}
	if missing, text := nodeStatus(t, h); len(missing) > 0 || strings.Contains(text, `"servers": [{`) {
		t.Errorf("after setup: %s", text)
	}
	picture := nodePicture(h)
	if out := realserver(h, "setup", "--vip", nodeVIP4.String()); !strings.HasPrefix(out, "nothing to change") {
		t.Errorf("second setup printed %s", out)
	}
	if again := nodePicture(h); again != picture {
		t.Errorf("second setup changed\n%s\nto\n%s", picture, again)
	}
	h.SetSysctl("net.ipv4.conf.all.arp_ignore", "0")
	if missing, _ := nodeStatus(t, h); !slices.Equal(missing, []string{"net.ipv4.conf.all.arp_ignore is 0"}) {
		t.Errorf("status with a wrong sysctl: missing %q", missing)
	}
	realserver(h, "setup", "--vip", "192.168.0.106")
	h.Web(":80", h.Name)
	if missing, text := nodeStatus(t, h); len(missing) > 0 || !strings.Contains(text, `:80"`) {
		t.Errorf("with a web server: %s", text)
	}
	realserver(h, "teardown")
	if after := nodePicture(h); after != before {
		t.Errorf("after teardown\n%s\nwant\n%s", after, before)
	}
	if out := realserver(h, "teardown"); !strings.HasPrefix(out, "nothing to put back") {
		t.Errorf("second teardown printed %s", out)
	}

	// A reboot without --persist: addresses gone, sysctls at their defaults.
	realserver(h, "setup", "--vip", nodeVIP4.String())
	h.DelAddr("lo", nodeVIP4.String()+"/32")
	for _, key := range []string{"all.arp_ignore", "all.arp_announce", "eth0.arp_ignore"} {
		h.SetSysctl("net.ipv4.conf."+key, "0")
	}
	if missing, _ := nodeStatus(t, h); len(missing) != 3 {
		t.Errorf("after a reboot: missing %q, want two sysctls and the address", missing)
	}
	realserver(h, "teardown")
	if after := nodePicture(h); after != before {
		t.Errorf("teardown after a reboot\n%s\nwant\n%s", after, before)
	}
}

// TestRealserverTunnel sends requests through a real IPVS tunnel: the nodes take
// them out and answer, with strict rp_filter everywhere else.
func TestRealserverTunnel(t *testing.T) {
	client, director, nodes := nodeFarm(t)
	// A VIP that the director prefers becomes the source of the outer packet (/128 is the longest match), and the
	// nodes drop a packet that comes from an address of their own.
	director.Run("ip", "-6", "addr", "change", nodeVIP6.String()+"/128", "dev", "eth0", "preferred_lft", "0")
	for _, h := range nodes {
		h.SetSysctl("net.ipv4.conf.all.rp_filter", "1")
		h.SetSysctl("net.ipv4.conf.eth0.rp_filter", "1")
		before := nodePicture(h)
		realserver(h, "setup", "--method", "tun", "--vip", nodeVIP4.String(), "--vip", nodeVIP6.String())
		if missing, text := nodeStatus(t, h); len(missing) > 0 {
			t.Errorf("status: %s", text)
		}
		realserver(h, "teardown")
		if after := nodePicture(h); !sameBut(before, after, "tunl0", "ip6tnl0") {
			t.Errorf("after teardown\n%s\nwant\n%s", after, before)
		}
		realserver(h, "setup", "--method", "tun", "--vip", nodeVIP4.String(), "--vip", nodeVIP6.String())
		h.Web(":80", h.Name)
	}
	onlyDirector(t, "ARP with tun", director, client.ARP(nodeVIP4, 20))
	onlyDirector(t, "NDP with tun", director, client.NDP(nodeVIP6, 20))
	for _, c := range []struct {
		vip, server string
		tunnelled   func(f []byte) bool
	}{
		{"192.168.0.105:80", "192.168.0.%d:80", func(f []byte) bool { return f[12] == 8 && f[13] == 0 && f[23] == 4 }},
		{"[fd00::105]:80", "[fd00::%d]:80", func(f []byte) bool { return f[12] == 0x86 && f[13] == 0xdd && f[20] == 41 }},
	} {
		director.Run("ipvsadm", "-A", "-t", c.vip, "-s", "rr")
		var captures []*lab.Capture
		for i, h := range nodes {
			director.Run("ipvsadm", "-a", "-t", c.vip, "-r", fmt.Sprintf(c.server, 101+i), "-i")
			captures = append(captures, h.Capture(func(f []byte) bool { return len(f) > 23 && c.tunnelled(f) }))
		}
		var answers []string
		for range 4 {
			name, err := client.Get("http://"+c.vip+"/", 2*time.Second)
			if err != nil {
				t.Errorf("%s: %v", c.vip, err)
			}
			answers = append(answers, strings.TrimSpace(name))
		}
		if !slices.Contains(answers, "web1") || !slices.Contains(answers, "web2") {
			t.Errorf("%s answered %q, want both nodes", c.vip, answers)
		}
		for i, capture := range captures {
			if len(capture.Stop()) == 0 {
				t.Errorf("%s: no tunnelled packet reached web%d", c.vip, i+1)
			}
		}
	}
}

// TestRealserverDirect: dr with traffic; and no ARP request of a node names the
// VIP as its sender, which would draw the VIP's traffic to it.
func TestRealserverDirect(t *testing.T) {
	client, director, nodes := nodeFarm(t)
	named := client.Capture(func(f []byte) bool {
		return isARP(f) && netip.AddrFrom4([4]byte(f[28:32])) == nodeVIP4 && !bytes.Equal(f[6:12], director.MAC())
	})
	for _, c := range []struct{ vip, server string }{{"192.168.0.105:80", "192.168.0.%d:80"}, {"[fd00::105]:80", "[fd00::%d]:80"}} {
		director.Run("ipvsadm", "-A", "-t", c.vip, "-s", "rr")
		for i := range nodes {
			director.Run("ipvsadm", "-a", "-t", c.vip, "-r", fmt.Sprintf(c.server, 101+i), "-g")
		}
	}
	for _, h := range nodes {
		realserver(h, "setup", "--vip", nodeVIP4.String(), "--vip", nodeVIP6.String())
		h.Web(":80", h.Name)
	}
	for _, vip := range []string{"192.168.0.105:80", "[fd00::105]:80"} {
		var answers []string
		for range 4 {
			for _, h := range nodes {
				h.Run("ip", "neigh", "flush", "dev", "eth0")
			}
			name, err := client.Get("http://"+vip+"/", 2*time.Second)
			if err != nil {
				t.Errorf("%s: %v", vip, err)
			}
			answers = append(answers, strings.TrimSpace(name))
		}
		if !slices.Contains(answers, "web1") || !slices.Contains(answers, "web2") {
			t.Errorf("%s answered %q, want both nodes", vip, answers)
		}
	}
	if frames := named.Stop(); len(frames) > 0 {
		t.Errorf("%d ARP frames of web nodes name the VIP", len(frames))
	}
}

// TestRealserverNAT: no VIP, no redirects, and status knows the way back.
func TestRealserverNAT(t *testing.T) {
	_, _, nodes := nodeFarm(t)
	h := nodes[0]
	h.Route("default", "192.168.0.1")
	before := nodePicture(h)
	realserver(h, "setup", "--method", "nat", "--vip", nodeVIP4.String(), "--gateway", "192.168.0.103")
	missing, text := nodeStatus(t, h)
	if len(missing) != 1 || !strings.Contains(missing[0], "not via 192.168.0.103") {
		t.Errorf("with another default route: %s", text)
	}
	h.Run("ip", "route", "replace", "default", "via", "192.168.0.103")
	if missing, text := nodeStatus(t, h); len(missing) > 0 {
		t.Errorf("with the default route by the director: %s", text)
	}
	h.Run("ip", "route", "replace", "default", "via", "192.168.0.1")
	realserver(h, "teardown")
	if after := nodePicture(h); after != before {
		t.Errorf("after teardown\n%s\nwant\n%s", after, before)
	}
}

// TestRealserverOnDirector: a node whose own IPVS balances the VIP is refused,
// because what another director sends there is balanced a second time.
func TestRealserverOnDirector(t *testing.T) {
	_, _, nodes := nodeFarm(t)
	h := nodes[0]
	h.Run("ipvsadm", "-A", "-t", "192.168.0.105:80", "-s", "rr")
	out, err := h.Try(os.Getenv(binaryVar), "realserver", "setup", "--vip", nodeVIP4.String())
	if err == nil || !strings.Contains(out, "tcp 192.168.0.105:80") || !strings.Contains(out, "backup_only=1") {
		t.Errorf("setup on a director: %v\n%s", err, out)
	}
	if len(h.Addrs("lo")) != 0 && slices.ContainsFunc(h.Addrs("lo"), func(p netip.Prefix) bool { return p.Addr() == nodeVIP4 }) {
		t.Error("the refused VIP is on lo")
	}
}

func isARP(f []byte) bool { return len(f) >= 42 && f[12] == 8 && f[13] == 6 }

// sameBut compares pictures without the lines that name some interfaces: a
// module that setup loaded stays, and with it an interface that is down.
func sameBut(a, b string, links ...string) bool {
	strip := func(s string) string {
		var kept []string
		for line := range strings.Lines(s) {
			if !slices.ContainsFunc(links, func(l string) bool { return strings.Contains(line, l) }) {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "")
	}
	return strip(a) == strip(b)
}
