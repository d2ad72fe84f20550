package realserver

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestDetect(t *testing.T) {
	const wants = "/etc/systemd/system/multi-user.target.wants/"
	for _, c := range []struct {
		name, want string
		files      []string
	}{
		{"networkd", Networkd, networkdNode},
		{"netplan", Networkd, []string{
			"/usr/lib/systemd/systemd", wants + "systemd-networkd.service", "/run/systemd/network/10-netplan-eth0.network",
		}},
		{"networkd enabled but without files", Ifupdown, append([]string{wants + "systemd-networkd.service"}, ifupdownNode...)},
		{"ifupdown", Ifupdown, ifupdownNode},
		{"ifupdown without systemd", Ifupdown, []string{"/usr/sbin/ifup", "/etc/network/interfaces=source-directory interfaces.d\n"}},
		{"ifupdown that does not read interfaces.d", Unit, []string{
			"/usr/lib/systemd/systemd", "/sbin/ifup", wants + "networking.service", "/etc/network/interfaces=auto lo\n",
		}},
		{"ifupdown removed, its files left", Unit, []string{
			"/usr/lib/systemd/systemd", "/etc/network/interfaces=source /etc/network/interfaces.d/*\n",
		}},
		{"NetworkManager beside ifupdown", Unit, append([]string{wants + "NetworkManager.service"}, ifupdownNode...)},
		{"neither", Unit, unitNode},
		{"nothing", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, c.files...)
			got, why, err := Detect(h.Root)
			if got != c.want || (err != nil) != (c.want == "") || (why == "") != (c.want == "") {
				t.Errorf("got %q, %q, %v; want %q", got, why, err, c.want)
			}
		})
	}
}

// TestFiles holds what is written to testdata; -update rewrites it.
func TestFiles(t *testing.T) {
	dr := Options{VIPs: []string{"192.168.0.105", "192.168.0.106", "fd00::105"}, Persist: true}
	tun := Options{VIPs: []string{"192.168.0.105", "fd00::105"}, Method: "tun", Persist: true}
	nat := Options{VIPs: []string{"192.168.0.105"}, Method: "nat", Persist: true}
	for _, c := range []struct {
		name  string
		files []string
		opts  Options
	}{
		{"networkd-dr", networkdNode, dr},
		{"networkd-tun", networkdNode, tun},
		{"networkd-dropin", append([]string{"/etc/systemd/network/lo.network=[Match]\nName=lo\n[Address]\nAddress=10.9.9.9/32\n"}, networkdNode...), dr},
		{"ifupdown-dr", ifupdownNode, dr},
		{"ifupdown-tun", ifupdownNode, tun},
		{"unit-dr", unitNode, dr},
		{"unit-tun", unitNode, tun},
		{"unit-nat", unitNode, nat},
		{"unit-packaged", append([]string{"/lib/systemd/system/ipvsd-realserver.service"}, unitNode...), dr},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, c.files...)
			h.kernel.state.Sysctls[conf4("all", "rp_filter")] = "1"
			h.kernel.state.Sysctls[conf4("all", "accept_redirects")] = "1"
			h.kernel.state.Sysctls[conf4("eth0", "arp_ignore")] = "3"
			before := h.everything(t)
			if _, err := h.setup(t, c.opts); err != nil {
				t.Fatal(err)
			}
			got := written(h, before, h.everything(t))
			golden := filepath.Join("testdata", "persist", c.name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", golden, diff)
			}
		})
	}
}

// written prints the files that setup made, but for the record.
func written(h *host, before, after map[string]string) string {
	var b strings.Builder
	var names []string
	for name := range after {
		if _, ok := before[name]; !ok && strings.HasPrefix(name, h.Root) && name != h.recordPath() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "-- %s --\n%s", strings.TrimPrefix(name, h.Root), after[name])
		if !strings.HasSuffix(after[name], "\n") {
			b.WriteString("\n")
		}
	}
	return b.String()
}

// TestOverridden: /etc/sysctl.conf is read last on Debian, as 99-sysctl.conf.
func TestOverridden(t *testing.T) {
	h := newHost(t, append([]string{
		"/etc/sysctl.d/10-first.conf=net.ipv4.conf.all.arp_ignore=0\n",
		"/etc/sysctl.d/99-sysctl.conf=# net.ipv4.conf.all.arp_announce=0\nnet.ipv4.conf.all.arp_ignore = 0\nnet/ipv4/conf/all/arp_announce=2\n",
	}, unitNode...)...)
	if _, err := h.setup(t, many); err != nil {
		t.Fatal(err)
	}
	r, err := h.Status(Goal{})
	if err != nil || len(r.Missing) != 1 || r.Missing[0].What != "/etc/sysctl.d/99-sysctl.conf sets net.ipv4.conf.all.arp_ignore to 0" {
		t.Errorf("%v, missing %v", err, r.Missing)
	}
}

// TestForeignRecord: root acts on the record, and the director's user can write
// to its folder.
func TestForeignRecord(t *testing.T) {
	const setting, file = "no setting of the network", "no file that setup writes"
	for _, c := range []struct{ record, want string }{
		{`"sysctls":[{"key":"kernel/core_pattern","before":"x","set":"y"}]`, setting},
		{`"sysctls":[{"key":"net/../kernel/core_pattern","before":"x","set":"y"}]`, setting},
		{`"sysctls":[{"key":"../../etc/passwd","before":"x","set":"y"}]`, setting},
		{`"files":["/var/lib/ipvsd/link/passwd"]`, file},
		{`"files":["/etc/ipvsd/link/passwd"]`, file},
		{`"files":["/etc/../var/lib/ipvsd/link/passwd"]`, file},
	} {
		h := newHost(t, unitNode...)
		h.put(t, RecordFile+`={"version":1,`+c.record+`}`)
		before := h.everything(t)
		if err := h.Teardown(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("teardown with %s: %v", c.record, err)
		}
		if diff := cmp.Diff(before, h.everything(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.record, diff)
		}
	}
}
