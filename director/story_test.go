package director_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/intent"
	"github.com/ipvsd/ipvsd/director/journal"
	"github.com/ipvsd/ipvsd/director/kerneltest"
	"github.com/ipvsd/ipvsd/director/pool"
	"github.com/ipvsd/ipvsd/director/table"
)

// story is what a bench's journal has after a number: kind, text, and the steps.
func (b *bench) story(after uint64) []string {
	b.t.Helper()
	synctest.Wait()
	var out []string
	for _, e := range b.journal.Since(after, 0) {
		out = append(out, fmt.Sprintf("%s: %s", e.Kind, e.Text))
		for _, s := range e.Steps {
			out = append(out, "  "+s)
		}
		if e.Took < 0 || e.Time.IsZero() {
			b.t.Errorf("at %v, took %v: %s", e.Time, e.Took, e.Text)
		}
	}
	return out
}

// happens says what the journal has more after do.
func (b *bench) happens(what string, do func(), want ...string) {
	b.t.Helper()
	synctest.Wait()
	last := b.journal.Last()
	do()
	if diff := cmp.Diff(want, b.story(last)); diff != "" {
		b.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := webConfig(true)
		cfg.File = "/etc/ipvsd/ipvsd.toml"
		b := runBench(t, kerneltest.New(), cfg)
		if diff := cmp.Diff([]string{
			"daemon: ipvsd  started with /etc/ipvsd/ipvsd.toml and 1 virtual services.",
			"daemon: the kernel's table was programmed; 4 steps in the kernel.",
			"  -A -t 192.168.0.105:80 -s rr",
			"  -a -t 192.168.0.105:80 -r 127.0.0.1:80 -g -w 1",
			"  -a -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 0",
			"  -a -t 192.168.0.105:80 -r 192.168.0.102:80 -g -w 0",
		}, b.story(0)); diff != "" {
			t.Errorf("start (-want +got):\n%s", diff)
		}
		b.happens("first verdict", func() { b.checks.say(pair(web1), checker.Up, "status 200") },
			"verdict: 192.168.0.101:80 of web is up: status 200; weight 0 to 3.",
			"  -e -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 3",
			"weight: 127.0.0.1:80 of web: 192.168.0.101:80 is up; out of the kernel's table, where it had weight 1.",
			"  -e -t 192.168.0.105:80 -r 127.0.0.1:80 -g -w 0",
			"  -d -t 192.168.0.105:80 -r 127.0.0.1:80")
		b.happens("the last first verdict", func() { b.checks.say(pair(web2), checker.Down, "connection refused") },
			"verdict: 192.168.0.102:80 of web is down: connection refused.",
			"daemon: the director is ready: the kernel is programmed, and every real server has had its first verdict.")
		b.happens("nothing", func() { time.Sleep(time.Hour) })
		b.happens("the last one goes down", func() { b.checks.say(pair(web1), checker.Down, "status 503") },
			"verdict: 192.168.0.101:80 of web is down: status 503; weight 3 to 0.",
			"  -e -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 0",
			"virtual: web is served by its fallback 127.0.0.1:80: no real server is up.",
			"  -a -t 192.168.0.105:80 -r 127.0.0.1:80 -g -w 1")
		b.happens("and comes back", func() { b.checks.say(pair(web1), checker.Up, "status 200") },
			"verdict: 192.168.0.101:80 of web is up: status 200; weight 0 to 3.",
			"  -e -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 3",
			"virtual: web is served again: 1 of 2 real servers are up; 192.168.0.101:80 serves.",
			"  -e -t 192.168.0.105:80 -r 127.0.0.1:80 -g -w 0",
			"  -d -t 192.168.0.105:80 -r 127.0.0.1:80")
		b.happens("a foreign hand, each time again", func() {
			for range 5 {
				b.kernel.Do(context.Background(), []table.Step{{
					Op: table.EditReal, Service: table.Service{ServiceKey: webKey}, Real: table.Real{Addr: web1, Forward: table.DR, Weight: 99},
				}})
				time.Sleep(3 * time.Second)
			}
		},
			"drift: somebody else changed 192.168.0.101:80 of web in the kernel: weight 3 became weight 99; it was put right.",
			"  -e -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 3")
		b.happens("a flush", func() { b.kernel.Flush(); time.Sleep(3 * time.Second) },
			"drift: somebody else changed web in the kernel: scheduler rr with 2 real servers became missing; it was put right.",
			"  -A -t 192.168.0.105:80 -s rr",
			"  -a -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 3",
			"  -a -t 192.168.0.105:80 -r 192.168.0.102:80 -g -w 0")
		b.happens("the end", func() { _ = b.stop() }, "daemon: the director stopped; the kernel's table stays as it is.")
	})
}

