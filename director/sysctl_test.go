package director

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/table"
)

func TestSysctls(t *testing.T) {
	with := func(forward table.Forward, addr string, persistence uint32) *config.Config {
		return &config.Config{Virtuals: []config.Virtual{{
			Service: table.Service{Timeout: persistence},
			Reals:   []config.Real{{Real: table.Real{Addr: netip.MustParseAddrPort(addr), Forward: forward}}},
		}}}
	}
	modern := Host{KernelMajor: 6, KernelMinor: 1, Conntrack: true}
	for _, tt := range []struct {
		name string
		cfg  *config.Config
		host Host
		want []string
	}{
		{"dr", with(table.DR, "10.0.0.1:80", 0), modern, []string{
			"sysctl -w net.ipv4.vs.expire_nodest_conn=1", "sysctl -w net.ipv4.vs.conn_reuse_mode=1",
		}},
		{"nat and persistence", with(table.NAT, "10.0.0.1:80", 300), modern, []string{
			"sysctl -w net.ipv4.ip_forward=1", "sysctl -w net.ipv4.vs.expire_nodest_conn=1",
			"sysctl -w net.ipv4.vs.expire_quiescent_template=1", "sysctl -w net.ipv4.vs.conn_reuse_mode=1",
		}},
		{"nat with IPv6 keeps router advertisements", with(table.NAT, "[fd00::1]:80", 0), Host{KernelMajor: 6, RouterAdverts: []string{"eth0"}}, []string{
			"sysctl -w net.ipv6.conf.eth0.accept_ra=2", "sysctl -w net.ipv6.conf.all.forwarding=1",
			"sysctl -w net.ipv4.vs.expire_nodest_conn=1", "sysctl -w net.ipv4.vs.conn_reuse_mode=1",
		}},
		{"old kernel with conntrack", with(table.DR, "10.0.0.1:80", 0), Host{KernelMajor: 5, KernelMinor: 4, Conntrack: true}, []string{
			"sysctl -w net.ipv4.vs.expire_nodest_conn=1", "sysctl -w net.ipv4.vs.conn_reuse_mode=0",
		}},
		{"old kernel without", with(table.DR, "10.0.0.1:80", 0), Host{KernelMajor: 4, KernelMinor: 19}, []string{
			"sysctl -w net.ipv4.vs.expire_nodest_conn=1", "sysctl -w net.ipv4.vs.conn_reuse_mode=1",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, s := range Sysctls(tt.cfg, tt.host) {
				got = append(got, s.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("sysctls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRelease(t *testing.T) {
	for release, want := range map[string][2]int{
		"6.1.0-18-amd64": {6, 1}, "5.15": {5, 15}, "6.18.44-fc-v669": {6, 18}, "4.19-rc1": {4, 0}, "": {0, 0},
	} {
		if major, minor := parseRelease(release); [2]int{major, minor} != want {
			t.Errorf("parseRelease(%q) = %d.%d, want %v", release, major, minor, want)
		}
	}
}
