package syncd

import (
	"fmt"
	"net/netip"
	"slices"
)

// Have is what the kernel holds that matters to a Want.
type Have struct {
	Running    []Running // one of each role at most
	Link       Link      // the wanted interface; zero: there is none
	BackupOnly bool      // net.ipv4.vs.backup_only
	Remade     bool      // Link isn't the one that the daemons were started on
}

// Running is a daemon with what its socket tells.
type Running struct {
	Daemon
	Index   int        // of the interface that a backup is bound to; 0: unknown
	Source  netip.Addr // that a master sends from; invalid: unknown
	Dropped uint32     // datagrams that a backup's buffer had no room for
}

// Link is a network interface.
type Link struct {
	Name  string
	Index int
	Up    bool
	Addrs []netip.Addr // of the group's family
	// Usable tells whether one of Addrs can be a master's source: for IPv4 a
	// primary one of global scope. Where there is none the kernel takes one
	// of another interface, or none at all, and doesn't say so.
	Usable bool
}

// Op is what a step does.
type Op uint8

// The operations, in no particular order: Plan argues the order.
const (
	Start Op = iota + 1
	Stop
	ClearBackupOnly
)

// Step is one change, as data. Its printed form is ipvsadm's command line
// without the program's name, but for ClearBackupOnly, which is sysctl's with it.
type Step struct {
	Op     Op
	Daemon Daemon // Stop: as it runs
	Reason string
}

func (s Step) String() string {
	switch s.Op {
	case Start:
		return "--start-daemon " + s.Daemon.String()
	case Stop:
		return "--stop-daemon " + s.Daemon.Role.String()
	case ClearBackupOnly:
		return "sysctl -w net.ipv4.vs.backup_only=0"
	}
	return fmt.Sprintf("operation-%d", s.Op)
}

// Plan returns the steps that lead to both daemons running as wanted.
//
// backup_only is cleared first, because with it a backup daemon makes this
// director refuse its own traffic the moment it starts. The backup comes before
// the master: who sends shall be able to hear the answer. A daemon can't be
// changed, and there is one of each role, so it is stopped before it is
// started; what the others send meanwhile is lost and what a master had not
// sent is, too, wherefore only a daemon that is of no use is replaced.
//
// Where a start would fail or, worse, succeed to no effect, there is no step:
// Problems says why.
func Plan(have Have, want Want) []Step {
	if want == (Want{}) || want.Validate() != nil {
		return nil
	}
	var steps []Step
	refused := have.BackupOnly && !want.ManageSysctl
	if have.BackupOnly && !refused {
		steps = append(steps, Step{Op: ClearBackupOnly, Reason: "with a backup daemon this director would refuse its own traffic"})
	}
	for _, role := range []Role{Backup, Master} {
		d := want.Daemon(role)
		r, running := have.daemon(role)
		if role == Backup && refused {
			if running {
				steps = append(steps, Step{Stop, r.Daemon, "backup_only is 1: it makes this director refuse its own traffic"})
			}
			continue
		}
		if have.Link.Index == 0 || !have.Link.Usable {
			continue
		}
		reason := "not running"
		if running {
			if reason = have.fault(r, d); reason == "" {
				continue
			}
			steps = append(steps, Step{Stop, r.Daemon, reason})
		}
		steps = append(steps, Step{Start, d, reason})
	}
	return steps
}

// Teardown returns the steps that stop the daemons that run as ours does, and
// only those. The master goes last: it may have something to send yet.
func Teardown(have Have, ours Want) []Step {
	if ours == (Want{}) {
		return nil
	}
	var steps []Step
	for _, role := range []Role{Backup, Master} {
		if r, ok := have.daemon(role); ok && differs(r.Daemon, ours.Daemon(role)) == "" {
			steps = append(steps, Step{Stop, r.Daemon, "no longer wanted"})
		}
	}
	return steps
}

// Problems tells what keeps connections from being synchronised though the
// plan is empty.
func Problems(have Have, want Want) []string {
	if want == (Want{}) {
		return nil
	}
	if err := want.Validate(); err != nil {
		return []string{err.Error()}
	}
	var ps []string
	add := func(format string, a ...any) { ps = append(ps, fmt.Sprintf(format, a...)) }
	family := "IPv4"
	if want.Daemon(Master).Group.Is6() {
		family = "IPv6"
	}
	switch l := have.Link; {
	case l.Index == 0:
		add("there is no interface %s", want.Interface)
	case !l.Usable:
		add("interface %s has no %s address: the kernel can't send connections from it, and wouldn't say so", l.Name, family)
	case !l.Up:
		add("interface %s is down", l.Name)
	}
	if have.BackupOnly && !want.ManageSysctl {
		add("net.ipv4.vs.backup_only is 1: with a backup daemon this director would refuse its own traffic, so none is run and no connection is taken in; set it to 0")
	}
	return ps
}

func (h Have) daemon(role Role) (Running, bool) {
	i := slices.IndexFunc(h.Running, func(r Running) bool { return r.Role == role })
	if i < 0 {
		return Running{}, false
	}
	return h.Running[i], true
}

// fault tells why a running daemon is of no use; "" where it is.
func (h Have) fault(r Running, want Daemon) string {
	if why := differs(r.Daemon, want); why != "" {
		return why
	}
	// A socket sticks to the number that the interface had and, for a
	// master, to the address that was its first.
	if h.remade() {
		return fmt.Sprintf("interface %s was made anew", h.Link.Name)
	}
	if r.Source.IsValid() && !slices.Contains(h.Link.Addrs, r.Source) {
		return fmt.Sprintf("sends from %s, which interface %s doesn't have", r.Source, h.Link.Name)
	}
	return ""
}

// remade tells whether the interface was made anew under the daemons. Of a
// master's socket the kernel doesn't show it, so the backup's speaks for both.
func (h Have) remade() bool {
	return h.Remade || slices.ContainsFunc(h.Running, func(r Running) bool {
		return r.Interface == h.Link.Name && r.Index != 0 && r.Index != h.Link.Index
	})
}

// differs tells in what a daemon isn't as wanted. A backup's buffer may be
// longer than it has to be.
func differs(have, want Daemon) string {
	have, want = have.Normal(), want.Normal()
	switch {
	case have.Interface != want.Interface:
		return fmt.Sprintf("on interface %s, not %s", have.Interface, want.Interface)
	case have.SyncID != want.SyncID:
		return fmt.Sprintf("has sync id %d, not %d", have.SyncID, want.SyncID)
	case have.Group != want.Group:
		return fmt.Sprintf("in group %s, not %s", have.Group, want.Group)
	case have.Port != want.Port:
		return fmt.Sprintf("on port %d, not %d", have.Port, want.Port)
	case have.TTL != want.TTL:
		return fmt.Sprintf("has TTL %d, not %d", have.TTL, want.TTL)
	case have.maxLen() < want.maxLen(), have.Role == Master && have.maxLen() != want.maxLen():
		return fmt.Sprintf("has messages of %d bytes, not %d", have.maxLen(), want.maxLen())
	}
	return ""
}