func TestStoryOfPersons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := webConfig(true)
		cfg.Virtuals[0].Fallback = nil
		b := runBench(t, kerneltest.New(), cfg)
		b.checks.say(pair(web1), checker.Up, "status 200")
		b.checks.say(pair(web2), checker.Up, "status 200")
		wish := func(w intent.Wish) func() {
			return func() {
				o := director.OperatorWish{Wish: w, Real: "192.168.0.101:80", By: "alice", Reason: "new kernel"}
				if a := b.d.Operate(context.Background(), o); a.Error != "" {
					t.Error(a.Error)
				}
			}
		}
		host, err := os.Hostname()
		if err != nil {
			t.Fatal(err)
		}
		b.happens("drain", wish(intent.Drain),
			"operator: 192.168.0.101:80 of web is draining: drain by alice on "+host+": new kernel; weight 3 to 0.",
			"  -e -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 0")
		b.happens("its end", func() { time.Sleep(10 * time.Second) },
			"operator: 192.168.0.101:80 of web is drained: drain by alice on "+host+": new kernel; its connections have ended; out of the kernel's table, where it had weight 0.",
			"  -d -t 192.168.0.105:80 -r 192.168.0.101:80")
		b.happens("enable", wish(intent.Enable),
			"operator: 192.168.0.101:80 of web is no longer held back: enable by alice on "+host+": new kernel; into the kernel's table, with weight 3.",
			"  -a -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 3")
		b.happens("disable", wish(intent.Disable),
			"operator: 192.168.0.101:80 of web is disabled: disable by alice on "+host+": new kernel; out of the kernel's table, where it had weight 3.",
			"  -e -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 0",
			"  -d -t 192.168.0.105:80 -r 192.168.0.101:80")
	})
}

func TestStoryOfReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := webConfig(true)
		b := runBench(t, kerneltest.New(), cfg)
		b.checks.say(pair(web1), checker.Up, "status 200")
		b.checks.say(pair(web2), checker.Up, "status 200")
		b.happens("refused", func() {
			b.d.Refuse(context.Background(), errors.New("ipvsd.toml:3: unknown key\nipvsd.toml:7: no"), "SIGHUP")
		}, "reload: the file was read again (SIGHUP) and refused for 2 errors (ipvsd.toml:3: unknown key); the running one stays.")
		if e := b.journal.Since(b.journal.Last()-1, 0)[0]; e.After != journal.Refused || len(e.Details) != 2 {
			t.Errorf("the refused reload: %+v", e)
		}
		less := webConfig(true)
		less.File = "/etc/ipvsd/ipvsd.toml"
		less.Virtuals[0].Reals = less.Virtuals[0].Reals[:1]
		b.happens("taken", func() { b.d.Reload(context.Background(), less, "SIGHUP") },
			"reload: the file /etc/ipvsd/ipvsd.toml was read again (SIGHUP); it changes virtual web: real 192.168.0.102:80 removed; 2 steps in the kernel.",
			"  -e -t 192.168.0.105:80 -r 192.168.0.102:80 -g -w 0",
			"  -d -t 192.168.0.105:80 -r 192.168.0.102:80")
	})
}

func TestStoryOfPools(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := poolConfig(pool.Policy{SlowStart: 10 * time.Second})
		b := runBench(t, kerneltest.New(), cfg)
		b.checks.say(pair(web1), checker.Up, "status 200")
		b.checks.say(pair(web2), checker.Up, "status 200")
		b.checks.say(pair(web1), checker.Down, "status 503")
		synctest.Wait()
		last := b.journal.Last()
		b.checks.say(pair(web1), checker.Up, "status 200")
		time.Sleep(20 * time.Second)
		got := b.story(last)
		if len(got) != 4 || !strings.Contains(got[0], "slow start: 2s of 10s") || !strings.HasPrefix(got[2], "weight: 192.168.0.101:80 of web: its slow start is over; weight ") {
			t.Errorf("a slow start:\n%s", strings.Join(got, "\n"))
		}
	})
}

// TestStoryOfManyIsShort has more real servers change at once than anybody reads
// one by one.
func TestStoryOfManyIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := webConfig(true)
		v := &cfg.Virtuals[0]
		v.Reals = nil
		for i := range 300 {
			addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i / 200), byte(1 + i%200)}), 80)
			v.Reals = append(v.Reals, config.Real{Real: table.Real{Addr: addr, Forward: table.DR, Weight: 1}, Rise: 1, Fall: 1})
		}
		b := runBench(t, kerneltest.New(), cfg)
		last := b.journal.Last()
		for _, r := range v.Reals {
			b.checks.mu.Lock() // all before the loop is woken
			b.checks.status[checker.ID(pair(r.Addr).String())] = checker.Status{State: checker.Up, Percent: 100}
			b.checks.mu.Unlock()
		}
		b.checks.say(pair(v.Reals[0].Addr), checker.Up, "status 200")
		got := b.story(last)
		if len(got) > 60 || !strings.HasPrefix(got[0], "verdict: 300 real servers have new verdicts: 300 up, 0 down; 302 steps in the kernel.") {
			t.Errorf("%d lines:\n%s", len(got), strings.Join(got, "\n"))
		}
	})
}

// TestStoryOfARefusingKernel tells a failure once, however often it is tried.
func TestStoryOfARefusingKernel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := kerneltest.New()
		b := runBench(t, kernel, webConfig(true))
		b.checks.say(pair(web2), checker.Up, "status 200")
		var good atomic.Bool
		const step = "-e -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 3"
		b.happens("it refuses", func() {
			kernel.FailStep(func(table.Step) error {
				if !good.Load() {
					return errors.New("cosmic ray")
				}
				return nil
			})
			b.checks.say(pair(web1), checker.Up, "status 200")
			time.Sleep(time.Minute)
		},
			"verdict: 192.168.0.101:80 of web is up: status 200.",
			"kernel: the kernel's table isn't as wanted, which is tried again: 1 step of 1 failed: "+step+": "+step+": cosmic ray.",
			"daemon: the director is ready: the kernel is programmed, and every real server has had its first verdict.")
		b.happens("it takes it", func() { good.Store(true); time.Sleep(time.Minute) },
			"kernel: the kernel's table is as wanted again; 1 step in the kernel.",
			"  -e -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 3")
	})
}
