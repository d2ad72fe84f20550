package realserver

import (
	"net/netip"
	"slices"
	"strings"
)

// State is what the node has: the have of have / want / plan.
type State struct {
	Links   map[string]Link
	Addrs   []Addr
	Sysctls map[Key]string
	Routes  []Route    // default routes
	Proxies []Proxy    // IPv6 neighbour proxy entries
	Balance []Balanced // virtual services of this node's own IPVS
}

// Link is a network interface.
type Link struct {
	Up       bool
	Loopback bool
}

// Addr is an address on an interface. Label is IPv4's only.
type Addr struct {
	Prefix netip.Prefix `json:"prefix"`
	Link   string       `json:"link"`
	Label  string       `json:"label,omitempty"`
}

// Route is a default route.
type Route struct {
	IPv6    bool
	Gateway netip.Addr
	Link    string
}

// Proxy is an address for which the node answers solicitations on a link.
type Proxy struct {
	Addr netip.Addr
	Link string
}

// Balanced is a virtual service in the node's own IPVS table.
type Balanced struct {
	Protocol string
	Service  netip.AddrPort
}

// Key names a sysctl by its path below /proc/sys, because an interface's name
// may hold dots: net/ipv4/conf/eth0.100/arp_ignore.
type Key string

// String is the key in sysctl(8)'s notation, where dots and slashes change
// places: net.ipv4.conf.eth0/100.arp_ignore.
func (k Key) String() string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '/':
			return '.'
		case '.':
			return '/'
		}
		return r
	}, string(k))
}

// link is the interface of a per-interface key, "" for all, default and others.
func (k Key) link() string {
	parts := strings.Split(string(k), "/")
	if len(parts) != 5 || parts[2] != "conf" || parts[3] == "all" || parts[3] == "default" {
		return ""
	}
	return parts[3]
}

// family and name are the second and the last part of the path.
func (k Key) family() string { return strings.Split(string(k), "/")[1] }
func (k Key) name() string   { return string(k)[strings.LastIndexByte(string(k), '/')+1:] }

func conf4(link, name string) Key { return Key("net/ipv4/conf/" + link + "/" + name) }
func conf6(link, name string) Key { return Key("net/ipv6/conf/" + link + "/" + name) }

// find returns the first address entry with this address, wherever it is.
func (s State) find(addr netip.Addr, ok func(Addr) bool) (Addr, bool) {
	i := slices.IndexFunc(s.Addrs, func(a Addr) bool { return a.Prefix.Addr() == addr && ok(a) })
	if i < 0 {
		return Addr{}, false
	}
	return s.Addrs[i], true
}

// has tells whether exactly this address is on this link; labels don't matter.
func (s State) has(want Addr) bool {
	_, ok := s.find(want.Prefix.Addr(), func(a Addr) bool { return a.Prefix == want.Prefix && a.Link == want.Link })
	return ok
}

// linkNames lists the interfaces in a stable order.
func (s State) linkNames() []string {
	names := make([]string, 0, len(s.Links))
	for name := range s.Links {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
