package ldirectord

import (
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/director/config/convert"
)

// row is one line of a file and what must come of it.
type row struct {
	line    string
	has     string // a line of the output
	note    string // a part of a note of the line; "": there is none
	lost    bool
	refused bool
}

func (r row) test(t *testing.T, text string, line int) {
	t.Helper()
	out := imported(t, text, testOptions())
	if !strings.Contains(string(out.TOML()), r.has) {
		t.Errorf("%q: %q isn't in\n%s", r.line, r.has, out.TOML())
	}
	var of []string
	lost := false
	for _, n := range out.Notes {
		if n.Line == line {
			of = append(of, n.Text)
			lost = lost || n.Lost
		}
	}
	if all := strings.Join(of, "\n"); r.note == "" && all != "" || !strings.Contains(all, r.note) {
		t.Errorf("%q: notes %q, want %q", r.line, all, r.note)
	}
	if lost != r.lost {
		t.Errorf("%q: lost %t, want %t: %q", r.line, lost, r.lost, of)
	}
	if _, ok := Accepts(convert.File{Name: "x", Data: []byte(text)}, testOptions()); ok == r.refused {
		t.Errorf("%q: accepted %t", r.line, ok)
	}
}

// TestGlobals has the global directives, in the order of the reference.
func TestGlobals(t *testing.T) {
	for _, r := range []row{
		{line: "checktimeout=7", has: `timeout = "7s"`},
		{line: "checktimeout=7 # c", has: `timeout = "7s"                   # c`},
		{line: "checktimeout=0", has: `timeout = "30s"`, note: "means nothing", lost: true, refused: true},
		{line: "checktimeout=abc5s", has: `timeout = "5s"`, note: "first digits"},
		{line: "checktimeout=-3", has: `timeout = "3s"`, note: "first digits"},
		{line: "checktimeout=", note: "no number", lost: true, refused: true},
		{line: "checktimeout=00", note: "means nothing", lost: true, refused: true},
		{line: "checkinterval=00", note: "accepts it so", lost: true},
		{line: "negotiatetimeout=7", has: `timeout = "7s"`},
		{line: "checkinterval=7", has: `interval = "7s"`},
		{line: "checkinterval = 7s", has: `interval = "7s"`},
		{line: "checkcount=7"},
		{line: "failurecount=7", has: "fall = 7"},
		{line: "autoreload=yes", has: "autoreload = true"},
		{line: "autoreload=no", has: "autoreload = false"},
		{line: "autoreload=yes ", has: "autoreload = true", note: "not yes or no", refused: true},
		{line: `autoreload="yes"`, has: "autoreload = true", note: "not yes or no", refused: true},
		{line: "autoreload=maybe", note: "not yes or no", lost: true, refused: true},
		{line: `callback="/bin/x"`, note: "it is given ipvsd's file", has: `reload = ["/bin/x", "/etc/ipvsd/ipvsd.toml"]`},
		{line: `callback="/bin/x y"`, note: "with arguments ldirectord never runs it", has: `reload = ["/bin/x", "y", "/etc/ipvsd/ipvsd.toml"]`},
		{line: `callback=""`},
		{line: "callback=/bin/x", note: "double quotes", refused: true},
		{line: "fallback=127.0.0.1:80 gate", has: `fallback = { address = "127.0.0.1:80", forward = "dr" }`},
		{line: "fallback=127.0.0.1", has: `fallback = { address = "127.0.0.1", forward = "dr" }`},
		{line: "fallback=10.0.0.9:8080 masq", has: `fallback = { address = "10.0.0.9:8080", forward = "nat" }`},
		{line: "fallback=127.0.0.1:http", note: "no port of udp", has: `fallback = { address = "127.0.0.1:80", forward = "dr" }`, refused: true},
		{line: "fallback=127.0.0.1:80 gate # c", has: `{ address = "127.0.0.1:80", forward = "dr" }   # c`, note: "no forwarding method", refused: true},
		{line: "fallback=nosuch", note: "can't be resolved", lost: true, refused: true},
		{line: "fallback=", has: `{ address = "127.0.0.1", forward = "dr" }`, note: "its own machine"},
		{line: "fallback6=[::1]"},
		{line: "fallbackcommand=/bin/x", has: `virtual_down = ["/bin/x", "start", "192.0.2.1:80", "tcp"]`},
		{line: "fallbackcommand=x | logger", has: `virtual_up = ["/bin/sh", "-c", 'x | logger "$@"', "sh", "stop", "192.0.2.1:80", "tcp"]`},
		{line: `fallbackcommand=""`},
		{line: `logfile="/var/log/x"`, note: "journalctl", lost: true},
		{line: "logfile=local0", note: "double quotes", lost: true, refused: true},
		{line: "execute=x.cf", note: "import them together", lost: true},
		{line: "supervised=no"},
		{line: "supervised=yes", note: "foreground"},
		{line: "supervised", note: "foreground"},
		{line: "fork=yes", note: "a check of its own"},
		{line: "quiescent=yes", has: "quiescent = true"},
		{line: "quiescent=no", has: "quiescent = false"},
		{line: "readdquiescent=yes", note: "weight 0"},
		{line: "cleanstop=no", has: "clean_stop = false"},
		{line: "cleanstop=yes", has: "clean_stop = true"},
		{line: "maintenancedir=/etc/x", has: `maintenance_dir = "/etc/x"`, note: "looks up the addresses of the file's name"},
		{line: "maintenancedir=x", note: "doesn't begin with /", lost: true},
		{line: "emailalert=root, a@example.org", note: "localhost:25", has: `to = ["root@localhost", "a@example.org"]`},
		{line: "emailalert=a b", note: "is not an address", lost: true},
		{line: "emailalert=", note: "empty", lost: true, refused: true},
		{line: "emailalertfrom=a@example.org", has: `from = "a@example.org"`},
		{line: "emailalertfrom=a b c", note: "is not an address", lost: true},
		{line: "emailalertfreq=0"},
		{line: "emailalertfreq=60", has: `repeat = "60s"`},
		{line: "emailalertfreq=5", note: "each 10 s", has: `repeat = "10s"`},
		{line: "emailalertfreq=x", note: "no number", lost: true, refused: true},
		{line: "emailalertstatus=all,none", note: "exclude each other", lost: true, refused: true},
		{line: "emailalertstatus=starting, ending", note: `"ending" is none of`, lost: true, refused: true},
		{line: "emailalertstatus=", has: `only = ["none"]`},
		{line: "emailalertstatus=running,all", has: `only = ["all"]`},
		{line: "smtp=mail", has: `smtp = "mail:25"`},
		{line: `smtp="mail"`, note: "without quotes", refused: true},
		{line: "timeout=3", note: "replaced by checktimeout", lost: true, refused: true},
		{line: "connecttimeout=3", note: "replaced by negotiatetimeout", lost: true, refused: true},
		{line: "service=http", note: "no directive", lost: true, refused: true},
		{line: "passwd thing", note: "no directive", lost: true, refused: true},
		{line: " checkinterval=7", has: `interval = "7s"`, note: "first column", refused: true},
	} {
		r.test(t, r.line+"\nvirtual=192.0.2.1:80\n\treal=10.0.0.1:80 gate\n", 1)
	}
}

