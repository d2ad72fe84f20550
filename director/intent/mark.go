// Package intent is what operators want of real servers, whatever the checks
// say: drain, disable, and enable, which takes the other two back. It owns the
// marks with their order, the file that keeps them over restarts, and their form
// on the wire. It never touches the kernel and knows nothing of the other
// directors; director decides what a mark means.
//
// The marks of all directors are merged by version, the newest wins (a
// last-writer-wins map): merging is commutative, associative and idempotent, so
// that all directors end with the same marks in whatever order they hear of
// them.
package intent

import (
	"cmp"
	"net/netip"
	"time"

	"github.com/ipvsd/ipvsd/director/table"
)

// Wish is what is wanted of a real server.
type Wish string

// The wishes. Enable is kept like the others, so that an older drain, which
// some director still knows, can't come back.
const (
	Drain   Wish = "drain"   // weight 0 until its connections are gone, then out
	Disable Wish = "disable" // out at once
	Enable  Wish = "enable"
)

// Key is whom a mark is about. It doesn't depend on the file's order or names.
type Key struct {
	Service table.ServiceKey // zero: all virtual services
	Real    netip.AddrPort
	Machine bool // the address with whatever port; Real's is 0 then
}

// Covers says whether a mark of this key is about a real server.
func (k Key) Covers(p table.Pair) bool {
	if k.Service != (table.ServiceKey{}) && k.Service != p.Service {
		return false
	}
	if k.Machine {
		return k.Real.Addr() == p.Real.Addr()
	}
	return k.Real == p.Real
}

func (k Key) String() string {
	text := k.Real.String()
	if k.Machine {
		text = k.Real.Addr().String()
	}
	if k.Service != (table.ServiceKey{}) {
		text += " of " + k.Service.String()
	}
	return text
}

func (k Key) compare(o Key) int {
	machine := func(k Key) int {
		if k.Machine {
			return 1
		}
		return 0
	}
	return cmp.Or(k.Real.Compare(o.Real), cmp.Compare(machine(k), machine(o)), k.Service.Compare(o.Service))
}

// KeysOf are all the keys that cover a real server.
func KeysOf(p table.Pair) [4]Key {
	machine := netip.AddrPortFrom(p.Real.Addr(), 0)
	return [4]Key{
		{Service: p.Service, Real: p.Real},
		{Service: p.Service, Real: machine, Machine: true},
		{Real: p.Real},
		{Real: machine, Machine: true},
	}
}

// Version orders marks. Time is the clock of the director that made the mark,
// or more where it had seen a later one: who has seen a mark always wins over
// it, also with a slow clock.
type Version struct {
	Time     int64  `json:"time"` // Unix, in nanoseconds
	Director string `json:"director"`
}

// Compare orders versions; two directors' at the same time by their names.
func (v Version) Compare(o Version) int {
	return cmp.Or(cmp.Compare(v.Time, o.Time), cmp.Compare(v.Director, o.Director))
}

// At is the version's time.
func (v Version) At() time.Time { return time.Unix(0, v.Time) }

// Mark is what an operator wants of the real servers that its key covers.
type Mark struct {
	Key      Key
	Version  Version
	Wish     Wish
	Deadline time.Time // of a drain; zero: none
	By       string    // who asked
	Reason   string    // in the operator's words
}

// Cause says who wanted it and why.
func (m Mark) Cause() string {
	text := string(m.Wish)
	if m.By != "" {
		text += " by " + m.By
	}
	if m.Version.Director != "" {
		text += " on " + m.Version.Director
	}
	if m.Reason != "" {
		text += ": " + m.Reason
	}
	return text
}

// Done is the end of a drain for one real server: it is out from then on.
type Done struct {
	Pair table.Pair
	Of   Version // of the drain
	At   time.Time
	Cut  uint32 // connections that the deadline cut; 0: all had ended
}

// ending is the identity of a Done. The drain is part of it: of two drains that
// cover a real server the newer may be taken back, and the older counts again.
type ending struct {
	pair table.Pair
	of   Version
}

func (d Done) ending() ending { return ending{d.Pair, d.Of} }

func (e ending) compare(o ending) int { return cmp.Or(e.pair.Compare(o.pair), e.of.Compare(o.of)) }

// better says which of two tales of the same end counts: the earlier.
func (d Done) better(o Done) bool {
	return cmp.Or(o.At.Compare(d.At), cmp.Compare(d.Cut, o.Cut)) > 0
}
