package table

import (
	"context"
	"fmt"
)

// Failure is a step that wasn't done, and why: what the kernel said, or
// ErrSkipped where Execute left it out.
type Failure struct {
	Step Step
	Err  error
}

// Execute gives the steps of a plan made on have to do, one phase at a time,
// and tells which were done. do has to answer with one error slot per step;
// it may do the steps of one call in any way it likes.
//
// A failed step holds up what depends on it in its own service, while the
// other services go on:
//
//   - without its service, nothing else of it is tried. A service that could
//     not be edited is there all the same, and its servers must follow their
//     health: it holds up nothing;
//   - after a real server could not be brought in, none of its service is
//     deleted, and none about to be deleted is brought to weight 0: the old
//     one stays until the new one serves. A server that stays in the table
//     at weight 0, which is what a failed check asks for, is done, unless it
//     was the last one with weight;
//   - what could not be brought to weight 0 isn't deleted.
//
// Once ctx has ended, no further phase begins.
func Execute(ctx context.Context, have State, steps []Step,
	do func(context.Context, []Step) []error,
) (done []Step, failed []Failure) {
	r := run{live: map[ServiceKey]int{}, bad: map[ServiceKey]Step{}, leaving: map[Pair]bool{}, have: have}
	for _, s := range steps {
		if s.Op == DeleteReal {
			r.leaving[s.Pair()] = true
		}
	}
	done = make([]Step, 0, len(steps))
	for len(steps) > 0 {
		n := 1
		for n < len(steps) && steps[n].Phase() == steps[0].Phase() {
			n++
		}
		batch, late := r.ready(ctx, steps[:n])
		failed = append(failed, late...)
		steps = steps[n:]
		if len(batch) == 0 {
			continue
		}
		for i, err := range do(ctx, batch) {
			if err != nil {
				failed = append(failed, Failure{batch[i], err})
				r.note(batch[i])
				continue
			}
			done = append(done, batch[i])
		}
	}
	return done, failed
}

// run is what Execute remembers between phases.
type run struct {
	have    State
	bad     map[ServiceKey]Step // the first failed step of a service that others depend on
	live    map[ServiceKey]int  // servers with weight, of services in bad
	leaving map[Pair]bool       // servers that a later step deletes
}

// ready parts the steps of one phase into those to do and those to leave out.
func (r *run) ready(ctx context.Context, steps []Step) (batch []Step, late []Failure) {
	if len(r.bad) == 0 && ctx.Err() == nil {
		return steps, nil
	}
	for _, s := range steps {
		if err := r.holdUp(ctx, s); err != nil {
			late = append(late, Failure{s, err})
			continue
		}
		batch = append(batch, s)
	}
	return batch, late
}

// note remembers a failure.
func (r *run) note(s Step) {
	k := s.Service.ServiceKey
	if _, ok := r.bad[k]; ok || s.Op == EditService {
		return
	}
	r.bad[k] = s
	r.live[k] = r.have[k].Live()
}

// holdUp returns why the step has to be left out, or nil.
func (r *run) holdUp(ctx context.Context, s Step) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("%w: %v", ErrSkipped, err)
	}
	k := s.Service.ServiceKey
	first, bad := r.bad[k]
	if !bad {
		return nil
	}
	// Only weights that the kernel surely still has count: a server that was
	// brought in since is left out, which errs on the side of traffic.
	if s.Phase() == PhaseQuiesce && !r.leaving[s.Pair()] && first.Op != AddService {
		if r.have[k].Reals[s.Real.Addr].Weight == 0 {
			return nil
		}
		if r.live[k] > 1 {
			r.live[k]--
			return nil
		}
	}
	return fmt.Errorf("%w after %q", ErrSkipped, first)
}
