package gossip

import (
	"bytes"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// State is what is known of a director.
type State int

// Suspect: it didn't answer a probe of ours; memberlist will call it dead
// unless it speaks up. Dead: it fell silent. Left: it said goodbye.
const (
	Absent State = iota // configured and never seen
	Alive
	Suspect
	Dead
	Left
)

func (s State) String() string {
	return [...]string{"absent", "alive", "suspect", "dead", "left"}[s]
}

// MarshalText is for the status' JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Member is one director.
type Member struct {
	Name       string
	Addr       netip.AddrPort
	State      State
	Since      time.Time     // in this state
	Boot       uint64        // of its running process
	Keys       []string      // fingerprints of its keys, the encrypting one first
	Meta       []byte        // as its SetMeta had it; not to be changed
	Heard      time.Time     // its last message, or answer to a probe
	RTT        time.Duration // of the last probe that was answered
	Self       bool
	Configured bool   // its address is in Join, or it is Self
	Err        string // why it can't be joined
}

// joined says whether memberlist counts it in.
func (m *Member) joined() bool { return m.State == Alive || m.State == Suspect }

// forgetAfter is how long a director that is gone stays in the view when no
// Join names it.
const forgetAfter = 10 * time.Minute

// view is what memberlist's callbacks write and Members reads. Nothing is
// called while its lock is held.
type view struct {
	self    string
	boot    uint64
	changed chan struct{}

	mu      sync.Mutex
	members map[string]*entry
}

type entry struct {
	Member
	farewell uint64      // the boot id that said goodbye
	starts   []time.Time // of new boot ids, the last twinStarts
}

// So many starts within this time are a crash loop or two machines that share
// a name and an address.
const (
	twinStarts  = 5
	twinsWithin = time.Minute
)

// twins are the directors that seem to be started over and over.
func (v *view) twins(now time.Time) []Member {
	v.mu.Lock()
	defer v.mu.Unlock()
	var twins []Member
	for _, e := range v.members {
		if len(e.starts) == twinStarts && now.Sub(e.starts[0]) < twinsWithin {
			twins = append(twins, e.Member)
		}
	}
	return twins
}

func newView(self string, boot uint64) *view {
	return &view{self: self, boot: boot, changed: make(chan struct{}, 1), members: map[string]*entry{}}
}

// alive takes what memberlist says of a living director: joined is true when
// it wasn't one before.
func (v *view) alive(n *memberlist.Node, joined bool) {
	meta, _ := decodeMeta(n.Meta) // NotifyAlive let only sound ones through
	now := time.Now()
	addr := nodeAddr(n)
	v.mu.Lock()
	defer v.mu.Unlock()
	defer wake(v.changed)
	e := v.members[n.Name]
	if e == nil {
		e = &entry{Member: Member{Name: n.Name, Self: n.Name == v.self}}
		v.members[n.Name] = e
	}
	if e.Boot != meta.boot {
		e.State, e.Since = Alive, now
		if e.Boot != 0 {
			e.starts = append(e.starts[max(0, len(e.starts)+1-twinStarts):], now)
		}
	} else if joined {
		e.set(Alive, now)
	}
	if e.farewell == meta.boot && meta.boot != 0 && !e.Self {
		e.set(Left, now)
	}
	e.Addr, e.Boot, e.Keys, e.Meta = addr, meta.boot, meta.keys, bytes.Clone(meta.user)
	v.dropRenamed(addr)
}

// dropRenamed drops those that are gone from an address where one lives now.
func (v *view) dropRenamed(addr netip.AddrPort) {
	lives := func(e *entry) bool { return e.Addr == addr && e.joined() }
	for name, e := range v.members {
		if e.Addr == addr && !e.joined() && slices.ContainsFunc(slices.Collect(maps.Values(v.members)), lives) {
			delete(v.members, name)
		}
	}
}

// gone: memberlist doesn't tell death from leaving (Node.State is never set),
// so a farewell does.
func (v *view) gone(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	defer wake(v.changed)
	e := v.members[name]
	if e == nil {
		return
	}
	if e.Self || e.farewell == e.Boot {
		e.set(Left, time.Now())
	} else {
		e.set(Dead, time.Now())
	}
	v.dropRenamed(e.Addr)
}

// left takes a farewell.
func (v *view) left(name string, boot uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	e := v.members[name]
	if e == nil || e.Self {
		return
	}
	e.farewell = boot
	if e.Boot == boot {
		e.set(Left, time.Now())
		wake(v.changed)
	}
}

// suspect: a probe of ours failed.
func (v *view) suspect(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e := v.members[name]; e != nil && e.State == Alive {
		e.set(Suspect, time.Now())
		wake(v.changed)
	}
}

// heard is a sign of life from a director at its address.
func (v *view) heard(name string, addr netip.AddrPort, at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	e := v.members[name]
	if e == nil || e.Addr != addr {
		return
	}
	e.Heard = at
	if e.State == Suspect {
		e.set(Alive, at)
		wake(v.changed)
	}
}

func (v *view) answered(name string, addr netip.AddrPort, rtt time.Duration) {
	v.heard(name, addr, time.Now())
	v.mu.Lock()
	defer v.mu.Unlock()
	if e := v.members[name]; e != nil && e.Addr == addr {
		e.RTT = rtt
	}
}

// elsewhere is where a director of this name lives when that isn't addr: a
// message from addr is then an impostor's.
func (v *view) elsewhere(name string, addr netip.AddrPort, now time.Time) (netip.AddrPort, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	e := v.members[name]
	if e == nil || e.Addr == addr || !e.joined() || now.Sub(e.Heard) > time.Second {
		return netip.AddrPort{}, false
	}
	return e.Addr, true
}

// joinedAt says whether a living member has this address.
func (v *view) joinedAt(addr netip.AddrPort) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, e := range v.members {
		if e.Addr == addr && e.joined() && !e.Self {
			return true
		}
	}
	return false
}

