package scenario

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

// trial is a running cluster under traffic: one client opens a connection every
// 20 ms, another one holds one. It says what must be so after each disturbance.
// Its limits are generous: figures are measured by make bench.
type trial struct {
	*cluster
	places []place  // each address that clients use, and those that move with it
	table  []string // lines that every director's table has
	loads  []*lab.Load
	holds  []*lab.Hold
	stalls *stalls // since the last time that all was whole
}

// place is an address on an interface of the directors, and its group.
type place struct{ addr, ifname, group string }

// settleLimit is how long a cluster may take until all is well again. A lab on
// two busy cores needs most of it now and then.
const settleLimit = 30 * time.Second

// planned are the reasons of a hand-over's successor. One that the lab starves
// is given up by its holder, who then leaves or lets go.
var planned = []core.Code{core.HandedOver, core.HolderLeft, core.HolderGone}

// relaxed is witnessed, patiently, for what isn't about silence: a director that the lab
// starves for a second isn't taken for dead.
const relaxed = witnessed + "\nprofile = \"relaxed\""

// tutorialTable is what `cluster.file` makes of the kernel's table.
var tutorialTable = []string{
	"-A -t 192.168.0.105:80 -s rr",
	"-a -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 1",
	"-a -t 192.168.0.105:80 -r 192.168.0.102:80 -g -w 1",
	"-A -t 192.168.0.105:7 -s rr",
	"-a -t 192.168.0.105:7 -r 192.168.0.101:7 -g -w 1",
}

// newTrial takes a cluster that holds the tutorial's address.
func newTrial(c *cluster) *trial {
	return &trial{cluster: c, places: []place{{vip4, "eth0", "default"}}, table: tutorialTable, stalls: watchStalls(c.t)}
}

// begin begins the traffic, once a connection is known to the standby. It may be
// called again, with another address.
func (tr *trial) begin(url, echo string) {
	tr.t.Helper()
	tr.holds = append(tr.holds, tr.client.Hold("tcp", echo))
	time.Sleep(syncDelay)
	tr.loads = append(tr.loads, tr.client.Load(url))
}

// tutorialTraffic is begin for the tutorial's address.
func (tr *trial) tutorialTraffic() { tr.begin("http://192.168.0.105/", "192.168.0.105:7") }

// end ends the traffic: the held connections have lived through it all.
func (tr *trial) end() {
	tr.t.Helper()
	for _, l := range tr.loads {
		tr.t.Logf("%v", l.Stop())
	}
	for _, h := range tr.holds {
		if r := h.Stop(); r.Broken != nil {
			tr.t.Errorf("held connection: %v", r)
		}
	}
}

// await asks five times a second: an `ipvsd status` is dear in the lab.
func (tr *trial) await(what string, ok func() bool) {
	tr.t.Helper()
	for end := time.Now().Add(settleLimit); !ok(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			for _, l := range tr.lbs {
				if l.runs() {
					s, _ := tryOn(tr.t, l.host, "status", "--socket", l.socket())
					tr.t.Logf("%s: %v\n%s", l.name, l.host.Addrs("eth0"), s)
				}
			}
			tr.t.Fatalf("waited %v in vain for: %s", settleLimit, what)
		}
	}
}

// holds is whether the kernel of the director's host has an address.
func (l *lb) holds(p place) bool {
	return slices.ContainsFunc(l.host.Addrs(p.ifname), func(a netip.Prefix) bool { return a.Addr().String() == p.addr })
}

// runs is whether the director was started and has not ended.
func (l *lb) runs() bool { return l.proc != nil && l.proc.Running() }

// group is what a director says of a group; nothing while it doesn't run.
func (l *lb) group(name string) director.ClusterGroupStatus {
	l.t.Helper()
	if s := l.status(); s.Cluster != nil {
		for _, g := range s.Cluster.Groups {
			if g.Name == name {
				return g
			}
		}
	}
	return director.ClusterGroupStatus{}
}

