package ipvs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	moby "github.com/moby/ipvs"

	"github.com/ipvsd/ipvsd/director/table"
)

// maxStuck is how many calls may be lost inside moby/ipvs before every further
// one is refused.
const maxStuck = 3

// handle is what we use of moby/ipvs's Handle.
type handle interface {
	NewService(*moby.Service) error
	UpdateService(*moby.Service) error
	DelService(*moby.Service) error
	Close()
}

func openMoby() (handle, error) { return moby.New("") }

// services carries out steps on virtual services through moby/ipvs. A handle
// of moby's is one socket, and two goroutines on it read each other's answers:
// only one call of do at a time, please. A lost answer makes moby wait for
// ever; then the handle is closed, which as a rule ends the wait, and the next
// call gets a new one.
type services struct {
	open    func() (handle, error)
	timeout time.Duration // of one call
	family  uint16        // the number that moby/ipvs found and keeps

	h     handle
	stuck atomic.Int32 // goroutines that moby/ipvs hasn't returned
}

// ensure opens the handle where there is none.
func (s *services) ensure() error {
	if n := s.stuck.Load(); n >= maxStuck {
		return fmt.Errorf("%w: %d calls never returned; restart this process", table.ErrTimeout, n)
	}
	if s.h != nil {
		return nil
	}
	h, err := s.open()
	if err != nil {
		return fmt.Errorf("open moby/ipvs: %w", err)
	}
	s.h = h
	return nil
}

func (s *services) close() {
	if s.h != nil {
		s.h.Close()
		s.h = nil
	}
}

// do carries out steps on services. Errors go to their slots.
func (s *services) do(ctx context.Context, steps []table.Step, errs []error) {
	if err := s.ensure(); err != nil {
		fill(errs, err)
		return
	}
	c := call{h: s.h, steps: steps, results: make(chan error, len(steps))}
	s.stuck.Add(1)
	go func() {
		defer s.stuck.Add(-1)
		c.run()
	}()
	done, err := s.collect(ctx, &c, errs)
	if err != nil {
		// Of one of these it isn't known whether it was done; the rest wasn't.
		c.stop.Store(true)
		fill(errs[done:], err)
		s.close()
	}
}

// collect takes the results, and gives up where one doesn't come in time.
func (s *services) collect(ctx context.Context, c *call, errs []error) (done int, err error) {
	timer := time.NewTimer(s.timeout)
	defer timer.Stop()
	for i := range errs {
		select {
		case errs[i] = <-c.results:
			timer.Reset(s.timeout)
		case <-timer.C:
			return i, fmt.Errorf("%w within %v", table.ErrTimeout, s.timeout)
		case <-ctx.Done():
			return i, ctx.Err()
		}
	}
	return len(errs), nil
}

// call is one run of steps in a goroutine of its own, because nothing but the
// socket's end stops a call of moby/ipvs.
type call struct {
	h       handle
	steps   []table.Step
	results chan error
	stop    atomic.Bool
}

func (c *call) run() {
	for _, st := range c.steps {
		if c.stop.Load() {
			return
		}
		c.results <- c.do(st)
	}
}

func (c *call) do(st table.Step) error {
	if err := st.Validate(); err != nil {
		return err
	}
	switch st.Op {
	case table.AddService:
		return c.h.NewService(mobyService(st.Service))
	case table.EditService:
		return c.h.UpdateService(mobyService(st.Service))
	case table.DeleteService:
		return c.h.DelService(mobyService(st.Service))
	}
	return errors.ErrUnsupported
}

// mobyService writes the service as moby/ipvs wants it: the netmask in network
// byte order for IPv4 and as a length for IPv6, and persistence as a flag.
func mobyService(s table.Service) *moby.Service {
	s = s.Normal()
	m := &moby.Service{
		AddressFamily: addressFamily(s.Family),
		Protocol:      uint16(s.Protocol),
		FWMark:        s.FWMark,
		SchedName:     s.Scheduler,
		Flags:         uint32(s.Flags),
		Timeout:       s.Timeout,
		Netmask:       netmask(s.Family, s.PrefixLen),
		PEName:        s.PE,
	}
	if s.Protocol != 0 {
		m.Address = net.IP(s.Addr.Addr().AsSlice())
		m.Port = s.Addr.Port()
	}
	if s.Timeout != 0 {
		m.Flags |= flagPersistent
	}
	return m
}
