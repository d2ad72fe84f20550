package cluster

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/cluster/gossip/gossiptest"
	"github.com/ipvsd/ipvsd/cluster/vip"
)

// both runs a test with two and with three directors.
func both(t *testing.T, f func(t *testing.T, n int)) {
	for _, n := range []int{2, 3} {
		t.Run(map[int]string{2: "two", 3: "three"}[n], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, n) })
		})
	}
}

func TestElection(t *testing.T) {
	both(t, func(t *testing.T, n int) {
		r := newRig(t, n, nil)
		t.Logf("the first holder after %v", r.until(webVIP, "lb1", 6*time.Second))
		r.stays(webVIP, "lb1", 20*time.Second)
		for _, f := range r.nodes {
			g := f.group("web")
			if g.Holder != "lb1" || f.Active("web") != (f.index == 0) {
				t.Errorf("lb%d: holder %q, active %v", f.index+1, g.Holder, f.Active("web"))
			}
			want := "web starting>standby"
			if f.index == 0 {
				want = "web standby>active"
			}
			if !strings.HasSuffix(f.hooked(), want) {
				t.Errorf("lb%d: hook %s", f.index+1, f.hooked())
			}
			s := f.Snapshot()
			if len(s.Members) != n || len(s.Problems) > 0 || len(s.Notes) > 0 {
				t.Errorf("lb%d: %+v", f.index+1, s)
			}
			for _, m := range s.Members {
				if m.State != "alive" || (len(m.Active) > 0) != (m.Name == "lb1") || m.Priority["web"] == 0 || m.Skew {
					t.Errorf("lb%d sees %+v", f.index+1, m)
				}
			}
		}
	})
}

func TestDeathOfTheMachine(t *testing.T) {
	both(t, func(t *testing.T, n int) {
		r := newRig(t, n, nil)
		r.until(webVIP, "lb1", 6*time.Second)
		time.Sleep(5 * time.Second)
		r.nodes[0].die()
		took := r.until(webVIP, "lb2", 700*time.Millisecond)
		time.Sleep(time.Second)
		g := r.nodes[1].group("web")
		t.Logf("after %v: %+v", took, g.Failover)
		if f := g.Failover; g.Code != core.HolderDead && g.Code != core.Elected || f.Suspected < 200*time.Millisecond ||
			f.Decided < f.Permitted || f.AddressUp < f.Decided || f.Announced < f.AddressUp || f.Announced > 800*time.Millisecond {
			t.Errorf("%+v", g)
		}
		if !strings.Contains(r.nodes[1].log.String(), "announced_ms=") {
			t.Error("no phases in the log")
		}
	})
}

// The process is killed, the machine goes on answering until the addresses
// expire: the client sees next to nothing.
func TestDeathOfTheProcess(t *testing.T) {
	both(t, func(t *testing.T, n int) {
		r := newRig(t, n, nil)
		r.until(webVIP, "lb1", 6*time.Second)
		time.Sleep(5 * time.Second)
		r.nodes[0].end()
		took := r.until(webVIP, "", 3*time.Second)
		began := time.Now()
		for r.holders(webVIP) == "" && time.Since(began) < time.Second {
			time.Sleep(time.Millisecond)
		}
		gap := time.Since(began)
		t.Logf("held for %v, then nobody for %v, then %s", took, gap, r.holders(webVIP))
	})
}

// A restart within the lifetime adopts the address: nobody sees anything.
func TestRestart(t *testing.T) {
	both(t, func(t *testing.T, n int) {
		r := newRig(t, n, nil)
		r.until(webVIP, "lb1", 6*time.Second)
		time.Sleep(5 * time.Second)
		r.nodes[0].end()
		r.nodes[0] = r.start(0, n, r.nodes[0].host.again())
		r.stays(webVIP, "lb1", 10*time.Second)
		if took := strings.Join(r.nodes[0].host.took(), ", "); took != "adopt "+webVIP {
			t.Errorf("it did: %s", took)
		}
	})
}

func TestStopHandsOver(t *testing.T) {
	both(t, func(t *testing.T, n int) {
		r := newRig(t, n, nil)
		r.until(webVIP, "lb1", 6*time.Second)
		time.Sleep(5 * time.Second)
		began := time.Now()
		if err := r.nodes[0].Stop(context.Background()); err != nil {
			t.Error(err)
		}
		t.Logf("stopped after %v", time.Since(began))
		if got := r.lan.since(webVIP, began); strings.Join(got, " ") != "21 2" { // make before break
			t.Errorf("holders: %q", got)
		}
		if g := r.nodes[1].group("web"); g.Code != core.HandedOver || !g.Up {
			t.Errorf("%+v", g)
		}
		r.nodes[0].end()
		time.Sleep(time.Second)
		for _, m := range r.nodes[1].Snapshot().Members {
			if m.Name == "lb1" && m.State != "left" {
				t.Errorf("%+v", m)
			}
		}
	})
}

