package vip

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// loop is the state of the goroutine that owns the addresses.
type loop struct {
	tracks      map[netip.Addr]*track
	order       []netip.Addr // of the wants, for the snapshot
	reconciled  time.Time    // when the kernel was last read
	reconcileAt time.Time
	announceAt  time.Time // zero: nothing to announce
	heapAt      time.Time // when the last heap of announcements began …
	heap        int       // … and how many it has
	renewed     time.Time // the grant for which lifetimes were last renewed
	backoff     time.Duration
	retryAt     time.Time  // the end of the backoff
	readErr     string     // the last error of reading, "" when it worked
	leftErr     string     // the last error of removing leftovers
	questions   []question // to be asked after this turn
}

// track is what the loop remembers of one wanted address.
type track struct {
	want     Want      // as Set had it
	status   Status    // without Err
	err      string    // of keeping the address
	sendErr  string    // of announcing it
	link     Link      // as it was when the address was last seen there …
	heldAt   time.Time // … at this time
	probe    *probe    // nil: never asked
	schedule schedule
	fights   int // repairs with less than calm between them
	repaired time.Time
}

// An address that another program keeps removing is put back at once this
// often, then once a second, until that program was calm for a while.
const (
	quickRepairs = 5
	slowRepair   = time.Second
	calm         = 10 * time.Second
)

// start begins anew: questions of an earlier Run get no answer any more.
func (l *loop) start(now time.Time) {
	for _, t := range l.tracks {
		t.probe = nil
	}
	l.questions, l.reconcileAt = nil, now
}

func (l *loop) wakeAt() time.Time {
	if l.announceAt.IsZero() || l.reconcileAt.Before(l.announceAt) {
		return l.reconcileAt
	}
	return l.announceAt
}

func (l *loop) reconcileBy(t time.Time) {
	if t.Before(l.reconcileAt) {
		l.reconcileAt = t
	}
}

// turn does what is due.
func (k *Keeper) turn(now time.Time) {
	l := &k.loop
	if !now.Before(l.reconcileAt) {
		m := k.letters()
		m.restart(l.tracks, now)
		l.reconciled, l.reconcileAt = now, now.Add(resync)
		if m.known {
			k.reconcile(m, now)
		}
	}
	k.announce(now)
	k.publish(k.statuses())
}

// reconcile reads the kernel, plans, applies, and settles each address's
// status.
func (k *Keeper) reconcile(m mail, now time.Time) {
	l := &k.loop
	l.admit(m, now)
	live := l.live(m, now)
	facts, err := k.read(live)
	if err != nil {
		if l.readErr != err.Error() {
			k.log.Error("reading addresses failed, trying again", "err", err)
		}
		l.readErr = err.Error()
		l.retry(now, true)
		return
	}
	l.readErr = ""

	spots := facts.spots(live, l.last)
	wants := wantsOf(spots)
	facts.Held = m.without(facts.Held)
	steps := Plan(facts.Held, wants)
	if m.granted.After(l.renewed) {
		due := slices.DeleteFunc(slices.Clone(wants), func(w Want) bool { return !m.grants[w.Addr.Addr()].After(l.renewed) })
		steps = append(steps, Renewals(facts.Held, due)...)
		l.renewed = m.granted
	}
	errs, added := k.apply(facts, steps, now)

	failing := false
	for _, s := range spots {
		a := s.Addr.Addr()
		t := l.tracks[a]
		k.settle(t, facts, s, outcome{errs[a], added[a]}, now)
		failing = failing || t.err != "" && !t.contested()
		if s.err != nil {
			l.reconcileBy(now.Add(lookAgain))
		}
		delete(errs, a)
	}
	leftErr := ""
	if err := join(errs); err != nil { // leftovers that don't go
		leftErr = err.Error()
		if leftErr != l.leftErr {
			k.log.Error("removing an address failed, trying again", "err", err)
		}
	}
	l.leftErr = leftErr
	l.retry(now, failing || leftErr != "")
}

