// Package doctor looks for what keeps a director or a web node from working:
// kernel modules, sysctls, interfaces, other programs, real servers that answer
// ARP for a virtual address.
//
//	host, file, daemon ─Gather─▶ Facts ─Diagnose─▶ []Finding ─Action─▶ host
//
// A [Check] is one row of the table that [Checks] returns, a pure function of
// the facts. What a file needs of sysctls is decided by director.Sysctls, which
// the daemon itself sets, and what a web node needs by the package realserver:
// the doctor has no second opinion on either.
//
// Nothing is changed but by [Action.Do], and that is a sysctl, a module, the
// mode of the key file, or a repair of a web node's own setup: all of them at
// run time only. No other program is stopped and nothing is written below /etc.
//
// [Rounds.Run] is the daemon's goroutine; it owns the last findings and
// publishes their number.
//
// Documents: Documentation/networking/ipvs-sysctl.rst and ip-sysctl.rst, RFC
// 5227 section 2.1.1 (ARP probe), adjtimex(2).
package doctor

import (
	"cmp"
	"slices"
	"strings"
)

// Severity says how bad a finding is.
type Severity string

// The severities. A note is worth knowing and does not count as a finding in
// the exit status: from this machine it can't be told whether anything is wrong.
const (
	Error   Severity = "error"   // clients don't reach the service, or will not after the next failover
	Warning Severity = "warning" // something is lost, late or unsafe
	Note    Severity = "note"
)

// Finding is something that is not as it should be.
type Finding struct {
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	Object   string   `json:"object"` // a sysctl, an interface, an address, a program
	Reason   string   `json:"reason"`
	Cure     string   `json:"cure"` // commands, one a line, or what to do in words
	Fixable  bool     `json:"fixable"`

	Actions []Action `json:"-"` // what --fix does; empty where it can't
}

// Check is one row of the table.
type Check struct {
	Name     string // short, as in the label of the gauge
	Severity Severity
	About    string // what is wrong then, and what comes of it
	Fix      bool   // --fix can mend it, where the finding has a command

	find func(*Facts) []Finding
}

// Checks is the table, in the order in which findings are told: what stops
// everything comes first.
func Checks() []Check {
	return []Check{
		{"file", Error, "the file has mistakes: a director doesn't start with it", false, fileMistakes},
		{"kernel", Error, "the kernel is older than 4.18: a director couldn't recognise its own addresses after a crash", false, oldKernel},
		{"module", Error, "the module ip_vs is not loaded: nothing is balanced", true, missingModule},
		{"scheduler", Error, "this kernel lacks a scheduler or a persistence engine of the file: its virtual services can't be made", false, missingScheduler},
		{"forwarding", Error, "nat without forwarding: answers of real servers end at the director", true, sysctls("forwarding")},
		{"backup-only", Error, "backup_only beside a backup sync daemon: the director refuses its own traffic", true, sysctls("backup-only")},
		{"vip-check", Error, "checks with path = \"vip\" lose their answers, which the kernel takes for forged: real servers count as down", true, sysctls("vip-check")},
		{"conn-reuse", Warning, "conn_reuse_mode doesn't fit conntrack and the kernel's version: stalls, or clients pinned to a quiescent real server", true, sysctls("conn-reuse")},
		{"expire", Warning, "connections to removed real servers hang, or persistent clients stay on quiescent ones", true, sysctls("expire")},
		{"sync", Warning, "connections are synchronised late or incompletely: a failover breaks more of them", true, sysctls("sync")},
		{"interface", Error, "the interface of a virtual address is missing or down", false, interfaces},
		{"ipv6-off", Error, "IPv6 is off on the interface of an IPv6 virtual address", false, ipv6Off},
		{arpCheck, Error, "a real server or an unknown machine answers ARP or neighbour solicitations for a virtual address: clients reach it past the director", false, arpAnswers},
		{"director-is-real", Warning, "a director of the cluster is also a real server by dr or tun: as standby it balances what the active one sends to it", false, directorIsReal},
		{"rp-filter", Warning, "strict reverse path filtering where answers leave by another interface: packets of far clients are dropped unseen", true, reversePath},
		{"redirects", Warning, "nat with clients and real servers on one interface: ICMP redirects lead the answers past the director", true, sendRedirects},
		{"tunnel-mtu", Note, "a client's largest packet doesn't fit into the tunnel: uploads hang where ICMP is filtered on the way to the client", false, tunnelMTU},
		{"owner", Error, "another program keeps the kernel's IPVS table: the two undo each other's changes", false, owners},
		{"port", Error, "another program listens on a port of the file: the director doesn't start", false, ports},
		{"key-mode", Warning, "others than its owner may use the cluster's key: who has it can take the addresses over", true, keyMode},
		{"clock", Warning, "the clock of a director of a cluster is not synchronised: deadlines of drains and the order of operators' wishes depend on it", false, clock},
		{skewCheck, Warning, "the clocks of two directors are more than a second apart: a drain ends early or late on one of them", false, clockSkew},
		{"conntrack-full", Warning, "the connection tracking table is more than nine tenths full: the kernel soon drops new connections", false, conntrackFull},
		{"node", Error, "a piece of this web node's setup is missing", true, nodeMissing},
		{"node-note", Note, "something about this web node that is worth knowing", false, nodeNotes},
	}
}

// Diagnose goes through the table. It changes nothing and asks nobody.
func Diagnose(f Facts) []Finding {
	var out []Finding
	f.findPlaces()
	for _, c := range Checks() {
		found := c.find(&f)
		slices.SortStableFunc(found, func(a, b Finding) int { return cmp.Compare(a.Object, b.Object) })
		for _, x := range found {
			x.Check, x.Severity, x.Fixable = c.Name, c.Severity, len(x.Actions) > 0
			if x.Cure == "" {
				var lines []string
				for _, a := range x.Actions {
					lines = append(lines, a.String())
				}
				x.Cure = strings.Join(lines, "\n")
			}
			out = append(out, x)
		}
	}
	return out
}

// Count is how many of them are findings, not notes.
func Count(list []Finding) (n int) {
	for _, f := range list {
		if f.Severity != Note {
			n++
		}
	}
	return n
}
