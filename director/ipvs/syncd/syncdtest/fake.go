// Package syncdtest is the kernel's sync daemons in memory, and the contract
// that the real ones pass, too.
package syncdtest

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/ipvsd/ipvsd/director/ipvs/syncd"
)

// Fake is a syncd.Kernel in memory. All methods may be called from any
// goroutine.
type Fake struct {
	mu         sync.Mutex
	running    []syncd.Running
	links      map[string]syncd.Link
	lastIndex  int
	backupOnly bool
	blind      bool
	fail       func(syncd.Step) error
	readErr    error
	took       []string
	reads      int
	wake       func()
}

// NewFake makes a kernel without any interface.
func NewFake() *Fake { return &Fake{links: map[string]syncd.Link{}} }

// Read returns what the kernel holds.
func (f *Fake) Read(want syncd.Want) (syncd.Have, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	if f.readErr != nil {
		return syncd.Have{}, f.readErr
	}
	have := syncd.Have{Running: slices.Clone(f.running), Link: f.links[want.Interface], BackupOnly: f.backupOnly}
	have.Link.Addrs = slices.Clone(have.Link.Addrs)
	if f.blind {
		for i := range have.Running {
			have.Running[i].Index, have.Running[i].Source = 0, netip.Addr{}
		}
	}
	return have, nil
}

// Do carries out one step.
func (f *Fake) Do(s syncd.Step) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		if err := f.fail(s); err != nil {
			return err
		}
	}
	i := slices.IndexFunc(f.running, func(r syncd.Running) bool { return r.Role == s.Daemon.Role })
	switch s.Op {
	case syncd.ClearBackupOnly:
		f.backupOnly = false
	case syncd.Stop:
		if i < 0 {
			return syncd.ErrNotRunning
		}
		f.running = slices.Delete(f.running, i, i+1)
	case syncd.Start:
		link, ok := f.links[s.Daemon.Interface]
		if !ok {
			return fmt.Errorf("there is no interface %s", s.Daemon.Interface)
		}
		if i >= 0 {
			return syncd.ErrExist
		}
		f.start(s.Daemon.Normal(), link)
	}
	f.took = append(f.took, s.String())
	return nil
}

func (f *Fake) start(d syncd.Daemon, link syncd.Link) {
	if d.MaxLen == 0 {
		d.MaxLen = 1500 - 28
	}
	r := syncd.Running{Daemon: d}
	if d.Role == syncd.Master {
		r.Source = netip.IPv4Unspecified()
		if len(link.Addrs) > 0 {
			r.Source = link.Addrs[0]
		}
		f.running = append([]syncd.Running{r}, f.running...)
		return
	}
	r.Index = link.Index
	f.running = append(f.running, r)
}

// Watch calls wake at each event.
func (f *Fake) Watch(ctx context.Context, wake func()) error {
	f.mu.Lock()
	f.wake = wake
	f.mu.Unlock()
	wake()
	<-ctx.Done()
	return nil
}

// change does what a foreign hand does, and lets the kernel tell of it.
func (f *Fake) change(do func()) {
	f.mu.Lock()
	do()
	wake := f.wake
	f.mu.Unlock()
	if wake != nil {
		wake()
	}
}

// AddLink makes an interface with addresses, or gives it others.
func (f *Fake) AddLink(name string, addrs ...string) {
	f.change(func() {
		l, ok := f.links[name]
		if !ok {
			f.lastIndex++
			l.Index = f.lastIndex
		}
		l.Name, l.Up, l.Addrs, l.Usable = name, true, nil, len(addrs) > 0
		for _, a := range addrs {
			l.Addrs = append(l.Addrs, netip.MustParsePrefix(a).Addr())
		}
		f.links[name] = l
	})
}

// DelLink removes an interface; its daemons don't notice.
func (f *Fake) DelLink(name string) { f.change(func() { delete(f.links, name) }) }

// SetDown takes an interface down.
func (f *Fake) SetDown(name string) {
	f.change(func() {
		l := f.links[name]
		l.Up = false
		f.links[name] = l
	})
}

// SetBackupOnly sets the sysctl. The kernel tells nobody.
func (f *Fake) SetBackupOnly(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.backupOnly = on
}

// Blind hides the daemons' sockets, as a kernel without sock_diag does.
func (f *Fake) Blind() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blind = true
}

// Fail makes Do ask fn first, and Read fail with readErr; nil for neither.
func (f *Fake) Fail(fn func(syncd.Step) error, readErr error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail, f.readErr = fn, readErr
}

// Took returns the steps that were done since the last call.
func (f *Fake) Took() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.took
	f.took = nil
	return t
}

// Reads is how often it was read.
func (f *Fake) Reads() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads
}
