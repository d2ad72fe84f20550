package install

import (
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

// clustered is patient: the lab's one processor is busy with dpkg.
const clustered = services + `
[cluster]
name = "NAME"
join = ["192.168.0.103:7946", "192.168.0.104:7946"]
key_file = "/etc/ipvsd/cluster.key"
interface = "eth0"
witnesses = ["192.168.0.1"]
profile = "relaxed"
`

// TestCluster upgrades two directors, one after the other, as apt does it on
// each of the two machines.
func TestCluster(t *testing.T) {
	n, client := farm(t)
	pair := []*machine{boot(t, n.Host("loadb1", "192.168.0.103/24")), boot(t, n.Host("loadb2", "192.168.0.104/24"))}
	key := ""
	for _, m := range pair {
		m.dpkg("-i", deb(older))
		m.write("/etc/ipvsd/ipvsd.toml", strings.Replace(clustered, "NAME", m.Name, 1))
		if key == "" {
			m.run("ipvsd", "cluster", "keygen", "-o", "/etc/ipvsd/cluster.key")
			key = m.run("cat", "/etc/ipvsd/cluster.key")
		} else { // as scp leaves it: root's
			m.write("/etc/ipvsd/cluster.key", key)
			m.run("chmod", "600", "/etc/ipvsd/cluster.key")
		}
		m.run("systemctl", "enable", "--now", "ipvsd")
	}
	for _, m := range pair {
		m.runs(older)
	}

	active, standby := roles(t, pair)
	unharmed(t, client, "upgrade of the standby", func() {
		standby.dpkg("-i", deb(newer))
		standby.runs(newer)
	})
	active, standby = roles(t, pair)
	unharmed(t, client, "upgrade of the active director", func() {
		time.Sleep(syncDelay)
		active.dpkg("-i", deb(newer))
		active.runs(newer)
	})
	if now, _ := roles(t, pair); now != standby {
		t.Errorf("%s is active; %s should have taken over from %s before its restart", now.Name, standby.Name, active.Name)
	}

	// The directors replace their key files, and can't touch the others.
	active.run("ipvsd", "cluster", "rotate")
	for _, m := range pair {
		if now := m.run("cat", "/etc/ipvsd/cluster.key"); now == key {
			t.Errorf("%s: the key was not rotated", m.Name)
		}
	}
	mv := []string{"setpriv", "--reuid=ipvsd", "--regid=ipvsd", "--clear-groups", "mv", "-f", "/etc/ipvsd/cluster.key", "/etc/ipvsd/ipvsd.toml"}
	if out, err := active.try(mv...); err == nil {
		t.Errorf("the director's user may replace the file: %s", out)
	}

	active, standby = roles(t, pair)
	unharmed(t, client, "removal of the active director", func() {
		time.Sleep(syncDelay)
		active.dpkg("-P", "ipvsd")
	})
	if !standby.status().Active {
		t.Errorf("%s did not take over", standby.Name)
	}
	active.clean()
}

// syncDelay is after how long a connection is known to the standby.
const syncDelay = 4 * time.Second

// roles waits until both say which one is active, and see each other.
func roles(t *testing.T, pair []*machine) (active, standby *machine) {
	t.Helper()
	lab.Eventually(t, patience, "one of two is active", func() bool {
		one, two := pair[0].status(), pair[1].status()
		for _, s := range []*director.Status{&one, &two} {
			if s.Cluster == nil || len(s.Cluster.Members) != 2 || s.Cluster.Members[0].State != "alive" || s.Cluster.Members[1].State != "alive" {
				return false
			}
		}
		active, standby = pair[0], pair[1]
		if two.Active {
			active, standby = standby, active
		}
		return one.Active != two.Active
	})
	return active, standby
}
