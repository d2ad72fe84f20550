package core

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// trial is one failure, begun at 6 s and over at 12 s.
type trial struct {
	name  string
	only  int // directors it needs; 0: any
	begin func(w *world)
	end   func(w *world)
}

func healed(w *world) { w.heal() }

var trials = []trial{
	{"the active machine dies, comes back", 0, func(w *world) { w.nodes[0].off() }, func(w *world) { w.nodes[0].powered = true; w.nodes[0].start() }},
	{"the active process is killed, starts again", 0, func(w *world) { w.nodes[0].kill() }, func(w *world) { w.nodes[0].start() }},
	{"the active process is frozen, goes on", 0, func(w *world) { w.thaw = w.nodes[0].freeze() }, func(w *world) { w.thaw() }},
	{"the active machine is frozen, goes on", 0, func(w *world) { w.thaw = w.nodes[0].freezeVM() }, func(w *world) { w.thaw() }},
	{"the active one is cut off, the others have the gateway", 0, func(w *world) { w.split(first, false) }, healed},
	{"the active one is cut off with the gateway", 0, func(w *world) { w.split(first, true) }, healed},
	{"the switch dies: all are cut off", 0, func(w *world) {
		for i := range w.nodes {
			w.split(func(j int) bool { return i == j }, false)
			w.gwDown[i] = true
		}
	}, healed},
	{"a standby is cut off", 0, func(w *world) { w.split(func(i int) bool { return i == w.plan.n-1 }, false) }, healed},
	{"only messages between active and standbys are lost", 0, func(w *world) {
		for i := 1; i < w.plan.n; i++ {
			w.cut[0][i], w.cut[i][0] = true, true
		}
	}, healed},
	{"the active one isn't heard, but hears", 0, func(w *world) {
		for i := 1; i < w.plan.n; i++ {
			w.cut[0][i] = true
		}
	}, healed},
	{"the active one doesn't hear, but is heard", 0, func(w *world) {
		for i := 1; i < w.plan.n; i++ {
			w.cut[i][0] = true
		}
	}, healed},
	{"one of two paths from the active one is cut", 3, func(w *world) { w.link(0, 1, true) }, healed},
	{"the gateway dies", 0, func(w *world) {
		for i := range w.gwDown {
			w.gwDown[i] = true
		}
	}, healed},
	{"only the active one loses the gateway", 0, func(w *world) { w.gwDown[0] = true }, healed},
	{"the active one has a hard fault", 0, func(w *world) { w.nodes[0].trouble(func(on bool) { w.nodes[0].fault = on }) }, func(w *world) {
		w.nodes[0].fault = false
		w.nodes[0].health()
	}},
	{"SIGTERM to the active one, starts again", 0, func(w *world) { w.nodes[0].step(Stop{}) }, func(w *world) { w.nodes[0].start() }},
}

func first(i int) bool { return i == 0 }

// outcome watches a trial.
type outcome struct {
	holders []string // in the order of change
	nobody  time.Duration
	two     time.Duration
}

func (o *outcome) watch(w *world, until time.Duration) {
	for w.now < until {
		w.run(w.now + ms(1))
		var names []string
		answering := 0
		for _, n := range w.nodes {
			n.expire(0)
			if n.live(0) {
				names = append(names, n.name)
			}
			if n.powered && !n.vm && n.addrs[0].present {
				answering++
			}
		}
		now := strings.Join(names, " and ")
		switch {
		case answering == 0:
			o.nobody += ms(1)
		case answering > 1:
			o.two += ms(1)
		}
		if now == "" {
			now = "nobody"
			if answering > 0 {
				now = "(kernel)"
			}
		}
		if len(o.holders) == 0 || o.holders[len(o.holders)-1] != now {
			o.holders = append(o.holders, now)
		}
	}
}

func (o *outcome) String() string {
	return strings.Join(o.holders, " → ")
}

// TestPartitions writes down what each policy does in each failure, with the
// simulator as the witness. The document is testdata/partitions.md.
func TestPartitions(t *testing.T) {
	var b strings.Builder
	b.WriteString("# What happens when\n\nWritten by `go test ./cluster/core -run TestPartitions -update`; a test keeps it true.\n" +
		"`lb1` has the highest priority and is active; each failure lasts 6 s, standard profile. *kernel*: the process is gone or\n" +
		"frozen, its kernel still answers. *Nobody*: no machine answers for the address. *Two*: two do, perhaps in parts of the\n" +
		"network that don't reach each other.\n")
	for _, m := range []struct {
		title string
		p     plan
	}{
		{"Two directors, `quorum = \"witness\"` (default), one gateway", plan{n: 2, quorum: Witness, witnesses: 1}},
		{"Two directors, `quorum = \"witness\"`, an isolated one drops", plan{n: 2, quorum: Witness, witnesses: 1, isolated: true}},
		{"Two directors, `quorum = \"none\"`", plan{n: 2, quorum: None}},
		{"Three directors, `quorum = \"majority\"` (default)", plan{n: 3, quorum: Majority}},
		{"Three directors, `quorum = \"none\"`", plan{n: 3, quorum: None}},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n| failure | who holds it | then, all well again | nobody | two |\n|---|---|---|---|---|\n", m.title)
		for _, tr := range trials {
			if tr.only > m.p.n {
				continue
			}
			m.p.timers, m.p.delay, m.p.startHold = Standard, ms(1), 3*time.Second
			prio := []int{110, 100, 90}
			m.p.prio = [][]int{prio[:m.p.n]}
			w := newWorld(3, m.p)
			w.log = &strings.Builder{}
			for _, n := range w.nodes {
				n.start()
			}
			w.run(5 * time.Second)
			for _, n := range w.nodes {
				if n.live(0) && n.i > 0 { // the first one got ready too late
					n.step(Failover{To: w.nodes[0].name})
				}
			}
			w.run(6 * time.Second)
			var during, after outcome
			w.check.touch(w)
			tr.begin(w)
			during.watch(w, 12*time.Second)
			w.check.touch(w)
			tr.end(w)
			after.watch(w, 22*time.Second)
			w.check.end(w)
			if w.check.failed != "" {
				t.Errorf("%s, %s: %s", m.title, tr.name, w.check.failed)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", tr.name, &during, &after,
				brief0(during.nobody+after.nobody), brief0(during.two+after.two))
		}
	}
	const file = "testdata/partitions.md"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != b.String() {
		t.Errorf("%s isn't what happens now (-update rewrites it):\n%s", file, b.String())
	}
}

func brief0(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return brief(d)
}
