package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/cluster/vip"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/table"
	"github.com/ipvsd/ipvsd/realserver"
)

// Sources are the places where the host keeps its facts; the zero value is
// this machine.
type Sources struct {
	Proc    string // "": /proc
	Modules string // "": /lib/modules
	Record  string // of a web node's setup; "": realserver.RecordFile
}

func (s Sources) proc() string {
	if s.Proc == "" {
		return "/proc"
	}
	return s.Proc
}

func (s Sources) record() string {
	if s.Record == "" {
		return realserver.RecordFile
	}
	return s.Record
}

// Asked says what to gather.
type Asked struct {
	Config   *config.Config   // nil: there is none, or a wrong one
	Mistakes []config.Problem // of the file
	Daemon   *Daemon          // nil: none runs, as far as is known
	Wire     bool             // ask the neighbours who has the virtual addresses, and other directors for their time
}

// SetsItself tells whether the director sets at its start what a check looks at.
func (a Asked) SetsItself(check string) bool {
	return a.Config != nil && a.Config.Sysctl.Manage && slices.Contains(directorSets, check)
}

// Gather reads the host. What it can't read is in Unknown. With Wire it takes
// some 300 ms for each interface with virtual addresses, else milliseconds.
func (s Sources) Gather(ctx context.Context, a Asked) Facts {
	f := Facts{Config: a.Config, Mistakes: a.Mistakes, Daemon: a.Daemon}
	s.kernel(&f)
	s.sysctls(&f)
	var err error
	if f.Net, err = vip.Read(); err != nil {
		f.unknown("interfaces and routes", err, "interface", "rp-filter", "redirects", "tunnel-mtu")
	}
	f.findPlaces()
	f.routes()
	s.processes(&f)
	f.Listeners = s.listeners(&f)
	f.clockAndKey()
	if a.Wire {
		f.askWire(ctx)
		f.askClocks(ctx)
	}
	s.node(&f)
	return f
}

func (f *Facts) unknown(what string, err error, checks ...string) {
	f.Unknown = append(f.Unknown, fmt.Sprintf("%s: %v", what, err))
	f.Blind = append(f.Blind, checks...)
}

func (s Sources) kernel(f *Facts) {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		f.unknown("kernel version", err)
	}
	f.Release = unix.ByteSliceToString(uts.Release[:])
	f.Host = director.ReadHost(filepath.Join(s.proc(), "sys"))
	if f.Config != nil {
		f.Host.Answers, _ = director.ReadAnswerLinks(filepath.Join(s.proc(), "sys"), f.Config) // without a route there is nothing to set
	}
	_, err := os.Stat(filepath.Join(s.proc(), "thread-self/net/ip_vs"))
	f.IPVS = err == nil
	f.Modules = s.modules(f.Release)
}

// modules reads the indexes that depmod(8) writes, and what is loaded.
func (s Sources) modules(release string) Modules {
	dir := s.Modules
	if dir == "" {
		dir = "/lib/modules"
	}
	m := Modules{Available: map[string]bool{}}
	for _, name := range []string{"modules.dep", "modules.builtin"} {
		if b, err := os.ReadFile(filepath.Join(dir, release, name)); err == nil {
			m.Known = true
			parseModulePaths(m.Available, b)
		}
	}
	if b, err := os.ReadFile(filepath.Join(s.proc(), "modules")); err == nil {
		parseLoaded(m.Available, b)
	}
	return m
}

// sysctls reads those that the checks look at. One that this kernel doesn't
// have is absent.
func (s Sources) sysctls(f *Facts) {
	f.Sysctls = map[string]string{}
	root := filepath.Join(s.proc(), "sys")
	for _, pattern := range []string{
		"net/ipv4/ip_forward", "net/ipv4/vs/*",
		"net/ipv4/conf/*/rp_filter", "net/ipv4/conf/*/send_redirects", "net/ipv4/conf/*/accept_local",
		"net/ipv6/conf/*/disable_ipv6", "net/ipv6/conf/*/accept_ra", "net/ipv6/conf/all/forwarding",
		"net/netfilter/nf_conntrack_count", "net/netfilter/nf_conntrack_max",
	} {
		found, _ := filepath.Glob(filepath.Join(root, pattern)) // errors are of the pattern only
		for _, name := range found {
			b, err := os.ReadFile(name)
			if err != nil {
				if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) { // write-only ones, or gone
					f.unknown("sysctl", err)
				}
				continue
			}
			f.Sysctls[strings.TrimPrefix(name, root+"/")] = strings.Join(strings.Fields(string(b)), " ")
		}
	}
}

// far is an address of nobody (RFC 5737), to ask the kernel which way it would
// send something far away. Nothing is sent.
var far = net.IPv4(198, 51, 100, 1)

