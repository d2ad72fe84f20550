package cluster

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
)

// stuck is a log that nobody reads.
type stuck struct{ free chan struct{} }

func (s stuck) Write(b []byte) (int, error) { <-s.free; return len(b), nil }

// A log that hangs holds nobody up.
func TestStuckLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		tell := newTeller(slog.NewTextHandler(stuck{free}, nil))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); tell.run(ctx) }()
		log := slog.New(tell.handler()).With("node", "lb1")
		log.Info("the line that hangs")
		synctest.Wait()
		for range 3 * maxLines {
			log.Error("something", "err", errors.New("bad"))
		}
		tell.mu.Lock()
		if tell.dropped == 0 || len(tell.lines) > maxLines {
			t.Errorf("%d lines wait, %d dropped", len(tell.lines), tell.dropped)
		}
		tell.mu.Unlock()
		close(free)
		cancel()
		<-done
	})
}

func TestTellerKeepsAttributes(t *testing.T) {
	var b syncBuffer
	tell := newTeller(slog.NewTextHandler(&b, nil))
	slog.New(tell.handler()).With("node", "lb1").WithGroup("g").Info("hello", "a", 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tell.run(ctx)
	if !strings.Contains(b.String(), `msg=hello node=lb1 g.a=1`) {
		t.Error(b.String())
	}
}
