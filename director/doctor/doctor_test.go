package doctor

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/cluster/vip"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/table"
	"github.com/ipvsd/ipvsd/realserver"
)

// TestDiagnose has for each check what triggers it, and beside it what just
// doesn't. A finding is "check object: cure", and its reason has the words.
func TestDiagnose(t *testing.T) {
	var triggered []string
	for _, tt := range []struct {
		name   string
		wrong  func(*Facts)
		want   []string
		reason string // of the first one
	}{
		{"healthy", func(*Facts) {}, nil, ""},
		{"nothing known", func(f *Facts) { *f = Facts{} }, nil, ""},
		{"no file, no module", func(f *Facts) { f.Config, f.IPVS = nil, false }, nil, ""},
		{
			"wrong file", func(f *Facts) {
				f.Config, f.Mistakes = nil, []config.Problem{{File: "a.toml", Line: 3, Text: "unknown key"}, {File: "a.toml", Text: "empty"}}
			},
			[]string{"file a.toml: edit the file; `ipvsd config check -c a.toml` reads it again", "file a.toml:3: edit the file; `ipvsd config check -c a.toml` reads it again"},
			"empty",
		},

		{"kernel 4.18", func(f *Facts) { f.Host.KernelMajor, f.Host.KernelMinor = 4, 18 }, nil, ""},
		{"kernel 4.17", func(f *Facts) { f.Host.KernelMajor, f.Host.KernelMinor, f.Release = 4, 17, "4.17.0" }, []string{"kernel 4.17.0: boot a newer kernel"}, "since 4.18"},

		{"module not loaded", func(f *Facts) { f.IPVS = false }, []string{"module ip_vs: modprobe ip_vs"}, "not loaded"},
		{
			"module missing", func(f *Facts) { f.IPVS = false; delete(f.Modules.Available, "ip_vs") },
			[]string{"module ip_vs: install the package of the kernel that has it, and boot it (Debian: linux-image-amd64 or -arm64; Ubuntu: linux-modules-extra-6.1.0-18-amd64)"},
			"6.1.0-18-amd64",
		},
		{"module folder gone", func(f *Facts) { f.IPVS, f.Modules = false, Modules{} }, []string{"module ip_vs: modprobe ip_vs"}, "a reboot is due"},
		{
			"scheduler before its time", func(f *Facts) {
				f.Config.Virtuals[0].Service.Scheduler, f.Host.KernelMajor, f.Host.KernelMinor = "twos", 5, 11
			},
			[]string{"scheduler ip_vs_twos: choose another scheduler in the file, such as wlc, or install a kernel that has the module"},
			"came with Linux 5.12",
		},
		{
			"scheduler left out of a newer kernel", func(f *Facts) { f.Config.Virtuals[0].Service.Scheduler = "twos" },
			[]string{"scheduler ip_vs_twos: choose another scheduler in the file, such as wlc, or install a kernel that has the module"},
			"lacks this module, which web asks for",
		},
		{"scheduler of nobody knows", func(f *Facts) { f.Config.Virtuals[0].Service.Scheduler, f.Modules = "twos", Modules{} }, nil, ""},

		{
			"nat without forwarding", func(f *Facts) { f.withReal(inside, table.NAT, Route{"eth1", 1500}) },
			[]string{"forwarding net.ipv4.ip_forward: sysctl -w net.ipv4.ip_forward=1"},
			"is 0, not 1: nat",
		},
		{"nat with forwarding", func(f *Facts) {
			f.withReal(inside, table.NAT, Route{"eth1", 1500})
			f.set("net/ipv4/ip_forward", "1")
		}, nil, ""},
		{
			"nat by IPv6", func(f *Facts) { f.withReal(netip.MustParseAddr("fd00::101"), table.NAT, Route{"eth1", 1500}) },
			[]string{"forwarding net.ipv6.conf.all.forwarding: sysctl -w net.ipv6.conf.all.forwarding=1"},
			"nat",
		},

		{"conntrack on 5.9", func(f *Facts) { f.Host = director.Host{KernelMajor: 5, KernelMinor: 9, Conntrack: true} }, nil, ""},
		{
			"conntrack on 5.8", func(f *Facts) { f.Host = director.Host{KernelMajor: 5, KernelMinor: 8, Conntrack: true} },
			[]string{"conn-reuse net.ipv4.vs.conn_reuse_mode: sysctl -w net.ipv4.vs.conn_reuse_mode=0"},
			"this kernel is 5.8, net.ipv4.vs.conntrack is on",
		},
		{
			"conn_reuse_mode off without need", func(f *Facts) { f.set("net/ipv4/vs/conn_reuse_mode", "0") },
			[]string{"conn-reuse net.ipv4.vs.conn_reuse_mode: sysctl -w net.ipv4.vs.conn_reuse_mode=1"},
			"quiescent",
		},
		{"no module, no settings of it", func(f *Facts) {
			f.IPVS = false
			delete(f.Sysctls, "net/ipv4/vs/conn_reuse_mode")
		}, []string{"module ip_vs: modprobe ip_vs"}, ""},
		{
			"a kernel without the setting", func(f *Facts) { delete(f.Sysctls, "net/ipv4/vs/conn_reuse_mode") },
			[]string{"conn-reuse net.ipv4.vs.conn_reuse_mode: boot a newer kernel"},
			"doesn't have this setting",
		},
		{
			"persistence", func(f *Facts) { f.Config.Virtuals[0].Service.Timeout = 300 },
			[]string{"expire net.ipv4.vs.expire_quiescent_template: sysctl -w net.ipv4.vs.expire_quiescent_template=1"},
			"persistent clients",
		},
		{
			"expire_nodest_conn", func(f *Facts) { f.set("net/ipv4/vs/expire_nodest_conn", "0") },
			[]string{"expire net.ipv4.vs.expire_nodest_conn: sysctl -w net.ipv4.vs.expire_nodest_conn=1"},
			"don't hang",
		},
		{"backup_only without sync", func(f *Facts) { f.set("net/ipv4/vs/backup_only", "1") }, nil, ""},
		{
			"backup_only with sync", func(f *Facts) { f.withCluster(); f.set("net/ipv4/vs/backup_only", "1") },
			[]string{"backup-only net.ipv4.vs.backup_only: sysctl -w net.ipv4.vs.backup_only=0"},
			"refuse its own traffic",
		},
		{
			"sync_threshold", func(f *Facts) { f.withCluster(); f.set("net/ipv4/vs/sync_threshold", "3 50") },
			[]string{`sync net.ipv4.vs.sync_threshold: sysctl -w net.ipv4.vs.sync_threshold="3 0"`},
			"is 3 50, not 3 0",
		},

		{"checks by the virtual address", func(f *Facts) {
			f.Host.Answers = []director.AnswerLink{{Interface: "eth0", Strict: true}}
			f.set("net/ipv4/conf/eth0/accept_local", "0", "net/ipv4/conf/all/rp_filter", "1")
		}, []string{
			"vip-check net.ipv4.conf.eth0.accept_local: sysctl -w net.ipv4.conf.eth0.accept_local=1",
			"vip-check net.ipv4.conf.eth0.rp_filter: sysctl -w net.ipv4.conf.eth0.rp_filter=2",
		}, "is 0, not 1: path vip"},

		{"interface down", func(f *Facts) { f.Net.Links[1].Up = false }, []string{"interface eth0: ip link set eth0 up"}, "192.0.2.105 belongs there"},
		{"no carrier", func(f *Facts) { f.Net.Links[1].Carrier = false }, []string{"interface eth0: look at the cable and the switch"}, "no carrier"},
		{"another name", func(f *Facts) {
			f.Config.VIPs = []config.VIP{{Address: netip.PrefixFrom(vip4, 24), Interface: "enp1s0"}}
			f.Net.Links[1].Carrier = false
		}, []string{"interface eth0: look at the cable and the switch"}, ""},
		{"no such interface", func(f *Facts) {
			f.Config.VIPs = []config.VIP{{Address: netip.PrefixFrom(vip4, 24), Interface: "eth7"}}
		}, []string{"interface eth7: name another interface in [[vip]] or [cluster] of the file; `ip link` lists them"}, "no interface eth7"},
		{"no subnet", func(f *Facts) { f.Net.Held = f.Net.Held[:1] }, []string{
			"interface 192.0.2.105: in the file: [[vip]] with address = \"192.0.2.105\" and interface = the interface of the clients' side",
		}, "no interface has a subnet"},
		{"IPv6 off", func(f *Facts) {
			f.Config.Virtuals[0].Service.ServiceKey = table.ByAddr(table.TCP, netip.AddrPortFrom(vip6, 80))
			f.Config.VIPs = []config.VIP{{Address: netip.PrefixFrom(vip6, 64), Interface: "eth0"}}
			f.set("net/ipv6/conf/eth0/disable_ipv6", "1")
		}, []string{"ipv6-off eth0: sysctl -w net.ipv6.conf.eth0.disable_ipv6=0"}, "2001:db8::105"},
		{"IPv6 off, IPv4 address", func(f *Facts) { f.set("net/ipv6/conf/eth0/disable_ipv6", "1") }, nil, ""},

		{"strict filter, way back elsewhere", func(f *Facts) {
			f.Far[vip4] = Route{"eth1", 1500}
			f.set("net/ipv4/conf/all/rp_filter", "1")
		}, []string{"rp-filter eth0: sysctl -w net.ipv4.conf.eth0.rp_filter=2"}, "leads through eth1"},
		{"strict filter, way back here", func(f *Facts) { f.set("net/ipv4/conf/all/rp_filter", "1") }, nil, ""},
		{"loose filter wins", func(f *Facts) {
			f.Far[vip4] = Route{"eth1", 1500}
			f.set("net/ipv4/conf/all/rp_filter", "1", "net/ipv4/conf/eth0/rp_filter", "2")
		}, nil, ""},

		{"one-armed nat", func(f *Facts) {
			f.withReal(drReal, table.NAT, Route{"eth0", 1500})
			f.set("net/ipv4/ip_forward", "1")
		}, []string{"redirects eth0: sysctl -w net.ipv4.conf.all.send_redirects=0\nsysctl -w net.ipv4.conf.eth0.send_redirects=0"}, "192.0.2.101 (nat)"},
		{"one-armed nat, one of the two is on", func(f *Facts) {
			f.withReal(drReal, table.NAT, Route{"eth0", 1500})
			f.set("net/ipv4/ip_forward", "1", "net/ipv4/conf/eth0/send_redirects", "0")
		}, []string{"redirects eth0: sysctl -w net.ipv4.conf.all.send_redirects=0"}, ""},

		{"tunnel", func(f *Facts) { f.withReal(inside, table.Tun, Route{"eth1", 1500}) }, []string{
			"tunnel-mtu eth1: on each real server behind it, `ip route change default … advmss 1440`; or an MTU of 1520 between them; " +
				"or `sysctl -w net.ipv4.vs.pmtu_disc=0`, and the director fragments",
		}, "1500 bytes (eth0) makes 1520"},
		{"tunnel with room", func(f *Facts) { f.withReal(inside, table.Tun, Route{"eth1", 1520}) }, nil, ""},
		{"tunnel by GUE lacks room", func(f *Facts) {
			f.withReal(inside, table.Tun, Route{"eth1", 1520})
			f.Config.Virtuals[0].Reals[0].Tunnel.Type = 1
		}, []string{
			"tunnel-mtu eth1: on each real server behind it, `ip route change default … advmss 1448`; or an MTU of 1532 between them; " +
				"or `sysctl -w net.ipv4.vs.pmtu_disc=0`, and the director fragments",
		}, ""},
		{"tunnel that fragments", func(f *Facts) {
			f.withReal(inside, table.Tun, Route{"eth1", 1500})
			f.set("net/ipv4/vs/pmtu_disc", "0")
		}, nil, ""},

		{"a director is a real server", func(f *Facts) {
			f.withCluster()
			f.withReal(netip.MustParseAddr("192.0.2.2"), table.DR, Route{})
		}, []string{"director-is-real 192.0.2.2: run the server on a machine of its own, or write forward = \"nat\" for it in the file"}, "real server of web"},
		{"a director is a real server by nat", func(f *Facts) {
			f.withCluster()
			f.withReal(netip.MustParseAddr("192.0.2.2"), table.NAT, Route{"eth1", 1500})
			f.set("net/ipv4/ip_forward", "1")
		}, nil, ""},

		{"ldirectord", func(f *Facts) { f.Processes = []Process{{12, "ldirectord", nil}} }, []string{"owner ldirectord: systemctl disable --now ldirectord"}, "pid 12"},
		{"keepalived twice", func(f *Facts) { f.Processes = []Process{{7, "keepalived", nil}, {8, "keepalived", nil}} }, []string{"owner keepalived: systemctl disable --now keepalived"}, "pid 7, 8"},
		{"keepalived for addresses only", func(f *Facts) { f.Processes = []Process{{7, "keepalived", []string{"keepalived", "-P"}}} }, nil, ""},
		{"kube-proxy in another mode", func(f *Facts) { f.Processes = []Process{{7, "kube-proxy", nil}} }, nil, ""},
		{"kube-proxy in ipvs mode", func(f *Facts) {
			f.Processes = []Process{{7, "kube-proxy", nil}}
			f.Net.Links = append(f.Net.Links, vip.Link{Name: "kube-ipvs0"})
		}, []string{"owner kube-proxy: " + ownerCure["kube-proxy"]}, ""},
		{"kube-proxy inside k3s", func(f *Facts) { f.Net.Links = append(f.Net.Links, vip.Link{Name: "kube-ipvs0"}) }, []string{
			"owner kube-ipvs0: " + ownerCure["kube-proxy"] + "; where that is done, `ip link del kube-ipvs0`",
		}, ""},

		{"a port that another has", func(f *Facts) { f.Listeners = []Listener{listener("0.0.0.0:9117", 5, "nginx")} }, []string{
			"port tcp 127.0.0.1:9117: stop it, or write another port in [http] listen of the file",
		}, "nginx (pid 5) listens on 0.0.0.0:9117"},
		{"a port of nobody known", func(f *Facts) { f.Listeners = []Listener{listener("[::]:9117", 0, "")} }, []string{
			"port tcp 127.0.0.1:9117: stop it, or write another port in [http] listen of the file",
		}, "another program"},
		{"the same port on another address", func(f *Facts) { f.Listeners = []Listener{listener("127.0.0.2:9117", 5, "nginx")} }, nil, ""},
		{"the daemon's own port", func(f *Facts) {
			f.Daemon, f.Listeners = &Daemon{PID: 5}, []Listener{listener("127.0.0.1:9117", 5, "main")}
		}, nil, ""},
		{"the cluster's port", func(f *Facts) {
			f.withCluster()
			f.Listeners = []Listener{listener("192.0.2.1:7946", 5, "consul")}
		}, []string{"port tcp 192.0.2.1:7946: stop it, or write another port in [cluster] listen of the file"}, ""},

		{"key for all", func(f *Facts) { f.withCluster(); f.KeyMode = 0o644 }, []string{"key-mode /etc/ipvsd/cluster.key: chmod 600 /etc/ipvsd/cluster.key"}, "0644"},
		{"clock", func(f *Facts) { f.withCluster(); f.Unsynced = true }, []string{"clock clock: apt install chrony, or timedatectl set-ntp true"}, "STA_UNSYNC"},
		{"clock of a single director", func(f *Facts) { f.Unsynced = true }, nil, ""},
		{"clock ahead", func(f *Facts) {
			f.withCluster()
			f.Skews = map[netip.Addr]Skew{netip.MustParseAddr("192.0.2.2"): {1005 * time.Millisecond, 4 * time.Millisecond}}
		}, []string{"clock-skew 192.0.2.2: `chronyc tracking` or `timedatectl timesync-status` on both tells which of them is wrong"}, "is 1.0 s ahead of this machine's (ICMP timestamps, ± 0.004 s)"},
		{"clock behind by a second, as far as is known", func(f *Facts) {
			f.withCluster()
			f.Skews = map[netip.Addr]Skew{netip.MustParseAddr("192.0.2.2"): {-1005 * time.Millisecond, 5 * time.Millisecond}}
		}, nil, ""},
		{"conntrack table", func(f *Facts) { f.set("net/netfilter/nf_conntrack_count", "901") }, []string{
			"conntrack-full net.netfilter.nf_conntrack_max: sysctl -w net.netfilter.nf_conntrack_max=2000",
		}, "901 of 1000"},

		{"silence", func(f *Facts) { f.Answers = []Answer{} }, nil, ""},
		{"a web node answers", func(f *Facts) { f.held(); f.answered(web1) }, []string{
			"arp-answer 192.0.2.105 on eth0: on 192.0.2.101: ipvsd realserver setup --vip 192.0.2.105",
		}, "02:00:00:00:01:01 answers for it, which is real server 192.0.2.101"},
		{"a web node by tun answers", func(f *Facts) {
			f.held()
			f.withReal(drReal, table.Tun, Route{"eth0", 1600})
			f.answered(web1)
		}, []string{"arp-answer 192.0.2.105 on eth0: on 192.0.2.101: ipvsd realserver setup --vip 192.0.2.105 --method tun"}, ""},
		{"an unknown machine answers", func(f *Facts) { f.held(); f.answered(nobody) }, []string{
			"arp-answer 192.0.2.105 on eth0: find it (the switch's table has its port) and take the address from it, or, if it is a web node, run ipvsd realserver setup there",
		}, "02:00:00:00:09:09"},
		{"a single director that doesn't run", func(f *Facts) { f.answered(nobody) }, []string{
			"arp-answer 192.0.2.105 on eth0: find it (the switch's table has its port) and take the address from it, or, if it is a web node, run ipvsd realserver setup there",
		}, ""},
		{"the active director answers the standby", func(f *Facts) { f.withCluster(); f.answered(MAC{2, 0, 0, 0, 0, 2}) }, nil, ""},
		{"the active director of another network", func(f *Facts) { f.withCluster(); f.answered(nobody) }, nil, ""},
		{"two directors hold it", func(f *Facts) { f.withCluster(); f.held(); f.answered(MAC{2, 0, 0, 0, 0, 2}) }, []string{
			"arp-answer 192.0.2.105 on eth0: `ipvsd status` on both tells why; most often they can't hear each other",
		}, "the director 192.0.2.2 answers"},
		{"two others hold it", func(f *Facts) { f.withCluster(); f.answered(MAC{2, 0, 0, 0, 0, 2}, nobody) }, []string{
			"arp-answer 192.0.2.105 on eth0: `ipvsd status` on the directors tells which of them holds it; take it from the others",
		}, "02:00:00:00:00:02 (192.0.2.2), 02:00:00:00:09:09"},

		{"web node", func(f *Facts) {
			*f = Facts{Node: &realserver.Report{
				Missing: []realserver.Finding{{What: "a is 0", Why: "b", Cure: "sysctl -w a=1", Repair: true}, {What: "no route", Cure: "ip route add"}},
				Notes:   []realserver.Finding{{What: "no server", Cure: "start one"}},
			}}
		}, []string{"node a is 0: sysctl -w a=1", "node no route: ip route add", "node-note no server: start one"}, "b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := healthy()
			tt.wrong(f)
			found := Diagnose(*f)
			var got []string
			for _, x := range found {
				got = append(got, fmt.Sprintf("%s %s: %s", x.Check, x.Object, x.Cure))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Fatalf("findings (-want +got):\n%s", diff)
			}
			if tt.reason != "" && !strings.Contains(found[0].Reason, tt.reason) {
				t.Errorf("reason %q lacks %q", found[0].Reason, tt.reason)
			}
			for _, x := range found {
				row := checkNamed(x.Check)
				if x.Severity != row.Severity || x.Fixable && !row.Fix || x.Cure == "" {
					t.Errorf("%+v doesn't fit its row %+v", x, row)
				}
			}
			if again := Diagnose(*f); !cmp.Equal(found, again) {
				t.Error("a second look finds something else")
			}
			triggered = append(triggered, tt.want...)
		})
	}
	for _, c := range Checks() {
		if !slices.ContainsFunc(triggered, func(s string) bool { return strings.HasPrefix(s, c.Name+" ") }) {
			t.Errorf("nothing triggered the check %s", c.Name)
		}
	}
}