// admit begins to track what is newly wanted and forgets what no longer is.
func (l *loop) admit(m mail, now time.Time) {
	old := l.tracks
	l.tracks, l.order = make(map[netip.Addr]*track, len(m.wants)), l.order[:0]
	for _, w := range m.wants {
		a := w.Addr.Addr()
		t := old[a]
		if t == nil {
			t = &track{status: Status{State: Waiting, Since: now}}
		}
		found := t.status.Interface
		t.want, t.status.Want = w, w
		if w.Interface == "" {
			t.status.Interface = found // until the kernel was read
		}
		l.tracks[a], l.order = t, append(l.order, a)
	}
}

// live returns the wants that are still granted. The others expire in the
// kernel by themselves; they are removed all the same, so that a process that
// was stopped for long and goes on gives them up before it does anything else.
func (l *loop) live(m mail, now time.Time) []Want {
	var live []Want
	for _, w := range m.wants {
		end := m.grants[w.Addr.Addr()].Add(time.Duration(w.seconds()) * time.Second)
		switch {
		case w.Lifetime <= 0:
		case now.Before(end):
			l.reconcileBy(end)
		default:
			t := l.tracks[w.Addr.Addr()]
			t.become(Lapsed, now)
			t.err = fmt.Sprintf("not renewed for %s", w.Lifetime)
			continue
		}
		live = append(live, w)
	}
	return live
}

// retry plans the next look: soon while something fails. Looks in between, for
// events and for Set, don't stretch the backoff.
func (l *loop) retry(now time.Time, failing bool) {
	switch {
	case !failing:
		l.backoff, l.retryAt = 0, time.Time{}
		return
	case !now.Before(l.retryAt):
		l.backoff = min(max(2*l.backoff, backoffMin), backoffMax)
		l.retryAt = now.Add(l.backoff)
	}
	l.reconcileBy(l.retryAt)
}

// apply carries out the steps. Unlike with the table, a failed step stops only
// the steps of the same address: one missing interface must not keep the other
// VIPs from their clients.
func (k *Keeper) apply(facts Facts, steps []Step, now time.Time) (errs map[netip.Addr]error, added map[netip.Addr]bool) {
	errs, added = make(map[netip.Addr]error), make(map[netip.Addr]bool)
	for _, s := range steps {
		a := s.Addr.Addr()
		if errs[a] != nil {
			continue
		}
		if err := k.may(facts, s, now); err != nil {
			errs[a] = err
			continue
		}
		err := k.sys.Do(s)
		if s.Op == Delete && errors.Is(err, errNotFound) {
			err = nil // it left by itself
		}
		if err != nil {
			errs[a] = fmt.Errorf("%s: %v", s.doing(), err)
			continue
		}
		if s.Op == Add {
			added[a] = true
		}
		if s.Op != Change || !k.loop.renewing(a) {
			k.log.Info("changed an address", "step", s.String())
		}
	}
	return errs, added
}

// renewing is whether a is one whose lifetime is renewed all the time, which
// is not worth a line in the log each time.
func (l *loop) renewing(a netip.Addr) bool {
	t := l.tracks[a]
	return t != nil && t.status.Lifetime > 0
}

// may holds back an Add that can't serve anybody, that another program undoes
// each time, or that would make two machines have the address.
func (k *Keeper) may(facts Facts, s Step, now time.Time) error {
	if s.Op != Add {
		return nil
	}
	link, ok := facts.link(s.Interface)
	if !ok || !link.Up {
		return fmt.Errorf("%s: %v", s.doing(), facts.problem(s.Interface))
	}
	t := k.loop.tracks[s.Addr.Addr()]
	if again := t.repaired.Add(slowRepair); t.fights >= quickRepairs && now.Before(again) {
		k.loop.reconcileBy(again)
		return fmt.Errorf("%s: another program keeps removing it", s.doing())
	}
	return k.guard(facts, s, link, now)
}

// outcome is what became of the steps of one address.
type outcome struct {
	err   error
	added bool
}

