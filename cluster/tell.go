package cluster

import (
	"context"
	"log/slog"
	"sync"
)

// teller writes log lines from a goroutine of its own: a full pipe or a slow
// journal must not hold up a failover.
type teller struct {
	last slog.Handler
	wake chan struct{}

	mu      sync.Mutex
	lines   []line
	dropped int
}

type line struct {
	to     slog.Handler
	record slog.Record
}

// maxLines wait; what comes then is counted and dropped.
const maxLines = 1000

func newTeller(h slog.Handler) *teller { return &teller{last: h, wake: make(chan struct{}, 1)} }

func (t *teller) handler() slog.Handler { return queued{t, t.last} }

// run writes until ctx ends, and then what is left.
func (t *teller) run(ctx context.Context) {
	for {
		t.write()
		select {
		case <-t.wake:
		case <-ctx.Done():
			t.write()
			return
		}
	}
}

func (t *teller) write() {
	t.mu.Lock()
	lines, dropped := t.lines, t.dropped
	t.lines, t.dropped = nil, 0
	t.mu.Unlock()
	ctx := context.Background()
	for _, l := range lines {
		_ = l.to.Handle(ctx, l.record)
	}
	if dropped > 0 {
		slog.New(t.last).Warn("log lines of the cluster were dropped", "lines", dropped)
	}
}

// queued is a handler that leaves its lines to a teller.
type queued struct {
	t *teller
	h slog.Handler
}

func (q queued) Enabled(ctx context.Context, l slog.Level) bool { return q.h.Enabled(ctx, l) }

func (q queued) Handle(_ context.Context, r slog.Record) error {
	q.t.mu.Lock()
	if len(q.t.lines) < maxLines {
		q.t.lines = append(q.t.lines, line{q.h, r.Clone()})
	} else {
		q.t.dropped++
	}
	q.t.mu.Unlock()
	poke(q.t.wake)
	return nil
}

func (q queued) WithAttrs(attrs []slog.Attr) slog.Handler { return queued{q.t, q.h.WithAttrs(attrs)} }

func (q queued) WithGroup(name string) slog.Handler { return queued{q.t, q.h.WithGroup(name)} }
