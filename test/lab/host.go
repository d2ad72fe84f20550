package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Host is a machine of the lab: a network namespace with interfaces on bridges, and processes.
type Host struct {
	Name  string
	net   *Net
	t     T
	space *space

	mu    sync.Mutex
	ports map[string]*port // by interface name
}

// port is a cable: the host's interface and the bridge's end of it.
type port struct {
	ifname string
	host   int // index in the host
	bridge int // index in the fabric
	fault  fault
}

// Attach gives the host one more interface on a bridge, with addresses in CIDR form.
func (h *Host) Attach(bridge, ifname string, addrs ...string) *Host {
	h.t.Helper()
	if err := h.attach(bridge, ifname); err != nil {
		h.t.Fatalf("lab: %s: attach %s to %s: %v", h.Name, ifname, bridge, err)
	}
	for _, a := range addrs {
		h.AddAddr(ifname, a)
	}
	return h
}

func (h *Host) attach(bridge, ifname string) error {
	br, err := h.net.bridge(bridge)
	if err != nil {
		return err
	}
	h.net.mu.Lock()
	h.net.nports++
	name := fmt.Sprintf("p%d", h.net.nports)
	h.net.mu.Unlock()
	veth := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: name, MasterIndex: br, TxQLen: 1000},
		PeerName:      ifname,
		PeerNamespace: netlink.NsFd(h.space.net.Fd()),
	}
	if err := h.net.fabric.nl.LinkAdd(veth); err != nil {
		return err
	}
	outer, err := h.net.fabric.nl.LinkByName(name)
	if err != nil {
		return err
	}
	inner, err := h.space.nl.LinkByName(ifname)
	if err != nil {
		return err
	}
	if err := h.net.fabric.nl.LinkSetUp(outer); err != nil {
		return err
	}
	if err := h.space.nl.LinkSetUp(inner); err != nil {
		return err
	}
	p := &port{ifname: ifname, host: inner.Attrs().Index, bridge: outer.Attrs().Index}
	if err := h.awaitCarrier(p); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ports[ifname] = p
	return nil
}

// awaitCarrier waits until both ends of a cable carry frames. The kernel activates their queues in the background; what is
// sent earlier is dropped, and an ARP request or neighbour solicitation among it costs the first connection a second.
func (h *Host) awaitCarrier(p *port) error {
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		inner, err := h.space.nl.LinkByIndex(p.host)
		if err != nil {
			return err
		}
		outer, err := h.net.fabric.nl.LinkByIndex(p.bridge)
		if err != nil {
			return err
		}
		if inner.Attrs().OperState == netlink.OperUp && outer.Attrs().OperState == netlink.OperUp {
			return nil
		}
		if inner.Attrs().Flags&net.FlagUp == 0 { // the host itself has set it down
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("no carrier: %v at the host, %v at the bridge", inner.Attrs().OperState, outer.Attrs().OperState)
		}
	}
}

// AddAddr adds an address in CIDR form to an interface (also lo).
func (h *Host) AddAddr(ifname, cidr string) {
	h.t.Helper()
	if err := h.addr(ifname, cidr, h.space.nl.AddrReplace); err != nil {
		h.t.Fatalf("lab: %s: add %s to %s: %v", h.Name, cidr, ifname, err)
	}
}

// DelAddr takes an address in CIDR form from an interface.
func (h *Host) DelAddr(ifname, cidr string) {
	h.t.Helper()
	if err := h.addr(ifname, cidr, h.space.nl.AddrDel); err != nil {
		h.t.Fatalf("lab: %s: delete %s from %s: %v", h.Name, cidr, ifname, err)
	}
}

func (h *Host) addr(ifname, cidr string, do func(netlink.Link, *netlink.Addr) error) error {
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		return err
	}
	link, err := h.space.nl.LinkByName(ifname)
	if err != nil {
		return err
	}
	a := &netlink.Addr{IPNet: ipNet(p)}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return do(link, a)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Addrs are the addresses of an interface, without those of link scope.
func (h *Host) Addrs(ifname string) []netip.Prefix {
	h.t.Helper()
	link, err := h.space.nl.LinkByName(ifname)
	if err != nil {
		h.t.Fatalf("lab: %s: %s: %v", h.Name, ifname, err)
	}
	list, err := h.space.nl.AddrList(link, netlink.FAMILY_ALL)
	for try := 0; try < 5 && errors.Is(err, netlink.ErrDumpInterrupted); try++ { // something changed meanwhile
		list, err = h.space.nl.AddrList(link, netlink.FAMILY_ALL)
	}
	if err != nil {
		h.t.Fatalf("lab: %s: addresses of %s: %v", h.Name, ifname, err)
	}
	var out []netip.Prefix
	for _, a := range list {
		ip, ok := netip.AddrFromSlice(a.IP)
		if !ok || ip.Unmap().IsLinkLocalUnicast() {
			continue
		}
		bits, _ := a.Mask.Size()
		out = append(out, netip.PrefixFrom(ip.Unmap(), bits))
	}
	return out
}

