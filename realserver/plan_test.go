package realserver

import (
	"net/netip"
	"strings"
	"testing"
)

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		name string
		opts Options
		node func(*fakeKernel)
		want string
	}{
		{
			"dr",
			Options{VIPs: []string{"192.168.0.105"}},
			nil,
			`sysctl -w net.ipv4.conf.all.arp_ignore=1
sysctl -w net.ipv4.conf.all.arp_announce=2
ip addr add 192.168.0.105/32 dev lo label lo:0`,
		},
		{
			"dr, IPv6 needs no sysctl",
			Options{VIPs: []string{"fd00::105"}},
			nil,
			`ip addr add fd00::105/128 dev lo nodad preferred_lft 0`,
		},
		{
			"labels that are taken",
			Options{VIPs: []string{"192.168.0.105", "192.168.0.106"}},
			func(f *fakeKernel) {
				f.state.Addrs = append(f.state.Addrs, lo("10.0.0.1/32", "lo:0"), lo("10.0.0.2/32", "lo:2"))
			},
			`sysctl -w net.ipv4.conf.all.arp_ignore=1
sysctl -w net.ipv4.conf.all.arp_announce=2
ip addr add 192.168.0.105/32 dev lo label lo:1
ip addr add 192.168.0.106/32 dev lo label lo:3`,
		},
		{
			"an address set up by hand is done",
			Options{VIPs: []string{"192.168.0.105"}},
			func(f *fakeKernel) {
				f.state.Addrs = append(f.state.Addrs, lo("192.168.0.105/32", "lo"))
				f.state.Sysctls[conf4("all", "arp_ignore")] = "2"
				f.state.Sysctls[conf4("all", "arp_announce")] = "2"
			},
			``,
		},
		{
			"an interface whose own value is larger and not silent",
			Options{VIPs: []string{"192.168.0.105"}},
			func(f *fakeKernel) { f.state.Sysctls[conf4("eth0", "arp_ignore")] = "3" },
			`sysctl -w net.ipv4.conf.all.arp_ignore=1
sysctl -w net.ipv4.conf.eth0.arp_ignore=1
sysctl -w net.ipv4.conf.all.arp_announce=2
ip addr add 192.168.0.105/32 dev lo label lo:0`,
		},
		{
			"an interface's 8 is silent enough, and its smaller value doesn't count",
			Options{VIPs: []string{"192.168.0.105"}},
			func(f *fakeKernel) {
				f.state.Sysctls[conf4("eth0", "arp_ignore")] = "8"
				f.state.Sysctls[conf4("eth0", "arp_announce")] = "1"
				f.state.Sysctls[conf4("all", "arp_ignore")] = "1"
				f.state.Sysctls[conf4("all", "arp_announce")] = "2"
			},
			`ip addr add 192.168.0.105/32 dev lo label lo:0`,
		},
		{
			"tun",
			Options{VIPs: []string{"192.168.0.105", "fd00::105"}, Method: "tun"},
			nil,
			`modprobe ip6_tunnel
modprobe ipip
sysctl -w net.ipv4.conf.all.arp_ignore=1
sysctl -w net.ipv4.conf.all.arp_announce=2
ip link set ip6tnl0 up
ip link set tunl0 up
ip addr add 192.168.0.105/32 dev tunl0
ip addr add fd00::105/128 dev ip6tnl0 nodad preferred_lft 0`,
		},
		{
			"tun with strict rp_filter on the tunnel only",
			Options{VIPs: []string{"192.168.0.105"}, Method: "tun"},
			func(f *fakeKernel) { f.state.Sysctls[conf4("default", "rp_filter")] = "1" },
			`modprobe ipip
sysctl -w net.ipv4.conf.all.arp_ignore=1
sysctl -w net.ipv4.conf.all.arp_announce=2
sysctl -w net.ipv4.conf.tunl0.rp_filter=0
ip link set tunl0 up
ip addr add 192.168.0.105/32 dev tunl0`,
		},
		{
			"tun with strict rp_filter everywhere leaves the others alone",
			Options{VIPs: []string{"192.168.0.105"}, Method: "tun"},
			func(f *fakeKernel) { f.state.Sysctls[conf4("all", "rp_filter")] = "1" },
			`modprobe ipip
sysctl -w net.ipv4.conf.all.arp_ignore=1
sysctl -w net.ipv4.conf.all.arp_announce=2
sysctl -w net.ipv4.conf.tunl0.rp_filter=2
ip link set tunl0 up
ip addr add 192.168.0.105/32 dev tunl0`,
		},
		{
			"nat",
			Options{Method: "nat", Gateway: "192.168.0.1"},
			func(f *fakeKernel) {
				f.state.Sysctls[conf4("all", "accept_redirects")] = "1"
				f.state.Sysctls[conf4("eth0", "accept_redirects")] = "1"
			},
			`sysctl -w net.ipv4.conf.all.accept_redirects=0
sysctl -w net.ipv4.conf.eth0.accept_redirects=0`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newFake().withEthernet()
			if c.node != nil {
				c.node(k)
			}
			want := Want(mustGoal(t, c.opts))
			have, _ := k.Read()
			steps := Plan(have, want)
			if got := commands(steps); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			for _, s := range steps {
				if s.Why == "" {
					t.Errorf("%s has no reason", s.Command())
				}
				if err := k.Do(s); err != nil {
					t.Errorf("%s: %v", s.Command(), err)
				}
			}
			have, _ = k.Read()
			if again := Plan(have, want); len(again) > 0 {
				t.Errorf("second plan:\n%s", commands(again))
			}
		})
	}
}

