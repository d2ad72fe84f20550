package cluster

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/cluster/gossip"
	"github.com/ipvsd/ipvsd/cluster/vip"
)

// Group is a group of addresses that move together.
type Group struct {
	Name      string
	Priority  int        // 0: Core.Priority
	Addresses []vip.Want // Interface "": found by the host's subnets and routes; Probe, Lifetime: ours to set
}

// Options say what this director is in its cluster.
type Options struct {
	Core      core.Config // Groups, Boot, Seed and Witnesses are made from what follows
	Groups    []Group
	Gossip    gossip.Options // Name and BootID are made from Core
	Witnesses []netip.Addr   // none: the gateways on the interfaces of the addresses
	Log       *slog.Logger   // required
	// Hook is told when a group becomes active, standby or faulty here, at once:
	// it may not wait for anything.
	Hook func(Event)
	// Moved is told of each change of a group's state, at once and on the way of
	// the move: it may not wait for anything.
	Moved func(core.Transition)

	host host // test-only: in place of the machine
}

// Node is one director of the cluster. Make it with New.
type Node struct {
	log      *slog.Logger
	tell     *teller
	gossip   *gossip.Gossip
	host     host
	boot     uint64
	commands chan func(*loop)
	changed  chan struct{}
	view     atomic.Pointer[view]

	mu       sync.Mutex
	opts     Options       // of the last New or Reload
	running  chan struct{} // closed when Run ends; nil: not begun
	early    []func(*loop) // commands from before Run
	problems []string      // of the last Reload
}

// New checks the options. Nothing runs before Run.
func New(o Options) (*Node, error) {
	if o.Log == nil {
		panic("cluster: no logger")
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, says its documentation
	n := &Node{
		boot:     max(binary.BigEndian.Uint64(b[:]), 1),
		tell:     newTeller(o.Log.Handler()),
		commands: make(chan func(*loop)),
		changed:  make(chan struct{}, 1),
		host:     o.host,
	}
	n.log = slog.New(n.tell.handler())
	o.Core.Boot, o.Core.Seed = n.boot, binary.BigEndian.Uint64(b[8:])
	if err := o.check(); err != nil {
		return nil, err
	}
	o.Gossip.Name, o.Gossip.BootID, o.Gossip.Log = o.Core.Name, n.boot, n.log
	var err error
	if n.gossip, err = gossip.New(o.Gossip); err != nil {
		return nil, err
	}
	if n.host == nil {
		n.host = newMachine(n.log)
	}
	n.opts = o
	n.view.Store(newView(o))
	return n, nil
}

// check tells everything that is wrong with the options, but for those of gossip.
func (o *Options) check() error {
	o.Groups = slices.Clone(o.Groups)
	o.Core.Groups = nil
	var errs []error
	seen := make(map[netip.Addr]string)
	for i, g := range o.Groups {
		o.Core.Groups = append(o.Core.Groups, core.Group{Name: g.Name, Priority: g.Priority})
		if len(g.Addresses) == 0 {
			errs = append(errs, fmt.Errorf("group %q: no addresses", g.Name))
		}
		o.Groups[i].Addresses = slices.Clone(g.Addresses)
		for j := range g.Addresses {
			w := &o.Groups[i].Addresses[j]
			w.Addr = netip.PrefixFrom(w.Addr.Addr().Unmap(), w.Addr.Bits())
			w.Probe, w.Lifetime = false, 0
			if other, twice := seen[w.Addr.Addr()]; twice {
				errs = append(errs, fmt.Errorf("group %q: %s is in group %q already", g.Name, w.Addr.Addr(), other))
			}
			seen[w.Addr.Addr()] = g.Name
		}
	}
	if err := o.Core.Validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Run takes part in the cluster until ctx ends. It leaves the addresses in
// place, to expire or to be adopted, unless Stop was called.
func (n *Node) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var tasks sync.WaitGroup
	var failed error
	var once sync.Once
	task := func(run func(context.Context) error) {
		tasks.Go(func() {
			if err := run(ctx); err != nil {
				once.Do(func() { failed = err })
				cancel(err)
			}
		})
	}
	// The teller goes last: it writes down how the others ended.
	tctx, quiet := context.WithCancel(context.WithoutCancel(ctx))
	told := make(chan struct{})
	go func() { defer close(told); n.tell.run(tctx) }()
	defer func() { quiet(); <-told }()
	defer cancel(nil)

	task(n.gossip.Run)
	task(n.host.Run)
	look := make(chan sight)
	task(func(ctx context.Context) error { return lookout(ctx, n.host, look) })
	echoes := newEchoes()
	task(echoes.run)
	l := newLoop(n, echoes)
	l.look = look
	end := n.begin(l)
	l.run(ctx)
	end()
	cancel(nil)
	tasks.Wait()
	return failed
}

// begin marks Run as running until the function that it returns is called.
func (n *Node) begin(l *loop) (end func()) {
	running := make(chan struct{})
	n.mu.Lock()
	n.running = running
	for _, f := range n.early {
		f(l)
	}
	n.early = nil
	n.mu.Unlock()
	return func() {
		n.mu.Lock()
		n.running = nil
		n.mu.Unlock()
		close(running)
	}
}

var errNotRunning = errors.New("the cluster isn't running")

// do has f done by the loop and waits for that.
func (n *Node) do(ctx context.Context, f func(*loop)) error {
	n.mu.Lock()
	running := n.running
	n.mu.Unlock()
	if running == nil {
		return errNotRunning
	}
	done := make(chan struct{})
	select {
	case n.commands <- func(l *loop) { f(l); close(done) }:
	case <-running:
		return errNotRunning
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// post has f done by the loop, or by Run before anything else.
func (n *Node) post(f func(*loop)) {
	n.mu.Lock()
	running := n.running
	if running == nil {
		n.early = append(n.early, f)
	}
	n.mu.Unlock()
	if running == nil {
		return
	}
	select {
	case n.commands <- f:
	case <-running:
	}
}

// Changed is woken when Snapshot may say something new.
func (n *Node) Changed() <-chan struct{} { return n.changed }

// Keyring holds the keys in use and lets them be changed.
func (n *Node) Keyring() *gossip.Keyring { return n.gossip.Keyring() }

// Addresses tells where each address that this director holds stands.
func (n *Node) Addresses() []vip.Status { return n.host.Snapshot() }

// Ping returns nil once the loops have got round to it, for watchdogs. Where
// Run has not begun nothing hangs and it returns nil at once.
func (n *Node) Ping(ctx context.Context) error {
	if err := n.do(ctx, func(*loop) {}); err != nil {
		if errors.Is(err, errNotRunning) {
			return nil
		}
		return fmt.Errorf("the cluster's loop doesn't turn: %w", err)
	}
	return n.host.Ping(ctx)
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// kernelLimit is how long the kernel may take for addresses; renewLimit when it
// only renews them, for meanwhile nothing else is done: the keeper goes on
// trying, and the next renewal is due before the lifetime is over.
const (
	kernelLimit = time.Second
	renewLimit  = 250 * time.Millisecond
)
