package keepalived

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/director/config/convert/emit"
)

// cluster is all that is said of VRRP.
type cluster struct {
	global, instances, syncs, scripts, processes []*node

	t     *emit.Table
	iface string // where addresses go by default
	vips  []netip.Addr
	units []*unit
}

// unit is instances that move together: those of a sync group, or a single one.
type unit struct {
	name      string
	instances []*node
	sync      *node // or nil
	priority  int64
	vips      []netip.Addr
}

const (
	port         = 7946
	maxDirectors = 17
	maxGroups    = 63
)

// cluster writes [cluster], [[vip]] and [[group]].
func (im *importer) cluster(c *cluster) {
	if len(c.instances) == 0 {
		for _, n := range slices.Concat(c.syncs, c.scripts, c.processes) {
			im.lose(n, "there is no vrrp_instance; not imported")
		}
		return
	}
	c.t = im.doc.Table("cluster")
	first := c.instances[0]
	for _, n := range c.global {
		im.leftover = append(im.leftover, n.allComments()...)
	}
	c.t.Comment(first.comments()...)
	c.iface = im.interfaceOf(first.last("interface"))
	if c.iface == "" {
		c.iface = im.defaultInterface(c)
	}
	im.units(c)
	im.vips(c)
	im.directors(c)
	c.t.Set("key_file", "/etc/ipvsd/cluster.key").Note("the same on all directors; \"ipvsd cluster keygen\" writes it")
	im.authentication(c)
	tracks := im.tracks(c)
	im.priorities(c, tracks)
	im.pace(c)
	im.preempt(c)
	im.set(c.t, first.last("interface"), "interface", c.iface)
	im.sync(c)
	im.hooks(c)
	im.writeTracks(c, tracks)
	im.rest(c)
	for _, n := range slices.Concat(c.instances, c.syncs, c.scripts, c.processes) {
		c.t.Comment(n.allComments()...)
	}
}

// set sets a key with the comments of a statement, or nil.
func (im *importer) set(t *emit.Table, n *node, key string, value any) {
	if n == nil {
		t.Set(key, value)
		return
	}
	t.Comment(n.above...)
	t.Set(key, value).Note(n.note)
	n.above, n.note = nil, ""
}

// rest notes what of VRRP nothing is made of.
func (im *importer) rest(c *cluster) {
	for _, n := range c.instances {
		im.dropRest(n, instanceKept, instanceWords)
	}
	names := ""
	for _, n := range c.instances {
		names += n.arg(0) + " "
	}
	for _, n := range c.syncs {
		im.dropRest(n, names+syncKept, instanceWords)
	}
}

// authentication is the key's matter now.
func (im *importer) authentication(c *cluster) {
	for _, n := range c.instances {
		if a := n.last("authentication"); a != nil {
			a.allComments() // may hold a password, too
			im.lose(a, "the password isn't used any more; the key in key_file takes its place, make one with \"ipvsd cluster keygen\"")
		}
	}
}

// units sorts the instances into those that move together.
func (im *importer) units(c *cluster) {
	of := make(map[string]*unit)
	for _, s := range c.syncs {
		u := &unit{name: s.arg(0), sync: s}
		for _, g := range s.blocks("group") {
			for _, member := range g.body {
				of[member.key()] = u
			}
		}
		for _, member := range s.body { // as keepalived 1 had them
			if len(member.words) == 1 && !member.block {
				of[member.key()] = u
			}
		}
	}
	for _, n := range c.instances {
		u := of[n.arg(0)]
		if u == nil {
			u = &unit{name: n.arg(0)}
			of[n.arg(0)] = u
		}
		priority := im.priorityOf(n)
		if len(u.instances) == 0 {
			u.priority = priority
			c.units = append(c.units, u)
		} else if priority != u.priority {
			im.lose(cmp.Or(n.last("priority"), n), "the instances of a sync group move together; all have the first one's %d", u.priority)
		}
		u.instances = append(u.instances, n)
	}
}

