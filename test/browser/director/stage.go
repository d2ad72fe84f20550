package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/journal"
)

// stage is a director.Status in which checks and connections go on.
type stage struct {
	mu      sync.Mutex
	status  director.Status
	began   time.Time
	unreads string
	hangs   time.Duration
	scene   string
}

// Loads implements api.Source.
func (s *stage) Loads(ctx context.Context) director.Loads {
	st := s.Status(ctx)
	return director.LoadsOf(&st)
}

// Status implements api.Source. What it returns shares nothing with the stage.
func (s *stage) Status(ctx context.Context) director.Status {
	s.mu.Lock()
	hangs := s.hangs
	s.mu.Unlock()
	if hangs > 0 {
		select {
		case <-time.After(hangs):
		case <-ctx.Done():
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	st := s.status
	st.Kernel.Synced = now.Truncate(2 * time.Second)
	st.Kernel.ReadError = s.unreads
	st.Virtuals = make([]director.VirtualStatus, len(s.status.Virtuals))
	for v := range s.status.Virtuals {
		st.Virtuals[v] = s.status.Virtuals[v]
		reals := make([]director.RealStatus, len(st.Virtuals[v].Reals))
		for r := range reals {
			reals[r] = s.moved(v, r, now)
		}
		st.Virtuals[v].Reals = reals
	}
	return st
}

// moved is a real server with the figures that it has by now.
func (s *stage) moved(v, r int, now time.Time) director.RealStatus {
	real := s.status.Virtuals[v].Reals[r]
	seconds := now.Sub(s.began).Seconds()
	if real.Weight > 0 && s.unreads == "" {
		wave := 1 + .5*math.Sin(seconds/50+float64(3*v+r)) + .15*math.Sin(seconds/3.1+float64(7*r))
		real.Active = uint32(float64(real.Active) * wave)
		real.Inactive = uint32(float64(real.Inactive) * wave)
		real.Counters.Connections += uint64(float64(s.status.Virtuals[v].Reals[r].Active+2) * seconds / 9)
	}
	if s.unreads != "" {
		real.Active, real.Inactive, real.Weight, real.Counters = 0, 0, 0, director.Traffic{}
	}
	if real.Check.Last != nil {
		turns := now.Sub(s.began) / (2 * time.Second)
		last := *real.Check.Last
		last.At = s.began.Add(turns * 2 * time.Second).Add(time.Duration((v*131+r*17)%2000) * time.Millisecond)
		if last.At.After(now) {
			last.At = last.At.Add(-2 * time.Second)
		}
		if last.OK {
			real.Check.Good += uint64(turns)
			real.Check.Streak += int(turns)
		} else {
			real.Check.Bad += uint64(turns)
			real.Check.Streak -= int(turns)
		}
		real.Check.Last = &last
	}
	return real
}

// Ready implements api.Source.
func (s *stage) Ready() bool { return true }

// Active implements api.Source.
func (s *stage) Active() bool { return true }

// Hung implements api.Source.
func (s *stage) Hung(context.Context) []string { return nil }

// change lets f change a real server and its virtual service.
func (s *stage) change(virtual, address string, f func(*director.VirtualStatus, *director.RealStatus)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for v := range s.status.Virtuals {
		if s.status.Virtuals[v].Name != virtual {
			continue
		}
		for r := range s.status.Virtuals[v].Reals {
			if s.status.Virtuals[v].Reals[r].Address == address {
				f(&s.status.Virtuals[v], &s.status.Virtuals[v].Reals[r])
				return nil
			}
		}
	}
	return fmt.Errorf("there is no %s of %s", address, virtual)
}

func (s *stage) down(virtual, address, reason string) (journal.Entry, error) {
	return journal.Entry{
		Kind: journal.Verdict, Virtual: virtual, Real: address, Before: director.StateUp, After: director.StateDown, Cause: reason,
		Text:  fmt.Sprintf("%s of %s is down: %s; its weight went from 100 to 0.", address, virtual, reason),
		Steps: []string{"-e -t 192.0.2.10:80 -r " + address + " -g -w 0"}, Took: 1800 * time.Microsecond,
	}, s.change(virtual, address, func(_ *director.VirtualStatus, r *director.RealStatus) { fail(r, reason, time.Now()) })
}

func (s *stage) up(virtual, address string) (journal.Entry, error) {
	return journal.Entry{
		Kind: journal.Verdict, Virtual: virtual, Real: address, Before: director.StateDown, After: director.StateUp,
		Text: fmt.Sprintf("%s of %s is up: status 200; its weight went from 0 to 100.", address, virtual),
	}, s.change(virtual, address, func(_ *director.VirtualStatus, r *director.RealStatus) { heal(r, time.Now()) })
}

func (s *stage) drain(virtual, address, minutes string) (journal.Entry, error) {
	n, err := strconv.Atoi(minutes)
	if err != nil {
		return journal.Entry{}, err
	}
	return journal.Entry{
		Kind: journal.Operator, Virtual: virtual, Real: address, Before: director.StateUp, After: director.StateDraining,
		Text: fmt.Sprintf("anna drains %s of %s, for %d min at most.", address, virtual, n),
	}, s.change(virtual, address, func(_ *director.VirtualStatus, r *director.RealStatus) {
		hold(r, director.StateDraining, n, time.Now())
	})
}

func (s *stage) unread(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unreads = reason
}

func (s *stage) hang(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangs = d
}
