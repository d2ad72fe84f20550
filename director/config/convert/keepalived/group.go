package keepalived

import (
	"net/netip"
	"strconv"
	"strings"
)

// target is what a virtual server stands for: an address with a port, or a
// firewall mark.
type target struct {
	n    *node // the virtual_server, or the entry of its group
	addr netip.Addr
	port uint16
	mark int64 // 0: an address
	ipv6 bool  // of a mark; known where the file says it
	told bool  // the file says the mark's family
	bad  string
}

const (
	maxVirtuals = 4096
	maxReals    = 100_000
)

// group remembers a virtual_server_group for those that name it.
func (im *importer) group(n *node) {
	if before := im.groups[n.arg(0)]; before != nil {
		im.lose(n, "there is a group %q in line %d already; this one isn't imported", n.arg(0), before.line)
		return
	}
	im.groups[n.arg(0)] = n
}

// targets returns what a virtual_server stands for.
func (im *importer) targets(n *node) []target {
	switch n.arg(0) {
	case "group":
		g := im.groups[n.arg(1)]
		if g == nil {
			im.lose(n, "there is no virtual_server_group %q; not imported", n.arg(1))
			return nil
		}
		var list []target
		for _, e := range g.body {
			list = append(list, im.entry(e, maxVirtuals-len(im.keys)-len(list))...)
		}
		if len(list) == 0 {
			im.lose(n, "its group %q has no address; not imported", n.arg(1))
		}
		return list
	case "fwmark":
		return []target{im.markTarget(n, n.arg(1))}
	}
	return []target{im.addrTarget(n, n.arg(0), n.arg(1))}
}

// entry returns what a line of a group stands for, at most so many.
func (im *importer) entry(e *node, room int) []target {
	if e.key() == "fwmark" {
		t := im.markTarget(e, e.arg(0))
		switch e.arg(1) {
		case "inet", "inet6":
			t.told, t.ipv6 = true, e.arg(1) == "inet6"
		}
		return []target{t}
	}
	first, last, ok := addrRange(e.key())
	if !ok {
		return []target{im.addrTarget(e, e.key(), e.arg(0))}
	}
	var list []target
	for a := first; a.Compare(last) <= 0 && a.IsValid(); a = a.Next() {
		if len(list) >= room {
			im.lose(e, "more than %d virtual services; from %s on they aren't imported", maxVirtuals, a)
			break
		}
		list = append(list, im.addrTarget(e, a.String(), e.arg(0)))
	}
	return list
}

// addrRange reads "192.0.2.1-9", "192.0.2.1-192.0.2.9", "192.0.2.8/29" and what
// is alike in IPv6, where the last number is in hex.
func addrRange(text string) (first, last netip.Addr, ok bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		first = p.Masked().Addr()
		raw := first.AsSlice()
		for bit := p.Bits(); bit < len(raw)*8; bit++ {
			raw[bit/8] |= 0x80 >> (bit % 8)
		}
		last, _ = netip.AddrFromSlice(raw)
		return first, last, true
	}
	from, to, ok := strings.Cut(text, "-")
	if !ok {
		return first, last, false
	}
	first, err := netip.ParseAddr(from)
	if err != nil {
		return first, last, false
	}
	if last, err = netip.ParseAddr(to); err != nil {
		cut := strings.LastIndexAny(from, ".:")
		last, err = netip.ParseAddr(from[:cut+1] + to)
	}
	return first, last, err == nil && last.BitLen() == first.BitLen() && first.Compare(last) <= 0
}

func (im *importer) markTarget(n *node, text string) target {
	mark, err := strconv.ParseInt(text, 10, 64)
	if err != nil || mark < 1 || mark > 1<<32-1 {
		return target{n: n, bad: strconv.Quote(text) + " is not a firewall mark"}
	}
	return target{n: n, mark: mark}
}

func (im *importer) addrTarget(n *node, addr, port string) target {
	t := target{n: n}
	var err error
	t.addr, err = netip.ParseAddr(addr)
	t.addr = t.addr.Unmap()
	switch {
	case err != nil:
		t.bad = strconv.Quote(addr) + " is not an address"
		return t
	case unusable(t.addr):
		t.bad = addr + " can't be a virtual service's address"
		return t
	}
	p, err := strconv.ParseUint(port, 10, 16)
	t.port = uint16(p)
	switch {
	case err != nil && port != "":
		t.bad = strconv.Quote(port) + " is not a port"
	case t.port == 0:
		t.bad = "a virtual service of all ports of an address isn't known here; mark its packets by nftables and use fwmark"
	}
	return t
}

// unusable tells the addresses that director/config takes for no host's.
func unusable(a netip.Addr) bool {
	return a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
