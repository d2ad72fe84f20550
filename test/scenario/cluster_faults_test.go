package scenario

import (
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/test/lab"
)

// TestClusterFaults hurts one cluster in many ways, each time until it is whole
// again.
func TestClusterFaults(t *testing.T) {
	tr := startTwo(t, witnessed)
	home := map[string]string{"default": "loadb1"}
	tr.unmoved()
	tr.arrange("nobody moved", home)
	tr.returns()
	tr.arrange("both are back", home)
	tr.split()
	tr.end()
}

// returns freezes the active director for 10 s and kills the next one with -9:
// who comes back never takes the address back, and never holds it beside the
// other.
func (tr *trial) returns() {
	t := tr.t
	one, two := tr.lbs[0], tr.lbs[1]

	one.proc.Signal(syscall.SIGSTOP)
	frozen := time.Now()
	lab.Eventually(t, settleLimit, "loadb2 holds the address of the frozen one", func() bool { return two.hasVIP() && !one.hasVIP() })
	time.Sleep(10*time.Second - time.Since(frozen))
	one.proc.Signal(syscall.SIGCONT)
	if d := tr.both(tr.places[0], 3*time.Second); d > time.Second {
		t.Errorf("after it went on, both held the address for %v", d)
	}
	tr.whole("frozen for 10 s", "loadb2", core.HolderDead)
	tr.because("frozen for 10 s", one, "default", 0, core.LeaseLapsed, core.Refuted)
	tr.logged(one, "code="+string(core.LeaseLapsed))

	two.proc.Kill()
	tr.whole("killed", "loadb1", core.HolderDead)
	two.start(tr.file(1, witnessed))
	tr.whole("started again", "loadb1", core.HolderDead)
	tr.because("started again", two, "default", 0, core.HolderKnown, core.Recovered, core.Refuted)
}

// unmoved does what mustn't move the address: a wrong clock, packets lost one
// way and now and then, a busy processor.
func (tr *trial) unmoved() {
	t := tr.t
	one := tr.lbs[0]

	// All hosts of the lab have one clock. Where it is the machine's own, it
	// isn't ours to set.
	if os.Getenv("IPVSD_LAB_INSIDE") == "uml" {
		for _, step := range []time.Duration{time.Hour, -2 * time.Hour, time.Hour} {
			tr.steady("the clock steps by "+step.String(), func() {
				stepClock(t, step)
				time.Sleep(2 * time.Second)
			})
		}
	}

	// The other way is in TestClusterPartition.
	tr.steady("the active one doesn't hear the standby", func() {
		one.host.Run("iptables", "-I", "INPUT", "-s", "192.168.0.112", "-j", "DROP")
		time.Sleep(5 * time.Second)
		one.host.Run("iptables", "-F", "INPUT")
	})

	tr.steady("a fifth of all packets is lost", func() {
		one.host.LossIn(20)
		one.host.LossOut(20)
		time.Sleep(20 * time.Second)
		one.host.LossIn(0)
		one.host.LossOut(0)
	})

	tr.steady("the processor is busy", func() {
		var loops []*lab.Proc
		for range 4 {
			loops = append(loops, one.host.Start("sh", "-c", "while :; do :; done"))
		}
		time.Sleep(15 * time.Second)
		for _, p := range loops {
			p.Kill()
		}
	})
}

// stepClock sets the lab kernel's clock, as `date -s` does.
func stepClock(t *testing.T, by time.Duration) {
	t.Helper()
	var now unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_REALTIME, &now)
	if err == nil {
		now = unix.NsecToTimespec(now.Nano() + by.Nanoseconds())
		err = unix.ClockSettime(unix.CLOCK_REALTIME, &now)
	}
	if err != nil {
		t.Fatalf("step the clock by %v: %v", by, err)
	}
}

// split cuts two directors apart completely, each on its side, as the policies
// have it (cluster/core/testdata/partitions.md).
func (tr *trial) split() {
	t := tr.t
	one, two := tr.lbs[0], tr.lbs[1]
	vip := tr.places[0]
	// Frames are lost and the carrier stays: a cable that is pulled is a fault
	// that its owner sees.
	cut := func(l *lb) { l.host.LossIn(100); l.host.LossOut(100) }
	heal := func(l *lb) time.Time { l.host.LossIn(0); l.host.LossOut(0); return time.Now() }
	healed := func(what string, from time.Time) {
		t.Helper()
		lab.Eventually(t, settleLimit, what+": one holder", func() bool { return one.holds(vip) != two.holds(vip) })
		t.Logf("%s: one holder %v after healing", what, time.Since(from).Round(10*time.Millisecond))
	}

	// A standby without witness doesn't rise.
	tr.steady("the standby is cut off", func() {
		cut(two)
		time.Sleep(5 * time.Second)
		if two.hasVIP() {
			t.Error("the standby that was cut off took the address")
		}
		heal(two)
		time.Sleep(2 * time.Second)
	})
	tr.logged(two, "group waits", "code="+string(core.NoWitness))

	// The other one, which has the witness, takes over. The active one doesn't
	// give up: it can't know that somebody else serves.
	cut(one)
	lab.Eventually(t, settleLimit, "loadb2 takes over", two.hasVIP)
	time.Sleep(2 * time.Second)
	if !one.hasVIP() {
		t.Error("the active one that was cut off gave up, which the policy doesn't say")
	}
	healed("the active one was cut off", heal(one))
	tr.whole("the active one was cut off", "loadb2", core.HolderDead)
	tr.because("the active one was cut off", one, "default", 0, core.HigherTerm, core.OtherHealthy, core.Refuted)

	// Without a quorum both hold it, whoever is cut off.
	const none = `quorum = "none"`
	for i, l := range tr.lbs {
		l.reload(tr.file(i, none))
	}
	cut(one)
	lab.Eventually(t, settleLimit, "both hold it", func() bool { return one.hasVIP() && two.hasVIP() })
	time.Sleep(time.Second)
	healed(`quorum = "none"`, heal(one))
	holder := "loadb2"
	if one.hasVIP() {
		holder = "loadb1"
	}
	tr.whole(`quorum = "none"`, holder, core.HolderDead)
}
