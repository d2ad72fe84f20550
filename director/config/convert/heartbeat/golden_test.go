package heartbeat

import (
	"bytes"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/config/convert"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// virtual is what an import of ldirectord's file adds.
const virtual = "\n[[virtual]]\naddress = \"203.0.113.200:80\"\n"

// TestGolden compares the output and the notes of whole sets of files, and has
// director/config judge the output.
func TestGolden(t *testing.T) {
	sets, err := filepath.Glob("testdata/*/ha.cf")
	if err != nil || len(sets) < 3 {
		t.Fatalf("%d sets, %v", len(sets), err)
	}
	for _, first := range sets {
		dir := filepath.Dir(first)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var files []convert.File
			for _, name := range []string{"ha.cf", "haresources", "authkeys"} {
				if data, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
					files = append(files, convert.File{Name: filepath.Join(dir, name), Data: data})
				}
			}
			r := Convert(files, convert.Options{})
			var notes bytes.Buffer
			for _, n := range r.Notes {
				mark := "  "
				if n.Lost {
					mark = "! "
				}
				notes.WriteString(mark + n.String() + "\n")
			}
			compare(t, dir+".toml", r.TOML())
			compare(t, dir+".notes", notes.Bytes())
			validate(t, r.TOML())
			for _, text := range []string{string(r.TOML()), notes.String()} {
				if strings.Contains(text, "thesecretitself") {
					t.Errorf("a key came out:\n%s", text)
				}
			}
		})
	}
}

func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func validate(t *testing.T, toml []byte) {
	t.Helper()
	if _, _, err := config.Parse("ipvsd.toml", append(toml[:len(toml):len(toml)], virtual...)); err != nil {
		t.Fatalf("the output isn't valid:\n%v\n%s", err, toml)
	}
}

// names resolves those of a test.
func names(name string, _ bool) (netip.Addr, error) {
	switch name {
	case "lb1":
		return netip.MustParseAddr("192.0.2.3"), nil
	case "lb2":
		return netip.MustParseAddr("192.0.2.4"), nil
	case "self":
		return netip.MustParseAddr("127.0.1.1"), nil
	}
	return netip.Addr{}, errors.New("no such host")
}

