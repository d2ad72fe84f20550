package heartbeat

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/director/config/convert"
)

// setup is what ha.cf says.
type setup struct {
	read     bool // there was one
	first    line // its first line
	nodes    []string
	paths    []path
	pings    []ping
	failback *line
	back     bool
	dead     *line
	deadtime time.Duration
	comments []string // of lines without a key of their own
}

// path is a ucast line: the address of a node, by an interface.
type path struct {
	l     line
	iface string
	addr  netip.Addr // invalid: bcast or mcast
}

// ping is a machine that tells whether the network is there.
type ping struct {
	l    line
	addr netip.Addr
}

// directives are those of ha.cf and what becomes of them. Those that are empty
// are read by config.
var directives = map[string]struct {
	text string
	lost bool
}{
	"node": {}, "ucast": {}, "bcast": {}, "mcast": {}, "mcast6": {}, "udp": {}, "autojoin": {}, "ping": {}, "ping_group": {}, "auto_failback": {}, "nice_failback": {},
	"deadtime": {}, "respawn": {}, "crm": {}, "pacemaker": {},

	"keepalive":               {"ipvsd's profile says how often directors speak: standard 0.1 s", false},
	"warntime":                {"a director that is late is suspected and asked after 0.3 s with the standard profile", false},
	"initdead":                {"a director that starts waits until it heard the others, and not longer than it must", false},
	"deadping":                {"witnesses are asked when they are needed", false},
	"udpport":                 {"ipvsd uses port 7946, UDP and TCP; write another to listen and join", false},
	"serial":                  {"directors speak by the network only", true},
	"baud":                    {"directors speak by the network only", false},
	"watchdog":                {"systemd's watchdog watches ipvsd, and the kernel drops the addresses of one that hangs", false},
	"stonith":                 {"ipvsd switches no machine off; addresses have a lifetime in the kernel instead", true},
	"stonith_host":            {"ipvsd switches no machine off; addresses have a lifetime in the kernel instead", true},
	"hopfudge":                {"messages go to each director directly", false},
	"apiauth":                 {"the control socket is for root and the group ipvsd", false},
	"logfile":                 {"ipvsd logs to the journal", false},
	"debugfile":               {"ipvsd logs to the journal", false},
	"logfacility":             {"ipvsd logs to the journal", false},
	"use_logd":                {"ipvsd logs to the journal", false},
	"conn_logd_time":          {"ipvsd logs to the journal", false},
	"debug":                   {"ipvsd logs to the journal", false},
	"coredumps":               {"LimitCORE= of its systemd unit", false},
	"realtime":                {"ipvsd runs with the usual priority", false},
	"rtprio":                  {"ipvsd runs with the usual priority", false},
	"hbgenmethod":             {"directors number themselves", false},
	"uuidfrom":                {"a director is known by its name", false},
	"cluster":                 {"a cluster has no name, its key tells it from others", false},
	"compression":             {"messages are short", false},
	"compression_threshold":   {"messages are short", false},
	"traditional_compression": {"messages are short", false},
	"msgfmt":                  {"messages are ipvsd's own", false},
	"max_rexmit_delay":        {"messages are repeated anyway", false},
	"memreserve":              {"ipvsd reserves no memory", false},
	"quorum_server":           {"write quorum and witnesses in [cluster]", true},
}

// config reads ha.cf.
func (im *importer) config(f convert.File) {
	s := &im.setup
	for _, l := range lines(f) {
		if !s.read {
			s.read, s.first = true, l
			im.doc.Comment(l.above...)
			l.above = nil
		}
		im.directive(s, l)
	}
}

