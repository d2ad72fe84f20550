package keepalived

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// directors writes listen and join. VRRP finds its peers by multicast, so that
// a file may name neither.
func (im *importer) directors(c *cluster) {
	first := c.instances[0]
	own, from := im.sources(c)
	var peers []netip.Addr
	var peersFrom *node
	for _, n := range c.instances {
		for _, block := range n.blocks("unicast_peer") {
			if n == first {
				peersFrom = block
			}
			for _, p := range block.body {
				a, ok := im.director(c, p, p.key())
				if !ok {
					continue
				}
				if n != first && !slices.Contains(peers, a) && len(peers) > 0 {
					im.lose(p, "directors speak over one address each; those of the first vrrp_instance are in join")
					continue
				}
				if !slices.Contains(peers, a) {
					peers = append(peers, a)
				}
			}
		}
	}
	family6 := len(own) > 0 && own[0].Is6() || len(own) == 0 && len(peers) > 0 && peers[0].Is6()
	fits := func(list []netip.Addr) []netip.Addr {
		return slices.DeleteFunc(list, func(a netip.Addr) bool {
			bad := a.Is6() != family6
			if bad {
				im.lose(first, "%s is of another family than the other directors' addresses; not in join", a)
			}
			return bad
		})
	}
	own, peers = fits(own), fits(peers)
	peers = slices.DeleteFunc(peers, func(a netip.Addr) bool { return slices.Contains(own, a) })
	if len(own) == 1 {
		im.set(c.t, from, "listen", endpoint(own[0]))
	} else if len(own) == 0 {
		own = append(own, im.example(c, family6, peers))
		im.set(c.t, nil, "listen", endpoint(own[0]))
		c.t.Get("listen").Note("an example: write this director's own address")
		im.lose(first, "the file doesn't say this director's own address; write it to listen in [cluster], where an example stands")
	}
	var join []string
	if len(own) > 1 { // conditional lines: those of all directors
		peers = append(own, peers...)
	}
	for _, a := range peers {
		join = append(join, endpoint(a))
	}
	if len(join) > maxDirectors-1 {
		im.lose(first, "there can be %d directors; those after them aren't in join", maxDirectors)
		join = join[:maxDirectors-1]
	}
	if len(join) > 0 {
		im.set(c.t, peersFrom, "join", join)
		return
	}
	c.t.Set("join", []string{endpoint(im.example(c, family6, own))}).Note("an example: write the other directors' addresses")
	im.lose(first, "VRRP finds its peers by multicast, ipvsd by their addresses; write them to join in [cluster], where an example stands")
}

// endpoint is an address as it stands in listen and join.
func endpoint(a netip.Addr) string { return netip.AddrPortFrom(a, port).String() }

// example returns an address of documentation (RFC 5737, RFC 3849) for where
// the file doesn't say what is needed. No machine has it, so that a director
// whose file still has it in listen doesn't start.
func (im *importer) example(c *cluster, v6 bool, taken []netip.Addr) netip.Addr {
	a := netip.AddrFrom4([4]byte{192, 0, 2, 1})
	if v6 {
		a = netip.MustParseAddr("2001:db8::1")
	}
	for im.virtuals[a] || slices.Contains(c.vips, a) || slices.Contains(taken, a) {
		a = a.Next()
	}
	return a
}

// sources returns this director's own address; more than one where conditional
// lines give each director its own.
func (im *importer) sources(c *cluster) (list []netip.Addr, from *node) {
	for _, n := range c.instances {
		for _, s := range n.all("unicast_src_ip", "mcast_src_ip") {
			a, ok := im.director(c, s, s.arg(0))
			switch {
			case !ok || slices.Contains(list, a):
			case len(list) == 0 || s.cond != "" && from.cond != "":
				list = append(list, a)
				if from == nil {
					from = s
				}
			default:
				im.lose(s, "a director speaks over one address; listen is that of line %d", from.line)
			}
		}
	}
	return list, from
}

// director reads the address of a director.
func (im *importer) director(c *cluster, n *node, text string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(text)
	a = a.Unmap()
	why := ""
	switch {
	case err != nil:
		why = "is not an address"
	case unusable(a), a.IsLinkLocalUnicast() && a.Is6(), a.IsLoopback():
		why = "can't be a director's address here"
	case im.virtuals[a] || slices.Contains(c.vips, a):
		why = "is a virtual address, which no director has for itself"
	default:
		return a, true
	}
	im.lost(n.file, n.line, "%s: %q %s", n.key(), text, why)
	return a, false
}

