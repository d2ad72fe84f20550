package syncd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director/ipvs/syncd"
	"github.com/ipvsd/ipvsd/director/ipvs/syncd/syncdtest"
)

var want = syncd.Want{Interface: "eth0", SyncID: 1, ManageSysctl: true}

const (
	startM, stopM = "--start-daemon master --mcast-interface eth0 --syncid 1", "--stop-daemon master"
	startB, stopB = "--start-daemon backup --mcast-interface eth0 --syncid 1", "--stop-daemon backup"
)

// rig is a keeper that runs on a kernel in memory.
type rig struct {
	*syncd.Keeper
	kernel *syncdtest.Fake
	log    *buffer
	stop   func() // ends Run and waits for it
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func run(t *testing.T, f func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{kernel: syncdtest.NewFake(), log: &buffer{}}
		r.kernel.AddLink("eth0", "192.0.2.1/24")
		r.Keeper = syncd.New(syncd.Options{Log: slog.New(slog.NewTextHandler(r.log, nil)), Kernel: r.kernel})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		r.stop = sync.OnceFunc(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		defer r.stop()
		f(t, r)
	})
}

// took checks the steps since the last time.
func (r *rig) took(t *testing.T, steps ...string) {
	t.Helper()
	synctest.Wait()
	if diff := cmp.Diff(steps, r.kernel.Took()); diff != "" {
		t.Fatalf("steps (-want +got):\n%s", diff)
	}
}

func (r *rig) problems(t *testing.T, ps ...string) {
	t.Helper()
	synctest.Wait()
	if diff := cmp.Diff(ps, r.Snapshot().Problems); diff != "" {
		t.Fatalf("problems (-want +got):\n%s", diff)
	}
}

// foreign does what another program does.
func (r *rig) foreign(t *testing.T, steps ...syncd.Step) {
	t.Helper()
	for _, s := range steps {
		if err := r.kernel.Do(s); err != nil {
			t.Fatal(err)
		}
	}
	r.kernel.Took()
}

func TestContract(t *testing.T) { syncdtest.Contract(t, syncdtest.NewFake()) }

func TestNothingBeforeSet(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		time.Sleep(time.Hour)
		if n := r.kernel.Reads(); n > 0 {
			t.Errorf("read %d times", n)
		}
		r.Set(syncd.Want{}) // whose daemons there may be is unknown
		time.Sleep(time.Hour)
		r.took(t)
		r.Set(want)
		r.took(t, startB, startM)
		r.problems(t)
		if n := len(r.Snapshot().Running); n != 2 {
			t.Errorf("%d run", n)
		}
		reads := r.kernel.Reads()
		time.Sleep(time.Minute)
		if n := r.kernel.Reads() - reads; n < 5 || n > 7 {
			t.Errorf("read %d times in a minute", n)
		}
		r.stop()
		r.took(t)
	})
}

func TestAdoption(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		for _, role := range []syncd.Role{syncd.Master, syncd.Backup} {
			r.foreign(t, syncd.Step{Op: syncd.Start, Daemon: want.Daemon(role)})
		}
		r.Set(want)
		r.took(t)
		r.problems(t)
	})
}

func TestForeignHandIsRepaired(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		r.Set(want)
		r.took(t, startB, startM)
		other := want
		other.SyncID = 7
		r.foreign(
			t,
			syncd.Step{Op: syncd.Stop, Daemon: want.Daemon(syncd.Backup)},
			syncd.Step{Op: syncd.Stop, Daemon: want.Daemon(syncd.Master)},
			syncd.Step{Op: syncd.Start, Daemon: other.Daemon(syncd.Master)},
		)
		time.Sleep(10 * time.Second)
		r.took(t, startB, stopM, startM)
		s := r.Snapshot()
		if s.Repaired != 2 || s.Repair != "has sync id 7, not 1" {
			t.Errorf("repaired %d times, the last because it %s", s.Repaired, s.Repair)
		}
		if !strings.Contains(r.log.String(), `before="master --mcast-interface eth0 --syncid 7`) {
			t.Errorf("the log doesn't name what was replaced:\n%s", r.log)
		}
	})
}

func TestInterfaceMadeAnew(t *testing.T) {
	for _, blind := range []bool{false, true} {
		t.Run(fmt.Sprintf("blind=%v", blind), func(t *testing.T) {
			run(t, func(t *testing.T, r *rig) {
				if blind {
					r.kernel.Blind()
				}
				r.Set(want)
				r.took(t, startB, startM)
				time.Sleep(time.Minute)
				r.kernel.DelLink("eth0")
				time.Sleep(time.Second)
				r.problems(t, "there is no interface eth0")
				r.took(t)
				r.kernel.AddLink("eth0", "192.0.2.1/24")
				time.Sleep(time.Second)
				r.took(t, stopB, startB, stopM, startM)
				r.problems(t)
				if got := r.Snapshot().Repair; got != "interface eth0 was made anew" {
					t.Errorf("reason %q", got)
				}
				// So fast that nobody saw it missing.
				r.kernel.DelLink("eth0")
				r.kernel.AddLink("eth0", "192.0.2.1/24")
				time.Sleep(time.Second)
				r.took(t, stopB, startB, stopM, startM)
				time.Sleep(time.Hour)
				r.took(t)
			})
		})
	}
}

