package scenario

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

// lb is one director of a cluster.
type lb struct {
	t    *testing.T
	host *lab.Host
	name string
	dir  string
	proc *lab.Proc
}

// cluster is the Debian tutorial's cluster: a client, two or more directors, and
// web nodes behind direct routing.
type cluster struct {
	*farm
	lbs []*lb
	key string
}

// newCluster builds the hosts; the directors' addresses begin at 192.168.0.111.
func newCluster(t *testing.T, directors int) *cluster {
	t.Helper()
	f, _ := drFarm(t, 2)
	c := &cluster{farm: f, key: filepath.Join(f.dir, "cluster.key")}
	f.director.Run(os.Getenv(binaryVar), "cluster", "keygen", "-o", c.key)
	for i := range directors {
		l := &lb{t: t, name: fmt.Sprintf("loadb%d", i+1), dir: t.TempDir()}
		l.host = f.net.Host(l.name, fmt.Sprintf("192.168.0.%d/24", 111+i), fmt.Sprintf("fd00::%d/64", 111+i))
		c.lbs = append(c.lbs, l)
	}
	for _, h := range f.nodes {
		h.Echo("tcp", ":7", h.Name)
	}
	return c
}

// file is the file of director i. The witness is the client's host, which
// stands for the gateway.
func (c *cluster) file(i int, more string) string {
	var join []string
	for j := range c.lbs {
		join = append(join, fmt.Sprintf("%q", fmt.Sprintf("192.168.0.%d:7946", 111+j)))
	}
	return fmt.Sprintf(`
[director]
state_dir = %q

[cluster]
name = %q
listen = "192.168.0.%d:7946"
join = [%s]
key_file = %q
priority = %d
interface = "eth0"
%s
`, filepath.Join(c.lbs[i].dir, "state"), c.lbs[i].name, 111+i, strings.Join(join, ", "), c.key, 100-10*i, more) +
		quick(`scheduler = "rr"`, rs1, rs2) + `
[[virtual]]
name = "echo"
address = "192.168.0.105:7"
scheduler = "rr"
[virtual.check]
type = "connect"
[[virtual.real]]
` + rs1 + "\n"
}

const witnessed = `witnesses = ["192.168.0.1"]`

func (l *lb) socket() string { return filepath.Join(l.dir, "ipvsd.sock") }
func (l *lb) config() string { return filepath.Join(l.dir, "ipvsd.toml") }

// start writes the file and starts the director.
func (l *lb) start(file string) {
	l.t.Helper()
	if err := os.WriteFile(l.config(), []byte(file), 0o644); err != nil {
		l.t.Fatal(err)
	}
	l.proc = l.host.Start(os.Getenv(binaryVar), "director", "-c", l.config(), "--socket", l.socket())
	proc := l.proc
	l.t.Cleanup(func() {
		if l.t.Failed() {
			l.t.Logf("%s:\n%s", l.name, proc.Output())
		}
	})
}

func (l *lb) status() director.Status {
	l.t.Helper()
	var s director.Status
	out, code := tryOn(l.t, l.host, "status", "--json", "--socket", l.socket())
	if code == 1 {
		return s
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		l.t.Fatalf("status --json: %v\n%s", err, out)
	}
	return s
}

// hasVIP is whether the kernel of the director's host has the address.
func (l *lb) hasVIP() bool {
	for _, p := range l.host.Addrs("eth0") {
		if p.Addr().String() == vip4 {
			return true
		}
	}
	return false
}

// startAll starts every director and waits until the cluster is whole. The first
// has the highest priority and holds the address at the end.
func (c *cluster) startAll(more string) {
	c.t.Helper()
	c.startWith(func(i int) string { return c.file(i, more) })
}

