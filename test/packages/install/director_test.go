package install

import (
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/test/lab"
)

// TestDirector is the life of the package on a single director.
func TestDirector(t *testing.T) {
	n, client := farm(t)
	m := boot(t, n.Host("director", "192.168.0.103/24"))
	// Somebody else's, to the end.
	const foreign = "-A -t 192.168.0.200:99 -s rr"
	m.Run("ipvsadm", "-A", "-t", "192.168.0.200:99", "-s", "rr")

	t.Log("install")
	m.dpkg("-i", deb(older))
	for _, unit := range []string{"ipvsd", "ipvsd-realserver"} {
		if m.is("systemctl", "is-enabled", unit) || m.is("systemctl", "is-active", unit) {
			t.Errorf("installing enabled or started %s", unit)
		}
	}
	// It also speaks of units beside ours.
	if out, _ := m.try("systemd-analyze", "verify", "--man=no", "ipvsd.service", "ipvsd-realserver.service"); strings.Contains(out, "ipvsd") {
		t.Errorf("systemd-analyze verify: %s", out)
	}
	m.run("systemctl", "start", "ipvsd") // there is no file, which is no failure
	if m.is("systemctl", "is-active", "ipvsd") {
		t.Error("the director runs without a file")
	}
	m.write("/etc/ipvsd/ipvsd.toml", services)
	m.run("systemctl", "enable", "--now", "ipvsd")
	m.runs(older)
	confined(t, m)

	addresses := m.Start("ip", "-o", "monitor", "address")
	unharmed(t, client, "upgrade", func() {
		m.dpkg("-i", deb(newer))
		m.runs(newer)
	})
	unharmed(t, client, "kill -9", func() {
		before := m.pid()
		m.run("systemctl", "kill", "-s", "KILL", "ipvsd")
		lab.Eventually(t, patience, "systemd starts it again", func() bool { return m.pid() != before && m.is("systemctl", "is-active", "ipvsd") })
		m.runs(newer)
	})

	if out := addresses.Output(); strings.Contains(out, "Deleted") {
		t.Errorf("the address was away:\n%s", out)
	}

	t.Log("an upgrade to a version that refuses the file")
	before := m.pid()
	m.write("/etc/ipvsd/ipvsd.toml", services+"\nnonsense = 1\n")
	if out := m.dpkg("-i", deb(older)); !strings.Contains(out, "the old one goes on running") || !strings.Contains(out, "nonsense") {
		t.Errorf("dpkg says nothing of the wrong file:\n%s", out)
	}
	if m.pid() != before {
		t.Error("a director that served was stopped for one that can't start")
	}
	m.write("/etc/ipvsd/ipvsd.toml", services)
	m.run("systemctl", "restart", "ipvsd")
	m.runs(older)

	t.Log("remove")
	m.dpkg("-r", "ipvsd")
	if out := m.run("ip", "-o", "address", "show", "dev", "eth0"); strings.Contains(out, vip) {
		t.Errorf("the address stays after the removal:\n%s", out)
	}
	if got := strings.TrimSpace(m.Run("ipvsadm", "-Sn")); got != foreign {
		t.Errorf("the table after the removal:\n%s\nwant\n%s", got, foreign)
	}
	if !m.is("test", "-e", "/etc/ipvsd/ipvsd.toml") {
		t.Error("the removal took the file")
	}
	m.dpkg("-P", "ipvsd")
	m.clean()
}

// confined looks at a running director: it has no root, and could do all the
// same what the file asks for.
func confined(t *testing.T, m *machine) {
	t.Helper()
	status := m.run("cat", "/proc/"+m.pid()+"/status")
	for _, want := range []string{
		"CapBnd:\t0000000000003000", "CapEff:\t0000000000003000", // NET_ADMIN, NET_RAW
		"NoNewPrivs:\t1", "Seccomp:\t2",
	} {
		if !strings.Contains(status, want) {
			t.Errorf("the director's process has no %q:\n%s", want, status)
		}
	}
	for path, want := range map[string]string{
		"/run/ipvsd/ipvsd.sock":  "ipvsd:ipvsd 660",
		"/etc/ipvsd":             "root:ipvsd 1775",
		"/etc/ipvsd/ipvsd.toml":  "root:root 644",
		"/proc/" + m.pid() + "/": "ipvsd:ipvsd 555",
	} {
		if got := strings.TrimSpace(m.run("stat", "-c", "%U:%G %a", path)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	for key, want := range map[string]string{
		"net.ipv4.ip_forward":                   "1",
		"net.ipv4.vs.expire_nodest_conn":        "1",
		"net.ipv4.vs.expire_quiescent_template": "1",
	} {
		if got := m.Sysctl(key); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	log := m.run("journalctl", "--no-pager", "-o", "cat", "-u", "ipvsd")
	for line := range strings.Lines(log) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "not set") || strings.Contains(line, "denied") {
			t.Errorf("the confined director says: %s", line)
		}
	}
}
