package keepalived

import "testing"

// TestInstance has a vrrp_instance with the keywords of each case.
func TestInstance(t *testing.T) {
	const address = "virtual_ipaddress {\n192.0.2.10/24\n}"
	const peers = "unicast_src_ip 192.0.2.3\nunicast_peer {\n192.0.2.4\n}\n"
	for _, c := range []keyword{
		{name: "defaults", conf: peers + address, want: "listen = \"192.0.2.3:7946\"\njoin = [\"192.0.2.4:7946\"]\nkey_file = \"/etc/ipvsd/cluster.key\"\npriority = 100\npreempt = true\ninterface = \"eth0\"\nenabled = false\naddress = \"192.0.2.10/24\""},
		{name: "multicast", conf: address, want: "listen = \"192.0.2.1:7946\"\njoin = [\"192.0.2.2:7946\"]", lost: []string{"own address", "VRRP finds its peers"}},
		{name: "examples are free", conf: "virtual_ipaddress {\n192.0.2.1\n192.0.2.3\n}", want: "listen = \"192.0.2.2:7946\"\njoin = [\"192.0.2.4:7946\"]", lost: []string{"own address"}},
		{
			name: "bad peers", conf: "unicast_peer {\n192.0.2.10\nfe80::1\nx\n127.0.0.1\n2001:db8::1\n2001:db8::2\n192.0.2.9\n}\n" + address,
			want: `join = ["[2001:db8::1]:7946", "[2001:db8::2]:7946"]`, lost: []string{"192.0.2.10\" is a virtual", "fe80::1\" can't", "\"x\" is not", "127.0.0.1\" can't", "192.0.2.9 is of another family"},
		},
		{name: "priority", conf: peers + "priority 7", want: "priority = 7"},
		{name: "of a master", conf: peers + "state MASTER\nnopreempt\npreempt_delay 3", want: "priority = 255\npreempt = true", not: "preempt_delay", told: "means nothing with state MASTER"},
		{name: "nopreempt", conf: peers + "nopreempt\npreempt_delay 3", want: "preempt = false", not: "preempt_delay", told: "means nothing with nopreempt"},
		{name: "preempt_delay", conf: peers + "preempt_delay 300", want: `preempt_delay = "5m"`},
		{name: "advert_int", conf: peers + "advert_int 0.05", want: `profile = "fast"`},
		{name: "usual advert_int", conf: peers + "advert_int 1", not: "profile", told: "advert_int: how soon"},
		{name: "authentication", conf: peers + "authentication {\nauth_type PASS\nauth_pass secret\n}", not: "secret", lost: []string{"authentication: the password"}},
		{name: "old passwords", conf: peers + "# auth_pass secret\n" + `authentication {` + "\n# secret\nauth_pass secret # secret\n}", not: "# secret", lost: []string{"authentication: "}},
		{name: "address", conf: peers + "virtual_ipaddress {\n192.0.2.20 # one\n192.0.2.21/26 dev eth1 scope global brd + \n}", want: "address = \"192.0.2.20/32\"        # one\naddress = \"192.0.2.21/26\"\ninterface = \"eth1\""},
		{name: "label", conf: peers + "virtual_ipaddress {\n192.0.2.20/24 label eth0:1 peer 192.0.2.9 scope link odd\n}", lost: []string{"label eth0:1", "peer 192.0.2.9", "scope link", `"odd"`}},
		{name: "twice", conf: peers + address + "\nvirtual_ipaddress_excluded {\n192.0.2.10\n}", want: "# [[vip]]", lost: []string{"the same address as in line"}},
		{name: "of the network", conf: peers + "virtual_ipaddress {\n192.0.2.255/24\n}", want: "# [[vip]]", lost: []string{"no host"}},
		{name: "track_interface", conf: peers + "track_interface {\neth0\neth1\neth2 weight -30\n}", want: "interface = \"eth1\"\nweight = 0\ninterface = \"eth2\"\nweight = 30"},
		{name: "reverse", conf: peers + "track_interface {\neth2 weight 30 reverse\n}", not: "[[cluster.track]]", lost: []string{"well while it fails"}},
		{name: "adds", conf: peers + "priority 250\ntrack_interface {\neth2 weight 30\n}", want: "priority = 255"},
		{name: "no script", conf: peers + "track_script {\nx\n}", not: "[[cluster.track]]", lost: []string{"no vrrp_script"}},
		{name: "notify_master", conf: peers + `notify_master "/bin/moved 'a b' c"`, want: `active = ["/bin/moved", "a b", "c"]`},
		{name: "notify_backup", conf: peers + `notify_backup moved user group`, want: `standby = ["/usr/bin/env", "moved"]`, lost: []string{"not as user group"}},
		{name: "notify", conf: peers + "notify_fault /bin/fault\nnotify /bin/moved\npriority 9", want: "active = [\"/bin/moved\", \"INSTANCE\", \"VI\", \"MASTER\", \"9\"]\nfault = [\"/bin/fault\"]", lost: []string{"one program for each role"}},
		{name: "notify_stop", conf: peers + "notify_stop /bin/stop", lost: []string{"notify_stop"}},
		{name: "virtual_routes", conf: peers + "virtual_routes {\ndefault via 192.0.2.1\n}", lost: []string{"virtual_routes"}},
		{name: "use_vmac", conf: peers + "use_vmac", lost: []string{"use_vmac"}},
		{name: "alias", conf: peers + "track_interface {\neth1:0\n}", want: `interface = "eth1"`, lost: []string{"the label 0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, "vrrp_instance VI {\ninterface eth0\n"+c.conf+"\n}\n")
		})
	}
}