// reload replaces the file and waits until the director has taken it.
func (l *lb) reload(file string) {
	l.t.Helper()
	before := l.status().Config.Reloads["ok"]
	l.hangUp(file)
	lab.Eventually(l.t, settleLimit, l.name+" took the file", func() bool { return l.status().Config.Reloads["ok"] > before })
}

// hangUp replaces the file and doesn't wait.
func (l *lb) hangUp(file string) {
	l.t.Helper()
	if err := os.WriteFile(l.config(), []byte(file), 0o644); err != nil {
		l.t.Fatal(err)
	}
	l.proc.Signal(syscall.SIGHUP)
}

// die is a machine's death: silence, and nothing of the process goes on.
func (l *lb) die() {
	l.host.Cut()
	l.proc.Kill()
}

// whole waits until all is well with exactly one holder, the same for all
// groups: each address is on it alone, every living director says so, has the
// whole table, and new connections are served. The code is why the holder has
// it; "" is not looked at.
func (tr *trial) whole(what, holder string, codes ...core.Code) {
	tr.t.Helper()
	where := map[string]string{}
	for _, p := range tr.places {
		where[p.group] = holder
	}
	tr.placed(what, where)
	gap := tr.stalls.take()
	for _, p := range tr.places {
		if len(codes) > 0 {
			tr.because(what, tr.lb(holder), p.group, gap, codes...)
		}
	}
	tr.served(what)
	tr.stalls.take()
}

// because looks at why a director has or hasn't a group, unless the lab was
// starved on the way.
func (tr *trial) because(what string, l *lb, group string, gap time.Duration, codes ...core.Code) {
	tr.t.Helper()
	g := l.group(group)
	switch {
	case slices.Contains(codes, core.Code(g.Code)) && g.Reason != "":
	case gap > starved:
		tr.t.Logf("%s: %s is %s for the reason %q (%s), with the lab starved for %v", what, l.name, g.State, g.Reason, g.Code, gap)
	default:
		tr.t.Errorf("%s: %s is %s for the reason %q (%s), want one of %v", what, l.name, g.State, g.Reason, g.Code, codes)
	}
}

// placed waits until each group's addresses are on the director that it has in
// where, and nowhere else.
func (tr *trial) placed(what string, where map[string]string) {
	tr.t.Helper()
	start := time.Now()
	tr.await(what+": every address is where it belongs, and every table whole", func() bool {
		for _, p := range tr.places {
			for _, l := range tr.lbs {
				if l.holds(p) != (l.name == where[p.group]) {
					return false
				}
			}
		}
		return !slices.ContainsFunc(tr.lbs, func(l *lb) bool { return l.runs() && !tr.agrees(l, where) })
	})
	tr.t.Logf("%s: %v has it, whole after %v", what, where, time.Since(start).Round(100*time.Millisecond))
}

// agrees is whether a director knows who holds what, and has the whole table.
func (tr *trial) agrees(l *lb, where map[string]string) bool {
	tr.t.Helper()
	s := l.status()
	if s.Cluster == nil || len(s.Cluster.Groups) == 0 {
		return false
	}
	for _, g := range s.Cluster.Groups {
		state := core.Standby.String()
		if where[g.Name] == l.name {
			state = core.Active.String()
		}
		if g.Holder != where[g.Name] || g.State != state {
			return false
		}
	}
	have := strings.Split(l.host.Run("ipvsadm", "-Sn"), "\n")
	for i := range have {
		have[i] = strings.TrimSpace(have[i])
	}
	return !slices.ContainsFunc(tr.table, func(line string) bool { return !slices.Contains(have, line) })
}