// Addr is the first address of eth0 of the family of "4" or "6".
func (h *Host) Addr(family string) netip.Addr {
	h.t.Helper()
	for _, p := range h.Addrs("eth0") {
		if p.Addr().Is4() == (family == "4") {
			return p.Addr()
		}
	}
	h.t.Fatalf("lab: %s: no IPv%s address on eth0", h.Name, family)
	return netip.Addr{}
}

// Route adds a route to a prefix, or to "default" of the gateway's family.
func (h *Host) Route(dst, gateway string) {
	h.t.Helper()
	gw, err := netip.ParseAddr(gateway)
	if err != nil {
		h.t.Fatalf("lab: %s: route: %v", h.Name, err)
	}
	r := &netlink.Route{Gw: gw.AsSlice()}
	if dst != "default" {
		p, err := netip.ParsePrefix(dst)
		if err != nil {
			h.t.Fatalf("lab: %s: route: %v", h.Name, err)
		}
		r.Dst = ipNet(p.Masked())
	}
	if err := h.space.nl.RouteReplace(r); err != nil {
		h.t.Fatalf("lab: %s: route %s via %s: %v", h.Name, dst, gateway, err)
	}
}

// MAC is the hardware address of an interface, eth0 if none is named.
func (h *Host) MAC(ifname ...string) net.HardwareAddr {
	h.t.Helper()
	link, err := h.space.nl.LinkByName(ifnameOr(ifname))
	if err != nil {
		h.t.Fatalf("lab: %s: %v", h.Name, err)
	}
	return link.Attrs().HardwareAddr
}

func ifnameOr(list []string) string {
	if len(list) > 0 {
		return list[0]
	}
	return "eth0"
}

// Do runs f on a locked thread in the namespaces of the host: sockets that f makes belong to the host, and /proc/sys/net,
// /proc/net and /sys are the host's. Goroutines that f starts are elsewhere.
func (h *Host) Do(f func() error) error { return h.space.do(f) }

// Private gives the host an empty folder of its own at each path, for daemons that have the same path on every host.
// The test reads it by [Host.Do].
func (h *Host) Private(dirs ...string) {
	h.t.Helper()
	err := h.space.quick(func() error {
		for _, d := range dirs {
			if err := os.MkdirAll(d, 0o755); err != nil {
				return err
			}
			if err := unix.Mount("tmpfs", d, "tmpfs", 0, "mode=755"); err != nil {
				return fmt.Errorf("mount tmpfs on %s: %v", d, err)
			}
		}
		return nil
	})
	if err != nil {
		h.t.Fatalf("lab: %s: private folder: %v", h.Name, err)
	}
}

// Own gives the host a copy of its own of each folder, as a disk of its own would: it sees what is there, and nobody else
// sees what it writes. The test reads it by [Host.Do].
func (h *Host) Own(dirs ...string) {
	h.t.Helper()
	for _, d := range dirs {
		if err := h.space.quick(func() error { return own(d) }); err != nil {
			h.t.Fatalf("lab: %s: own %s: %v", h.Name, d, err)
		}
	}
}

// own puts an overlay over a folder. What is written goes to a tmpfs, which the overlay keeps alive: an overlay, as the
// lab's root is one, can't take another one's writes.
func own(dir string) error {
	const disk = "/mnt"
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount tmpfs on %s: %v", disk, err)
	}
	upper, work := filepath.Join(disk, "upper"), filepath.Join(disk, "work")
	err := errors.Join(os.Mkdir(upper, 0o755), os.Mkdir(work, 0o755))
	if err == nil {
		err = unix.Mount("overlay", dir, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dir, upper, work))
	}
	return errors.Join(err, unix.Unmount(disk, unix.MNT_DETACH))
}

// sysctlPath knows both net.ipv4.ip_forward and net/ipv4/conf/eth0.1/arp_ignore.
func sysctlPath(key string) string {
	if !strings.Contains(key, "/") {
		key = strings.ReplaceAll(key, ".", "/")
	}
	return filepath.Join("/proc/sys", key)
}

// Sysctl reads a sysctl as the host sees it.
func (h *Host) Sysctl(key string) string {
	h.t.Helper()
	var b []byte
	err := h.space.quick(func() (err error) {
		b, err = os.ReadFile(sysctlPath(key))
		return err
	})
	if err != nil {
		h.t.Fatalf("lab: %s: sysctl %s: %v", h.Name, key, err)
	}
	return strings.TrimSpace(string(b))
}

// SetSysctl sets a sysctl of the host; keys outside of net.* are the whole lab's.
func (h *Host) SetSysctl(key, value string) {
	h.t.Helper()
	err := h.space.quick(func() error { return os.WriteFile(sysctlPath(key), []byte(value), 0) })
	if err != nil {
		h.t.Fatalf("lab: %s: sysctl %s=%s: %v", h.Name, key, value, err)
	}
}