// priorityOf returns an instance's priority, with keepalived's defaults.
func (im *importer) priorityOf(n *node) int64 {
	p := n.last("priority")
	switch {
	case p != nil:
		return im.number(p, 0, 100, 1, 255)
	case master(n):
		return 255
	}
	return 100
}

// master tells whether an instance is to begin as the master.
func master(n *node) bool {
	s := n.last("state")
	return s != nil && s.arg(0) == "MASTER"
}

// priorities writes the cluster's priority and the groups that have another.
// What a success adds to a priority in keepalived is taken for granted here,
// and a failure takes it away.
func (im *importer) priorities(c *cluster, tracks []track) {
	var bonus int64
	for _, t := range tracks {
		bonus += t.bonus
	}
	raised := func(p int64) int64 { return min(p+bonus, 255) }
	base := c.units[0].priority
	im.set(c.t, c.units[0].instances[0].last("priority"), "priority", raised(base))
	if bonus > 0 {
		c.t.Get("priority").Note(fmt.Sprintf("%d, and %d that what is tracked adds while it is well", base, bonus))
	}
	same := !slices.ContainsFunc(c.units, func(u *unit) bool { return u.priority != base })
	names := map[string]bool{"default": true}
	groups := 0
	for _, u := range c.units {
		if same || len(u.vips) == 0 {
			continue
		}
		if groups++; groups > maxGroups {
			im.lose(u.instances[0], "more than %d groups; its addresses have the priority of [cluster]", maxGroups)
			continue
		}
		name := groupName(u.name, names)
		g := im.doc.Array("group")
		if u.sync != nil {
			g.Comment(u.sync.comments()...)
		}
		g.Set("name", name)
		var vips []string
		for _, a := range u.vips {
			vips = append(vips, a.String())
		}
		g.Set("vips", vips)
		from := u.instances[0].last("priority")
		if u == c.units[0] {
			from = nil
		}
		im.set(g, from, "priority", raised(u.priority))
	}
	if same && len(c.units) > 1 {
		im.tell(c.instances[1], "all addresses of one priority move together here; a [[group]] would part them")
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
	if s == "" {
		s = "group"
	}
	name := s
	for i := 2; taken[name]; i++ {
		name = fmt.Sprintf("%s-%d", s, i)
	}
	taken[name] = true
	return name
}

// pace chooses the profile. Only who asked for a very fast one gets it.
func (im *importer) pace(c *cluster) {
	for _, n := range c.instances {
		if a := n.last("advert_int"); a != nil {
			fast := im.timer(a, time.Second) <= 100*time.Millisecond
			if fast && c.t.Get("profile") == nil {
				im.set(c.t, a, "profile", "fast")
			} else if !fast {
				im.tell(a, "how soon a silent director is noticed is profile in [cluster]; standard takes 0.54 s")
			}
		}
	}
}

// preempt writes whether a better director takes over; keepalived's does.
func (im *importer) preempt(c *cluster) {
	first := c.instances[0]
	no, d := first.last("nopreempt"), first.last("preempt_delay")
	if master(first) {
		for _, n := range []*node{no, d} {
			if n != nil {
				im.tell(n, "it means nothing with state MASTER, neither to keepalived")
			}
		}
		no, d = nil, nil
	}
	for _, n := range c.instances[1:] {
		if (n.last("nopreempt") == nil || master(n)) != (no == nil) {
			im.lose(n, "preempt is one for all addresses; the first vrrp_instance's is taken")
		}
	}
	im.set(c.t, no, "preempt", no == nil)
	if d != nil && no == nil {
		im.set(c.t, d, "preempt_delay", im.timer(d, 0))
	} else if d != nil {
		im.tell(d, "it means nothing with nopreempt")
	}
	for _, n := range c.instances[1:] {
		if own := n.last("preempt_delay"); own != nil && !master(n) && (d == nil || own.arg(0) != d.arg(0)) {
			im.lose(own, "it is one for all addresses; the first vrrp_instance's is taken")
		}
	}
}
