// Package hook runs the programs that the file names for what happens, one
// after the other and never in anybody's way: who has something to tell leaves
// it in a Queue and goes on.
//
// Of one thing only the newest state waits. A server that went down and came
// back while the queue was busy is not told at all; one whose program failed is
// told its newest state, never an old one again.
//
// The goroutine in Queue.Run runs the programs; the rest has a lock and waits
// for nothing.
package hook

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/ipvsd/ipvsd/checker/child"
)

const (
	maxWaiting = 1000            // calls, of as many objects
	maxPause   = time.Minute     // between two tries
	lastCall   = 3 * time.Second // for what still waits when the daemon stops
	shown      = 256             // of a program's output in the log
)

// Program is what is run, and how patiently.
type Program struct {
	Argv    []string // nil: nothing is run; the call only makes older ones of its object void
	Timeout time.Duration
	Retries int           // after the first try failed
	Pause   time.Duration // before the first of them, twice as long before each further one, at most a minute
}

// Call is something that has another state now.
type Call struct {
	Event         string // in the log and in IPVSD_EVENT
	Object        string // what has the state
	Before, State string // Before: as its program was told last; "": it makes no difference
	Program       Program
	Env           []string
}

// Queue is what waits to be run. Make it with New.
type Queue struct {
	log  *slog.Logger
	wake chan struct{}

	mu      sync.Mutex
	waiting map[string]waiting // by object
	number  uint64
	dropped int    // since the last line about it
	running string // the object whose program runs
	over    bool   // … and which has another state meanwhile that nobody is told
}

type waiting struct {
	Call
	number uint64 // calls that are due at the same time go in this order
	due    time.Time
	tries  int
}

// New makes an empty queue.
func New(log *slog.Logger) *Queue {
	return &Queue{log: log, wake: make(chan struct{}, 1), waiting: map[string]waiting{}}
}

// Put leaves a call, in the place of an older one of the same object.
func (q *Queue) Put(c Call) {
	q.mu.Lock()
	defer q.mu.Unlock()
	old, was := q.waiting[c.Object]
	delete(q.waiting, c.Object)
	if was && old.tries == 0 {
		if c.Before = old.Before; c.Before == c.State && c.Before != "" {
			return // nobody was told of what is over again
		}
	}
	if len(c.Program.Argv) == 0 {
		q.over = q.over || c.Object == q.running
		return
	}
	if len(q.waiting) >= maxWaiting {
		q.dropped++
	} else {
		q.number++
		q.waiting[c.Object] = waiting{Call: c, number: q.number, due: time.Now()}
	}
	q.poke()
}

func (q *Queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Run runs what comes until ctx ends. What waits for its first try then has 3 s
// more, so that the last change of role is told, too.
func (q *Queue) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastCall, stop) })()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		q.tellDropped()
		w, next, ok := q.take(time.Now(), ctx.Err() != nil)
		switch {
		case ok && work.Err() == nil:
			q.run(work, w)
			continue
		case ok:
			q.log.Warn("hook not run, the daemon stops", "event", w.Event, "object", w.Object)
			continue
		case ctx.Err() != nil:
			return nil
		case !next.IsZero():
			timer.Reset(time.Until(next))
		}
		select {
		case <-ctx.Done():
		case <-q.wake:
		case <-timer.C:
		}
	}
}

// take takes out what is due, the oldest first, and else says when something
// will be. At the end nothing is tried a second time.
func (q *Queue) take(now time.Time, last bool) (w waiting, next time.Time, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for object, o := range q.waiting {
		switch {
		case last && o.tries > 0:
			delete(q.waiting, object)
		case o.due.After(now):
			if next.IsZero() || o.due.Before(next) {
				next = o.due
			}
		case !ok || o.number < w.number:
			w, ok = o, true
		}
	}
	if ok {
		delete(q.waiting, w.Object)
		q.running, q.over = w.Object, false
	}
	return w, next, ok
}

// run tries once, and puts the call back where that failed and nothing newer
// has come meanwhile.
func (q *Queue) run(ctx context.Context, w waiting) {
	w.tries++
	out, problem := w.once(ctx)
	attrs := []any{"event", w.Event, "object", w.Object, "command", w.Program.Argv[0], "try", w.tries, "output", out}
	if problem == "" {
		q.log.Info("hook", attrs...)
		return
	}
	attrs = append(attrs, "err", problem)
	q.mu.Lock()
	_, newer := q.waiting[w.Object]
	newer = newer || q.over
	q.running = ""
	again := !newer && w.tries <= w.Program.Retries && len(q.waiting) < maxWaiting
	if again {
		pause := min(w.Program.Pause<<min(w.tries-1, 16), max(maxPause, w.Program.Pause))
		attrs = append(attrs, "next", pause)
		w.due = time.Now().Add(pause)
		q.waiting[w.Object] = w
	}
	q.mu.Unlock()
	if again {
		q.log.Warn("hook failed", attrs...)
	} else {
		q.log.Error("hook failed and is given up", append(attrs, "newer", newer)...)
	}
}

// once runs the program. The problem is "" where it ended with 0.
func (w waiting) once(ctx context.Context) (output, problem string) {
	ctx, cancel := context.WithTimeout(ctx, w.Program.Timeout)
	defer cancel()
	env := append([]string{"IPVSD_EVENT=" + w.Event, "IPVSD_PREVIOUS=" + w.Before}, w.Env...)
	for i, e := range env {
		env[i] = strings.ReplaceAll(e, "\x00", "") // the kernel has no such environment
	}
	end, err := child.Run(ctx, w.Program.Argv, env)
	switch {
	case err != nil:
		return "", err.Error()
	case ctx.Err() == context.DeadlineExceeded && end.Status().Signaled():
		problem = "timeout after " + w.Program.Timeout.String() + ", killed"
	case !end.State.Success():
		problem = end.State.String()
	}
	text := strings.TrimSpace(end.Output)
	return text[max(0, len(text)-shown):], problem
}

func (q *Queue) tellDropped() {
	q.mu.Lock()
	n := q.dropped
	q.dropped = 0
	q.mu.Unlock()
	if n > 0 {
		q.log.Error("hooks dropped, too many wait", "dropped", n, "waiting", maxWaiting)
	}
}
