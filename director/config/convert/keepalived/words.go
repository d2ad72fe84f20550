package keepalived

import "strings"

// fate is what becomes of keywords that nothing is made of. A word that ends
// in * stands for all that begin so.
type fate struct {
	words string
	text  string
	lost  bool // somebody may miss it
}

// drop notes what becomes of a statement that nothing is made of.
func (im *importer) drop(n *node, fates []fate) {
	for _, f := range fates {
		for w := range strings.FieldsSeq(f.words) {
			begin, open := strings.CutSuffix(w, "*")
			if n.key() != w && !(open && strings.HasPrefix(n.key(), begin)) {
				continue
			}
			if f.lost {
				im.lose(n, "%s", f.text)
			} else {
				im.tell(n, "%s", f.text)
			}
			return
		}
	}
	im.lose(n, "not known; not imported")
}

// dropRest does so with all statements of a block but those that are handled.
func (im *importer) dropRest(n *node, handled string, fates []fate) {
	for _, c := range n.body {
		known := false
		for w := range strings.FieldsSeq(handled) {
			known = known || w == c.key()
		}
		if !known {
			im.drop(c, fates)
		}
	}
}

const (
	noMail    = "[email] is about virtual services and their real servers; a change of role is told by a program in [cluster.hooks]"
	noVRRP    = "of VRRP, which ipvsd doesn't speak"
	ownPace   = "ipvsd announces addresses at a pace of its own"
	noRoutes  = "ipvsd moves addresses only; set it on both directors, or by a program in [cluster.hooks]"
	noProcess = "of keepalived's own processes"
	noScripts = "ipvsd runs programs as its own user"
	oneInARow = "ipvsd repeats a bad check at the interval and not sooner; write a shorter interval in [virtual.check] to notice a death as soon"
	asAlpha   = "a real server is out until its first good check, unless the kernel has it already; no program and no mail tells of that one"
	asRouted  = "a check goes out as the kernel routes it; path = \"vip\" in [virtual.check] sends it to the virtual address, as clients' packets go"
)

// The keywords of each block that something is made of;
// docs/migrating-from-keepalived.md says what.
const (
	globalKept   = "lvs_flush_on_stop lvs_sync_daemon default_interface notification_email notification_email_from smtp_server smtp_alert smtp_alert_checker"
	instanceKept = "interface priority advert_int nopreempt preempt preempt_delay unicast_src_ip mcast_src_ip unicast_peer virtual_ipaddress " +
		"virtual_ipaddress_excluded track_interface track_script track_process notify notify_master notify_backup notify_fault " +
		"authentication"
	syncKept    = "group track_interface track_script track_process notify notify_master notify_backup notify_fault"
	scriptKept  = "script interval timeout weight rise fall user"
	processKept = "process weight full_command"
	virtualKept = "quorum hysteresis lvs_sched lb_algo lvs_method lb_kind protocol persistence_timeout persistence_granularity persistence_engine ops " +
		"flag-1 flag-2 flag-3 sh-port sh-fallback mh-port mh-fallback snmp_name virtualhost delay_loop connect_timeout retry weight " +
		"inhibit_on_failure ip_family sorry_server sorry_server_lvs_method quorum_up quorum_down smtp_alert real_server"
	realKept = "weight lvs_method lb_kind uthreshold lthreshold inhibit_on_failure virtualhost delay_loop connect_timeout retry notify_up notify_down smtp_alert "
	httpKept = " nb_get_retry url virtualhost"
	urlKept  = "path status_code virtualhost regex regex_options regex_no_match"
	smtpKept = " helo_name host"
	dnsKept  = " type name"
	udpKept  = " payload require_reply min_reply_length max_reply_length"
	miscKept = "misc_path misc_timeout connect_timeout retry delay_loop"
)

