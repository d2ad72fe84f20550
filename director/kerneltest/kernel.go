// Package kerneltest is the kernel's IPVS table without a kernel: an
// in-memory one that obeys the same rules and gives the same errors, and the
// contract that it and the real one (package ipvs) both have to pass. What
// the contract doesn't say may not be relied on.
//
// Rules follow Linux's net/netfilter/ipvs/ip_vs_ctl.c as it answered in the
// lab.
package kerneltest

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"sync"

	"github.com/ipvsd/ipvsd/director/table"
)

// Kernel is an IPVS table in memory. Every method may be called from any
// goroutine; what it hands out is a copy.
type Kernel struct {
	mu       sync.Mutex
	state    table.State
	counters map[table.Pair]table.Counters // Real is zero for a service's own
	lacking  map[string]bool               // scheduler and engine modules
	fail     func(table.Step) error
	failRead func() error
	steps    int
}

// New makes an empty table of a kernel that has every scheduler and the
// persistence engine sip.
func New() *Kernel {
	return &Kernel{
		state:    table.State{},
		counters: map[table.Pair]table.Counters{},
		lacking:  map[string]bool{},
	}
}

// FailStep makes Do ask f before each step; an error is the step's result,
// and the step isn't done. f is called with the kernel locked, and may call
// nothing of it but Peek. nil ends the failing.
func (k *Kernel) FailStep(f func(table.Step) error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fail = f
}

// FailRead makes Read ask f first; see FailStep.
func (k *Kernel) FailRead(f func() error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failRead = f
}

// Unload takes a scheduler or persistence engine out of the kernel.
func (k *Kernel) Unload(module string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lacking[module] = true
}

// Flush empties the table, as a foreign "ipvsadm -C" does.
func (k *Kernel) Flush() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.state)
	clear(k.counters)
}

// Count sets the counters of a real server, or of a service where p.Real is
// zero. They go when it goes.
func (k *Kernel) Count(p table.Pair, c table.Counters) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.counters[p] = c
}

// State is a copy of the table.
func (k *Kernel) State() table.State {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state.Clone()
}

// Peek is the table itself, for f of FailStep to look at.
func (k *Kernel) Peek() table.State { return k.state }

// Steps counts the steps that were done since New.
func (k *Kernel) Steps() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.steps
}

// Read answers with the whole table, or with the named services; a service
// that isn't there is absent from the answer.
func (k *Kernel) Read(ctx context.Context, only ...table.ServiceKey) (table.Have, error) {
	if err := ctx.Err(); err != nil {
		return table.Have{}, fmt.Errorf("read the table: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failRead != nil {
		if err := k.failRead(); err != nil {
			return table.Have{}, fmt.Errorf("read the table: %w", err)
		}
	}
	have := table.Have{
		State:    table.State{},
		Reals:    map[table.Pair]table.Counters{},
		Services: map[table.ServiceKey]table.Counters{},
	}
	if len(only) == 0 {
		only = k.state.Keys()
	}
	for _, key := range only {
		e, ok := k.state[key]
		if !ok {
			continue
		}
		e.Reals = maps.Clone(e.Reals)
		have.State[key] = e
		have.Services[key] = k.counters[table.Pair{Service: key}]
		for a := range e.Reals {
			p := table.Pair{Service: key, Real: a}
			have.Reals[p] = k.counters[p]
		}
	}
	return have, nil
}

// ReadState is Read of everything without the counters.
func (k *Kernel) ReadState(ctx context.Context) (table.State, error) {
	have, err := k.Read(ctx)
	return have.State, err
}

// Do carries out the steps in their order and answers with one error slot for
// each. A failed step doesn't stop the others.
func (k *Kernel) Do(ctx context.Context, steps []table.Step) []error {
	errs := make([]error, len(steps))
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, s := range steps {
		err := ctx.Err()
		if err == nil {
			err = s.Validate()
		}
		if err == nil && k.fail != nil {
			err = k.fail(s)
		}
		if err == nil {
			err = k.do(s)
		}
		if err != nil {
			errs[i] = fmt.Errorf("%s: %w", s, err)
			continue
		}
		k.steps++
	}
	return errs
}

func (k *Kernel) do(s table.Step) error {
	key := s.Service.ServiceKey
	e, ok := k.state[key]
	if s.Op == table.AddService {
		if ok {
			return table.ErrExist
		}
		e.Reals = map[netip.AddrPort]table.Real{}
		return k.setService(e, s.Service)
	}
	if !ok {
		return table.ErrNoService
	}
	switch s.Op {
	case table.EditService:
		return k.setService(e, s.Service)
	case table.DeleteService:
		for a := range e.Reals {
			delete(k.counters, table.Pair{Service: key, Real: a})
		}
		delete(k.counters, table.Pair{Service: key})
		delete(k.state, key)
		return nil
	}
	return k.doReal(e, s)
}

func (k *Kernel) setService(e table.Entry, s table.Service) error {
	if !k.knows(s.Scheduler, table.Schedulers...) && s.Scheduler != "none" {
		return table.ErrScheduler
	}
	if s.PE != "" && !k.knows(s.PE, "sip") {
		return table.ErrScheduler
	}
	e.Service = s.Normal()
	k.state[s.ServiceKey] = e
	return nil
}

func (k *Kernel) knows(module string, all ...string) bool {
	for _, m := range all {
		if m == module {
			return !k.lacking[m]
		}
	}
	return false
}

func (k *Kernel) doReal(e table.Entry, s table.Step) error {
	r := s.Real.Normal()
	old, ok := e.Reals[r.Addr]
	if s.Op == table.AddReal {
		if ok {
			return table.ErrExist
		}
		if a := r.Addr.Addr(); a.Is6() && a.IsLinkLocalUnicast() {
			return table.ErrInvalid
		}
		e.Reals[r.Addr] = r
		return nil
	}
	if !ok {
		return table.ErrNoReal
	}
	switch s.Op {
	case table.EditReal:
		e.Reals[r.Addr] = r
	case table.DeleteReal:
		delete(e.Reals, old.Addr)
		delete(k.counters, s.Pair())
	}
	return nil
}
