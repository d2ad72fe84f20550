package cluster

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ipvsd/ipvsd/cluster/core"
)

// Role is what a group's state means to the outside.
type Role string

// The roles. A director that has just started has none until it listened.
const (
	Starting Role = "starting"
	Standby  Role = "standby"
	Active   Role = "active"
	Fault    Role = "fault"
)

func roleOf(s core.State) Role {
	switch s {
	case core.Init:
		return Starting
	case core.Active, core.Releasing:
		return Active
	case core.Faulty:
		return Fault
	default:
		return Standby
	}
}

// Event is a group that took another role on this director.
type Event struct {
	Group    string
	From, To Role
	Time     time.Time
	Term     uint32
	Holder   string // who holds it as far as is known; "": nobody
	Reason   core.Reason
}

// hooks calls the hook, for each group with what is newest.
type hooks struct {
	call func(Event)
	wake chan struct{}

	mu      sync.Mutex
	waiting []Event
	told    map[string]Role
}

func newHooks(call func(Event)) *hooks {
	return &hooks{call: call, wake: make(chan struct{}, 1), told: make(map[string]Role)}
}

func (h *hooks) put(e Event) {
	if h.call == nil {
		return
	}
	h.mu.Lock()
	h.waiting = slices.DeleteFunc(h.waiting, func(o Event) bool { return o.Group == e.Group })
	h.waiting = append(h.waiting, e)
	h.mu.Unlock()
	poke(h.wake)
}

// take returns the oldest event that says something new.
func (h *hooks) take() (Event, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.waiting) > 0 {
		e := h.waiting[0]
		h.waiting = h.waiting[1:]
		if was := h.told[e.Group]; was != e.To {
			if was != "" {
				e.From = was
			}
			h.told[e.Group] = e.To
			return e, true
		}
	}
	return Event{}, false
}

// run calls the hook until ctx ends.
func (h *hooks) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.wake:
		}
		for e, ok := h.take(); ok && ctx.Err() == nil; e, ok = h.take() {
			h.call(e)
		}
	}
}
