package vip

import "time"

// State is where a wanted address stands.
type State string

// The states.
const (
	Waiting State = "waiting"        // not tried yet
	Holding State = "held"           // ours, on its interface
	Own     State = "held, not ours" // the host has it as an address of its own; left alone
	Failed  State = "failed"         // not there; Err says why
	Lapsed  State = "lapsed"         // its lifetime is over: Set wasn't called again in time
)

// Status is what is known of one wanted address.
type Status struct {
	Want      // Interface is the one that was found, where none is named
	State     State
	Since     time.Time // of the state
	Up        time.Time // when it was there, for sure: added, or found
	Told      time.Time // of the first announcement since; zero: none yet
	Announced int       // announcements since it is held
	Repaired  int       // how often it was put back after another hand removed it
	Err       string    // "" where all is well; an address that is held may have one too
}
