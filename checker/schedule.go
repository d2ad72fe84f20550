package checker

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// job is one distinct Spec: all watches that have it are served by its check.
type job struct {
	spec    Spec
	probe   probe
	quick   quick // not nil: the owner carries the check itself
	watches []*watch
	last    Result // of the latest check that was not void

	at      time.Duration // when it is due next, since the schedule began
	turn    entry         // the same, in the wheel of turns
	phased  bool          // at has left the first check and is in its own phase
	running bool          // or in line for a command's place
	flight  flight        // while the owner carries it
	next    *job          // see jobs
}

// outcome is what a check's goroutine hands to the owner.
type outcome struct {
	job    *job
	result Result
}

// schedule is the owner's state: everything in it, and the health of every
// watch, is touched by the goroutine of Run alone.
type schedule struct {
	*Checker
	begun    time.Time
	turns    wheel // when a check begins
	limits   wheel // when a check in flight is over
	jobs     jobs
	all      map[ID]*watch
	env      *env
	reactor  *reactor // nil until a check needs it
	ready    chan struct{}
	commands int    // external commands that run
	line     []*job // those that wait for a place
	due      []*job // scratch
	running  sync.WaitGroup
}

// Run checks until ctx ends, then waits for the checks under way, which are cut
// short. It returns nil.
func (c *Checker) Run(ctx context.Context) error {
	s := &schedule{
		Checker: c,
		begun:   time.Now(),
		jobs:    newJobs(),
		all:     map[ID]*watch{},
		env:     newEnv(),
		ready:   make(chan struct{}),
	}
	s.env.path = c.opts.Path
	defer s.env.close()
	defer s.running.Wait()
	defer s.land()

	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	s.sleep(timer)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.pings:
		case <-c.wake:
			if next := c.next.Swap(nil); next != nil {
				s.set(ctx, *next)
			}
			s.sleep(timer)
		case o := <-c.ended:
			s.finish(ctx, o)
		case <-s.ready:
			s.serve(ctx)
		case <-timer.C:
			s.fire(ctx)
			s.sleep(timer)
		}
	}
}

// now is the time since the schedule began.
func (s *schedule) now() time.Duration { return time.Since(s.begun) }

// sleep sets the timer to the next tick with work.
func (s *schedule) sleep(timer *time.Timer) {
	next, ok := s.turns.next()
	if limit, some := s.limits.next(); some && (!ok || limit < next) {
		next, ok = limit, true
	}
	if !ok {
		timer.Reset(time.Hour)
		return
	}
	timer.Reset(time.Duration(next)*tick - s.now())
}

// fire ends what has taken too long, starts what is due and puts it back for
// its next turn. A job whose last check still runs misses its turn: its checks
// never pile up.
func (s *schedule) fire(ctx context.Context) {
	now := s.now()
	if s.reactor != nil {
		s.reactor.closeParted()
	}
	s.due = s.limits.advance(int64(now/tick), s.due[:0])
	for _, j := range s.due {
		s.expire(ctx, j)
	}
	s.due = s.turns.advance(int64(now/tick), s.due[:0])
	for _, j := range s.due {
		s.start(ctx, j)
		s.again(j, now)
	}
	clear(s.due)
}

// start begins j's check: here, if it is one that the owner carries, else in a
// goroutine of its own. External commands wait for a place.
func (s *schedule) start(ctx context.Context, j *job) {
	if j.running {
		return
	}
	j.running = true
	if j.quick != nil {
		s.launch(ctx, j)
		return
	}
	if j.spec.Type == External {
		if s.commands >= s.opts.Commands {
			s.line = append(s.line, j)
			return
		}
		s.commands++
	}
	s.spawn(ctx, j, func() Result { return run(ctx, j.probe, nil) })
}

// spawn runs a check in a goroutine, which brings the result to the owner.
func (s *schedule) spawn(ctx context.Context, j *job, check func() Result) {
	s.running.Go(func() {
		r := check()
		select {
		case s.ended <- outcome{j, r}:
		case <-ctx.Done():
		}
	})
}

// again puts j into the wheel for its next turn. The first check came early,
// for a verdict; from the second on, j has a phase of its own, at random, so
// that checks that began together don't stay together.
func (s *schedule) again(j *job, now time.Duration) {
	if !j.phased {
		j.phased = true
		grain := phaseGrain(j.spec.Interval)
		j.at = (now + rand.N(j.spec.Interval)).Truncate(grain) + grain
	} else {
		j.at += j.spec.Interval
		if j.at <= now { // we slept: skip what was missed, keep the phase
			j.at += (now-j.at)/j.spec.Interval*j.spec.Interval + j.spec.Interval
		}
	}
	s.enter(j)
}

// phaseGrain is the grid on which phases lie. Twenty groups in an interval are
// spread enough, and each group shares its wake-ups.
func phaseGrain(interval time.Duration) time.Duration {
	return min(max((interval/20).Truncate(tick), tick), 5*tick)
}

// enter puts j into the wheel at the tick nearest to j.at.
func (s *schedule) enter(j *job) { s.turns.add(&j.turn, int64((j.at+tick/2)/tick)) }

// finish takes a result to every watch of the job and gives a free place to
// the next command in line.
func (s *schedule) finish(ctx context.Context, o outcome) {
	j := o.job
	j.running = false
	if !o.result.Void {
		j.last = o.result
	}
	changed := false
	for _, w := range j.watches {
		if s.opts.Observe != nil {
			s.opts.Observe(w.id, o.result)
		}
		changed = apply(w, o.result) || changed
	}
	if changed {
		s.tell()
	}
	s.drop(j)
	if j.spec.Type == External {
		s.commands--
		s.advance(ctx)
	}
}

// advance starts the next commands in line that somebody still watches.
func (s *schedule) advance(ctx context.Context) {
	for len(s.line) > 0 && s.commands < s.opts.Commands {
		j := s.line[0]
		s.line = s.line[1:]
		if j.running = false; len(j.watches) > 0 {
			s.start(ctx, j)
		}
		s.drop(j)
	}
	if len(s.line) == 0 {
		s.line = nil
	}
}

// apply adds one result to a watch's history. It tells whether the state or the
// wanted weight has changed.
func apply(w *watch, r Result) (changed bool) {
	if !r.Void {
		w.health, changed = w.health.Step(r.OK)
	}
	became := changed
	w.cell.update(func(st *Status) {
		st.Last = r
		st.State, st.Streak = w.health.State, w.health.Streak
		if !r.CertUntil.IsZero() {
			st.CertUntil = r.CertUntil
		}
		if r.Weighs && r.Percent != st.Percent {
			st.Percent, changed = r.Percent, true
		}
		switch {
		case r.Void:
			st.Void++
		case r.OK:
			st.Good++
		default:
			st.Bad++
			st.LastFailure = r
		}
		if became {
			st.Since = r.Start.Add(r.Duration)
		}
	})
	return changed
}
