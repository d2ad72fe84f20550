package heartbeat

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ipvsd/ipvsd/director/config/convert"
)

// move is one line of haresources: what goes together from node to node.
type move struct {
	l    line
	node string // who has it by preference
	vips []address
	sync bool
}

// address is one that moves.
type address struct {
	text  string
	ip    netip.Prefix
	iface string
	bad   string
}

// resources reads haresources.
func (im *importer) resources(f convert.File) {
	for i, l := range lines(f) {
		if i == 0 && !im.setup.read {
			im.doc.Comment(l.above...)
			l.above = nil
		}
		m := move{l: l, node: l.words[0]}
		for _, word := range l.words[1:] {
			im.resource(&m, word)
		}
		im.moves = append(im.moves, m)
	}
}

// resource reads one "script::argument::argument", or an address alone.
func (im *importer) resource(m *move, word string) {
	args := strings.Split(word, "::")
	if host, _, _ := strings.Cut(word, "/"); isAddr(host) { // "2001:db8::1/64" among them
		args = []string{"IPaddr2", word}
	}
	arg := ""
	if len(args) > 1 {
		arg = strings.Join(args[1:], "::") // an IPv6 address has two colons of its own
	}
	switch args[0] {
	case "IPaddr", "IPaddr2", "IPv6addr":
		m.vips = append(m.vips, im.address(m.l, arg))
	case "ldirectord":
		if arg == "" {
			arg = "ldirectord.cf"
		}
		im.lose(m.l, "%s: the virtual services are in %s; import that file, too", word, arg)
	case "LVSSyncDaemonSwap":
		m.sync = true
	case "MailTo":
		im.lose(m.l, "MailTo: a program in [cluster.hooks] can send mail at a change of role; [email] is about real servers")
	case "SendArp", "Delay":
		im.tell(m.l, "%s: ipvsd announces the addresses that it moves", args[0])
	case "IPsrcaddr":
		im.lose(m.l, "IPsrcaddr: ipvsd sets no source address; run a program from [cluster.hooks]")
	default:
		im.lose(m.l, "%s: ipvsd moves addresses and nothing else; start and stop it by a program in [cluster.hooks], or let it run on all directors", word)
	}
}

func isAddr(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// address reads "192.0.2.10/24/eth0/192.0.2.255", of which all but the first
// may be missing.
func (im *importer) address(l line, text string) address {
	parts := strings.Split(text, "/")
	a := address{text: text}
	ip, err := netip.ParseAddr(parts[0])
	ip = ip.Unmap()
	if err != nil || !usable(ip) {
		a.bad = fmt.Sprintf("%q is no address that can move", text)
		return a
	}
	a.ip = netip.PrefixFrom(ip, ip.BitLen())
	for i, p := range parts[1:] {
		bits, isBits := maskBits(p, ip)
		switch {
		case p == "":
		case i == 0 && isBits:
			a.ip = netip.PrefixFrom(ip, bits)
		case isAddr(p): // the broadcast address follows from the mask
		case a.iface == "" && strings.Trim(p, "0123456789") != "":
			a.iface = im.interfaceName(l, p)
		default:
			im.lose(l, "%s: %q is not understood", text, p)
		}
	}
	if p := a.ip; ip.Is4() && p.Bits() <= 30 && (p.Masked().Addr() == ip || !p.Contains(ip.Next())) {
		a.bad = fmt.Sprintf("no host of its network can have the address %s", ip)
	}
	return a
}

// maskBits reads "24" or "255.255.255.0".
func maskBits(text string, ip netip.Addr) (int, bool) {
	if n, err := strconv.Atoi(text); err == nil {
		return n, n >= 1 && n <= ip.BitLen()
	}
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() || !ip.Is4() {
		return 0, false
	}
	b := a.As4()
	mask := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	for n := 1; n <= 32; n++ {
		if mask == ^uint32(0)<<(32-n) {
			return n, true
		}
	}
	return 0, false
}

// preferred returns the nodes that haresources names first, in its order.
func (im *importer) preferred() []string {
	var list []string
	for _, m := range im.moves {
		if len(m.vips) > 0 && !slices.Contains(list, m.node) {
			list = append(list, m.node)
		}
	}
	return list
}
