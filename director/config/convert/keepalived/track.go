package keepalived

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// track is one [[cluster.track]].
type track struct {
	n, script *node // what asks for it, and what it is
	iface     string
	command   []string
	weight    int64
	bonus     int64 // what keepalived adds while it is well
}

// name tells tracks apart as director/config does.
func (t track) name() string { return t.iface + " " + strings.Join(t.command, " ") }

// tracks reads what the instances and their groups track. It all holds for the
// whole director here.
func (im *importer) tracks(c *cluster) []track {
	scripts, processes := make(map[string]*node), make(map[string]*node)
	for _, n := range c.scripts {
		scripts[n.arg(0)] = n
	}
	for _, n := range c.processes {
		processes[n.arg(0)] = n
	}
	var list []track
	used := make(map[*node]bool)
	add := func(t track, e *node, def int64) {
		if !im.weigh(&t, e, def) {
			return
		}
		i := slices.IndexFunc(list, func(o track) bool { return o.name() == t.name() })
		switch {
		case i < 0:
			list = append(list, t)
		case list[i].weight != t.weight:
			im.lose(e, "it is tracked for the whole director, with the weight of line %d", list[i].n.line)
		}
	}
	for _, n := range slices.Concat(c.syncs, c.instances) {
		for _, block := range n.blocks("track_interface") {
			for _, e := range block.body {
				if name := im.interfaceName(e, e.key()); name != "" {
					add(track{n: e, iface: name}, e, 0)
				}
			}
		}
		for _, block := range n.blocks("track_script") {
			for _, e := range block.body {
				s := scripts[e.key()]
				if s == nil {
					im.lose(e, "there is no vrrp_script of that name")
					continue
				}
				used[s] = true
				if t, def, ok := im.script(s); ok {
					t.n = e
					add(t, e, def)
				}
			}
		}
		for _, block := range n.blocks("track_process") {
			for _, e := range block.body {
				p := processes[e.key()]
				if p == nil {
					im.lose(e, "there is no vrrp_track_process of that name")
					continue
				}
				used[p] = true
				if t, def, ok := im.process(p); ok {
					t.n = e
					add(t, e, def)
				}
			}
		}
	}
	for _, n := range slices.Concat(c.scripts, c.processes) {
		if !used[n] {
			im.lose(n, "nothing tracks it; not imported")
		}
	}
	return im.needed(c, list)
}

// needed drops interfaces that are watched in any case: those of the addresses.
func (im *importer) needed(c *cluster, list []track) []track {
	return slices.DeleteFunc(list, func(t track) bool { return t.iface != "" && t.iface == c.iface && t.weight == 0 })
}

// weigh reads a weight behind what is tracked, "weight -20 reverse"; def is the
// script's own.
func (im *importer) weigh(t *track, e *node, def int64) bool {
	weight := def
	for i := 0; i+1 < len(e.words); i++ {
		switch e.arg(i) {
		case "weight":
			weight = im.number(e, i+1, def, -254, 254)
			i++
		case "reverse":
			im.lose(e, "something that is well while it fails isn't known here; not tracked")
			return false
		case "noreverse", "no_reverse":
		default:
			im.lose(e, "%q is not known", e.arg(i))
		}
	}
	t.weight = max(weight, -weight)
	t.bonus = max(weight, 0)
	return true
}

// script reads a vrrp_script and its own weight.
func (im *importer) script(n *node) (t track, weight int64, ok bool) {
	t.script = n
	s := n.last("script")
	if s == nil {
		im.lose(n, "it has no script; not tracked")
		return t, 0, false
	}
	if t.command = im.command(s); len(t.command) == 0 {
		return t, 0, false
	}
	if w := n.last("weight"); w != nil {
		if w.arg(1) == "reverse" {
			im.lose(w, "something that is well while it fails isn't known here; not tracked")
			return t, 0, false
		}
		weight = im.number(w, 0, 0, -254, 254)
	}
	if u := n.last("user"); u != nil {
		im.lose(u, noScripts)
	}
	im.dropRest(n, scriptKept, scriptWords)
	return t, weight, true
}

