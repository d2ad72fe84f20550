package cluster

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/ipvsd/ipvsd/cluster/vip"
)

// host is the machine as a director of the cluster needs it.
type host interface {
	Run(ctx context.Context) error

	// The addresses, as vip.Keeper has them.
	Apply(ctx context.Context, o vip.Order) ([]vip.Status, error)
	AnnounceThese(addrs []netip.Addr, often bool)
	Snapshot() []vip.Status
	Changed() <-chan struct{}
	Ping(ctx context.Context) error

	// The neighbours, as vip.Ear has them.
	Listen(rooms []vip.Room)
	Ask(l vip.Link, addr, from netip.Addr) error
	Heard() <-chan vip.Claim
	Pending() []vip.Claim

	// What the kernel holds, and when interfaces change.
	Read() (vip.Facts, error)
	WatchLinks(ctx context.Context, wake func()) error
}

// machine is the one that we run on.
type machine struct {
	*vip.Keeper
	*vip.Ear
}

func newMachine(log *slog.Logger) host {
	return machine{vip.New(vip.Options{Logger: log}), vip.NewEar(log)}
}

func (m machine) Read() (vip.Facts, error) { return vip.Read() }

func (m machine) WatchLinks(ctx context.Context, wake func()) error { return vip.WatchLinks(ctx, wake) }

func (m machine) Run(ctx context.Context) error {
	var ear sync.WaitGroup
	ear.Go(func() { _ = m.Ear.Run(ctx) })
	defer ear.Wait()
	return m.Keeper.Run(ctx)
}

// sight is one look at the kernel.
type sight struct {
	facts vip.Facts
	err   error
}

// The pace of looking.
const (
	lookEvery = 10 * time.Second      // without an event: routes, addresses
	lookPause = 20 * time.Millisecond // events that come in a heap are one
	lookAgain = time.Second           // after an error
)

// lookout reads the kernel when an interface changed, and now and then.
func lookout(ctx context.Context, h host, out chan<- sight) error {
	event := make(chan struct{}, 1)
	var watch sync.WaitGroup
	defer watch.Wait()
	watch.Go(func() {
		for ctx.Err() == nil {
			if h.WatchLinks(ctx, func() { poke(event) }) != nil {
				sleep(ctx, lookAgain)
			}
		}
	})
	for ctx.Err() == nil {
		facts, err := h.Read()
		select {
		case out <- sight{facts, err}:
		case <-ctx.Done():
			return nil
		}
		every := lookEvery
		if err != nil {
			every = lookAgain
		}
		timer := time.NewTimer(every)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-event:
			sleep(ctx, lookPause)
		}
		timer.Stop()
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
