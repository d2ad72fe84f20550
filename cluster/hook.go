package cluster

import (
	"time"

	"github.com/ipvsd/ipvsd/cluster/core"
)

// Role is what a group's state means to the outside.
type Role string

// The roles. A director that has just started has none until it listened.
const (
	Starting Role = "starting"
	Standby  Role = "standby"
	Active   Role = "active"
	Fault    Role = "fault"
)

func roleOf(s core.State) Role {
	switch s {
	case core.Init:
		return Starting
	case core.Active, core.Releasing:
		return Active
	case core.Faulty:
		return Fault
	default:
		return Standby
	}
}

// Event is a group that took another role on this director.
type Event struct {
	Group    string
	From, To Role
	Time     time.Time
	Term     uint32
	Holder   string // who holds it as far as is known; "": nobody
	Reason   core.Reason
}