func TestFailoverByTheOperator(t *testing.T) {
	both(t, func(t *testing.T, n int) {
		r := newRig(t, n, nil)
		r.until(webVIP, "lb1", 6*time.Second)
		time.Sleep(5 * time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		a, err := r.nodes[0].Failover(ctx, "web", "lb2")
		if err != nil || !a.OK || a.Nobody != 0 {
			t.Fatalf("%+v %v", a, err)
		}
		r.until(webVIP, "lb2", 100*time.Millisecond)
		r.stays(webVIP, "lb2", 20*time.Second)
		ctx, cancel = context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if a, err = r.nodes[0].Failover(ctx, "", "lb1"); err != nil || !a.OK {
			t.Fatalf("back, asked for by the one that wants it: %+v %v", a, err)
		}
		r.until(webVIP, "lb1", 100*time.Millisecond)
		if a, err = r.nodes[0].Failover(ctx, "none", ""); err != nil || a.OK {
			t.Fatalf("%+v %v", a, err)
		}
	})
}

// Until the table was programmed nothing comes up.
func TestNothingBeforeTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, net: gossiptest.New(1), lan: &lan{}, bare: true}
		f := r.start(0, 1, r.lan.host(1))
		r.nodes = []*fakeNode{f}
		defer func() {
			f.end()
			if t.Failed() {
				t.Log(f.log)
			}
		}()
		r.stays(webVIP, "", time.Minute)
		if g := f.group("web"); g.Role != Fault || !strings.Contains(g.Reason, "the table hasn't been programmed yet") {
			t.Errorf("%+v", g)
		}
		f.Programmed()
		r.until(webVIP, "lb1", 100*time.Millisecond)
		f.Health("web", []core.Fault{{Name: "command", Text: "says no"}})
		r.until(webVIP, "", 100*time.Millisecond)
		f.Health("web", nil)
		r.until(webVIP, "lb1", 10*time.Second)
	})
}

// A cut cable between two directors with a gateway: who is cut off keeps still,
// the other takes over; after the heal one of them has it.
func TestPartitionWithWitness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, nil)
		for _, f := range r.nodes {
			f.host.change(func(h *fakeHost) { h.gateway = netip.MustParseAddr("192.0.2.254") })
		}
		r.until(webVIP, "lb1", 6*time.Second)
		time.Sleep(5 * time.Second)
		if s := r.nodes[1].Snapshot(); s.Witnesses != 1 || s.Reach != 1 {
			t.Fatalf("%+v", s)
		}
		// The standby is cut off: it must not claim.
		r.nodes[1].unplug()
		r.stays(webVIP, "lb1", 10*time.Second)
		if g := r.nodes[1].group("web"); g.WhyCode != core.NoWitness {
			t.Errorf("%+v", g)
		}
		r.nodes[1].plug()
		r.stays(webVIP, "lb1", 5*time.Second)
		// The holder is: the other takes over, and after the heal one drops.
		r.nodes[0].unplug()
		r.until(webVIP, "lb1 lb2", time.Second)
		time.Sleep(5 * time.Second)
		r.nodes[0].plug()
		t.Logf("one holder %v after the heal", r.until(webVIP, "lb2", 300*time.Millisecond))
		r.stays(webVIP, "lb2", 10*time.Second)
	})
}

func TestMinorityDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, nil)
		r.until(webVIP, "lb1", 6*time.Second)
		time.Sleep(5 * time.Second)
		r.nodes[0].unplug()
		t.Logf("dropped after %v", r.until(webVIP, "", time.Second))
		t.Logf("taken over %v later", r.until(webVIP, "lb2", time.Second))
		r.nodes[0].plug()
		r.stays(webVIP, "lb2", 10*time.Second)
	})
}

func TestInterfaceFault(t *testing.T) {
	both(t, func(t *testing.T, n int) {
		r := newRig(t, n, nil)
		r.until(webVIP, "lb1", 6*time.Second)
		time.Sleep(5 * time.Second)
		r.nodes[0].host.change(func(h *fakeHost) { h.fine = false })
		r.until(webVIP, "lb2", 300*time.Millisecond)
		if g := r.nodes[0].group("web"); g.Role != Fault || !strings.Contains(g.Why, "eth0 has no carrier") {
			t.Errorf("%+v", g)
		}
	})
}

func TestReload(t *testing.T) {
	both(t, func(t *testing.T, n int) {
		r := newRig(t, n, nil)
		r.until(webVIP, "lb1", 6*time.Second)
		time.Sleep(3 * time.Second)
		r.edit = func(_ int, o *Options) {
			o.Groups = append(o.Groups, Group{Name: "mail", Addresses: []vip.Want{{Addr: netip.MustParsePrefix(mailVIP + "/32")}}})
			o.Groups[0].Addresses = append(o.Groups[0].Addresses, vip.Want{Addr: netip.MustParsePrefix("192.0.2.102/32")})
		}
		for i, f := range r.nodes {
			if err := f.Reload(r.options(i, n)); err != nil {
				t.Fatal(err)
			}
		}
		r.until("192.0.2.102", "lb1", 100*time.Millisecond)
		time.Sleep(6 * time.Second) // until all know the group whoever was first may have it
		if got := r.holders(mailVIP); len(got) != 3 {
			t.Errorf("mail is held by %q", got)
		}
		if r.holders(webVIP) != "lb1" {
			t.Error("web is lost")
		}
		r.edit = nil
		for i, f := range r.nodes {
			if err := f.Reload(r.options(i, n)); err != nil {
				t.Fatal(err)
			}
		}
		r.until(mailVIP, "", 100*time.Millisecond)
		r.until("192.0.2.102", "", 100*time.Millisecond)
		r.stays(webVIP, "lb1", 5*time.Second)
		o := r.options(0, n)
		o.Groups[0].Addresses = nil
		if err := r.nodes[0].Reload(o); err == nil || err.Error() != `group "web": no addresses` {
			t.Error(err)
		}
		o = r.options(0, n)
		o.Gossip.ClusterLabel = "other"
		if err := r.nodes[0].Reload(o); err != nil || len(r.nodes[0].Snapshot().Problems) != 1 {
			t.Error(err, r.nodes[0].Snapshot().Problems)
		}
	})
}

