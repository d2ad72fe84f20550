package checker

import (
	"context"
	"math/rand/v2"
	"regexp"
	"time"
)

// spread is how far apart the first checks of new Specs begin, on average, as
// long as that doesn't take longer than an interval.
const spread = time.Millisecond

// set makes watches the watched set.
func (s *schedule) set(ctx context.Context, watches []Watch) {
	for j := range s.jobs.all() {
		j.watches = j.watches[:0]
	}
	all := make(map[ID]*watch, len(watches))
	compiled := map[string]*regexp.Regexp{} // one program for all that match the same
	for _, want := range watches {
		if all[want.ID] != nil {
			s.opts.Log.Warn("two watches of one name: the first counts", "id", want.ID)
			continue
		}
		w := s.all[want.ID]
		if w == nil {
			w = create(want.ID)
		}
		all[want.ID] = w
		retune(w, want)
		s.assign(w, want.Spec.normal(), compiled)
	}
	s.all = all
	s.sweep()
	s.advance(ctx)
	s.watched.Store(&all)
	s.tell()
}

// create returns a watch of which nothing is known.
func create(id ID) *watch {
	w := &watch{id: id}
	w.cell.status = Status{Since: time.Now(), Last: Result{Reason: "not checked yet"}, Percent: fullWeight}
	return w
}

// retune gives w its thresholds.
func retune(w *watch, want Watch) {
	var changed bool
	w.health, changed = w.health.With(want.Rise, want.Fall)
	if changed {
		w.cell.update(func(st *Status) { st.State, st.Since = w.health.State, time.Now() })
	}
}

// assign puts w under the job of its Spec.
func (s *schedule) assign(w *watch, spec Spec, compiled map[string]*regexp.Regexp) {
	if !spec.Type.Checked() {
		w.job = nil
		decree(w, spec.Type)
		return
	}
	j := s.jobs.get(&spec)
	if j == nil {
		j = &job{spec: spec}
		j.probe = s.compile(&j.spec, compiled)
		j.quick = quickly(j.probe)
		j.turn.job, j.flight.limit.job = j, j
		s.jobs.put(j)
	}
	j.watches = append(j.watches, w)
	if w.job == j {
		return
	}
	w.job = j
	w.health = w.health.Restart()
	if spec.Type != Agent { // nobody speaks of the weight any more
		w.cell.update(func(st *Status) { st.Percent = fullWeight })
	}
	if !j.last.Start.IsZero() {
		apply(w, j.last) // what another watch has just learnt is as good
	}
}

// decree sets the state of a watch that is never probed.
func decree(w *watch, kind Type) {
	state, result := Unknown, Result{Reason: "not checked"}
	if kind == On {
		state, result = Up, Result{OK: true, Reason: "always up: check type on"}
	}
	changed := w.health.State != state
	w.health.State, w.health.Streak = state, 0
	w.cell.update(func(st *Status) {
		st.State, st.Streak, st.Last, st.Percent = state, 0, result, fullWeight
		if changed {
			st.Since = time.Now()
		}
	})
}

// sweep takes out the jobs that nobody watches any more and puts in the new
// ones: soon, but not all at one moment. A job under way stays known until it
// has ended, so that it doesn't run twice at once if it is asked for again.
func (s *schedule) sweep() {
	var fresh []*job
	for j := range s.jobs.all() {
		switch {
		case len(j.watches) == 0:
			s.turns.remove(&j.turn)
			s.drop(j)
		case !j.turn.in:
			fresh = append(fresh, j)
		}
	}
	now := s.now()
	for _, j := range fresh {
		j.phased = false
		j.at = now + rand.N(min(j.spec.Interval, time.Duration(len(fresh))*spread))
		s.enter(j)
	}
}

// drop forgets a job that nobody watches, unless it is under way.
func (s *schedule) drop(j *job) {
	if len(j.watches) == 0 && !j.running {
		s.jobs.remove(j)
	}
}

// compile returns the probe of a Spec, and one that only says why if there is
// none: the Spec should have been validated.
func (s *schedule) compile(spec *Spec, compiled map[string]*regexp.Regexp) probe {
	if f := s.opts.Probe; f != nil {
		return probeFunc(func(ctx context.Context) Result { return f(ctx, *spec) })
	}
	p, err := compile(spec, s.env, compiled)
	if err != nil {
		return probeFunc(func(context.Context) Result { return void(err.Error()) })
	}
	return p
}
