package keepalived

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/director/config/convert"
)

// keyword is a test of one keyword: what must be in the output, what must not,
// and the notes; "" is none that says something is lost.
type keyword struct {
	name string
	conf string
	want string   // lines, in any place
	not  string   // what no line may begin with
	lost []string // parts of notes
	told string   // part of a note about what isn't lost
}

func (c keyword) run(t *testing.T, conf string) {
	t.Helper()
	r := Convert([]convert.File{{Name: "keepalived.conf", Data: []byte(conf)}}, convert.Options{})
	toml := string(r.TOML())
	validate(t, []byte(toml))
	lines := "\n" + strings.ReplaceAll(toml, "\n  ", "\n")
	for w := range strings.SplitSeq(c.want, "\n") {
		if w != "" && !strings.Contains(lines, "\n"+w) {
			t.Errorf("no line %s in\n%s", w, toml)
		}
	}
	if c.not != "" && strings.Contains(lines, "\n"+c.not) {
		t.Errorf("a line %s in\n%s", c.not, toml)
	}
	var lost, told strings.Builder
	for _, n := range r.Notes {
		if n.Lost {
			fmt.Fprintln(&lost, n)
		} else {
			fmt.Fprintln(&told, n)
		}
	}
	for _, part := range c.lost {
		if !strings.Contains(lost.String(), part) {
			t.Errorf("no note of something lost, %q, in\n%s", part, lost.String())
		}
	}
	if len(c.lost) == 0 && lost.Len() > 0 {
		t.Errorf("lost:\n%s", lost.String())
	}
	if !strings.Contains(told.String(), c.told) {
		t.Errorf("no note %q in\n%s", c.told, told.String())
	}
}

