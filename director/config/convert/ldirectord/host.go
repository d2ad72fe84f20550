package ldirectord

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// address is a host that was resolved.
type address struct {
	netip.Addr
	text string // as written
	note string // what is worth saying about the way from text to address
}

// resolve does what getaddrinfo does: numbers in all the forms that it knows,
// else names.
func (p *parsed) resolve(host string, v6 bool) (address, error) {
	a := address{text: host}
	inner := host
	if i, j := strings.IndexByte(host, '['), strings.LastIndexByte(host, ']'); i >= 0 && j > i {
		inner = host[i+1 : j]
	}
	if ip, err := netip.ParseAddr(inner); err == nil && ip.Is6() {
		if !v6 {
			return a, fmt.Errorf("%s is an IPv6 address, and here an IPv4 one is wanted", host)
		}
		a.Addr = ip
		return a, nil
	}
	if quad, ok := aton(inner); ok {
		if v6 {
			return a, fmt.Errorf("%s is an IPv4 address, and here an IPv6 one is wanted", host)
		}
		a.Addr = quad
		if quad.String() != inner {
			a.note = fmt.Sprintf("%s is the address %s for ldirectord and for the output", inner, quad)
			if strings.Contains("."+inner, ".0") {
				a.note += " (a number with a leading 0 is octal)"
			}
		}
		return a, nil
	}
	if inner == "" || strings.Trim(inner, ".") == "" {
		return a, fmt.Errorf("there is no host in %q", host)
	}
	ip, err := p.opts.LookupHost(inner, v6)
	if err != nil || !ip.IsValid() {
		return a, fmt.Errorf("the name %s can't be resolved to an %s", host, family(v6))
	}
	a.Addr = ip
	a.note = fmt.Sprintf("the name %s is %s at the moment; ipvsd resolves no names, so the output has the address", host, ip)
	return a, nil
}

func family(v6 bool) string {
	if v6 {
		return "IPv6 address"
	}
	return "IPv4 address"
}

// aton reads an IPv4 address in the forms of inet_aton: up to four numbers, of
// which the last fills what is left, each decimal, 0octal or 0xhexadecimal.
func aton(s string) (netip.Addr, bool) {
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var ip uint32
	for i, part := range parts {
		if strings.Trim(part, "0123456789abcdefABCDEFxX") != "" {
			return netip.Addr{}, false
		}
		base := 10
		switch low := lower(part); {
		case strings.HasPrefix(low, "0x"):
			base, part = 16, part[2:]
		case len(part) > 1 && part[0] == '0':
			base = 8
		}
		width := 8
		if i == len(parts)-1 {
			width = 8 * (5 - len(parts))
		}
		n, err := strconv.ParseUint(part, base, width)
		if err != nil {
			return netip.Addr{}, false
		}
		ip = ip<<width&0xffffffff | uint32(n)
	}
	return netip.AddrFrom4([4]byte{byte(ip >> 24), byte(ip >> 16), byte(ip >> 8), byte(ip)}), true
}

// servicePort resolves a port: digits, or a name, which a firewall mark has no
// protocol for.
func (p *parsed) servicePort(port, protocol string) (uint16, bool) {
	if strings.Trim(port, digits) == "" && port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		return uint16(n), err == nil
	}
	if protocol == "fwm" {
		return 0, false
	}
	return p.opts.LookupPort(port, protocol)
}