func (c *cluster) startWith(file func(i int) string) {
	c.t.Helper()
	for i, l := range c.lbs {
		l.start(file(i))
	}
	for _, l := range c.lbs {
		lab.Eventually(c.t, 15*time.Second, l.name+" is ready and sees all", func() bool {
			s := l.status()
			if !s.Ready || s.Cluster == nil {
				return false
			}
			alive := 0
			for _, m := range s.Cluster.Members {
				if m.State == "alive" {
					alive++
				}
			}
			return alive == len(c.lbs)
		})
	}
	// A director that the lab starves at its start comes second: let the first
	// one have it, however often the starved ones don't get round to an answer.
	lab.Eventually(c.t, 30*time.Second, "loadb1 is active", func() bool {
		s := c.lbs[0].status()
		if s.Active {
			return true
		}
		if s.Cluster != nil && s.Cluster.Groups[0].Holder != "" {
			tryOn(c.t, c.lbs[0].host, "failover", "--to", "loadb1", "--socket", c.lbs[0].socket())
		}
		return false
	})
	c.oneHolder("loadb1")
}

// oneHolder waits until exactly one director has the address, that one, and
// every living one says so.
func (c *cluster) oneHolder(name string) {
	c.t.Helper()
	lab.Eventually(c.t, 10*time.Second, name+" alone holds the address", func() bool {
		for _, l := range c.lbs {
			if l.hasVIP() != (l.name == name) {
				return false
			}
			if !l.proc.Running() {
				continue
			}
			if s := l.status(); s.Cluster == nil || s.Cluster.Groups[0].Holder != name || s.Active != (l.name == name) {
				return false
			}
		}
		return true
	})
}

// syncDelay is after how long a connection is known to the standby.
const syncDelay = 4 * time.Second

// TestClusterMoves moves the address in every way, with one client that opens a
// connection every 20 ms and one that holds a connection: a planned move costs
// nothing, not even what is in flight, and the held connection lives over each.
func TestClusterMoves(t *testing.T) {
	c := newCluster(t, 2)
	c.startAll(witnessed)
	hold := c.client.Hold("tcp", "192.168.0.105:7")
	time.Sleep(syncDelay)

	planned := func(what, to string, move func()) {
		t.Helper()
		// The deadline leaves room for a starved lab; make bench has a second.
		load := c.client.Load("http://192.168.0.105/", lab.Deadline(3*time.Second))
		time.Sleep(500 * time.Millisecond)
		move()
		c.oneHolder(to)
		time.Sleep(500 * time.Millisecond)
		r := load.Stop()
		noneFailed(t, r)
		t.Logf("%s: %v", what, r)
	}
	planned("failover", "loadb2", func() {
		if out, code := tryOn(t, c.lbs[0].host, "failover", "--socket", c.lbs[0].socket()); code != 0 {
			t.Errorf("failover: exit %d\n%s", code, out)
		} else {
			t.Logf("failover says: %s", out)
		}
	})
	planned("failover --to, asked on the standby", "loadb1", func() {
		if out, code := tryOn(t, c.lbs[0].host, "failover", "--to", "loadb1", "--socket", c.lbs[0].socket()); code != 0 {
			t.Errorf("failover: exit %d\n%s", code, out)
		}
	})
	planned("SIGTERM", "loadb2", func() { c.lbs[0].proc.Signal(syscall.SIGTERM) })
	if r := hold.Report(); r.Broken != nil {
		t.Errorf("held connection: %v", r)
	}

	// The first comes back: no fail-back without preempt.
	c.lbs[0].start(c.file(0, witnessed))
	time.Sleep(5 * time.Second)
	c.oneHolder("loadb2")
	if r := hold.Stop(); r.Broken != nil {
		t.Errorf("held connection: %v", r)
	}
}

