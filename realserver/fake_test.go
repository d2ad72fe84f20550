package realserver

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// fakeKernel obeys the rules of contract: what it refuses, Linux refuses.
type fakeKernel struct {
	mu     sync.Mutex
	state  State
	failAt int // the step that fails, counted from 1; 0 none
	steps  int
}

var errInjected = errors.New("injected failure")

// newFake is a host with lo and eth0, all sysctls at their defaults.
func newFake() *fakeKernel {
	f := &fakeKernel{state: State{Links: map[string]Link{"lo": {Up: true, Loopback: true}}, Sysctls: map[Key]string{}}}
	for _, link := range []string{"all", "default", "lo"} {
		f.addConf(link)
	}
	f.state.Addrs = []Addr{{Prefix: netip.MustParsePrefix("127.0.0.1/8"), Link: "lo", Label: "lo"}}
	return f
}

// withEthernet adds eth0 with an address and the default route.
func (f *fakeKernel) withEthernet() *fakeKernel {
	f.state.Links["eth0"] = Link{Up: true}
	f.addConf("eth0")
	f.state.Addrs = append(f.state.Addrs,
		Addr{Prefix: netip.MustParsePrefix("192.168.0.101/24"), Link: "eth0", Label: "eth0"})
	f.state.Routes = []Route{{Gateway: netip.MustParseAddr("192.168.0.1"), Link: "eth0"}}
	return f
}

func (f *fakeKernel) addConf(link string) {
	inherit := func(key, from Key) {
		f.state.Sysctls[key] = "0"
		if v, ok := f.state.Sysctls[from]; ok {
			f.state.Sysctls[key] = v
		}
	}
	for _, name := range []string{"arp_ignore", "arp_announce", "rp_filter", "accept_redirects"} {
		inherit(conf4(link, name), conf4("default", name))
	}
	for _, name := range []string{"accept_redirects", "disable_ipv6"} {
		inherit(conf6(link, name), conf6("default", name))
	}
}

func (f *fakeKernel) Read() (State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.state
	s.Links = maps.Clone(s.Links)
	s.Sysctls = maps.Clone(s.Sysctls)
	s.Addrs = slices.Clone(s.Addrs)
	s.Routes = slices.Clone(s.Routes)
	return s, nil
}

func (f *fakeKernel) Do(s Step) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steps++
	if f.steps == f.failAt {
		return errInjected
	}
	switch s.Op {
	case OpModule:
		for link, module := range tunnels {
			if _, ok := f.state.Links[link]; module == s.Module && !ok {
				f.state.Links[link] = Link{}
				f.addConf(link)
			}
		}
		return nil
	case OpSysctl:
		if _, ok := f.state.Sysctls[s.Key]; !ok {
			return os.ErrNotExist
		}
		f.state.Sysctls[s.Key] = s.New
		return nil
	case OpLink:
		link, ok := f.state.Links[s.Link]
		if !ok {
			return errors.New("Link not found")
		}
		link.Up = s.New == "up"
		f.state.Links[s.Link] = link
		return nil
	}
	if _, ok := f.state.Links[s.Addr.Link]; !ok {
		return errors.New("Link not found")
	}
	there := slices.IndexFunc(f.state.Addrs, func(a Addr) bool { return a.Prefix == s.Addr.Prefix && a.Link == s.Addr.Link })
	switch {
	case s.Op == OpAdd && there >= 0:
		return unix.EEXIST
	case s.Op == OpAdd:
		f.state.Addrs = append(f.state.Addrs, s.Addr)
	case there < 0:
		return unix.EADDRNOTAVAIL
	default:
		f.state.Addrs = slices.Delete(f.state.Addrs, there, there+1)
	}
	return nil
}

