package syncdlab

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director/ipvs/syncd"
	"github.com/ipvsd/ipvsd/test/lab"
)

const (
	vip  = "192.0.2.100"
	echo = vip + ":7"
)

// pair is two directors, two real servers behind them by dr, and a client.
type pair struct {
	client *lab.Host
	dirs   [2]*lab.Host
	reals  []*lab.Echo
}

// newPair makes it, with the VIP on the first director.
func newPair(t *testing.T, scheduler string) pair {
	n := lab.New(t)
	p := pair{client: n.Host("client", "192.0.2.1/24")}
	for i := range 2 {
		r := n.Host(fmt.Sprintf("real%d", i+1), fmt.Sprintf("192.0.2.%d/24", 21+i))
		r.SetSysctl("net.ipv4.conf.all.arp_ignore", "1")
		r.SetSysctl("net.ipv4.conf.all.arp_announce", "2")
		r.AddAddr("lo", vip+"/32")
		p.reals = append(p.reals, r.Echo("tcp", echo, r.Name))
	}
	for i := range p.dirs {
		d := n.Host(fmt.Sprintf("director%d", i+1), fmt.Sprintf("192.0.2.%d/24", 11+i))
		d.Run("ipvsadm", "-A", "-t", echo, "-s", scheduler)
		for j := range p.reals {
			d.Run("ipvsadm", "-a", "-t", echo, "-r", fmt.Sprintf("192.0.2.%d:7", 21+j), "-g")
		}
		for _, s := range syncd.Sysctls(nil) {
			d.SetSysctl(strings.ReplaceAll(s.Path, "/", "."), s.Value)
		}
		p.dirs[i] = d
	}
	p.dirs[0].AddAddr("eth0", vip+"/32")
	return p
}

// sync starts a director's keeper on each.
func (p pair) sync(t *testing.T, wants ...syncd.Want) (procs []*lab.Proc) {
	t.Helper()
	for i, w := range wants {
		procs = append(procs, start(t, p.dirs[i], w))
	}
	for i, w := range wants {
		mustRun(t, p.dirs[i], procs[i], w, 5*time.Second)
	}
	return procs
}

// move gives the VIP to the second director.
func (p pair) move() {
	p.dirs[0].DelAddr("eth0", vip+"/32")
	p.dirs[1].AddAddr("eth0", vip+"/32")
	p.dirs[1].Announce(p.dirs[1].Addrs("eth0")[1].Addr())
}

