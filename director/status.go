package director

import "time"

// Status is what `ipvsd status --json` and /api/v1/status say. Names and
// meanings of its fields are stable; new ones may come.
type Status struct {
	Version   string          `json:"version"`
	PID       int             `json:"pid"`
	Started   time.Time       `json:"started"`
	Active    bool            `json:"active"` // this director holds the addresses
	Ready     bool            `json:"ready"`  // programmed, and every real server has its first verdict
	Config    ConfigStatus    `json:"config"`
	Kernel    KernelStatus    `json:"kernel"`
	Virtuals  []VirtualStatus `json:"virtuals"`
	Addresses []AddressStatus `json:"addresses"`
	Cluster   *ClusterStatus  `json:"cluster,omitempty"` // nil: a single director
}

// ConfigStatus is the running file and the last attempt to replace it.
type ConfigStatus struct {
	File   string    `json:"file"`
	Hash   string    `json:"hash"` // SHA-256 of the running file
	Loaded time.Time `json:"loaded"`
	Error  string    `json:"error,omitempty"` // why the last reload was refused; empty when it wasn't

	Reloads map[string]uint64 `json:"reloads"` // by result: ok, refused
}

// KernelStatus is how the kernel's table stands to what is wanted.
type KernelStatus struct {
	Programmed bool      `json:"programmed"` // the whole table was as wanted once
	Synced     time.Time `json:"synced"`     // when it was last seen to be as wanted
	Error      string    `json:"error,omitempty"`

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
	Name      string       `json:"name"`
	Comment   string       `json:"comment,omitempty"`
	Service   string       `json:"service"` // 192.168.0.105:80/tcp or fwmark 1/ipv4
	Scheduler string       `json:"scheduler"`
	Up        bool         `json:"up"`                  // a real server is up
	Fallback  bool         `json:"fallback"`            // the fallback has the traffic
	FailOpen  string       `json:"fail_open,omitempty"` // servers that fail are kept in, and how many
	Counters  Traffic      `json:"counters"`
	Reals     []RealStatus `json:"reals"`
}

// Traffic is the kernel's 64-bit counters since the entry was made.
type Traffic struct {
	Connections uint64 `json:"connections"`
	PacketsIn   uint64 `json:"packets_in"`
	PacketsOut  uint64 `json:"packets_out"`
	BytesIn     uint64 `json:"bytes_in"`
	BytesOut    uint64 `json:"bytes_out"`
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
	Address    string `json:"address"`
	Forward    string `json:"forward"`
	State      string `json:"state"`
	Weight     uint32 `json:"weight"`         // in the kernel now
	Configured uint32 `json:"configured"`     // in the file
	Tier       int    `json:"tier,omitempty"` // in the file; 1 serves first

	// WeightReason is why the weight is another than the file's though the
	// check is good, or though it is bad: slow start, an agent, a backup, damping,
	// min_up, fail_open. Passing says that it depends on what was seen before.
	WeightReason string `json:"weight_reason,omitempty"`
	Passing      bool   `json:"passing,omitempty"`
	Damped       bool   `json:"damped,omitempty"` // up, and out because it flaps

	InKernel bool        `json:"in_kernel"`
	Active   uint32      `json:"active_connections"`
	Inactive uint32      `json:"inactive_connections"`
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
	Wish     string     `json:"wish"` // drain, disable, maintenance
	By       string     `json:"by,omitempty"`
	Director string     `json:"director,omitempty"` // where it was asked for
	Reason   string     `json:"reason,omitempty"`   // in the operator's words
	File     string     `json:"file,omitempty"`     // of maintenance_dir
	Since    time.Time  `json:"since"`
	Deadline *time.Time `json:"deadline,omitempty"` // of a drain
	Ended    *time.Time `json:"ended,omitempty"`    // when a drain was over
	Cut      uint32     `json:"cut,omitempty"`      // connections that its deadline cut
}

// CheckStatus is what the check of a real server found.
type CheckStatus struct {
	Type        string       `json:"type"`
	Target      string       `json:"target"`
	Good        uint64       `json:"good"` // checks so far
	Bad         uint64       `json:"bad"`
	Last        *CheckResult `json:"last,omitempty"`
	LastFailure *CheckResult `json:"last_failure,omitempty"`
}

// CheckResult is one check.
type CheckResult struct {
	OK      bool      `json:"ok"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
	Seconds float64   `json:"seconds"`
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
	Address   string    `json:"address"`
	Interface string    `json:"interface,omitempty"`
	State     string    `json:"state"`            // added, own, missing
	Holder    string    `json:"holder,omitempty"` // the director that has it, where that is another
	Since     time.Time `json:"since"`
	Announced uint64    `json:"announced"` // bursts and refreshes sent
	Error     string    `json:"error,omitempty"`
}
