package convert

import (
	"testing"
)

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       Format
	}{
		{"x", "checktimeout=3\nvirtual=192.0.2.1:80\n\treal=192.0.2.2:80 gate\n", Ldirectord},
		{"x", "   virtual=192.0.2.1:80\n       real=192.0.2.2:80 gate\n", Ldirectord},
		{"x", "# logfile\nlogfile=\"local0\"\n", Ldirectord},
		{"x", "! Configuration File\nglobal_defs {\n}\nvrrp_instance VI_1 {\n  virtual_ipaddress {\n 192.0.2.1\n }\n}\n", Keepalived},
		{"x", "virtual_server 192.0.2.1 80 {\n  lb_algo wrr\n}\n", Keepalived},
		{"x", "include /etc/keepalived/conf.d/*.conf\n", Keepalived},
		{"x", "keepalive 2\ndeadtime 30\nbcast eth0\nnode lb1 lb2\n", Heartbeat},
		{"x", "lb1 192.0.2.1 ldirectord::ldirectord.cf\n", Heartbeat},
		{"x", "lb1 IPaddr2::192.0.2.1/24/eth0\n", Heartbeat},
		{"/etc/ha.d/authkeys", "auth 1\n1 sha1 secret\n", Heartbeat},
		{"x", "auth 1\n1 sha1 secret\n", Heartbeat},
		{"x", "", ""},
		{"ipvsd.toml", "[check]\ntype = \"http\"\n\n[[virtual]]\naddress = \"192.0.2.1:80\"\n", Own},
		{"x", "# nothing\n", ""},
		{"x", "virtual=192.0.2.1:80\n\treal=192.0.2.2:80 gate\n#virtual=192.0.2.1:443\n#\treal=192.0.2.2:443 masq\n#\treal=192.0.2.3:443 masq\n#\treal=192.0.2.4:443 masq\n", Ldirectord},
		{"x", "vrrp_instance VI_1 {\n}\n!virtual=192.0.2.1:80\n !\treal=192.0.2.2:80 gate\n! lb1 192.0.2.9\n", Keepalived},
		{"x", "node lb1\n#virtual=192.0.2.1:80\n #real=192.0.2.2:80 gate\n", Heartbeat},
		{"x", "#\treal=192.0.2.2:443 masq\n", ""},
		{"/etc/ha.d/ldirectord.cf", "# Dummy configuration file.\n", Ldirectord},
		{"/etc/keepalived/keepalived.conf", "! none yet\n", Keepalived},
		{"keepalived.conf", "virtual=192.0.2.1:80\n\treal=192.0.2.2:80 gate\n", Ldirectord},
		{"x", "[Unit]\nDescription=x\n", ""},
	} {
		if got := Detect(File{Name: c.name, Data: []byte(c.text)}); got != c.want {
			t.Errorf("Detect(%q) = %q, want %q", c.text, got, c.want)
		}
	}
}

func TestSort(t *testing.T) {
	files := []File{{Name: "b"}, {Name: "a"}}
	got := Sort([]Note{{File: "a", Line: 1, Text: "3"}, {File: "b", Line: 7, Text: "2"}, {File: "b", Line: 2, Text: "1"}, {File: "b", Line: 7, Text: "2"}}, files)
	want := []string{"b:2: 1", "b:7: 2", "a:1: 3"}
	if len(got) != len(want) {
		t.Fatalf("%v", got)
	}
	for i := range want {
		if got[i].String() != want[i] {
			t.Errorf("%d: %s, want %s", i, got[i], want[i])
		}
	}
}

func TestPort(t *testing.T) {
	lookup := PortIn([]byte("# x\nhttp\t80/tcp\t\twww\t# web\ndomain 53/tcp\ndomain 53/udp\nbad x/tcp\nradius 1812/udp\n"))
	for _, c := range []struct {
		name, protocol string
		want           uint16
		ok             bool
	}{{"www", "tcp", 80, true}, {"http", "udp", 0, false}, {"http", "", 80, true}, {"radius", "", 1812, true}, {"domain", "udp", 53, true}, {"bad", "", 0, false}} {
		if got, ok := lookup(c.name, c.protocol); got != c.want || ok != c.ok {
			t.Errorf("%s/%s: %d %t", c.name, c.protocol, got, ok)
		}
	}
	if got, ok := KnownPort("www", "tcp"); got != 80 || !ok {
		t.Errorf("www: %d %t", got, ok)
	}
	if _, ok := KnownPort("www", "udp"); ok {
		t.Error("www/udp is known")
	}
}

func TestSecretPath(t *testing.T) {
	if got := (Options{}).SecretPath("192.0.2.1:80 / passwd"); got != "/etc/ipvsd/192.0.2.1-80---passwd.secret" {
		t.Error(got)
	}
	if got := (Options{SecretDir: "/tmp/x/"}).SecretPath("../../etc/shadow"); got != "/tmp/x/etc-shadow.secret" {
		t.Error(got)
	}
}
