package convert

import (
	"path/filepath"
	"regexp"
	"strings"
)

// Format is a kind of file that can be imported.
type Format string

// The formats.
const (
	Ldirectord Format = "ldirectord"
	Keepalived Format = "keepalived"
	Heartbeat  Format = "heartbeat" // ha.cf, haresources and authkeys
)

// Own is ipvsd's file, which has nothing to be imported.
const Own Format = "ipvsd"

// Formats are all that can be imported.
var Formats = []Format{Ldirectord, Keepalived, Heartbeat}

// heartbeatFiles have fixed names and little in them that others don't have.
var heartbeatFiles = map[string]bool{"ha.cf": true, "haresources": true, "authkeys": true}

// usualNames are those that packages install. They count where nothing in the
// file does: Debian's own ldirectord.cf has comments only.
var usualNames = map[string]Format{"ldirectord.cf": Ldirectord, "keepalived.conf": Keepalived}

// comment is a line that says nothing: what is commented out in one format looks
// like the lines of another.
var comment = regexp.MustCompile(`^\s*[#!]`)

// ownTable is the table without which ipvsd's file is of no use. No other format
// has brackets like these.
var ownTable = regexp.MustCompile(`(?m)^\s*\[\[virtual\]\]`)

// signs are lines that one format has and the others don't.
var signs = []struct {
	format Format
	line   *regexp.Regexp
}{
	{Ldirectord, regexp.MustCompile(`^\s*(virtual6?|real6?|checktimeout|negotiatetimeout|checkinterval|checktype|quiescent|autoreload|fallback6?|` +
		`failurecount|checkcount|cleanstop|readdquiescent|emailalert\w*|logfile|checkcommand|fallbackcommand|fork|supervised|callback|execute|maintenancedir)\s*=`)},
	{Keepalived, regexp.MustCompile(`^\s*(virtual_server(_group)?|vrrp_instance|vrrp_sync_group|vrrp_script|vrrp_track_process|global_defs|` +
		`static_ipaddress|static_routes|real_server|static_rules|linkbeat_use_polling|bfd_instance|net_namespace)\b`)},
	{Keepalived, regexp.MustCompile(`^\s*include[rwmbac]*\s+\S`)},
	{Heartbeat, regexp.MustCompile(`^\s*(keepalive|deadtime|warntime|initdead|udpport|bcast|mcast|ucast|auto_failback|node|ping|ping_group|` +
		`respawn|apiauth|crm|stonith_host|baud|serial|use_logd|logfacility|debugfile)\s+\S`)},
	{Heartbeat, regexp.MustCompile(`^\s*auth\s+\d+\s*$`)},
	{Heartbeat, regexp.MustCompile(`^\S+\s+.*(IPaddr2?::|ldirectord::|\b\d+\.\d+\.\d+\.\d+\b)`)},
}

// Detect tells a file's format, or "" where nothing in it is one's.
func Detect(f File) Format {
	name := filepath.Base(f.Name)
	if heartbeatFiles[name] {
		return Heartbeat
	}
	if ownTable.Match(f.Data) {
		return Own
	}
	count := make(map[Format]int)
	for line := range strings.Lines(string(f.Data)) {
		if comment.MatchString(line) {
			continue
		}
		for _, s := range signs {
			if s.line.MatchString(line) {
				count[s.format]++
				break
			}
		}
	}
	best := usualNames[name]
	for _, f := range Formats {
		if count[f] > count[best] {
			best = f
		}
	}
	return best
}