// TestSection has the directives of a section, in the order of the reference.
func TestSection(t *testing.T) {
	for _, r := range []row{
		{line: "checktype=connect", has: `type = "connect"`},
		{line: "checktype=negotiate", has: `type = "http"`},
		{line: "checktype=ping", has: `type = "ping"`},
		{line: "checktype=off", has: `type = "off"`},
		{line: "checktype=on", has: `type = "on"`},
		{line: "checktype=external", has: `command = ["/bin/true"]`},
		{line: "checktype=external-perl", has: `command = ["/usr/bin/perl", "/bin/true"]`, note: "inside itself"},
		{line: "checktype=5", has: "connect_ratio = 5"},
		{line: "checktype=connect2", has: "connect_ratio = 2", note: "because of the digit"},
		{line: "checktype=Connect", has: `type = "connect"`, note: "must be written connect", refused: true},
		{line: "checktype=tcp", has: `type = "http"`, note: "is none of", lost: true, refused: true},
		{line: "service=nntp", has: `type = "nntp"`},
		{line: `service="nntp" x`, has: `type = "nntp"`},
		{line: "service=HTTPS", has: `type = "https"`, note: "must be written https", refused: true},
		{line: "service=ssh", note: "is none of", lost: true, refused: true},
		{line: "service=none", has: `type = "on"`, note: "checks nothing"},
		{line: "checkport=8080", has: "port = 8080"},
		{line: "checkport=65536", note: "not a port", lost: true, refused: true},
		{line: "checkport=http", note: "not a port", lost: true, refused: true},
		{line: `request="x.html"`, has: `request = "/x.html"`},
		{line: `request="/a b"`, has: `request = "/a%20b"`, note: "is sent as"},
		{line: "request=x", has: `request = "/x"`, note: "double quotes", refused: true},
		{line: `request=""`, note: "empty", lost: true, refused: true},
		{line: `request="/a#b"`, has: `request = "/a#b"`, note: "cuts the line at the #", refused: true},
		{line: `receive="a.b"`, has: `receive = "a.b"`},
		{line: `receive="say "hi""`, has: `receive = 'say "hi"'`},
		{line: `receive="ok$"`, has: `receive = 'ok\n?\z'`, note: "last newline"},
		{line: `receive="(?<!x)y"`, has: `# receive = "(?<!x)y"`, note: "negative look-behind", lost: true},
		{line: "httpmethod=head", has: `method = "HEAD"`},
		{line: "httpmethod=POST", note: "is none of", lost: true, refused: true},
		{line: "virtualhost=www.example.org", has: `virtualhost = "www.example.org"`},
		{line: `virtualhost="www.example.org"`, has: `virtualhost = "www.example.org"`},
		{line: "virtualhost=www.example.org ", has: `virtualhost = "www.example.org"`, note: "blanks"},
		{line: `login="u"`, note: "does nothing with it"},
		{line: `passwd="p"`, note: "does nothing with it"},
		{line: `load="x"`, note: "no use for it"},
		{line: "scheduler=lc", has: `scheduler = "lc"`},
		{line: "scheduler=WLC", has: `scheduler = "wlc"`, note: "small letters", refused: true},
		{line: "scheduler=Wlc", has: `scheduler = "wlc"`, note: `reads "Wlc" as "lc"`},
		{line: "scheduler=sh-port", has: `scheduler = "sh"`, note: "scheduler_flags"},
		{line: "scheduler=best", has: `scheduler = "wrr"`, note: "is none of", lost: true},
		{line: "schedflags=flag-1", has: `scheduler_flags = ["flag-1"]`},
		{line: "schedflags=mh-port", note: "no flag of the scheduler", lost: true},
		{line: "persistent=600", has: `persistence = "10m"`},
		{line: "persistent=0", note: "ipvsadm refuses"},
		{line: "persistent=99999999", has: `persistence = "744h"`, note: "31 days", lost: true},
		{line: "netmask=255.255.255.0", note: "without persistent"},
		{line: "netmask=24", note: "is not four numbers", lost: true, refused: true},
		{line: "protocol=udp", has: `protocol = "udp"`},
		{line: "protocol=sctp", note: "is none of", lost: true, refused: true},
		{line: "protocol=fwm", note: "only a firewall mark", lost: true, refused: true},
		{line: "ops=yes", note: "ignores it"},
		{line: "ops=no"},
		{line: "checktimeout=7", has: `timeout = "7s"`},
		{line: "checkinterval=7", has: `interval = "7s"`, note: "without fork=yes"},
		{line: "failurecount=7", has: "fall = 7"},
		{line: "quiescent=yes", has: "quiescent = true"},
		{line: "cleanstop=yes"},
		{line: "cleanstop=no", note: "for all virtual services", lost: true},
		{line: "fallback=10.0.0.9:http", has: `fallback = { address = "10.0.0.9:80", forward = "dr" }`},
		{line: "fallback6=[::1]:80", note: "it is written fallback", lost: true, refused: true},
		{line: "fallbackcommand=/bin/x y", has: `virtual_up = ["/bin/x", "y", "stop", "192.0.2.1:80", "tcp"]`},
		{line: "emailalert=a@example.org", has: `email = ["a@example.org"]`},
		{line: "emailalertstatus=none\n\temailalert=a@example.org", has: `email = "off"`},
		{line: "emailalertfreq=60", has: `repeat = "60s"`},
		{line: "smtp=mail.example.org", has: `smtp = "mail.example.org:25"`},
		{line: `monitorfile="/x"`, note: "ipvsd status", lost: true},
		{line: "servicename=shop", has: `name = "shop"`},
		{line: "comment=the shop", has: `comment = "the shop"`},
		{line: "autoreload=yes", has: "autoreload = true", note: "can't stand in one", refused: true},
		{line: "foo=bar", note: "no directive", lost: true, refused: true},
	} {
		r.test(t, "virtual=192.0.2.1:80\n\treal=10.0.0.1:80 gate\n\t"+r.line+"\n", 3)
	}
}

