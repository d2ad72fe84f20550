package heartbeat

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/director/config/convert/emit"
)

// The priorities of the node that haresources prefers, and of the others.
const (
	high = 150
	low  = 100
)

const (
	port         = 7946
	maxDirectors = 17
	maxGroups    = 63
)

// cluster writes [cluster] with what is below it, [[group]] and [[vip]].
func (im *importer) cluster() {
	if !im.setup.read && len(im.moves) == 0 {
		return
	}
	at := im.setup.first
	if !im.setup.read {
		at = im.moves[0].l
	}
	vips := im.vips()
	t := im.doc.Table("cluster")
	t.Comment(im.setup.comments...)
	members := im.directors(t, at, vips)
	t.Set("key_file", "/etc/ipvsd/cluster.key").Note("the same on all directors; \"ipvsd cluster keygen\" writes it")
	im.priority(t)
	im.pace(t)
	back := im.setup.back || im.setup.failback == nil
	if l := im.setup.failback; l != nil {
		t.Comment(l.above...)
		t.Set("preempt", back).Note(l.comment)
	} else {
		t.Set("preempt", back)
	}
	if name := im.defaultInterface(); name != "" {
		t.Set("interface", name)
	}
	im.witnesses(t, append(members, vips...))
	im.sync(t)
}

// vips writes the [[vip]] tables and returns their addresses.
func (im *importer) vips() []netip.Addr {
	fallback := cmp.Or(im.defaultInterface(), "eth0")
	var list []netip.Addr
	for i := range im.moves {
		m := &im.moves[i]
		for j := range m.vips {
			a := &m.vips[j]
			t := im.doc.Array("vip")
			if j == 0 {
				t.Comment(m.l.above...)
			}
			if a.bad == "" && slices.Contains(list, a.ip.Addr()) {
				a.bad = fmt.Sprintf("%s is there twice", a.ip.Addr())
			}
			address := a.text
			if a.bad == "" {
				address = a.ip.String()
				list = append(list, a.ip.Addr())
			}
			k := t.Set("address", address)
			if j == 0 {
				k.Note(m.l.comment)
			}
			if a.iface != "" {
				t.Set("interface", a.iface)
			} else if a.bad == "" {
				t.Set("interface", fallback)
				im.lose(m.l, "%s: no interface is named, and heartbeat found it by the routes; taken as %s", a.text, fallback)
			}
			if a.bad != "" {
				im.lose(m.l, "%s; left as a comment", a.bad)
				t.Off()
			}
		}
	}
	return list
}

// defaultInterface is where addresses go that name none: that of the others,
// or the one by which the nodes speak.
func (im *importer) defaultInterface() string {
	for _, m := range im.moves {
		for _, a := range m.vips {
			if a.iface != "" {
				return a.iface
			}
		}
	}
	for _, p := range im.setup.paths {
		if p.iface != "" {
			return p.iface
		}
	}
	return ""
}

// directors writes listen and join, and returns what is in them.
func (im *importer) directors(t *emit.Table, at line, vips []netip.Addr) []netip.Addr {
	taken := slices.Clone(vips)
	for _, p := range im.setup.pings {
		taken = append(taken, p.addr)
	}
	peers := im.peers(vips)
	all := len(im.setup.nodes)
	if len(peers) == 0 {
		peers = im.resolved(at, vips)
		all = min(all, len(peers))
	}
	names := ""
	if len(im.setup.nodes) > 0 {
		names = " (" + strings.Join(im.setup.nodes, ", ") + ")"
	}
	var self []netip.Addr
	if len(peers) == 0 || len(peers) < max(all, 2) {
		self = append(self, example(peers, taken))
		t.Set("listen", endpoint(self[0])).Note("an example: write this director's own address")
		im.lose(at, "the files don't say this director's own address; write it to listen in [cluster], where an example stands")
	}
	for _, p := range im.setup.paths {
		t.Comment(p.l.all()...)
	}
	if len(peers) == 0 {
		peers = append(peers, example(self, taken))
		t.Set("join", endpoints(peers)).Note("an example: write the other directors' addresses")
		im.lose(at, "the files don't say the addresses of the directors%s; write them to join in [cluster], where an example stands", names)
		return append(self, peers...)
	}
	if len(peers) > maxDirectors-1 {
		im.lose(at, "there can be %d directors; those after them aren't in join", maxDirectors)
		peers = peers[:maxDirectors-1]
	}
	t.Set("join", endpoints(peers))
	return append(self, peers...)
}

// peers returns the addresses of ucast lines: those of the first interface that
// has some, for heartbeat may speak by several ways to the same node.
func (im *importer) peers(vips []netip.Addr) (list []netip.Addr) {
	iface := ""
	for _, p := range im.setup.paths {
		switch {
		case !p.addr.IsValid():
			continue
		case slices.Contains(vips, p.addr):
			im.lose(p.l, "ucast: %s is a virtual address, which no director has for itself", p.addr)
		case len(list) > 0 && (p.iface != iface || p.addr.Is6() != list[0].Is6()):
			im.lose(p.l, "ucast: directors speak over one address each; those by %s are in join", iface)
		case !slices.Contains(list, p.addr):
			list, iface = append(list, p.addr), p.iface
		}
	}
	return list
}