// defaultInterface is keepalived's: what global_defs says, or eth0.
func (im *importer) defaultInterface(c *cluster) string {
	for _, n := range c.global {
		if name := im.interfaceOf(n.last("default_interface")); name != "" {
			return name
		}
	}
	return "eth0"
}

// interfaceOf reads the name of an interface, without the label of an alias.
func (im *importer) interfaceOf(n *node) string {
	if n == nil {
		return ""
	}
	return im.interfaceName(n, n.arg(0))
}

func (im *importer) interfaceName(n *node, text string) string {
	name, label, is := strings.Cut(text, ":")
	if is {
		im.lose(n, "%q is the label %s of %s; the interface is taken", text, label, name)
	}
	if name == "" || name == "." || name == ".." || len(name) > 15 || strings.ContainsAny(name, " /\"") {
		im.lose(n, "%q can't be the name of an interface", text)
		return ""
	}
	return name
}

// vips writes the [[vip]] tables.
func (im *importer) vips(c *cluster) {
	seen := make(map[netip.Addr]int)
	for _, u := range c.units {
		for _, n := range u.instances {
			above := n.comments() // the first one's are above [cluster]
			iface := im.interfaceOf(n.last("interface"))
			for _, block := range n.all("virtual_ipaddress", "virtual_ipaddress_excluded") {
				for i, e := range block.body {
					if i == 0 {
						e.above = slices.Concat(above, block.comments(), e.above)
						above = nil
					}
					im.vip(c, u, e, iface, seen)
				}
			}
			n.above = above
		}
	}
}

// vip writes one address: "192.0.2.10/24 brd 192.0.2.255 dev eth1 label eth1:1".
func (im *importer) vip(c *cluster, u *unit, e *node, iface string, seen map[netip.Addr]int) {
	prefix, why := vipPrefix(e.key())
	for i := 0; i+1 < len(e.words); i++ {
		switch w := e.arg(i); w {
		case "dev":
			if name := im.interfaceName(e, e.arg(i+1)); name != "" {
				iface = name
			}
			i++
		case "label":
			im.lose(e, "label %s: addresses have no label here", e.arg(i+1))
			i++
		case "peer":
			im.lose(e, "peer %s: an address has no peer here", e.arg(i+1))
			i++
		case "scope":
			if e.arg(i+1) != "global" {
				im.lose(e, "scope %s: addresses are global here", e.arg(i+1))
			}
			i++
		case "brd", "broadcast", "preferred_lft", "track_group":
			i++ // follows from the address here, or from its lifetime
		case "-nodad", "nodad", "home", "noprefixroute", "no_track", "autojoin", "mngtmpaddr", "use_vmac":
		default:
			im.lose(e, "%q is not known", w)
		}
	}
	if iface == "" {
		iface = c.iface
	}
	a := prefix.Addr()
	if line := seen[a]; why == "" && line != 0 {
		why = fmt.Sprintf("the same address as in line %d", line)
	}
	t := im.doc.Array("vip")
	t.Comment(e.above...)
	address := e.key()
	if why == "" {
		address = prefix.String()
		seen[a] = e.line
		c.vips = append(c.vips, a)
		u.vips = append(u.vips, a)
	}
	t.Set("address", address).Note(e.note)
	t.Set("interface", iface)
	e.above, e.note = nil, ""
	if why != "" {
		im.lost(e.file, e.line, "%s: %s; left as a comment", e.key(), why)
		t.Off()
	}
}

// vipPrefix reads an address with or without a mask, and says what is wrong
// with it.
func vipPrefix(text string) (netip.Prefix, string) {
	host, mask, _ := strings.Cut(text, "/")
	a, err := netip.ParseAddr(host)
	a = a.Unmap()
	switch {
	case err != nil:
		return netip.Prefix{}, "not an address"
	case unusable(a):
		return netip.Prefix{}, "no address that a director can have"
	}
	bits := a.BitLen()
	if mask != "" {
		if n, ok := maskBits(mask); ok && a.Is4() {
			mask = fmt.Sprint(n)
		}
		p, err := netip.ParsePrefix(a.String() + "/" + mask)
		if err != nil || p.Bits() == 0 {
			return netip.Prefix{}, fmt.Sprintf("%q is not a mask", mask)
		}
		bits = p.Bits()
	}
	p := netip.PrefixFrom(a, bits)
	if a.Is4() && bits <= 30 && (p.Masked().Addr() == a || !p.Contains(a.Next())) {
		return netip.Prefix{}, "no host of its network can have this address"
	}
	return p, ""
}
