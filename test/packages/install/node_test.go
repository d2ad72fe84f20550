package install

import (
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/test/lab"
)

// TestRealServer is the life of the package on a web node.
func TestRealServer(t *testing.T) {
	m := boot(t, lab.New(t).Host("web", "192.168.0.101/24"))
	m.dpkg("-i", deb(older))
	m.run("ipvsd", "realserver", "setup", "--vip", vip, "--persist")
	const link = "/etc/systemd/system/multi-user.target.wants/ipvsd-realserver.service"
	if to := strings.TrimSpace(m.run("readlink", link)); to != "/lib/systemd/system/ipvsd-realserver.service" {
		t.Errorf("--persist enabled %s", to)
	}
	whole := func(what string) {
		t.Helper()
		if out, err := m.try("ipvsd", "realserver", "status"); err != nil {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
	whole("after setup")

	// What a boot takes, and what it starts by that link.
	m.run("ip", "address", "del", vip+"/32", "dev", "lo")
	m.SetSysctl("net.ipv4.conf.all.arp_ignore", "0")
	m.run("systemctl", "daemon-reload")
	m.run("systemctl", "start", "ipvsd-realserver")
	whole("after a boot")

	m.dpkg("-i", deb(newer))
	whole("after an upgrade")

	m.dpkg("-P", "ipvsd")
	if out := m.run("ip", "-o", "address", "show", "dev", "lo"); strings.Contains(out, vip) {
		t.Errorf("the address stays after the removal:\n%s", out)
	}
	if got := m.Sysctl("net.ipv4.conf.all.arp_ignore"); got != "0" {
		t.Errorf("arp_ignore is %s after the removal", got)
	}
	m.clean()
}
