package realserver

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Kernel is what setup and teardown need of the system. [Linux] is the real
// one; Do is never given a step with a file.
type Kernel interface {
	Read() (State, error)
	Do(Step) error
}

// Linux is the kernel in whose network namespace the calling thread runs.
type Linux struct{}

const procSys = "/proc/sys"

// Read takes everything in that [Plan], [Conflicts] and [Check] look at.
func (Linux) Read() (State, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return State{}, fmt.Errorf("open netlink: %v", err)
	}
	defer h.Close()
	if err := h.SetSocketTimeout(5 * time.Second); err != nil {
		return State{}, fmt.Errorf("open netlink: %v", err)
	}
	s := State{Links: make(map[string]Link), Sysctls: make(map[Key]string)}
	names, err := readLinks(h, &s)
	if err != nil {
		return State{}, err
	}
	if err := readAddrs(h, names, &s); err != nil {
		return State{}, err
	}
	if err := readRoutes(h, names, &s); err != nil {
		return State{}, err
	}
	readProxies(h, names, &s)
	if err := readSysctls(&s); err != nil {
		return State{}, err
	}
	if f, err := os.Open("/proc/thread-self/net/ip_vs"); err == nil {
		defer f.Close()
		s.Balance = parseIPVS(f)
	}
	return s, nil
}

// dump repeats a dump that something changed under; the kernel marks those.
func dump[T any](what string, read func() ([]T, error)) ([]T, error) {
	for try := 0; ; try++ {
		list, err := read()
		if err == nil {
			return list, nil
		}
		if !errors.Is(err, netlink.ErrDumpInterrupted) || try == 5 {
			return nil, fmt.Errorf("read %s: %v", what, err)
		}
	}
}

func readLinks(h *netlink.Handle, s *State) (map[int]string, error) {
	links, err := dump("interfaces", h.LinkList)
	if err != nil {
		return nil, err
	}
	names := make(map[int]string, len(links))
	for _, l := range links {
		a := l.Attrs()
		names[a.Index] = a.Name
		s.Links[a.Name] = Link{Up: a.Flags&net.FlagUp != 0, Loopback: a.Flags&net.FlagLoopback != 0}
	}
	return names, nil
}

func readAddrs(h *netlink.Handle, names map[int]string, s *State) error {
	addrs, err := dump("addresses", func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return err
	}
	for _, a := range addrs {
		ip, ok := netip.AddrFromSlice(a.IP)
		if !ok {
			continue
		}
		ones, _ := a.Mask.Size()
		label := a.Label
		if !ip.Unmap().Is4() {
			label = ""
		}
		s.Addrs = append(s.Addrs, Addr{
			Prefix: netip.PrefixFrom(ip.Unmap(), ones),
			Link:   names[a.LinkIndex],
			Label:  label,
		})
	}
	return nil
}

func readRoutes(h *netlink.Handle, names map[int]string, s *State) error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := dump("routes", func() ([]netlink.Route, error) {
			return h.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
		})
		if err != nil {
			return err
		}
		for _, r := range routes {
			if r.Dst != nil {
				if ones, _ := r.Dst.Mask.Size(); ones != 0 {
					continue
				}
			}
			add := func(gw net.IP, index int) {
				addr, _ := netip.AddrFromSlice(gw)
				s.Routes = append(s.Routes, Route{
					IPv6: family == netlink.FAMILY_V6, Gateway: addr.Unmap(), Link: names[index],
				})
			}
			if len(r.MultiPath) == 0 {
				add(r.Gw, r.LinkIndex)
			}
			for _, hop := range r.MultiPath {
				add(hop.Gw, hop.LinkIndex)
			}
		}
	}
	return nil
}

// readProxies: a kernel without IPv6 has none, which is no error.
func readProxies(h *netlink.Handle, names map[int]string, s *State) {
	list, err := dump("neighbour proxies", func() ([]netlink.Neigh, error) { return h.NeighProxyList(0, netlink.FAMILY_V6) })
	if err != nil {
		return
	}
	for _, n := range list {
		if addr, ok := netip.AddrFromSlice(n.IP); ok && n.Flags&netlink.NTF_PROXY != 0 {
			s.Proxies = append(s.Proxies, Proxy{Addr: addr, Link: names[n.LinkIndex]})
		}
	}
}

