package vip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// fakeKernel obeys the rules of the real one (see TestContract) in memory.
type fakeKernel struct {
	mu       sync.Mutex
	links    []Link
	held     []fakeAddr
	promoted map[string]bool
	fail     func(Step) error // injected before a step is done
	readErr  error
	sendErr  error
	reads    int
	steps    []string
	sent     []sent
	wake     func()

	defaults     []Default
	defaultReads int
	others       map[netip.Addr][][6]byte // other machines that answer for an address
	probeErr     error
	probes       []probed
}

// probed is one round of questions.
type probed struct {
	Link  Link
	Addrs []netip.Addr
	At    time.Time
}

type fakeAddr struct {
	Held
	expires time.Time // zero: never
}

// sent is one announcement.
type sent struct {
	Link Link
	Addr netip.Addr
	At   time.Time
}

func newFake(links ...Link) *fakeKernel {
	return &fakeKernel{links: links, promoted: map[string]bool{}}
}

func eth(index int, name string) Link {
	return Link{Name: name, Index: index, MAC: [6]byte{2, 0, 0, 0, 0, byte(index)}, Ethernet: true, Up: true, Carrier: true}
}

func (k *fakeKernel) Read() (Facts, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reads++
	return k.facts(), k.readErr
}

func (k *fakeKernel) facts() Facts {
	f := Facts{Links: slices.Clone(k.links)}
	for _, a := range k.held {
		h := a.Held
		if !a.expires.IsZero() {
			left := time.Until(a.expires)
			if left <= 0 {
				continue
			}
			h.Seconds = uint32(left / time.Second)
		}
		f.Held = append(f.Held, h)
	}
	return f
}

func (k *fakeKernel) Do(s Step) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held = slices.DeleteFunc(k.held, func(a fakeAddr) bool { return !a.expires.IsZero() && !time.Now().Before(a.expires) })
	k.steps = append(k.steps, s.String())
	if k.fail != nil {
		if err := k.fail(s); err != nil {
			return err
		}
	}
	link, ok := k.facts().link(s.Interface)
	i := slices.IndexFunc(k.held, func(a fakeAddr) bool { return a.Interface == s.Interface && a.Addr == s.Addr })
	switch s.Op {
	case Promote:
		k.promoted[s.Interface] = true
	case Delete:
		if i < 0 {
			return errNotFound
		}
		k.remove(i)
	case Add:
		if !ok {
			return fmt.Errorf("there is no interface %s", s.Interface)
		}
		if i >= 0 || s.Addr.Addr().Is6() && slices.ContainsFunc(k.held, func(a fakeAddr) bool {
			return a.Interface == s.Interface && a.Addr.Addr() == s.Addr.Addr()
		}) {
			return errExist
		}
		k.add(Held{Addr: s.Addr, Interface: link.Name, Loopback: link.Loopback, Ours: true, Seconds: s.Seconds})
	case Change:
		if i < 0 {
			return errors.New("the fake doesn't change what isn't there")
		}
		k.held[i].Seconds, k.held[i].Ours, k.held[i].expires = s.Seconds, true, expiry(s.Seconds)
	}
	return nil
}

func (k *fakeKernel) add(h Held) {
	h.Secondary = h.Addr.Addr().Is4() && slices.ContainsFunc(k.held, func(a fakeAddr) bool {
		return a.Interface == h.Interface && a.Addr.Masked() == h.Addr.Masked() && !a.Secondary
	})
	k.held = append(k.held, fakeAddr{h, expiry(h.Seconds)})
}

func (k *fakeKernel) remove(i int) {
	gone := k.held[i]
	k.held = slices.Delete(k.held, i, i+1)
	same := func(a fakeAddr) bool {
		return a.Secondary && !gone.Secondary && a.Interface == gone.Interface && a.Addr.Masked() == gone.Addr.Masked()
	}
	if !k.promoted[gone.Interface] {
		k.held = slices.DeleteFunc(k.held, same)
	} else if n := slices.IndexFunc(k.held, same); n >= 0 {
		k.held[n].Secondary = false
	}
}

func expiry(seconds uint32) time.Time {
	if seconds == Forever {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(seconds) * time.Second)
}

func (k *fakeKernel) Announce(l Link, addr netip.Addr) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sendErr != nil {
		return k.sendErr
	}
	k.sent = append(k.sent, sent{l, addr, time.Now()})
	return nil
}

func (k *fakeKernel) Defaults([]Link) ([]Default, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.defaultReads++
	return slices.Clone(k.defaults), nil
}

func (k *fakeKernel) Probe(ctx context.Context, l Link, addrs []netip.Addr) ([]claim, error) {
	k.mu.Lock()
	k.probes = append(k.probes, probed{l, addrs, time.Now()})
	k.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-time.After(probeTimes[len(probeTimes)-1] + probeWait):
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var claims []claim
	for _, a := range addrs {
		for _, mac := range k.others[a] {
			claims = append(claims, claim{a, mac}, claim{a, mac})
		}
	}
	return claims, k.probeErr
}

func (k *fakeKernel) Watch(ctx context.Context, wake func()) error {
	k.mu.Lock()
	k.wake = wake
	k.mu.Unlock()
	wake()
	<-ctx.Done()
	return nil
}

func (k *fakeKernel) Close() {}

// change does what a foreign hand does, and lets the kernel tell of it.
func (k *fakeKernel) change(f func()) {
	k.mu.Lock()
	f()
	wake := k.wake
	k.mu.Unlock()
	if wake != nil {
		wake()
	}
}

// own gives the host an address of its own.
func (k *fakeKernel) own(addr, name string) {
	k.change(func() {
		link, _ := k.facts().link(name)
		k.add(Held{Addr: netip.MustParsePrefix(addr), Interface: name, Loopback: link.Loopback, Seconds: Forever})
	})
}

// lose removes an address by a foreign hand.
func (k *fakeKernel) lose(addr string) {
	k.change(func() {
		k.held = slices.DeleteFunc(k.held, func(a fakeAddr) bool { return a.Addr.String() == addr })
	})
}

// addrs are the addresses held, ours with a star.
func (k *fakeKernel) addrs() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := []string{}
	for _, h := range k.facts().Held {
		s := h.Addr.String() + " " + h.Interface
		if h.Ours {
			s += " *"
		}
		out = append(out, s)
	}
	return out
}

func (k *fakeKernel) took() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.steps
	k.steps = nil
	return s
}

// times are those of the announcements of an address since start.
func (k *fakeKernel) times(addr string, start time.Time) []time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []time.Duration
	for _, s := range k.sent {
		if s.Addr == netip.MustParseAddr(addr) && !s.At.Before(start) {
			out = append(out, s.At.Sub(start))
		}
	}
	return out
}