// TestClusterDeath kills the active director, with and without its machine, and
// hangs it: another holds the address, the held connection lives, and afterwards
// exactly one holds it.
func TestClusterDeath(t *testing.T) {
	for _, tt := range []struct {
		name   string
		hurt   func(*lb)
		outage time.Duration // the lab's clock; measured figures are make bench's
		within time.Duration // until another holds it
		heal   func(*cluster, *lb)
	}{
		{
			name: "machine dead", hurt: func(l *lb) { l.host.Cut(); l.proc.Kill() },
			outage: 1500 * time.Millisecond, within: 3 * time.Second, heal: func(c *cluster, l *lb) { l.host.Heal(); l.start(c.file(0, witnessed)) },
		},
		{
			name: "cable cut", hurt: func(l *lb) { l.host.Cut() },
			outage: 1500 * time.Millisecond, within: 3 * time.Second, heal: func(_ *cluster, l *lb) { l.host.Heal() },
		},
		{
			name: "process killed", hurt: func(l *lb) { l.proc.Kill() },
			outage: time.Second, within: 6 * time.Second, heal: func(c *cluster, l *lb) { l.start(c.file(0, witnessed)) },
		},
		{
			name: "process hung", hurt: func(l *lb) { l.proc.Signal(syscall.SIGSTOP) },
			outage: time.Second, within: 6 * time.Second, heal: func(_ *cluster, l *lb) { l.proc.Signal(syscall.SIGCONT) },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCluster(t, 2)
			c.startAll(witnessed)
			hold := c.client.Hold("tcp", "192.168.0.105:7")
			time.Sleep(syncDelay)
			load := c.client.Load("http://192.168.0.105/")
			time.Sleep(500 * time.Millisecond)

			tt.hurt(c.lbs[0])
			lab.Eventually(t, tt.within, "loadb2 holds the address", c.lbs[1].hasVIP)
			time.Sleep(time.Second)
			r := load.Stop()
			t.Logf("%v", r)
			if r.Outage.Open || r.Outage.Duration() > tt.outage {
				t.Errorf("outage %v, want at most %v: %v", r.Outage.Duration(), tt.outage, r)
			}
			tt.heal(c, c.lbs[0])
			time.Sleep(4 * time.Second)
			c.oneHolder("loadb2")
			if r := hold.Stop(); r.Broken != nil {
				t.Errorf("held connection: %v", r)
			}
		})
	}
}

// TestClusterPartition cuts two directors from each other, both ways and one way,
// while the client's side stays: nobody moves, and exactly one holds the address.
func TestClusterPartition(t *testing.T) {
	c := newCluster(t, 2)
	c.startAll(witnessed)
	load := c.client.Load("http://192.168.0.105/")
	for _, dir := range []string{"-s", "-d"} {
		c.lbs[1].host.Run("iptables", "-I", "INPUT", "-s", "192.168.0.111", "-p", "udp", "-j", "DROP")
		c.lbs[1].host.Run("iptables", "-I", "INPUT", "-s", "192.168.0.111", "-p", "tcp", "-j", "DROP")
		if dir == "-d" {
			c.lbs[0].host.Run("iptables", "-I", "INPUT", "-s", "192.168.0.112", "-p", "udp", "-j", "DROP")
			c.lbs[0].host.Run("iptables", "-I", "INPUT", "-s", "192.168.0.112", "-p", "tcp", "-j", "DROP")
		}
		time.Sleep(5 * time.Second)
		if !c.lbs[0].hasVIP() || c.lbs[1].hasVIP() {
			t.Errorf("after a cut between the directors: loadb1 holds %v, loadb2 holds %v", c.lbs[0].hasVIP(), c.lbs[1].hasVIP())
		}
		c.lbs[0].host.Run("iptables", "-F")
		c.lbs[1].host.Run("iptables", "-F")
		c.oneHolder("loadb1")
	}
	noneFailed(t, load.Stop())
}

// TestClusterThree has three directors with a majority: the lone one gives up,
// the others go on.
func TestClusterThree(t *testing.T) {
	c := newCluster(t, 3)
	c.startAll("")
	load := c.client.Load("http://192.168.0.105/")
	time.Sleep(500 * time.Millisecond)
	c.lbs[0].host.Cut()
	lab.Eventually(t, 5*time.Second, "loadb2 holds the address", c.lbs[1].hasVIP)
	lab.Eventually(t, 5*time.Second, "the lone director gave it up", func() bool { return !c.lbs[0].hasVIP() })
	c.lbs[0].host.Heal()
	time.Sleep(2 * time.Second)
	c.oneHolder("loadb2")
	r := load.Stop()
	if r.Outage.Open || r.Outage.Duration() > 3*time.Second {
		t.Errorf("outage: %v", r)
	}
}
