package realserver

import "fmt"

// Op is what a step does.
type Op string

// The operations, in the order in which a setup carries them out.
const (
	OpModule Op = "module" // load Module
	OpSysctl Op = "sysctl" // Key: Old -> New
	OpLink   Op = "link"   // Link: Old -> New, "up" or "down"
	OpAdd    Op = "add"    // Addr
	OpRemove Op = "remove" // Addr
	OpWrite  Op = "write"  // File
	OpDelete Op = "delete" // File
)

// Step is one change to the node. Comparable, and printable as the shell
// command that does the same.
type Step struct {
	Op       Op
	Module   string
	Key      Key
	Link     string
	Old, New string
	Addr     Addr
	File     File
	Why      string // what is wrong without it
}

// Command is the equivalent shell command.
func (s Step) Command() string {
	switch s.Op {
	case OpModule:
		return "modprobe " + s.Module
	case OpSysctl:
		return fmt.Sprintf("sysctl -w %s=%s", s.Key, s.New)
	case OpLink:
		return fmt.Sprintf("ip link set %s %s", s.Link, s.New)
	case OpAdd:
		return "ip addr add " + s.Addr.arguments()
	case OpRemove:
		return fmt.Sprintf("ip addr del %s dev %s", s.Addr.Prefix, s.Addr.Link)
	case OpWrite:
		if s.File.Target != "" {
			return fmt.Sprintf("ln -s %s %s", s.File.Target, s.File.Path)
		}
		return fmt.Sprintf("cat > %s <<'EOF'\n%sEOF", s.File.Path, s.File.Content)
	case OpDelete:
		return "rm " + s.File.Path
	}
	panic("realserver: step without operation")
}

// arguments is what follows `ip addr add`, and `replace` in files.
//
// IPv4 leaves out the scope, as everybody's lo:0 scripts do: it is then global,
// and a node that was set up by hand is recognised as done. IPv6 needs no
// duplicate detection (lo does none) and gets no preferred lifetime, so that
// connections which this node opens never use the VIP as their source.
func (a Addr) arguments() string {
	if !a.Prefix.Addr().Is4() {
		return fmt.Sprintf("%s dev %s nodad preferred_lft 0", a.Prefix, a.Link)
	}
	if a.Label != "" {
		return fmt.Sprintf("%s dev %s label %s", a.Prefix, a.Link, a.Label)
	}
	return fmt.Sprintf("%s dev %s", a.Prefix, a.Link)
}

// String is the step as done, one line.
func (s Step) String() string {
	switch s.Op {
	case OpModule:
		return "loaded module " + s.Module
	case OpSysctl:
		return fmt.Sprintf("%s: %s -> %s", s.Key, s.Old, s.New)
	case OpLink:
		return fmt.Sprintf("%s: %s -> %s", s.Link, s.Old, s.New)
	case OpAdd:
		if s.Addr.Label != "" {
			return fmt.Sprintf("added %s to %s (label %s)", s.Addr.Prefix, s.Addr.Link, s.Addr.Label)
		}
		return fmt.Sprintf("added %s to %s", s.Addr.Prefix, s.Addr.Link)
	case OpRemove:
		return fmt.Sprintf("removed %s from %s", s.Addr.Prefix, s.Addr.Link)
	case OpWrite:
		return "wrote " + s.File.Path
	case OpDelete:
		return "removed " + s.File.Path
	}
	panic("realserver: step without operation")
}

// doing names the step in an error.
func (s Step) doing() string {
	switch s.Op {
	case OpModule:
		return "load module " + s.Module
	case OpSysctl:
		return fmt.Sprintf("set %s to %s", s.Key, s.New)
	case OpLink:
		return fmt.Sprintf("set %s %s", s.Link, s.New)
	case OpAdd:
		return fmt.Sprintf("add %s to %s", s.Addr.Prefix, s.Addr.Link)
	case OpRemove:
		return fmt.Sprintf("remove %s from %s", s.Addr.Prefix, s.Addr.Link)
	case OpWrite:
		return "write " + s.File.Path
	case OpDelete:
		return "remove " + s.File.Path
	}
	panic("realserver: step without operation")
}
