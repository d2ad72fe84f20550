package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// mixedFive are 500 real servers behind ten virtual services with three kinds
// of checks, at 2 s.
var mixedFive = plan{virtuals: 10, reals: 50, check: mixed, interval: 2 * time.Second, timeout: 2 * time.Second}

// keeping is how a daemon keeps up with its checks.
type keeping struct {
	name string
	arrivals
	servers  int
	perCheck time.Duration // CPU of the whole lab, less what it uses idle
	rate     float64       // checks in a second
	memory   float64       // MB, of all its processes
}

// late is how much later than their turn all but one of a hundred checks came;
// where nobody was checked twice, the longest wait.
func (k keeping) late() time.Duration {
	gap := cmp.Or(k.P99, k.Max)
	return max(time.Duration(gap*float64(time.Second))-mixedFive.interval, 0)
}

// benchMixed has the directors check the same real servers, ldirectord a few of them; how punctually is
// measured at the servers.
func benchMixed(b *bench) {
	s := b.site()
	used, from := b.labCPU()
	time.Sleep(3 * time.Second)
	more, to := b.labCPU()
	idle := (more - used).Seconds() / to.Sub(from).Seconds()

	// Each step of ldirectord's is a process, which takes a tenth of a second
	// here: with 500 real servers it has not finished its start after two minutes.
	const slow = 60 * time.Second
	few := mixedFive
	few.reals = 2
	forking := few
	forking.fork = true
	ours := s.keeps("ipvsd", s.ipvsd, mixedFive, idle, 12*time.Second)
	peers := []keeping{
		s.keeps("keepalived", s.keepalived, mixedFive, idle, 12*time.Second),
		s.keeps("ldirectord fork", s.ldirectord, forking, idle, slow),
		s.keeps("ldirectord", s.ldirectord, few, idle, slow),
	}
	k := peers[0]
	b.report.row(row{
		what: "500 real servers, mixed checks at 2 s: CPU of one", ours: ms(ours.perCheck), peer: k.name + " " + ms(k.perCheck),
		ratio: quotient(ours.perCheck, k.perCheck),
	})
	for _, k := range append([]keeping{ours}, peers...) {
		b.report.note("%s: %.0f checks/s of %d wanted, %s late (p99), a server unchecked for %.1f s at most, %d of %d reached, %.0f MB",
			k.name, k.rate, k.servers/2, ms(k.late()), k.Max, k.Asked, k.servers, k.memory)
	}
}

// keeps starts a daemon and the node's servers, lets it settle, watches it, and
// ends all.
func (s *site) keeps(name string, start func(plan) *lab.Proc, plan plan, idle float64, settle time.Duration) keeping {
	const span = 24 * time.Second
	answers := s.answer()
	p := start(plan)
	time.Sleep(settle)
	if !p.Running() {
		s.b.stage.Fatalf("%s has ended:\n%s", name, p.Output())
	}
	s.arrivals()
	before, from := s.b.labCPU()
	time.Sleep(span)
	after, to := s.b.labCPU()
	k := keeping{name: name, arrivals: s.arrivals(), servers: plan.virtuals * plan.reals}
	_, k.memory = memory(p.PID())
	took := to.Sub(from).Seconds()
	if k.Checks == 0 {
		s.b.stage.Fatalf("%s has checked nothing:\n%s", name, p.Output())
	}
	k.rate = float64(k.Checks) / took
	k.perCheck = (after - before - time.Duration(idle*took*float64(time.Second))) / time.Duration(k.Checks)
	s.end(p)
	s.b.stop(answers)
	return k
}

// answer starts the node's servers.
func (s *site) answer() *lab.Proc {
	exe, err := os.Executable()
	s.b.stage.must(err)
	p := s.node.Start(exe, "answer")
	s.awaitPort(81)
	return p
}

// arrivals asks the node who was checked since the last question.
func (s *site) arrivals() arrivals {
	conn, err := s.node.Dial("tcp", "127.0.0.1:81", 10*time.Second)
	s.b.stage.must(err)
	defer conn.Close()
	var a arrivals
	if err := json.NewDecoder(conn).Decode(&a); err != nil {
		s.b.stage.must(fmt.Errorf("ask the node: %v", err))
	}
	return a
}
