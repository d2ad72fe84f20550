package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/director/table"
)

// schedulers are those of the kernel's tree, net/netfilter/ipvs/ip_vs_*.c.
var schedulers = []string{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq", "fo", "ovf", "twos"}

// schedulerFlags are ipvsadm's names for the bits, and whose they are.
var schedulerFlags = []struct {
	name, scheduler string
	flag            table.Flags
}{
	{"sh-fallback", "sh", table.Sched1},
	{"sh-port", "sh", table.Sched2},
	{"mh-fallback", "mh", table.Sched1},
	{"mh-port", "mh", table.Sched2},
	{"flag-1", "", table.Sched1},
	{"flag-2", "", table.Sched2},
	{"flag-3", "", table.Sched3},
}

// maxPersistence is ipvsadm's limit; the kernel multiplies the seconds by its
// clock's rate into 32 bits.
const maxPersistence = 31 * 24 * time.Hour

// settings fills in all of the service but its key.
func (b *virtualReader) settings() {
	b.service.Scheduler = b.scheduler()
	b.service.Flags = b.flags()
	b.service.Timeout = b.persistence()
	b.service.PrefixLen = b.prefixLen()
	b.service.PE = b.engine()
}

// scheduler returns the scheduler. One that the kernel's tree doesn't have may
// be somebody's own module, unless it looks like a slip.
func (b *virtualReader) scheduler() string {
	name := or(b.raw.Scheduler, "wlc")
	switch near := Nearest(name, schedulers); {
	case slices.Contains(schedulers, name):
	case near != "":
		b.fail("scheduler", "%q is not known; did you mean %q?", name, near)
	case name == "" || len(name) > 15 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "":
		b.fail("scheduler", "%q can't be a scheduler; write one of %s", name, words(schedulers))
	default:
		b.warnf(b.raw.line("scheduler"), "scheduler: %q is not one of the kernel's own (%s); it needs a module ip_vs_%s", name, words(schedulers), name)
	}
	return name
}

func (b *virtualReader) flags() table.Flags {
	var flags table.Flags
	var known []string
	for _, f := range schedulerFlags {
		known = append(known, f.name)
	}
	for _, name := range or(b.raw.SchedulerFlags, nil) {
		i := slices.Index(known, name)
		if i < 0 {
			b.fail("scheduler_flags", "%q is not known; %s", name, didYouMean(name, known))
			continue
		}
		f := schedulerFlags[i]
		if f.scheduler != "" && f.scheduler != b.service.Scheduler && !b.raw.bad["scheduler"] {
			b.fail("scheduler_flags", "%q is for scheduler = %q, and this one is %q; leave it out or change the scheduler", name, f.scheduler, b.service.Scheduler)
		}
		flags |= f.flag
	}
	if or(b.raw.OnePacket, false) {
		if b.keyed && b.service.Protocol != table.UDP && b.service.Protocol != 0 {
			b.fail("one_packet", "only for udp and firewall marks, and this service is %s; leave it out", b.service.Protocol)
		}
		flags |= table.OnePacket
	}
	return flags
}

// persistence returns whole seconds, as the kernel counts them.
func (b *virtualReader) persistence() uint32 {
	d := or(b.raw.Persistence, 0).duration()
	switch {
	case d%time.Second != 0:
		b.fail("persistence", "the kernel counts whole seconds; write %q instead of %q", roundUp(d), d)
	case d > maxPersistence:
		b.fail("persistence", "%q is more than the 31 days that the kernel can count; write \"744h\" or less", d)
	}
	return uint32(d / time.Second)
}

func roundUp(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// persistent tells whether the service is, as far as can be known.
func (b *virtualReader) persistent() bool {
	return b.service.Timeout > 0 || b.raw.bad["persistence"]
}

// prefixLen returns the length of the prefix that keeps clients together.
func (b *virtualReader) prefixLen() uint8 {
	full := int64(32)
	if b.service.Family == table.IPv6 {
		full = 128
	}
	if b.raw.PersistenceNetmask == nil || !b.keyed {
		return uint8(full)
	}
	mask := *b.raw.PersistenceNetmask
	switch {
	case mask.quad && full == 128:
		b.fail("persistence_netmask", "a netmask of four numbers is for IPv4; write the length of a prefix, such as 64")
	case mask.length < 1 || mask.length > full:
		b.fail("persistence_netmask", "%d is not the length of a prefix; write a number from 1 to %d", mask.length, full)
	case mask.length != full && !b.persistent():
		b.fail("persistence_netmask", "without persistence it means nothing; add persistence = \"5m\" or leave it out")
	}
	return uint8(mask.length)
}

// engine returns the persistence engine. The kernel has one, and it reads the
// Call-ID of SIP over UDP (ip_vs_pe_sip.c).
func (b *virtualReader) engine() string {
	name := or(b.raw.PersistenceEngine, "")
	switch {
	case name == "":
	case name != "sip":
		b.fail("persistence_engine", "%q is not known; the kernel has \"sip\" only", name)
	case b.keyed && b.service.Protocol != table.UDP && b.service.Protocol != 0:
		b.fail("persistence_engine", "\"sip\" reads udp only, and this service is %s; write protocol = \"udp\" or leave it out", b.service.Protocol)
	case !b.persistent():
		b.fail("persistence_engine", "without persistence it means nothing; add persistence = \"5m\" or leave it out")
	}
	return name
}

// forward reads a forwarding method, for which ldirectord and others have
// words of their own.
func forward(word string) (table.Forward, string) {
	switch strings.ToLower(word) {
	case "gate", "gatewaying", "direct", "droute", "route":
		return table.DR, fmt.Sprintf("%q is called dr here; write forward = \"dr\"", word)
	case "masq", "masquerading", "masquerade":
		return table.NAT, fmt.Sprintf("%q is called nat here; write forward = \"nat\"", word)
	case "ipip", "tunnel", "tunneling":
		return table.Tun, fmt.Sprintf("%q is called tun here; write forward = \"tun\"", word)
	}
	for _, f := range []table.Forward{table.DR, table.NAT, table.Tun} {
		if word == f.String() {
			return f, ""
		}
	}
	return table.DR, fmt.Sprintf("%q is not known; %s", word, didYouMean(word, []string{"dr", "nat", "tun"}))
}
