package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// TestFromKeepalived goes over from two running keepalived to ipvsd in the steps
// of docs/migrating-from-keepalived.md, with a client that opens connections all
// the time and one that holds one: the standby first, which waits while
// keepalived has the address elsewhere; then the active one.
func TestFromKeepalived(t *testing.T) {
	c := newCluster(t, 2)
	one, two := c.lbs[0], c.lbs[1]
	for i, l := range c.lbs {
		l.keepalived(keepalivedFile(i))
	}
	lab.Eventually(t, 30*time.Second, "keepalived on loadb1 holds the address, and its servers are up", func() bool {
		_, err := c.client.Get("http://192.168.0.105/", time.Second)
		return err == nil && one.hasVIP() && !two.hasVIP()
	})
	hold := c.client.Hold("tcp", "192.168.0.105:7")
	time.Sleep(syncDelay)

	load := c.client.Load("http://192.168.0.105/", lab.Deadline(3*time.Second))
	two.stopKeepalived()
	two.start(c.imported(1))
	holder := one.host.MAC("eth0").String()
	lab.Eventually(t, 20*time.Second, "ipvsd on loadb2 has checked all, and says who has the address", func() bool {
		s := two.status()
		return s.Ready && s.Cluster != nil && strings.Contains(s.Cluster.Groups[0].Waits, holder)
	})
	for range 30 {
		if two.hasVIP() {
			t.Fatal("ipvsd took the address while keepalived had it")
		}
		time.Sleep(100 * time.Millisecond)
	}
	noneFailed(t, load.Stop())
	time.Sleep(syncDelay) // what a standby of ipvsd is told by keepalived's sync daemon
	load = c.client.Load("http://192.168.0.105/", lab.Deadline(3*time.Second))
	one.stopKeepalived()
	lab.Eventually(t, 10*time.Second, "ipvsd on loadb2 has taken the address", two.hasVIP)
	time.Sleep(time.Second)
	r := load.Stop()
	t.Logf("keepalived stopped on the active director: %v", r)
	if out := r.Outage.To.Sub(r.Outage.From); r.OK == 0 || r.Outage.Open || out > 5*time.Second {
		t.Errorf("nobody answered for %v", out)
	}
	if held := hold.Stop(); held.Broken != nil {
		t.Errorf("the held connection: %v", held)
	}

	load = c.client.Load("http://192.168.0.105/", lab.Deadline(3*time.Second))
	one.start(c.imported(0))
	lab.Eventually(t, 15*time.Second, "both directors see each other", func() bool {
		alive := 0
		if s := two.status(); s.Cluster != nil {
			for _, m := range s.Cluster.Members {
				if m.State == "alive" {
					alive++
				}
			}
		}
		return alive == 2 && one.status().Ready
	})
	noneFailed(t, load.Stop())
}

// keepalivedFile is director i's file, as the guide has it.
func keepalivedFile(i int) string {
	servers := func(port int, reals ...string) string {
		s := fmt.Sprintf("virtual_server 192.168.0.105 %d {\n delay_loop 2\n lvs_sched rr\n lvs_method DR\n protocol TCP\n", port)
		for _, r := range reals {
			s += fmt.Sprintf(" real_server %s %d {\n  TCP_CHECK {\n   connect_timeout 1\n  }\n }\n", r, port)
		}
		return s + "}\n"
	}
	return fmt.Sprintf(`global_defs {
 router_id loadb%d
 lvs_sync_daemon eth0 VI_1 id 7
}
vrrp_instance VI_1 {
 state BACKUP
 interface eth0
 virtual_router_id 51
 priority %d
 advert_int 1
 unicast_src_ip 192.168.0.%d
 unicast_peer {
  192.168.0.%d
 }
 virtual_ipaddress {
  192.168.0.105/32
 }
}
`, i+1, 100-10*i, 111+i, 112-i) + servers(80, "192.168.0.101", "192.168.0.102") + servers(7, "192.168.0.101")
}

// keepalived starts it with a file of its own.
func (l *lb) keepalived(file string) {
	l.t.Helper()
	path := filepath.Join(l.dir, "keepalived.conf")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		l.t.Fatal(err)
	}
	l.proc = l.host.Start("/usr/sbin/keepalived", "--dont-fork", "--log-console", "--use-file", path,
		"--pid", filepath.Join(l.dir, "main.pid"), "--vrrp_pid", filepath.Join(l.dir, "vrrp.pid"),
		"--checkers_pid", filepath.Join(l.dir, "checkers.pid"))
	proc := l.proc
	l.t.Cleanup(func() {
		if l.t.Failed() {
			l.t.Logf("%s, keepalived:\n%s", l.name, proc.Output())
		}
	})
}

func (l *lb) stopKeepalived() {
	l.t.Helper()
	l.proc.Signal(syscall.SIGTERM)
	_ = l.proc.Wait(20 * time.Second) // its status is its own affair
	if table := l.host.Run("ipvsadm", "-Sn"); table != "" {
		l.t.Errorf("the guide says that keepalived empties the table when it stops; on %s it left\n%s", l.name, table)
	}
}

// imported is what the importer makes of director i's file; the lab has no
// gateway that could be a witness, and its directories are not the machine's.
func (c *cluster) imported(i int) string {
	c.t.Helper()
	l := c.lbs[i]
	out, code := tryOn(c.t, l.host, "config", "import", "--from", "keepalived", filepath.Join(l.dir, "keepalived.conf"))
	if code != 0 {
		c.t.Fatalf("import: exit %d\n%s", code, out)
	}
	var toml strings.Builder
	for line := range strings.Lines(out) {
		if !strings.Contains(line, "keepalived.conf:") { // a note of standard error
			toml.WriteString(line)
		}
	}
	file := strings.Replace(toml.String(), "[cluster]\n", "[cluster]\n"+witnessed+"\n", 1)
	file = strings.Replace(file, `"/etc/ipvsd/cluster.key"`, fmt.Sprintf("%q", c.key), 1)
	return fmt.Sprintf("[director]\nstate_dir = %q\n", filepath.Join(l.dir, "state")) + file
}
