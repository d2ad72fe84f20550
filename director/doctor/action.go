package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/ipvsd/ipvsd/realserver"
)

// Op is what an action changes.
type Op string

// The operations. Each is undone by the same with the old value, or by a reboot.
const (
	SetSysctl  Op = "sysctl"
	LoadModule Op = "module"
	SetMode    Op = "mode"
	RepairNode Op = "node" // what `ipvsd realserver setup` recorded is put right
)

// Action is one change that --fix makes, as data. Its printed form is the
// command that does the same.
type Action struct {
	Op       Op
	Name     string // path below /proc/sys, module, file
	Old, New string
}

func (a Action) String() string {
	switch a.Op {
	case SetSysctl:
		value := a.New
		if strings.Contains(value, " ") {
			value = `"` + value + `"`
		}
		return fmt.Sprintf("sysctl -w %s=%s", realserver.Key(a.Name), value)
	case LoadModule:
		return "modprobe " + a.Name
	case SetMode:
		return fmt.Sprintf("chmod %s %s", a.New, a.Name)
	case RepairNode:
		return "ipvsd realserver setup"
	}
	panic("doctor: action without operation")
}

// Done says what the action changed.
func (a Action) Done() string {
	switch a.Op {
	case SetSysctl:
		return fmt.Sprintf("%s: %s -> %s", realserver.Key(a.Name), a.Old, a.New)
	case LoadModule:
		return "loaded module " + a.Name
	case SetMode:
		return fmt.Sprintf("mode of %s: %s -> %s", a.Name, a.Old, a.New)
	case RepairNode:
		return a.New
	}
	panic("doctor: action without operation")
}

// Lasting is the line that makes the change outlive a reboot, and the file for
// it; both are empty where it does so by itself.
func (a Action) Lasting() (line, file string) {
	switch a.Op {
	case SetSysctl:
		return fmt.Sprintf("%s = %s", realserver.Key(a.Name), a.New), "/etc/sysctl.d/60-ipvsd.conf"
	case LoadModule:
		return a.Name, "/etc/modules-load.d/ipvsd.conf"
	}
	return "", ""
}

// Do carries the action out and returns it with what it did.
func (s Sources) Do(a Action) (Action, error) {
	var err error
	switch a.Op {
	case SetSysctl:
		err = os.WriteFile(filepath.Join(s.proc(), "sys", a.Name), []byte(a.New+"\n"), 0)
	case LoadModule:
		err = realserver.Linux{}.Do(realserver.Step{Op: realserver.OpModule, Module: a.Name})
	case SetMode:
		err = closeToOthers(a.Name)
	case RepairNode:
		a.New, err = s.repair()
	default:
		panic("doctor: action without operation")
	}
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%s: %w (this needs root)", a, err)
	} else if err != nil {
		err = fmt.Errorf("%s: %w", a, err)
	}
	return a, err
}

// closeToOthers takes no link for the file: the director's user owns it, may put
// a link to anything in its place, and this runs as root.
func closeToOthers(file string) error {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

// repair puts right what an earlier setup of this web node recorded, and
// returns what it changed.
func (s Sources) repair() (string, error) {
	var said bytes.Buffer
	executable, err := os.Executable()
	if err != nil {
		return "", err
	}
	n := realserver.Node{
		Kernel: realserver.Linux{}, RecordFile: s.record(), Executable: executable,
		Sockets: realserver.Sockets, Out: &said,
	}
	err = n.Setup(realserver.Goal{})
	var lines []string
	for line := range strings.Lines(said.String()) {
		if !strings.HasPrefix(line, "note: ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, "; "), err
}
