package core

import "time"

// Input is one event. The package comment has the contract of each.
type Input interface{ input() }

// Tick is the deadline.
type Tick struct{}

// Received is a message of another director. The core keeps it; nobody may
// change it afterwards.
type Received struct{ Message *Message }

// Asked is one question on the wire for the addresses of a group.
type Asked struct{ Group, Interface string }

// Answered is an answer to Asked.
type Answered struct {
	Group, Interface string
	MAC              MAC
}

// Claimed is another machine that says an address of ours is its own.
type Claimed struct {
	Group, Interface string
	MAC              MAC
}

// Witnessed is one round of asking the witnesses.
type Witnessed struct {
	Begun    time.Duration // when the questions were sent
	Answered int
}

// Fault is something wrong with this director.
type Fault struct {
	Name   string // "interface", "gateway", "sync", …: fit for a label
	Text   string // "eth0 has no carrier"
	Weight int    // taken off the priority; 0: hard, it can't serve
}

// Health is all that is wrong, for one group, or for all of them ("").
type Health struct {
	Group  string
	Faults []Fault
}

// Result is how an order about addresses came out.
type Result uint8

// The results.
const (
	Up       Result = iota + 1 // the addresses are there and announced
	Lost                       // they are gone and couldn't be put back
	Failed                     // they couldn't be added or renewed
	Leftover                   // they are there from an earlier process
)

// Actuated is what became of the addresses of a group.
type Actuated struct {
	Group     string
	Result    Result
	AddressUp time.Duration // Up: when the last one was there; 0: now
	Announced time.Duration // Up: when the first announcement was sent; 0: now
	Text      string        // Failed: the error
}

// Warmed says that the synced connections have arrived.
type Warmed struct{}

// Failover is the operator's wish that a group moves.
type Failover struct {
	ID    uint64 // comes back in Answer
	Group string // "": all
	To    string // "": the best one. Our own name where nobody holds it: claim by force.
}

// Stop is the wish to end.
type Stop struct{}

// Stalled is a stall that the clock doesn't show.
type Stalled struct{ For time.Duration }

// MACs are those of the interfaces with VIPs.
type MACs struct{ MACs []MAC }

// Reload is another configuration.
type Reload struct{ Config Config }

func (Tick) input()      {}
func (Received) input()  {}
func (Asked) input()     {}
func (Answered) input()  {}
func (Claimed) input()   {}
func (Witnessed) input() {}
func (Health) input()    {}
func (Actuated) input()  {}
func (Warmed) input()    {}
func (Failover) input()  {}
func (Stop) input()      {}
func (Stalled) input()   {}
func (MACs) input()      {}
func (Reload) input()    {}