// served waits until clients are served again, and looks at the held connections.
func (tr *trial) served(what string) {
	tr.t.Helper()
	now := time.Now()
	for _, load := range tr.loads {
		if !load.WaitFor(func(r lab.Report) bool {
			return r.Servers["web1"].Last.After(now) || r.Servers["web2"].Last.After(now)
		}, settleLimit) {
			tr.t.Errorf("%s: no client is served any more: %v", what, load.Report())
		}
	}
	for _, hold := range tr.holds {
		if r := hold.Report(); r.Broken != nil {
			tr.t.Errorf("%s: held connection: %v", what, r)
		}
	}
}

// lb is the director of that name.
func (tr *trial) lb(name string) *lb {
	tr.t.Helper()
	for _, l := range tr.lbs {
		if l.name == name {
			return l
		}
	}
	tr.t.Fatalf("there is no director %s", name)
	return nil
}

// steady: during f nobody takes the address, and afterwards all is whole with
// the same holder. A lab that was itself starved for as long as makes a director
// suspect proves nothing: then f is done again.
func (tr *trial) steady(what string, f func()) {
	tr.t.Helper()
	holder := tr.lbs[0].group("default").Holder
	for range 5 {
		before := tr.term()
		tr.stalls.take()
		f()
		gap := tr.stalls.take()
		after := tr.term()
		if after == before {
			tr.whole(what, holder)
			return
		}
		if gap < starved {
			tr.t.Errorf("%s: the address moved: term %d, before %d", what, after, before)
			return
		}
		tr.t.Logf("%s: the address moved (term %d, before %d), but the lab itself stood still for %v: again", what, after, before, gap)
		tr.arrange(what+", again", map[string]string{"default": holder})
	}
	tr.t.Errorf("%s: the lab was starved again and again", what)
}

// term is the highest one that a director knows: who takes the address takes
// the next one.
func (tr *trial) term() (highest uint32) {
	tr.t.Helper()
	for _, l := range tr.lbs {
		highest = max(highest, l.group("default").Term)
	}
	return highest
}

// stalls measures for how long at most nothing ran in the lab.
type stalls struct {
	mu  sync.Mutex
	gap time.Duration // the longest one since the last look
}

func watchStalls(t *testing.T) *stalls {
	s := &stalls{}
	var wg sync.WaitGroup
	end := make(chan struct{})
	wg.Go(func() {
		const nap = 10 * time.Millisecond
		for last := time.Now(); ; {
			select {
			case <-end:
				return
			case <-time.After(nap):
			}
			now := time.Now()
			s.mu.Lock()
			s.gap = max(s.gap, now.Sub(last)-nap)
			s.mu.Unlock()
			last = now
		}
	})
	t.Cleanup(func() { close(end); wg.Wait() })
	return s
}

// take is the longest stall since it was called last.
func (s *stalls) take() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	gap := s.gap
	s.gap = 0
	return gap
}

// starved is a stall that may make a director suspect another: what happened
// then says nothing about directors.
const starved = 200 * time.Millisecond

// both is for how long at most two directors had an address at once, within d.
func (tr *trial) both(p place, d time.Duration) (longest time.Duration) {
	var began time.Time
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		n := 0
		for _, l := range tr.lbs {
			if l.holds(p) {
				n++
			}
		}
		switch {
		case n < 2:
			began = time.Time{}
		case began.IsZero():
			began = time.Now()
		default:
			longest = max(longest, time.Since(began))
		}
	}
	return longest
}

// logged waits until a director's log has all of the words in one line.
func (tr *trial) logged(l *lb, words ...string) {
	tr.t.Helper()
	tr.await(l.name+" logs "+strings.Join(words, " … "), func() bool {
		for line := range strings.Lines(l.proc.Output()) {
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
				return true
			}
		}
		return false
	})
}

// startTwo starts a tutorial's cluster with traffic.
func startTwo(t *testing.T, more string) *trial {
	t.Helper()
	tr := newTrial(newCluster(t, 2))
	tr.startAll(more)
	tr.tutorialTraffic()
	return tr
}