var topWords = []fate{
	{"static_ipaddress static_routes static_rules track_group", "ipvsd doesn't set what stays on the machine; leave that to the network's own configuration", true},
	{"track_file vrrp_track_file", "ipvsd watches no files; write a [[cluster.track]] with a command", true},
	{"bfd_instance", "ipvsd has no BFD; its own adverts notice a silent director in 0.54 s, and a [[cluster.track]] a silent gateway", true},
	{"garp_group", ownPace, false},
	{"linkbeat_interfaces linkbeat_use_polling interface_up_down_delays", "the kernel tells the state of interfaces, and a director that comes and goes ranks last", false},
	{"SSL", "keepalived verifies no certificate with it; ca_file and verify of [virtual.check] would", true},
	{"net_namespace net_namespace_ipvs namespace_with_ipsets", "start ipvsd in the network namespace: NetworkNamespacePath= in its systemd unit", true},
	{"instance use_pid_dir child_wait_time", noProcess, false},
}

var globalWords = []fate{
	{"router_id", "a director has its host's name, or that in name of [cluster], which no other may have", false},
	{"smtp_alert_vrrp", noMail, true},
	{"smtp_helo_name smtp_connect_timeout", "ipvsd greets by its host's name, and gives a message 30 s", false},
	{"no_email_faults no_checker_emails", "ipvsd sends mail about changes of virtual services and real servers only", false},
	{"snmp_* enable_snmp_* enable_traps", "ipvsd has no SNMP; its metrics are at /metrics", true},
	{"enable_dbus dbus_*", "ipvsd has no D-Bus; \"ipvsd status --json\" tells, and its metrics", true},
	{"*notify_fifo* notify_fifo* vrrp_notify_fifo* lvs_notify_fifo* fifo_*", "ipvsd writes to no FIFO; programs in [hooks] are told of real servers and virtual services, those in [cluster.hooks] of the director's role", true},
	{"startup_script* shutdown_script*", "write it as ExecStartPre= or ExecStopPost= into a drop-in of ipvsd's systemd unit", true},
	{"script_user enable_script_security", noScripts, false},
	{"lvs_timeouts", "ipvsd doesn't set the kernel's timeouts; \"ipvsadm --set\" does, from an ExecStartPre= of its systemd unit", true},
	{"lvs_flush", "ipvsd adopts what is its own in the kernel's table, and leaves the rest alone", false},
	{"lvs_netlink_* vrrp_netlink_* process_monitor_* vrrp_rx_bufs_*", noProcess, false},
	{"vrrp_garp_* vrrp_gna_* vrrp_min_garp", ownPace, false},
	{"checker_log_all_failures", "ipvsd logs the first bad check and counts all", false},
	{"vrrp_iptables vrrp_ipsets nftables nftables_priority nftables_counters nftables_ifindex", noVRRP, false},
	{"nftables_ipvs*", "each address of a group is a [[virtual]]; a firewall mark would take its own rules", false},
	{"vrrp_startup_delay", "a director listens first and looks whether somebody has the addresses", false},
	{"dynamic_interfaces", "an interface may come later", false},
	{"rs_init_notifies", "at the start programs in [virtual.hooks] are told who is down, and not who is up", true},
	{"reload_check_config", "ipvsd refuses a file that is wrong and keeps the running one", false},
	{"reload_time_file reload_repeat reload_file", "ipvsd reloads when it is told to (SIGHUP), or with autoreload in [director]", true},
	{"vrrp_priority checker_priority bfd_* *_no_swap max_auto_priority min_auto_priority_delay vrrp_no_swap checker_no_swap vrrp_cpu_affinity checker_cpu_affinity " +
		"vrrp_rt_priority checker_rt_priority vrrp_rlimit_* checker_rlimit_* vrrp_rlimit_rttime process_name* vrrp_process_name checker_process_name " +
		"use_symlink_paths tmp_config_directory config_save_dir umask data_use_instance random_seed json_version include_check", noProcess, false},
	{"vmac_*", "addresses have the interface's own MAC address here", false},
	{"vrrp_* log_unknown_vrids disable_local_igmp", noVRRP, false},
	{"linkbeat_use_polling", "the kernel tells the state of interfaces", false},
	{"net_namespace* namespace_with_ipsets", "start ipvsd in the network namespace: NetworkNamespacePath= in its systemd unit", true},
}

