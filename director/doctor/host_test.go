package doctor

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/table"
	"github.com/ipvsd/ipvsd/realserver"
)

// fakeHost is a /proc and a /lib/modules in a folder of the test.
type fakeHost struct {
	t *testing.T
	Sources
	dir string
}

func newHost(t *testing.T) *fakeHost {
	t.Helper()
	dir := t.TempDir()
	h := &fakeHost{t: t, dir: dir, Sources: Sources{
		Proc: filepath.Join(dir, "proc"), Modules: filepath.Join(dir, "modules"), Record: filepath.Join(dir, "record.json"),
	}}
	h.link("proc/thread-self/ns/net", "net:[1]")
	h.process(1, "systemd", "/sbin/init\x00", "net:[1]")
	return h
}

func (h *fakeHost) write(name, text string) {
	h.t.Helper()
	full := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

func (h *fakeHost) link(name, target string) {
	h.t.Helper()
	full := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Symlink(target, full); err != nil {
		h.t.Fatal(err)
	}
}

func (h *fakeHost) process(pid int, comm, cmdline, netns string, fds ...string) {
	dir := fmt.Sprintf("proc/%d/", pid)
	h.write(dir+"comm", comm+"\n")
	h.write(dir+"cmdline", cmdline)
	h.link(dir+"ns/net", netns)
	for i, fd := range fds {
		h.link(fmt.Sprintf("%sfd/%d", dir, i), fd)
	}
}

func (h *fakeHost) sysctl(path string) string {
	h.t.Helper()
	b, err := os.ReadFile(filepath.Join(h.Proc, "sys", path))
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// TestGather reads a host that another program shares: module indexes, sysctls,
// sockets and processes, those of other network namespaces left out.
func TestGather(t *testing.T) {
	h := newHost(t)
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		t.Fatal(err)
	}
	release := unix.ByteSliceToString(uts.Release[:])
	h.write("modules/"+release+"/modules.dep", "kernel/net/netfilter/ipvs/ip_vs.ko.xz: kernel/a.ko.xz\nkernel/net/netfilter/ipvs/ip_vs_pe_sip.ko:\n")
	h.write("modules/"+release+"/modules.builtin", "kernel/net/8021q/x-y.ko\n")
	h.write("proc/modules", "ip_vs_wlc 16384 0 - Live 0x0000000000000000\n")
	h.write("proc/thread-self/net/ip_vs", "")
	h.write("proc/sys/net/ipv4/vs/conntrack", "1\n")
	h.write("proc/sys/net/ipv4/vs/sync_threshold", "3\t50\n")
	h.write("proc/sys/net/ipv4/conf/eth0.7/rp_filter", "2\n")
	h.write("proc/thread-self/net/tcp", "  sl  local_address rem_address   st\n"+
		"   0: 0100007F:239D 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n"+
		"   1: 0100007F:239E 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1\n")
	h.process(11, "nginx", "nginx: master process\x00", "net:[1]", "socket:[4711]")
	h.process(12, "ldirectord", "/usr/bin/perl\x00-w\x00/usr/sbin/ldirectord\x00start\x00", "net:[1]")
	h.process(13, "ldirectord", "", "net:[2]")
	h.process(14, "exe", "/usr/sbin/keepalived\x00--vrrp\x00", "net:[1]")

	f := h.Gather(t.Context(), Asked{Config: &config.Config{HTTP: config.HTTP{Listen: "127.0.0.1:9117"}}})
	want := map[string]bool{"ip_vs": true, "ip_vs_pe_sip": true, "x_y": true, "ip_vs_wlc": true}
	if diff := cmp.Diff(Modules{Known: true, Available: want}, f.Modules); diff != "" || !f.IPVS || !f.Host.Conntrack {
		t.Errorf("modules (-want +got):\n%s; ip_vs %v, conntrack %v", diff, f.IPVS, f.Host.Conntrack)
	}
	wantSysctls := map[string]string{"net/ipv4/vs/conntrack": "1", "net/ipv4/vs/sync_threshold": "3 50", "net/ipv4/conf/eth0.7/rp_filter": "2"}
	if diff := cmp.Diff(wantSysctls, f.Sysctls); diff != "" {
		t.Errorf("sysctls (-want +got):\n%s", diff)
	}
	wantProcesses := []Process{{12, "ldirectord", []string{"/usr/bin/perl", "-w", "/usr/sbin/ldirectord", "start"}}, {14, "keepalived", []string{"/usr/sbin/keepalived", "--vrrp"}}}
	if diff := cmp.Diff(wantProcesses, f.Processes); diff != "" {
		t.Errorf("processes (-want +got):\n%s", diff)
	}
	if want := []Listener{listener("127.0.0.1:9117", 11, "nginx")}; !slices.Equal(f.Listeners, want) {
		t.Errorf("listeners %v, want %v", f.Listeners, want)
	}
	if f.Node != nil || f.Answers != nil || slices.Contains(f.Blind, "owner") {
		t.Errorf("a node %v and answers %v out of nothing; blind for %q", f.Node, f.Answers, f.Blind)
	}
	if err := os.RemoveAll(filepath.Join(h.Proc, "1")); err != nil {
		t.Fatal(err)
	}
	if f := h.Gather(t.Context(), Asked{}); !slices.Contains(f.Blind, "owner") {
		t.Errorf("where /proc hides processes: blind for %q, unknown %q", f.Blind, f.Unknown)
	}
}

// TestFix carries out what the findings of a wrong host ask for, and finds
// nothing more.
func TestFix(t *testing.T) {
	h := newHost(t)
	key := filepath.Join(h.dir, "cluster.key")
	h.write("cluster.key", "secret\n")
	f := healthy()
	f.withCluster()
	f.Config.Cluster.KeyFile, f.KeyMode = key, 0o644
	f.withReal(drReal, table.NAT, Route{"eth0", 1500})
	f.Far[vip4] = Route{"eth1", 1500}
	f.set("net/ipv4/conf/all/rp_filter", "1", "net/ipv4/vs/sync_threshold", "3 50")
	for path, value := range f.Sysctls {
		h.write("proc/sys/"+path, value+"\n")
	}
	var done []string
	for _, x := range Diagnose(*f) {
		for _, a := range x.Actions {
			a, err := h.Do(a)
			if err != nil {
				t.Fatal(err)
			}
			done = append(done, a.Done())
		}
	}
	slices.Sort(done)
	want := []string{
		"mode of " + key + ": 0644 -> 600",
		"net.ipv4.conf.all.send_redirects: 1 -> 0",
		"net.ipv4.conf.eth0.rp_filter: 0 -> 2",
		"net.ipv4.conf.eth0.send_redirects: 1 -> 0",
		"net.ipv4.ip_forward: 0 -> 1",
		"net.ipv4.vs.sync_threshold: 3 50 -> 3 0",
	}
	if diff := cmp.Diff(want, done); diff != "" {
		t.Errorf("done (-want +got):\n%s", diff)
	}
	if got := h.sysctl("net/ipv4/conf/eth0/rp_filter"); got != "2" {
		t.Errorf("rp_filter is %s", got)
	}
	info, err := os.Stat(key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key: %v, %v", info.Mode(), err)
	}
	h.sysctls(f)
	f.KeyMode = info.Mode()
	if left := Diagnose(*f); len(left) > 0 {
		t.Errorf("left: %+v", left)
	}
	if _, err := h.Do(Action{Op: SetSysctl, Name: "net/ipv4/nosuch/key", New: "1"}); err == nil || !strings.HasPrefix(err.Error(), "sysctl -w net.ipv4.nosuch.key=1: ") {
		t.Errorf("an impossible action: %v", err)
	}
}

func TestActions(t *testing.T) {
	for _, tt := range []struct {
		a                         Action
		command, done, line, file string
	}{
		{
			Action{SetSysctl, "net/ipv4/conf/eth0.7/rp_filter", "1", "2"},
			"sysctl -w net.ipv4.conf.eth0/7.rp_filter=2",
			"net.ipv4.conf.eth0/7.rp_filter: 1 -> 2", "net.ipv4.conf.eth0/7.rp_filter = 2", "/etc/sysctl.d/60-ipvsd.conf",
		},
		{Action{Op: LoadModule, Name: "ip_vs"}, "modprobe ip_vs", "loaded module ip_vs", "ip_vs", "/etc/modules-load.d/ipvsd.conf"},
		{Action{SetMode, "/k", "0644", "600"}, "chmod 600 /k", "mode of /k: 0644 -> 600", "", ""},
		{Action{Op: RepairNode, New: "a: 0 -> 1"}, "ipvsd realserver setup", "a: 0 -> 1", "", ""},
	} {
		line, file := tt.a.Lasting()
		if tt.a.String() != tt.command || tt.a.Done() != tt.done || line != tt.line || file != tt.file {
			t.Errorf("%q, %q, %q, %q; want %+v", tt.a, tt.a.Done(), line, file, tt)
		}
	}
}

// TestAsked reads where the file wants to listen.
func TestAsked(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:9117": "[tcp 127.0.0.1:9117]", "[::1]:80": "[tcp [::1]:80]", ":80": "[tcp [::]:80]",
		"localhost:80": "[tcp [::]:80]", "": "[]", "127.0.0.1:0": "[]",
	} {
		f := Facts{Config: &config.Config{HTTP: config.HTTP{Listen: listen}}}
		if got := fmt.Sprint(f.asked()); got != want {
			t.Errorf("%q: %s, want %s", listen, got, want)
		}
	}
	f := healthy()
	f.withCluster()
	if got := fmt.Sprint(f.asked()); got != "[tcp 127.0.0.1:9117 tcp 192.0.2.1:7946 udp 192.0.2.1:7946]" {
		t.Errorf("with a cluster: %s", got)
	}
}

