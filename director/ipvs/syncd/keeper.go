package syncd

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// The pace of the loop.
const (
	compare    = 10 * time.Second       // a look at the kernel without an event
	backoffMin = time.Second            // after an error, doubling to compare
	settle     = 250 * time.Millisecond // between looks: events come in heaps
)

// Delay is how long a connection may take to be known to the standby: the
// kernel sends a buffer that isn't full once it is 2 s old and looks each
// second, which makes 2.0 to 3.0 s; the rest is for a busy machine. Connections younger than this don't outlive a failover, unless
// sloppy_tcp and the scheduler help; see Sysctls.
const Delay = 3500 * time.Millisecond

// Kernel is the kernel as the keeper needs it. The real one is Linux;
// syncdtest has one in memory and the contract that both pass.
type Kernel interface {
	// Read returns what the kernel holds; Remade is left to the keeper.
	Read(Want) (Have, error)
	// Do carries out one step: ErrExist when a Start finds one of the role,
	// ErrNotRunning when a Stop finds none.
	Do(Step) error
	// Watch calls wake once it listens and then whenever an interface or
	// address may have changed. It returns nil when ctx ends.
	Watch(ctx context.Context, wake func()) error
}

// The errors of Kernel.Do.
var (
	ErrExist      = errors.New("a daemon of this role runs already")
	ErrNotRunning = errors.New("no such daemon")
)

// Options are the parts a Keeper is made of.
type Options struct {
	Log    *slog.Logger // required
	Kernel Kernel       // Linux if nil
}

// Keeper keeps the wanted daemons running. Make it with New.
type Keeper struct {
	log     *slog.Logger
	sys     Kernel
	wake    chan struct{} // a want is in the mailbox
	event   chan struct{} // an interface changed
	release chan chan error
	pings   chan struct{}
	owner   chan struct{} // holds one value while somebody owns the loop's state

	mu       sync.Mutex
	mail     mail
	snapshot Status
	running  chan struct{} // closed when Run ends; nil: not begun

	loop loop // only touched by the owner
}

// mail is what the callers leave for the loop.
type mail struct {
	known bool // Set was called at least once
	want  Want
	ours  Want // the last want that wasn't zero
}

// Status is what is known of the daemons.
type Status struct {
	Want     Want
	Running  []Daemon // as the kernel tells them, whoever started them
	Problems []string // what keeps connections from being synchronised
	Repaired int      // how often a daemon was put right after it had been
	Repair   string   // the reason of the last one
	Dropped  uint32   // datagrams that the backup's buffer had no room for (net.ipv4.vs.sync_sock_size)
	Checked  time.Time
}

// New makes a Keeper for the network namespace of the process. It does nothing
// until Run.
func New(o Options) *Keeper {
	k := &Keeper{
		log:     o.Log,
		sys:     o.Kernel,
		wake:    make(chan struct{}, 1),
		event:   make(chan struct{}, 1),
		release: make(chan chan error),
		pings:   make(chan struct{}),
		owner:   make(chan struct{}, 1),
	}
	if k.sys == nil {
		k.sys = Linux{}
	}
	return k
}

// Set says what is wanted. The zero Want stops the daemons that an earlier Want
// of this process describes; any other daemon may be another program's and is
// left alone, as everything is before the first call.
func (k *Keeper) Set(w Want) {
	k.mu.Lock()
	k.mail.known, k.mail.want = true, w
	if w != (Want{}) {
		k.mail.ours = w
	}
	k.mu.Unlock()
	poke(k.wake)
}

// Snapshot tells how things stood at the last look.
func (k *Keeper) Snapshot() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.snapshot
	s.Running, s.Problems = slices.Clone(s.Running), slices.Clone(s.Problems)
	return s
}

// Run keeps the daemons until ctx ends and then returns nil, leaving them
// running: who restarts ipvsd loses no connection. One Run at a time.
func (k *Keeper) Run(ctx context.Context) error {
	select {
	case k.owner <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	defer func() { <-k.owner }()
	defer k.begin()()
	var tasks sync.WaitGroup
	defer tasks.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tasks.Go(func() { k.watch(ctx) })

	k.loop.due = time.Now()
	for {
		k.turn(time.Now())
		timer := time.NewTimer(time.Until(k.loop.due))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-k.wake:
			k.loop.due = time.Now()
		case <-k.event:
			k.loop.by(k.loop.looked.Add(settle))
		case <-k.pings:
		case reply := <-k.release:
			reply <- k.clear(time.Now())
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
// Where Run has not begun or has ended, it returns nil at once.
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

// Release stops the daemons that the last Want describes, and wants none until
// Set is called again. It returns when they are stopped, whether Run is running
// or not. The kernel drops what a stopped master has not sent: call it after
// the addresses are gone for Delay, or leave the daemons running.
func (k *Keeper) Release(ctx context.Context) error {
	reply := make(chan error, 1)
	select {
	case k.release <- reply:
	case k.owner <- struct{}{}:
		defer func() { <-k.owner }()
		return k.clear(time.Now())
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
		k.log.Warn("listening for interface changes failed, trying again", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(backoffMin):
		}
	}
}

func (k *Keeper) letters() mail {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mail
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
