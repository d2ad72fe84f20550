package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// vips validates the [[vip]] tables and warns of those that nothing uses.
func (r *report) vips(file *rawFile, virtuals []Virtual) []VIP {
	used := make(map[netip.Addr]bool, len(virtuals))
	marks := false // the addresses of a firewall mark are known to the firewall only
	for _, v := range virtuals {
		used[v.Service.Addr.Addr()] = true
		marks = marks || v.Service.FWMark != 0
	}
	var vips []VIP
	first := make(map[netip.Addr]int)
	for i := range file.VIPs {
		raw := &file.VIPs[i]
		var vip VIP
		if prefix, ok := r.vipAddress(raw); ok {
			vip.Address = prefix
			addr, line := prefix.Addr(), raw.line("address")
			if before, ok := first[addr]; ok {
				r.key(&raw.at, "address", "%s is already the [[vip]] in line %d; remove one of the two", addr, before)
			} else {
				first[addr] = line
				if !used[addr] && !marks {
					r.warnf(line, "address: no [[virtual]] has the address %s; this [[vip]] does nothing", addr)
				}
			}
		}
		vip.Interface = r.vipInterface(raw, &file.Cluster)
		vips = append(vips, vip)
	}
	return vips
}

func (r *report) vipAddress(raw *rawVIP) (netip.Prefix, bool) {
	if raw.Address == nil {
		if !raw.has("address") {
			r.key(&raw.at, "address", "missing; write the virtual IP address, such as address = \"192.0.2.10/24\"")
		}
		return netip.Prefix{}, false
	}
	prefix, problem := parsePrefix(*raw.Address)
	if problem != "" {
		r.key(&raw.at, "address", "%s", problem)
	}
	return prefix, problem == ""
}

// parsePrefix reads an address with or without the length of its network.
func parsePrefix(s string) (netip.Prefix, string) {
	host, bits, hasBits := strings.Cut(s, "/")
	if !hasBits {
		addr, port, problem := parseAddress(host)
		switch {
		case problem != "":
			return netip.Prefix{}, problem
		case port != noPort:
			return netip.Prefix{}, fmt.Sprintf("%q has a port; a [[vip]] is an address, the ports are those of the [[virtual]] tables", s)
		}
		return netip.PrefixFrom(addr, addr.BitLen()), ""
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}, addressProblem(host, host)
	}
	if p := unusable(addr.Unmap()); p != "" {
		return netip.Prefix{}, fmt.Sprintf("%q %s", s, p)
	}
	prefix, err := netip.ParsePrefix(s)
	switch {
	case err != nil || prefix.Bits() == 0:
		return netip.Prefix{}, fmt.Sprintf("%q: %q is not the length of a network; write a number from 1 to %d", s, bits, addr.Unmap().BitLen())
	case addr.Is4In6() && prefix.Bits() <= 96:
		return netip.Prefix{}, fmt.Sprintf("%q is an IPv4 address in IPv6's form; write it as %s with a length from 1 to 32", s, addr.Unmap())
	case addr.Is4In6():
		prefix = netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96)
	}
	if what := edge(prefix); what != "" {
		return netip.Prefix{}, fmt.Sprintf("%q is the %s; write the address of a host in it", s, what)
	}
	return prefix, ""
}

// edge names the two addresses of an IPv4 network that no host can have.
func edge(p netip.Prefix) string {
	if !p.Addr().Is4() || p.Bits() > 30 {
		return ""
	}
	if p.Masked().Addr() == p.Addr() {
		return "address of the network itself"
	}
	if next := p.Addr().Next(); !p.Contains(next) {
		return "network's broadcast address"
	}
	return ""
}

// vipInterface returns where an address goes: by default [cluster]'s interface.
func (r *report) vipInterface(raw *rawVIP, cluster *rawCluster) string {
	switch {
	case raw.has("interface"):
		return r.interfaceKey(&raw.at, raw.Interface)
	case !cluster.has("interface"):
		r.key(&raw.at, "interface", "missing; write the interface that carries the address, such as interface = \"eth0\"")
	}
	return or(cluster.Interface, "")
}

// interfaceKey reads the name of an interface; "" where the key isn't there.
func (r *report) interfaceKey(t *at, name *string) string {
	if name == nil {
		return ""
	}
	if p := interfaceProblem(*name); p != "" {
		r.key(t, "interface", "%s", p)
	}
	return *name
}

// interfaceProblem says why Linux doesn't take a name for an interface
// (dev_valid_name in net/core/dev.c), or "".
func interfaceProblem(name string) string {
	base, _, label := strings.Cut(name, ":")
	switch {
	case name == "":
		return `empty; write the name that "ip link" shows, such as interface = "eth0"`
	case label:
		return fmt.Sprintf("%q is a label and not an interface; write interface = %q", name, base)
	case len(name) > 15:
		return fmt.Sprintf("%q is longer than the 15 bytes that Linux allows; write the name that \"ip link\" shows", name)
	case name == "." || name == ".." || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c == '/' || c == 0x7f }):
		return fmt.Sprintf("%q can't be the name of an interface; write the name that \"ip link\" shows", name)
	}
	return ""
}
