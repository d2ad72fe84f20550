package director

import "time"

// Status is what `ipvsd status --json` and /api/v1/status say. Names and
// meanings of its fields are stable; new ones may come.
type Status struct {
	Version   string          `json:"version"` // of the program
	PID       int             `json:"pid"`     // the director's process
	Started   time.Time       `json:"started"` // when the process began
	Active    bool            `json:"active"`  // this director holds the addresses
	Ready     bool            `json:"ready"`   // programmed, and every real server has its first verdict
	Config    ConfigStatus    `json:"config"`
	Kernel    KernelStatus    `json:"kernel"`
	Virtuals  []VirtualStatus `json:"virtuals"`
	Addresses []AddressStatus `json:"addresses"`
	Cluster   *ClusterStatus  `json:"cluster,omitempty"` // nil: a single director
	Doctor    *DoctorStatus   `json:"doctor,omitempty"`  // left out before the daemon's first round of `ipvsd doctor`
}

// ConfigStatus is the running file and the last attempt to replace it.
type ConfigStatus struct {
	File   string    `json:"file"`            // its path
	Hash   string    `json:"hash"`            // SHA-256 of the running file
	Loaded time.Time `json:"loaded"`          // when it was taken over
	Error  string    `json:"error,omitempty"` // why the last reload was refused; empty when it wasn't

	Trial *TrialStatus `json:"trial,omitempty"` // nil: the running file is confirmed

	Reloads map[string]uint64 `json:"reloads"` // by result: ok, refused
}

// TrialStatus is until when the running file has to be confirmed, so that the
// one before doesn't come back.
type TrialStatus struct {
	Deadline time.Time `json:"deadline"` // when the one before comes back
	By       string    `json:"by"`       // who applied it
}

// KernelStatus is how the kernel's table stands to what is wanted.
type KernelStatus struct {
	Programmed bool      `json:"programmed"`      // the whole table was as wanted once
	Synced     time.Time `json:"synced"`          // when it was last seen to be as wanted
	Error      string    `json:"error,omitempty"` // why the table is not as wanted

	// ReadError is why this status lacks the kernel's figures: weights now,
	// connections and counters are then zero and mean nothing.
	ReadError string `json:"read_error,omitempty"`

	Foreign int `json:"foreign"` // virtual services that others made and that are left alone

	// Drifts counts differences that we hadn't made, by kind: service_missing,
	// service_changed, real_missing, real_changed, real_unexpected.
	Drifts map[string]uint64 `json:"drifts"`

	// Leaving is how many real servers that left the file finish their
	// connections at weight 0.
	Leaving int `json:"leaving"`

	// Draining is how many real servers drain by an operator's wish.
	Draining int `json:"draining"`
}

// VirtualStatus is one virtual service.
type VirtualStatus struct {
	Name      string       `json:"name"`                // as in the file
	Comment   string       `json:"comment,omitempty"`   // as in the file
	Service   string       `json:"service"`             // 192.168.0.105:80/tcp or fwmark 1/ipv4
	Scheduler string       `json:"scheduler"`           // the kernel's name of it
	Up        bool         `json:"up"`                  // a real server is up
	Fallback  bool         `json:"fallback"`            // the fallback has the traffic
	FailOpen  string       `json:"fail_open,omitempty"` // servers that fail are kept in, and how many
	Counters  Traffic      `json:"counters"`
	Reals     []RealStatus `json:"reals"`
}

// Traffic is the kernel's 64-bit counters since the entry was made.
type Traffic struct {
	Connections uint64 `json:"connections"` // scheduled
	PacketsIn   uint64 `json:"packets_in"`  // from clients
	PacketsOut  uint64 `json:"packets_out"` // to clients; with nat only, as others answer past the director
	BytesIn     uint64 `json:"bytes_in"`    // from clients
	BytesOut    uint64 `json:"bytes_out"`   // to clients, as packets_out
}

// The states of a real server in RealStatus.
const (
	StateUp        = "up"
	StateDown      = "down"
	StateUnknown   = "unknown"   // no verdict yet
	StateUnchecked = "unchecked" // its check is off
	StateFallback  = "fallback"  // the fallback, in use
	StateLeaving   = "leaving"   // left the file, finishes its connections

	// A person holds it back, whatever its check says; see Hold.
	StateDraining    = "draining"    // weight 0 until its connections are gone
	StateDrained     = "drained"     // out: they are gone, or the deadline came
	StateDisabled    = "disabled"    // out
	StateMaintenance = "maintenance" // weight 0 or out: a file in maintenance_dir names it
)

