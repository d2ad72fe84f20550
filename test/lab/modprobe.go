package lab

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// modules loads modules of the lab kernel. The kernel itself asks for them through /proc/sys/kernel/modprobe, which the
// lab points to its own binary, because kmod is not on every machine.
type modules struct {
	dir string // holds modules.dep and modules.alias
}

func moduleName(file string) string {
	return strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".ko"), "-", "_")
}

// load loads modules by their name, with what they depend on. Loaded and built-in ones are fine.
func (m modules) load(names ...string) error {
	b, err := os.ReadFile(filepath.Join(m.dir, "modules.dep"))
	if err != nil {
		return err
	}
	files := map[string][]string{} // name → files to load, last first
	for line := range strings.Lines(string(b)) {
		file, deps, ok := strings.Cut(strings.TrimSpace(line), ":")
		if ok {
			files[moduleName(file)] = append([]string{file}, strings.Fields(deps)...)
		}
	}
	loaded := loadedModules()
	for _, name := range names {
		list := files[moduleName(name)]
		if list == nil {
			if m.builtin(name) {
				continue
			}
			return fmt.Errorf("module %s: not in %s", name, m.dir)
		}
		for i := len(list) - 1; i >= 0; i-- {
			if loaded[moduleName(list[i])] {
				continue
			}
			if err := m.insert(list[i]); err != nil {
				return fmt.Errorf("module %s: load %s: %w", name, list[i], err)
			}
			loaded[moduleName(list[i])] = true
		}
	}
	return nil
}

// loadedModules spares the kernel from linking a module only to find that it has it.
func loadedModules() map[string]bool {
	loaded := map[string]bool{}
	b, _ := os.ReadFile("/proc/modules") // none before /proc is there
	for line := range strings.Lines(string(b)) {
		name, _, _ := strings.Cut(line, " ")
		loaded[name] = true
	}
	return loaded
}

func (m modules) insert(file string) error {
	f, err := os.Open(filepath.Join(m.dir, file))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

func (m modules) builtin(name string) bool {
	b, err := os.ReadFile(filepath.Join(m.dir, "modules.builtin"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if moduleName(strings.TrimSpace(line)) == moduleName(name) {
			return true
		}
	}
	return false
}

// resolve turns an alias (net-pf-10-proto-132, ip_vs_mh) into module names.
func (m modules) resolve(alias string) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(m.dir, "modules.alias"))
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] != "alias" {
			continue
		}
		if ok, _ := path.Match(f[1], alias); ok || f[1] == alias {
			names = append(names, f[2])
		}
	}
	if len(names) == 0 {
		names = []string{alias}
	}
	return names, nil
}

// modprobeMain is what the kernel's request_module, ipvsadm and shell users call. Options are accepted and, but for -r,
// without effect.
func modprobeMain(args []string) int {
	var names []string
	quiet, all := false, false
	for _, a := range args {
		switch {
		case a == "-q" || a == "--quiet":
			quiet = true
		case a == "-r" || a == "--remove":
			fmt.Fprintln(os.Stderr, "modprobe: the lab's modprobe does not remove")
			return 1
		case strings.HasPrefix(a, "-"):
			all = all || strings.HasPrefix(a, "-a") || a == "--all"
		default:
			names = append(names, a)
		}
	}
	if len(names) > 1 && !all {
		names = names[:1] // the rest are parameters
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		fmt.Fprintf(os.Stderr, "modprobe: uname: %v\n", err)
		return 1
	}
	m := modules{dir: "/usr/lib/modules/" + unix.ByteSliceToString(u.Release[:])}
	for _, alias := range names {
		list, err := m.resolve(alias)
		if err == nil {
			err = m.load(list...)
		}
		if err != nil {
			if !quiet {
				fmt.Fprintf(os.Stderr, "modprobe: %v\n", err)
			}
			return 1
		}
	}
	return 0
}
