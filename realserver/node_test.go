package realserver

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// host is a node on a fake kernel with its files in a folder of the test.
type host struct {
	*Node
	kernel *fakeKernel
	out    bytes.Buffer
}

func newHost(t *testing.T, files ...string) *host {
	t.Helper()
	h := &host{kernel: newFake().withEthernet()}
	h.Node = &Node{
		Kernel: h.kernel, Root: t.TempDir(), RecordFile: RecordFile, Executable: "/usr/sbin/ipvsd",
		Sockets: func() ([]Socket, error) { return nil, nil }, Out: &h.out,
	}
	h.put(t, files...)
	return h
}

// put makes files; "name=content" or a name alone.
func (h *host) put(t *testing.T, files ...string) {
	t.Helper()
	for _, f := range files {
		name, content, _ := strings.Cut(f, "=")
		name = filepath.Join(h.Root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (h *host) setup(t *testing.T, o Options) (string, error) {
	t.Helper()
	h.out.Reset()
	err := h.Setup(mustGoal(t, o))
	return h.out.String(), err
}

// everything is what teardown must bring back: the kernel and all files.
func (h *host) everything(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	s, _ := h.kernel.Read()
	for _, a := range s.Addrs {
		all[fmt.Sprint(a.Prefix, a.Link)] = a.Label
	}
	for key, v := range s.Sysctls {
		if tunnels[key.link()] == "" {
			all[string(key)] = v
		}
	}
	for name, l := range s.Links {
		if tunnels[name] == "" || l.Up {
			all["link "+name] = fmt.Sprint(l)
		}
	}
	err := filepath.WalkDir(h.Root, func(name string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			f, ferr := readFile("", name)
			if ferr != nil {
				return ferr
			}
			all[name] = f.Content + f.Target
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// unitNode and others are what a node's root folder holds.
var (
	unitNode     = []string{"/usr/lib/systemd/systemd"}
	ifupdownNode = []string{
		"/usr/lib/systemd/systemd", "/sbin/ifup", "/etc/systemd/system/multi-user.target.wants/networking.service",
		"/etc/network/interfaces=source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n",
	}
	networkdNode = []string{
		"/usr/lib/systemd/systemd", "/etc/systemd/system/multi-user.target.wants/systemd-networkd.service",
		"/etc/systemd/network/10-eth0.network=[Match]\nName=eth0\n",
	}
)

var many = Options{VIPs: []string{"192.168.0.105", "192.168.0.106", "fd00::105"}, Persist: true}

// TestTwice: a second setup changes nothing and says so, for every scheme.
func TestTwice(t *testing.T) {
	for name, files := range map[string][]string{"unit": unitNode, "ifupdown": ifupdownNode, "networkd": networkdNode} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, files...)
			before := h.everything(t)
			if _, err := h.setup(t, many); err != nil {
				t.Fatal(err)
			}
			after := h.everything(t)
			out, err := h.setup(t, many)
			if err != nil || out != "nothing to change: everything is in place\n" {
				t.Errorf("second setup: %v\n%s", err, out)
			}
			if diff := cmp.Diff(after, h.everything(t)); diff != "" {
				t.Errorf("second setup changed (-first +second):\n%s", diff)
			}
			if r, err := h.Status(Goal{}); err != nil || !r.OK() {
				t.Errorf("status: %v, missing %v", err, r.Missing)
			}
			if err := h.Teardown(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, h.everything(t)); diff != "" {
				t.Errorf("after teardown (-want +got):\n%s", diff)
			}
			if err := h.Teardown(); err != nil || !strings.HasSuffix(h.out.String(), "nothing to put back: no setup is recorded in "+RecordFile+"\n") {
				t.Errorf("second teardown: %v\n%s", err, h.out.String())
			}
		})
	}
}

// TestFailures: whichever step fails, setup goes on from there, and teardown
// goes back from there.
func TestFailures(t *testing.T) {
	tun := Options{VIPs: []string{"192.168.0.105", "fd00::105"}, Method: "tun", Persist: true}
	for _, opts := range []Options{many, tun} {
		for step := 1; ; step++ {
			h := newHost(t, ifupdownNode...)
			before := h.everything(t)
			h.kernel.failAt = step
			_, err := h.setup(t, opts)
			if err == nil {
				if step < 3 {
					t.Fatalf("no step failed")
				}
				break
			}
			if !strings.Contains(err.Error(), "injected failure") || !strings.Contains(err.Error(), fmt.Sprintf("%d of ", step-1)) {
				t.Errorf("step %d: %v", step, err)
			}
			if r, _ := h.Status(Goal{}); r.OK() {
				t.Errorf("step %d failed, and status says that nothing is missing", step)
			}
			if _, err := h.setup(t, opts); err != nil {
				t.Errorf("setup after step %d failed: %v", step, err)
			}
			if r, err := h.Status(Goal{}); err != nil || !r.OK() {
				t.Errorf("status after step %d failed and setup: %v, %v", step, err, r.Missing)
			}
			// And back, with a failure at each step of that.
			for k := 1; ; k++ {
				h.kernel.steps, h.kernel.failAt = 0, k
				if err := h.Teardown(); err == nil {
					break
				}
				if _, err := os.Stat(h.recordPath()); err != nil {
					t.Errorf("teardown failed at step %d and the record is gone: %v", k, err)
				}
			}
			if diff := cmp.Diff(before, h.everything(t)); diff != "" {
				t.Errorf("after failures and teardown (-want +got):\n%s", diff)
			}
		}
	}
}

// TestExtended: values from before the first setup stay the ones to go back to.
func TestExtended(t *testing.T) {
	h := newHost(t, unitNode...)
	h.kernel.state.Sysctls[conf4("all", "arp_announce")] = "1"
	h.kernel.state.Addrs = append(h.kernel.state.Addrs, lo("192.168.0.104/32", "lo:0"))
	before := h.everything(t)
	for _, vip := range []string{"192.168.0.104", "192.168.0.105", "192.168.0.106"} {
		if _, err := h.setup(t, Options{VIPs: []string{vip}}); err != nil {
			t.Fatal(err)
		}
	}
	h.kernel.state.Sysctls[conf4("all", "arp_ignore")] = "5" // somebody else's
	out, err := h.setup(t, Options{VIPs: []string{"192.168.0.105"}, Persist: true})
	want := `net.ipv4.conf.all.arp_ignore: 5 -> 1
wrote /etc/sysctl.d/90-ipvsd-realserver.conf
wrote /etc/systemd/system/ipvsd-realserver.service
wrote /etc/systemd/system/multi-user.target.wants/ipvsd-realserver.service
note: 192.168.0.104/32 was on lo before setup; teardown will leave it there
it comes back after a reboot through a systemd unit: neither systemd-networkd nor ifupdown runs this node's network
`
	if err != nil || out != want {
		t.Errorf("got %v\n%swant\n%s", err, out, want)
	}
	if out, err = h.setup(t, Options{VIPs: []string{"192.168.0.107"}}); err != nil || strings.Contains(out, "--persist") {
		t.Errorf("a later VIP is not persisted: %v\n%s", err, out)
	}
	// The boot: the unit runs setup without arguments.
	h.kernel.state.Addrs = slices.DeleteFunc(h.kernel.state.Addrs, func(a Addr) bool { return a.Link == "lo" && a.Label != "lo" && a.Label != "lo:0" })
	if _, err = h.setup(t, Options{}); err != nil || !h.kernel.state.has(lo("192.168.0.107/32", "")) || !h.kernel.state.has(lo("192.168.0.105/32", "")) {
		t.Errorf("setup from the record: %v, %v", err, h.kernel.state.Addrs)
	}
	if err := h.Teardown(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, h.everything(t)); diff != "" {
		t.Errorf("after teardown (-want +got):\n%s", diff)
	}
}

// TestReboot: with --persist the node boots with our values, without with its own.
func TestReboot(t *testing.T) {
	h := newHost(t, unitNode...)
	before := h.everything(t)
	if _, err := h.setup(t, many); err != nil {
		t.Fatal(err)
	}
	h.kernel.state.Addrs = slices.DeleteFunc(h.kernel.state.Addrs, func(a Addr) bool { return strings.HasPrefix(a.Label, "lo:") })
	out, err := h.setup(t, Options{VIPs: many.VIPs}) // what the unit runs
	want := "added 192.168.0.105/32 to lo (label lo:0)\nadded 192.168.0.106/32 to lo (label lo:1)\n"
	if err != nil || out != want {
		t.Errorf("at boot: %v\n%swant\n%s", err, out, want)
	}
	asTun := mustGoal(t, Options{VIPs: []string{"192.168.0.105"}, Method: "tun"})
	if r, err := h.Status(asTun); err != nil || !r.OK() {
		t.Errorf("status of a VIP whose method the record knows: %v, %v", err, r.Missing)
	}
	h.kernel.state.Sysctls[conf4("all", "arp_ignore")] = "0"
	h.kernel.state.Addrs = h.kernel.state.Addrs[:2]
	if r, _ := h.Status(Goal{}); len(r.Missing) != 4 {
		t.Errorf("missing %v, want arp_ignore and three addresses", r.Missing)
	}
	if err := h.Teardown(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, h.everything(t)); diff != "" {
		t.Errorf("after teardown (-want +got):\n%s", diff)
	}
}

func TestForeignFiles(t *testing.T) {
	h := newHost(t, append([]string{sysctlFile + "=mine\n"}, unitNode...)...)
	before := h.everything(t)
	_, err := h.setup(t, many)
	want := sysctlFile + " is there already and was not written by ipvsd realserver; move it away and try again"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if diff := cmp.Diff(before, h.everything(t)); diff != "" {
		t.Errorf("a refused setup changed (-want +got):\n%s", diff)
	}
	if err := os.Remove(filepath.Join(h.Root, sysctlFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.setup(t, many); err != nil {
		t.Fatal(err)
	}
	h.put(t, unitFile+"=edited by hand\n")
	if r, _ := h.Status(Goal{}); len(r.Missing) != 1 || !strings.Contains(r.Missing[0].What, unitFile) {
		t.Errorf("status with an edited file: %v", r.Missing)
	}
	if err := h.Teardown(); err != nil || !strings.Contains(h.out.String(), "note: "+unitFile+" no longer says") {
		t.Errorf("teardown with an edited file: %v\n%s", err, h.out.String())
	}
	if !exists(h.Root, unitFile) || exists(h.Root, sysctlFile) {
		t.Error("teardown must remove our files, and leave the edited one")
	}
}

func TestDryRun(t *testing.T) {
	h := newHost(t, unitNode...)
	h.DryRun = true
	before := h.everything(t)
	out, err := h.setup(t, many)
	if err != nil || !strings.HasPrefix(out, "sysctl -w net.ipv4.conf.all.arp_ignore=1\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if diff := cmp.Diff(before, h.everything(t)); diff != "" {
		t.Errorf("a dry run changed (-want +got):\n%s", diff)
	}
}

func TestBadRecord(t *testing.T) {
	for content, want := range map[string]string{
		`{`:               "repair it, or delete it and undo by hand",
		`{"version": 99}`: "its version is 99, this ipvsd knows 1",
	} {
		h := newHost(t, RecordFile+"="+content)
		if err := h.Teardown(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("record %s: %v, want %q", content, err, want)
		}
	}
	h := newHost(t)
	if _, err := h.setup(t, Options{}); err == nil || !strings.Contains(err.Error(), "no VIP given") {
		t.Errorf("setup of nothing: %v", err)
	}
}

func TestCheck(t *testing.T) {
	k := newFake().withEthernet()
	k.state.Addrs = append(k.state.Addrs, Addr{Prefix: netip.MustParsePrefix("192.168.0.105/32"), Link: "eth0", Label: "eth0"})
	k.state.Proxies = []Proxy{{netip.MustParseAddr("fd00::105"), "eth0"}}
	have, _ := k.Read()
	sockets := []Socket{
		{"tcp", netip.MustParseAddrPort("0.0.0.0:80")},
		{"tcp", netip.MustParseAddrPort("127.0.0.1:25")},
		{"udp", netip.MustParseAddrPort("192.168.0.105:53")},
	}
	got := Check(have, mustGoal(t, Options{VIPs: []string{"192.168.0.105", "fd00::105"}}), sockets)
	var b bytes.Buffer
	if err := got.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := `192.168.0.105  dr  not on lo  served on tcp 0.0.0.0:80, udp 192.168.0.105:53
fd00::105      dr  not on lo  
missing: 192.168.0.105 is on eth0 as 192.168.0.105/32
  why:  there it is this node's own address, for which it answers ARP or neighbour solicitations
  cure: ip addr del 192.168.0.105/32 dev eth0
missing: eth0 answers neighbour solicitations for fd00::105 as a proxy
  why:  clients then reach this node past the director
  cure: ip -6 neigh del proxy fd00::105 dev eth0
missing: net.ipv4.conf.all.arp_ignore is 0
  why:  this node answers ARP for every VIP, so clients reach it past the director
  cure: sysctl -w net.ipv4.conf.all.arp_ignore=1
missing: net.ipv4.conf.all.arp_announce is 0
  why:  this node's ARP requests carry the VIP as sender and draw its traffic here
  cure: sysctl -w net.ipv4.conf.all.arp_announce=2
missing: fd00::105/128 is not on lo
  why:  this node drops packets for it: the address is not its own
  cure: ip addr add fd00::105/128 dev lo nodad preferred_lft 0
note: no server listens on fd00::105 (nor on ::)
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCheckRoute(t *testing.T) {
	gw := func(text string) Route { return Route{Gateway: netip.MustParseAddr(text), Link: "eth0"} }
	for _, c := range []struct {
		name, gateway string
		routes        []Route
		missing       []string
	}{
		{"right", "192.168.0.103", []Route{gw("192.168.0.103")}, nil},
		{"wrong", "192.168.0.103", []Route{gw("192.168.0.1")}, []string{"the IPv4 default route is via 192.168.0.1 dev eth0, not via 192.168.0.103"}},
		{"two", "192.168.0.103", []Route{gw("192.168.0.103"), gw("192.168.0.1")}, []string{"there are several IPv4 default routes: via 192.168.0.1 dev eth0, via 192.168.0.103 dev eth0"}},
		{"none", "192.168.0.103", nil, []string{"the IPv4 default route is missing, not via 192.168.0.103"}},
		{"none, not asked", "", nil, []string{"there is no IPv4 default route"}},
		{"any, not asked", "", []Route{gw("192.168.0.1")}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Check(State{Routes: c.routes}, mustGoal(t, Options{Method: "nat", Gateway: c.gateway}), nil)
			var got []string
			for _, f := range r.Missing {
				got = append(got, f.What)
			}
			if diff := cmp.Diff(c.missing, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
