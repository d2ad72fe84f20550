// Package syncdlab tests package syncd in the lab: real kernel, real
// connections. It is a folder of its own because all tests of a binary run in
// the lab, where the fast ones of package syncd neither need nor want to be.
package syncdlab

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director/ipvs/syncd"
	"github.com/ipvsd/ipvsd/test/lab"
)

// envWant makes the test binary a director that keeps the daemons described in
// it, a syncd.Want in JSON.
const envWant = "SYNCDLAB_WANT"

func TestMain(m *testing.M) {
	if s := os.Getenv(envWant); s != "" {
		if err := keep(s); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	lab.Main(m)
}

// keep is the director: SIGTERM leaves the daemons, SIGINT releases them.
func keep(s string) error {
	var want syncd.Want
	if err := json.Unmarshal([]byte(s), &want); err != nil {
		return err
	}
	k := syncd.New(syncd.Options{Log: slog.New(slog.NewTextHandler(os.Stdout, nil))})
	k.Set(want)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	ctx, cancel := context.WithCancel(context.Background())
	run := make(chan error, 1)
	go func() { run <- k.Run(ctx) }()
	tick := time.NewTicker(100 * time.Millisecond)
	for last := ""; ; {
		select {
		case <-tick.C:
			s := k.Snapshot()
			line := fmt.Sprintf("status running=%v problems=%q repaired=%d %q", s.Running, s.Problems, s.Repaired, s.Repair)
			if line != last {
				fmt.Println(line)
			}
			last = line
		case sig := <-signals:
			var err error
			if sig == syscall.SIGINT {
				err = k.Release(context.Background())
			}
			cancel()
			if e := <-run; e != nil {
				return e
			}
			return err
		}
	}
}

// start starts a director on h.
func start(t *testing.T, h *lab.Host, want syncd.Want) *lab.Proc {
	t.Helper()
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	cmd := h.Command(context.Background(), os.Args[0])
	cmd.Env = append(os.Environ(), envWant+"="+string(b))
	return h.StartCmd(cmd)
}

// daemons are those that run on h, sorted by role.
func daemons(t *testing.T, h *lab.Host) []syncd.Daemon {
	t.Helper()
	var ds []syncd.Daemon
	if err := h.Do(func() (err error) { ds, err = syncd.List(); return err }); err != nil {
		t.Fatal(err)
	}
	return ds
}

// runs tells whether exactly the two daemons of want run on h and do work.
func runs(t *testing.T, h *lab.Host, want syncd.Want) func() bool {
	return func() bool {
		t.Helper()
		var have syncd.Have
		if err := h.Do(func() (err error) { have, err = syncd.Linux{}.Read(want); return err }); err != nil {
			t.Fatal(err)
		}
		return len(have.Running) == 2 && len(syncd.Plan(have, want)) == 0
	}
}

// mustRun waits for that.
func mustRun(t *testing.T, h *lab.Host, p *lab.Proc, want syncd.Want, timeout time.Duration) {
	t.Helper()
	ok := runs(t, h, want)
	for end := time.Now().Add(timeout); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: the daemons of %+v don't run within %v: %v\n%s", h.Name, want, timeout, daemons(t, h), p.Output())
		}
	}
}

// established are the connections of h's table in that state, by client port.
func established(t *testing.T, h *lab.Host) map[string]bool {
	t.Helper()
	conns := map[string]bool{}
	err := h.Do(func() error {
		b, err := os.ReadFile("/proc/thread-self/net/ip_vs_conn")
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 7 && f[7] == "ESTABLISHED" {
				conns[f[2]] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return conns
}
