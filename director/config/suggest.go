package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// section is one table that a file can have.
type section struct {
	path  string // dotted; "" is the top of the file
	list  bool   // written in double brackets
	keys  []string
	types []reflect.Type // of the keys
}

// sections lists all tables with their keys, from the raw structs.
func sections() []section {
	return walk("", false, reflect.TypeFor[rawFile]())
}

func walk(path string, list bool, t reflect.Type) []section {
	self := section{path: path, list: list}
	var below []section
	for f := range t.Fields() {
		key := f.Tag.Get("toml")
		if key == "" {
			continue
		}
		ft, many := f.Type, f.Type.Kind() == reflect.Slice
		if many || ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		self.keys, self.types = append(self.keys, key), append(self.types, ft)
		if embedsAt(ft) {
			below = append(below, walk(join(path, key), many, ft)...)
		}
	}
	return append([]section{self}, below...)
}

// embedsAt tells whether a type is a raw table.
func embedsAt(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() > 0 && t.Field(0).Type == reflect.TypeFor[at]()
}

// header prints a table's header as it is written in the file.
func header(path string) string {
	for _, s := range sections() {
		switch {
		case s.path != path:
		case path == "":
			return "the top of the file"
		case s.list:
			return "[[" + path + "]]"
		}
	}
	return "[" + path + "]"
}

// misplaced are keys that people look for in a table where something else says
// it; the path is a part of the key.
var misplaced = map[string]string{
	"virtual.port":           `the port belongs to the address: address = "192.0.2.10:80"`,
	"virtual.fallback.port":  `the port belongs to the address: address = "127.0.0.1:80"`,
	"virtual.check.protocol": `the check's type says it: type = "http"`,
	"virtual.check.password": `passwords have files of their own: password_file = "/etc/ipvsd/monitor.password"`,
	"virtual.check.passwd":   `passwords have files of their own: password_file = "/etc/ipvsd/monitor.password"`,
	"virtual.check.secret":   `secrets have files of their own: secret_file = "/etc/ipvsd/radius.secret"`,

	// keepalived's and heartbeat's words
	"cluster.state":             `the directors elect the active one; the highest priority wins`,
	"cluster.nopreempt":         `that is the default; the opposite is preempt = true`,
	"cluster.auto_failback":     `that is heartbeat's word for preempt`,
	"cluster.advert_int":        `the profile says how soon a silent director is dead: profile = "fast"`,
	"cluster.deadtime":          `the profile says how soon a silent director is dead: profile = "fast"`,
	"cluster.keepalive":         `the profile says how soon a silent director is dead: profile = "fast"`,
	"cluster.unicast_peer":      `that is keepalived's word for join`,
	"cluster.node":              `the other directors are in join, by their addresses`,
	"cluster.peers":             `the other directors are in join, by their addresses`,
	"cluster.auth_pass":         `the directors share a key: key_file = "/etc/ipvsd/cluster.key"`,
	"cluster.key":               `the key is in a file of its own: key_file = "/etc/ipvsd/cluster.key"`,
	"cluster.virtual_ipaddress": `every address of a [[virtual]] is one, and every [[vip]]`,
	"cluster.vip":               `every address of a [[virtual]] is one; others have the header [[vip]]`,
	"cluster.ping":              `who is asked after a cut is in witnesses`,
	"cluster.notify_master":     `that is keepalived's word for active in [cluster.hooks]`,
	"cluster.notify_backup":     `that is keepalived's word for standby in [cluster.hooks]`,
	"cluster.notify_fault":      `that is keepalived's word for fault in [cluster.hooks]`,
	"cluster.track_interface":   `write a [[cluster.track]] with interface = "eth1"`,
	"cluster.track_script":      `write a [[cluster.track]] with command = "/usr/local/bin/check"`,
	"cluster.track.script":      `that is keepalived's word for command`,
	"cluster.track.type":        `the key itself says it: interface, gateway, command or fewer_reals`,
	"email.server":              `that is smtp: "mail.example.org:25"`,
	"email.port":                `the port belongs to the server: smtp = "mail.example.org:25"`,
	"email.password":            `passwords have files of their own: password_file = "/etc/ipvsd/mail.password"`,
	"virtual.hooks.reload":      `a reload is of the whole file: write it in [hooks]`,
	"hooks.active":              `what is run at a change of role is in [cluster.hooks]`,
	"hooks.standby":             `what is run at a change of role is in [cluster.hooks]`,
	"hooks.fault":               `what is run at a change of role is in [cluster.hooks]`,
	"group.virtual":             `the group's addresses are in vips`,
	"group.preempt":             `it is the same for all groups: preempt in [cluster]`,
	"group.preempt_delay":       `it is the same for all groups: preempt_delay in [cluster]`,
}