// process reads a vrrp_track_process: whether a program of that name runs.
func (im *importer) process(n *node) (t track, weight int64, ok bool) {
	t.script = n
	p := n.last("process")
	if p == nil || p.arg(0) == "" {
		im.lose(n, "it has no process; not tracked")
		return t, 0, false
	}
	// keepalived compares, and pgrep takes a pattern.
	t.command = []string{"/usr/bin/pgrep", "-x", regexp.QuoteMeta(p.arg(0))}
	if len(p.words) > 2 || n.last("full_command") != nil {
		t.command = []string{"/usr/bin/pgrep", "-fx", regexp.QuoteMeta(strings.Join(p.words[1:], " "))}
	}
	im.lose(p, "ipvsd's systemd unit hides other users' processes; write ProtectProc=default into a drop-in of it, or this one is never seen")
	weight = 1
	if w := n.last("weight"); w != nil {
		if w.arg(1) == "reverse" {
			im.lose(w, "something that is well while it fails isn't known here; not tracked")
			return t, 0, false
		}
		weight = im.number(w, 0, 1, -254, 254)
	}
	im.dropRest(n, processKept, processWords)
	return t, weight, true
}

// writeTracks writes the [[cluster.track]] tables.
func (im *importer) writeTracks(c *cluster, list []track) {
	for _, t := range list {
		out := c.t.Array("track")
		if t.script != nil {
			out.Comment(t.script.comments()...)
		}
		out.Comment(t.n.comments()...)
		if t.iface != "" {
			out.Set("interface", t.iface)
			out.Set("weight", t.weight)
			continue
		}
		im.set(out, cmp.Or(t.script.last("script"), t.script.last("process")), "command", t.command)
		im.set(out, t.script.last("weight"), "weight", t.weight)
		n := t.script.last("interval")
		interval := im.wait(n, time.Second)
		if n != nil {
			im.set(out, n, "interval", interval)
		}
		if n := t.script.last("timeout"); n != nil {
			im.set(out, n, "timeout", im.wait(n, interval))
		} else if interval > time.Second {
			out.Set("timeout", interval)
		}
		for _, key := range []string{"rise", "fall"} {
			n, count := t.script.last(key), int64(1)
			if n != nil {
				count = im.number(n, 0, 1, 1, 65535)
			}
			im.set(out, n, key, count)
		}
		out.Comment(t.script.allComments()...)
	}
}

// hooks writes [cluster.hooks]: programs for a change of role.
func (im *importer) hooks(c *cluster) {
	roles := []struct{ key, word, state string }{
		{"active", "notify_master", "MASTER"},
		{"standby", "notify_backup", "BACKUP"},
		{"fault", "notify_fault", "FAULT"},
	}
	const pace = "what happened is in its environment, too, such as IPVSD_GROUP. It runs as ipvsd's user, 10 s at most, and again where it fails: timeout and retries of [cluster.hooks]"
	chosen := make(map[string]*node)
	for _, n := range slices.Concat(c.syncs, c.instances) {
		for _, r := range roles {
			h := n.last(r.word)
			if h == nil {
				continue
			}
			if argv := im.command(h); len(argv) > 0 && im.hook(c, h, r.key, argv, chosen) {
				im.tell(h, "it is %s of [cluster.hooks], with the same arguments; %s", r.key, pace)
			}
		}
	}
	for _, n := range slices.Concat(c.syncs, c.instances) {
		h := n.last("notify")
		if h == nil {
			continue
		}
		kind := "INSTANCE"
		if n.key() == "vrrp_sync_group" {
			kind = "GROUP"
		}
		priority := strconv.FormatInt(im.priorityOf(n), 10)
		taken := func(key string) bool { return chosen[key] != nil }
		if taken("active") || taken("standby") || taken("fault") {
			im.lose(h, "a director has one program for each role, and line %d has one already; it is told in IPVSD_GROUP which addresses moved",
				cmp.Or(chosen["active"], chosen["standby"], chosen["fault"]).line)
		}
		for _, r := range roles {
			argv := im.command(h)
			if len(argv) == 0 || taken(r.key) {
				continue
			}
			if argv[0] == "/bin/sh" || argv[0] == "/bin/bash" {
				argv = append(argv, "notify")
			}
			if im.hook(c, h, r.key, append(argv, kind, n.arg(0), r.state, priority), chosen) {
				im.tell(h, "it has the arguments that keepalived gives it, with the priority of the file, and is never told STOP; %s", pace)
			}
		}
	}
}

// hook writes one program; there is one for each role. It tells whether this is it.
func (im *importer) hook(c *cluster, h *node, key string, argv []string, chosen map[string]*node) bool {
	before := chosen[key]
	if before == nil {
		chosen[key] = h
		im.set(c.t.Table("hooks"), h, key, argv)
		return true
	}
	if before.text != h.text {
		im.lose(h, "a director has one program for the role %s, and that is %s in line %d; it is told in IPVSD_GROUP which addresses moved", key, before.key(), before.line)
	}
	return false
}
