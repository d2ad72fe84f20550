package keepalived

import "testing"

// TestCheck has a real server with the checker of each case.
func TestCheck(t *testing.T) {
	for _, c := range []keyword{
		{name: "none", want: `type = "on"`, told: "always up"},
		{name: "TCP_CHECK", conf: "TCP_CHECK {\n}", want: "type = \"connect\"\ninterval = \"60s\"\ntimeout = \"5s\"\nfall = 2"},
		{name: "times", conf: "TCP_CHECK {\ndelay_loop 2.5\nconnect_timeout 0.25\nretry 4\n}", want: "interval = \"2.5s\"\ntimeout = \"250ms\"\nfall = 5"},
		{name: "no times", conf: "TCP_CHECK {\ndelay_loop 0\nconnect_timeout never\n}", want: "interval = \"60s\"\ntimeout = \"5s\"", lost: []string{"0 is no time", `"never" are no seconds`}},
		{name: "delay_before_retry", conf: "TCP_CHECK {\ndelay_before_retry 1\n}", lost: []string{"repeats a bad check"}},
		{name: "port", conf: "TCP_CHECK {\nconnect_port 81\n}", want: "port = 81"},
		{name: "the same port", conf: "TCP_CHECK {\nconnect_port 80\nconnect_ip 10.0.0.1\n}", not: "port"},
		{name: "another address", conf: "TCP_CHECK {\nconnect_ip 10.0.0.2\nbindto 10.0.0.3\nfwmark 3\n}", lost: []string{"connect_ip: ", "bindto: ", "fwmark: "}},
		{name: "PING_CHECK", conf: "PING_CHECK {\n}", want: `type = "ping"`, not: "port"},
		{name: "HTTP_GET", conf: "HTTP_GET {\nurl {\npath /x\nstatus_code 200\n}\n}", want: "type = \"http\"\nrequest = \"/x\"\nstatus = \"200\""},
		{name: "usual codes", conf: "HTTP_GET {\nurl {\npath /x\nstatus_code 200-299\n}\n}", not: "status"},
		{name: "codes", conf: "HTTP_GET {\nurl {\npath /x\nstatus_code 200-299 301 400-404 abc 600\n}\n}", want: `status = "200-299,301,400-404"`, lost: []string{`"abc"`, `"600"`}},
		{name: "no url", conf: "HTTP_GET {\n}", want: `request = "/"`, lost: []string{"no url"}},
		{name: "no path", conf: "HTTP_GET {\nurl {\n}\n}", want: `request = "/"`, lost: []string{"never checks", "url: it has no path"}},
		{name: "one without a path", conf: "HTTP_GET {\nurl {\n}\nurl {\npath /b\n}\n}", want: `request = "/b"`, lost: []string{"url: it has no path"}},
		{name: "whole URL", conf: "HTTP_GET {\nurl {\npath http://www.example.org/a\n}\n}", want: `request = "/a"`, lost: []string{"no whole URL"}},
		{name: "relative path", conf: "HTTP_GET {\nurl {\npath \"a b\"\n}\n}", want: `request = "/a%20b"`},
		{name: "two urls", conf: "HTTP_GET {\nurl {\npath /a\n}\nurl {\npath /b\n}\n}", want: `request = "/a"`, lost: []string{"url: a check asks for one page"}},
		{name: "digest", conf: "HTTP_GET {\nurl {\npath /a\ndigest 640205b7b0fc66c1ea91c463fac6334d\n}\n}", lost: []string{"digest: "}},
		{name: "virtualhost", conf: "virtualhost outer\nHTTP_GET {\nurl {\npath /a\nvirtualhost www.example.org:80\n}\n}", want: `virtualhost = "www.example.org:80"`},
		{name: "of the real server", conf: "virtualhost outer\nHTTP_GET {\nurl {\npath /a\n}\n}", want: `virtualhost = "outer"`},
		{name: "no host", conf: "virtualhost a/b\nHTTP_GET {\nurl {\npath /a\n}\n}", not: "virtualhost", lost: []string{"can't be the name of a host"}},
		{name: "regex", conf: "HTTP_GET {\nurl {\npath /a\nregex \"a \\\\d+\"\n}\n}", want: `receive = 'a \d+'`},
		{name: "options", conf: "HTTP_GET {\nurl {\npath /a\nregex ok\nregex_options caseless dotall utf extended\n}\n}", want: `receive = "(?is)ok"`, lost: []string{"extended"}},
		{name: "PCRE", conf: "HTTP_GET {\nurl {\npath /a\nregex (a)\\\\1\n}\n}", not: "receive", lost: []string{"RE2"}},
		{name: "no match", conf: "HTTP_GET {\nurl {\npath /a\nregex ok\nregex_no_match\n}\n}", not: "receive", lost: []string{"regex_no_match"}},
		{name: "SSL_GET", conf: "SSL_GET {\nenable_sni\nurl {\npath /a\n}\n}", want: "type = \"https\"\nverify = false", told: "enable_sni"},
		{name: "SMTP_CHECK", conf: "SMTP_CHECK {\nhost {\nconnect_port 25\n}\nhelo_name x\n}", want: "type = \"smtp\"\nport = 25", told: "helo_name"},
		{name: "DNS_CHECK", conf: "DNS_CHECK {\n}", want: "type = \"dns\"\nfall = 4\nrequest = \".\"\nrecord = \"SOA\"", told: "keepalived takes one without"},
		{name: "name", conf: "DNS_CHECK {\ntype aaaa\nname example.org\n}", want: "request = \"example.org\"\nrecord = \"AAAA\""},
		{name: "no name", conf: "DNS_CHECK {\ntype ANY\nname a..b\n}", want: "request = \".\"\nrecord = \"SOA\"", lost: []string{`"ANY"`, `"a..b"`}},
		{name: "UDP_CHECK", conf: "UDP_CHECK {\npayload Ab12f 3 456\nrequire_reply\n}", want: "type = \"udp\"\nsend = \"hex:ab120f034506\"\nexpect = \".\""},
		{name: "reply", conf: "UDP_CHECK {\npayload 01\nrequire_reply 0a0b\nmin_reply_length 2\n}", want: `expect = "hex:0a0b"`, told: "keepalived compares its beginning", lost: []string{"min_reply_length"}},
		{name: "masked reply", conf: "UDP_CHECK {\npayload 01\nrequire_reply 0aXx\n}", want: `expect = "."`, lost: []string{"any answer"}},
		{name: "no payload", conf: "UDP_CHECK {\nrequire_reply 0a\n}", want: `send = "hex:00"`, lost: []string{"bytes by chance"}},
		{name: "no reply", conf: "UDP_CHECK {\npayload 01\n}", want: `type = "ping"`, lost: []string{"pinged instead"}},
		{name: "MISC_CHECK", conf: "MISC_CHECK {\nmisc_path /bin/check\nmisc_timeout 3\n}", want: "type = \"external\"\ntimeout = \"3s\"\ncommand = [\"/bin/check\"]", not: "fall"},
		{
			name: "arguments", conf: `MISC_CHECK {` + "\n" + `misc_path "/bin/check -H 10.0.0.1 http://10.0.0.1:80/ 110.0.0.1 80 'a b' \"\""` + "\n}",
			want: `command = ["/bin/sh", "-c", "exec /bin/check -H \"$3\" http://\"$3\":80/ 110.0.0.1 \"$4\" 'a b' ''", "check"]`,
		},
		{name: "without a path", conf: "MISC_CHECK {\nmisc_path check\n}", want: `command = ["/bin/sh", "-c", "exec check", "check"]`},
		{name: "for a shell", conf: "MISC_CHECK {\nmisc_path \"ping -c1 10.0.0.1 | grep ok\"\n}", want: `command = ["/bin/sh", "-c", "ping -c1 $3 | grep ok", "check"]`},
		{name: "no command", conf: "MISC_CHECK {\n}", want: `type = "on"`, lost: []string{"no misc_path"}},
		{name: "misc_dynamic", conf: "MISC_CHECK {\nmisc_path /bin/check\nmisc_dynamic\nuser nobody\n}", lost: []string{"misc_dynamic", "user"}},
		{name: "several", conf: "TCP_CHECK {\n}\nPING_CHECK {\n}\nHTTP_GET {\nurl {\npath /\n}\n}", want: `type = "http"`, told: "implies it"},
		{name: "several that differ", conf: "TCP_CHECK {\nconnect_port 22\n}\nMISC_CHECK {\nmisc_path /bin/check\n}", want: `type = "external"`, lost: []string{"has one check here"}},
		{name: "BFD_CHECK", conf: "BFD_CHECK {\nname x\n}\nFILE_CHECK {\ntrack_file y\n}", want: `type = "on"`, lost: []string{"no BFD", "no check of a file"}},
		{name: "not in braces", conf: "TCP_CHECK", want: `type = "connect"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, "virtual_server 192.0.2.10 80 {\nprotocol TCP\nlb_kind NAT\nreal_server 10.0.0.1 80 {\n"+c.conf+"\n}\n}\n")
		})
	}
}

// TestChecks is about real servers that are checked in different ways.
func TestChecks(t *testing.T) {
	real := func(n, check string) string { return "real_server 10.0.0." + n + " 80 {\n" + check + "\n}\n" }
	http := func(path string) string { return "HTTP_GET {\nurl {\npath " + path + "\n}\n}" }
	for _, c := range []keyword{
		{name: "pages", conf: real("1", http("/a")) + real("2", http("/b")), want: "request = \"/a\"\nrequest = \"/b\""},
		{name: "most", conf: real("1", "PING_CHECK { }") + real("2", http("/b")) + real("3", http("/b")), want: `type = "http"`, lost: []string{"not the check of most"}},
		{name: "none of one", conf: real("1", "") + real("2", http("/b")), want: `type = "http"`, lost: []string{"was always up"}},
		{name: "quiescent", conf: real("1", "inhibit_on_failure\n"+http("/")) + real("2", http("/")) + real("3", http("/")), want: "quiescent = false", lost: []string{"inhibit_on_failure: quiescent is one"}},
		{name: "outer times", conf: "delay_loop 7\nretry 2\n" + real("1", "connect_timeout 2\n"+http("/")), want: "interval = \"7s\"\ntimeout = \"2s\"\nfall = 3"},
		{name: "twice", conf: real("1", http("/")) + real("1", http("/")), want: "# [[virtual.real]]", lost: []string{"the same real server as in line 4"}},
		{name: "no address", conf: real("x", http("/")) + real("1", http("/")), want: "# [[virtual.real]]", lost: []string{"not the address"}},
		{name: "ipv6", conf: "real_server 2001:db8::1 80 {\n}\n" + real("1", http("/")), want: "# [[virtual.real]]", lost: []string{"of another family"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, "virtual_server 192.0.2.10 80 {\nprotocol TCP\nlb_kind NAT\n"+c.conf+"}\n")
		})
	}
	c := keyword{want: `type = "ping"`, lost: []string{"pinged instead"}}
	c.run(t, "virtual_server fwmark 1 {\nlb_kind DR\nreal_server 10.0.0.1 {\nTCP_CHECK { }\n}\n}\n")
	c = keyword{want: `type = "connect"`, lost: []string{"is a ping here"}}
	c.run(t, "virtual_server 192.0.2.10 53 {\nprotocol UDP\nreal_server 10.0.0.1 53 {\nTCP_CHECK { }\n}\n}\n")
}