// RealStatus is one real server of a virtual service.
type RealStatus struct {
	Address    string `json:"address"`        // with its port, or alone behind a firewall mark
	Forward    string `json:"forward"`        // dr, nat, tun
	State      string `json:"state"`          // one of the states below
	Weight     uint32 `json:"weight"`         // in the kernel now
	Configured uint32 `json:"configured"`     // in the file
	Tier       int    `json:"tier,omitempty"` // in the file; 1 serves first

	// WeightReason is why the weight is another than the file's though the
	// check is good, or though it is bad: slow start, an agent, a backup, damping,
	// min_up, fail_open. Passing says that it depends on what was seen before.
	WeightReason string `json:"weight_reason,omitempty"`
	Passing      bool   `json:"passing,omitempty"`

	// WeightUntil is when that is over by itself: the end of a slow start, of
	// damping if it stays calm, of fail_open at the latest; nil: it doesn't end so.
	WeightUntil *time.Time `json:"weight_until,omitempty"`

	Damped bool `json:"damped,omitempty"` // up, and out because it flaps

	InKernel bool        `json:"in_kernel"`            // the kernel's table has it
	Active   uint32      `json:"active_connections"`   // established, as the kernel counts them
	Inactive uint32      `json:"inactive_connections"` // all others that the kernel remembers
	Counters Traffic     `json:"counters"`
	Reason   string      `json:"reason"` // of the state
	Since    time.Time   `json:"since"`  // when the state began; zero: not yet known
	Check    CheckStatus `json:"check"`

	// Verdict is what its check says: up, down, unknown, unchecked. State is the
	// same unless a person holds the real server back.
	Verdict string      `json:"verdict,omitempty"`
	Hold    *HoldStatus `json:"hold,omitempty"` // nil: nobody does
}

// HoldStatus is who holds a real server back, and until when.
type HoldStatus struct {
	Wish     string     `json:"wish"`               // drain, disable, maintenance
	By       string     `json:"by,omitempty"`       // the user who asked for it
	Director string     `json:"director,omitempty"` // where it was asked for
	Reason   string     `json:"reason,omitempty"`   // in the operator's words
	File     string     `json:"file,omitempty"`     // of maintenance_dir
	Since    time.Time  `json:"since"`              // when it was asked for, or the file was seen
	Deadline *time.Time `json:"deadline,omitempty"` // of a drain
	Ended    *time.Time `json:"ended,omitempty"`    // when a drain was over
	Cut      uint32     `json:"cut,omitempty"`      // connections that its deadline cut
}

// CheckStatus is what the check of a real server found.
type CheckStatus struct {
	Type        string       `json:"type"`           // as in docs/checks.md
	Target      string       `json:"target"`         // the address that is checked
	Good        uint64       `json:"good"`           // checks so far
	Bad         uint64       `json:"bad"`            // checks so far
	Void        uint64       `json:"void,omitempty"` // that could not be made, for a want of our own
	Last        *CheckResult `json:"last,omitempty"`
	LastFailure *CheckResult `json:"last_failure,omitempty"`

	// CertUntil is until when the certificates are valid that the latest check
	// was shown; nil: none showed any.
	CertUntil *time.Time `json:"cert_until,omitempty"`
	// Streak is how many checks in a row were alike, bad ones negative; Rise and
	// Fall are how many it takes to come up and to go down, every Interval seconds.
	Streak   int     `json:"streak"`
	Rise     int     `json:"rise"`
	Fall     int     `json:"fall"`
	Interval float64 `json:"interval"` // seconds from one check to the next

	// Overdue says that the check should have ended again long ago.
	Overdue bool `json:"overdue,omitempty"`
}

// CheckResult is one check.
type CheckResult struct {
	OK      bool      `json:"ok"`               // the answer was as it should be
	Reason  string    `json:"reason"`           // in words
	At      time.Time `json:"at"`               // when it began
	Seconds float64   `json:"seconds"`          // how long it took
	Sample  string    `json:"sample,omitempty"` // the answer's first bytes
}

// The states of an address in AddressStatus.
const (
	AddressAdded   = "added"   // by us
	AddressOwn     = "own"     // the host has it without us
	AddressMissing = "missing" // clients don't reach it; Error says why

	AddressElsewhere = "elsewhere" // another director of the cluster holds it
)

// AddressStatus is one address that clients reach.
type AddressStatus struct {
	Address   string    `json:"address"`             // with the length of its prefix
	Interface string    `json:"interface,omitempty"` // where it is, or would be
	State     string    `json:"state"`               // one of the states below
	Holder    string    `json:"holder,omitempty"`    // the director that has it, where that is another
	Since     time.Time `json:"since"`               // when the state began
	Announced uint64    `json:"announced"`           // bursts and refreshes sent
	Repaired  uint64    `json:"repaired,omitempty"`  // how often it was put back after another hand removed it
	Error     string    `json:"error,omitempty"`     // what is wrong with it
}
