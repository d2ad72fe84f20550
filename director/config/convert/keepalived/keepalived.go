// Package keepalived imports keepalived.conf, as keepalived 2.2 reads it by its
// manual keepalived.conf(5): its files, variables, repetitions and conditions
// (source.go, macro.go), its blocks (block.go), and what they say.
//
// What becomes of it: a virtual_server is a [[virtual]], or as many as its
// group has addresses; the checkers of its real servers are its [virtual.check];
// all vrrp_instances together are [cluster], because here directors are elected
// and not addresses, with a [[group]] for those of another priority. VRRP itself
// is gone: who the directors are is in join, and a key takes the password's place.
package keepalived

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/director/config/convert"
	"github.com/ipvsd/ipvsd/director/config/convert/emit"
)

// importer carries one import through.
type importer struct {
	opts  convert.Options
	files []convert.File // in the order of reading, those that were included among them
	doc   emit.Document
	notes []convert.Note

	groups   map[string]*node    // virtual_server_group by name
	keys     map[string]*node    // virtual servers that are written
	names    map[string]bool     // and their names
	virtuals map[netip.Addr]bool // and their addresses
	leftover []string            // comments of what has no table of its own
	alerts   alerts
	mixed    bool // a real server has another family than its virtual server
}

// Convert imports keepalived.conf. Several files are read as one.
func Convert(files []convert.File, opts convert.Options) convert.Result {
	im := &importer{
		opts:     opts,
		files:    files[:len(files):len(files)],
		groups:   make(map[string]*node),
		keys:     make(map[string]*node),
		names:    make(map[string]bool),
		virtuals: make(map[netip.Addr]bool),
	}
	src := &source{im: im, vars: make(map[string][]statement)}
	for _, f := range files {
		src.read(f)
	}
	im.root(im.tree(src.out))
	return convert.Result{Doc: &im.doc, Notes: convert.Sort(im.notes, im.files)}
}

// lost notes something that isn't in the output.
func (im *importer) lost(file string, line int, format string, args ...any) {
	im.notes = append(im.notes, convert.Note{File: file, Line: line, Text: fmt.Sprintf(format, args...), Lost: true})
}

// lose notes that about a statement.
func (im *importer) lose(n *node, format string, args ...any) {
	im.lost(n.file, n.line, "%s: %s", n.key(), fmt.Sprintf(format, args...))
}

// told notes what is otherwise here, and what nobody will miss.
func (im *importer) told(file string, line int, format string, args ...any) {
	im.notes = append(im.notes, convert.Note{File: file, Line: line, Text: fmt.Sprintf(format, args...)})
}

// tell notes that about a statement.
func (im *importer) tell(n *node, format string, args ...any) {
	im.told(n.file, n.line, "%s: %s", n.key(), fmt.Sprintf(format, args...))
}

// root handles the blocks of a file. The virtual servers come first: what is a
// virtual address decides over the cluster's.
func (im *importer) root(root *node) {
	var vrrp cluster
	if len(root.body) > 0 { // what is said first is said of the whole file
		im.doc.Comment(root.body[0].above...)
		root.body[0].above = nil
	}
	for _, n := range root.body {
		switch n.key() {
		case "virtual_server_group":
			im.group(n)
		case "global_defs":
			vrrp.global = append(vrrp.global, n)
		}
	}
	im.mail(vrrp.global)
	for _, n := range root.body {
		switch n.key() {
		case "virtual_server":
			im.service(n)
		case "virtual_server_group":
			im.leftover = append(im.leftover, n.comments()...) // its entries have their own
		case "global_defs":
		case "vrrp_instance":
			vrrp.instances = append(vrrp.instances, n)
		case "vrrp_sync_group":
			vrrp.syncs = append(vrrp.syncs, n)
		case "vrrp_script":
			vrrp.scripts = append(vrrp.scripts, n)
		case "vrrp_track_process":
			vrrp.processes = append(vrrp.processes, n)
		default:
			im.drop(n, topWords)
			im.leftover = append(im.leftover, n.allComments()...)
		}
	}
	im.globals(&vrrp)
	im.cluster(&vrrp)
	for _, n := range root.body {
		im.leftover = append(im.leftover, n.allComments()...)
	}
	im.doc.Comment(append(im.leftover, root.end...)...)
}

// number reads a whole number of a statement.
func (im *importer) number(n *node, i int, def, least, most int64) int64 {
	v, err := strconv.ParseInt(n.arg(i), 10, 64)
	if err != nil || v < least || v > most {
		im.lose(n, "%q is not a number from %d to %d; taken as %d", n.arg(i), least, most, def)
		return def
	}
	return v
}

// longest is far beyond any timer that is meant.
const longest = 365 * 24 * time.Hour

// timer reads seconds, perhaps with a fraction. nil has the default.
func (im *importer) timer(n *node, def time.Duration) time.Duration {
	if n == nil {
		return def
	}
	v, err := strconv.ParseFloat(n.arg(0), 64)
	if err != nil || math.IsNaN(v) || v < 0 || v > longest.Seconds() {
		im.lose(n, "%q are no seconds; taken as %s", n.arg(0), def)
		return def
	}
	return time.Duration(math.Round(v*1e6)) * time.Microsecond
}

// wait is a timer that can't be zero.
func (im *importer) wait(n *node, def time.Duration) time.Duration {
	d := im.timer(n, def)
	if d == 0 {
		im.lose(n, "0 is no time to wait; taken as %s", def)
	}
	return cmp.Or(d, def)
}

// enabled reads a switch, which is on where nothing else is said. nil is off.
func enabled(n *node) bool {
	if n == nil {
		return false
	}
	switch strings.ToLower(n.arg(0)) {
	case "off", "false", "no":
		return false
	}
	return true
}

// command reads the program of a statement and its arguments: the first word
// is cut into words once more. A program without a path is found as keepalived
// finds it, and what only a shell understands is given to one.
func (im *importer) command(n *node) []string {
	words := escaped(n.text)
	if len(words) < 2 {
		im.lose(n, "no program is named")
		return nil
	}
	if len(words) > 2 {
		im.lose(n, "ipvsd runs it as its own user and not as %s", strings.Join(words[2:], " "))
	}
	argv := escaped(words[1])
	switch {
	case len(argv) == 0 || strings.Trim(argv[0], " ") == "":
		im.lose(n, "no program is named")
		return nil
	case strings.Contains(words[1], "/dev/tcp/"): // which bash alone knows
		return []string{"/bin/bash", "-c", words[1]}
	case strings.ContainsAny(words[1], "|&;<>$`*?") || argv[0] == "[" || argv[0] == "exit":
		return []string{"/bin/sh", "-c", words[1]}
	case strings.HasPrefix(argv[0], "/"):
		return argv
	}
	return append([]string{"/usr/bin/env"}, argv...)
}