// Each group has its own holder.
func TestTwoGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, func(i int, o *Options) {
			o.Groups = append(o.Groups, Group{
				Name: "mail", Priority: 100 + 10*i, Addresses: []vip.Want{{Addr: netip.MustParsePrefix(mailVIP + "/32")}},
			})
		})
		r.until(webVIP, "lb1", 6*time.Second)
		r.until(mailVIP, "lb2", 6*time.Second)
		time.Sleep(3 * time.Second)
		r.nodes[1].die()
		r.until(mailVIP, "lb1", 700*time.Millisecond)
		r.stays(webVIP, "lb1", 2*time.Second)
	})
}

// What the holder gives up goes before what it takes, and before anybody is told.
func TestDropComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, nil)
		r.until(webVIP, "lb1", 6*time.Second)
		time.Sleep(3 * time.Second)
		r.nodes[0].unplug()
		r.until(webVIP, "lb1 lb2", time.Second)
		healed := time.Now()
		r.nodes[0].plug()
		r.until(webVIP, "lb2", 300*time.Millisecond)
		if got := strings.Join(r.nodes[0].host.took(), ", "); got != "add "+webVIP+", del "+webVIP {
			t.Errorf("lb1 did: %s", got)
		}
		time.Sleep(100 * time.Millisecond)
		if s := r.nodes[1].Snapshot(); len(s.Notes) == 0 {
			t.Errorf("no note of the conflict: %+v", s)
		}
		t.Logf("alone %v after the heal", time.Since(healed))
	})
}

// The kernel doesn't answer: the loop goes on, and the other takes over when
// the lifetime is over.
func TestFrozenKernel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, nil)
		r.until(webVIP, "lb1", 6*time.Second)
		time.Sleep(3 * time.Second)
		r.nodes[0].host.change(func(h *fakeHost) { h.frozen = true })
		time.Sleep(3 * time.Second)
		if g := r.nodes[0].group("web"); g.Role != Fault || g.Code != core.AddressFailed {
			t.Errorf("%+v", g)
		}
		if got := r.holders(webVIP); got != "lb2" {
			t.Errorf("held by %q", got)
		}
		if err := r.nodes[0].Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A kernel that is slow for a moment, as on a starved machine, costs nothing.
func TestKernelSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, nil)
		r.until(webVIP, "lb1", 6*time.Second)
		time.Sleep(3 * time.Second)
		slow := time.Now()
		for range 5 {
			r.nodes[0].host.change(func(h *fakeHost) { h.frozen = true })
			time.Sleep(900 * time.Millisecond)
			r.nodes[0].host.change(func(h *fakeHost) { h.frozen = false })
			time.Sleep(1500 * time.Millisecond)
		}
		if got := r.lan.since(webVIP, slow); len(got) > 0 {
			t.Errorf("moved: %v", got)
		}
	})
}

// The address can't be added: the other one has it.
func TestAddressRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, nil)
		r.nodes[0].host.change(func(h *fakeHost) { h.fail = errors.New("add 192.0.2.100/32 to eth0: no room") })
		r.until(webVIP, "lb2", 6*time.Second)
		if g := r.nodes[0].group("web"); g.Role != Fault || !strings.Contains(g.Why, "no room") {
			t.Errorf("%+v", g)
		}
	})
}

// A stranger claims our address: it is defended, and told.
func TestStrangerClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, nil)
		r.until(webVIP, "lb1", 6*time.Second)
		time.Sleep(3 * time.Second)
		for range 50 {
			r.nodes[0].host.heard <- vip.Claim{Interface: "eth0", Addr: netip.MustParseAddr(webVIP), MAC: [6]byte{2, 7, 7, 7, 7, 7}}
		}
		time.Sleep(time.Second)
		if notes := strings.Join(r.nodes[0].Snapshot().Notes, "\n"); !strings.Contains(notes, "02:07:07:07:07:07") {
			t.Errorf("notes: %s", notes)
		}
		r.stays(webVIP, "lb1", 5*time.Second)
		if n := strings.Count(r.nodes[0].log.String(), "level=WARN"); n != 1 {
			t.Errorf("%d warnings", n)
		}
	})
}
