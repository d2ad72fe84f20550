package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// noPort is the port of an address that was written without one.
const noPort = -1

// parseAddress reads "ip", "ip:port", "[ip6]" or "[ip6]:port" and says what is
// wrong with it, or "". Names are not resolved: what balances must not depend
// on what answers names.
func parseAddress(s string) (addr netip.Addr, port int, problem string) {
	host, portText, hasPort := splitPort(s)
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return addr, noPort, addressProblem(s, host)
	}
	addr = addr.Unmap()
	if p := unusable(addr); p != "" {
		return addr, noPort, fmt.Sprintf("%q %s", s, p)
	}
	if !hasPort {
		return addr, noPort, ""
	}
	port, err = strconv.Atoi(portText)
	if err != nil || port < 0 || port > 65535 || strings.Trim(portText, "0123456789") != "" {
		return addr, noPort, fmt.Sprintf("%q: the port %q is not a number from 1 to 65535", s, portText)
	}
	return addr, port, ""
}

// splitPort cuts an address from its port. More than one colon without
// brackets is an IPv6 address without port.
func splitPort(s string) (host, port string, hasPort bool) {
	if rest, ok := strings.CutPrefix(s, "["); ok {
		if host, after, ok := strings.Cut(rest, "]"); ok {
			if port, ok := strings.CutPrefix(after, ":"); ok {
				return host, port, true
			}
			return host + after, "", false
		}
	}
	if strings.Count(s, ":") == 1 {
		return strings.Cut(s, ":")
	}
	return s, "", false
}

// addressProblem guesses what was meant by something that isn't an address.
func addressProblem(s, host string) string {
	switch {
	case s == "":
		return `empty; write an address such as "192.0.2.10:80" or "[2001:db8::10]:80"`
	case strings.TrimSpace(s) != s:
		return fmt.Sprintf("%q has blanks around the address; take them out", s)
	case strings.Contains(s, "->"):
		return fmt.Sprintf("%q is a range; write a [[virtual.real]] for each address", s)
	case strings.Contains(s, "/"):
		return fmt.Sprintf("%q is more than an address; write it without the /", s)
	case strings.Trim(host, "0123456789") == "":
		return fmt.Sprintf("%q is a number and not an address; for a firewall mark write fwmark = %s and family = \"ipv4\" or \"ipv6\"", s, host)
	case strings.Contains(host, ":"):
		return fmt.Sprintf("%q is not an IPv6 address; with a port it is written in brackets: \"[2001:db8::10]:80\"", s)
	case strings.Trim(host, "0123456789.") == "":
		return fmt.Sprintf("%q is not an IPv4 address; that is four numbers from 0 to 255 without leading zeros", s)
	}
	return fmt.Sprintf("%q is a name, and names are not resolved; write the address, such as \"192.0.2.10\"", s)
}

// unusable says why an address can be neither a virtual service's nor a real
// server's, or "".
func unusable(a netip.Addr) string {
	switch {
	case a.Zone() != "":
		return "has a zone, which IPVS doesn't know; write the address without %" + a.Zone()
	case a.IsUnspecified():
		return "stands for every address; write the one that is meant"
	case a.IsMulticast():
		return "is a multicast address; write a unicast one"
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "is the broadcast address; write a unicast one"
	}
	return ""
}

// plainAddress reads an address that has no port, and perhaps a zone.
func plainAddress(s string) (netip.Addr, string) {
	a, err := netip.ParseAddr(s)
	a = a.Unmap()
	if err == nil {
		if p := unusable(a.WithZone("")); p != "" {
			return a, fmt.Sprintf("%q %s", s, p)
		}
		return a, ""
	}
	host, _, hasPort := splitPort(s)
	switch _, err := netip.ParseAddr(host); {
	case s == "" || strings.Trim(s, "0123456789") == "":
		return a, fmt.Sprintf(`%q is not an address; write it like "192.0.2.10" or "2001:db8::10"`, s)
	case err == nil && hasPort:
		return a, fmt.Sprintf("%q has a port, which is not wanted here; write %q", s, host)
	case err == nil:
		return a, fmt.Sprintf("%q has brackets, which only a port needs; write %q", s, host)
	}
	return a, addressProblem(s, s)
}

// listenProblem says what is wrong with a host:port to listen on, or "".
func listenProblem(s string) string {
	if s == "" {
		return ""
	}
	host, port, ok := splitPort(s)
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case ok && (err != nil || port != strconv.FormatUint(n, 10)):
		return fmt.Sprintf("%q: the port %q is not a number up to 65535; write it like \"127.0.0.1:9117\"", s, port)
	case !ok:
		return fmt.Sprintf("%q is not an address with a port; write it like \"127.0.0.1:9117\", or \"\" to turn it off", s)
	case host == "":
		return ""
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return fmt.Sprintf("%q: %q is not an address, and names are not resolved; write it like \"127.0.0.1:9117\", \"[::1]:9117\" or \":9117\" for all addresses", s, host)
	}
	return ""
}

// bracketed prints an address as it stands before a port.
func bracketed(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}