func listener(addr string, pid int, name string) Listener {
	return Listener{realserver.Socket{Protocol: "tcp", Addr: netip.MustParseAddrPort(addr)}, pid, name}
}

func checkNamed(name string) Check {
	list := Checks()
	return list[slices.IndexFunc(list, func(c Check) bool { return c.Name == name })]
}

// TestEverySysctlHasItsCheck: what the director sets, the doctor looks at.
func TestEverySysctlHasItsCheck(t *testing.T) {
	f := healthy()
	f.withCluster()
	f.withReal(inside, table.NAT, Route{})
	f.Host.RouterAdverts = []string{"eth0"}
	f.Host.Answers = []director.AnswerLink{{Interface: "eth0", Strict: true}}
	f.Config.Virtuals[0].Reals = append(f.Config.Virtuals[0].Reals, config.Real{Real: table.Real{Addr: netip.MustParseAddrPort("[fd00::1]:80")}})
	f.Config.Virtuals[0].Service.Timeout = 60
	sctp := f.Config.Virtuals[0]
	sctp.Service.Protocol = table.SCTP
	f.Config.Virtuals = append(f.Config.Virtuals, sctp)
	list := director.Sysctls(f.Config, f.Host)
	if len(list) < 14 {
		t.Errorf("only %d settings: %v", len(list), list)
	}
	for _, s := range list {
		if name := checkOf(s.Path); !slices.Contains(directorSets, name) || !checkNamed(name).Fix {
			t.Errorf("%s is of the check %q", s.Path, name)
		}
	}
}

// TestDocs holds docs/doctor.md to the table.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows, want []string
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "| `") {
			rows = append(rows, strings.TrimSpace(line))
		}
	}
	for _, c := range Checks() {
		fix := "no"
		if c.Fix {
			fix = "yes"
		}
		want = append(want, fmt.Sprintf("| `%s` | %s | %s | %s |", c.Name, c.Severity, c.About, fix))
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("docs/doctor.md (-want +got):\n%s", diff)
	}
}
