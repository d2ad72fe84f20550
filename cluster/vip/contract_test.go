package vip

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestContract holds the fake kernel and the real one to the same rules. The
// real one is that of a network namespace of its own, in which the test binary
// is started once more; only its loopback is needed.
func TestContract(t *testing.T) {
	if os.Getenv("VIP_TEST_NETNS") != "" {
		lo, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetUp(lo)
		}
		if err != nil {
			t.Fatal(err)
		}
		contract(t, &linux{})
		return
	}
	t.Run("fake", func(t *testing.T) {
		contract(t, newFake(Link{Name: "lo", Index: 1, Loopback: true, Up: true, Carrier: true}))
	})
	t.Run("kernel", func(t *testing.T) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestContract$", "-test.v")
		cmd.Env = append(os.Environ(), "VIP_TEST_NETNS=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if os.Getuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
		}
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		switch {
		case errors.As(err, &exit):
			t.Errorf("in the namespace:\n%s", out)
		case err != nil && os.Getenv("REQUIRE_KERNEL") == "":
			t.Skipf("no network namespace for this user: %v", err)
		case err != nil:
			t.Errorf("no network namespace: %v", err)
		default:
			t.Logf("%s", out)
		}
	})
}

func contract(t *testing.T, k system) {
	p := netip.MustParsePrefix
	do := func(s Step, want error) {
		t.Helper()
		if err := k.Do(s); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", s, err, want)
		}
	}
	held := func() (out []Held) {
		t.Helper()
		f, err := k.Read()
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range f.Held {
			if !h.Addr.Addr().IsLoopback() {
				out = append(out, h)
			}
		}
		slices.SortFunc(out, func(a, b Held) int { return strings.Compare(a.Addr.String(), b.Addr.String()) })
		return out
	}
	want := func(what string, want ...Held) {
		t.Helper()
		if diff := cmp.Diff(want, held(), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	ours := func(addr string, seconds uint32, secondary bool) Held {
		return Held{Addr: p(addr), Interface: "lo", Ours: true, Loopback: true, Secondary: secondary, Seconds: seconds}
	}

	events := make(chan struct{}, 1)
	if _, fake := k.(*fakeKernel); !fake {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- k.Watch(ctx, func() { poke(events) }) }()
		defer func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Watch: %v", err)
			}
		}()
		await(t, events)
	}

	for _, a := range []string{"192.0.2.10/32", "2001:db8::10/128"} {
		do(Step{Add, p(a), "lo", Forever}, nil)
		if _, fake := k.(*fakeKernel); !fake {
			await(t, events)
		}
		want("added", ours(a, Forever, false))
		do(Step{Add, p(a), "lo", Forever}, errExist)
		do(Step{Change, p(a), "lo", 100}, nil)
		if got := held()[0]; got.Seconds < 98 || got.Seconds > 100 || !got.Ours {
			t.Errorf("given a lifetime: %+v", got)
		}
		do(Step{Change, p(a), "lo", Forever}, nil)
		want("made to stay", ours(a, Forever, false))
		do(Step{Op: Delete, Addr: p(a), Interface: "lo"}, nil)
		want("deleted")
		do(Step{Op: Delete, Addr: p(a), Interface: "lo"}, errNotFound)
		if err := k.Do(Step{Add, p(a), "eth9", Forever}); err == nil || err.Error() != "there is no interface eth9" {
			t.Errorf("add to a missing interface: %v", err)
		}
		do(Step{Op: Delete, Addr: p(a), Interface: "eth9"}, errNotFound)
	}

	// Two prefixes of one address: IPv4 has both, IPv6 one.
	do(Step{Add, p("192.0.2.10/24"), "lo", Forever}, nil)
	do(Step{Add, p("192.0.2.10/32"), "lo", Forever}, nil)
	do(Step{Add, p("2001:db8::10/64"), "lo", Forever}, nil)
	do(Step{Add, p("2001:db8::10/128"), "lo", Forever}, errExist)
	do(Step{Op: Delete, Addr: p("192.0.2.10/32"), Interface: "lo"}, nil)
	do(Step{Op: Delete, Addr: p("2001:db8::10/64"), Interface: "lo"}, nil)
	want("two prefixes", ours("192.0.2.10/24", Forever, false))

	// Secondary addresses leave with the primary one unless promoted.
	if _, fake := k.(*fakeKernel); !fake {
		if err := os.WriteFile("/proc/sys/net/ipv4/conf/all/promote_secondaries", []byte("0"), 0); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("/proc/sys/net/ipv4/conf/lo/promote_secondaries", []byte("0"), 0); err != nil {
			t.Fatal(err)
		}
	}
	do(Step{Add, p("192.0.2.11/24"), "lo", Forever}, nil)
	want("secondary", ours("192.0.2.10/24", Forever, false), ours("192.0.2.11/24", Forever, true))
	do(Step{Op: Delete, Addr: p("192.0.2.10/24"), Interface: "lo"}, nil)
	want("all gone with the first")
	do(Step{Add, p("192.0.2.10/24"), "lo", Forever}, nil)
	do(Step{Add, p("192.0.2.11/24"), "lo", Forever}, nil)
	do(Step{Op: Promote, Addr: p("192.0.2.10/24"), Interface: "lo"}, nil)
	do(Step{Op: Delete, Addr: p("192.0.2.10/24"), Interface: "lo"}, nil)
	want("promoted", ours("192.0.2.11/24", Forever, false))
	do(Step{Op: Delete, Addr: p("192.0.2.11/24"), Interface: "lo"}, nil)

	// A lifetime ends by itself, about then.
	do(Step{Add, p("192.0.2.10/32"), "lo", 1}, nil)
	do(Step{Add, p("2001:db8::10/128"), "lo", 1}, nil)
	deadline := time.Now().Add(5 * time.Second)
	for len(held()) > 0 && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond)
	}
	want("expired")

	contractProbe(t, k)
}

