// Package ipvs is the kernel's IPVS table on Linux: it reads it and carries
// out steps on it. It owns the sockets and their buffers and nothing else; it
// never decides what the table should hold, and starts no goroutine that
// outlives a call, unless the kernel owes that call an answer.
//
// Virtual services are changed through github.com/moby/ipvs. Reads and real
// servers go through generic netlink of our own (include/uapi/linux/ip_vs.h,
// net/netfilter/ipvs/ip_vs_ctl.c), because moby/ipvs reads weights as 16 and
// counters as 32 bits, doesn't know persistence engines, address families of
// real servers or tunnels, and takes one round trip per real server.
package ipvs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/ipvsd/ipvsd/director/table"
)

// Options are the settings of Open. The zero value is fine.
type Options struct {
	// Timeout is how long one answer of the kernel may take; 5 s if zero.
	// The kernel answers within microseconds, so it ends only what is lost.
	Timeout time.Duration
}

const defaultTimeout = 5 * time.Second

// Table is the table of the network namespace that Open ran in. All methods
// may be called from any goroutine. Reading has a socket of its own, so that a
// scrape of the metrics neither waits for steps nor holds them up; readers
// wait for each other, and so do those who do steps.
type Table struct {
	reading turn // guards reader
	reader  reader

	doing    turn // guards what follows
	reals    reals
	services services
}

// mobyFamily is the family number that moby/ipvs looked up at its first use
// and keeps in a global of its own.
var mobyFamily atomic.Uint32

// Open finds the kernel's IPVS, loading its module where it is missing and
// that is permitted, and proves that this process may use it. The error is
// table.ErrNoIPVS or table.ErrPermission with the cure in its text, or
// table.ErrReloaded.
func Open(ctx context.Context, opts Options) (*Table, error) {
	if opts.Timeout == 0 {
		opts.Timeout = defaultTimeout
	}
	// Before moby/ipvs hears of it: it takes a missing family for number 0,
	// which the kernel acknowledges and ignores.
	family, err := findFamily(ctx, opts)
	if err != nil {
		return nil, err
	}
	if err := mayUse(ctx, family, opts.Timeout); err != nil {
		return nil, err
	}
	if !mobyFamily.CompareAndSwap(0, uint32(family)) && mobyFamily.Load() != uint32(family) {
		return nil, fmt.Errorf("open IPVS: %w", table.ErrReloaded)
	}
	// moby/ipvs logs through logrus what it also returns, or what was told
	// above in better words. Nobody else in this program uses logrus.
	logrus.SetOutput(io.Discard)
	m := &mixed{}
	t := &Table{
		reading:  newTurn(),
		reader:   reader{link: link{timeout: opts.Timeout}, mixed: m},
		doing:    newTurn(),
		reals:    reals{link: link{timeout: opts.Timeout}, mixed: m},
		services: services{open: openMoby, timeout: opts.Timeout, family: family},
	}
	if err := errors.Join(t.reader.ensure(ctx), t.reals.ensure(ctx), t.services.ensure()); err != nil {
		return nil, errors.Join(fmt.Errorf("open IPVS: %w", err), t.Close())
	}
	return t, nil
}

// Close waits for calls under way and closes the sockets. The kernel's table
// stays as it is.
func (t *Table) Close() error {
	t.reading <- struct{}{}
	defer t.reading.release()
	t.doing <- struct{}{}
	defer t.doing.release()
	t.services.close()
	return errors.Join(t.reader.close(), t.reals.close())
}

// Read answers with the whole table, or with the named services; a service
// that isn't there is absent from the answer. The answer is the caller's.
func (t *Table) Read(ctx context.Context, only ...table.ServiceKey) (table.Have, error) {
	if err := t.reading.take(ctx); err != nil {
		return table.Have{}, fmt.Errorf("read the table: %w", err)
	}
	defer t.reading.release()
	have, err := t.reader.read(ctx, only)
	if err != nil {
		return table.Have{}, fmt.Errorf("read the table: %w", err)
	}
	return have, nil
}

// Do carries out the steps in their order and answers with one error slot for
// each. A failed step doesn't stop the others; an ended context does, and so
// does an answer that never came.
func (t *Table) Do(ctx context.Context, steps []table.Step) []error {
	errs := make([]error, len(steps))
	if err := t.doing.take(ctx); err != nil {
		fill(errs, err)
	} else {
		t.do(ctx, steps, errs)
		t.doing.release()
	}
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("%s: %w", steps[i], err)
		}
	}
	return errs
}

// do hands runs of steps on services to moby/ipvs and runs of steps on real
// servers to our netlink. A plan has two runs, three at most.
func (t *Table) do(ctx context.Context, steps []table.Step, errs []error) {
	for len(steps) > 0 {
		n, service := 1, onService(steps[0].Op)
		for n < len(steps) && onService(steps[n].Op) == service {
			n++
		}
		if err := ctx.Err(); err != nil {
			fill(errs, err)
			return
		}
		if service {
			t.services.do(ctx, steps[:n], errs[:n])
		} else {
			t.reals.do(ctx, steps[:n], errs[:n])
		}
		t.explain(ctx, steps[:n], errs[:n])
		steps, errs = steps[n:], errs[n:]
	}
}

func onService(op table.Op) bool {
	return op == table.AddService || op == table.EditService || op == table.DeleteService
}

// fill gives every step without an error this one.
func fill(errs []error, err error) {
	for i := range errs {
		if errs[i] == nil {
			errs[i] = err
		}
	}
}

// turn is a mutex that a context can stop the waiting for.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) release() { <-t }
