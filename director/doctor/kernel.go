package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/realserver"
)

// version is a kernel's version as far as anything depends on it.
type version struct{ major, minor int }

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

func (f *Facts) version() version { return version{f.Host.KernelMajor, f.Host.KernelMinor} }

func (v version) before(w version) bool {
	return cmp.Or(cmp.Compare(v.major, w.major), cmp.Compare(v.minor, w.minor)) < 0
}

// metricKernel is the first that keeps the metric of an address, by which ours
// are known; see cluster/vip.
var metricKernel = version{4, 18}

// schedulerSince is when a scheduler came, of those that some kernel in use lacks.
var schedulerSince = map[string]version{"fo": {3, 18}, "ovf": {4, 3}, "mh": {4, 18}, "twos": {5, 12}}

func fileMistakes(f *Facts) (out []Finding) {
	for _, m := range f.Mistakes {
		object := m.File
		if m.Line > 0 {
			object = fmt.Sprintf("%s:%d", m.File, m.Line)
		}
		out = append(out, Finding{Object: object, Reason: m.Text, Cure: "edit the file; `ipvsd config check -c " + m.File + "` reads it again"})
	}
	return out
}

func oldKernel(f *Facts) []Finding {
	if f.Release == "" || !f.version().before(metricKernel) {
		return nil
	}
	return []Finding{{
		Object: f.Release,
		Reason: fmt.Sprintf("Linux keeps the mark by which ipvsd knows its addresses since %s", metricKernel),
		Cure:   "boot a newer kernel",
	}}
}

func missingModule(f *Facts) []Finding {
	if f.IPVS || f.Config == nil && len(f.Mistakes) == 0 {
		return nil // a web node needs none, and what this machine is to be isn't known
	}
	if !f.Modules.Known || f.Modules.Available["ip_vs"] {
		x := Finding{Object: "ip_vs", Reason: "the module is not loaded", Actions: []Action{{Op: LoadModule, Name: "ip_vs"}}}
		if !f.Modules.Known {
			x.Reason += fmt.Sprintf(", and there is no folder with the modules of the running kernel, %s: in a container "+
				"the host has to load it; after an upgrade of the kernel a reboot is due", f.Release)
		}
		return []Finding{x}
	}
	return []Finding{{
		Object: "ip_vs",
		Reason: fmt.Sprintf("the kernel %s comes without this module", f.Release),
		Cure:   "install the package of the kernel that has it, and boot it (Debian: linux-image-amd64 or -arm64; Ubuntu: linux-modules-extra-" + f.Release + ")",
	}}
}

// missingScheduler looks for the modules that the kernel loads by itself once a
// virtual service asks for them.
func missingScheduler(f *Facts) (out []Finding) {
	if f.Config == nil || !f.Modules.Known {
		return nil
	}
	users := map[string][]string{} // by module
	for _, v := range f.Config.Virtuals {
		users["ip_vs_"+v.Service.Scheduler] = append(users["ip_vs_"+v.Service.Scheduler], v.Name)
		if v.Service.PE != "" {
			users["ip_vs_pe_"+v.Service.PE] = append(users["ip_vs_pe_"+v.Service.PE], v.Name)
		}
	}
	for module, names := range users {
		if f.Modules.Available[module] {
			continue
		}
		x := Finding{
			Object: module,
			Reason: fmt.Sprintf("the kernel %s lacks this module, which %s asks for", f.Release, some(names)),
			Cure:   "choose another scheduler in the file, such as wlc, or install a kernel that has the module",
		}
		if since := schedulerSince[strings.TrimPrefix(module, "ip_vs_")]; since != (version{}) && f.version().before(since) {
			x.Reason += fmt.Sprintf("; it came with Linux %s", since)
		}
		out = append(out, x)
	}
	return out
}

// directorSets are the checks of what the director sets at its start, unless
// [sysctl] manage is false.
var directorSets = []string{"forwarding", "backup-only", "conn-reuse", "vip-check", "expire", "sync"}

// checkOf says which check a setting of director.Sysctls belongs to.
func checkOf(path string) string {
	name := path[strings.LastIndexByte(path, '/')+1:]
	switch {
	case name == "ip_forward" || name == "forwarding" || name == "accept_ra":
		return "forwarding"
	case name == "backup_only":
		return "backup-only"
	case name == "conn_reuse_mode":
		return "conn-reuse"
	case name == "accept_local" || name == "rp_filter":
		return "vip-check"
	case strings.HasPrefix(name, "expire_"):
		return "expire"
	case strings.HasPrefix(name, "sync_") || strings.HasPrefix(name, "sloppy_"):
		return "sync"
	}
	return ""
}

// sysctls is the check of those settings of director.Sysctls that are checkOf's.
func sysctls(check string) func(*Facts) []Finding {
	return func(f *Facts) (out []Finding) {
		if f.Config == nil {
			return nil
		}
		for _, s := range director.Sysctls(f.Config, f.Host) {
			if checkOf(s.Path) != check {
				continue
			}
			have, known := f.Sysctls[s.Path]
			ofIPVS := strings.HasPrefix(s.Path, "net/ipv4/vs/")
			switch {
			case have == s.Value, !known && ofIPVS && !f.IPVS: // there once the module is loaded
			case !known && len(f.Sysctls) == 0: // nothing could be read
			case !known:
				out = append(out, Finding{
					Object: realserver.Key(s.Path).String(),
					Reason: fmt.Sprintf("the kernel %s doesn't have this setting; %s", f.Release, s.Reason),
					Cure:   "boot a newer kernel",
				})
			default:
				out = append(out, Finding{
					Object:  realserver.Key(s.Path).String(),
					Reason:  fmt.Sprintf("is %s, not %s: %s%s", have, s.Value, s.Reason, f.because(check)),
					Actions: []Action{{SetSysctl, s.Path, have, s.Value}},
				})
			}
		}
		return out
	}
}

// because says on what the wanted value depends beside the file.
func (f *Facts) because(check string) string {
	if check != "conn-reuse" {
		return ""
	}
	conntrack := "off"
	if f.Host.Conntrack {
		conntrack = "on"
	}
	return fmt.Sprintf(" (this kernel is %s, net.ipv4.vs.conntrack is %s)", f.version(), conntrack)
}

// conntrackFull: the kernel drops the first packet of every connection that it
// can't track once the table is full (nf_conntrack_alloc), IPVS or not.
func conntrackFull(f *Facts) []Finding {
	const count, limit = "net/netfilter/nf_conntrack_count", "net/netfilter/nf_conntrack_max"
	n, most := f.number(count), f.number(limit)
	if most == 0 || n*10 <= most*9 {
		return nil
	}
	return []Finding{{
		Object: realserver.Key(limit).String(),
		Reason: fmt.Sprintf("%d of %d connections are tracked; when it is full, new ones are dropped", n, most),
		Cure:   Action{Op: SetSysctl, Name: limit, New: fmt.Sprint(2 * most)}.String(),
	}}
}

// some are as many names as a person reads.
func some(names []string) string {
	const most = 3
	names = slices.Clone(names)
	slices.Sort(names)
	names = slices.Compact(names)
	text := strings.Join(names[:min(most, len(names))], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
