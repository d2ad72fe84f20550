package doctor

import (
	"bytes"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ipvsd/ipvsd/realserver"
)

// parseModulePaths notes the modules of a modules.dep or modules.builtin: lines
// that begin with the path of a file, such as "kernel/net/a-b.ko.xz: …".
func parseModulePaths(into map[string]bool, data []byte) {
	for line := range bytes.Lines(data) {
		file, _, _ := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
		name, _, ok := strings.Cut(path.Base(string(file)), ".ko")
		if ok && name != "" {
			into[strings.ReplaceAll(name, "-", "_")] = true
		}
	}
}

// parseLoaded notes the modules of /proc/modules.
func parseLoaded(into map[string]bool, data []byte) {
	for line := range bytes.Lines(data) {
		if name, _, ok := bytes.Cut(line, []byte(" ")); ok && len(name) > 0 {
			into[string(name)] = true
		}
	}
}

// parseArgs reads /proc/PID/cmdline: words that end with a NUL. Some programs
// overwrite it with a text of their own.
func parseArgs(data []byte) []string {
	text := strings.TrimRight(string(data), "\x00")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\x00")
}

// nameOf is the program that a process runs: the kernel's name for it, which is
// the script's where that is run by an interpreter, or else its first argument.
// ownerCure has those that are known.
func nameOf(comm string, args []string) string {
	if words := strings.Fields(comm); len(words) > 0 && ownerCure[words[0]] != "" {
		return words[0]
	}
	if len(args) > 0 {
		if words := strings.Fields(args[0]); len(words) > 0 && ownerCure[path.Base(words[0])] != "" {
			return path.Base(words[0])
		}
	}
	return ""
}

// pids are the processes that can be seen.
func (s Sources) pids() (out []int) {
	list, _ := os.ReadDir(s.proc())
	for _, e := range list {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			out = append(out, pid)
		}
	}
	slices.Sort(out)
	return out
}

func (s Sources) of(pid int, name string) string {
	return filepath.Join(s.proc(), strconv.Itoa(pid), name)
}

// processes finds the programs of ownerCure whose network namespace is ours:
// each has an IPVS table of its own.
func (s Sources) processes(f *Facts) {
	if _, err := os.Stat(s.of(1, "comm")); err != nil {
		f.unknown("other programs", errors.New("/proc hides the processes of other users (systemd's ProtectProc does so)"), "owner")
	}
	here, _ := os.Readlink(filepath.Join(s.proc(), "thread-self/ns/net"))
	for _, pid := range s.pids() {
		comm, err := os.ReadFile(s.of(pid, "comm"))
		if err != nil {
			continue // it has ended
		}
		cmdline, _ := os.ReadFile(s.of(pid, "cmdline"))
		args := parseArgs(cmdline)
		name := nameOf(string(comm), args)
		if name == "" {
			continue
		}
		if there, err := os.Readlink(s.of(pid, "ns/net")); err == nil && there != here {
			continue
		}
		f.Processes = append(f.Processes, Process{PID: pid, Name: name, Args: args})
	}
}

// listeners finds the sockets that are in the way of those that the file asks
// for, and who has them.
func (s Sources) listeners(f *Facts) (out []Listener) {
	asked := f.asked()
	inodes := map[string]int{} // index in out, by the link in /proc/PID/fd
	for _, name := range []string{"tcp", "tcp6", "udp", "udp6"} {
		file, err := os.Open(filepath.Join(s.proc(), "thread-self/net", name))
		if err != nil {
			continue // a kernel without IPv6
		}
		found, err := realserver.ParseListeners(file, strings.TrimSuffix(name, "6"))
		_ = file.Close()
		if err != nil {
			f.unknown("sockets", err)
		}
		for _, l := range found {
			if slices.ContainsFunc(asked, func(a realserver.Socket) bool { return clash(a, l.Socket) }) {
				inodes["socket:["+strconv.FormatUint(l.Inode, 10)+"]"] = len(out)
				out = append(out, Listener{Socket: l.Socket})
			}
		}
	}
	pids := s.pids()
	if f.Daemon != nil {
		pids = append([]int{f.Daemon.PID}, pids...) // most often they are all its own
	}
	for _, pid := range pids {
		if len(inodes) == 0 {
			break
		}
		fds, _ := os.ReadDir(s.of(pid, "fd")) // not ours to see, or ended
		for _, fd := range fds {
			link, _ := os.Readlink(filepath.Join(s.of(pid, "fd"), fd.Name()))
			if i, ok := inodes[link]; ok {
				comm, _ := os.ReadFile(s.of(pid, "comm"))
				out[i].PID, out[i].Name = pid, strings.TrimSpace(string(comm))
				delete(inodes, link)
			}
		}
	}
	return out
}