func (im *importer) directive(s *setup, l line) {
	key := l.words[0]
	keep := func() { s.comments = append(s.comments, l.all()...) }
	d, known := directives[key]
	switch {
	case !known:
		im.lose(l, "%s: not known; not imported", key)
		keep()
	case d.text != "" && d.lost:
		im.lose(l, "%s: %s", key, d.text)
		keep()
	case d.text != "":
		im.tell(l, "%s: %s", key, d.text)
		keep()
	}
	switch key {
	case "node":
		for _, name := range l.words[1:] {
			if !slices.Contains(s.nodes, name) {
				s.nodes = append(s.nodes, name)
			}
		}
		keep()
	case "ucast", "bcast", "udp", "mcast", "mcast6": // udp is heartbeat 1's bcast
		im.path(s, l)
	case "ping", "ping_group":
		im.ping(s, l)
	case "auto_failback", "nice_failback":
		s.failback = &l
		on := slices.Contains([]string{"on", "yes", "y", "true", "1", "legacy"}, strings.ToLower(l.arg(0)))
		s.back = on == (key == "auto_failback")
	case "deadtime":
		if d, ok := seconds(l.arg(0)); ok {
			s.dead, s.deadtime = &l, d
		} else {
			im.lose(l, "deadtime: %q is no time", l.arg(0))
		}
	case "respawn":
		keep()
		if strings.HasSuffix(l.arg(1), "/ipfail") {
			im.tell(l, "respawn: the witnesses do what ipfail did")
		} else {
			im.lose(l, "respawn: ipvsd starts no programs; write a systemd unit")
		}
	case "autojoin":
		keep()
		if l.arg(0) != "none" {
			im.lose(l, "autojoin: every director is named in join")
		}
	case "crm", "pacemaker":
		keep()
		if on := strings.ToLower(l.arg(0)); on != "no" && on != "off" && on != "false" {
			im.lose(l, "%s: the resources are the cluster resource manager's; its addresses aren't in these files", key)
		}
	}
}

// all returns the comments of a line.
func (l line) all() []string {
	if l.comment == "" {
		return l.above
	}
	return append(l.above[:len(l.above):len(l.above)], l.comment)
}

// path reads "ucast eth0 192.0.2.2", "bcast eth0 eth1" and "mcast eth0 …".
func (im *importer) path(s *setup, l line) {
	names := l.words[1:]
	if l.words[0] != "bcast" && l.words[0] != "udp" {
		names = names[:min(1, len(names))]
	}
	for _, name := range names {
		p := path{l: l, iface: im.interfaceName(l, name)}
		l.above, l.comment = nil, "" // they go with the first
		if l.words[0] == "ucast" {
			a, err := netip.ParseAddr(l.arg(1))
			if a = a.Unmap(); err != nil || !usable(a) {
				im.lose(l, "ucast: %q is not the address of a director", l.arg(1))
				continue
			}
			p.addr = a
		}
		s.paths = append(s.paths, p)
	}
}

// usable tells whether a director can have an address for itself.
func usable(a netip.Addr) bool {
	return a.Zone() == "" && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && !(a.Is6() && a.IsLinkLocalUnicast()) &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

func (im *importer) ping(s *setup, l line) {
	names := l.words[1:]
	if l.words[0] == "ping_group" {
		names = names[min(1, len(names)):]
	}
	for i, name := range names {
		a, err := netip.ParseAddr(name)
		if a = a.Unmap(); err != nil {
			a, err = im.opts.LookupHost(name, false)
		}
		switch {
		case err != nil || !usable(a):
			im.lose(l, "%s: %q is not the address of a machine that answers", l.words[0], name)
		case !slices.ContainsFunc(s.pings, func(p ping) bool { return p.addr == a }):
			p := ping{l: l, addr: a}
			if i > 0 {
				p.l.above, p.l.comment = nil, ""
			}
			s.pings = append(s.pings, p)
		}
	}
}

// seconds reads "2", "500ms" or "1.5".
func seconds(text string) (time.Duration, bool) {
	unit := time.Second
	if t, ok := strings.CutSuffix(text, "ms"); ok {
		text, unit = t, time.Millisecond
	} else if t, ok := strings.CutSuffix(text, "us"); ok {
		text, unit = t, time.Microsecond
	}
	v, err := strconv.ParseFloat(strings.TrimSuffix(text, "s"), 64)
	if err != nil || !(v >= 0 && v < 1e9) {
		return 0, false
	}
	return time.Duration(v * float64(unit)), true
}

// interfaceName reads the name of an interface, without the label of an alias.
func (im *importer) interfaceName(l line, text string) string {
	name, label, is := strings.Cut(text, ":")
	if is {
		im.lose(l, "%q is the label %s of %s; addresses have no label here", text, label, name)
	}
	if name == "" || name == "." || name == ".." || len(name) > 15 || strings.Contains(name, "/") {
		im.lose(l, "%q can't be the name of an interface", text)
		return ""
	}
	return name
}
