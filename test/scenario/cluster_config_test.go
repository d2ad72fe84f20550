package scenario

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/director"
)

// TestClusterFiles gives the directors files that don't fit together, and new
// ones at bad times.
func TestClusterFiles(t *testing.T) {
	c := newCluster(t, 3)
	three := c.lbs[2]
	c.lbs = c.lbs[:2]
	tr := newTrial(c)
	c.startAll(relaxed)
	tr.tutorialTraffic()
	tr.differ()
	tr.table = tutorialTable
	tr.strangers(three)
	tr.end()
}

// differ has files that differ: everybody says so, and nobody acts on it. Then
// files change while an address moves.
func (tr *trial) differ() {
	t := tr.t
	one, two := tr.lbs[0], tr.lbs[1]
	file := func(i int, ports ...string) string {
		s := tr.file(i, relaxed)
		for _, p := range ports {
			s += "\n[[virtual]]\nname = \"more" + p + "\"\naddress = \"192.168.0.105:" + p + "\"\nscheduler = \"rr\"\n[[virtual.real]]\naddress = \"192.168.0.101\"\n[virtual.check]\ntype = \"off\"\n"
		}
		return s
	}
	line := func(p string) string { return "-A -t 192.168.0.105:" + p + " -s rr" }

	tr.steady("one has another virtual service", func() {
		two.reload(file(1, "81"))
		for l, other := range map[*lb]string{one: "loadb2", two: "loadb1"} {
			tr.skew(l, other, true)
		}
		time.Sleep(3 * time.Second)
	})
	tr.steady("both have it", func() {
		one.reload(file(0, "81"))
		for l, other := range map[*lb]string{one: "loadb2", two: "loadb1"} {
			tr.skew(l, other, false)
		}
	})
	tr.table = append(slices.Clone(tr.table), line("81"))
	tr.whole("both have it", "loadb1")

	// A reload on the one that takes, while it takes: planned …
	moved := make(chan struct{})
	go func() {
		defer close(moved)
		_, _ = tryOn(t, one.host, "failover", "--to", "loadb2", "--socket", one.socket())
	}()
	two.hangUp(file(1, "81", "82"))
	<-moved
	one.reload(file(0, "81", "82"))
	tr.table = append(tr.table, line("82"))
	tr.whole("reload during a planned move", "loadb2", planned...)

	// … and not.
	two.die()
	time.Sleep(300 * time.Millisecond)
	one.hangUp(file(0, "81", "82", "83"))
	tr.awaitMove("loadb1")
	two.host.Heal()
	tr.table = append(tr.table, line("83"))
	tr.whole("reload while the other is dead", "loadb1", core.HolderDead)
	two.start(file(1, "81", "82", "83"))
	tr.whole("the other is back", "loadb1", core.HolderDead)
}

// skew waits until a director says of another whether its file differs.
func (tr *trial) skew(l *lb, other string, want bool) {
	tr.t.Helper()
	tr.await(l.name+" says whether "+other+"'s file differs", func() bool {
		s := l.status()
		if s.Cluster == nil {
			return false
		}
		said := slices.Contains(s.Cluster.Notes, other+" runs another configuration")
		for _, m := range s.Cluster.Members {
			if m.Name == other && m.Skew != want {
				return false
			}
		}
		return said == want
	})
}

// strangers lets directors come that don't fit: one with another key, one with
// a name that is taken, and at last one more that does. The active one serves
// on, and everybody is told what to mend.
func (tr *trial) strangers(three *lb) {
	t, c := tr.t, tr.cluster
	one, two := tr.lbs[0], tr.lbs[1]
	all := append(slices.Clone(tr.lbs), three)

	// Another key: the two don't understand each other, and the wire says that
	// the address is held.
	other := filepath.Join(c.dir, "other.key")
	two.host.Run(os.Getenv(binaryVar), "cluster", "keygen", "-o", other)
	two.stop()
	tr.serves("another key", func() {
		two.start(strings.ReplaceAll(c.file(1, relaxed), c.key, other))
		tr.told(two, "the director at 192.168.0.111:7946 uses another key: give both the same [cluster] key_file")
		tr.told(one, "the director at 192.168.0.112:7946 uses another key: give both the same [cluster] key_file")
		time.Sleep(3 * time.Second)
	})
	tr.logged(two, "cluster problem", "uses another key")
	two.hangUp(c.file(1, relaxed))
	tr.whole("the right key again", "loadb1")

	// A name that is taken: the newcomer is told, the two go on.
	c.lbs = all
	file := c.file(2, relaxed)
	c.lbs = all[:2]
	tr.serves("a second loadb2", func() {
		three.start(strings.Replace(file, `name = "loadb3"`, `name = "loadb2"`, 1))
		tr.told(three, "another director named loadb2 is at 192.168.0.112:7946: set [cluster] name, each needs its own")
		time.Sleep(3 * time.Second)
		if three.hasVIP() {
			t.Error("the second loadb2 has the address")
		}
	})
	three.stop()
	tr.whole("the second loadb2 is gone", "loadb1")

	// A third director with a name of its own. The running ones learn of it by
	// a reload, and dial it.
	c.lbs = all
	tr.serves("a third director", func() {
		three.start(c.file(2, `profile = "relaxed"`))
		for i, l := range all[:2] {
			l.reload(c.file(i, `profile = "relaxed"`))
		}
		tr.await("all know it", func() bool {
			return !slices.ContainsFunc(all, func(l *lb) bool {
				s := l.status()
				return s.Cluster == nil || len(s.Cluster.Members) != 3 || len(s.Cluster.Problems) > 0 ||
					slices.ContainsFunc(s.Cluster.Members, func(m director.MemberStatus) bool { return m.State != "alive" })
			})
		})
	})
	tr.whole("three directors", "loadb1")
	if len(one.status().Cluster.Members) != 3 {
		t.Errorf("members: %+v", one.status().Cluster.Members)
	}
	tr.arrange("failover to the third one", map[string]string{"default": "loadb3"})
	tr.whole("failover to the third one", "loadb3", planned...)
}

// stop ends a director as an operator does.
func (l *lb) stop() {
	l.t.Helper()
	l.proc.Signal(syscall.SIGTERM)
	if err := l.proc.Wait(settleLimit); err != nil {
		l.t.Fatalf("%s: stop: %v", l.name, err)
	}
}

// told waits until a director's status tells of a problem.
func (tr *trial) told(l *lb, problem string) {
	tr.t.Helper()
	tr.await(l.name+" says: "+problem, func() bool {
		s := l.status()
		return s.Cluster != nil && slices.ContainsFunc(s.Cluster.Problems, func(p string) bool { return strings.Contains(p, problem) })
	})
}

// serves is steady for the first director alone: it keeps the address while
// others come and go.
func (tr *trial) serves(what string, f func()) {
	tr.t.Helper()
	all := tr.lbs
	one := all[0].group("default").Term
	f()
	if g := all[0].group("default"); g.Term != one || g.Holder != "loadb1" {
		tr.t.Errorf("%s: loadb1 says that %s holds the address with term %d, before %d", what, g.Holder, g.Term, one)
	}
	for _, l := range all[1:] {
		if l.hasVIP() {
			tr.t.Errorf("%s: %s has the address", what, l.name)
		}
	}
	tr.served(what)
}