func TestAddresses(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		const none = "interface eth0 has no IPv4 address: the kernel can't send connections from it, and wouldn't say so"
		r.kernel.AddLink("eth0")
		r.Set(want)
		r.problems(t, none)
		r.took(t)
		r.kernel.AddLink("eth0", "192.0.2.1/24")
		time.Sleep(time.Second)
		r.took(t, startB, startM)
		// A lease that ends and comes back is no reason to restart.
		r.kernel.AddLink("eth0")
		time.Sleep(time.Minute)
		r.problems(t, none)
		r.kernel.AddLink("eth0", "192.0.2.1/24")
		time.Sleep(time.Second)
		r.took(t)
		r.problems(t)
		r.kernel.AddLink("eth0", "192.0.2.2/24", "192.0.2.1/24")
		time.Sleep(time.Second)
		r.took(t)
		r.kernel.AddLink("eth0", "192.0.2.2/24")
		time.Sleep(time.Second)
		r.took(t, stopM, startM)
		r.kernel.SetDown("eth0")
		time.Sleep(time.Second)
		r.problems(t, "interface eth0 is down")
	})
}

// Events come in heaps: hundreds of addresses move at once.
func TestEventsAreLookedAtTogether(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		r.Set(want)
		synctest.Wait()
		reads := r.kernel.Reads()
		for range 1000 {
			r.kernel.AddLink("eth1", "198.51.100.1/24")
			time.Sleep(time.Millisecond)
		}
		if n := r.kernel.Reads() - reads; n > 5 {
			t.Errorf("read %d times in a second", n)
		}
	})
}

func TestBackupOnly(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		r.kernel.SetBackupOnly(true)
		const set0 = "sysctl -w net.ipv4.vs.backup_only=0"
		r.Set(want)
		r.took(t, set0, startB, startM)
		r.kernel.SetBackupOnly(true)
		time.Sleep(10 * time.Second)
		r.took(t, set0)
		careful := want
		careful.ManageSysctl = false
		r.Set(careful)
		r.took(t)
		r.kernel.SetBackupOnly(true)
		time.Sleep(10 * time.Second)
		r.took(t, stopB)
		if ps := r.Snapshot().Problems; len(ps) != 1 || !strings.HasPrefix(ps[0], "net.ipv4.vs.backup_only is 1") {
			t.Errorf("problems %q", ps)
		}
	})
}

// Whichever step fails, the other role goes on and all is well in the end.
func TestFailures(t *testing.T) {
	for k := range 4 {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			run(t, func(t *testing.T, r *rig) {
				synctest.Wait()
				for _, role := range []syncd.Role{syncd.Backup, syncd.Master} {
					other := want
					other.SyncID = 9
					r.foreign(t, syncd.Step{Op: syncd.Start, Daemon: other.Daemon(role)})
				}
				n := 0
				r.kernel.Fail(func(s syncd.Step) error {
					if n++; n-1 == k {
						return errors.New("out of memory")
					}
					return nil
				}, nil)
				r.Set(want)
				synctest.Wait()
				s := r.Snapshot()
				if len(s.Problems) != 1 || !strings.HasSuffix(s.Problems[0], ": out of memory") {
					t.Errorf("problems %q", s.Problems)
				}
				if done := r.kernel.Took(); len(done) < 2 {
					t.Errorf("done: %q", done)
				}
				time.Sleep(time.Second)
				r.problems(t)
				if s := r.Snapshot(); len(s.Running) != 2 || s.Running[0].SyncID != 1 || s.Running[1].SyncID != 1 {
					t.Errorf("running %v", s.Running)
				}
				if strings.Count(r.log.String(), "out of memory") != 1 {
					t.Errorf("log:\n%s", r.log)
				}
			})
		})
	}
}

func TestBackoff(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		r.kernel.Fail(nil, errors.New("the kernel has no IPVS"))
		r.Set(want)
		time.Sleep(65 * time.Second)
		if n := r.kernel.Reads(); n < 8 || n > 10 {
			t.Errorf("read %d times", n)
		}
		r.problems(t, "the kernel has no IPVS")
		r.kernel.Fail(nil, nil)
		time.Sleep(10 * time.Second)
		r.took(t, startB, startM)
		r.problems(t)
	})
}

func TestNoLongerWanted(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		r.Set(want)
		r.took(t, startB, startM)
		r.Set(syncd.Want{})
		r.took(t, stopB, stopM)
		// What another program starts now is left alone.
		r.foreign(t, syncd.Step{Op: syncd.Start, Daemon: want.Daemon(syncd.Master)})
		time.Sleep(time.Hour)
		r.took(t)
		r.Set(want)
		r.took(t, startB)
	})
}

func TestRelease(t *testing.T) {
	for _, running := range []bool{true, false} {
		run(t, func(t *testing.T, r *rig) {
			r.Set(want)
			r.took(t, startB, startM)
			if !running {
				r.stop()
			}
			r.kernel.Fail(func(syncd.Step) error { return errors.New("busy") }, nil)
			if err := r.Release(t.Context()); err == nil || err.Error() != "--stop-daemon backup: busy\n--stop-daemon master: busy" {
				t.Errorf("Release: %v", err)
			}
			r.kernel.Fail(nil, nil)
			if err := r.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.took(t, stopB, stopM)
			time.Sleep(time.Hour)
			r.took(t)
			if s := r.Snapshot(); len(s.Running)+len(s.Problems) > 0 {
				t.Errorf("snapshot after Release: %+v", s)
			}
		})
	}
}

func TestPing(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		synctest.Wait()
		if err := r.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		r.stop()
		if err := r.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestSnapshotIsACopy(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		r.Set(want)
		synctest.Wait()
		slices.Reverse(r.Snapshot().Running)
		if got := r.Snapshot().Running[0].Role; got != syncd.Master {
			t.Errorf("the first is the %s", got)
		}
	})
}
