package vip

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// The pace of the loop.
const (
	resync     = 30 * time.Second      // a look at the kernel without an event
	backoffMin = time.Second           // after an error, doubling …
	backoffMax = 30 * time.Second      // … to this
	settle     = 10 * time.Millisecond // events that come in a heap are one
)

// system is the kernel as the keeper needs it.
type system interface {
	// Read returns what the kernel holds; Defaults may be missing.
	Read() (Facts, error)
	// Do carries out one step: errExist when an Add finds the address there,
	// errNotFound when a Delete doesn't.
	Do(Step) error
	// Defaults returns the default routes, those of links only.
	Defaults(links []Link) ([]Default, error)
	// Probe asks the neighbours on l for addresses of one family and returns
	// the claims it heard after probeTimes and probeWait, or when ctx ends.
	Probe(ctx context.Context, l Link, addrs []netip.Addr) ([]claim, error)
	// Announce tells the neighbours on l that addr is at l.MAC.
	Announce(l Link, addr netip.Addr) error
	// Watch calls wake once it listens and then whenever an address or an
	// interface may have changed. It returns nil when ctx ends.
	Watch(ctx context.Context, wake func()) error
	// Close frees what Announce keeps open.
	Close()
}

var (
	errExist    = errors.New("the address exists")
	errNotFound = errors.New("no such address")
)

// Options are the parts a Keeper is made of.
type Options struct {
	Logger *slog.Logger // required
	system system       // test-only: in place of the kernel
}

// Keeper keeps the wanted addresses. Make it with New.
type Keeper struct {
	log     *slog.Logger
	sys     system
	wake    chan struct{} // a message is in the mailbox
	event   chan struct{} // the kernel changed
	changed chan struct{} // the snapshot changed
	release chan chan error
	orders  chan order
	pings   chan struct{}
	owner   chan struct{} // holds one value while somebody owns the loop's state

	verdicts chan verdict

	mu       sync.Mutex
	mail     mail
	snapshot []Status
	running  chan struct{} // closed when Run ends; nil: not begun

	loop loop // only touched by the owner
}

// mail is what the callers leave for the loop.
type mail struct {
	known    bool // Set was called at least once
	wants    []Want
	granted  time.Time                // when Set or Apply was called last
	grants   map[netip.Addr]time.Time // when the lifetime of each began anew
	spare    []netip.Addr             // ours, not wanted, and left alone for now
	announce bool                     // Announce was called
	again    map[netip.Addr]bool      // AnnounceThese was, with this for more than once
}

// New makes a Keeper for the network namespace of the process. It does
// nothing until Run.
func New(o Options) *Keeper {
	k := &Keeper{
		log:     o.Logger,
		sys:     o.system,
		wake:    make(chan struct{}, 1),
		event:   make(chan struct{}, 1),
		changed: make(chan struct{}, 1),
		release: make(chan chan error),
		orders:  make(chan order),
		pings:   make(chan struct{}),
		owner:   make(chan struct{}, 1),

		verdicts: make(chan verdict),
	}
	if k.sys == nil {
		k.sys = &linux{}
	}
	k.loop.tracks = make(map[netip.Addr]*track)
	return k
}

// Set replaces the wanted addresses. Until the first call nothing is touched,
// leftovers included; with it those that are wanted are adopted and the others
// removed. Of several wants of one address the first counts.
//
// Each call grants the addresses that have a Lifetime one more: call it again,
// with the same wants, well before it is over.
func (k *Keeper) Set(wants []Want) {
	k.post(Order{Wants: wants}, time.Now())
	poke(k.wake)
}

// Announce starts the announcements of all held addresses anew, for when
// another claimant was heard.
func (k *Keeper) Announce() {
	k.mu.Lock()
	k.mail.announce = true
	k.mu.Unlock()
	poke(k.wake)
}

// Snapshot tells where each wanted address stands, in the order of Set.
func (k *Keeper) Snapshot() []Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.snapshot)
}

// Changed has a value after the snapshot changed. It serves one receiver.
func (k *Keeper) Changed() <-chan struct{} { return k.changed }

// Run keeps the addresses until ctx ends and then returns nil, leaving them in
// place: who restarts the daemon finds them again. One Run at a time.
func (k *Keeper) Run(ctx context.Context) error {
	select {
	case k.owner <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	defer func() { <-k.owner }()
	defer k.sys.Close()
	defer k.begin()()
	var tasks sync.WaitGroup
	defer tasks.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tasks.Go(func() { k.watch(ctx) })

	k.loop.start(time.Now())
	for {
		k.turn(time.Now())
		k.ask(ctx, &tasks)
		timer := time.NewTimer(time.Until(k.loop.wakeAt()))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-k.wake:
			k.loop.reconcileAt = time.Now()
		case <-k.event:
			k.loop.reconcileBy(k.loop.reconciled.Add(settle))
		case v := <-k.verdicts:
			k.judge(v, time.Now())
		case <-k.pings:
		case o := <-k.orders:
			o.reply <- k.obey(o.Order)
		case reply := <-k.release:
			reply <- k.clear()
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// begin marks Run as running until the function that it returns is called.
func (k *Keeper) begin() (end func()) {
	running := make(chan struct{})
	k.mu.Lock()
	k.running = running
	k.mu.Unlock()
	return func() {
		k.mu.Lock()
		k.running = nil
		k.mu.Unlock()
		close(running)
	}
}

// Ping returns nil once the loop in Run has got round to it, for watchdogs.
// Where Run has not begun, as before the table is programmed, or has ended,
// nothing hangs and it returns nil at once.
func (k *Keeper) Ping(ctx context.Context) error {
	k.mu.Lock()
	running := k.running
	k.mu.Unlock()
	if running == nil {
		return nil
	}
	select {
	case k.pings <- struct{}{}:
	case <-running:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Release removes the addresses that are ours and wants none until Set is
// called again. It returns when they are gone, whether Run is running or not.
func (k *Keeper) Release(ctx context.Context) error {
	reply := make(chan error, 1)
	select {
	case k.release <- reply:
	case k.owner <- struct{}{}:
		defer func() { <-k.owner }()
		return k.clear()
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watch turns the kernel's events into wake-ups, whatever happens to its
// socket.
func (k *Keeper) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := k.sys.Watch(ctx, func() { poke(k.event) })
		if err == nil {
			continue
		}
		k.log.Warn("listening for address changes failed, trying again", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(backoffMin):
		}
	}
}

// letters takes what the callers left.
func (k *Keeper) letters() mail {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.mail
	k.mail.announce, k.mail.again = false, nil
	return m
}

// publish makes the snapshot visible.
func (k *Keeper) publish(s []Status) {
	k.mu.Lock()
	same := slices.Equal(k.snapshot, s)
	k.snapshot = s
	k.mu.Unlock()
	if !same {
		poke(k.changed)
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
