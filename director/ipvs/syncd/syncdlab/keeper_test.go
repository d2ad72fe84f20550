package syncdlab

import (
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director/ipvs/syncd"
	"github.com/ipvsd/ipvsd/test/lab"
)

// TestForeignHand: what another program stops or replaces is put right at the
// next comparison.
func TestForeignHand(t *testing.T) {
	h := lab.New(t).Host("director", "192.0.2.11/24")
	want := onEth0(3)
	p := start(t, h, want)
	mustRun(t, h, p, want, 5*time.Second)
	h.Run("ipvsadm", "--stop-daemon", "master")
	h.Run("ipvsadm", "--stop-daemon", "backup")
	h.Run("ipvsadm", "--start-daemon", "backup", "--mcast-interface", "lo", "--syncid", "9")
	mustRun(t, h, p, want, 15*time.Second)
	for _, part := range []string{"repaired=2", "on interface lo, not eth0", "--start-daemon master --mcast-interface eth0 --syncid 3"} {
		lab.Eventually(t, 2*time.Second, part, func() bool { return strings.Contains(p.Output(), part) })
	}
}

// TestInterface: made anew, a daemon is dead though listed; without an address
// or an interface there is none, and it says so.
func TestInterface(t *testing.T) {
	p := newPair(t, "rr")
	want := syncd.Want{Interface: "eth1", SyncID: 4}
	first := start(t, p.dirs[0], want)
	problem := func(text string) {
		t.Helper()
		lab.Eventually(t, 5*time.Second, text, func() bool { return strings.Contains(last(first), text) })
	}
	problem("there is no interface eth1")
	p.dirs[0].Attach("private", "eth1")
	problem("interface eth1 has no IPv4 address")
	if ds := daemons(t, p.dirs[0]); len(ds) > 0 {
		t.Errorf("without an address: %v", ds)
	}
	p.dirs[0].AddAddr("eth1", "198.51.100.1/24")
	mustRun(t, p.dirs[0], first, want, 2*time.Second)
	p.dirs[1].Attach("private", "eth1", "198.51.100.2/24")
	second := start(t, p.dirs[1], want)
	mustRun(t, p.dirs[1], second, want, 5*time.Second)

	p.dirs[0].Run("ip", "link", "del", "eth1")
	problem("there is no interface eth1")
	p.dirs[0].Attach("private", "eth1", "198.51.100.1/24")
	begun := time.Now()
	mustRun(t, p.dirs[0], first, want, 5*time.Second)
	t.Logf("daemons work again %v after the interface came back", time.Since(begun))
	problem("was made anew")
	p.client.Hold("tcp", echo)
	if took, ok := p.known(t, 2*syncd.Delay); !ok {
		t.Errorf("not synchronised after %v:\n%s", took, first.Output())
	}

	// The other one had its interface made anew while nobody looked.
	second.Kill()
	p.dirs[1].Run("ip", "link", "del", "eth1")
	p.dirs[1].Attach("private", "eth1", "198.51.100.2/24")
	if runs(t, p.dirs[1], want)() {
		t.Error("dead daemons pass for live ones")
	}
	second = start(t, p.dirs[1], want)
	mustRun(t, p.dirs[1], second, want, 5*time.Second)

	// The address that the master sends from goes.
	p.dirs[0].AddAddr("eth1", "203.0.113.1/24")
	p.dirs[0].DelAddr("eth1", "198.51.100.1/24")
	mustRun(t, p.dirs[0], first, want, 2*time.Second)
	problem("sends from 198.51.100.1, which interface eth1 doesn't have")
	p.client.Hold("tcp", echo)
	if took, ok := p.known(t, 2*syncd.Delay); !ok {
		t.Errorf("not synchronised after %v:\n%s", took, first.Output())
	}
}

// last is the last status that a director told.
func last(p *lab.Proc) string {
	out := p.Output()
	i := strings.LastIndex(out, "status ")
	return out[max(i, 0):]
}

// TestBackupOnly: where it may not be cleared there is no backup, so that the
// director goes on serving.
func TestBackupOnly(t *testing.T) {
	p := newPair(t, "rr")
	p.dirs[0].SetSysctl("net.ipv4.vs.backup_only", "1")
	want := syncd.Want{Interface: "eth0", SyncID: 8}
	proc := start(t, p.dirs[0], want)
	lab.Eventually(t, 5*time.Second, "a master", func() bool { return len(daemons(t, p.dirs[0])) == 1 })
	lab.Eventually(t, 2*time.Second, "the problem", func() bool {
		return strings.Contains(last(proc), "net.ipv4.vs.backup_only is 1")
	})
	if r := p.client.Hold("tcp", echo).Stop(); r.Answered == 0 {
		t.Errorf("the director doesn't serve: %v", r)
	}
	// The reason for all this.
	p.dirs[0].Run("ipvsadm", "--start-daemon", "backup", "--mcast-interface", "eth0", "--syncid", "8")
	if c, err := p.client.Dial("tcp", echo, time.Second); err == nil {
		c.Close()
		t.Error("with both daemons and backup_only the director serves all the same")
	}
	lab.Eventually(t, 15*time.Second, "the backup is stopped", func() bool { return len(daemons(t, p.dirs[0])) == 1 })
	p.dirs[0].SetSysctl("net.ipv4.vs.backup_only", "0")
	mustRun(t, p.dirs[0], proc, want, 15*time.Second)
}
