package vip

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// rig is a keeper that runs on a fake kernel in a synctest bubble.
type rig struct {
	*Keeper
	kernel *fakeKernel
	log    *syncBuffer
	stop   func() // ends Run and waits for it
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newRig(t *testing.T, k *fakeKernel) *rig {
	log := &syncBuffer{}
	r := &rig{Keeper: New(Options{Logger: slog.New(slog.NewTextHandler(log, nil)), system: k}), kernel: k, log: log}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
	t.Cleanup(r.stop)
	return r
}

func (r *rig) wantAddrs(t *testing.T, addrs ...string) {
	t.Helper()
	synctest.Wait()
	if diff := cmp.Diff(append([]string{}, addrs...), r.kernel.addrs()); diff != "" {
		t.Fatalf("addresses (-want +got):\n%s", diff)
	}
}

func (r *rig) wantStatus(t *testing.T, addr string, state State, err string) Status {
	t.Helper()
	synctest.Wait()
	for _, s := range r.Snapshot() {
		if s.Addr.Addr() == netip.MustParseAddr(addr) {
			if s.State != state || s.Err != err {
				t.Fatalf("%s is %q, error %q; want %q, %q", addr, s.State, s.Err, state, err)
			}
			return s
		}
	}
	t.Fatalf("%s is not in the snapshot %v", addr, r.Snapshot())
	return Status{}
}