// ldirectord has our key, or what to do, for each of its words.
var ldirectord = map[string]string{
	"checktype":        "type in [virtual.check]",
	"service":          "type in [virtual.check]",
	"checkinterval":    "interval in [check] or [virtual.check]",
	"checktimeout":     "timeout in [check] or [virtual.check]",
	"negotiatetimeout": "timeout in [check] or [virtual.check]",
	"failurecount":     "fall in [check] or [virtual.check]",
	"checkcount":       "fall in [check] or [virtual.check]",
	"checkport":        "port in [virtual.check]",
	"checkcommand":     "command in [virtual.check]",
	"httpmethod":       "method in [virtual.check]",
	"persistent":       "persistence in [[virtual]]",
	"netmask":          "persistence_netmask in [[virtual]]",
	"ops":              "one_packet in [[virtual]]",
	"schedflags":       "scheduler_flags in [[virtual]]",
	"cleanstop":        "clean_stop in [director]",
	"servicename":      "name in [[virtual]]",
	"callback":         "reload in [hooks]",
	"fallbackcommand":  "virtual_down and virtual_up in [hooks] or [virtual.hooks]",
	"emailalert":       "to in [email], or email in [[virtual]]",
	"emailalertfrom":   "from in [email]",
	"emailalertfreq":   "repeat in [email]",
	"emailalertstatus": "only in [email]",
	"virtual6":         "[[virtual]], for both families",
	"real6":            "[[virtual.real]], for both families",
}

// unknownKey says what a key that doesn't exist was probably meant to be, and
// returns the key of the same table that it is taken for, if any.
func unknownKey(path, key string) (problem, meant string) {
	said := fmt.Sprintf("unknown key %q", key)
	if hint, ok := misplaced[join(path, key)]; ok {
		return said + "; " + hint, ""
	}
	var here section
	var elsewhere, far []string // far: below another section
	for _, s := range sections() {
		switch {
		case s.path == path:
			here = s
		case s.path == "" && slices.Contains(s.keys, key):
			return fmt.Sprintf("%s in %s; it is a section of its own, with the header %s", said, header(path), header(key)), ""
		case slices.Contains(s.keys, key):
			if strings.Contains(s.path, ".") && top(s.path) != top(path) {
				far = append(far, header(s.path))
			} else {
				elsewhere = append(elsewhere, header(s.path))
			}
		}
	}
	if len(elsewhere) == 0 {
		elsewhere = far
	}
	near := Nearest(key, here.keys)
	switch {
	case ldirectord[key] != "":
		return fmt.Sprintf("%s; that is ldirectord's word for %s", said, ldirectord[key]), ""
	case near != "" && (len(elsewhere) == 0 || distance(fold(key), near) == 1):
		return fmt.Sprintf("%s; did you mean %q?", said, near), near
	case len(elsewhere) > 0:
		return fmt.Sprintf("%s in %s; it belongs in %s", said, header(path), strings.Join(elsewhere, " or ")), ""
	}
	return fmt.Sprintf("%s in %s; the keys there are %s", said, header(path), words(here.keys)), ""
}

// top is the section that a table is in.
func top(path string) string {
	section, _, _ := strings.Cut(path, ".")
	return section
}

// words joins words for people: "a, b and c".
func words(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}

// didYouMean ends a message about an unknown word: with the nearest known one,
// else with all.
func didYouMean(word string, known []string) string {
	if n := Nearest(word, known); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	return "write one of " + words(known)
}

// Nearest returns the known word that a misspelled one is most like, "" where
// none is near.
func Nearest(word string, known []string) string {
	if len(word) > 64 {
		return ""
	}
	word = fold(word)
	best, least := "", max(1, len(word)/3)+1
	for _, k := range known {
		if d := distance(word, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// fold makes alike what differs by case or kind of hyphen only.
func fold(s string) string {
	return strings.ReplaceAll(strings.ToLower(s), "-", "_")
}

// distance is the number of letters to add, drop, change or swap with their
// neighbour to get from a to b (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(fold(b))
	before, prev, cur := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(x); i++ {
		cur[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(y)]
}