// resolved returns the addresses of the nodes' names, if all have one.
func (im *importer) resolved(at line, vips []netip.Addr) []netip.Addr {
	var list []netip.Addr
	for _, name := range im.setup.nodes {
		a, err := im.opts.LookupHost(name, false)
		if err != nil || !usable(a) || !a.Is4() || slices.Contains(vips, a) || slices.Contains(list, a) {
			return nil
		}
		list = append(list, a)
	}
	if len(list) < 2 {
		return nil
	}
	im.tell(at, "the addresses in join are those that the nodes' names have here and now")
	return list
}

func endpoint(a netip.Addr) string { return netip.AddrPortFrom(a, port).String() }

func endpoints(list []netip.Addr) []string {
	var out []string
	for _, a := range list {
		out = append(out, endpoint(a))
	}
	return out
}

// example returns an address of documentation (RFC 5737, RFC 3849), of the
// others' family. No machine has it, so that a director whose file still has it
// in listen doesn't start.
func example(others, taken []netip.Addr) netip.Addr {
	a := netip.AddrFrom4([4]byte{192, 0, 2, 1})
	if len(others) > 0 && others[0].Is6() {
		a = netip.MustParseAddr("2001:db8::1")
	}
	for slices.Contains(others, a) || slices.Contains(taken, a) {
		a = a.Next()
	}
	return a
}

// priority writes who is preferred, and a [[group]] for what another node is.
func (im *importer) priority(t *emit.Table) {
	nodes := im.preferred()
	if len(nodes) == 0 {
		return
	}
	self := nodes[0]
	t.Set("priority", high).Note(fmt.Sprintf("on %s, which haresources prefers; on the others %d", self, low))
	im.tell(im.moves[0].l, "this is the file of %s; on other directors priority is %d, and the rest the same", self, low)
	names := map[string]bool{"default": true}
	for i, node := range nodes[1:] {
		var vips []string
		var at line
		for _, m := range im.moves {
			for _, a := range m.vips {
				if m.node == node && a.bad == "" {
					vips, at = append(vips, a.ip.Addr().String()), m.l
				}
			}
		}
		switch {
		case len(vips) == 0:
			continue
		case i >= maxGroups:
			im.lose(at, "more than %d groups; these addresses have the priority of [cluster]", maxGroups)
			continue
		}
		g := im.doc.Array("group")
		g.Set("name", groupName(node, names))
		g.Set("vips", vips)
		g.Set("priority", low).Note(fmt.Sprintf("on %s %d", node, high))
		im.tell(at, "the addresses of %s are a group of their own; on %s its priority is %d", node, node, high)
	}
}

// groupName makes a name that a group may have.
func groupName(s string, taken map[string]bool) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '-'
	}, s[:min(len(s), 50)])
	name := s
	for i := 2; taken[name]; i++ {
		name = fmt.Sprintf("%s-%d", s, i)
	}
	taken[name] = true
	return name
}

// pace chooses the profile: the standard one is faster than any deadtime that
// is usual, and who wanted to be faster still gets the fast one.
func (im *importer) pace(t *emit.Table) {
	l := im.setup.dead
	switch {
	case l == nil:
	case im.setup.deadtime < 600*time.Millisecond:
		t.Comment(l.above...)
		t.Set("profile", "fast").Note(l.comment)
	default:
		t.Comment(l.all()...)
		im.tell(*l, "deadtime: how soon a silent director is noticed is profile in [cluster]; standard takes 0.54 s, relaxed 3 s")
	}
}

// witnesses writes the machines that heartbeat pinged. Of three directors and
// more the majority decides, and a silent one is only a fault of the director.
func (im *importer) witnesses(t *emit.Table, taken []netip.Addr) {
	var list []string
	for _, p := range im.setup.pings {
		if slices.Contains(taken, p.addr) {
			im.lose(p.l, "%s: %s is a director's own address or a virtual one", p.l.words[0], p.addr)
			continue
		}
		if len(im.setup.nodes) > 2 {
			if p.l.words[0] == "ping_group" {
				im.tell(p.l, "ping_group: each of them counts by itself here, and not the group while one answers")
			}
			track := t.Array("track")
			track.Comment(p.l.all()...)
			track.Set("gateway", p.addr.String())
			continue
		}
		t.Comment(p.l.all()...)
		list = append(list, p.addr.String())
	}
	if len(list) > 0 {
		t.Set("witnesses", list)
	}
}

func (im *importer) sync(t *emit.Table) {
	on := slices.ContainsFunc(im.moves, func(m move) bool { return m.sync })
	s := t.Table("sync")
	if on {
		s.Set("enabled", true)
		return
	}
	s.Set("enabled", false).Note("there was no LVSSyncDaemonSwap; true keeps connections over a failover")
}
