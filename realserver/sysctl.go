package realserver

import (
	"cmp"
	"slices"
	"strconv"
)

// Setting is a sysctl that must have a value; Old is what it has.
type Setting struct {
	Key      Key
	Old, New string
	Why      string
}

// settings lists the sysctls that w needs, those that are right already too.
func settings(have State, w Wanted) []Setting {
	var list []Setting
	if w.QuietARP {
		list = append(list, arpIgnore(have)...)
		list = append(list, arpAnnounce(have))
	}
	for _, link := range w.Loose {
		list = append(list, reversePath(have, link)...)
	}
	for _, ipv6 := range w.Redirects {
		list = append(list, redirects(have, ipv6)...)
	}
	return list
}

// silent tells whether an effective arp_ignore keeps an interface from
// answering for addresses of another one (arp_ignore() in net/ipv4/arp.c).
// 3 is not enough: it is silent only about scope host, and our VIPs have scope
// global. 4 to 7 are reserved and mean 0.
func silent(value int) bool { return value == 1 || value == 2 || value == 8 }

// arpIgnore: what counts is the larger of conf.all and the interface's own
// value. So one write to conf.all covers every interface, those that come
// later too, and an interface needs a write only where its own value is larger
// and wrong.
func arpIgnore(have State) []Setting {
	const why = "answers ARP for every VIP, so clients reach it past the director"
	all := have.number(conf4("all", "arp_ignore"))
	target := all
	if !silent(all) {
		target = 1
	}
	list := []Setting{have.setting(conf4("all", "arp_ignore"), target, "this node "+why)}
	for _, link := range have.linkNames() {
		key := conf4(link, "arp_ignore")
		if _, ok := have.Sysctls[key]; !ok || have.Links[link].Loopback {
			continue
		}
		if own := have.number(key); !silent(max(own, target)) {
			list = append(list, have.setting(key, 1, link+" "+why+" (the larger of its own value and conf.all counts)"))
		}
	}
	return list
}

// arpAnnounce 2 keeps the VIP out of this node's own ARP requests, which would
// teach the neighbours this node's MAC address for it. Of conf.all and the
// interface's value the larger counts, and 2 is the largest.
func arpAnnounce(have State) Setting {
	return have.setting(conf4("all", "arp_announce"), 2,
		"this node's ARP requests carry the VIP as sender and draw its traffic here")
}

// reversePath: packets from the tunnel have the client's address, whose way
// back is another interface, and strict filtering (1) drops them. The larger of
// conf.all and the interface's value counts, and 2 (loose) is larger than 1:
// setting the tunnel alone is enough, every other interface keeps its filter.
func reversePath(have State, link string) []Setting {
	key := conf4(link, "rp_filter")
	all := have.number(conf4("all", "rp_filter"))
	if max(all, have.number(key)) != 1 {
		return []Setting{have.setting(key, have.number(key), "")}
	}
	target := 0
	if all == 1 {
		target = 2
	}
	return []Setting{have.setting(key, target, "rp_filter is strict on "+link+" and drops what comes out of the tunnel")}
}

// redirects: where the director and the clients share a network, a redirect
// tells this node the short way to the client, and its answers then miss the
// director, which must rewrite them. IPv4 counts conf.all and the interface,
// on a host (not a router) either one is enough; IPv6 counts the interface.
func redirects(have State, ipv6 bool) []Setting {
	const why = "an ICMP redirect can lead answers past the director, which has to rewrite them"
	var list []Setting
	conf := conf6
	if !ipv6 {
		conf = conf4
		list = append(list, have.setting(conf4("all", "accept_redirects"), 0, why))
	}
	var links []string
	for _, r := range have.Routes {
		if r.IPv6 == ipv6 && r.Link != "" && !slices.Contains(links, r.Link) {
			links = append(links, r.Link)
		}
	}
	slices.Sort(links)
	for _, link := range links {
		if _, ok := have.Sysctls[conf(link, "accept_redirects")]; ok {
			list = append(list, have.setting(conf(link, "accept_redirects"), 0, why))
		}
	}
	return list
}

// value is what a key has. An interface that is yet to be made starts with the
// values of conf.default.
func (s State) value(key Key) string {
	if v, ok := s.Sysctls[key]; ok {
		return v
	}
	if link := key.link(); link != "" {
		if v, ok := s.Sysctls[Key("net/"+key.family()+"/conf/default/"+key.name())]; ok {
			return v
		}
	}
	return "0"
}

func (s State) number(key Key) int {
	n, _ := strconv.Atoi(s.value(key))
	return n
}

func (s State) setting(key Key, target int, why string) Setting {
	return Setting{Key: key, Old: s.value(key), New: strconv.Itoa(target), Why: why}
}

func sortSettings(list []Setting) {
	slices.SortFunc(list, func(a, b Setting) int { return cmp.Compare(a.Key, b.Key) })
}
