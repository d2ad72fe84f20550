package director

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/ipvs/syncd"
	"github.com/ipvsd/ipvsd/director/table"
)

// Sysctl is one kernel setting that the file's features need.
type Sysctl struct {
	Path   string // below /proc/sys, such as net/ipv4/ip_forward
	Value  string
	Reason string
}

// Name is the setting's name as sysctl(8) takes it: where an interface has a
// dot in its name (eth0.7), with slashes.
func (s Sysctl) Name() string {
	if strings.Contains(s.Path, ".") {
		return s.Path
	}
	return strings.ReplaceAll(s.Path, "/", ".")
}

// Host is what decides over sysctls besides the file.
type Host struct {
	KernelMajor, KernelMinor int
	Conntrack                bool     // net.ipv4.vs.conntrack
	RouterAdverts            []string // interfaces that configure themselves by IPv6 router advertisements
	Answers                  []AnswerLink
}

// Sysctls lists what the features of the file need, in the order in which to
// set it; that of the sync daemons before those start. Sources: Documentation/networking/ipvs-sysctl.rst and ip-sysctl.rst
// of the kernel; for conn_reuse_mode also the commits f719e3754ee2 and
// 35dfb013149f, after which mode 1 no longer stalls with conntrack.
func Sysctls(cfg *config.Config, host Host) []Sysctl {
	var nat4, nat6, persistent bool
	for _, v := range cfg.Virtuals {
		persistent = persistent || v.Service.Timeout > 0
		for _, r := range v.Reals {
			if r.Forward == table.NAT {
				nat4 = nat4 || r.Addr.Addr().Is4()
				nat6 = nat6 || r.Addr.Addr().Is6()
			}
		}
	}
	var out []Sysctl
	add := func(path, value, reason string) { out = append(out, Sysctl{path, value, reason}) }
	if nat4 {
		add("net/ipv4/ip_forward", "1", "nat: answers of real servers pass through the director")
	}
	if nat6 {
		for _, name := range host.RouterAdverts {
			add("net/ipv6/conf/"+name+"/accept_ra", "2", "forwarding would make the kernel ignore router advertisements and lose its default route")
		}
		add("net/ipv6/conf/all/forwarding", "1", "nat: answers of real servers pass through the director")
	}
	add("net/ipv4/vs/expire_nodest_conn", "1", "clients of a removed real server reconnect at once and don't hang")
	if persistent {
		add("net/ipv4/vs/expire_quiescent_template", "1", "persistent clients leave a real server of weight 0")
	}
	fixed := cmp.Or(cmp.Compare(host.KernelMajor, 5), cmp.Compare(host.KernelMinor, 9)) >= 0
	if !fixed && host.Conntrack {
		add("net/ipv4/vs/conn_reuse_mode", "0", "kernels before 5.9 delay reused client ports by a second with conntrack")
	} else {
		add("net/ipv4/vs/conn_reuse_mode", "1", "a reused client port is balanced anew and not pinned to a quiescent real server")
	}
	for _, a := range host.Answers {
		out = append(out, a.sysctls()...)
	}
	if c := cfg.Cluster; c != nil && c.Sync.Enabled {
		services := make([]table.Service, 0, len(cfg.Virtuals))
		for _, v := range cfg.Virtuals {
			services = append(services, v.Service)
		}
		for _, s := range syncd.Sysctls(services) {
			out = append(out, Sysctl(s))
		}
	}
	return out
}

// applySysctls sets what Sysctls lists, or only tells where manage is false.
// It isn't settled where a route has to come first: see settle.
func applySysctls(root string, cfg *config.Config, log *slog.Logger) (settled bool) {
	host := ReadHost(root)
	host.Answers, settled = ReadAnswerLinks(root, cfg)
	setSysctls(root, Sysctls(cfg, host), cfg.Sysctl.Manage, log)
	return settled
}

// setSysctls sets, or only tells. A setting that can't be made is told and never
// stops the start: traffic flows without it.
func setSysctls(root string, list []Sysctl, manage bool, log *slog.Logger) {
	for _, s := range list {
		path := filepath.Join(root, s.Path)
		old, err := readSysctl(path)
		attrs := []any{"key", s.Name(), "old", old, "new", s.Value, "reason", s.Reason}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			log.Warn("sysctl unknown to this kernel", attrs...)
		case err != nil:
			log.Warn("sysctl unreadable", append(attrs, "err", err)...)
		case old == s.Value:
		case !manage:
			log.Warn("sysctl left alone, [sysctl] manage is false", attrs...)
		default:
			if err := os.WriteFile(path, []byte(s.Value), 0); err != nil {
				log.Warn("sysctl not set", append(attrs, "err", err)...)
				continue
			}
			log.Info("sysctl set", attrs...)
		}
	}
}

func readSysctl(path string) (string, error) {
	b, err := os.ReadFile(path)
	// The kernel separates several numbers by tabs.
	return strings.Join(strings.Fields(string(b)), " "), err
}

// ReadHost reads what decides over sysctls; root is /proc/sys. What can't be
// read has its zero value.
func ReadHost(root string) Host {
	var h Host
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		h.KernelMajor, h.KernelMinor = parseRelease(unix.ByteSliceToString(uts.Release[:]))
	}
	v, _ := readSysctl(filepath.Join(root, "net/ipv4/vs/conntrack"))
	h.Conntrack = v == "1"
	paths, _ := filepath.Glob(filepath.Join(root, "net/ipv6/conf/*/accept_ra"))
	for _, p := range paths {
		name := filepath.Base(filepath.Dir(p))
		fwd, _ := readSysctl(filepath.Join(filepath.Dir(p), "forwarding"))
		ra, _ := readSysctl(p)
		if name != "all" && name != "default" && name != "lo" && ra == "1" && fwd == "0" {
			h.RouterAdverts = append(h.RouterAdverts, name)
		}
	}
	slices.Sort(h.RouterAdverts)
	return h
}

// parseRelease reads the first two numbers of a kernel release such as
// "6.1.0-18-amd64". What it can't read is 0, the oldest.
func parseRelease(release string) (major, minor int) {
	a, rest, _ := strings.Cut(release, ".")
	b, _, _ := strings.Cut(rest, ".")
	b = strings.TrimRightFunc(b, func(r rune) bool { return r < '0' || r > '9' })
	major, _ = strconv.Atoi(a)
	minor, _ = strconv.Atoi(b)
	return major, minor
}

func (s Sysctl) String() string {
	value := s.Value
	if strings.Contains(value, " ") {
		value = strconv.Quote(value)
	}
	return fmt.Sprintf("sysctl -w %s=%s", s.Name(), value)
}