// TestReal has the forms of a real line.
func TestReal(t *testing.T) {
	for _, r := range []row{
		{line: "real=10.0.0.1 gate", has: `address = "10.0.0.1"`},
		{line: "real=10.0.0.1:80 gate 5", has: "weight = 5"},
		{line: "real=10.0.0.1:8080 masq", has: `address = "10.0.0.1:8080"`},
		{line: "real=10.0.0.1:8080 ipip", has: "port = 8080", note: "keeps the port of the virtual service"},
		{line: "real=10.0.0.1:http gate", has: `address = "10.0.0.1"`},
		{line: "real=web01 gate", has: `address = "10.0.0.11"`, note: "the name web01"},
		{line: "real=10.0.0.1->10.0.0.3:80 gate", has: `address = "10.0.0.3"`},
		{line: "real=10.0.0.3->10.0.0.1:80 gate", has: `# address = "10.0.0.3->10.0.0.1:80"`, note: "reversed", lost: true, refused: true},
		{line: "real=010.0.0.1:80 gate", has: `address = "8.0.0.1"`, note: "octal"},
		{line: "real=my_web01:80 gate", has: `address = "10.0.0.21"`, note: "reads web01"},
		{line: "real=10.0.0.1::8080 masq", has: `address = "10.0.0.1:8080"`, note: "reads 8080"},
		{line: "real=10.0.0.1:80", has: `# address = "10.0.0.1:80"`, note: "a forwarding method", lost: true, refused: true},
		{line: "real=10.0.0.1:80 GATE", has: `forward = "dr"`, note: "must be gate, masq or ipip", refused: true},
		{line: "real=10.0.0.1:80 gate -w 3", has: "weight = 3", note: "drops -w"},
		{line: "real=10.0.0.1:80 gate -1", note: "left over", lost: true, refused: true},
		{line: "real=10.0.0.1:80 gate 99999", has: "weight = 65535", note: "more than 65535", lost: true},
		{line: `real=10.0.0.1:80 gate "a","b"`, has: `request = "/a"`},
		{line: `real=10.0.0.1:80 gate "a" , "b"`, has: `receive = "b"`, note: "left over", refused: true},
		{line: `real=10.0.0.1:80 gate "a","b" 7`, has: "weight = 7\n  request = \"/a\"", note: "probably meant"},
		{line: `real=10.0.0.1:80 gate "/a 5 b","c"`, has: `request = "/a%205%20b"`, note: "left over", refused: true},
		{line: `real=10.0.0.1:80 gate "http://192.0.2.9/x","y"`, has: `request = "/x"`, note: "instead of the server", lost: true},
		{line: "real=10.0.0.1:80 gate l:5 u:9", has: "upper_threshold = 9\n  lower_threshold = 5"},
		{line: `real=10.0.0.1:80 gate "l:5" "u:9"`, has: "upper_threshold = 9\n  lower_threshold = 5", note: "probably meant"},
		{line: "real=10.0.0.1:80 gate u:9 l:5", has: "upper_threshold = 9\n  lower_threshold = 5", note: "probably meant"},
		{line: "real=10.0.0.1:80 gate l:9 u:5", has: "upper_threshold = 5", note: "above the upper one", lost: true},
		{line: "real=10.0.0.1:80 gate l:9", note: "without an upper one"},
		{line: `real=10.0.0.1:80 gate 3 "/a","b" u:9`, has: "upper_threshold = 9", note: "ldirectord reads 10.0.0.1 port 80 gate weight 3; the output has what was probably meant"},
		{line: `real=10.0.0.1:80 gate "/a","b" nonsense`, has: `address = "10.0.0.1"`, note: "so does the output"},
		{line: "real6=[2001:db8::1]:80 gate", note: "it is written real", lost: true, refused: true},
		{line: "real=10.0.0.1:99999 gate", note: "no port", lost: true, refused: true},
		{line: "real=10.0.0.1:80 gate # comment", has: `address = "10.0.0.1"             # comment`},
	} {
		r.test(t, "virtual=192.0.2.1:80\n\t"+r.line+"\n", 2)
	}
}

