package core

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"
)

// Policy says what keeps two halves of a cut cluster from both serving.
type Policy string

// The policies.
const (
	Witness  Policy = "witness"  // a claim needs a witness that answers; for two directors
	Majority Policy = "majority" // a claim needs the majority of the configured directors
	None     Policy = "none"     // the wire decides alone
)

// Timers are the times of a profile. Each director uses the larger one of its
// own and what the other advertises, so that profiles can be changed one by one.
type Timers struct {
	Interval time.Duration // between adverts
	Suspect  time.Duration // of silence: ask
	Dead     time.Duration // of silence: may be replaced
	Burst    time.Duration // between questions
	Lifetime time.Duration // of an address in the kernel; renewed each quarter
	Alone    time.Duration // the same while no other director is known
}

// The profiles.
var (
	Standard = Timers{ms(100), ms(300), ms(540), ms(20), 2 * time.Second, time.Minute}
	Fast     = Timers{ms(50), ms(125), ms(215), ms(12), 2 * time.Second, time.Minute}
	Relaxed  = Timers{ms(500), ms(1500), ms(3000), ms(50), 5 * time.Second, time.Minute}
)

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// Profile returns the profile of that name.
func Profile(name string) (Timers, bool) {
	switch name {
	case "standard", "":
		return Standard, true
	case "fast":
		return Fast, true
	case "relaxed":
		return Relaxed, true
	}
	return Timers{}, false
}

// GroupID is a group's name on the wire.
type GroupID uint32

// ID is the identity of the group of that name.
func ID(name string) GroupID {
	h := fnv.New32a()
	h.Write([]byte(name))
	return GroupID(h.Sum32())
}

// Group is the configuration of one group of addresses that move together.
type Group struct {
	Name       string
	Priority   int      // 0: Config.Priority
	Interfaces []string // on which its addresses can be asked for; none: silence alone counts
}

// Config is the configuration of a Core. Zero values of what follows Groups
// mean the default.
type Config struct {
	Name      string // of this director, at most 63 bytes
	Boot      uint64 // random: another after each start
	Seed      uint64 // of the back-off
	Directors int    // that are configured: len(join)+1
	Priority  int    // the highest wins an election
	Groups    []Group

	Timers       Timers        // Standard
	Quorum       Policy        // by Directors: one None, two Witness, more Majority
	Witnesses    int           // how many there are to ask
	Preempt      bool          // ask a worse holder for the role …
	PreemptDelay time.Duration // … after having been better for that long
	WarmCap      time.Duration // … and with a warm table, or that long after the start: 60 s
	StartHold    time.Duration // listen that long: 3 s
	RecoverDelay time.Duration // after a fault: 5 s
	Hysteresis   int           // by which another must be better than a degraded holder: 10
	DropIsolated bool          // drop when neither a director nor a witness is heard
	StrictFence  bool          // wait for the end of a silent holder's lifetime, whatever the wire says
	Force        bool          // take over from a holder without lifetimes though its address answers
	Fingerprint  uint64        // of what must be the same on all directors

	// What is so at the start; Reload ignores it.
	MACs      []MAC    // of the interfaces with VIPs
	Faults    []Fault  // of the node: at least that the table is not programmed yet
	Leftovers []string // groups whose addresses are still there from an earlier process
}

// Limits of the wire format.
const (
	MaxName   = 63
	MaxGroups = 64
	MaxPeers  = 16
	maxMACs   = 16
)

func (c Config) withDefaults() Config {
	c.Directors = max(c.Directors, 1)
	if c.Timers == (Timers{}) {
		c.Timers = Standard
	}
	if c.Quorum == "" {
		c.Quorum = [...]Policy{None, Witness, Majority}[min(c.Directors, 3)-1]
	}
	c.Priority = cmp.Or(c.Priority, 100)
	c.WarmCap = cmp.Or(c.WarmCap, time.Minute)
	c.StartHold = cmp.Or(c.StartHold, max(3*time.Second, c.Timers.Dead+5*c.Timers.Interval))
	c.RecoverDelay = cmp.Or(c.RecoverDelay, 5*time.Second)
	c.Hysteresis = cmp.Or(c.Hysteresis, 10)
	c.Groups = slices.Clone(c.Groups)
	return c
}

// Validate tells everything that is wrong with c, defaults included.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Name == "" || len(c.Name) > MaxName {
		bad("name %q: 1 to %d bytes", c.Name, MaxName)
	}
	if c.Boot == 0 {
		bad("boot id: zero")
	}
	if c.Witnesses > maxWitnesses {
		bad("%d witnesses: at most %d", c.Witnesses, maxWitnesses)
	}
	if c.Directors > MaxPeers+1 {
		bad("%d directors: at most %d", c.Directors, MaxPeers+1)
	}
	t := c.Timers
	if t.Interval < ms(5) || t.Suspect < 2*t.Interval || t.Dead < t.Suspect+5*t.Burst || t.Burst < ms(1) || t.Dead > time.Minute {
		bad("timers %v: suspect at least twice the interval, dead at least 5 bursts after it", t)
	}
	if t.Lifetime < time.Second || t.Alone < t.Lifetime || t.Alone > time.Minute {
		bad("lifetime %s, alone %s: 1 s to 1 min, alone the longer one", t.Lifetime, t.Alone)
	}
	if c.Quorum != Witness && c.Quorum != Majority && c.Quorum != None {
		bad("quorum %q: witness, majority or none", c.Quorum)
	}
	if c.StartHold <= t.Dead {
		bad("start hold %s: longer than dead, %s", c.StartHold, t.Dead)
	}
	if len(c.Groups) > MaxGroups {
		bad("%d groups: at most %d", len(c.Groups), MaxGroups)
	}
	seen := make(map[GroupID]string)
	for _, g := range c.Groups {
		if other, twice := seen[ID(g.Name)]; twice {
			bad("groups %q and %q: the same identity", other, g.Name)
		}
		seen[ID(g.Name)] = g.Name
		if p := cmp.Or(g.Priority, c.Priority); p < 1 || p > 10000 {
			bad("group %q: priority %d: 1 to 10000", g.Name, p)
		}
	}
	return errors.Join(errs...)
}
