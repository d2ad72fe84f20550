package handover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director/ipvs/syncd"
)

// fake is a machine that writes down what it was asked for.
type fake struct {
	mu   sync.Mutex
	own  []netip.Addr
	did  []string
	fail error
}

func (f *fake) note(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.did = append(f.did, fmt.Sprintf(format, args...))
	return f.fail
}

func (f *fake) Silence(addrs []netip.Addr) error { return f.note("silence %v", addrs) }

func (f *fake) Carry(_ context.Context, d syncd.Daemon, p *Pick) (int, error) {
	return len(p.vips), f.note("carry %d by %s", len(p.vips), d.Interface)
}

func (f *fake) Addrs() ([]netip.Addr, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.own, nil
}

var (
	vip1 = netip.MustParseAddr("192.0.2.100")
	vip2 = netip.MustParseAddr("2001:db8::100")
)

func run(t *testing.T, f func(t *testing.T, k *Keeper, sys *fake, did func(...string))) string {
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		sys := &fake{}
		k := New(Options{Log: slog.New(slog.NewTextHandler(&log, nil)), System: sys})
		k.Set(Settings{
			Sync:   syncd.Want{Interface: "eth0", SyncID: 1},
			Groups: map[string][]netip.Addr{"a": {vip1}, "b": {vip2}},
		})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- k.Run(ctx) }()
		synctest.Wait()
		f(t, k, sys, func(want ...string) {
			t.Helper()
			synctest.Wait()
			sys.mu.Lock()
			defer sys.mu.Unlock()
			if diff := cmp.Diff(want, sys.did); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			sys.did = nil
		})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return log.String()
}

func TestSuccessor(t *testing.T) {
	run(t, func(t *testing.T, k *Keeper, _ *fake, did func(...string)) {
		k.Tell("a", Away)
		k.Tell("b", Away)
		did("silence [192.0.2.100 2001:db8::100]")
		k.Tell("a", Taken)
		did()
		time.Sleep(hush)
		did("silence [2001:db8::100]")
		k.Tell("b", Ours) // its holder died: whoever is reset may connect anew at once
		did("silence []")
		k.Tell("b", Away)
		did("silence [2001:db8::100]")
	})
}

func TestPredecessor(t *testing.T) {
	run(t, func(t *testing.T, k *Keeper, _ *fake, did func(...string)) {
		k.Tell("a", Ours)
		did()
		k.Tell("a", Leaving)
		did("carry 1 by eth0")
		k.Tell("a", Away)
		did("carry 1 by eth0", "silence [192.0.2.100]")
		time.Sleep(again)
		did("carry 1 by eth0")
		time.Sleep(time.Minute)
		did()
		// A successor that answers after the offer was taken back.
		k.Tell("a", Ours)
		k.Tell("a", Leaving)
		k.Tell("a", Ours)
		did("carry 1 by eth0", "silence []")
		k.Tell("a", Away)
		did("carry 1 by eth0", "silence [192.0.2.100]")
	})
}

// A stop tells of what it gave away, though nobody waits for it.
func TestStop(t *testing.T) {
	var sys *fake
	run(t, func(t *testing.T, k *Keeper, s *fake, did func(...string)) {
		sys = s
		k.Tell("a", Leaving)
		did("carry 1 by eth0")
		k.Tell("a", Away)
	})
	if diff := cmp.Diff([]string{"carry 1 by eth0", "silence [192.0.2.100]", "silence []"}, sys.did); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A director that is a real server, too, sends resets of its own.
func TestRealServer(t *testing.T) {
	run(t, func(t *testing.T, k *Keeper, sys *fake, did func(...string)) {
		sys.own = []netip.Addr{vip1}
		k.Tell("a", Away)
		did()
		k.Tell("a", Taken)
		did()
	})
}

func TestWithoutSync(t *testing.T) {
	run(t, func(t *testing.T, k *Keeper, _ *fake, did func(...string)) {
		k.Set(Settings{Groups: map[string][]netip.Addr{"a": {vip1}}})
		k.Tell("a", Away)
		k.Tell("a", Leaving)
		k.Tell("a", Away)
		time.Sleep(time.Second)
		did()
	})
}

// What fails is told once and tried again at the next change.
func TestFailure(t *testing.T) {
	log := run(t, func(t *testing.T, k *Keeper, sys *fake, did func(...string)) {
		sys.fail = errors.New("no")
		k.Tell("a", Away)
		did("silence [192.0.2.100]")
		k.Tell("a", Away)
		did("silence [192.0.2.100]")
		sys.mu.Lock()
		sys.fail = nil
		sys.mu.Unlock()
		k.Tell("a", Away)
		did("silence [192.0.2.100]")
		k.Tell("a", Away)
		did()
	})
	if n := strings.Count(log, "can't be held back"); n != 1 {
		t.Errorf("told %d times:\n%s", n, log)
	}
}