func TestConvert(t *testing.T) {
	for _, c := range []struct {
		name, config, resources string
		want, not               string // lines of the output, in any place
		note                    string // "!" before one of something lost
	}{
		{name: "one peer", config: "ucast eth0 192.0.2.4\nnode lb1 lb2", want: "listen = \"192.0.2.1:7946\"\njoin = [\"192.0.2.4:7946\"]\ninterface = \"eth0\"", note: "!own address"},
		{name: "both", config: "ucast eth0 192.0.2.3\nucast eth0 192.0.2.4\nnode lb1 lb2", want: `join = ["192.0.2.3:7946", "192.0.2.4:7946"]`, not: "listen"},
		{name: "two ways", config: "ucast eth0 192.0.2.4\nucast eth1 198.51.100.4\nnode lb1 lb2", want: `join = ["192.0.2.4:7946"]`, note: "!those by eth0"},
		{name: "names", config: "bcast eth0\nnode lb1 lb2", want: `join = ["192.0.2.3:7946", "192.0.2.4:7946"]`, not: "listen", note: "names have here and now"},
		{name: "a name of loopback", config: "bcast eth0\nnode self lb2", want: "listen = \"192.0.2.1:7946\"\njoin = [\"192.0.2.2:7946\"]", note: "!addresses of the directors (self, lb2)"},
		{name: "a virtual peer", config: "ucast eth0 192.0.2.10", resources: "lb1 192.0.2.10", want: "listen = \"192.0.2.1:7946\"", note: "!is a virtual address"},
		{name: "no peer", config: "ucast eth0 lb2", note: `!"lb2" is not the address`},
		{name: "failback", config: "auto_failback on", want: "preempt = true"},
		{name: "none", config: "auto_failback off # stay", want: "preempt = false                      # stay"},
		{name: "legacy", config: "auto_failback legacy", want: "preempt = true"},
		{name: "nice", config: "nice_failback on", want: "preempt = false"},
		{name: "by default", config: "node a b", want: "preempt = true"},
		{name: "deadtime", config: "deadtime 30", not: "profile", note: "deadtime: how soon"},
		{name: "short deadtime", config: "deadtime 500ms", want: `profile = "fast"`},
		{name: "no deadtime", config: "deadtime soon", not: "profile", note: "!no time"},
		{name: "witnesses", config: "ping 192.0.2.254\nping_group g 192.0.2.253 lb2\nnode a b", want: `witnesses = ["192.0.2.254", "192.0.2.253", "192.0.2.4"]`},
		{name: "of three", config: "ping 192.0.2.254\nnode a b c", want: "[[cluster.track]]\ngateway = \"192.0.2.254\"", not: "witnesses"},
		{name: "group of three", config: "ping_group g 192.0.2.254\nnode a b c", want: "gateway = \"192.0.2.254\"", note: "counts by itself"},
		{name: "itself", config: "ping 192.0.2.10\nping nobody", resources: "lb1 192.0.2.10", not: "witnesses", note: "!director's own address or a virtual one"},
		{name: "crm", config: "crm yes", note: "!cluster resource manager"},
		{name: "no crm", config: "crm off"},
		{name: "respawn", config: "respawn root /usr/bin/x", note: "!starts no programs"},
		{name: "unknown", config: "node a\nfrobnicate 1", note: "!frobnicate: not known"},
		{name: "address", resources: "lb1 192.0.2.10", want: "priority = 150\naddress = \"192.0.2.10/32\"\ninterface = \"eth0\"", note: "!no interface is named"},
		{name: "whole address", resources: "lb1 IPaddr2::192.0.2.10/24/eth3/192.0.2.255", want: "address = \"192.0.2.10/24\"\ninterface = \"eth3\"", not: "name"},
		{name: "quads", resources: "lb1 IPaddr::192.0.2.10/255.255.255.128/eth3", want: `address = "192.0.2.10/25"`},
		{name: "label", resources: "lb1 IPaddr::192.0.2.10/24/eth3:7", want: `interface = "eth3"`, note: "!the label 7"},
		{name: "ipv6", resources: "lb1 IPv6addr::2001:db8::10/64/eth3", want: `address = "2001:db8::10/64"`},
		{name: "ipv6 alone", resources: "lb1 2001:db8::10/64/eth3", want: `address = "2001:db8::10/64"`},
		{name: "no address", resources: "lb1 IPaddr::example/24/eth0", want: "# [[vip]]", note: "!no address that can move"},
		{name: "twice", resources: "lb1 192.0.2.10/24/eth0\nlb2 192.0.2.10/24/eth0", want: "# [[vip]]", not: "[[group]]", note: "!is there twice"},
		{name: "two nodes", resources: "lb1 192.0.2.10/24/eth0\nlb2 192.0.2.11/24/eth0\nlb2 192.0.2.12/24/eth0", want: "name = \"lb2\"\nvips = [\"192.0.2.11\", \"192.0.2.12\"]\npriority = 100", note: "on lb2 its priority is 150"},
		{name: "ldirectord", resources: "lb1 ldirectord::/etc/ha.d/shop.cf", note: "!in /etc/ha.d/shop.cf; import that file"},
		{name: "sync", resources: "lb1 LVSSyncDaemonSwap::master", want: "enabled = true"},
		{name: "no sync", resources: "lb1 192.0.2.10/24/eth0", want: "enabled = false"},
		{name: "other things", resources: "lb1 apache2::x", note: "!apache2::x: ipvsd moves addresses"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var files []convert.File
			if c.resources != "" {
				files = append(files, convert.File{Name: "haresources", Data: []byte(c.resources)})
			}
			if c.config != "" {
				files = append(files, convert.File{Name: "ha.cf", Data: []byte(c.config)})
			}
			r := Convert(files, convert.Options{Host: names})
			validate(t, r.TOML())
			lines := "\n" + strings.ReplaceAll(string(r.TOML()), "\n  ", "\n")
			for w := range strings.SplitSeq(c.want, "\n") {
				if w != "" && !strings.Contains(lines, "\n"+w) {
					t.Errorf("no line %s in\n%s", w, r.TOML())
				}
			}
			if c.not != "" && strings.Contains(lines, "\n"+c.not) {
				t.Errorf("a line %s in\n%s", c.not, r.TOML())
			}
			part, lost := strings.CutPrefix(c.note, "!")
			found := part == ""
			for _, n := range r.Notes {
				found = found || n.Lost == lost && strings.Contains(n.Text, part)
			}
			if !found {
				t.Errorf("no note %q in %v", c.note, r.Notes)
			}
		})
	}
}

// TestKind tells the files by what is in them.
func TestKind(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       kind
	}{
		{"/etc/ha.d/ha.cf", "", haCF},
		{"/etc/ha.d/haresources", "", haResources},
		{"/etc/ha.d/authkeys", "", authKeys},
		{"x", "# c\nkeepalive 2\n", haCF},
		{"x", "lb1 192.0.2.1\n", haResources},
		{"x", "auth 1\n1 crc\n", authKeys},
		{"x", "", haCF},
	} {
		if got := kindOf(convert.File{Name: c.name, Data: []byte(c.text)}); got != c.want {
			t.Errorf("kindOf(%s, %q) = %d, want %d", c.name, c.text, got, c.want)
		}
	}
}

// FuzzConvert gives anything. Whatever comes of it is valid to director/config.
func FuzzConvert(f *testing.F) {
	sets, _ := filepath.Glob("testdata/*/ha.cf")
	for _, name := range sets {
		config, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		resources, err := os.ReadFile(filepath.Join(filepath.Dir(name), "haresources"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(config, resources)
	}
	f.Fuzz(func(t *testing.T, config, resources []byte) {
		r := Convert([]convert.File{
			{Name: "ha.cf", Data: config},
			{Name: "haresources", Data: resources},
			{Name: "other", Data: config},
		}, convert.Options{Host: names})
		validate(t, r.TOML())
		for _, n := range r.Notes {
			if n.Line < 1 || n.Text == "" || n.File == "" {
				t.Errorf("note %+v", n)
			}
		}
	})
}
