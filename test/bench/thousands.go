package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ipvsd/ipvsd/checker"
)

// mix is how twenty real servers are checked.
var mix = []string{
	"http", "connect", "http", "smtp", "http", "dns", "http", "connect", "http", "redis",
	"http", "connect", "http", "smtp", "http", "pop", "connect", "imap", "https", "udp",
}

const (
	thousands = 10_000
	every     = 2 * time.Second
	thirty    = 30 * time.Second
)

// spec is a check of a protocol.
func mixedSpec(protocol string, target netip.AddrPort) checker.Spec {
	s := checker.Spec{Type: checker.Type(protocol), Protocol: "tcp", Target: target, Interval: every, Timeout: every}
	switch protocol {
	case "http", "https":
		s.Request, s.Receive, s.Insecure = page, "Test Page", protocol == "https"
	case "dns":
		s.Protocol, s.Request = "udp", "www.example.org"
	case "udp":
		s.Protocol, s.Send, s.Expect = "udp", "ping", "^ping"
	}
	return s
}

// outcomes is what the process "checks" says at its end.
type outcomes struct {
	Checks, Bad   int
	Reason        string  // of a bad one
	P50, P99, Max float64 // how much later or sooner than the interval, in seconds
	CPU           float64 // of one processor
	RSS           float64 // at its highest, in MB
}

// checks is a process that checks thousands of real servers on one processor,
// as the director does, and tells how that went.
func checks(args []string) {
	var ports map[string]uint16
	if err := json.Unmarshal([]byte(args[0]), &ports); err != nil {
		fmt.Fprintf(os.Stderr, "checks: %v\n", err)
		os.Exit(1)
	}
	debug.SetGCPercent(50) // as the daemon has it
	var mu sync.Mutex
	var late []time.Duration
	out, from := outcomes{}, time.Time{}
	last := map[checker.ID]time.Time{}
	c := checker.New(checker.Options{Observe: func(id checker.ID, r checker.Result) {
		mu.Lock()
		defer mu.Unlock()
		if !r.OK {
			out.Bad++
			out.Reason = r.Reason
		}
		if before := last[id]; !from.IsZero() && before.After(from) {
			late = append(late, (r.Start.Sub(before) - every).Abs())
		}
		last[id] = r.Start
	}})
	watches := make([]checker.Watch, thousands)
	for i := range watches {
		protocol := mix[i%len(mix)]
		target := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i / 250), byte(i%250 + 1)}), ports[protocol])
		watches[i] = checker.Watch{ID: checker.ID(fmt.Sprintf("192.0.2.1:%d/tcp %s", i%1000, target)), Spec: mixedSpec(protocol, target)}
	}
	c.Set(watches)
	ctx, cancel := context.WithTimeout(context.Background(), 3*every+thirty)
	defer cancel()
	before := 0 * time.Second
	time.AfterFunc(3*every, func() {
		mu.Lock()
		defer mu.Unlock()
		from, before, out = time.Now(), cpu(os.Getpid()), outcomes{}
	})
	_ = c.Run(ctx)
	out.CPU = (cpu(os.Getpid()) - before).Seconds() / time.Since(from).Seconds()
	_, out.RSS = memory(os.Getpid())
	out.Checks = len(late)
	if slices.Sort(late); len(late) > 0 {
		out.P50, out.P99, out.Max = late[len(late)/2].Seconds(), late[len(late)*99/100].Seconds(), late[len(late)-1].Seconds()
	}
	_ = json.NewEncoder(os.Stdout).Encode(out)
}

// benchThousands runs on this machine itself, without a lab: the checks have
// one processor, what answers them the others.
func benchThousands(r *report) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	server := exec.Command("taskset", "-c", "1-"+strconv.Itoa(max(runtime.NumCPU()-1, 1)), exe, "answer", "lo")
	if runtime.NumCPU() == 1 {
		server = exec.Command(exe, "answer", "lo")
	}
	server.Stderr = os.Stderr
	stdin, err := server.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	defer func() { _ = stdin.Close(); _ = server.Wait() }()
	ports, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the server of the checks: %v", err)
	}
	client := exec.Command("taskset", "-c", "0", exe, "checks", ports)
	client.Stderr = os.Stderr
	text, err := client.Output()
	if err != nil {
		return fmt.Errorf("the checks: %v", err)
	}
	var o outcomes
	if err := json.Unmarshal(text, &o); err != nil {
		return err
	}
	if o.Bad > 0 {
		r.note("%d of %d checks failed: %s", o.Bad, o.Checks, o.Reason)
	}
	all := float64(o.Checks) / thousands / (thirty.Seconds()/every.Seconds() - 1) // the first turn of each is counted from its end
	p99 := time.Duration(o.P99 * float64(time.Second))
	r.row(row{
		what: "10,000 real servers, mixed, at 2 s on one core: late, p99", ours: ms(p99), bar: "≤ 100 ms", pass: p99 <= 100*time.Millisecond && all > 0.99 && o.Bad == 0,
	})
	r.note("late by %s (median), %s (most); %.1f %% of the turns were taken", ms(time.Duration(o.P50*float64(time.Second))), ms(time.Duration(o.Max*float64(time.Second))), 100*all)
	r.row(row{what: "  CPU of one core", ours: fmt.Sprintf("%.0f %%", 100*o.CPU), bar: "< 100 %", pass: o.CPU < 1})
	r.row(row{what: "  memory of the checks", ours: fmt.Sprintf("%.0f MB", o.RSS), bar: "≤ 150 MB", pass: o.RSS <= 150})
	return nil
}
