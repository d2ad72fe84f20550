package lab

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// T is what the harness needs of a test; testing.TB satisfies it. Fatalf must not return.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	Cleanup(func())
}

// Net is a network of hosts. Its bridges stand in a namespace of their own, the fabric, so that names are free in every
// Net and one broken test leaves nothing to the next.
type Net struct {
	t      T
	fabric *space

	mu      sync.Mutex
	bridges map[string]int // name → index in the fabric
	hosts   []*Host
	nports  int
}

// New makes an empty network that lasts until the test's end.
func New(t T) *Net {
	t.Helper()
	if !Inside() {
		t.Fatalf("lab: not inside the lab: TestMain must call lab.Main")
	}
	fabric, err := newSpace(func() error {
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)
		return nil
	})
	if err != nil {
		t.Fatalf("lab: make the fabric: %v", err)
	}
	n := &Net{t: t, fabric: fabric, bridges: map[string]int{}}
	t.Cleanup(fabric.close)
	return n
}

// Bridge makes a layer-2 segment, if there is none of this name. Hosts are put on "lan" by default.
func (n *Net) Bridge(name string) {
	n.t.Helper()
	if _, err := n.bridge(name); err != nil {
		n.t.Fatalf("lab: bridge %s: %v", name, err)
	}
}

func (n *Net) bridge(name string) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i, ok := n.bridges[name]; ok {
		return i, nil
	}
	// No snooping: nobody sends MLD queries here, and neighbour solicitations are multicast.
	off := false
	br := &netlink.Bridge{
		LinkAttrs:         netlink.LinkAttrs{Name: name, TxQLen: -1, Flags: 0},
		MulticastSnooping: &off,
	}
	if err := n.fabric.nl.LinkAdd(br); err != nil {
		return 0, err
	}
	if err := n.fabric.nl.LinkSetUp(br); err != nil {
		return 0, err
	}
	link, err := n.fabric.nl.LinkByName(name)
	if err != nil {
		return 0, err
	}
	n.bridges[name] = link.Attrs().Index
	return link.Attrs().Index, nil
}

// Host makes a host on the bridge "lan"; its interface eth0 gets the addresses, in CIDR form.
func (n *Net) Host(name string, addrs ...string) *Host {
	n.t.Helper()
	return n.Bare(name).Attach("lan", "eth0", addrs...)
}

// Bare makes a host without any interface but lo.
func (n *Net) Bare(name string) *Host {
	n.t.Helper()
	sp, err := newSpace(func() error { return settleHost(name) })
	if err != nil {
		n.t.Fatalf("lab: host %s: %v", name, err)
	}
	h := &Host{Name: name, net: n, t: n.t, space: sp, ports: map[string]*port{}}
	n.mu.Lock()
	n.hosts = append(n.hosts, h)
	n.mu.Unlock()
	n.t.Cleanup(sp.close)
	lo, err := sp.nl.LinkByName("lo")
	if err == nil {
		err = sp.nl.LinkSetUp(lo)
	}
	if err != nil {
		n.t.Fatalf("lab: host %s: set lo up: %v", name, err)
	}
	return h
}

// settleHost runs in the new namespaces of a host. Duplicate address detection would make every IPv6 address wait for a
// second; no test here is about it, and one that is may switch it on. Its processes see the host's name as their own.
func settleHost(name string) error {
	if err := unix.Unshare(unix.CLONE_NEWUTS); err != nil {
		return fmt.Errorf("unshare the host's name: %v", err)
	}
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("set the host's name: %v", err)
	}
	for _, k := range []string{"all", "default"} {
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+k+"/accept_dad", []byte("0"), 0)
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+k+"/dad_transmits", []byte("0"), 0)
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mount sysfs: %v", err)
	}
	return nil
}

// Hosts are the hosts of the network in the order of their making.
func (n *Net) Hosts() []*Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]*Host(nil), n.hosts...)
}

// patience is how long Eventually waits at least: it tells a thing that never comes from one that comes late on a busy
// machine, and how soon things come is for benchmarks to say.
const patience = 20 * time.Second

// Eventually asks ok every 20 ms until it is true, and fails the test after the timeout (20 s at least), saying what was
// awaited.
func Eventually(t T, timeout time.Duration, what string, ok func() bool) {
	t.Helper()
	timeout = max(timeout, patience)
	start := time.Now()
	for {
		if ok() {
			return
		}
		if time.Since(start) > timeout {
			t.Fatalf("waited %v in vain for: %s", timeout, what)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}
