package syncdlab

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/director/ipvs/syncd"
	"github.com/ipvsd/ipvsd/director/ipvs/syncd/syncdtest"
	"github.com/ipvsd/ipvsd/director/table"
	"github.com/ipvsd/ipvsd/test/lab"
)

// real is the lab's kernel on one host.
type real struct {
	h *lab.Host
	k syncd.Linux
}

func (r real) Read(w syncd.Want) (have syncd.Have, err error) {
	err = r.h.Do(func() (err error) { have, err = r.k.Read(w); return err })
	return have, err
}

func (r real) Do(s syncd.Step) error { return r.h.Do(func() error { return r.k.Do(s) }) }

func (r real) Watch(ctx context.Context, wake func()) error { return r.k.Watch(ctx, wake) }

func (r real) AddLink(name string, addrs ...string) {
	if _, err := r.h.Try("ip", "link", "show", name); err != nil {
		r.h.Run("ip", "link", "add", name, "type", "dummy")
		r.h.Run("ip", "link", "set", name, "up")
	}
	r.h.Run("ip", "-4", "addr", "flush", "dev", name)
	for _, a := range addrs {
		r.h.AddAddr(name, a)
	}
}

func (r real) DelLink(name string) { r.h.Run("ip", "link", "del", name) }

func (r real) SetBackupOnly(on bool) {
	r.h.SetSysctl("net.ipv4.vs.backup_only", map[bool]string{true: "1", false: "0"}[on])
}

func TestContract(t *testing.T) {
	syncdtest.Contract(t, real{h: lab.New(t).Bare("director")})
}

// TestAsIpvsadm has ipvsadm carry out the printed steps: the kernel then holds
// what our own message makes it hold.
func TestAsIpvsadm(t *testing.T) {
	h := lab.New(t).Bare("director")
	k := real{h: h}
	k.AddLink("sync0", "192.0.2.1/24")
	h.Run("ip", "addr", "add", "2001:db8::1/64", "dev", "sync0", "nodad")
	h.Run("ip", "link", "set", "sync0", "mtu", "9000")
	for _, w := range []syncd.Want{
		{Interface: "sync0", SyncID: 1},
		{Interface: "sync0", SyncID: 255, MaxLen: 8000, TTL: 3},
		{Interface: "sync0", SyncID: 7, Group: netip.MustParseAddr("239.1.2.3"), Port: 4000},
		{Interface: "sync0", SyncID: 7, Group: netip.MustParseAddr("ff02::81"), MaxLen: 1024},
		{Interface: "sync0", SyncID: 7, Group: netip.MustParseAddr("ff02::81")},
	} {
		if err := w.Validate(); err != nil {
			t.Fatal(err)
		}
		for _, role := range []syncd.Role{syncd.Master, syncd.Backup} {
			s := syncd.Step{Op: syncd.Start, Daemon: w.Daemon(role)}
			stop := syncd.Step{Op: syncd.Stop, Daemon: w.Daemon(role)}
			if err := k.Do(s); err != nil {
				t.Fatal(err)
			}
			ours := daemons(t, h)
			h.Run(append([]string{"ipvsadm"}, strings.Fields(stop.String())...)...)
			h.Run(append([]string{"ipvsadm"}, strings.Fields(s.String())...)...)
			theirs := daemons(t, h)
			if len(ours) != 1 || len(theirs) != 1 || ours[0] != theirs[0] {
				t.Errorf("%s: ours %+v, ipvsadm's %+v", s, ours, theirs)
			}
			t.Logf("%s: %+v", s, ours)
			have, err := k.Read(w)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", have)
			for _, p := range syncd.Plan(have, w) {
				if p.Daemon.Role == role {
					t.Errorf("%s leaves to do: %s (%s)", s, p, p.Reason)
				}
			}
			if err := k.Do(stop); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestMixedFamilies: the kernel says EINVAL, the error says why.
func TestMixedFamilies(t *testing.T) {
	h := lab.New(t).Bare("director")
	k := real{h: h}
	k.AddLink("sync0", "192.0.2.1/24")
	h.Run("ip", "link", "set", "lo", "up")
	h.Run("ipvsadm", "-A", "-t", "192.0.2.100:80", "-s", "rr")
	h.Run("ipvsadm", "-a", "-t", "192.0.2.100:80", "-r", "[2001:db8::9]:80", "-i")
	d := syncd.Want{Interface: "sync0", SyncID: 1}.Daemon(syncd.Master)
	err := k.Do(syncd.Step{Op: syncd.Start, Daemon: d})
	if !errors.Is(err, table.ErrInvalid) || !strings.Contains(err.Error(), "other IP version") {
		t.Errorf("got error %v", err)
	}
}

func TestPermission(t *testing.T) {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the thread dies with its lack of capabilities
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var caps [2]unix.CapUserData
		err := unix.Capget(&head, &caps[0])
		caps[0].Effective &^= 1 << unix.CAP_NET_ADMIN
		if err = errors.Join(err, unix.Capset(&head, &caps[0])); err != nil {
			t.Error(err)
		}
		_, err = syncd.List()
		if err == nil || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
			t.Errorf("read: got error %v, want the cure", err)
		}
		for _, op := range []syncd.Op{syncd.Start, syncd.Stop} {
			d := syncd.Want{Interface: "lo", SyncID: 1}.Daemon(syncd.Master)
			if err := (syncd.Linux{}).Do(syncd.Step{Op: op, Daemon: d}); !errors.Is(err, table.ErrPermission) {
				t.Errorf("operation %d: got error %v, want %v", op, err, table.ErrPermission)
			}
		}
		done <- err
	}()
	if err := <-done; !errors.Is(err, table.ErrPermission) {
		t.Errorf("got error %v, want %v", err, table.ErrPermission)
	}
}

// TestZNoIPVS comes last: it unloads the module.
func TestZNoIPVS(t *testing.T) {
	if os.Getenv("IPVSD_LAB_INSIDE") == "direct" {
		t.Skip("this would unload the host's own ip_vs; the lab kernel runs it")
	}
	helper := "/proc/sys/kernel/modprobe"
	before, err := os.ReadFile(helper)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(helper, []byte("/bin/false"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(helper, before, 0o644); err != nil {
			t.Error(err)
		}
	})
	unload(t)
	if _, err := syncd.List(); !errors.Is(err, table.ErrNoIPVS) || !strings.Contains(err.Error(), "modprobe ip_vs") {
		t.Errorf("got error %v, want %v", err, table.ErrNoIPVS)
	}
}

// unload removes ip_vs and what uses it.
func unload(t *testing.T) {
	t.Helper()
	for range 50 {
		b, err := os.ReadFile("/proc/modules")
		if err != nil {
			t.Fatal(err)
		}
		left := 0
		for line := range strings.Lines(string(b)) {
			if name, _, _ := strings.Cut(line, " "); strings.HasPrefix(name, "ip_vs") {
				left++
				_ = unix.DeleteModule(name, unix.O_NONBLOCK)
			}
		}
		if left == 0 {
			return
		}
	}
	t.Fatal("ip_vs can't be unloaded")
}