// TestRequests: ldirectord puts a / before each request, and takes it away again
// for all services but those that have a path.
func TestRequests(t *testing.T) {
	for _, c := range []struct{ service, request, has, not string }{
		{"http", "x.html", `request = "/x.html"`, ""},
		{"https", "/", `request = "/"`, ""},
		{"http_proxy", "http://www.example.org/", `request = "http://www.example.org/"`, ""},
		{"ldap", "dc=x,dc=y", `request = "dc=x,dc=y"`, ""},
		{"ldap", "/dc=x,dc=y", `request = "dc=x,dc=y"`, ""},
		{"ldap", "/", `type = "ldap"`, "request"}, // the root DSE
		{"ldaps", "ou=a b", `request = "ou=a b"`, ""},
		{"mysql", "SELECT 1", `request = "SELECT 1"`, ""},
		{"ftp", "a/b", `request = "a/b"`, ""},
		{"dns", "www.example.org", `request = "www.example.org"`, ""},
		{"simpletcp", `PING\n`, `send = "PING\n"`, "request"},
		{"simpletcp", "/PING", `send = "PING"`, "receive"},
		{"simpletcp", "PING", `expect = "^OK"`, "receive"},
	} {
		out := string(imported(t, "virtual=192.0.2.1:9\n\treal=10.0.0.1:9 gate\n\tservice="+c.service+"\n\trequest=\""+c.request+
			"\"\n\treceive=\"^OK\"\n\tlogin=\"u\"\n\tpasswd=\"p\"\n", testOptions()).TOML())
		if !strings.Contains(out, c.has) || c.not != "" && strings.Contains(out, c.not+" =") {
			t.Errorf("%s %q: want %s and no %q in\n%s", c.service, c.request, c.has, c.not, out)
		}
	}
	own := "virtual=192.0.2.1:389\n\treal=10.0.0.1:389 gate \"/dc=z\",\"z\"\n"
	if out := string(imported(t, own, testOptions()).TOML()); !strings.Contains(out, `request = "dc=z"`) {
		t.Errorf("a server's own base: %s", out)
	}
}