// contractProbe asks from one end of a cable for what the other end has.
func contractProbe(t *testing.T, k system) {
	v4, v6 := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8:1::1")
	link, holder := eth(2, "ask0"), [6]byte{2, 1}
	if fake, ok := k.(*fakeKernel); ok {
		fake.others = map[netip.Addr][][6]byte{v4: {holder}, v6: {holder}}
	} else {
		link, holder = cable(t, k, "203.0.113.1/24", "2001:db8:1::1/64")
	}
	for _, a := range []netip.Addr{v4, v6} {
		began := time.Now()
		got, err := k.Probe(t.Context(), link, []netip.Addr{a, a.Next()})
		if want := (claim{a, holder}); err != nil || len(slices.Compact(got)) != 1 || got[0] != want {
			t.Errorf("Probe(%s) = %v, %v; want %v", a, got, err, want)
		}
		t.Logf("Probe(%s) took %s", a, time.Since(began))
		if d := time.Since(began); d < 150*time.Millisecond || d > time.Second {
			t.Errorf("Probe(%s) took %s", a, d)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	if _, err := k.Probe(ctx, link, []netip.Addr{v4}); err != nil || time.Since(began) > 100*time.Millisecond {
		t.Errorf("a cancelled Probe: %v after %s", err, time.Since(began))
	}
}

// cable makes a cable between two interfaces, gives one end the addresses and
// returns the other end and the MAC of the first.
func cable(t *testing.T, k system, addrs ...string) (ask Link, holder [6]byte) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "ask0"}, PeerName: "hold0"}))
	for _, name := range []string{"ask0", "hold0"} {
		l, err := netlink.LinkByName(name)
		must(err)
		must(netlink.LinkSetUp(l))
		if name == "ask0" {
			continue
		}
		for _, a := range addrs {
			addr, err := netlink.ParseAddr(a)
			must(err)
			addr.Flags = unix.IFA_F_NODAD
			must(netlink.AddrAdd(l, addr))
		}
	}
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		f, err := k.Read()
		must(err)
		a, _ := f.link("ask0")
		h, _ := f.link("hold0")
		if a.Carrier && h.Carrier {
			return a, h.MAC
		}
	}
	t.Fatal("the cable has no carrier")
	return Link{}, [6]byte{}
}

func await(t *testing.T, events <-chan struct{}) {
	t.Helper()
	select {
	case <-events:
	case <-time.After(5 * time.Second):
		t.Error("no event of the change")
	}
}
