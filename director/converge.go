package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/ipvsd/ipvsd/director/table"
)

// errUnread is that the kernel's table could not be read, so nothing was done.
var errUnread = errors.New("read the kernel's table")

// converge brings the kernel to want, of all virtual services or of keys only.
func (l *loop) converge(ctx context.Context, wanted Wanted, keys []table.ServiceKey) error {
	have, err := l.read(ctx, wanted.State, keys)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnread, err)
	}
	expect := l.expect
	if keys != nil {
		expect = only(expect, keys)
	}
	repairs := l.drift(expect, have.State)
	if keys == nil {
		l.lookAtDrains(have, time.Now())
	}

	owned := maps.Clone(l.record.owned)
	for key := range wanted.State {
		owned[key] = true
	}
	ours := func(k table.ServiceKey) bool { return owned[k] }
	want, retained := Retain(wanted, have, ours, l.mayLeave)
	if keys == nil {
		maps.DeleteFunc(l.leaving, func(p table.Pair, _ time.Time) bool { return !retained[p] })
		l.kernel.Foreign = 0
		for key := range have.State {
			if !owned[key] {
				l.kernel.Foreign++
			}
		}
	}
	l.retained = len(retained)
	l.kernel.Leaving = len(l.leaving)
	if err := l.record.set(owned); err != nil {
		// Traffic comes first; only a removal while we are down could miss one.
		l.opts.Log.Warn("record of our virtual services not written", "err", err)
	}

	steps := table.Plan(have.State, want, ours)
	done, failed := table.Execute(ctx, have.State, steps, l.opts.Kernel.Do)
	l.tell(done, repairs, time.Now())
	l.steps = append(l.steps, done...)
	l.cutByDeadline(done, have, time.Now())
	for key := range expect {
		delete(l.expect, key)
	}
	maps.Copy(l.expect, want)
	for _, f := range failed {
		delete(l.expect, f.Step.Service.ServiceKey)
	}
	for _, f := range failed {
		if errors.Is(f.Err, table.ErrReloaded) {
			return f.Err
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%s of %d failed: %s", stepsWord(len(failed)), len(steps), failureText(failed))
	}
	if keys == nil {
		// What left the file and is gone from the kernel is no longer ours.
		rest := make(map[table.ServiceKey]bool, len(want))
		for key := range want {
			rest[key] = true
		}
		if err := l.record.set(rest); err != nil {
			l.opts.Log.Warn("record of our virtual services not written", "err", err)
		}
	}
	return nil
}

// read reads what a round compares: the virtual services of keys, or the whole
// table, where counters are only asked of services with a real server that
// nobody wants or that drains, because only those may have connections to
// finish.
func (l *loop) read(ctx context.Context, want table.State, keys []table.ServiceKey) (table.Have, error) {
	if keys != nil {
		return l.opts.Kernel.Read(ctx, keys...)
	}
	state, err := l.opts.Kernel.ReadState(ctx)
	if err != nil {
		return table.Have{}, err
	}
	for key, held := range state {
		if _, ok := want[key]; !ok && !l.record.has(key) {
			continue // somebody else's
		}
		for addr := range held.Reals {
			_, wanted := want[key].Reals[addr]
			if !wanted || l.drains.watches[table.Pair{Service: key, Real: addr}] != nil {
				keys = append(keys, key)
				break
			}
		}
	}
	if keys == nil {
		return table.Have{State: state}, nil
	}
	have, err := l.opts.Kernel.Read(ctx, keys...)
	have.State = state
	return have, err
}

// mayLeave says whether a real server that nobody wants any more may finish its
// connections. One that is still in the file was taken out by its check, with
// quiescent = false: nobody answers there. Checks have none to finish.
func (l *loop) mayLeave(p table.Pair) bool {
	if _, ok := l.pairs[p]; ok || l.cfg.Director.RemovalGrace == 0 || l.cfg.Director.IsCheckMark(p.Service) {
		return false
	}
	deadline, ok := l.leaving[p]
	if !ok {
		deadline = time.Now().Add(l.cfg.Director.RemovalGrace)
		l.leaving[p] = deadline
	}
	return time.Now().Before(deadline)
}

// repairs begins the reason of a step that puts right what somebody else did.
const repairs = "repair: "

// drift tells and counts what the kernel holds otherwise than we left it, and
// returns the reason of each repair.
func (l *loop) drift(expect, have table.State) map[table.Pair]string {
	reasons := map[table.Pair]string{}
	maps.DeleteFunc(l.story.drifted, func(_ table.Pair, at time.Time) bool { return time.Since(at) >= driftPause })
	for _, d := range table.Drift(expect, have) {
		l.kernel.Drifts[string(d.Kind)]++
		reasons[d.Pair] = repairs + string(d.Kind)
		l.tellDrift(d)
	}
	return reasons
}