// TestVirtual has a virtual_server with the keywords of each case.
func TestVirtual(t *testing.T) {
	for _, c := range []keyword{
		{name: "defaults", want: "address = \"192.0.2.10:80\"\nprotocol = \"tcp\"\nforward = \"nat\"\nquiescent = false", not: "scheduler"},
		{name: "lvs_sched", conf: "lvs_sched sed", want: `scheduler = "sed"`},
		{name: "lb_algo", conf: "lb_algo nq # few", want: `scheduler = "nq"                 # few`},
		{name: "unknown scheduler", conf: "lb_algo xyz", want: `scheduler = "wlc"`, lost: []string{"not one of the kernel's"}},
		{name: "flags", conf: "lb_algo sh\nsh-port\nsh-fallback\nsh-port", want: `scheduler_flags = ["sh-port", "sh-fallback"]`},
		{name: "another's flag", conf: "lb_algo rr\nmh-port\nflag-1", want: `scheduler_flags = ["flag-1"]`, lost: []string{"only for the scheduler mh"}},
		{name: "DR", conf: "lb_kind DR", want: `forward = "dr"`},
		{name: "TUN", conf: "lvs_method TUN", want: `forward = "tun"`, not: "tunnel"},
		{name: "GRE", conf: "lvs_method TUN type gre csum", want: `tunnel = { type = "gre", checksum = "full" }`},
		{name: "GUE", conf: "lvs_method TUN type gue port 6080 remcsum", want: `tunnel = { type = "gue", port = 6080, checksum = "remote" }`},
		{name: "GUE without a port", conf: "lvs_method TUN type gue", not: "tunnel", lost: []string{"without a port"}},
		{name: "GRE with remcsum", conf: "lvs_method TUN type gre remcsum x", want: `tunnel = { type = "gre" }`, lost: []string{"not possible with gre", `"x" is not known`}},
		{name: "persistence", conf: "persistence_timeout 300", want: `persistence = "5m"`},
		{name: "persistence by default", conf: "persistence_timeout", want: `persistence = "6m"`},
		{name: "granularity alone", conf: "persistence_granularity 255.255.0.0", want: "persistence = \"6m\"\npersistence_netmask = 16"},
		{name: "granularity by length", conf: "persistence_timeout 5\npersistence_granularity 24", want: "persistence_netmask = 24"},
		{name: "bad granularity", conf: "persistence_timeout 5\npersistence_granularity 255.0.255.0", not: "persistence_netmask", lost: []string{"not a netmask"}},
		{name: "long persistence", conf: "persistence_timeout 9999999", want: `persistence = "6m"`, lost: []string{"from 0 to 2678400"}},
		{name: "no persistence", conf: "persistence_timeout 0\npersistence_granularity 24", not: "persistence", lost: []string{"means nothing"}},
		{name: "engine", conf: "protocol UDP\npersistence_timeout 60\npersistence_engine sip", want: `persistence_engine = "sip"`},
		{name: "engine of tcp", conf: "persistence_timeout 60\npersistence_engine sip", not: "persistence_engine", lost: []string{"for udp only"}},
		{name: "ops", conf: "protocol UDP\nops", want: "protocol = \"udp\"\none_packet = true"},
		{name: "ops of tcp", conf: "ops", not: "one_packet", lost: []string{"only udp"}},
		{name: "sctp", conf: "protocol SCTP", want: `protocol = "sctp"`},
		{name: "unknown protocol", conf: "protocol DCCP", want: `protocol = "tcp"`, lost: []string{`"DCCP"`}},
		{name: "sorry_server", conf: "sorry_server 10.0.0.9 80", want: `fallback = { address = "10.0.0.9", forward = "nat" }`},
		{name: "of another port", conf: "sorry_server 10.0.0.9 81", want: `fallback = { address = "10.0.0.9:81", forward = "nat" }`},
		{name: "by another method", conf: "sorry_server 127.0.0.1 81\nsorry_server_lvs_method DR", want: `fallback = { address = "127.0.0.1", forward = "dr" }`, told: "can't change the port 80 to 81"},
		{name: "by a tunnel", conf: "sorry_server 10.0.0.9\nsorry_server_lvs_method TUN type gre", want: `fallback = { address = "10.0.0.9", forward = "tun" }`, lost: []string{"always ipip"}},
		{name: "a real server", conf: "sorry_server 10.0.0.1 80", want: "# fallback", lost: []string{"must be another one"}},
		{name: "no address", conf: "sorry_server sorry 80", want: "# fallback", lost: []string{"not the address"}},
		{name: "inhibit_on_failure", conf: "inhibit_on_failure", want: "quiescent = true"},
		{name: "quorum of one", conf: "quorum 1\nhysteresis 0"},
		{name: "quorum", conf: "hysteresis 1\nquorum 2", not: "min_up", lost: []string{":3: hysteresis"}, told: "taken as 1, as keepalived does"},
		{name: "alpha", conf: "alpha", told: "alpha: "},
		{name: "omega", conf: "omega", lost: []string{"omega: "}},
		{name: "ha_suspend", conf: "ha_suspend", told: "ha_suspend: "},
		{name: "weight", conf: "weight 7", want: "weight = 7"},
		{name: "snmp_name", conf: "snmp_name shop", want: `name = "shop"`},
		{name: "unknown", conf: "frobnicate 3", lost: []string{"frobnicate: not known"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			conf := c.conf
			if !strings.Contains(conf, "protocol") {
				conf += "\nprotocol TCP"
			}
			if c.name == "defaults" || c.name == "quorum" {
				conf = strings.TrimPrefix(conf, "\n")
			}
			c.run(t, "virtual_server 192.0.2.10 80 {\n\n"+conf+"\nreal_server 10.0.0.1 80 {\nPING_CHECK {\n}\n}\n}\n")
		})
	}
}

