package doctor

import (
	"net/netip"

	"github.com/ipvsd/ipvsd/cluster/vip"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/table"
)

// The virtual address of every test, and its real servers by method.
var (
	vip4   = netip.MustParseAddr("192.0.2.105")
	vip6   = netip.MustParseAddr("2001:db8::105")
	drReal = netip.MustParseAddr("192.0.2.101")
	inside = netip.MustParseAddr("10.0.0.101")
)

var (
	director1 = MAC{2, 0, 0, 0, 0, 1}
	web1      = MAC{2, 0, 0, 0, 1, 1}
	nobody    = MAC{2, 0, 0, 0, 9, 9}
)

// healthy is a director with nothing wrong: eth0 with clients and real servers
// by dr, eth1 with a network of its own.
func healthy() *Facts {
	f := &Facts{
		Config: &config.Config{
			HTTP:   config.HTTP{Listen: "127.0.0.1:9117"},
			Sysctl: config.Sysctl{Manage: true},
			Virtuals: []config.Virtual{{
				Name:    "web",
				Service: table.Service{ServiceKey: table.ByAddr(table.TCP, netip.AddrPortFrom(vip4, 80)), Scheduler: "wlc"},
				Reals:   []config.Real{{Real: table.Real{Addr: netip.AddrPortFrom(drReal, 80), Forward: table.DR, Weight: 1}}},
			}},
		},
		Release: "6.1.0-18-amd64",
		Host:    director.Host{KernelMajor: 6, KernelMinor: 1},
		IPVS:    true,
		Modules: Modules{Known: true, Available: map[string]bool{"ip_vs": true, "ip_vs_wlc": true}},
		Sysctls: map[string]string{
			"net/ipv4/ip_forward": "0", "net/ipv6/conf/all/forwarding": "0",
			"net/ipv4/vs/expire_nodest_conn": "1", "net/ipv4/vs/expire_quiescent_template": "0",
			"net/ipv4/vs/conn_reuse_mode": "1", "net/ipv4/vs/backup_only": "0", "net/ipv4/vs/pmtu_disc": "1",
			"net/ipv4/vs/sync_threshold": "3 0", "net/ipv4/vs/sync_refresh_period": "10", "net/ipv4/vs/sync_retries": "3",
			"net/ipv4/conf/all/rp_filter": "0", "net/ipv4/conf/eth0/rp_filter": "0",
			"net/ipv4/conf/all/send_redirects": "1", "net/ipv4/conf/eth0/send_redirects": "1",
			"net/ipv6/conf/eth0/disable_ipv6": "0",
			"net/netfilter/nf_conntrack_max":  "1000", "net/netfilter/nf_conntrack_count": "900",
		},
		Net: vip.Facts{
			Links: []vip.Link{
				{Name: "lo", Index: 1, Loopback: true, Up: true, Carrier: true},
				{Name: "eth0", AltName: "enp1s0", Index: 2, MAC: director1, Ethernet: true, Up: true, Carrier: true},
				{Name: "eth1", Index: 3, Ethernet: true, Up: true, Carrier: true},
			},
			Held: []vip.Held{
				{Addr: netip.MustParsePrefix("127.0.0.1/8"), Interface: "lo", Loopback: true},
				{Addr: netip.MustParsePrefix("192.0.2.1/24"), Interface: "eth0"},
				{Addr: netip.MustParsePrefix("10.0.0.1/24"), Interface: "eth1"},
			},
		},
		MTU:    map[string]int{"eth0": 1500, "eth1": 1500},
		Routes: map[netip.Addr]Route{},
		Far:    map[netip.Addr]Route{vip4: {"eth0", 1500}},
	}
	return f
}

func (f *Facts) set(pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		f.Sysctls[pairs[i]] = pairs[i+1]
	}
}

// real replaces the real server.
func (f *Facts) withReal(addr netip.Addr, forward table.Forward, way Route) {
	f.Config.Virtuals[0].Reals = []config.Real{{Real: table.Real{Addr: netip.AddrPortFrom(addr, 80), Forward: forward, Weight: 1}}}
	f.Routes[addr] = way
}

func (f *Facts) withCluster() {
	f.Config.Cluster = &config.Cluster{
		Listen: netip.MustParseAddrPort("192.0.2.1:7946"), Join: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.2:7946")},
		KeyFile: "/etc/ipvsd/cluster.key", Sync: config.Sync{Enabled: true, ID: 1},
	}
	f.KeyMode = 0o600
}

// held gives the virtual address to this machine.
func (f *Facts) held() {
	f.Net.Held = append(f.Net.Held, vip.Held{Addr: netip.PrefixFrom(vip4, 32), Interface: "eth0", Ours: true})
}

func (f *Facts) answered(macs ...MAC) {
	f.Answers = []Answer{{vip4, "eth0", macs}}
	f.Who = map[MAC][]string{web1: {drReal.String()}, {2, 0, 0, 0, 0, 2}: {"192.0.2.2"}}
}
