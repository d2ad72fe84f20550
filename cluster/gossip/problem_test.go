package gossip

import (
	"testing"
	"time"
)

func TestDuplicateName(t *testing.T) {
	inRig(t, 3, func(r *rig) {
		a := r.start(0, nil)
		third := r.start(2, nil)
		stop := r.adverts(a, third)
		r.within(3*time.Second, "joined", func() bool { return complete(a, third) })
		b := r.start(1, func(o *Options) { o.Name = "lb1" })
		stopB := r.adverts(b)
		r.within(time.Second, "told", func() bool { return a.problem("name") != "" && b.problem("name") != "" })
		contains(t, a.problem("name"), "another director named lb1 is at 10.0.0.2:7946", "set [cluster] name")
		contains(t, b.problem("name"), "another director named lb1 is at 10.0.0.1:7946", "set [cluster] name")
		r.within(15*time.Second, "told to the third", func() bool { return third.problem("name") != "" })
		contains(t, third.problem("name"), "two directors are named lb1", "10.0.0.1:7946", "10.0.0.2:7946")
		third.drain()
		time.Sleep(time.Second)
		for _, m := range third.drain() {
			if m.Boot != a.BootID() {
				t.Errorf("a message of the second lb1 got through: %+v", m)
			}
		}
		if s := third.see("lb1"); s.State == Dead || s.Addr != a.addr {
			t.Errorf("the first lb1 suffers: %v", s)
		}
		stopB()
		b.crash()
		b = r.start(1, nil)
		r.within(35*time.Second, "renamed, and all is well", func() bool {
			return complete(a, b, third) && len(a.Problems())+len(b.Problems())+len(third.Problems()) == 0
		})
		stop()
		contains(t, third.log.String(), "cluster problem is gone")
	})
}

// A director that moved is taken at its new address once the old one is dead,
// and nobody is told of a duplicate meanwhile.
func TestAddressChange(t *testing.T) {
	inRig(t, 4, func(r *rig) {
		nodes := []*node{r.start(0, nil), r.start(1, nil), r.start(2, nil)}
		r.within(3*time.Second, "joined", func() bool { return complete(nodes...) })
		stop := r.adverts(nodes...)
		defer stop()
		nodes[2].crash()
		moved := r.start(3, func(o *Options) { o.Name = "lb3" })
		defer r.adverts(moved)()
		took := r.within(8*time.Second, "taken at its new address", func() bool {
			return nodes[0].see("lb3").Addr == addrOf(3) && nodes[1].see("lb3").Addr == addrOf(3) && complete(nodes[0], nodes[1], moved)
		})
		t.Log("taken after", took)
		time.Sleep(25 * time.Second)
		for _, n := range append(nodes[:2], moved) {
			if p := n.problem("name"); p != "" {
				t.Errorf("%s: %s", n.opts.Name, p)
			}
		}
	})
}

// A machine and its copy share name and address, so that they seem to be one
// that is started again and again.
func TestTwins(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		nodes := r.startAll()
		for range twinStarts {
			nodes[1].crash()
			nodes[1] = r.start(1, nil)
			r.within(2*time.Second, "seen", func() bool { return nodes[0].see("lb2").Boot == nodes[1].BootID() })
		}
		r.within(2*time.Second, "told", func() bool { return nodes[0].problem("name") != "" })
		contains(t, nodes[0].problem("name"), "director lb2 at 10.0.0.2:7946", "two machines")
		r.within(twinsWithin+solvedAfter+2*time.Second, "solved", func() bool { return len(nodes[0].Problems()) == 0 })
	})
}

func TestRename(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		nodes := r.startAll()
		nodes[1].crash()
		b := r.start(1, func(o *Options) { o.Name = "renamed" })
		r.within(10*time.Second, "only the new name", func() bool {
			return complete(nodes[0], b) && nodes[0].see("lb2").Name == ""
		})
		time.Sleep(15 * time.Second)
		if p := nodes[0].Problems(); len(p) > 0 {
			t.Error(p)
		}
	})
}

// A peer that nobody can dial delays no other.
func TestBlackHole(t *testing.T) {
	inRig(t, 3, func(r *rig) {
		r.net.NoStreams(addrOf(0).Addr(), true) // first in everybody's join
		a, b, c := r.start(0, nil), r.start(1, nil), r.start(2, nil)
		r.within(1500*time.Millisecond, "the others joined", func() bool { return complete(b, c) })
		stop := r.adverts(a, b, c)
		r.within(25*time.Second, "told", func() bool { return b.problem("tcp") != "" })
		contains(t, b.problem("tcp"), "10.0.0.1:7946 is heard by UDP, but not reached by TCP", "i/o timeout", "open port 7946")
		r.net.NoStreams(addrOf(0).Addr(), false)
		r.within(2*time.Second, "joined", func() bool { return complete(a, b, c) })
		stop()
	})
}

func TestNoUDP(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		nodes := r.startAll()
		defer r.adverts(nodes...)()
		r.net.NoPackets(addrOf(1).Addr(), true)
		r.within(30*time.Second, "told", func() bool { return nodes[0].problem("udp") != "" })
		contains(t, nodes[0].problem("udp"), "10.0.0.2:7946 is reached by TCP, but not by UDP", "open port 7946")
		r.net.NoPackets(addrOf(1).Addr(), false)
		r.within(25*time.Second, "solved", func() bool { return len(nodes[0].Problems()) == 0 })
	})
}

func TestAdvertisedElsewhere(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a := r.start(0, nil)
		r.start(1, func(o *Options) { o.Advertise = addrOf(7) })
		r.within(20*time.Second, "told", func() bool { return a.problem("address") != "" })
		contains(t, a.problem("address"), "a director answers at 10.0.0.2:7946, but none advertises this address")
	})
}

func TestStranger(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		nodes := r.startAll()
		c := r.start(2, nil) // its join names the two others
		r.within(2*time.Second, "joined", func() bool { return complete(append(nodes, c)...) })
		r.within(15*time.Second, "told", func() bool { return nodes[0].problem("stranger") != "" })
		contains(t, nodes[0].problem("stranger"), "director lb3 at 10.0.0.3:7946", `add "10.0.0.3:7946"`)
		if p := c.Problems(); len(p) > 0 {
			t.Error(p)
		}
		if nodes[0].see("lb3").Configured {
			t.Error("a stranger is configured")
		}
		c.drain()
		_ = nodes[0].Broadcast([]byte("hello"))
		time.Sleep(10 * time.Millisecond)
		if m := c.drain(); len(m) != 1 {
			t.Errorf("it gets %v", m)
		}
	})
}

func TestSameAddressTwice(t *testing.T) {
	inRig(t, 3, func(r *rig) {
		a := r.start(0, nil)
		b := r.start(1, nil)
		r.start(2, func(o *Options) { o.Advertise = addrOf(1) })
		r.within(30*time.Second, "told", func() bool { return a.problem("address") != "" && b.problem("address") != "" })
		// In which words depends on who came first.
	})
}

func TestLabel(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a := r.start(0, nil)
		b := r.start(1, func(o *Options) { o.ClusterLabel = "mail" })
		r.within(2*time.Second, "told", func() bool { return a.problem("label") != "" && b.problem("label") != "" })
		contains(t, a.problem("label"), "10.0.0.2:7946 belongs to another cluster", `"mail"`, `"web"`)
	})
}
