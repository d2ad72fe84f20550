package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/cluster/core"
)

// tracked is what the directors of TestClusterTracks watch, and what they run
// when their role changes. The verbs are a file of the director and its hook.
const tracked = `
[[cluster.track]]
command = ["/usr/bin/test", "-e", %q]

[[cluster.track]]
gateway = "192.168.0.9"

[[cluster.track]]
interface = "eth1"

[cluster.hooks]
active = ["/bin/sh", %[2]q, "active"]
standby = ["/bin/sh", %[2]q, "standby"]
fault = ["/bin/sh", %[2]q, "fault"]
`

// hook writes down what it is told.
const hook = `echo "$1 $IPVSD_ROLE of $IPVSD_GROUP on $IPVSD_NAME, was $IPVSD_PREVIOUS, holder $IPVSD_HOLDER, term $IPVSD_TERM: $IPVSD_REASON" >> %q
`

// TestClusterTracks has a command, a gateway and an interface fail on the active
// director: each time it hands over, planned and with the reason, and doesn't
// get the address back when all is well again. The hooks are told.
func TestClusterTracks(t *testing.T) {
	c := newCluster(t, 2)
	tr := newTrial(c)
	c.net.Host("gateway", "192.168.0.9/24")
	one, two := c.lbs[0], c.lbs[1]
	for i, l := range c.lbs {
		l.host.Attach("outside", "eth1", fmt.Sprintf("10.1.0.%d/24", 1+i))
		mustWrite(t, l.watched(), "")
		mustWrite(t, l.hookFile(), fmt.Sprintf(hook, l.told()))
	}
	// One after the other: where an operator put the address, it stays through
	// soft faults, and startWith may be that operator.
	for i, l := range c.lbs {
		l.start(c.file(i, relaxed+fmt.Sprintf(tracked, l.watched(), l.hookFile())))
		tr.whole(l.name+" starts", "loadb1")
	}
	tr.tutorialTraffic()

	if err := os.Remove(one.watched()); err != nil {
		t.Fatal(err)
	}
	tr.whole("the command fails", "loadb2", planned...)
	tr.logged(one, "to=releasing", "code="+string(core.Degraded), "command /usr/bin/test -e", "fails; loadb2 is better")
	tr.priority("loadb1", 80)
	mustWrite(t, one.watched(), "")
	tr.priority("loadb1", 100)
	tr.steady("the command is well again", func() { time.Sleep(2 * time.Second) })

	two.host.Run("iptables", "-I", "INPUT", "-s", "192.168.0.9", "-j", "DROP")
	tr.whole("the gateway is silent", "loadb1", planned...)
	tr.logged(two, "to=releasing", "code="+string(core.Degraded), "gateway 192.168.0.9 doesn't answer")
	two.host.Run("iptables", "-F", "INPUT")
	tr.priority("loadb2", 90)

	one.host.Cut("eth1")
	tr.awaitMove("loadb2")
	tr.logged(one, "to=releasing", "code="+string(core.HardFault), "eth1 is down")
	if g := one.group("default"); g.State != core.Faulty.String() {
		t.Errorf("loadb1 is %s (%s)", g.State, g.Reason)
	}
	one.host.Heal("eth1")
	tr.whole("the interface failed and is back", "loadb2", planned...)
	tr.steady("the interface is back", func() { time.Sleep(2 * time.Second) })
	tr.end()

	// Who lets go may not know yet who has taken it.
	tr.toldHooks(one, "active active of default on loadb1, was standby, holder loadb1")
	tr.toldHooks(one, "fault fault of default on loadb1, was active, holder (loadb2)?")
	tr.toldHooks(one, "standby standby of default on loadb1, was fault, holder (loadb2)?")
	tr.toldHooks(two, "active active of default on loadb2, was standby, holder loadb2")
	tr.toldHooks(two, "standby standby of default on loadb2, was active, holder (loadb1)?")
}

func (l *lb) watched() string  { return filepath.Join(l.dir, "watched") }
func (l *lb) hookFile() string { return filepath.Join(l.dir, "hook") }
func (l *lb) told() string     { return filepath.Join(l.dir, "told") }

// priority waits until every living director knows another's priority, faults
// taken off.
func (tr *trial) priority(name string, want int) {
	tr.t.Helper()
	tr.await(fmt.Sprintf("%s has the priority %d", name, want), func() bool {
		for _, l := range tr.lbs {
			s := l.status()
			if s.Cluster == nil {
				return false
			}
			for _, m := range s.Cluster.Members {
				if m.Name == name && m.Priority != want {
					return false
				}
			}
		}
		return true
	})
}

// toldHooks waits until the hooks of a director wrote a line that begins so, a
// regular expression, and ends with a term and a reason.
func (tr *trial) toldHooks(l *lb, begin string) {
	tr.t.Helper()
	line := regexp.MustCompile(`(?m)^` + begin + `, term [1-9]\d*: .+$`)
	tr.await(l.name+"'s hooks wrote "+line.String(), func() bool {
		b, _ := os.ReadFile(l.told()) // not there yet: nothing was told
		return line.Match(b)
	})
}

func mustWrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
