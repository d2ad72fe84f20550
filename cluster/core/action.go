package core

import "time"

// Action is one thing to do. The package comment has the contract of each.
type Action interface{ action() }

// Drop removes the addresses of a group, at once.
type Drop struct{ Group string }

// Hold has the addresses of a group for Lifetime from now.
type Hold struct {
	Group    string
	Lifetime time.Duration
	Renew    bool // they are ours already
	Adopt    bool // they are there from an earlier process
}

// Kind of announcement.
type AnnounceKind uint8

// The kinds. Hold announces by itself as an address comes up.
const (
	AfterConflict AnnounceKind = iota + 1 // now, +1 s, +3 s: another one held it, too
	Defend                                // now: somebody else answered for it
)

// Announce tells the neighbours again whose the addresses are.
type Announce struct {
	Group string
	Kind  AnnounceKind
}

// Send sends a message, to all configured directors when To is "".
type Send struct {
	To      string
	Message *Message
}

// Probe starts or stops (0) asking the wire for the addresses of a group.
type Probe struct {
	Group string
	Every time.Duration
}

// AskWitnesses starts or stops (0) asking the witnesses often.
type AskWitnesses struct{ Every time.Duration }

// Phases are the times of a failover, on our own clock; 0: there was none.
type Phases struct {
	LastHeard time.Duration // of the holder
	Suspected time.Duration
	Permitted time.Duration // nothing was in the way any more
	Decided   time.Duration // the claim
	AddressUp time.Duration
	Announced time.Duration
}

// Transition is a group that changed state. A second one from Active to Active
// tells that the addresses are up, with all Phases.
type Transition struct {
	Group    string
	From, To State
	At       time.Duration
	Term     uint32
	Holder   string // who holds it as far as is known; "" nobody
	Reason   Reason
	Phases   Phases // of the failover, when To is Active
}

// Decision is why a group does not act.
type Decision struct {
	Group  string
	State  State
	At     time.Duration
	Reason Reason
	Alarm  bool // an operator should look
}

// Note is something to tell that changes no role.
type Note struct {
	Group  string // "": of the node
	At     time.Duration
	Reason Reason
	Over   bool // it isn't so any more
}

// Answer ends a Failover.
type Answer struct {
	ID     uint64
	Group  string
	OK     bool
	Reason Reason
	// Nobody is how long nobody held the addresses as far as is known; 0 when
	// the successor had them first.
	Nobody time.Duration
}

// Stopped ends Stop.
type Stopped struct{}

func (Drop) action()         {}
func (Hold) action()         {}
func (Announce) action()     {}
func (Send) action()         {}
func (Probe) action()        {}
func (AskWitnesses) action() {}
func (Transition) action()   {}
func (Decision) action()     {}
func (Note) action()         {}
func (Answer) action()       {}
func (Stopped) action()      {}
