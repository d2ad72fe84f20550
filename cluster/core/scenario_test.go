package core

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata")

// TestScenarios plays the files in testdata: commands, a line of dashes, and
// what the cluster did. They are written to be read; -update rewrites them.
//
//	nodes N [quorum=…] [witnesses=N] [profile=…] [preempt] [priorities=100,50]   builds and starts them
//	run TIME                      lets time pass
//	kill | off | start | stop | freeze | thaw | freeze-machine | thaw-machine NODE
//	cut | cut-messages NODE NODE  both ways; cut-one-way: from the first to the second
//	isolate NODE · heal           from everything, the gateway too
//	gateway NODE up|down
//	fault | degrade NODE · well NODE
//	failover NODE [TO]            told to NODE
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := playFile(t, string(b))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(b) {
				t.Errorf("%s: not what happens now (-update rewrites it):\n%s", file, got)
			}
		})
	}
}

// playFile replaces the outputs of a scenario by what happens.
func playFile(t *testing.T, in string) string {
	var out strings.Builder
	var s script
	for _, block := range strings.Split(in, "\n\n") {
		var commands []string
		for _, line := range strings.Split(strings.TrimSpace(block), "\n") {
			if line == "----" {
				break
			}
			commands = append(commands, line)
		}
		if len(commands) == 0 || commands[0] == "" {
			continue
		}
		if out.Len() > 0 {
			out.WriteString("\n")
		}
		run := false
		for _, c := range commands {
			fmt.Fprintln(&out, c)
			if !strings.HasPrefix(c, "#") {
				s.do(t, strings.Fields(c))
				run = true
			}
		}
		if run {
			out.WriteString("----\n" + s.told())
		}
	}
	return out.String()
}

// script is a scenario under way.
type script struct {
	w    *world
	undo map[string]func()
}

func (s *script) do(t *testing.T, c []string) {
	t.Helper()
	if c[0] == "nodes" {
		s.build(t, c[1:])
		return
	}
	node := func(i int) *node {
		for _, n := range s.w.nodes {
			if i < len(c) && n.name == c[i] {
				return n
			}
		}
		t.Fatalf("%v: no such node", c)
		return nil
	}
	switch c[0] {
	case "run":
		d, err := time.ParseDuration(c[1])
		if err != nil {
			t.Fatal(err)
		}
		s.w.run(s.w.now + d)
	case "kill":
		node(1).kill()
	case "off":
		node(1).off()
	case "start":
		node(1).powered = true
		node(1).start()
	case "stop":
		node(1).step(Stop{})
	case "freeze":
		s.undo[c[1]] = node(1).freeze()
	case "freeze-machine":
		s.undo[c[1]] = node(1).freezeVM()
	case "thaw":
		s.undo[c[1]]()
		delete(s.undo, c[1])
	case "cut":
		s.w.link(node(1).i, node(2).i, true)
	case "cut-messages":
		s.w.cut[node(1).i][node(2).i], s.w.cut[node(2).i][node(1).i] = true, true
	case "cut-one-way":
		s.w.cut[node(1).i][node(2).i] = true
	case "isolate":
		i := node(1).i
		s.w.split(func(j int) bool { return i == j }, false)
	case "heal":
		s.w.heal()
	case "gateway":
		s.w.gwDown[node(1).i] = c[2] == "down"
	case "fault":
		node(1).trouble(func(on bool) { node(1).fault = on })
	case "degrade":
		node(1).trouble(func(on bool) { node(1).weight = 20 })
	case "well":
		node(1).fault, node(1).weight = false, 0
		node(1).health()
	case "failover":
		f := Failover{ID: 1}
		if len(c) > 2 {
			f.To = c[2]
		}
		node(1).step(f)
	default:
		t.Fatalf("%v: no such command", c)
	}
}

func (s *script) build(t *testing.T, args []string) {
	n, _ := strconv.Atoi(args[0])
	p := plan{n: n, timers: Standard, delay: ms(1), startHold: 3 * time.Second}
	p.quorum = [...]Policy{None, Witness, Majority}[min(n, 3)-1]
	prio := make([]int, n)
	for i := range prio {
		prio[i] = 100
	}
	for _, a := range args[1:] {
		key, value, _ := strings.Cut(a, "=")
		switch key {
		case "quorum":
			p.quorum = Policy(value)
		case "witnesses":
			p.witnesses, _ = strconv.Atoi(value)
		case "profile":
			p.timers, _ = Profile(value)
		case "preempt":
			p.preempt = true
		case "priorities":
			for i, v := range strings.Split(value, ",") {
				prio[i], _ = strconv.Atoi(v)
			}
		default:
			t.Fatalf("nodes: %s?", a)
		}
	}
	p.prio = [][]int{prio}
	s.w, s.undo = newWorld(1, p), make(map[string]func())
	s.w.log = &strings.Builder{}
	for i, n := range s.w.nodes {
		s.w.at(ms(10*i), n.start)
	}
}

// told is what happened since it was asked last.
func (s *script) told() string {
	out := s.w.log.String()
	s.w.log.Reset()
	var b strings.Builder
	for _, line := range strings.Split(out, "\n") {
		if line = strings.TrimRight(strings.TrimPrefix(line, " "), " "); line != "" {
			b.WriteString(strings.ReplaceAll(line, " g1: ", ": ") + "\n")
		}
	}
	if s.w.check.failed != "" {
		b.WriteString("violated: " + s.w.check.failed + "\n")
	}
	return b.String()
}