func readSysctls(s *State) error {
	for _, pattern := range []string{
		"net/ipv4/conf/*/arp_ignore", "net/ipv4/conf/*/arp_announce",
		"net/ipv4/conf/*/rp_filter", "net/ipv4/conf/*/accept_redirects",
		"net/ipv6/conf/*/accept_redirects", "net/ipv6/conf/*/disable_ipv6",
		"net/ipv4/vs/backup_only",
	} {
		found, err := filepath.Glob(filepath.Join(procSys, pattern))
		if err != nil {
			return err
		}
		for _, name := range found {
			data, err := os.ReadFile(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue // its interface went away
			}
			if err != nil {
				return fmt.Errorf("read sysctl: %v", err)
			}
			s.Sysctls[Key(strings.TrimPrefix(name, procSys+"/"))] = strings.TrimSpace(string(data))
		}
	}
	return nil
}

// parseIPVS reads the virtual services of /proc/net/ip_vs: lines such as
// "TCP  C0A80069:0050 rr" and "UDP  [fd00:…:0105]:0035 wlc".
func parseIPVS(r io.Reader) []Balanced {
	var list []Balanced
	for lines := bufio.NewScanner(r); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 3 || words[0] != "TCP" && words[0] != "UDP" && words[0] != "SCTP" {
			continue
		}
		colon := strings.LastIndexByte(words[1], ':')
		if colon < 0 {
			continue
		}
		port, err := strconv.ParseUint(words[1][colon+1:], 16, 16)
		if err != nil {
			continue
		}
		text := words[1][:colon]
		addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
		if err != nil {
			four, err := hex.DecodeString(text)
			if err != nil || len(four) != 4 {
				continue
			}
			addr = netip.AddrFrom4([4]byte(four))
		}
		list = append(list, Balanced{strings.ToLower(words[0]), netip.AddrPortFrom(addr, uint16(port))})
	}
	return list
}

// Do carries out one step.
func (Linux) Do(s Step) error {
	switch s.Op {
	case OpModule:
		return loadModule(s.Module)
	case OpSysctl:
		return os.WriteFile(filepath.Join(procSys, string(s.Key)), []byte(s.New+"\n"), 0)
	case OpLink:
		link, err := netlink.LinkByName(s.Link)
		if err != nil {
			return err
		}
		if s.New == "up" {
			return netlink.LinkSetUp(link)
		}
		return netlink.LinkSetDown(link)
	case OpAdd, OpRemove:
		link, err := netlink.LinkByName(s.Addr.Link)
		if err != nil {
			return err
		}
		if s.Op == OpRemove {
			return netlink.AddrDel(link, s.Addr.netlink())
		}
		return netlink.AddrAdd(link, s.Addr.netlink())
	}
	return fmt.Errorf("the kernel has no operation %s", s.Op)
}

// netlink is what `ip addr add` with these arguments sends.
func (a Addr) netlink() *netlink.Addr {
	bits := a.Prefix.Addr().BitLen()
	out := &netlink.Addr{
		IPNet: &net.IPNet{IP: a.Prefix.Addr().AsSlice(), Mask: net.CIDRMask(a.Prefix.Bits(), bits)},
		Label: a.Label,
	}
	if bits == 128 {
		forever := uint32(math.MaxUint32)
		out.Flags = unix.IFA_F_NODAD
		out.ValidLft = int(forever) // preferred for 0 seconds: never a source address
	}
	return out
}

// loadModule runs modprobe, which also knows modules that are built in.
func loadModule(name string) error {
	modprobe := "modprobe"
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if full := filepath.Join(dir, "modprobe"); executable(full) {
			modprobe = full
			break
		}
	}
	out, err := exec.Command(modprobe, name).CombinedOutput()
	if err == nil {
		return nil
	}
	if text := strings.TrimSpace(string(out)); text != "" {
		return errors.New(text)
	}
	return err
}

func executable(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
