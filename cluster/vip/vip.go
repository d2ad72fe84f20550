// Package vip keeps the wanted virtual IP addresses on the machine's
// interfaces and tells the neighbours about them: gratuitous ARP (RFC 5227
// section 3, RFC 826) and unsolicited neighbour advertisements (RFC 4861
// section 7.2.6). Where it is told to, it asks them first whether another
// machine has the address: ARP probes (RFC 5227 section 2.1) and neighbour
// solicitations from the unspecified address (RFC 4862 section 5.4).
//
// The goroutine in Keeper.Run owns everything that changes; Set, Announce and
// Release leave it a message and wake it, Snapshot reads an immutable copy.
// Asking the neighbours takes time, so goroutines beside it do that and send
// it their verdict.
// It is level-triggered: whatever woke it, it reads what the kernel holds,
// plans and applies.
//
// Ours are the addresses that carry Mark as their metric. The kernel keeps it
// with the address, for IPv4 and IPv6, since Linux 4.18, so that a later
// process finds the leftovers of a killed one without a file of its own. The
// metric of an address without a prefix route does nothing. (The better-named
// IFA_PROTO came with 5.18, too late for distributions still in use, and
// iproute2 of Debian 12 can't show it.) An address without the mark is the
// host's own: it is never removed and never announced.
//
// The package decides nothing about roles: who calls Set says what this
// machine is to hold.
package vip

import (
	"net/netip"
	"time"
)

// Mark is the metric of our addresses: "vip" in ASCII, seen as
// "metric 7760240" in `ip addr`.
const Mark = 0x766970

// Forever is the remaining lifetime of an address that never expires.
const Forever = 1<<32 - 1

// Want is one virtual address that this machine is to hold.
type Want struct {
	Addr      netip.Prefix // /32 or /128 unless the file says otherwise
	Interface string       // its name or an alternative name; "": found by Facts.InterfaceFor
	// Probe asks the neighbours before the address is added whether another
	// machine has it, which takes 150 ms, and doesn't add it while one has.
	// An address that is ours already is not asked for.
	Probe bool
	// Lifetime makes the address expire in the kernel by itself unless Set
	// is called again in time, so that a hung or killed process loses it.
	// The kernel counts seconds: it is rounded up to whole ones. 0: the
	// address stays until it is removed, also when the process is killed.
	Lifetime time.Duration
	// Silent holds the address without announcing it, for while another machine
	// takes it over: our word after its own would send clients back to us.
	Silent bool
}

// seconds is the lifetime as the kernel takes it.
func (w Want) seconds() uint32 {
	if w.Lifetime <= 0 {
		return Forever
	}
	return uint32((w.Lifetime + time.Second - 1) / time.Second)
}

// Held is one address that the kernel has on an interface, anybody's.
type Held struct {
	Addr      netip.Prefix
	Interface string
	Ours      bool   // it carries Mark
	Loopback  bool   // its interface is the loopback
	Secondary bool   // it leaves with the primary address of its subnet, unless promoted
	Seconds   uint32 // until it expires; Forever
}

// Link is one interface.
type Link struct {
	Name     string
	AltName  string // alternative names, separated by spaces
	Index    int    // another one after the interface was made anew
	MAC      [6]byte
	Ethernet bool // it has a MAC and resolves addresses, so announcing makes sense
	Loopback bool
	Up       bool // set up by the administrator
	Carrier  bool // and the cable is in
}

// Default is a default route.
type Default struct {
	IPv6      bool
	Interface string
	Metric    int
	Gateway   netip.Addr // zero on a link without neighbours
}

// Facts is what the kernel holds.
type Facts struct {
	Links    []Link
	Held     []Held
	Defaults []Default // only read for InterfaceFor
}
