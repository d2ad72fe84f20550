package scenario

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

// pathLimit is for a starved lab, in which a check that gets no answer takes its
// timeout of 2 s.
const pathLimit = 20 * time.Second

// pathFile is quick's file with another forwarding method and path.
func pathFile(method, path string, ipv6 bool) string {
	text := quick(fmt.Sprintf("scheduler = \"rr\"\nforward = %q", method), rs1, rs2)
	text = strings.Replace(text, `type = "http"`, fmt.Sprintf("type = \"http\"\npath = %q", path), 1)
	if ipv6 {
		return inIPv6(text)
	}
	return text
}

// checkLines are the lines of the table that are for checks.
func (f *farm) checkLines() string {
	var lines []string
	for line := range strings.Lines(f.table()) {
		if strings.Contains(line, " -f ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, "\n")
}

// TestPathVIP checks real servers through the forwarding method, on a director
// that has the VIP itself: a web node that clients can't reach by the VIP is
// dead, though its own address answers.
func TestPathVIP(t *testing.T) { eachMode(t, pathLife) }

func pathLife(t *testing.T, method string, ipv6 bool) {
	f := newFarm(t, 2)
	vip, width, iptables, device := vip4, 32, "iptables", "lo"
	if ipv6 {
		vip, width, iptables = vip6, 128, "ip6tables"
	}
	webs := f.webs()
	switch {
	case method == "nat":
		f.behind()
	case method == "tun":
		device = map[bool]string{false: "tunl0", true: "ip6tnl0"}[ipv6]
		f.setup(method, vip)
	default:
		f.setup(method, vip)
	}
	one, two := f.node(0, ipv6), f.node(1, ipv6)
	through := pathFile(method, "vip", ipv6)
	state := func(addr, state string) {
		t.Helper()
		f.awaitState("web", addr, state, pathLimit)
	}

	f.start(through)
	state(one, director.StateUp)
	state(two, director.StateUp)
	lines := f.checkLines()
	if n := strings.Count(lines, "-A -f "); n != 2 || strings.Count(lines, "\n") != 3 {
		t.Errorf("want two services of one real server for the checks:\n%s", lines)
	}
	load := f.client.Load("http://" + target(vip, 80) + "/")
	f.pathTold(two, lines)

	// Dead and back, as with any path.
	webs[0].Close()
	state(one, director.StateDown)
	webs[0].Reopen()
	state(one, director.StateUp)
	if r := load.Stop(); r.Servers["web1"].Count == 0 || r.Servers["web2"].Count == 0 {
		t.Errorf("clients: %v", r)
	}

	if method != "nat" { // there the node's own address is what clients reach
		address := fmt.Sprintf("%s/%d", vip, width)
		f.nodes[0].DelAddr(device, address)
		state(one, director.StateDown)
		f.nodes[1].Run(iptables, "-I", "INPUT", "-d", vip, "-p", "tcp", "--dport", "80", "-j", "DROP")
		state(two, director.StateDown)

		f.reload(pathFile(method, "direct", ipv6))
		state(one, director.StateUp)
		state(two, director.StateUp)
		if left := f.checkLines(); left != "" {
			t.Errorf("with path direct the kernel still has\n%s", left)
		}
		f.reload(through)
		state(one, director.StateDown)
		state(two, director.StateDown)
		f.nodes[0].AddAddr(device, address)
		f.nodes[1].Run(iptables, "-F", "INPUT")
		state(one, director.StateUp)
		state(two, director.StateUp)
		if again := f.checkLines(); again != lines {
			t.Errorf("other services for the same checks:\n%s\nbefore\n%s", again, lines)
		}
	}

	// A crash and a restart adopt them; without the key they go, also if it left
	// the file meanwhile.
	f.proc.Kill()
	f.restart()
	if out := f.proc.Output(); strings.Contains(out, " -f ") || f.checkLines() != lines {
		t.Errorf("the restart changed what the checks go by:\n%s\n%s", out, f.checkLines())
	}
	f.proc.Kill()
	f.start(pathFile(method, "direct", ipv6))
	lab.Eventually(t, pathLimit, "nothing of the checks is left", func() bool { return f.checkLines() == "" })
}

// pathTold is what the commands say of checks that go to the VIP.
func (f *farm) pathTold(addr, lines string) {
	t := f.t
	t.Helper()
	s := f.status()
	if len(s.Virtuals) != 1 || s.Kernel.Foreign != 0 || s.Kernel.Error != "" {
		t.Errorf("status: %d virtual services, %d foreign, %q", len(s.Virtuals), s.Kernel.Foreign, s.Kernel.Error)
	}
	for kind, n := range s.Kernel.Drifts {
		if n != 0 {
			t.Errorf("drift: %d %s", n, kind)
		}
	}
	if out, code := f.try("plan", "-c", f.file(), "--socket", f.socket()); code != 0 {
		t.Errorf("plan: exit %d\n%s", code, out)
	}
	out, code := f.try("probe", "web", addr, "-c", f.file())
	mark := regexp.MustCompile(`path vip: mark (0x[0-9a-f]+) takes it to`).FindStringSubmatch(out)
	if code != 0 || mark == nil || !strings.Contains(out, "Test Page") {
		t.Errorf("probe: exit %d\n%s", code, out)
	} else if n := new(uint32); true {
		if _, err := fmt.Sscanf(mark[1], "%v", n); err != nil || !strings.Contains(lines, fmt.Sprintf("-A -f %d ", *n)) {
			t.Errorf("probe's mark %s isn't in\n%s", mark[1], lines)
		}
	}
	if metrics := f.director.Run("curl", "-sf", "http://127.0.0.1:9117/metrics"); strings.Contains(metrics, "fwmark") {
		t.Error("metrics tell of the checks' virtual services")
	}
}

// TestPathVIPKinds checks through the forwarding method by what isn't one TCP
// connection of the checker's own loop: datagrams, SCTP, redirects. Its real
// server is behind another interface than the clients, one that comes later than
// the director and drops what comes from the wrong side.
func TestPathVIPKinds(t *testing.T) {
	f := newFarm(t, 0)
	f.director.SetSysctl("net.ipv4.conf.default.rp_filter", "1")
	inner := f.net.Bare("inner").Attach("inside", "eth0", "10.0.0.11/24")
	inner.SetSysctl("net.ipv4.conf.all.arp_ignore", "1")
	inner.SetSysctl("net.ipv4.conf.all.arp_announce", "2")
	inner.AddAddr("lo", "192.168.0.105/32")
	inner.Web(":80", "inner").Page(testPage, 200, testBody)
	inner.Echo("udp", "192.168.0.105:7", "inner")
	inner.Echo("sctp", ":3868", "inner")
	virtuals := map[string]string{
		"80":   `check = { type = "http", request = "/ldirector.html", follow_redirects = true }`,
		"7":    `protocol = "udp"` + "\n" + `check = { type = "udp", send = "hello", expect = "inner hello" }`,
		"3868": `protocol = "sctp"`,
	}
	file := "[check]\npath = \"vip\"\ninterval = \"500ms\"\ntimeout = \"2s\"\n"
	for port, more := range virtuals {
		file += fmt.Sprintf("[[virtual]]\nname = %q\naddress = \"192.168.0.105:%s\"\nreal = [{ address = \"10.0.0.11\" }]\n%s\n", port, port, more)
	}
	all := func(state string) {
		t.Helper()
		for port := range virtuals {
			f.awaitState(port, "10.0.0.11:"+port, state, pathLimit)
		}
	}
	f.start(file)
	all(director.StateDown)
	f.director.Attach("inside", "eth1", "10.0.0.103/24")
	all(director.StateUp)
	for key, want := range map[string]string{
		"eth1.accept_local": "1", "eth1.rp_filter": "2", "eth0.accept_local": "0", "all.accept_local": "0",
	} {
		if got := f.director.Sysctl("net.ipv4.conf." + key); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	inner.DelAddr("lo", "192.168.0.105/32")
	all(director.StateDown)
	inner.AddAddr("lo", "192.168.0.105/32")
	all(director.StateUp)

	// Somebody empties the table: a check that finds no service for it says
	// nothing of the server, so nobody is taken for dead.
	downs := strings.Count(f.proc.Output(), "real server is down")
	f.director.Run("ipvsadm", "-C")
	f.awaitTable(pathLimit, "-A -t 192.168.0.105:80 -s wlc")
	before := real(f.status(), "80", "10.0.0.11:80").Check.Good
	f.eventually(pathLimit, "checks go on", func(s director.Status) bool {
		return real(s, "80", "10.0.0.11:80").Check.Good > before+3
	})
	if strings.Count(f.proc.Output(), "real server is down") != downs {
		t.Error("a wiped table was taken for dead servers")
	}
}

// TestPathVIPCluster has a cluster in which the active director and the standby
// check through the forwarding method: both see a node with the VIP as alive and
// one without it as dead, before and after each change of roles.
func TestPathVIPCluster(t *testing.T) {
	c := newCluster(t, 2)
	c.startWith(func(i int) string {
		return strings.Replace(c.file(i, relaxed), `type = "http"`, "type = \"http\"\npath = \"vip\"", 1)
	})
	both := func(state string) {
		t.Helper()
		for _, l := range c.lbs {
			for name, addr := range map[string]string{"web": "192.168.0.101:80", "echo": "192.168.0.101:7"} {
				lab.Eventually(t, pathLimit, l.name+" sees "+name+" "+state, func() bool {
					return real(l.status(), name, addr).State == state
				})
			}
		}
	}
	both(director.StateUp)
	for i, holder := range []string{"loadb2", "loadb1"} {
		next := c.lbs[1-i]
		c.nodes[0].DelAddr("lo", "192.168.0.105/32")
		both(director.StateDown)
		lab.Eventually(t, 2*pathLimit, holder+" is active", func() bool {
			if !next.status().Active { // it may be asked in vain while the lab is starved
				tryOn(t, next.host, "failover", "--to", holder, "--socket", next.socket())
			}
			return next.status().Active
		})
		c.oneHolder(holder)
		// Nothing happens then, which takes a few checks to see.
		before := c.checked()
		lab.Eventually(t, pathLimit, "each has checked again", func() bool { return c.checked() >= before+3 })
		both(director.StateDown)
		c.nodes[0].AddAddr("lo", "192.168.0.105/32")
		both(director.StateUp)
	}
}

// checked is how many checks the least busy director has made of web1's page.
func (c *cluster) checked() uint64 {
	least := ^uint64(0)
	for _, l := range c.lbs {
		check := real(l.status(), "web", "192.168.0.101:80").Check
		least = min(least, check.Good+check.Bad)
	}
	return least
}