// TestVirtual has the forms of a virtual line.
func TestVirtual(t *testing.T) {
	for _, r := range []row{
		{line: "virtual=192.0.2.1:80", has: `address = "192.0.2.1:80"`},
		{line: "virtual = 192.0.2.1:www tail", has: `address = "192.0.2.1:80"`},
		{line: "virtual=www.example.org:80", has: `address = "192.0.2.80:80"`, note: "the name"},
		{line: "virtual=5", has: "fwmark = 5\nfamily = \"ipv4\"", note: "never checked"},
		{line: "virtual6=5", has: "fwmark = 5\nfamily = \"ipv6\"", note: "never checked"},
		{line: "virtual=0", has: "# fwmark = 0", note: "not a firewall mark", lost: true},
		{line: "virtual=192.0.2.1", has: "fwmark = 192", note: "the port is missing"},
		{line: "virtual=[2001:db8::1]:80", has: `address = "[2001:db8::1]:80"`, note: "needs virtual6", refused: true},
		{line: "virtual6=[2001:db8:0::1]:80", has: `address = "[2001:db8::1]:80"`},
		{line: "virtual=192.0.2.1:0", has: `# address = "192.0.2.1:0"`, note: "port 0", lost: true},
		{line: "virtual=192.0.2.1:70000", has: `# address = "192.0.2.1:70000"`, note: "no port of tcp", lost: true, refused: true},
		{line: "virtual=192.0.2.1:053", has: `type = "on"`, note: "no service of port 053"},
		{line: "virtual=192.0.2.1:9999", has: `type = "on"`, note: "no service of port 9999"},
		{line: "virtual=nosuch:80", has: `# address = "nosuch:80"`, note: "can't be resolved", lost: true, refused: true},
		{line: "virtual=", has: "# [[virtual]]", note: "no address", lost: true, refused: true},
		{line: `virtual="192.0.2.1:80"`, has: `address = "192.0.2.1:80"`, note: "without quotes", refused: true},
		{line: "  virtual=192.0.2.1:80", has: `address = "192.0.2.1:80"`, note: "first column", refused: true},
		{line: "Virtual=192.0.2.1:80", has: `address = "192.0.2.1:80"`, note: "must be written so", refused: true},
	} {
		r.test(t, r.line+"\n# end\n", 1)
	}
}

// TestTimeouts: each timeout is the other's default, the section before the
// globals.
func TestTimeouts(t *testing.T) {
	for _, c := range []struct{ globals, section, connect, negotiate string }{
		{"", "", "5s", "30s"},
		{"checktimeout=3\n", "", "3s", "3s"},
		{"negotiatetimeout=4\n", "", "4s", "4s"},
		{"checktimeout=3\nnegotiatetimeout=4\n", "", "3s", "4s"},
		{"checktimeout=3\nnegotiatetimeout=4\n", "\tchecktimeout=6\n", "6s", "6s"},
		{"checktimeout=3\nnegotiatetimeout=4\n", "\tnegotiatetimeout=7\n", "7s", "7s"},
		{"checktimeout=3\n", "\tchecktimeout=6\n\tnegotiatetimeout=7\n", "6s", "7s"},
	} {
		for mode, want := range map[string]string{"connect": c.connect, "negotiate": c.negotiate} {
			text := c.globals + "virtual=192.0.2.1:80\n\treal=10.0.0.1:80 gate\n\tchecktype=" + mode + "\n" + c.section
			if out := string(imported(t, text, testOptions()).TOML()); !strings.Contains(out, `timeout = "`+want+`"`) {
				t.Errorf("%s: want %s in\n%s\nfrom\n%s", mode, want, out, text)
			}
		}
	}
}
