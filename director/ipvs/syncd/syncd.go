// Package syncd keeps the kernel's connection synchronisation running: the
// master daemon, which multicasts the connections of this director, and the
// backup daemon, which takes in those of the others, so that an established
// connection outlives a failover.
//
// Both run all the time on every director, with one sync id for the cluster.
// Nothing is then to be done when an address moves: switching daemons on that
// path costs time and loses what the master hasn't sent yet. A director that
// forwards nothing sends nothing, what was received isn't sent on, and the
// kernel doesn't hear its own multicast. Several directors may be active at
// once, for different addresses.
//
// It works as the addresses do: want, have, plan, apply. Keeper.Run owns the
// daemons of the process's network namespace, where the kernel has room for
// one of each role; what another program started there is replaced. It never
// decides who is active.
//
// Sources: net/netfilter/ipvs/ip_vs_sync.c and ip_vs_ctl.c of the kernel (6.1),
// include/uapi/linux/ip_vs.h, Documentation/networking/ipvs-sysctl.rst,
// ipvsadm(8). Behaviour that these don't tell is pinned by the tests in
// syncdlab.
package syncd

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Role is what a daemon does, with the kernel's numbers (IP_VS_STATE_*).
type Role uint8

// The roles.
const (
	Master Role = 1 // sends
	Backup Role = 2 // receives
)

func (r Role) String() string {
	switch r {
	case Master:
		return "master"
	case Backup:
		return "backup"
	}
	return fmt.Sprintf("role-%d", uint8(r))
}

// Daemon is a sync daemon with its settings. Zero settings are the kernel's
// defaults.
type Daemon struct {
	Role      Role
	Interface string
	SyncID    uint8
	MaxLen    uint16     // of a message without its headers; 0: see maxLen
	Group     netip.Addr // of multicast; invalid: 224.0.0.81
	Port      uint16     // 0: 8848
	TTL       uint8      // 0: 1
}

// The kernel's defaults.
var defaultGroup = netip.AddrFrom4([4]byte{224, 0, 0, 81})

const (
	defaultPort = 8848
	defaultTTL  = 1
	defaultMTU  = 1500
)

// Normal is the daemon with the defaults of group, port and TTL written out, as
// the kernel tells it back. MaxLen stays: its default differs by role and by
// the interface's MTU.
func (d Daemon) Normal() Daemon {
	d.Group = d.Group.Unmap()
	if !d.Group.IsValid() {
		d.Group = defaultGroup
	}
	if d.Port == 0 {
		d.Port = defaultPort
	}
	if d.TTL == 0 {
		d.TTL = defaultTTL
	}
	return d
}

// maxLen is what MaxLen 0 comes to for a master; for a backup it is the least
// it may come to.
func (d Daemon) maxLen() uint16 {
	if d.MaxLen != 0 {
		return d.MaxLen
	}
	return defaultMTU - d.headers()
}

// headers is the size of the IP and UDP headers.
func (d Daemon) headers() uint16 {
	if d.Group.Unmap().Is6() {
		return 48
	}
	return 28
}

// String prints the daemon as ipvsadm's arguments, such as
// "master --mcast-interface eth0 --syncid 1"; defaults are left out.
func (d Daemon) String() string {
	d = d.Normal()
	var b strings.Builder
	fmt.Fprintf(&b, "%s --mcast-interface %s --syncid %d", d.Role, d.Interface, d.SyncID)
	if d.MaxLen != 0 {
		fmt.Fprintf(&b, " --sync-maxlen %d", d.MaxLen)
	}
	if d.Group != defaultGroup {
		fmt.Fprintf(&b, " --mcast-group %s", d.Group)
	}
	if d.Port != defaultPort {
		fmt.Fprintf(&b, " --mcast-port %d", d.Port)
	}
	if d.TTL != defaultTTL {
		fmt.Fprintf(&b, " --mcast-ttl %d", d.TTL)
	}
	return b.String()
}

// Want is how connections are to be synchronised. It is the same on every
// director of a cluster, but for the interface. The zero value wants no daemon.
type Want struct {
	Interface string // needs an IPv4 address, or an IPv6 one for an IPv6 group
	SyncID    uint8  // 1 to 255
	MaxLen    uint16
	Group     netip.Addr
	Port      uint16
	TTL       uint8

	// ManageSysctl permits to set backup_only to 0. Without it a backup
	// daemon isn't run where that is 1: see Problems.
	ManageSysctl bool
}

// Daemon is the wanted daemon of a role.
func (w Want) Daemon(r Role) Daemon {
	return Daemon{r, w.Interface, w.SyncID, w.MaxLen, w.Group, w.Port, w.TTL}.Normal()
}

// The bounds of MaxLen. The kernel takes less for a master, but a backup's
// buffer is never smaller.
const (
	minMaxLen = 1024
	maxMaxLen = 65535 - 48
)

// Validate tells what is wrong with the settings, all at once.
func (w Want) Validate() error {
	var errs []error
	add := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	switch {
	case w.Interface == "":
		add("no interface")
	case len(w.Interface) > 15 || strings.ContainsAny(w.Interface, "/ \t\n\x00"):
		add("interface %q: not a name of at most 15 characters", w.Interface)
	}
	if w.SyncID == 0 {
		add("sync id 0: the kernel would take in the connections of every cluster it hears; use 1 to 255")
	}
	if w.MaxLen != 0 && (w.MaxLen < minMaxLen || w.MaxLen > maxMaxLen) {
		add("maximum length %d: not within %d to %d", w.MaxLen, minMaxLen, maxMaxLen)
	}
	if w.Group.IsValid() && (!w.Group.Unmap().IsMulticast() || w.Group.Zone() != "") {
		add("group %s: not a multicast address", w.Group)
	}
	return errors.Join(errs...)
}
