package scenario

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/ipvsd/ipvsd/cluster/core"
)

// TestClusterKinds has a cluster whose gossip, witness and tutorial's service are
// IPv6, and whose IPv4 service is nat: its real servers are on a network of their
// own, and their gateway is an address that moves along. The held connections
// live through a planned move and through a machine's death.
func TestClusterKinds(t *testing.T) {
	const gateway = "10.0.0.254"
	c := newCluster(t, 2)
	for i, l := range c.lbs {
		l.host.Attach("inside", "eth1", fmt.Sprintf("10.0.0.%d/24", 111+i))
	}
	for i, h := range c.nodes {
		h.Run(os.Getenv(binaryVar), "realserver", "setup", "--method", "dr", "--vip", vip4, "--vip", vip6)
		inner := c.net.Bare(fmt.Sprintf("inner%d", i+1)).Attach("inside", "eth0", fmt.Sprintf("10.0.0.%d/24", 11+i))
		inner.Route("default", gateway)
		inner.Web(":80", fmt.Sprintf("web%d", i+1)).Page(testPage, 200, testBody)
		inner.Echo("tcp", ":7", inner.Name)
	}
	file := func(i int) string {
		dr := c.file(i, witnessed)
		_, virtuals, _ := strings.Cut(dr, "\n[[virtual]]")
		nat := strings.NewReplacer(`name = "`, `name = "nat-`, `scheduler = "rr"`, "scheduler = \"rr\"\nforward = \"nat\"").Replace("\n[[virtual]]" + virtuals)
		return inIPv6(dr) + behindNAT(nat) + "\n[[vip]]\naddress = \"" + gateway + "\"\ninterface = \"eth1\"\n"
	}
	tr := newTrial(c)
	tr.places = append(tr.places, place{vip6, "eth0", "default"}, place{gateway, "eth1", "default"})
	tr.table = nil
	for _, line := range tutorialTable {
		tr.table = append(tr.table, inIPv6(line), behindNAT(line))
	}

	one, two := tr.lbs[0], tr.lbs[1]
	c.startWith(file)
	tr.whole("the start", "loadb1")
	tr.begin("http://[fd00::105]/", "[fd00::105]:7")
	tr.tutorialTraffic()

	one.proc.Signal(syscall.SIGTERM)
	tr.whole("SIGTERM", "loadb2", planned...)
	one.start(file(0))
	tr.whole("the first one is back", "loadb2")

	two.die()
	tr.awaitMove("loadb1")
	two.host.Heal()
	tr.whole("the second machine died", "loadb1", core.HolderDead)
	two.start(file(1))
	tr.whole("the second machine is back", "loadb1")
	tr.end()
}

// inIPv6 replaces the farm's IPv4 addresses by their likes.
func inIPv6(text string) string {
	text = regexp.MustCompile(`192\.168\.0\.(\d+):(\d+)`).ReplaceAllString(text, "[fd00::$1]:$2")
	return regexp.MustCompile(`192\.168\.0\.(\d+)`).ReplaceAllString(text, "fd00::$1")
}

// behindNAT replaces the real servers by those of the inner network.
func behindNAT(text string) string {
	return strings.NewReplacer(" -g ", " -m ", "192.168.0.101", "10.0.0.11", "192.168.0.102", "10.0.0.12").Replace(text)
}

// TestClusterGroups has two directors that serve at once: each is the better one
// for an address of its own, and has the other's while that is dead.
func TestClusterGroups(t *testing.T) {
	const mail4 = "192.168.0.106"
	c := newCluster(t, 2)
	for _, h := range c.nodes {
		h.Run(os.Getenv(binaryVar), "realserver", "setup", "--method", "dr", "--vip", vip4, "--vip", mail4)
	}
	tr := newTrial(c)
	tr.places = []place{{vip4, "eth0", "web"}, {mail4, "eth0", "mail"}}
	tr.table = append([]string{"-A -t 192.168.0.106:80 -s rr", "-a -t 192.168.0.106:80 -r 192.168.0.101:80 -g -w 1"}, tr.table...)
	file := func(i int) string {
		return c.file(i, relaxed) + fmt.Sprintf(`
[[virtual]]
name = "mail"
address = "192.168.0.106:80"
scheduler = "rr"
[[virtual.real]]
address = "192.168.0.101"

[[group]]
name = "web"
vips = ["192.168.0.105"]
priority = %d

[[group]]
name = "mail"
vips = ["192.168.0.106"]
priority = %d
`, 100-50*i, 50+50*i)
	}
	apart := map[string]string{"web": "loadb1", "mail": "loadb2"}
	for i, l := range c.lbs {
		l.start(file(i))
	}
	tr.await("both groups are held", func() bool {
		return tr.lbs[0].group("web").Holder != "" && tr.lbs[1].group("mail").Holder != ""
	})
	tr.arrange("both serve", apart)
	tr.tutorialTraffic()
	tr.loads = append(tr.loads, c.client.Load("http://192.168.0.106/"))

	tr.lbs[1].die()
	tr.awaitMove("loadb1")
	gap := tr.stalls.take()
	tr.whole("the second machine died", "loadb1")
	tr.because("the second machine died", tr.lbs[0], "mail", gap, core.HolderDead)
	tr.lbs[1].host.Heal()
	tr.lbs[1].start(file(1))
	tr.whole("it is back", "loadb1")
	tr.arrange("both serve again", apart)
	tr.served("both serve again")
	tr.end()
}

// arrange moves each group to a director, if it isn't there already. A director
// that the lab starves loses its groups on the way, so it is asked again.
func (tr *trial) arrange(what string, where map[string]string) {
	tr.t.Helper()
	tr.await(what, func() bool {
		all := true
		for group, to := range where {
			l := tr.lb(to)
			if l.group(group).Holder == to {
				continue
			}
			all = false
			out, code := tryOn(tr.t, l.host, "failover", "--group", group, "--to", to, "--socket", l.socket())
			tr.t.Logf("failover --group %s --to %s: exit %d: %s", group, to, code, strings.TrimSpace(out))
		}
		return all
	})
	tr.placed(what, where)
}

// awaitMove waits until a director has all addresses: before that a dead one
// must not come back.
func (tr *trial) awaitMove(name string) {
	tr.t.Helper()
	tr.await(name+" takes over", func() bool {
		for _, p := range tr.places {
			if !tr.lb(name).holds(p) {
				return false
			}
		}
		return true
	})
}