// known waits until the second director has as many connections established as
// the first, and returns how long that took.
func (p pair) known(t *testing.T, timeout time.Duration) (time.Duration, bool) {
	t.Helper()
	begun := time.Now()
	for time.Since(begun) < timeout {
		a, b := established(t, p.dirs[0]), established(t, p.dirs[1])
		missing := 0
		for c := range a {
			if !b[c] {
				missing++
			}
		}
		if len(a) > 0 && missing == 0 {
			return time.Since(begun), true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return timeout, false
}

func onEth0(id uint8) syncd.Want {
	return syncd.Want{Interface: "eth0", SyncID: id, ManageSysctl: true}
}

// TestFailover: connections older than Delay outlive it, whichever real server
// they are on, and back again.
func TestFailover(t *testing.T) {
	p := newPair(t, "rr")
	p.dirs[1].SetSysctl("net.ipv4.vs.backup_only", "1")
	procs := p.sync(t, onEth0(5), onEth0(5))
	if got := p.dirs[1].Sysctl("net.ipv4.vs.backup_only"); got != "0" {
		t.Errorf("backup_only is %s", got)
	}
	var held []*lab.Hold
	for range 4 {
		held = append(held, p.client.Hold("tcp", echo))
	}
	begun := time.Now()
	took, ok := p.known(t, 2*syncd.Delay)
	if !ok {
		t.Fatalf("not synchronised:\n%v\n%v", established(t, p.dirs[0]), established(t, p.dirs[1]))
	}
	t.Logf("4 connections known to the standby after %v", took)
	// What the table tells, by which Warm judges.
	for _, d := range p.dirs {
		t.Logf("%s:\n%s", d.Name, d.Run("ipvsadm", "-Ln"))
	}
	time.Sleep(syncd.Delay - time.Since(begun))
	for _, to := range []int{1, 0} {
		if to == 1 {
			p.move()
		} else {
			p.dirs[1].DelAddr("eth0", vip+"/32")
			p.dirs[0].AddAddr("eth0", vip+"/32")
			p.dirs[0].Announce(p.dirs[0].Addrs("eth0")[1].Addr())
		}
		time.Sleep(2 * time.Second)
		for _, h := range held {
			if r := h.Report(); r.Broken != nil || r.Silence > time.Second {
				t.Errorf("to director%d: %v", to+1, r)
			}
		}
	}
	for _, h := range held {
		t.Log(h.Stop())
	}
	// The daemons outlive the director, and the next one finds them in order.
	procs[0].Signal(syscall.SIGTERM)
	if err := procs[0].Wait(5 * time.Second); err != nil {
		t.Error(err)
	}
	if !runs(t, p.dirs[0], onEth0(5))() {
		t.Errorf("after the end of Run: %v", daemons(t, p.dirs[0]))
	}
	again := start(t, p.dirs[0], onEth0(5))
	time.Sleep(time.Second)
	if out := again.Output(); strings.Contains(out, "changed") {
		t.Errorf("a restart changed something:\n%s", out)
	}
	again.Signal(syscall.SIGINT)
	if err := again.Wait(5 * time.Second); err != nil {
		t.Error(err)
	}
	if ds := daemons(t, p.dirs[0]); len(ds) > 0 {
		t.Errorf("after Release: %v", ds)
	}
}

// TestDelay measures how long a connection takes to be known to the standby, at
// any phase of the kernel's one-second clock, with nothing else to fill a message.
func TestDelay(t *testing.T) {
	p := newPair(t, "rr")
	p.sync(t, onEth0(5), onEth0(5))
	var all []time.Duration
	for i := range 5 {
		time.Sleep(time.Duration(i) * 190 * time.Millisecond)
		before := established(t, p.dirs[1])
		begun := time.Now()
		h := p.client.Hold("tcp", echo)
		for time.Since(begun) < 2*syncd.Delay && len(established(t, p.dirs[1])) == len(before) {
			time.Sleep(20 * time.Millisecond)
		}
		all = append(all, time.Since(begun).Round(10*time.Millisecond))
		h.Stop()
		lab.Eventually(t, 2*syncd.Delay, "its end is known, too", func() bool { return len(established(t, p.dirs[1])) == 0 })
	}
	slices.Sort(all)
	t.Log(all)
	if most := all[len(all)-1]; most > syncd.Delay+200*time.Millisecond {
		t.Errorf("took up to %v, Delay is %v", most, syncd.Delay)
	}
}

// TestYoung: a connection that is too young to be known lives on where the
// scheduler is a hash and sloppy_tcp set, and is reset otherwise.
func TestYoung(t *testing.T) {
	for _, sloppy := range []string{"0", "1"} {
		t.Run("sloppy_tcp="+sloppy, func(t *testing.T) {
			p := newPair(t, "mh")
			for _, d := range p.dirs {
				d.SetSysctl("net.ipv4.vs.sloppy_tcp", sloppy)
			}
			p.sync(t, onEth0(6), onEth0(6))
			var held []*lab.Hold
			for range 4 {
				held = append(held, p.client.Hold("tcp", echo))
			}
			p.move()
			time.Sleep(2 * time.Second)
			for _, h := range held {
				if r := h.Stop(); (r.Broken == nil) != (sloppy == "1") {
					t.Errorf("%v", r)
				}
			}
		})
	}
}

func TestOtherSyncID(t *testing.T) {
	p := newPair(t, "rr")
	procs := p.sync(t, onEth0(1), onEth0(2))
	hold := p.client.Hold("tcp", echo)
	if took, ok := p.known(t, 2*syncd.Delay); ok {
		t.Errorf("a connection of cluster 1 came to cluster 2 after %v", took)
	}
	procs[1].Kill()
	procs[1] = start(t, p.dirs[1], onEth0(1))
	mustRun(t, p.dirs[1], procs[1], onEth0(1), 5*time.Second)
	if out := procs[1].Output(); !strings.Contains(out, "level=WARN") || !strings.Contains(out, "has sync id 2, not 1") {
		t.Errorf("it isn't told that other daemons were replaced:\n%s", out)
	}
	if _, ok := p.known(t, 15*time.Second); !ok {
		t.Errorf("still unknown with the same id:\n%s", procs[1].Output())
	}
	t.Log(hold.Stop())
}

// slow opens a connection and says something on it each period.
func slow(t *testing.T, p pair, period time.Duration) net.Conn {
	t.Helper()
	c, err := p.client.Dial("tcp", echo, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		for {
			if _, err := fmt.Fprintln(c, "x"); err != nil {
				return
			}
			if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				return
			}
			time.Sleep(period)
		}
	}()
	return c
}

// TestSlow is why Sysctls doesn't keep "3 50": with it a slow connection ends
// on the standby, by its timeout, though it lives. The timeout is 15 s here and
// 15 min in life.
func TestSlow(t *testing.T) {
	const timeout = 15 * time.Second
	var pairs []pair
	thresholds := []string{"3 50", syncd.Sysctls(nil)[1].Value}
	for i, threshold := range thresholds {
		p := newPair(t, "rr")
		for _, d := range p.dirs {
			d.SetSysctl("net.ipv4.vs.sync_threshold", threshold)
			d.Run("ipvsadm", "--set", "15", "10", "10")
		}
		id := uint8(i + 1)
		p.sync(t, onEth0(id), onEth0(id))
		slow(t, p, 4*time.Second)
		pairs = append(pairs, p)
	}
	for i, p := range pairs {
		took, ok := p.known(t, 10*time.Second)
		t.Logf("%q: known %v after %v", thresholds[i], ok, took)
	}
	time.Sleep(2 * timeout)
	for i, p := range pairs {
		a, b := len(established(t, p.dirs[0])), len(established(t, p.dirs[1]))
		t.Logf("%q: %d established on the active, %d on the standby", thresholds[i], a, b)
		if a != 1 || b != i {
			t.Errorf("want 1 and %d", i)
		}
	}
}
