package keepalived

import (
	"net/netip"

	"github.com/ipvsd/ipvsd/director/config/convert/emit"
)

// globals reads global_defs, but for what belongs to [cluster].
func (im *importer) globals(c *cluster) {
	for _, g := range c.global {
		if n := g.last("lvs_flush_on_stop"); n != nil {
			im.set(im.doc.Table("director"), n, "clean_stop", true)
		}
		im.dropRest(g, globalKept, globalWords)
	}
}

// sync writes [cluster.sync]. Without lvs_sync_daemon keepalived syncs nothing.
func (im *importer) sync(c *cluster) {
	t := c.t.Table("sync")
	n := c.syncDaemon()
	switch {
	case n == nil && im.mixed:
		t.Set("enabled", false).Note("the kernel can't sync while a real server is of another family")
		return
	case n == nil:
		t.Set("enabled", false).Note("there was no lvs_sync_daemon; true keeps connections over a failover")
		return
	case im.mixed:
		im.lose(n, "the kernel can't sync while a real server is of another family than its virtual service")
		t.Set("enabled", false)
		return
	}
	im.set(t, n, "enabled", true)
	id := int64(0)
	instance := ""
	for i := 1; i+1 < len(n.words); i++ {
		switch w := n.arg(i); w {
		case "inst":
			instance = n.arg(i + 1)
			i++
		case "id":
			id = im.number(n, i+1, 0, 0, 255)
			i++
		case "maxlen", "port", "ttl", "group":
			im.lose(n, "%s %s: the kernel's default is used", w, n.arg(i+1))
			i++
		default:
			if _, err := netip.ParseAddr(w); err == nil || i > 1 {
				im.lose(n, "%q is not known", w)
				continue
			}
			instance = w
		}
	}
	im.syncID(c, t, n, id, instance)
	if name := im.interfaceOf(n); name != "" {
		t.Set("interface", name)
	}
}

func (c *cluster) syncDaemon() *node {
	for _, g := range c.global {
		if n := g.last("lvs_sync_daemon"); n != nil {
			return n
		}
	}
	return nil
}

// syncID writes the id, which is the instance's virtual_router_id where none is
// said. 0, which keepalived may have, would take everybody's.
func (im *importer) syncID(c *cluster, t *emit.Table, n *node, id int64, instance string) {
	for _, i := range c.instances {
		if r := i.last("virtual_router_id"); id == 0 && i.arg(0) == instance && r != nil {
			id = im.number(r, 0, 1, 1, 255)
		}
	}
	if id == 0 {
		im.tell(n, "the id 0 takes the connections of all clusters on the wire; it is 1 here")
		id = 1
	}
	t.Set("id", id)
}
