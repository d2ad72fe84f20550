package checker

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
)

// DefaultCommands is how many external commands run at once unless Options say
// otherwise.
const DefaultCommands = 128

// Options are what a Checker works with. The zero value will do.
type Options struct {
	Log *slog.Logger // nil: silent

	// Observe hears of every check of every watch, also of void ones. It is
	// called by the owner goroutine: it must be quick and must not call back.
	Observe func(ID, Result)

	// Path looks after the checks that have a Mark; nil: nobody does.
	Path Path

	// Commands bounds how many external commands run at once; the others wait
	// in line. A command that hangs keeps its place until its timeout. 0:
	// DefaultCommands.
	Commands int

	// Probe takes the place of the real checks, for tests. On and Off never
	// come to it.
	Probe func(context.Context, Spec) Result
}

// Checker runs the checks of a set of watches. New builds it, Run turns it.
type Checker struct {
	opts    Options
	next    atomic.Pointer[[]Watch] // what Set handed over last and Run has not taken
	wake    chan struct{}           // capacity 1: next is there
	changed chan struct{}           // capacity 1
	pings   chan struct{}           // unbuffered: the owner takes it
	ended   chan outcome            // unbuffered: check to owner

	watched atomic.Pointer[map[ID]*watch] // the map is never written again
	states  atomic.Pointer[states]
	epoch   atomic.Uint64 // counts the changes of states
}

// watch is a Watch and its history. Only the owner writes; cell.mu is for those
// who read meanwhile.
type watch struct {
	id     ID
	job    *job // nil: on, off
	health Health
	cell   cell
}

// cell is the published status of one watch. It is copied out under its own
// lock, because a new value for each result would be ten thousand small
// allocations a second for nobody to read.
type cell struct {
	mu     sync.Mutex
	status Status
}

func (c *cell) load() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

func (c *cell) update(f func(*Status)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.status)
}

// states is States and Percents at one epoch.
type states struct {
	epoch    uint64
	of       map[ID]State
	percents map[ID]uint16
}

// New returns a Checker that watches nothing.
func New(opts Options) *Checker {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Commands <= 0 {
		opts.Commands = DefaultCommands
	}
	c := &Checker{
		opts:    opts,
		wake:    make(chan struct{}, 1),
		changed: make(chan struct{}, 1),
		pings:   make(chan struct{}),
		ended:   make(chan outcome),
	}
	c.watched.Store(&map[ID]*watch{})
	return c
}

// Set replaces the watched set. What was watched before keeps its history by
// its ID: with the same Spec it goes on undisturbed; with another one it keeps
// its state until the new check's verdicts say otherwise. New thresholds count
// at once. Set returns before it has taken effect; a Checker that does not run
// takes the last set when it does.
func (c *Checker) Set(watches []Watch) {
	own := append([]Watch(nil), watches...)
	c.next.Store(&own)
	poke(c.wake)
}

// Changed is readable after a state or a wanted weight changed, which includes
// the first verdict of each watch. It has one reader; several changes may come as one.
func (c *Checker) Changed() <-chan struct{} { return c.changed }

// Snapshot returns the status of every watch. It copies all of it; who only
// wants the states takes States.
func (c *Checker) Snapshot() map[ID]Status {
	watched := *c.watched.Load()
	out := make(map[ID]Status, len(watched))
	for id, w := range watched {
		out[id] = w.cell.load()
	}
	return out
}

// Status returns the status of one watch, and whether there is one.
func (c *Checker) Status(id ID) (Status, bool) {
	w, ok := (*c.watched.Load())[id]
	if !ok {
		return Status{}, false
	}
	return w.cell.load(), true
}

// States returns the state of every watch. The map is shared and must not be
// written; while no state changes, the same one is returned.
func (c *Checker) States() map[ID]State { return c.current().of }

// Percents returns, in hundredths of the configured weight, what the agents of
// real servers want that is not all of it. It is shared like States.
func (c *Checker) Percents() map[ID]uint16 { return c.current().percents }

func (c *Checker) current() *states {
	epoch := c.epoch.Load()
	if s := c.states.Load(); s != nil && s.epoch == epoch {
		return s
	}
	watched := *c.watched.Load()
	now := &states{epoch: epoch, of: make(map[ID]State, len(watched)), percents: map[ID]uint16{}}
	for id, w := range watched {
		w.cell.mu.Lock()
		now.of[id] = w.cell.status.State
		if p := w.cell.status.Percent; p != fullWeight {
			now.percents[id] = p
		}
		w.cell.mu.Unlock()
	}
	c.states.Store(now)
	return now
}

// Ping returns once the owner goroutine has come round, or with ctx's error: it
// tells that the checker is alive.
func (c *Checker) Ping(ctx context.Context) error {
	select {
	case c.pings <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tell wakes whoever waits for a changed state.
func (c *Checker) tell() {
	c.epoch.Add(1)
	poke(c.changed)
}

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