var instanceWords = []fate{
	{"state", "the priority decides who becomes active", false},
	{"virtual_router_id version strict_mode native_ipv6 accept mcast_dst_ip unicast_ttl check_unicast_src unicast_fault_no_peer " +
		"old_unicast_checksum skip_check_adv_addr lower_prio_no_advert higher_prio_send_advert kernel_rx_buf_size debug down_timer_adverts vrf", noVRRP, false},
	{"no_accept", "a director answers for its virtual addresses", true},
	{"garp_*", ownPace, false},
	{"use_vmac* vmac_xmit_base use_ipvlan", "an address has the MAC address of its director's interface, and a move is announced", true},
	{"dont_track_primary", "the interfaces of the addresses are always watched", true},
	{"track_file track_bfd", "ipvsd doesn't watch it; write a [[cluster.track]] with a command", true},
	{"track_src_ip", "the address in listen must be there", false},
	{"virtual_routes virtual_rules", noRoutes, true},
	{"promote_secondaries", "ipvsd adds and removes its own addresses only", false},
	{"notify_stop notify_deleted notify_master_rx_lower_pri", "[cluster.hooks] has active, standby and fault only", true},
	{"notify_priority_changes", "ipvsd writes to no FIFO", true},
	{"smtp_alert", noMail, true},
	{"linkbeat_use_polling", "the kernel tells the state of interfaces", false},
	{"global_tracking sync_group_tracking_weight", "what is tracked holds for the whole director", false},
	{"lvs_sync_daemon_interface", "write interface in [cluster.sync]", true},
}

var scriptWords = []fate{
	{"init_fail", "what is tracked is unknown until it was tried", false},
}

var processWords = []fate{
	{"quorum quorum_max param_match", "one process of that name is enough here, and any number", true},
	{"delay fork_delay terminate_delay", "the process is looked at each second; rise and fall say how often", true},
}

var virtualWords = []fate{
	{"alpha", asAlpha, false},
	{"omega", "ipvsd runs no program of [virtual.hooks] when it stops; write it as ExecStopPost= into a drop-in of its systemd unit", true},
	{"ha_suspend", "a standby director goes on checking, so that it can take over at once", false},
	{"sorry_server_inhibit", "the fallback is added and removed", true},
	{"warmup", "the first checks are spread by themselves", false},
	{"delay_before_retry", oneInARow, true},
	{"nat_mask", "keepalived 1.2's; IPVS has no such thing", false},
	{"bind_if bindto bind_port fwmark", asRouted, true},
	{"log_all_failures", "ipvsd logs the first bad check and counts all", false},
}

var realWords = []fate{
	{"snmp_name", "a real server's name is its address", false},
	{"alpha", asAlpha, false},
	{"warmup", "the first checks are spread by themselves", false},
	{"delay_before_retry", oneInARow, true},
	{"log_all_failures", "ipvsd logs the first bad check and counts all", false},
	{"BFD_CHECK", "ipvsd has no BFD", true},
	{"FILE_CHECK", "ipvsd has no check of a file; type \"external\" may run a program that reads it", true},
}

var checkWords = []fate{
	{"bindto bind_if bind_port fwmark", asRouted, true},
	{"alpha", asAlpha, false},
	{"warmup", "the first checks are spread by themselves", false},
	{"delay_before_retry", oneInARow, true},
	{"log_all_failures", "ipvsd logs the first bad check and counts all", false},
	{"http_protocol", "ipvsd asks by HTTP/1.1 and closes the connection", false},
	{"fast_recovery", "a check asks all at once", false},
	{"enable_sni", "ipvsd sends the name of virtualhost", false},
	{"misc_dynamic", "the exit status is only good (0) or bad here; a check of type \"agent\" sets the weight by an answer such as 75%", true},
	{"user", noScripts, true},
	{"tls_compliant", "ipvsd ends TLS as it should be ended", false},
}

var urlWords = []fate{
	{"digest", "ipvsd compares no digest, so that any page will do; write receive in [virtual.check], a pattern of what the page must hold", true},
	{"regex_no_match", "a pattern that must not be there isn't known here; the pattern isn't carried over", true},
	{"regex_stack", "ipvsd's patterns need none", false},
	{"regex_min_offset regex_max_offset", "ipvsd looks at the whole answer", true},
	{"tls_compliant", "ipvsd ends TLS as it should be ended", false},
}