// routes asks the kernel for the ways to real servers by nat and tun, and from
// the virtual addresses to clients far away.
func (f *Facts) routes() {
	f.MTU, f.Routes, f.Far = map[string]int{}, map[netip.Addr]Route{}, map[netip.Addr]Route{}
	if f.Config == nil {
		return
	}
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		f.unknown("routes", err, "rp-filter", "redirects", "tunnel-mtu")
		return
	}
	defer h.Close()
	names := map[int]string{}
	links, err := h.LinkList()
	if err != nil {
		f.unknown("interfaces", err)
	}
	for _, l := range links {
		names[l.Attrs().Index], f.MTU[l.Attrs().Name] = l.Attrs().Name, l.Attrs().MTU
	}
	ask := func(to net.IP, o *netlink.RouteGetOptions) (Route, bool) {
		list, err := h.RouteGetWithOptions(to, o)
		if err != nil || len(list) == 0 {
			return Route{}, false // no way there, which isn't for us to judge
		}
		r := Route{Interface: names[list[0].LinkIndex], MTU: list[0].MTU}
		if r.MTU == 0 {
			r.MTU = f.MTU[r.Interface]
		}
		return r, r.Interface != ""
	}
	for _, v := range f.Config.Virtuals {
		for _, r := range v.Reals {
			addr := r.Addr.Addr()
			if _, known := f.Routes[addr]; known || r.Forward == table.DR {
				continue
			}
			if route, ok := ask(addr.AsSlice(), nil); ok {
				f.Routes[addr] = route
			}
		}
	}
	for _, addr := range f.addresses {
		if !addr.Is4() {
			continue // IPv6 has no rp_filter
		}
		o := &netlink.RouteGetOptions{}
		if f.holds(addr) {
			o.SrcAddr = addr.AsSlice() // there may be a rule for it
		}
		if route, ok := ask(far, o); ok {
			f.Far[addr] = route
		}
	}
}

// clockAndKey reads two facts that the network doesn't have.
func (f *Facts) clockAndKey() {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		f.unknown("clock", err, "clock")
	}
	f.Unsynced = t.Status&unix.STA_UNSYNC != 0
	if f.Config == nil || f.Config.Cluster == nil || f.Config.Cluster.KeyFile == "" {
		return
	}
	info, err := os.Stat(f.Config.Cluster.KeyFile)
	if err != nil {
		f.unknown("key file", err, "key-mode")
		return
	}
	f.KeyMode = info.Mode()
}

// node reads a web node's side, where ipvsd has set it up.
func (s Sources) node(f *Facts) {
	if _, err := os.Stat(s.record()); err != nil {
		return
	}
	n := realserver.Node{Kernel: realserver.Linux{}, RecordFile: s.record(), Sockets: realserver.Sockets}
	var err error
	if n.Executable, err = os.Executable(); err != nil {
		f.unknown("web node", err, "node", "node-note")
		return
	}
	report, err := n.Status(realserver.Goal{})
	if err != nil {
		f.unknown("web node", err, "node", "node-note")
		return
	}
	f.Node = &report
}

// askWire asks on each interface who has the virtual addresses that belong
// there, and, where somebody answers, who that is: the real servers and the
// directors of the same network are asked for their own addresses.
func (f *Facts) askWire(ctx context.Context) {
	byLink := map[string][]netip.Addr{}
	for _, addr := range f.addresses {
		byLink[f.places[addr]] = append(byLink[f.places[addr]], addr)
	}
	own := map[[6]byte]bool{}
	for _, l := range f.Net.Links {
		own[l.MAC] = true
	}
	f.Answers, f.Who = []Answer{}, map[MAC][]string{}
	for name, addrs := range byLink {
		l, ok := f.Net.Link(name)
		if !ok || !l.Ethernet || !l.Up || !l.Carrier {
			continue // the check of interfaces tells
		}
		answers, err := vip.AskNeighbours(ctx, l, addrs)
		if err != nil {
			f.unknown("who answers ARP on "+name, withHint(err), arpCheck)
			continue
		}
		macs := map[netip.Addr][]MAC{}
		for _, n := range answers {
			if !own[n.MAC] {
				macs[n.Addr] = append(macs[n.Addr], MAC(n.MAC))
			}
		}
		for addr, list := range macs {
			slices.SortFunc(list, func(a, b MAC) int { return slices.Compare(a[:], b[:]) })
			f.Answers = append(f.Answers, Answer{addr, name, list})
		}
		if len(macs) > 0 {
			f.identify(ctx, l)
		}
	}
	slices.SortFunc(f.Answers, func(a, b Answer) int { return a.Addr.Compare(b.Addr) })
	f.forgetMoved()
}

// forgetMoved drops the answers about addresses that came or went meanwhile.
func (f *Facts) forgetMoved() {
	held, err := vip.Read()
	if err != nil {
		f.unknown("interfaces", err)
		return
	}
	now := Facts{Net: held}
	f.Answers = slices.DeleteFunc(f.Answers, func(a Answer) bool { return f.holds(a.Addr) != now.holds(a.Addr) })
}

// identify fills in Who for the machines on one interface's subnets.
func (f *Facts) identify(ctx context.Context, l vip.Link) {
	var near []netip.Addr
	consider := func(addr netip.Addr) {
		for _, h := range f.Net.Held {
			if h.Interface == l.Name && !h.Ours && h.Addr.Contains(addr) && h.Addr.Addr() != addr {
				near = append(near, addr)
				return
			}
		}
	}
	for _, v := range f.Config.Virtuals {
		for _, r := range v.Reals {
			consider(r.Addr.Addr())
		}
	}
	for _, d := range f.directors() {
		consider(d)
	}
	answers, err := vip.AskNeighbours(ctx, l, near)
	if err != nil {
		f.unknown("who answers ARP on "+l.Name, err, arpCheck)
		return
	}
	for _, n := range answers {
		if who := n.Addr.String(); !slices.Contains(f.Who[n.MAC], who) {
			f.Who[n.MAC] = append(f.Who[n.MAC], who)
		}
	}
	for m := range f.Who {
		slices.Sort(f.Who[m])
	}
}

func withHint(err error) error {
	if errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("%w (this needs root)", err)
	}
	return err
}