// TestKeyDots: an interface's name may have dots, a key shows them as sysctl(8)
// wants them.
func TestKeyDots(t *testing.T) {
	if got, want := conf4("eth0.100", "arp_ignore").String(), "net.ipv4.conf.eth0/100.arp_ignore"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestConflicts(t *testing.T) {
	for _, c := range []struct {
		name string
		opts Options
		node func(*fakeKernel)
		want string // part of the message; "" is no conflict
	}{
		{"none", Options{VIPs: []string{"192.168.0.105"}}, nil, ""},
		{"the node's own address", Options{VIPs: []string{"192.168.0.101"}}, nil, "`ip addr del 192.168.0.101/24 dev eth0`"},
		{
			"a network's mask",
			Options{VIPs: []string{"192.168.0.105"}},
			func(f *fakeKernel) { f.state.Addrs = append(f.state.Addrs, lo("192.168.0.105/24", "lo:0")) },
			"takes the whole network 192.168.0.0/24 for itself",
		},
		{"a VIP with nat", Options{VIPs: []string{"192.168.0.101"}, Method: "nat"}, nil, "with nat only the director has the VIP"},
		{
			"a director",
			Options{VIPs: []string{"192.168.0.105"}},
			func(f *fakeKernel) {
				f.state.Balance = []Balanced{{"tcp", netip.MustParseAddrPort("192.168.0.105:80")}}
			},
			"this node's own IPVS balances tcp 192.168.0.105:80",
		},
		{
			"a director that leaves packets alone on standby",
			Options{VIPs: []string{"192.168.0.105"}},
			func(f *fakeKernel) {
				f.state.Balance = []Balanced{{"tcp", netip.MustParseAddrPort("192.168.0.105:80")}}
				f.state.Sysctls["net/ipv4/vs/backup_only"] = "1"
			},
			"",
		},
		{
			"no IPv6 on lo",
			Options{VIPs: []string{"fd00::105"}},
			func(f *fakeKernel) { f.state.Sysctls[conf6("lo", "disable_ipv6")] = "1" },
			"`sysctl -w net.ipv6.conf.lo.disable_ipv6=0`",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newFake().withEthernet()
			if c.node != nil {
				c.node(k)
			}
			have, _ := k.Read()
			err := Conflicts(have, mustGoal(t, c.opts))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
