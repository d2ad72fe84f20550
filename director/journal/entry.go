package journal

import (
	"fmt"
	"time"
	"unicode/utf8"
	"unsafe"
)

// Kind says what an Entry is about.
type Kind string

// The kinds of entries.
const (
	Verdict  Kind = "verdict"  // a real server's check changed its mind
	Weight   Kind = "weight"   // a weight changed without a verdict: slow start, agent, tiers, damping
	Virtual  Kind = "virtual"  // a virtual service is served again, by its fallback, or by nobody
	Operator Kind = "operator" // drain, disable, enable, maintenance files, failover
	Reload   Kind = "reload"   // the file was read again
	Role     Kind = "role"     // this director's role in a group, or the group's holder
	Failover Kind = "failover" // a group's addresses came up here, with the phases
	Member   Kind = "member"   // another director came, went, or differs
	Address  Kind = "address"  // a virtual IP address came, went or was repaired
	Sync     Kind = "sync"     // the kernel's connection synchronisation
	Drift    Kind = "drift"    // somebody else changed the kernel's table
	Kernel   Kind = "kernel"   // the kernel refused something, or takes it again
	Daemon   Kind = "daemon"   // start, programmed, ready, stop
)

// Kinds are all of them, in the order of their declaration.
var Kinds = []Kind{Verdict, Weight, Virtual, Operator, Reload, Role, Failover, Member, Address, Sync, Drift, Kernel, Daemon}

// The values of After in an Entry of kind Daemon, and of Reload.
const (
	Started    = "started"
	Programmed = "programmed" // the kernel's table is as wanted for the first time
	Ready      = "ready"      // and every real server has had its first verdict
	Stopped    = "stopped"
	Lost       = "lost"      // the run before ended without a word, or entries were dropped
	Unwritten  = "unwritten" // the disk doesn't take the journal

	Loaded  = "loaded"  // the new file runs
	Refused = "refused" // the old one stays
)

// Entry is one thing that happened, why, and what followed in the kernel.
type Entry struct {
	Seq     uint64        `json:"seq"`               // one more than the entry before, over restarts too
	Time    time.Time     `json:"time"`              // when it happened, as far as is known: of a verdict, when the check ended
	Kind    Kind          `json:"kind"`              // what it is about: verdict, weight, virtual, operator, reload, role, failover, member, address, sync, drift, kernel, daemon
	Virtual string        `json:"virtual,omitempty"` // name of the virtual service in the file
	Real    string        `json:"real,omitempty"`    // the real server, such as 192.168.0.101:80
	Group   string        `json:"group,omitempty"`   // the group of addresses
	Before  string        `json:"before,omitempty"`  // state, role or holder until then
	After   string        `json:"after,omitempty"`   // the same from then on
	Weight  *Change       `json:"weight,omitempty"`  // of the real server in the kernel; nil: it didn't change
	Cause   string        `json:"cause,omitempty"`   // what led to it, in the words of who found it
	Checks  int           `json:"checks,omitempty"`  // of a verdict: how many in a row said so
	Text    string        `json:"text"`              // all of it in one plain sentence, without the time
	Details []string      `json:"details,omitempty"` // of a reload: what changed, or each error with file and line
	Steps   []string      `json:"steps,omitempty"`   // what the kernel was told, in ipvsadm's syntax
	More    int           `json:"more,omitempty"`    // steps and details that there was no room for
	Took    time.Duration `json:"took,omitempty"`    // nanoseconds from Time to the last step
	Phases  *Phases       `json:"phases,omitempty"`  // of a failover to this director
}

// Change is a weight before and after.
type Change struct {
	Before int64 `json:"before"` // -1: the real server wasn't in the table
	After  int64 `json:"after"`  // -1: it is no longer in the table
}

// Phases are when the parts of a failover came, in seconds since the former
// holder was last heard, or since the decision where nobody fell silent.
type Phases struct {
	From      string    `json:"from,omitempty"`      // who held it before; empty: nobody, as far as is known
	LastHeard time.Time `json:"last_heard,omitzero"` // when that was; left out where nobody fell silent
	Suspected float64   `json:"suspected"`           // the silence was noticed; 0: there was none, or it was noticed before that
	Decided   float64   `json:"decided"`             // to take the addresses
	AddressUp float64   `json:"address_up"`          // the last address was on its interface
	Announced float64   `json:"announced"`           // the first announcement to the neighbours was sent
}

// What one entry may have, so that a file of any size makes a line of bounded
// size.
const (
	MaxLines = 50   // steps, and details
	maxText  = 1000 // bytes of each text
)

// fit cuts what is longer than an entry may be.
func (e Entry) fit() Entry {
	for _, s := range []*string{&e.Virtual, &e.Real, &e.Group, &e.Before, &e.After, &e.Cause, &e.Text} {
		*s = cut(*s)
	}
	e.Details, e.Steps = e.lines(e.Details), e.lines(e.Steps)
	return e
}

func (e *Entry) lines(list []string) []string {
	if len(list) > MaxLines {
		e.More += len(list) - MaxLines
		list = list[:MaxLines]
	}
	for i, s := range list {
		if len(s) > maxText {
			list = append([]string(nil), list...)
			list[i] = cut(s)
		}
	}
	return list
}

// size is about what the entry takes in memory, in bytes.
func (e *Entry) size() int {
	n := int(unsafe.Sizeof(*e))
	for _, s := range []string{e.Virtual, e.Real, e.Group, e.Before, e.After, e.Cause, e.Text} {
		n += len(s)
	}
	for _, list := range [][]string{e.Details, e.Steps} {
		for _, s := range list {
			n += len(s) + int(unsafe.Sizeof(s))
		}
	}
	return n
}

// cut cuts a text between characters.
func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + " …"
}

const lostRun = "the director ended some time after this, without a word: it was killed, or the machine went down."

// lostText tells of entries that came faster than they were taken.
func lostText(n int) string {
	return fmt.Sprintf("so many entries came at once that the journal lacks some: %d.", n)
}
