// Package config reads the file: raw TOML, then typed, validated and immutable
// values with the defaults filled in. Every error names file, line and key and
// says what would be right; all errors come at once. It changes nothing and asks
// nobody but this machine, and that in Load only: for the files that a file
// names, and for the host's name and addresses where [cluster] leaves them out.
package config

import (
	"net/netip"
	"time"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/pool"
	"github.com/ipvsd/ipvsd/director/table"
)

// DefaultFile is where the file is looked for when nothing else is said.
const DefaultFile = "/etc/ipvsd/ipvsd.toml"

// DefaultStateDir is [director] state_dir where the file doesn't say.
const DefaultStateDir = "/var/lib/ipvsd"

// Config is a whole file, validated, with defaults filled in. It is never
// changed after Load returned it.
type Config struct {
	File     string
	Hash     string // SHA-256 of the file's bytes, in hex
	Text     []byte // the file's bytes
	HTTP     HTTP
	Director Director
	Sysctl   Sysctl
	Hooks    Hooks
	Email    Email
	Cluster  *Cluster // nil: a single director
	Groups   []Group  // of a cluster: every address is in exactly one
	VIPs     []VIP
	Virtuals []Virtual // in the file's order

	// CheckServices are the virtual services, by firewall marks of our own, that
	// carry the checks with path = "vip", each to one real server.
	CheckServices table.State
}

// HTTP is the section [http].
type HTTP struct {
	Listen string // host:port; "" is off
}

// Director is the section [director].
type Director struct {
	CleanStop    bool
	AutoReload   bool
	StateDir     string        // what must outlive the process: which services are ours, what operators want
	RemovalGrace time.Duration // how long a real server that left the file may finish its connections at weight 0

	MaintenanceDir string // a file there that is named for a real server takes it out; "" is off
	CheckMarks     uint32 // the first of the firewall marks that are for checks, CheckMarks in number
}

// Sysctl is the section [sysctl].
type Sysctl struct {
	Manage bool
}

// VIP is one [[vip]]: where an address goes that the default doesn't fit.
type VIP struct {
	Address   netip.Prefix
	Interface string
}

// Virtual is one [[virtual]].
type Virtual struct {
	Name      string // unique; default: the service's address or mark
	Comment   string // for people
	Line      int    // of its header in the file
	Service   table.Service
	Quiescent bool
	Fallback  *table.Real // while no real server is up; weight 1
	Reals     []Real
	Pool      pool.Policy  // how its real servers share the connections
	Hooks     VirtualHooks // its own over those of [hooks]
	Email     []string     // who is told; its own or those of [email]
}

// Real is one [[virtual.real]] with the check that decides over it.
type Real struct {
	table.Real      // Weight is the configured one
	Percent    bool // it is in percent of the connections
	Tier       int  // 1 serves first
	Line       int
	Check      checker.Spec
	Rise, Fall int // good, bad checks in a row until in, out; at least 1
}
