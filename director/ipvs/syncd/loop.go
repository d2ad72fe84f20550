package syncd

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// loop is the state of the goroutine that owns the daemons.
type loop struct {
	want     Want
	settled  bool // they ran as wanted once
	index    int  // of the interface they were last fine on; -1: it went away since
	looked   time.Time
	due      time.Time
	backoff  time.Duration
	problems []string
	repaired int
	repair   string
}

func (l *loop) by(t time.Time) {
	if t.Before(l.due) {
		l.due = t
	}
}

// turn does what is due.
func (k *Keeper) turn(now time.Time) {
	l := &k.loop
	if now.Before(l.due) {
		return
	}
	l.looked, l.due = now, now.Add(compare)
	m := k.letters()
	switch {
	case !m.known:
	case m.want == (Want{}):
		k.failed(now, k.stop(m.ours, now))
	default:
		k.round(m.want, now)
	}
}

// round reads the kernel, plans, applies, and reads again what came of it.
func (k *Keeper) round(want Want, now time.Time) {
	l := &k.loop
	if want != l.want {
		if want.Interface != l.want.Interface {
			l.index = 0
		}
		l.want, l.settled = want, false
	}
	have, err := k.read(want)
	if err != nil {
		k.publish(Status{}, []string{err.Error()}, now)
		k.failed(now, err)
		return
	}
	steps := Plan(have, want)
	failed := k.apply(steps)
	if len(steps) > 0 && failed == nil {
		// What it holds now counts, and only now is the interface's number
		// the one that the daemons are bound to.
		l.index = have.Link.Index
		if have, failed = k.read(want); failed == nil {
			if again := Plan(have, want); len(again) > 0 {
				failed = fmt.Errorf("%s: done, but %s", again[0], again[0].Reason)
			}
		}
	}
	problems := Problems(have, want)
	if failed != nil {
		problems = append(problems, failed.Error())
	} else if len(problems) == 0 {
		l.settled, l.index = true, have.Link.Index
	}
	k.publish(status(have), problems, now)
	k.failed(now, failed)
}

// read reads the kernel and tells whether the interface is still the one that
// the daemons are on.
func (k *Keeper) read(want Want) (Have, error) {
	have, err := k.sys.Read(want)
	if err != nil {
		return Have{}, err
	}
	l := &k.loop
	if have.Link.Index == 0 && l.index != 0 {
		l.index = -1
	}
	have.Remade = l.index != 0 && have.Link.Index != 0 && l.index != have.Link.Index
	return have, nil
}

// apply carries out the steps. A failed step stops only those of the same role:
// half of the synchronisation is better than none.
func (k *Keeper) apply(steps []Step) error {
	errs := map[Role]error{}
	for _, s := range steps {
		role := s.Daemon.Role
		if errs[role] != nil {
			continue
		}
		err := k.sys.Do(s)
		if s.Op == Stop && errors.Is(err, ErrNotRunning) {
			err = nil // it is gone, and that was the purpose
		}
		if err != nil {
			errs[role] = fmt.Errorf("%s: %w", s, err)
			continue
		}
		k.tell(s)
	}
	return errors.Join(errs[0], errs[Backup], errs[Master])
}

// tell logs a step that was done. After things were in order, or where a daemon
// runs otherwise than wanted, it undoes what another hand did.
func (k *Keeper) tell(s Step) {
	l := &k.loop
	repair := l.settled && s.Op != Stop
	if repair {
		l.repaired++
		l.repair = s.Reason
	}
	log := k.log.Info
	if repair || s.Op == Stop && l.want != (Want{}) {
		log = k.log.Warn
	}
	args := []any{"step", s.String(), "reason", s.Reason}
	if s.Op == Stop {
		args = append(args, "before", s.Daemon.String())
	}
	log("changed a sync daemon", args...)
}

// stop stops what ours describes.
func (k *Keeper) stop(ours Want, now time.Time) error {
	l := &k.loop
	l.want, l.settled, l.index = Want{}, false, 0
	if ours == (Want{}) {
		k.publish(Status{}, nil, now)
		return nil
	}
	have, err := k.sys.Read(ours)
	if err == nil {
		err = k.apply(Teardown(have, ours))
	}
	if err != nil {
		k.publish(status(have), []string{err.Error()}, now)
		return err
	}
	k.mu.Lock()
	k.mail.ours = k.mail.want // what runs from now on isn't ours
	k.mu.Unlock()
	k.publish(Status{}, nil, now)
	return nil
}

// clear stops our daemons for good.
func (k *Keeper) clear(now time.Time) error {
	k.mu.Lock()
	ours := k.mail.ours
	k.mail = mail{known: true, ours: ours}
	k.mu.Unlock()
	err := k.stop(ours, now)
	k.failed(now, err)
	return err
}

// failed plans the next look: soon while something fails.
func (k *Keeper) failed(now time.Time, err error) {
	l := &k.loop
	if err == nil {
		l.backoff = 0
		return
	}
	l.backoff = min(max(2*l.backoff, backoffMin), compare)
	l.by(now.Add(l.backoff))
}

func status(have Have) Status {
	var s Status
	for _, r := range have.Running {
		s.Running = append(s.Running, r.Daemon)
		s.Dropped += r.Dropped
	}
	return s
}

// publish makes the snapshot visible and logs problems where they changed.
func (k *Keeper) publish(s Status, problems []string, now time.Time) {
	l := &k.loop
	for _, p := range problems {
		if !slices.Contains(l.problems, p) {
			k.log.Warn("connections are not synchronised", "problem", p)
		}
	}
	if len(problems) == 0 && len(l.problems) > 0 {
		k.log.Info("connections are synchronised again")
	}
	l.problems = problems
	s.Want, s.Problems, s.Checked = l.want, problems, now
	s.Repaired, s.Repair = l.repaired, l.repair
	k.mu.Lock()
	k.snapshot = s
	k.mu.Unlock()
}
