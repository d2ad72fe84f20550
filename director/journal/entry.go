// Package journal keeps what happened on this director: cause, verdict and
// kernel step, in a ring in memory and on disk.
package journal

import "time"

// Kind says what an Entry is about.
type Kind string

// The kinds of entries.
const (
	Verdict  Kind = "verdict"  // a real server's check changed its mind
	Weight   Kind = "weight"   // a weight changed without a verdict: slow start, agent, tiers, damping
	Virtual  Kind = "virtual"  // a virtual service is served again, by its fallback, or by nobody
	Operator Kind = "operator" // drain, disable, enable, failover, probe, apply
	Reload   Kind = "reload"   // the file was read again
	Role     Kind = "role"     // this director's role in a group
	Member   Kind = "member"   // another director came, went, or differs
	Address  Kind = "address"  // a virtual IP address came, went or was repaired
	Drift    Kind = "drift"    // somebody else changed the kernel's table
	Daemon   Kind = "daemon"   // start, ready, stop
)

// Entry is one thing that happened, why, and what followed in the kernel.
type Entry struct {
	Seq     uint64        `json:"seq"` // one more than the entry before, over restarts too
	Time    time.Time     `json:"time"`
	Kind    Kind          `json:"kind"`
	Virtual string        `json:"virtual,omitempty"` // its name in the file
	Real    string        `json:"real,omitempty"`    // 192.168.0.101:80
	Group   string        `json:"group,omitempty"`
	Before  string        `json:"before,omitempty"` // state, weight or role
	After   string        `json:"after,omitempty"`
	Cause   string        `json:"cause,omitempty"` // what led to it, in the words of who found it
	Text    string        `json:"text"`            // all of it in one plain sentence
	Steps   []string      `json:"steps,omitempty"` // what the kernel was told, in ipvsadm's syntax
	Took    time.Duration `json:"took,omitempty"`  // nanoseconds from cause to the last step
}