func TestCluster(t *testing.T) {
	instance := func(name, rest string) string {
		return "vrrp_instance " + name + " {\ninterface eth0\nunicast_src_ip 192.0.2.3\nunicast_peer {\n192.0.2.4\n}\n" + rest + "\n}\n"
	}
	vip := func(a string) string { return "virtual_ipaddress {\n" + a + "\n}\n" }
	for _, c := range []keyword{
		{name: "one priority", conf: instance("A", vip("192.0.2.10")) + instance("B", vip("192.0.2.11")), not: "[[group]]", told: "move together"},
		{name: "priorities", conf: instance("A", vip("192.0.2.10")) + instance("B x", vip("192.0.2.11")+"priority 50"), want: "[[group]]\nname = \"A\"\nvips = [\"192.0.2.10\"]\npriority = 100\nname = \"B\"\nvips = [\"192.0.2.11\"]\npriority = 50"},
		{
			name: "sync group", conf: "vrrp_sync_group S {\ngroup {\nA\nB\n}\nsmtp_alert\n}\n" + instance("A", vip("192.0.2.10")) + instance("B", vip("192.0.2.11")+"priority 50"),
			not: "[[group]]", lost: []string{"a sync group move together", "smtp_alert: [email] is about"},
		},
		{
			name: "sync groups", conf: "vrrp_sync_group default {\ngroup {\nA\nB\n}\n}\n" + instance("A", vip("192.0.2.10")) + instance("B", vip("192.0.2.11")) + instance("C", vip("192.0.2.12")+"priority 50"),
			want: "name = \"default-2\"\nvips = [\"192.0.2.10\", \"192.0.2.11\"]\nname = \"C\"",
		},
		{name: "old sync group", conf: "vrrp_sync_group S {\nA\nB\n}\n" + instance("A", vip("192.0.2.10")) + instance("B", vip("192.0.2.11")), not: "[[group]]"},
		{name: "preempt", conf: instance("A", "") + instance("B", "nopreempt"), want: "preempt = true", lost: []string{"one for all addresses"}},
		{
			name: "script", conf: "vrrp_script s {\nscript \"/bin/check 1\"\ninterval 5\nweight -20\n}\n" + instance("A", "track_script {\ns\n}"),
			want: "command = [\"/bin/check\", \"1\"]\nweight = 20\ninterval = \"5s\"\ntimeout = \"5s\"\nrise = 1\nfall = 1",
		},
		{name: "weight of its user", conf: "vrrp_script s {\nscript /bin/check\nweight -20\n}\n" + instance("A", "track_script {\ns weight 3\n}"), want: "weight = 3\npriority = 103"},
		{
			name: "tracked twice", conf: "vrrp_script s {\nscript /bin/check\n}\n" + instance("A", "track_script {\ns\n}") + instance("B", "track_script {\ns weight 5\n}"),
			want: "weight = 0", lost: []string{"tracked for the whole director"},
		},
		{name: "shell", conf: "vrrp_script s {\nscript \"pidof a || pidof b\"\n}\n" + instance("A", "track_script {\ns\n}"), want: `command = ["/bin/sh", "-c", "pidof a || pidof b"]`},
		{name: "bash", conf: "vrrp_script s {\nscript \"</dev/tcp/127.0.0.1/80\"\n}\n" + instance("A", "track_script {\ns\n}"), want: `command = ["/bin/bash", "-c", "</dev/tcp/127.0.0.1/80"]`},
		{name: "unused script", conf: "vrrp_script s {\nscript /bin/check\n}\n" + instance("A", ""), lost: []string{"nothing tracks it"}},
		{name: "script of nobody", conf: "vrrp_script s {\nscript /bin/check\n}\n", lost: []string{"no vrrp_instance"}},
		{name: "process", conf: "vrrp_track_process p {\nprocess nginx\nquorum 2\n}\n" + instance("A", "track_process {\np\n}"), want: "command = [\"/usr/bin/pgrep\", \"-x\", \"nginx\"]\nweight = 1", lost: []string{"quorum", "ProtectProc=default"}},
		{name: "process with arguments", conf: "vrrp_track_process p {\nprocess c++ -g x\nweight 0\n}\n" + instance("A", "track_process {\np\n}"), want: `command = ["/usr/bin/pgrep", "-fx", 'c\+\+ -g x']`, lost: []string{"ProtectProc=default"}},
		{name: "sync daemon", conf: "global_defs {\nlvs_sync_daemon eth1 A\n}\n" + instance("A", "virtual_router_id 51"), want: "enabled = true\nid = 51\ninterface = \"eth1\""},
		{name: "with an id", conf: "global_defs {\nlvs_sync_daemon eth1 inst A id 7 port 8849\n}\n" + instance("A", "virtual_router_id 51"), want: "id = 7", lost: []string{"port 8849"}},
		{name: "without one", conf: "global_defs {\nlvs_sync_daemon eth1\n}\n" + instance("A", ""), want: "id = 1", told: "the id 0"},
		{name: "default_interface", conf: "global_defs {\ndefault_interface ens1\n}\nvrrp_instance A {\nunicast_src_ip 192.0.2.3\nunicast_peer {\n192.0.2.4\n}\n}\n", want: `interface = "ens1"`},
		{name: "lvs_flush_on_stop", conf: "global_defs {\nlvs_flush_on_stop\n}\n", want: "clean_stop = true"},
		{name: "mail", conf: "global_defs {\nnotification_email {\na@example.org\n}\nsmtp_server 192.0.2.25\n}\n", want: "to = [\"a@example.org\"]\nsmtp = \"192.0.2.25:25\"", told: "the active director alone"},
		{name: "lvs_timeouts", conf: "global_defs {\nlvs_timeouts tcp 7200\n}\n", lost: []string{"ipvsadm --set"}},
		{name: "unknown global", conf: "global_defs {\nfrobnicate\n}\n", lost: []string{"frobnicate: not known"}},
		{name: "static_ipaddress", conf: "static_ipaddress {\n192.0.2.9/24 dev eth0\n}\n", lost: []string{"static_ipaddress"}},
		{
			name: "conditions", conf: "vrrp_instance A {\ninterface eth0\n@a unicast_src_ip 192.0.2.3\n@b unicast_src_ip 192.0.2.4\n@a priority 1\n@b priority 2\nunicast_peer {\n@^a 192.0.2.3\n@^b 192.0.2.4\n}\n}\n",
			want: "join = [\"192.0.2.3:7946\", \"192.0.2.4:7946\"]\npriority = 1", not: "listen", lost: []string{"@b: priority is taken from line 5"},
		},
		{name: "head", conf: "# all\n# of it\n\n# not only this\nvrrp_script s {\nscript /bin/true\n}\n" + instance("A", "track_script {\ns\n}"), want: "# all\n# of it"},
		{name: "unclosed", conf: "vrrp_sync_group A {\ngroup {\n", lost: []string{"isn't closed"}},
		{name: "nameless", conf: "{\na\n}\n}", lost: []string{"opens a block", "closes no block"}},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, c.conf) })
	}
}
