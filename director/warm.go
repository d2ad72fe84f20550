package director

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/ipvsd/ipvsd/cluster/gossip"
	"github.com/ipvsd/ipvsd/director/ipvs/syncd"
)

// A director that was away has an empty table of connections. With preempt =
// true it asks for its role back once the kernel's synchronisation has brought
// most of what the holder has, or after a time in which it should have: a
// connection without traffic is never told.
const (
	warmCap    = time.Minute
	warmEnough = 0.9
	warmEvery  = 2 * time.Second
	lagEvery   = 30 * time.Second // where only status wants to know: it costs both a look at the whole table
	warmAsk    = time.Second
)

// askConnections asks another director for its connections.
const askConnections = 'c'

// warmth finds out how much of the holders' connections is known here, and when
// that is enough. Its goroutine is that of run; it asks often only while the file
// says preempt and the cap hasn't passed.
type warmth struct {
	log     *slog.Logger
	preempt func() bool
	synced  func() (wanted, running bool)
	holders func() []string // other directors that hold addresses
	ask     func(ctx context.Context, director string) (connections, error)
	own     func(ctx context.Context) (connections, error)
	warmed  func()

	why atomic.Pointer[string]    // it isn't warm yet
	lag atomic.Pointer[SyncKnown] // as of the last look; nil: nothing to compare
}

func (m *Member) newWarmth() *warmth {
	return &warmth{
		log:     m.log,
		preempt: func() bool { return m.cfg.Load().Cluster.Preempt },
		synced: func() (bool, bool) {
			s := m.sync.Snapshot()
			return syncWant(m.cfg.Load()) != syncd.Want{}, len(s.Running) == 2 && len(s.Problems) == 0
		},
		holders: m.otherHolders,
		ask:     m.askConnections,
		own: func(ctx context.Context) (c connections, err error) {
			have, err := readConnections(ctx, m.records.read, m.cfg.Load())
			for pair, counters := range have {
				c[bucketOf(pair)] += counters.Active
			}
			return c, err
		},
		warmed: func() { m.node.Warmed() },
	}
}

// otherHolders are the other directors that hold addresses.
func (m *Member) otherHolders() []string {
	var out []string
	for _, p := range m.node.Snapshot().Members {
		if !p.Self && len(p.Active) > 0 && p.State == gossip.Alive.String() {
			out = append(out, p.Name)
		}
	}
	return out
}

func (m *Member) askConnections(ctx context.Context, director string) (connections, error) {
	ctx, cancel := context.WithTimeout(ctx, warmAsk)
	defer cancel()
	b, err := m.Ask(ctx, director, []byte{askConnections})
	if err != nil {
		return connections{}, err
	}
	return decodeConnections(b)
}

// answer is what another director is told. It runs in the one goroutine of
// gossip that answers.
func (m *Member) answer(ctx context.Context, _ string, question []byte) []byte {
	if len(question) > 0 && question[0] == askIntents {
		if answer := m.intents.Load(); answer != nil {
			return (*answer)(ctx, question)
		}
	}
	if len(question) == 0 || question[0] != askConnections {
		return nil
	}
	c, err := m.records.look(ctx, m.cfg.Load())
	if err != nil {
		m.log.Warn("another director asks for our connections, which can't be read", "err", err)
		return nil
	}
	return c.encode()
}

// run returns when ctx ends.
func (w *warmth) run(ctx context.Context) error {
	began, warm := time.Now(), false
	var looked time.Time
	tick := time.NewTicker(warmEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		urgent := !warm && w.preempt() && time.Since(began) < warmCap
		if urgent || time.Since(looked) >= lagEvery {
			holders := w.holders()
			enough := w.look(ctx, holders)
			if len(holders) > 0 { // else there was nothing to read
				looked = time.Now()
			}
			if urgent && enough {
				warm = true
				w.log.Info("the synced connections have arrived", "after", time.Since(began).Round(time.Millisecond).String())
				w.warmed()
			}
		}
		if !urgent || warm {
			w.why.Store(nil)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return nil
}

// look is whether this director knows the connections of all holders.
func (w *warmth) look(ctx context.Context, holders []string) bool {
	not := func(format string, args ...any) bool {
		text := fmt.Sprintf("preempt waits, %v at most: ", warmCap) + fmt.Sprintf(format, args...)
		w.why.Store(&text)
		return false
	}
	w.lag.Store(nil)
	wanted, running := w.synced()
	switch {
	case !wanted:
		return true // nothing will ever come
	case len(holders) == 0:
		w.why.Store(nil) // nobody to take it from
		return false
	case !running:
		return not("the kernel's connection sync isn't running yet")
	}
	own, err := w.own(ctx)
	if err != nil {
		return not("the connections here can't be counted: %v", err)
	}
	worst := SyncKnown{Share: 1, Holder: holders[0]}
	defer func() {
		if worst.Holder != "" {
			w.lag.Store(&worst)
		}
	}()
	for _, name := range holders {
		active, err := w.ask(ctx, name)
		if err != nil {
			worst.Holder = ""
			return not("the connections of %s aren't known: %v", name, err)
		}
		known := syncd.Warm(own.counts(), active.counts())
		if known < worst.Share {
			worst = SyncKnown{known, name}
		}
		if known < warmEnough {
			return not("%.0f %% of the connections of %s are known here, %.0f %% are wanted", 100*known, name, 100*warmEnough)
		}
	}
	return true
}

// waits is why preempt waits; "": it doesn't wait for connections.
func (w *warmth) waits() string {
	if why := w.why.Load(); why != nil {
		return *why
	}
	return ""
}