// FuzzProc feeds what /proc and /lib/modules could hold.
func FuzzProc(f *testing.F) {
	f.Add("kernel/net/a-b.ko.xz: c.ko\n", "ip_vs 1 0 -\n", "/usr/sbin/ldirectord\x00-x\x00", "ldirectord\n")
	f.Add("\x00.ko", " ", "\x00\x00", "keepalived /etc")
	f.Fuzz(func(t *testing.T, index, loaded, cmdline, comm string) {
		into := map[string]bool{}
		parseModulePaths(into, []byte(index))
		if into[""] || len(into) > strings.Count(index, "\n")+1 {
			t.Errorf("modules %v of %q", into, index)
		}
		for name := range into {
			if strings.ContainsAny(name, "-/\n") {
				t.Errorf("module %q", name)
			}
		}
		clear(into)
		parseLoaded(into, []byte(loaded))
		if into[""] || len(into) > strings.Count(loaded, "\n")+1 {
			t.Errorf("loaded %v of %q", into, loaded)
		}
		if name := nameOf(comm, parseArgs([]byte(cmdline))); name != "" && ownerCure[name] == "" {
			t.Errorf("program %q", name)
		}
	})
}

// FuzzClash: whether two sockets are in each other's way doesn't depend on the
// order, and one is in its own.
func FuzzClash(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1}, []byte{0, 0, 0, 0}, uint16(80))
	f.Add([]byte{127, 0, 0, 1}, make([]byte, 16), uint16(80))
	f.Fuzz(func(t *testing.T, x, y []byte, port uint16) {
		ax, ok1 := netip.AddrFromSlice(x)
		ay, ok2 := netip.AddrFromSlice(y)
		if !ok1 || !ok2 {
			return
		}
		a := realserver.Socket{Protocol: "tcp", Addr: netip.AddrPortFrom(ax.Unmap(), port)}
		b := realserver.Socket{Protocol: "tcp", Addr: netip.AddrPortFrom(ay.Unmap(), port)}
		if clash(a, b) != clash(b, a) || !clash(a, a) {
			t.Errorf("%v, %v", a, b)
		}
	})
}

// --fix runs as root, in a directory where the director's user can put a link in
// the key's place.
func TestKeyModeTakesNoLink(t *testing.T) {
	h := newHost(t)
	h.write("secret", "")
	h.link("key", filepath.Join(h.dir, "secret"))
	mode := func() os.FileMode {
		info, err := os.Stat(filepath.Join(h.dir, "secret"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode()
	}
	for name, want := range map[string]os.FileMode{"key": 0o644, "secret": 0o600} {
		if err := os.Chmod(filepath.Join(h.dir, "secret"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := h.Do(Action{Op: SetMode, Name: filepath.Join(h.dir, name), Old: "0644", New: "600"})
		if (err == nil) != (name == "secret") || mode() != want {
			t.Errorf("%s: %v, mode %v", name, err, mode())
		}
	}
}