// find says where a director is and when it was last heard; the zero address:
// unknown.
func (v *view) find(name string) (addr netip.AddrPort, heard time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e := v.members[name]; e != nil {
		return e.Addr, e.Heard
	}
	return netip.AddrPort{}, time.Time{}
}

// process is where a director is and its boot id.
func (v *view) process(name string) (netip.AddrPort, uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e := v.members[name]; e != nil {
		return e.Addr, e.Boot
	}
	return netip.AddrPort{}, 0
}

// joinedAddrs are the addresses of the others that memberlist counts in.
func (v *view) joinedAddrs() []netip.AddrPort {
	v.mu.Lock()
	defer v.mu.Unlock()
	var addrs []netip.AddrPort
	for _, e := range v.members {
		if !e.Self && e.joined() {
			addrs = append(addrs, e.Addr)
		}
	}
	return addrs
}

// forget drops those that are gone for long.
func (v *view) forget(now time.Time, keep func(netip.AddrPort) bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for name, e := range v.members {
		if !e.Self && !e.joined() && !keep(e.Addr) && now.Sub(e.Since) > forgetAfter {
			delete(v.members, name)
			wake(v.changed)
		}
	}
}

func (v *view) snapshot() []Member {
	v.mu.Lock()
	defer v.mu.Unlock()
	members := make([]Member, 0, len(v.members))
	for _, e := range v.members {
		m := e.Member
		m.Keys = slices.Clone(m.Keys)
		members = append(members, m)
	}
	return members
}

func (e *entry) set(s State, now time.Time) {
	if e.State != s {
		e.State, e.Since = s, now
	}
}

func nodeAddr(n *memberlist.Node) netip.AddrPort {
	a, _ := netip.AddrFromSlice(n.Addr)
	return netip.AddrPortFrom(a.Unmap(), n.Port)
}
