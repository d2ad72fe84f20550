package core

import "fmt"

// State is where a group stands on one director. The numbers are on the wire.
type State uint8

// The states.
const (
	Init      State = iota + 1 // listening before anything else
	Standby                    // somebody holds it, or nobody may
	Suspect                    // its holder is silent; asking it, the wire and the witnesses
	Candidate                  // a claim is permitted; waiting for better ones
	Voting                     // asking for the majority's grants
	Active                     // ours
	Releasing                  // ours until the successor has it
	Faulty                     // this director can't serve it
)

var stateNames = [...]string{"none", "init", "standby", "suspect", "candidate", "voting", "active", "releasing", "fault"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Holds is whether the addresses of the group are this director's.
func (s State) Holds() bool { return s == Active || s == Releasing }

// MAC is an Ethernet address.
type MAC [6]byte

func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}
