package realserver

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// The ways to come back after a reboot, by what the node's network is run by.
const (
	Networkd = "systemd-networkd"
	Ifupdown = "ifupdown"
	Unit     = "a systemd unit"
)

// header marks a file as ours: only such a file is replaced or removed.
const header = "# written by ipvsd realserver; removed by `ipvsd realserver teardown`\n"

const (
	sysctlFile   = "/etc/sysctl.d/90-ipvsd-realserver.conf"
	modulesFile  = "/etc/modules-load.d/ipvsd-realserver.conf"
	ifupdownFile = "/etc/network/interfaces.d/ipvsd"
	unitFile     = "/etc/systemd/system/" + unitName
	unitEnabled  = "/etc/systemd/system/multi-user.target.wants/" + unitName
	unitName     = "ipvsd-realserver.service"
)

// File is a file that persistence needs; with Target it is a symbolic link.
type File struct {
	Path, Content, Target string
}

// persistence is everything the files are made of.
type persistence struct {
	scheme     string
	addrs      []Addr // all wanted ones, resolved
	settings   []Setting
	links      map[string]string // networkd: the file for each link
	packaged   string            // unit: the one that the Debian package brought; "": we write it,
	executable string            // with what to run
	record     string            // and with which record
}

// Detect tells what runs the network of the node with the given root folder,
// and why it thinks so.
func Detect(root string) (scheme, why string, err error) {
	enabled := func(unit string) bool {
		found, _ := filepath.Glob(filepath.Join(root, "/etc/systemd/system/*.wants", unit))
		return len(found) > 0
	}
	networks := networkFiles(root, "/etc/systemd/network", "/run/systemd/network")
	switch {
	case len(networks) > 0 && (enabled("systemd-networkd.service") || exists(root, "/run/systemd/netif/state")):
		return Networkd, "systemd-networkd is enabled and has " + networks[0], nil
	case enabled("NetworkManager.service"):
		return Unit, "NetworkManager is enabled, which leaves lo alone", nil
	case readsInterfacesD(root) && (exists(root, "/sbin/ifup") || exists(root, "/usr/sbin/ifup")) &&
		(enabled("networking.service") || !hasSystemd(root)):
		return Ifupdown, "/etc/network/interfaces reads interfaces.d, and ifup runs at boot", nil
	case hasSystemd(root):
		return Unit, "neither systemd-networkd nor ifupdown runs this node's network", nil
	}
	return "", "", errors.New("persist: this node has neither systemd nor ifupdown; " +
		"run `ipvsd realserver setup` from whatever starts its network")
}

func hasSystemd(root string) bool {
	return exists(root, "/lib/systemd/systemd") || exists(root, "/usr/lib/systemd/systemd")
}

func exists(root, name string) bool {
	_, err := os.Lstat(filepath.Join(root, name))
	return err == nil
}

