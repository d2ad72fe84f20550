package doctor

import (
	"io/fs"
	"net/netip"

	"github.com/ipvsd/ipvsd/cluster/vip"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/realserver"
)

// Facts is everything that the checks look at, as of one moment. What couldn't
// be read is absent and named in Unknown; no check takes absence for a fault.
type Facts struct {
	Config   *config.Config   // nil: none, or a wrong one
	Mistakes []config.Problem // of the file

	Release string        // of the running kernel, such as 6.1.0-18-amd64
	Host    director.Host // what else decides over sysctls
	IPVS    bool          // the kernel has ip_vs, loaded or built in
	Modules Modules
	Sysctls map[string]string // by path below /proc/sys

	Net    vip.Facts
	MTU    map[string]int       // by interface
	Routes map[netip.Addr]Route // to real servers by nat and tun
	Far    map[netip.Addr]Route // from a virtual IPv4 address to a client far away

	Processes []Process  // of programs that keep an IPVS table, in this network namespace
	Listeners []Listener // on ports of the file

	KeyMode  fs.FileMode // of the cluster's key file; 0: not known
	Unsynced bool        // the kernel says that nobody disciplines its clock

	Daemon  *Daemon             // nil: none runs, as far as is known
	Skews   map[netip.Addr]Skew // of the other directors that told their time
	Answers []Answer            // nil: the wire was not asked
	Who     map[MAC][]string    // whose address a MAC answers for: of real servers and directors
	Node    *realserver.Report  // nil: no web node that ipvsd set up

	Unknown []string // what couldn't be looked at, and why
	Blind   []string // the checks that find nothing for that reason

	addresses []netip.Addr          // the virtual ones of the file
	places    map[netip.Addr]string // their interfaces
}

// MAC is a hardware address of six bytes.
type MAC [6]byte

// Modules is what the running kernel's folder below /lib/modules has.
type Modules struct {
	Known     bool            // false: no such folder
	Available map[string]bool // by name with underscores: built in, loaded or installed
}

// Route is where packets to an address leave.
type Route struct {
	Interface string
	MTU       int // of the path, as far as is known; 0: not known
}

// Process is a running program.
type Process struct {
	PID  int
	Name string
	Args []string
}

// Listener is a socket and who has it; PID is 0 where that is hidden.
type Listener struct {
	realserver.Socket
	PID  int
	Name string
}

// Daemon is what the running director says.
type Daemon struct {
	PID int
}

// Answer is who answered the question for a virtual address, this machine
// excepted.
type Answer struct {
	Addr      netip.Addr
	Interface string
	MACs      []MAC
}

// places finds the interface of each virtual address of the file; "" where none
// is known. Like the daemon it takes [[vip]] first, then [cluster], then where
// the host has it, then its subnets and routes.
func (f *Facts) findPlaces() {
	f.addresses, f.places = nil, map[netip.Addr]string{}
	if f.Config == nil {
		return
	}
	held := map[netip.Addr]string{}
	for _, h := range f.Net.Held {
		if !h.Loopback {
			held[h.Addr.Addr()] = h.Interface
		}
	}
	for _, w := range director.WantedAddresses(f.Config) {
		addr, name := w.Addr.Addr(), w.Interface
		if c := f.Config.Cluster; name == "" && c != nil {
			name = c.Interface
		}
		if name == "" {
			name = held[addr]
		}
		if name == "" {
			name, _ = f.Net.InterfaceFor(addr) // the check of interfaces tells why there is none
		}
		f.places[addr] = f.real(name)
		f.addresses = append(f.addresses, addr)
	}
}

// real is an interface's name for one of its names.
func (f *Facts) real(name string) string {
	if l, ok := f.Net.Link(name); ok {
		return l.Name
	}
	return name
}

// holds tells whether this machine has the address where clients see it.
func (f *Facts) holds(addr netip.Addr) bool {
	for _, h := range f.Net.Held {
		if h.Addr.Addr() == addr && !h.Loopback {
			return true
		}
	}
	return false
}

// directors are the addresses of the cluster's directors.
func (f *Facts) directors() []netip.Addr {
	if f.Config == nil || f.Config.Cluster == nil {
		return nil
	}
	out := []netip.Addr{f.Config.Cluster.Listen.Addr()}
	for _, j := range f.Config.Cluster.Join {
		out = append(out, j.Addr())
	}
	return out
}