// TestTargets is about what a virtual_server stands for.
func TestTargets(t *testing.T) {
	const body = " {\nprotocol TCP\nlb_kind DR\nreal_server %s 80 {\nTCP_CHECK {\n}\n}\n}\n"
	v4, v6 := fmt.Sprintf(body, "10.0.0.1"), fmt.Sprintf(body, "2001:db8::1")
	for _, c := range []keyword{
		{name: "ipv6", conf: "virtual_server 2001:db8::10 80" + v6, want: `address = "[2001:db8::10]:80"`},
		{name: "mark", conf: "virtual_server fwmark 3" + v4, want: "fwmark = 3\nfamily = \"ipv4\"\nport = 80\naddress = \"10.0.0.1\"", not: "protocol"},
		{name: "mark of ipv6", conf: "virtual_server fwmark 3" + v6, want: "fwmark = 3\nfamily = \"ipv6\""},
		{name: "both families of a mark", conf: "virtual_server fwmark 3" + v4 + "virtual_server fwmark 3" + v6, want: "family = \"ipv4\"\nfamily = \"ipv6\""},
		{name: "no mark", conf: "virtual_server fwmark zero" + v4, want: "# [[virtual]]", lost: []string{`"zero" is not a firewall mark`}},
		{name: "all ports", conf: "virtual_server 192.0.2.10" + v4, want: "# [[virtual]]", lost: []string{"all ports"}},
		{name: "no port", conf: "virtual_server 192.0.2.10 http" + v4, want: "# [[virtual]]", lost: []string{`"http" is not a port`}},
		{name: "multicast", conf: "virtual_server 224.0.0.1 80" + v4, want: "# [[virtual]]", lost: []string{"can't be"}},
		{name: "twice", conf: "virtual_server 192.0.2.10 80" + v4 + "virtual_server 192.0.2.10 80" + v4, want: "# [[virtual]]", lost: []string{"the same as in line 1"}},
		{
			name: "group", conf: "virtual_server_group G {\n192.0.2.1-2 80\n192.0.2.8/31 80\n192.0.2.254-192.0.3.0 80\nfwmark 9\n}\nvirtual_server group G" + v4,
			want: "address = \"192.0.2.1:80\"\naddress = \"192.0.2.2:80\"\naddress = \"192.0.2.8:80\"\naddress = \"192.0.2.9:80\"\naddress = \"192.0.2.254:80\"\naddress = \"192.0.2.255:80\"\naddress = \"192.0.3.0:80\"\nfwmark = 9",
		},
		{
			name: "range of ipv6", conf: "virtual_server_group G {\n2001:db8::f-11 80\n}\nvirtual_server group G" + v6,
			want: "address = \"[2001:db8::f]:80\"\naddress = \"[2001:db8::10]:80\"\naddress = \"[2001:db8::11]:80\"",
		},
		{name: "range upside down", conf: "virtual_server_group G {\n192.0.2.9-1 80\n}\nvirtual_server group G" + v4, want: "# [[virtual]]", lost: []string{"not an address"}},
		{name: "huge range", conf: "virtual_server_group G {\n10.0.0.0/8 80\n}\nvirtual_server group G" + v4, lost: []string{"more than 4096"}},
		{name: "no group", conf: "virtual_server group G" + v4, lost: []string{`no virtual_server_group "G"`}},
		{name: "group twice", conf: "virtual_server_group G {\n192.0.2.1 80\n}\nvirtual_server_group G {\n}\nvirtual_server group G" + v4, lost: []string{"in line 1 already"}},
		{name: "no protocol", conf: "virtual_server 192.0.2.10 53 {\nreal_server 10.0.0.1 53 {\nDNS_CHECK {\n}\n}\n}", want: `protocol = "udp"`, lost: []string{"no protocol"}},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, c.conf) })
	}
}

// TestReal has a real_server with the keywords of each case.
func TestReal(t *testing.T) {
	for _, c := range []keyword{
		{name: "weight", conf: "weight 0", want: "weight = 0"},
		{name: "method", conf: "lvs_method DR", want: `forward = "dr"`},
		{name: "thresholds", conf: "uthreshold 100\nlthreshold 50", want: "upper_threshold = 100\nlower_threshold = 50"},
		{name: "lower alone", conf: "lthreshold 50", not: "lower_threshold", lost: []string{"more than uthreshold"}},
		{name: "inhibit_on_failure", conf: "inhibit_on_failure", want: "quiescent = true"},
		{name: "smtp_alert", conf: "smtp_alert", not: "email", told: "nobody is told"},
		{name: "unknown", conf: "frobnicate", lost: []string{"frobnicate: not known"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, "virtual_server 192.0.2.10 80 {\nprotocol TCP\nlb_kind NAT\nreal_server 10.0.0.1 80 {\n"+c.conf+"\nPING_CHECK {\n}\n}\n}\n")
		})
	}
}