// settle writes down how a wanted address came out of a round, and logs it
// where it came out otherwise than the last time.
func (k *Keeper) settle(t *track, facts Facts, s spot, o outcome, now time.Time) {
	was, wasErr := t.status.State, t.err
	if t.want.Interface == "" {
		t.status.Interface = s.Interface
	}
	link, _ := facts.link(s.Interface)
	own, foreign := Foreign(facts.Held, s.Want)
	err := cmp.Or(o.err, s.err)
	switch {
	case s.state != "":
		t.become(s.state, now)
	case o.added || holds(facts.Held, s.Want):
		k.hold(t, link, o.added, now)
		err = cmp.Or(err, facts.problem(s.Interface))
	case foreign:
		t.become(Own, now)
		t.status.Interface = own.Interface
	case !errors.Is(o.err, errAsking):
		t.become(Failed, now)
	case was == Failed:
		return // until the neighbours were asked nothing is new
	default:
		t.become(Waiting, now)
		err = s.err
	}
	t.err = ""
	if err != nil {
		t.err = err.Error()
	}
	if t.status.State == was && t.err == wasErr {
		return
	}
	args := []any{"address", s.Addr, "interface", t.status.Interface, "state", t.status.State}
	if t.err != "" {
		k.log.Error("virtual address", append(args, "err", t.err)...)
	} else {
		k.log.Info("virtual address", append(args, "adopted", t.status.State == Holding && was == Waiting && !o.added)...)
	}
}

// hold notes that the address is in place on link.
func (k *Keeper) hold(t *track, link Link, added bool, now time.Time) {
	if added && t.link.Index == link.Index && (t.status.State == Holding || t.fights >= quickRepairs) {
		if now.Sub(t.repaired) > calm {
			t.fights = 0
		}
		t.fights++
		t.repaired = now
		t.status.Repaired++
		k.log.Warn("an address had been removed by another hand and was put back",
			"address", t.status.Addr, "interface", link.Name)
	}
	if t.status.State != Holding {
		t.status.Announced, t.status.Told = 0, time.Time{}
	}
	if added || t.status.State != Holding {
		t.status.Up = time.Now()
	}
	// A new interface, a new MAC, or a cable that is back in: the
	// neighbours and the switch have to learn it again.
	if added || t.status.State != Holding || t.link.Index != link.Index ||
		t.link.MAC != link.MAC || (link.Carrier && !t.link.Carrier) {
		t.schedule = schedule{start: now}
	}
	t.link, t.heldAt = link, now
	t.become(Holding, now)
}

// become enters a state; Since is when that happened.
func (t *track) become(s State, now time.Time) {
	if t.status.State == s {
		return
	}
	t.status.State, t.status.Since = s, now
	if s != Holding {
		t.sendErr = ""
	}
}

// statuses is the snapshot of now.
func (k *Keeper) statuses() []Status {
	out := make([]Status, 0, len(k.loop.order))
	for _, a := range k.loop.order {
		t := k.loop.tracks[a]
		s := t.status
		s.Err = cmp.Or(k.loop.readErr, t.err, t.sendErr)
		out = append(out, s)
	}
	return out
}

// clear removes all addresses that are ours.
func (k *Keeper) clear() error {
	k.mu.Lock()
	k.mail = mail{known: true}
	k.mu.Unlock()
	l := &k.loop
	l.admit(mail{}, time.Now())
	l.announceAt, l.readErr = time.Time{}, ""
	defer k.publish(nil)
	facts, err := k.sys.Read()
	if err != nil {
		return err
	}
	errs, _ := k.apply(facts, Plan(facts.Held, nil), time.Now())
	if len(errs) > 0 {
		l.reconcileBy(time.Now().Add(backoffMin))
	}
	return join(errs)
}

// join makes one error of many, in the order of the addresses.
func join(errs map[netip.Addr]error) error {
	var all []error
	for _, a := range slices.SortedFunc(maps.Keys(errs), netip.Addr.Compare) {
		all = append(all, errs[a])
	}
	return errors.Join(all...)
}
