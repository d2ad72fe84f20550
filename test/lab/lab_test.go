package lab_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

func TestInside(t *testing.T) {
	if !lab.Inside() {
		t.Fatal("not inside")
	}
	if os.Getuid() != 0 {
		t.Errorf("uid %d, want root", os.Getuid())
	}
}

// pair is two hosts, a and b, with a web server "b".
func pair(t *testing.T) (a, b *lab.Host) {
	n := lab.New(t)
	a = n.Host("a", "192.0.2.1/24", "2001:db8::1/64")
	b = n.Host("b", "192.0.2.2/24", "2001:db8::2/64")
	b.Web(":80", "b")
	return a, b
}

// mustAnswer has time for a second question to the neighbours, which the kernel asks after a second: an address that has
// just come may not hear the first.
func mustAnswer(t *testing.T, h *lab.Host, url, want string) {
	t.Helper()
	if got, err := h.Get(url, 5*time.Second); err != nil || got != want {
		t.Errorf("get %s: %q, %v, want %q", url, got, err, want)
	}
}

func TestHosts(t *testing.T) {
	start := time.Now()
	a, b := pair(t)
	t.Logf("two hosts and a web server: %v", time.Since(start))
	mustAnswer(t, a, "http://192.0.2.2/", "b")
	mustAnswer(t, a, "http://[2001:db8::2]/", "b")
	// Refused, not lost: nobody listens on a itself.
	if _, err := b.Get("http://192.0.2.1/", time.Second); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("get from a host without a server: %v, want refused", err)
	}
	if got, want := a.Addr("6"), netip.MustParseAddr("2001:db8::1"); got != want {
		t.Errorf("Addr(6) = %v, want %v", got, want)
	}
}

func TestManyHosts(t *testing.T) {
	start := time.Now()
	n := lab.New(t)
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		n.Host(name, "192.0.2."+string('1'+name[0]-'a')+"/24")
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("six hosts took %v", d)
	}
	if got := len(n.Hosts()); got != 6 {
		t.Errorf("%d hosts", got)
	}
}

// A router between two bridges.
func TestRouter(t *testing.T) {
	n := lab.New(t)
	client := n.Bare("client").Attach("outside", "eth0", "198.51.100.1/24")
	server := n.Host("server", "192.0.2.1/24")
	router := n.Host("router", "192.0.2.254/24").Attach("outside", "eth1", "198.51.100.254/24")
	router.SetSysctl("net.ipv4.ip_forward", "1")
	client.Route("default", "198.51.100.254")
	server.Route("198.51.100.0/24", "192.0.2.254")
	server.Web(":80", "server")
	mustAnswer(t, client, "http://192.0.2.1/", "server")
}

func TestSysctlIsPerHost(t *testing.T) {
	a, b := pair(t)
	a.SetSysctl("net.ipv4.conf.all.arp_ignore", "1")
	if got := a.Sysctl("net/ipv4/conf/all/arp_ignore") + b.Sysctl("net.ipv4.conf.all.arp_ignore"); got != "10" {
		t.Errorf("arp_ignore of a and b: %q, want 10", got)
	}
	if got := strings.TrimSpace(a.Run("cat", "/proc/sys/net/ipv4/conf/all/arp_ignore")); got != "1" {
		t.Errorf("arp_ignore for a process of a: %q, want 1", got)
	}
	if got := a.Run("ls", "/sys/class/net"); !strings.Contains(got, "eth0") {
		t.Errorf("/sys/class/net of a: %q, want eth0 in it", got)
	}
}

func TestPrivate(t *testing.T) {
	a, b := pair(t)
	a.Private("/run/daemon")
	b.Private("/run/daemon")
	a.Run("touch", "/run/daemon/a")
	if got := b.Run("ls", "/run/daemon"); got != "" {
		t.Errorf("b sees %q", got)
	}
	err := a.Do(func() error {
		_, err := os.Stat("/run/daemon/a")
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A folder of its own has what was there, and what a host writes, replaces or removes is its own.
func TestOwn(t *testing.T) {
	a, b := pair(t)
	dir := t.TempDir()
	for _, name := range []string{"old", "gone"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("test"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	a.Own(dir, "/run")
	a.Run("sh", "-ec", "cd "+dir+"; rm gone; echo a >new; echo a >old; touch /run/own")
	if got := a.Run("sh", "-ec", "cd "+dir+"; ls; cat old new"); got != "new\nold\na\na\n" {
		t.Errorf("a sees %q", got)
	}
	if got := b.Run("sh", "-ec", "cd "+dir+"; ls; cat old gone"); got != "gone\nold\ntesttest" {
		t.Errorf("b sees %q", got)
	}
	if _, err := os.Stat("/run/own"); err == nil {
		t.Error("the test sees what a wrote")
	}
}

// The kernel loads what it is asked for, and what iptables wants.
func TestModules(t *testing.T) {
	a, _ := pair(t)
	for _, s := range []string{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh"} {
		a.Run("ipvsadm", "-A", "-t", "192.0.2.100:80", "-s", s)
		a.Run("ipvsadm", "-C")
	}
	a.Run("iptables", "-t", "mangle", "-A", "PREROUTING", "-p", "tcp", "--dport", "80", "-j", "MARK", "--set-mark", "1")
	a.Run("ip6tables", "-t", "mangle", "-A", "PREROUTING", "-p", "tcp", "--dport", "80", "-j", "MARK", "--set-mark", "1")
	a.Run("ip", "link", "add", "tun0", "type", "ipip", "local", "192.0.2.1", "remote", "192.0.2.2")
	a.Run("ip", "link", "add", "tun6", "type", "ip6tnl", "local", "2001:db8::1", "remote", "2001:db8::2")
	a.Run("modprobe", "ip_vs_ftp")
	if out, err := a.Try("modprobe", "no_such_module"); err == nil {
		t.Errorf("modprobe of nothing succeeded: %s", out)
	}
}
