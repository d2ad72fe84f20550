package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ipvsd/ipvsd/realserver"
)

// kubeLink is where kube-proxy in its ipvs mode has the cluster's addresses.
const kubeLink = "kube-ipvs0"

// ownerCure is how a program that keeps an IPVS table is stopped, by the name of
// its process.
var ownerCure = map[string]string{
	"keepalived":  "systemctl disable --now keepalived",
	"ldirectord":  "systemctl disable --now ldirectord",
	"seesaw_ncc":  "systemctl disable --now seesaw_watchdog",
	"surealived":  "systemctl disable --now surealived",
	"kube-proxy":  "set mode: nftables (or iptables) in kube-proxy's configuration, or take this machine out of Kubernetes",
	"kube-router": "run it with --run-service-proxy=false, or take this machine out of Kubernetes",
}

func owners(f *Facts) (out []Finding) {
	_, kube := f.Net.Link(kubeLink)
	byName := map[string][]string{}
	for _, p := range f.Processes {
		if p.balances(kube) {
			byName[p.Name] = append(byName[p.Name], strconv.Itoa(p.PID))
		}
	}
	for name, pids := range byName {
		x := Finding{
			Object: name,
			Reason: "runs here (pid " + strings.Join(pids, ", ") + "); what it sets in the kernel's table, the director takes for " +
				"somebody else's or puts right, and the other way round",
			Cure: ownerCure[name],
		}
		if name == "keepalived" {
			x.Reason += "; one that only keeps addresses (keepalived --vrrp) is told by that option"
		}
		out = append(out, x)
	}
	if kube && byName["kube-proxy"] == nil && byName["kube-router"] == nil {
		out = append(out, Finding{
			Object: kubeLink,
			Reason: "this interface is kube-proxy's in its ipvs mode, which keeps a table of its own and deletes what it doesn't know",
			Cure:   ownerCure["kube-proxy"] + "; where that is done, `ip link del " + kubeLink + "`",
		})
	}
	return out
}

// balances tells whether the program touches the IPVS table, as it was started.
func (p Process) balances(kube bool) bool {
	switch p.Name {
	case "kube-proxy":
		return kube
	case "kube-router":
		return !slices.Contains(p.Args, "--run-service-proxy=false")
	case "keepalived":
		return !slices.ContainsFunc(p.Args, func(a string) bool { return a == "-P" || a == "--vrrp" })
	}
	return true
}

// asked are the sockets that the file asks for.
func (f *Facts) asked() (out []realserver.Socket) {
	if f.Config == nil {
		return nil
	}
	if host, port, ok := cutPort(f.Config.HTTP.Listen); ok {
		addr, err := netip.ParseAddr(host)
		if err != nil {
			addr = netip.IPv6Unspecified() // a name, or nothing: any address will do
		}
		out = append(out, realserver.Socket{Protocol: "tcp", Addr: netip.AddrPortFrom(addr.Unmap(), port)})
	}
	if c := f.Config.Cluster; c != nil && c.Listen.IsValid() {
		out = append(out, realserver.Socket{Protocol: "tcp", Addr: c.Listen}, realserver.Socket{Protocol: "udp", Addr: c.Listen})
	}
	return out
}

func cutPort(listen string) (host string, port uint16, ok bool) {
	i := strings.LastIndexByte(listen, ':')
	n, err := strconv.ParseUint(listen[i+1:], 10, 16)
	if i < 0 || err != nil || n == 0 {
		return "", 0, false
	}
	return strings.Trim(listen[:i], "[]"), uint16(n), true
}

// clash tells whether two sockets can't be open at once.
func clash(a, b realserver.Socket) bool {
	if a.Protocol != b.Protocol || a.Addr.Port() != b.Addr.Port() {
		return false
	}
	x, y := a.Addr.Addr(), b.Addr.Addr()
	return x == y || x.IsUnspecified() && (x.Is6() || y.Is4()) || y.IsUnspecified() && (y.Is6() || x.Is4())
}

// program is the name of our own processes.
const program = "ipvsd"

func ports(f *Facts) (out []Finding) {
	for _, want := range f.asked() {
		for _, l := range f.Listeners {
			ours := l.Name == program || f.Daemon != nil && l.PID == f.Daemon.PID
			if ours || !clash(want, l.Socket) {
				continue
			}
			who := "another program"
			if l.Name != "" {
				who = fmt.Sprintf("%s (pid %d)", l.Name, l.PID)
			}
			section := "[cluster]"
			if f.Config.Cluster == nil || want.Addr != f.Config.Cluster.Listen {
				section = "[http]"
			}
			out = append(out, Finding{
				Object: want.String(),
				Reason: fmt.Sprintf("%s listens on %s", who, l.Addr),
				Cure:   fmt.Sprintf("stop it, or write another port in %s listen of the file", section),
			})
			break
		}
	}
	return out
}

func keyMode(f *Facts) []Finding {
	if f.Config == nil || f.Config.Cluster == nil || f.KeyMode.Perm()&0o077 == 0 {
		return nil
	}
	file := f.Config.Cluster.KeyFile
	old := fmt.Sprintf("%04o", f.KeyMode.Perm())
	return []Finding{{
		Object:  file,
		Reason:  "its mode is " + old,
		Actions: []Action{{SetMode, file, old, "600"}},
	}}
}

func clock(f *Facts) []Finding {
	if !f.Unsynced || f.Config == nil || f.Config.Cluster == nil {
		return nil // a single director has nobody to agree with
	}
	return []Finding{{
		Object: "clock",
		Reason: "the kernel says that its clock is not synchronised (adjtimex: STA_UNSYNC)",
		Cure:   "apt install chrony, or timedatectl set-ntp true",
	}}
}
