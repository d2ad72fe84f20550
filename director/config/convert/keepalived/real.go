package keepalived

import (
	"cmp"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ipvsd/ipvsd/director/config/convert/emit"
)

// method is how packets reach a real server.
type method struct {
	forward string
	tunnel  emit.Inline
}

// real is a real_server.
type real struct {
	n      *node
	addr   netip.Addr
	port   uint16 // the one of this virtual service
	own    uint16 // the one that was written; 0: none
	text   string // as it stands in the output
	method method
	bad    string
	probe  probe
}

// methodOf reads "NAT", "DR" or "TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]".
func (v *virtual) methodOf(n *node, def method) method {
	if n == nil {
		return def
	}
	switch n.arg(0) { // in capitals only, as keepalived has it
	case "NAT":
		return method{forward: "nat"}
	case "DR":
		return method{forward: "dr"}
	case "TUN":
		return method{forward: "tun", tunnel: v.tunnel(n)}
	}
	v.lose(n, "%q is not known to keepalived, which has NAT, DR and TUN; taken as %s, as it does", n.arg(0), def.forward)
	return def
}

func (v *virtual) tunnel(n *node) emit.Inline {
	kind, sum := "ipip", ""
	port := int64(0)
	for i := 1; i < len(n.words)-1; i++ {
		switch w := strings.ToLower(n.arg(i)); w {
		case "type":
			kind = strings.ToLower(n.arg(i + 1))
			i++
		case "port":
			port = v.number(n, i+1, 0, 1, 65535)
			i++
		case "nocsum":
		case "csum":
			sum = "full"
		case "remcsum":
			sum = "remote"
		default:
			v.lose(n, "%q is not known", n.arg(i))
		}
	}
	switch {
	case kind == "gue" && port == 0, kind != "gue" && kind != "gre" && kind != "ipip":
		v.lose(n, "a tunnel of type %q without a port isn't known; taken as ipip", kind)
		return nil
	case kind == "ipip":
		return nil
	case kind == "gre" && sum == "remote":
		v.lose(n, "remcsum is not possible with gre")
		sum = ""
	}
	t := emit.Inline{{Key: "type", Value: kind}}
	if kind == "gue" {
		t = append(t, emit.Pair{Key: "port", Value: port})
	}
	if sum != "" {
		t = append(t, emit.Pair{Key: "checksum", Value: sum})
	}
	return t
}

// reals reads all real servers.
func (v *virtual) reals() []*real {
	var list []*real
	lines := make(map[netip.AddrPort]int)
	for _, n := range v.n.all("real_server") {
		r := v.address(n, v.methodOf(n.last("lvs_method", "lb_kind"), v.method))
		if r.bad == "" {
			key := netip.AddrPortFrom(r.addr, r.port)
			if line := lines[key]; line != 0 {
				r.bad = "the same real server as in line " + strconv.Itoa(line)
			} else {
				lines[key] = n.line
				v.mixed = v.mixed || v.to.bad == "" && v.ipv6 != r.addr.Is6()
			}
		}
		noted := len(v.notes)
		if r.probe = v.probe(r); r.bad != "" {
			v.notes = v.notes[:noted]
		}
		list = append(list, r)
	}
	return list
}

// address reads the address of a real or sorry server, and says what
// director/config wouldn't take.
func (v *virtual) address(n *node, m method) *real {
	r := &real{n: n, method: m}
	addr, err := netip.ParseAddr(n.arg(0))
	r.addr = addr.Unmap()
	if err != nil || unusable(r.addr) {
		r.bad = strconv.Quote(n.arg(0)) + " is not the address of a server"
		return r
	}
	r.text = r.addr.String()
	port, err := strconv.ParseUint(cmp.Or(n.arg(1), "0"), 10, 16)
	r.own = uint16(port)
	if err != nil {
		r.bad = strconv.Quote(n.arg(1)) + " is not a port"
		return r
	}
	if r.addr.Is6() != v.ipv6 && m.forward != "tun" {
		r.bad = r.text + " is of another family than the virtual service, which the kernel allows with TUN only"
	}
	r.port = v.to.port
	switch {
	case v.to.mark != 0: // its packets keep their port
		r.port = 0
	case r.own == 0 || r.own == r.port:
	case m.forward == "nat":
		r.port = r.own
		r.text = netip.AddrPortFrom(r.addr, r.port).String()
	case v.to.n != v.n: // of a group; keepalived leaves the port as it is, for the checks
	default:
		v.tell(n, "with %s the kernel can't change the port %d to %d; taken as %d, as keepalived does", strings.ToUpper(m.forward), r.port, r.own, r.port)
	}
	return r
}

// real writes a [[virtual.real]]; all is what the virtual service's check has.
func (v *virtual) real(r *real, all own) *emit.Table {
	n, t, noted := r.n, v.t.Array("real"), len(v.notes)
	t.Comment(n.comments()...)
	set := func(c *node, key string, value any) {
		t.Comment(c.above...)
		t.Set(key, value).Note(c.note)
		c.above, c.note = nil, ""
	}
	t.Set("address", cmp.Or(r.text, strings.TrimSpace(n.arg(0)+" "+n.arg(1))))
	switch weight, from := v.weight(r); {
	case from == nil:
	case from == n.last("weight"):
		set(from, "weight", weight)
	default:
		t.Set("weight", weight)
	}
	if r.method.forward != v.method.forward {
		t.Set("forward", r.method.forward)
	}
	if len(r.method.tunnel) > 0 {
		t.Set("tunnel", r.method.tunnel)
	}
	v.thresholds(r, set)
	r.probe.difference(t, all)
	v.dropRest(n, realKept+strings.Join(checkers, " "), realWords)
	t.Comment(n.allComments()...)
	if r.bad != "" {
		v.notes = v.notes[:noted]
		v.lose(n, "%s; left as a comment", r.bad)
		t.Off()
	}
	return t
}

// weight returns a real server's, and where it is said: nil, nowhere.
func (v *virtual) weight(r *real) (weight int64, from *node) {
	if from = inner([]*node{r.n, v.n}, "weight"); from == nil {
		return 1, nil
	}
	return v.number(from, 0, 1, 0, 65535), from
}

func (v *virtual) thresholds(r *real, set func(n *node, key string, value any)) {
	upper, lower := r.n.last("uthreshold"), r.n.last("lthreshold")
	most := int64(0)
	if upper != nil {
		most = v.number(upper, 0, 0, 0, math.MaxUint32)
		set(upper, "upper_threshold", most)
	}
	if lower == nil {
		return
	}
	least := v.number(lower, 0, 0, 0, math.MaxUint32)
	switch {
	case least > most:
		v.lose(lower, "%d is more than uthreshold, %d", least, most)
	default:
		set(lower, "lower_threshold", least)
	}
}
