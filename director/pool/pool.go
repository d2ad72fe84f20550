// Package pool decides which weight each real server of one virtual service
// has, from the verdicts of the checks and from what was seen before. It is
// pure: no clock, no kernel, no logger; what came before is a [Memory] that one
// look hands to the next.
//
// The rules are applied in this order, each on what the one before left:
//
//  1. health: who is up, down, or was adopted and waits for its first verdict
//     (State, Held);
//  2. damping: who falls again and again stays out until it is calm;
//  3. the weight: the file's, times what the agent on the server asks for, times
//     how far a slow start is;
//  4. tiers: backups serve only while those before them are too few;
//  5. min_up: the fallback takes over where all together are too few;
//  6. fail-open: where too many fail at once, those that were good stay in.
//     Rules 4 and 5 see them as they are: a tier that fails brings the next one
//     in beside it, and the fallback stays out;
//  7. operators: who is barred has no weight, whatever the others say. Barred
//     servers count as absent from the first rule on, so that a backup comes in
//     for a server that was drained.
package pool

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ipvsd/ipvsd/checker"
)

// Policy is what the file says of one virtual service's pool. The zero value is
// nothing: who is up has the file's weight, and the fallback serves while nobody
// is up.
type Policy struct {
	MinUp     int           // below so many that serve, backups and then the fallback serve; 0 is 1
	SlowStart time.Duration // until a server that came up has its whole weight; 0: at once
	FailOpen  FailOpen
	Damping   Damping
}

// Rules are the policy with what it depends on.
type Rules struct {
	Policy
	Fallback bool // there is one
	Fine     bool // weights are multiplied so that a hundredth of the smallest one can be told
}

// FailOpen is the rule that many failures at once are more likely one failure
// of something else: an overload, or the way of the checks.
type FailOpen struct {
	Percent      int // of the servers that were good; more than that must fail. 0: off
	Within, Hold time.Duration
}

// Damping is the rule that who falls too often stays out.
type Damping struct {
	Falls        int // more than so many. 0: off
	Within, Calm time.Duration
}

// Remembers tells whether the policy needs more than the present.
func (p Policy) Remembers() bool {
	return p.SlowStart > 0 || p.FailOpen.Percent > 0 || p.Damping.Falls > 0
}

// need is how many servers are enough.
func (p Policy) need() int { return max(p.MinUp, 1) }

// Server is one real server: what the file says and how it is now.
type Server struct {
	Addr   netip.AddrPort
	Weight uint32 // the file's
	Tier   int    // 1 serves first; 0 is 1

	State   checker.State
	Adopted bool   // the kernel had it, and it has had no verdict yet
	Held    uint32 // with this weight
	Percent uint16 // of the weight, as its agent says; 100 where none does
	Barred  bool   // by a person
	Refuses bool   // down for what no overload explains: nobody listens there, or nobody is there
}

// good tells whether the server serves by its check.
func (s Server) good() bool {
	return !s.Barred && (s.State == checker.Up || s.waits() && s.Held > 0)
}

// waits tells whether the server still has the weight it was found with.
func (s Server) waits() bool { return s.State == checker.Unknown && s.Adopted }

func (s Server) tier() int { return max(s.Tier, 1) }

// Decision is who has which weight.
type Decision struct {
	Shares   []Share // in the servers' order
	Up       int     // how many would serve if the fallback didn't
	Fallback bool    // it has the traffic …
	Why      string  // … for this reason
	Open     string  // fail-open, in words; "": it isn't
}

// Share is one server's part.
type Share struct {
	Weight  uint32
	Dead    bool   // by its check: it needn't even be in the table
	Why     string // it has another weight than the file's; "": it hasn't
	Passing bool   // the weight depends on what was remembered, or on an agent
	Rising  bool   // its slow start isn't over
	Damped  bool

	Until time.Time // when slow start, damping or fail-open is over at the latest, as things are; zero: never
}

// Notable tells whether there is more to say than the verdicts and the file say.
func (d Decision) Notable() bool {
	return d.Open != "" || slices.ContainsFunc(d.Shares, func(s Share) bool { return s.Why != "" })
}