// readsInterfacesD tells whether ifup reads the file we would write.
func readsInterfacesD(root string) bool {
	data, err := os.ReadFile(filepath.Join(root, "/etc/network/interfaces"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		pattern := words[1]
		if !path.IsAbs(pattern) {
			pattern = path.Join("/etc/network", pattern)
		}
		switch words[0] {
		case "source":
			if ok, _ := path.Match(pattern, ifupdownFile); ok || pattern == path.Dir(ifupdownFile) {
				return true
			}
		case "source-directory":
			if path.Clean(pattern) == path.Dir(ifupdownFile) {
				return true
			}
		}
	}
	return false
}

// files are what the node must have on disk to come back after a reboot.
func (p persistence) files() []File {
	var list []File
	if len(p.settings) > 0 {
		list = append(list, File{Path: sysctlFile, Content: p.sysctls()})
	}
	if len(p.addrs) == 0 {
		return list
	}
	switch p.scheme {
	case Networkd:
		if modules := p.modules(); len(modules) > 0 {
			list = append(list, File{Path: modulesFile, Content: header + strings.Join(modules, "\n") + "\n"})
		}
		for _, link := range p.linkNames() {
			list = append(list, File{Path: p.links[link], Content: p.network(link)})
		}
	case Ifupdown:
		list = append(list, File{Path: ifupdownFile, Content: p.interfaces()})
	case Unit:
		if p.packaged != "" {
			return append(list, File{Path: unitEnabled, Target: p.packaged})
		}
		list = append(list,
			File{Path: unitFile, Content: p.unit()},
			File{Path: unitEnabled, Target: unitFile})
	}
	return list
}

func (p persistence) linkNames() []string {
	var links []string
	for _, a := range p.addrs {
		if !slices.Contains(links, a.Link) {
			links = append(links, a.Link)
		}
	}
	slices.Sort(links)
	return links
}

func (p persistence) modules() []string {
	var modules []string
	for _, link := range p.linkNames() {
		if m := tunnels[link]; m != "" {
			modules = append(modules, m)
		}
	}
	return modules
}

// sysctls is read at boot by systemd-sysctl, which runs before anything that
// brings up a network, and by udev for interfaces that appear later. A leading
// dash makes a missing interface no error. systemd reads keys as sysctl(8) does.
func (p persistence) sysctls() string {
	var b strings.Builder
	b.WriteString(header)
	for _, s := range p.settings {
		if s.Key.link() != "" {
			b.WriteByte('-')
		}
		fmt.Fprintf(&b, "%s = %s\n", s.Key, s.New)
	}
	return b.String()
}

// persistedSettings merges what the settings need now with what was changed before: a
// value that is right because we set it must still be set at the next boot.
func persistedSettings(now []Setting, rec Record) []Setting {
	list := slices.Clone(now)
	for _, saved := range rec.Sysctls {
		if !slices.ContainsFunc(list, func(s Setting) bool { return s.Key == saved.Key }) {
			list = append(list, Setting{Key: saved.Key, New: saved.Set})
		}
	}
	// An interface's own value that nobody changed needs no line.
	list = slices.DeleteFunc(list, func(s Setting) bool {
		return s.Key.link() != "" && s.Old == s.New &&
			!slices.ContainsFunc(rec.Sysctls, func(v Saved) bool { return v.Key == s.Key })
	})
	sortSettings(list)
	return list
}

// pending lists the steps that bring the files on disk to the wanted ones, and
// refuses to touch a file of that name which is not ours.
func pending(root string, want []File, rec Record) ([]Step, error) {
	var steps []Step
	var errs []error
	for _, f := range want {
		have, err := readFile(root, f.Path)
		switch {
		case err != nil:
			errs = append(errs, err)
		case have == nil:
			steps = append(steps, Step{Op: OpWrite, File: f, Why: "after a reboot it is all gone"})
		case *have == f:
		case !have.ours():
			errs = append(errs, fmt.Errorf("%s is there already and was not written by ipvsd realserver; "+
				"move it away and try again", f.Path))
		default:
			steps = append(steps, Step{Op: OpWrite, File: f, Why: "it does not say what this node needs now"})
		}
	}
	for _, name := range rec.Files {
		if slices.ContainsFunc(want, func(f File) bool { return f.Path == name }) {
			continue
		}
		if have, err := readFile(root, name); err == nil && have != nil && have.ours() {
			steps = append(steps, Step{Op: OpDelete, File: File{Path: name}, Why: "it is no longer needed"})
		}
	}
	return steps, errors.Join(errs...)
}

func (f File) ours() bool {
	return strings.HasPrefix(f.Content, header) || path.Base(f.Target) == unitName
}

// readFile returns nil for a file that does not exist.
func readFile(root, name string) (*File, error) {
	full := filepath.Join(root, name)
	info, err := os.Lstat(full)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if info.Mode()&os.ModeSymlink != 0 {
		target, err := os.Readlink(full)
		return &File{Path: name, Target: target}, err
	}
	data, err := os.ReadFile(full)
	return &File{Path: name, Content: string(data)}, err
}

// overridden finds the file that takes a persisted value back at boot: sysctl.d
// is read in the order of file names, whatever their folder.
func overridden(root string, settings []Setting) []Finding {
	var names []string
	for _, dir := range []string{"/etc/sysctl.d", "/run/sysctl.d", "/usr/lib/sysctl.d"} {
		found, _ := filepath.Glob(filepath.Join(root, dir, "*.conf"))
		for _, name := range found {
			base := filepath.Base(name)
			masked := slices.ContainsFunc(names, func(n string) bool { return filepath.Base(n) == base })
			if base > path.Base(sysctlFile) && !masked {
				names = append(names, name)
			}
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(filepath.Base(a), filepath.Base(b)) })
	var found []Finding
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			key, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "-"), "=")
			key, value = strings.TrimSpace(key), strings.TrimSpace(value)
			for _, s := range settings {
				if ok && (key == s.Key.String() || key == string(s.Key)) && value != s.New {
					shown := "/" + strings.TrimPrefix(strings.TrimPrefix(name, root), "/")
					found = append(found, Finding{
						What: fmt.Sprintf("%s sets %s to %s", shown, s.Key, value),
						Why:  "it is read after " + sysctlFile + ", so the next boot comes up with the wrong value",
						Cure: fmt.Sprintf("remove %s from %s", s.Key, shown),
					})
				}
			}
		}
	}
	return found
}
