package director

import "time"

// ClusterStatus is the cluster as this director sees it.
type ClusterStatus struct {
	Name    string               `json:"name"` // of this director
	Members []MemberStatus       `json:"members"`
	Groups  []ClusterGroupStatus `json:"groups"`
	Sync    SyncStatus           `json:"sync"`

	// Transitions counts changes of role since the start, by the new role.
	Transitions map[string]uint64 `json:"transitions"`

	Problems []string `json:"problems"` // that an operator should mend
	Notes    []string `json:"notes"`    // worth knowing
}

// MemberStatus is one director, this one included.
type MemberStatus struct {
	Name     string    `json:"name"`            // "": configured, never seen
	Address  string    `json:"address"`         // where the others reach it
	State    string    `json:"state"`           // alive, silent, suspect, dead, left, absent
	Since    time.Time `json:"since"`           // of the state
	Self     bool      `json:"self"`            // this director itself
	Priority int       `json:"priority"`        // in effect, of its groups the highest: less what fails of what it tracks
	Active   []string  `json:"active"`          // groups that it holds
	Skew     bool      `json:"skew"`            // its file differs in what must be alike
	Error    string    `json:"error,omitempty"` // what keeps this director from it

	Reals  *MemberReals `json:"reals,omitempty"`  // nil: not told, or not all have their first verdict
	Faults string       `json:"faults,omitempty"` // what lowers its priority, as it says itself
}

// MemberReals counts the real servers that a director's own checks judge.
type MemberReals struct {
	Up  int `json:"up"`  // those whose check is good
	All int `json:"all"` // those of its file
}

// ClusterGroupStatus is one group of addresses that move together.
type ClusterGroupStatus struct {
	Name      string          `json:"name"`                    // as in the file, or default
	State     string          `json:"state"`                   // init, standby, suspect, candidate, voting, active, releasing, fault
	Holder    string          `json:"holder"`                  // "": nobody, as far as is known
	Term      uint32          `json:"term"`                    // counts claims; the highest holds
	Reason    string          `json:"reason"`                  // of the state
	Code      string          `json:"code"`                    // the reason in a word
	Waits     string          `json:"waits,omitempty"`         // why it isn't active yet; only between standby and active
	Since     time.Time       `json:"since"`                   // when the state began
	Addresses []string        `json:"addresses"`               // that move together
	Last      *FailoverStatus `json:"last_failover,omitempty"` // that made this director active
}

// FailoverStatus is when the parts of a failover came, in seconds since the
// holder was last heard.
type FailoverStatus struct {
	At        time.Time `json:"at"`             // of the decision
	From      string    `json:"from,omitempty"` // who held it before; "": nobody, as far as is known
	Reason    string    `json:"reason"`         // why this director took over
	Suspected float64   `json:"suspected"`      // the silence was noticed
	Decided   float64   `json:"decided"`        // this director decided to take over
	AddressUp float64   `json:"address_up"`     // the kernel had the addresses
	Announced float64   `json:"announced"`      // the first announcement was out
}

// SyncStatus is the kernel's connection synchronisation.
type SyncStatus struct {
	Enabled   bool   `json:"enabled"`         // by the file
	Running   bool   `json:"running"`         // the kernel runs it
	ID        int    `json:"id"`              // only daemons of one number hear each other
	Interface string `json:"interface"`       // where it sends and listens
	Error     string `json:"error,omitempty"` // why it does not run

	Known *SyncKnown `json:"known,omitempty"` // nil on a director that holds all, and where it can't be told
}

// SyncKnown is how far a standby lags: which share of a holder's established
// connections it knows, from 0 to 1, those left out that are too young to be sent.
type SyncKnown struct {
	Share  float64 `json:"share"`  // 0 to 1
	Holder string  `json:"holder"` // the one of which least is known
}

// FailoverAnswer is how a failover that an operator asked for ended.
type FailoverAnswer struct {
	OK     bool    `json:"ok"`
	Reason string  `json:"reason"`
	Holder string  `json:"holder"`
	Nobody float64 `json:"nobody"` // seconds for which nobody held the addresses
}