// contract is what setup and teardown rely on; the fake and Linux pass it.
func contract(t *testing.T, k Kernel) {
	t.Helper()
	read := func() State {
		t.Helper()
		s, err := k.Read()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := read()
	for _, c := range []struct {
		name string
		step Step
		want error // nil: must succeed; errAny: must fail somehow
	}{
		{"sysctl", Step{Op: OpSysctl, Key: conf4("all", "arp_ignore"), New: "1"}, nil},
		{"sysctl again", Step{Op: OpSysctl, Key: conf4("all", "arp_ignore"), New: "1"}, nil},
		{"sysctl of no interface", Step{Op: OpSysctl, Key: conf4("none0", "arp_ignore"), New: "1"}, os.ErrNotExist},
		{"link down", Step{Op: OpLink, Link: "lo", New: "down"}, nil},
		{"link up", Step{Op: OpLink, Link: "lo", New: "up"}, nil},
		{"no link", Step{Op: OpLink, Link: "none0", New: "up"}, errAny},
		{"add", Step{Op: OpAdd, Addr: lo("192.0.2.1/32", "lo:0")}, nil},
		{"add again", Step{Op: OpAdd, Addr: lo("192.0.2.1/32", "lo:0")}, unix.EEXIST},
		{"add IPv6", Step{Op: OpAdd, Addr: lo("2001:db8::1/128", "")}, nil},
		{"add IPv6 again", Step{Op: OpAdd, Addr: lo("2001:db8::1/128", "")}, unix.EEXIST},
		{"add to no link", Step{Op: OpAdd, Addr: Addr{Prefix: netip.MustParsePrefix("192.0.2.1/32"), Link: "none0"}}, errAny},
		{"label of another", Step{Op: OpAdd, Addr: lo("192.0.2.2/32", "lo:0")}, nil},
		{"remove", Step{Op: OpRemove, Addr: lo("192.0.2.2/32", "lo:0")}, nil},
		{"remove again", Step{Op: OpRemove, Addr: lo("192.0.2.2/32", "lo:0")}, unix.EADDRNOTAVAIL},
	} {
		err := k.Do(c.step)
		if c.want == errAny && err != nil {
			continue
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	s := read()
	if !s.has(lo("192.0.2.1/32", "")) || !s.has(lo("2001:db8::1/128", "")) || s.has(lo("192.0.2.2/32", "")) {
		t.Errorf("addresses after the steps: %v", s.Addrs)
	}
	if a, _ := s.find(netip.MustParseAddr("192.0.2.1"), func(Addr) bool { return true }); a.Label != "lo:0" {
		t.Errorf("label %q, want lo:0", a.Label)
	}
	if v := s.Sysctls[conf4("all", "arp_ignore")]; v != "1" {
		t.Errorf("arp_ignore %q, want 1", v)
	}
	for _, step := range []Step{
		{Op: OpSysctl, Key: conf4("all", "arp_ignore"), New: before.Sysctls[conf4("all", "arp_ignore")]},
		{Op: OpRemove, Addr: lo("192.0.2.1/32", "")},
		{Op: OpRemove, Addr: lo("2001:db8::1/128", "")},
	} {
		if err := k.Do(step); err != nil {
			t.Errorf("%s: %v", step.Command(), err)
		}
	}
	sorted := cmpopts.SortSlices(func(a, b Addr) bool { return fmt.Sprint(a) < fmt.Sprint(b) })
	if diff := cmp.Diff(before, read(), sorted, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("not as before (-want +got):\n%s", diff)
	}
}

var errAny = errors.New("any error")

func lo(prefix, label string) Addr {
	return Addr{Prefix: netip.MustParsePrefix(prefix), Link: "lo", Label: label}
}

func TestContractFake(t *testing.T) { contract(t, newFake()) }

// TestContractLinux runs on this machine's kernel, in a namespace of its own.
func TestContractLinux(t *testing.T) {
	runtime.LockOSThread() // not unlocked: the thread ends with its namespace
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		if os.Getenv("REQUIRE_KERNEL") == "1" {
			t.Fatalf("new network namespace: %v", err)
		}
		t.Skipf("new network namespace: %v (needs root)", err)
	}
	link, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/thread-self/net/if_inet6"); err != nil {
		t.Skipf("this kernel has no IPv6: %v", err)
	}
	contract(t, Linux{})
}

func mustGoal(t *testing.T, o Options) Goal {
	t.Helper()
	goal, err := o.Goal()
	if err != nil {
		t.Fatal(err)
	}
	return goal
}

func commands(steps []Step) string { return strings.TrimSuffix(Script(steps), "\n") }
