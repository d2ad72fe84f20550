package config

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// host is a machine with a name and addresses.
func host(name string, addrs ...string) *machine {
	return &machine{
		hostname: func() (string, error) { return name, nil },
		addresses: func() ([]net.Addr, error) {
			var list []net.Addr
			for _, a := range addrs {
				_, n, err := net.ParseCIDR(a)
				if err != nil {
					panic(err)
				}
				n.IP = net.IP(netip.MustParsePrefix(a).Addr().AsSlice())
				list = append(list, n)
			}
			return list, nil
		},
	}
}

// TestSelf: who a director is that its file doesn't say.
func TestSelf(t *testing.T) {
	unknown := &machine{
		hostname:  func() (string, error) { return "", errors.New("no name") },
		addresses: func() ([]net.Addr, error) { return nil, errors.New("no addresses") },
	}
	const insecure = "\ninsecure = true\n"
	tests := []struct {
		name string
		file string
		here *machine
		want string // name, listen, join and quorum; or the error
	}{
		{
			"loadb1 by one file", `join = ["192.0.2.3", "192.0.2.4"]`, host("loadb1", "127.0.0.1/8", "192.0.2.3/24"),
			"loadb1 192.0.2.3:7946 192.0.2.4:7946 witness",
		},
		{
			"loadb2 by the same", `join = ["192.0.2.3", "192.0.2.4"]`, host("loadb2.example.com", "192.0.2.4/32", "198.51.100.1/24"),
			"loadb2 192.0.2.4:7946 192.0.2.3:7946 witness",
		},
		{
			"of three, IPv6", `join = ["2001:db8::3", "2001:db8::4", "[2001:db8::5]:1"]`, host("lb", "fe80::1/64", "2001:db8::5/64"),
			"lb [2001:db8::5]:1 [2001:db8::3]:7946, [2001:db8::4]:7946 majority",
		},
		{
			"all said", "name = \"a\"\nlisten = \"192.0.2.3\"\njoin = [\"192.0.2.4\"]", unknown,
			"a 192.0.2.3:7946 192.0.2.4:7946 witness",
		},
		{
			"alone", `join = ["192.0.2.3"]`, host("a", "192.0.2.3/24"),
			"a 192.0.2.3:7946 none none",
		},
		{
			"localhost", `join = ["192.0.2.3", "192.0.2.4"]`, host("localhost.localdomain", "192.0.2.3/24"),
			"localhost 192.0.2.3:7946 192.0.2.4:7946 witness",
		},
		{
			"not in join", `join = ["192.0.2.4"]`, host("a", "192.0.2.3/24"),
			`f:1: listen: missing, and this machine has no address that is in join; write this director's own address, such as listen = "192.0.2.3:7946"`,
		},
		{
			"twice in join", `join = ["192.0.2.3:1", "192.0.2.3:2"]`, host("a", "192.0.2.3/24"),
			`f:1: listen: missing, and 192.0.2.3:1 and 192.0.2.3:2 in join are both this machine's; write this director's own address, such as listen = "192.0.2.3:7946"`,
		},
		{
			"nameless", `listen = "192.0.2.3"`, host(""),
			`f:1: name: missing, and the host's, "", can't be a director's; write a name that no other director has, such as name = "loadb1"`,
		},
		{"unknown", `join = ["192.0.2.3", "192.0.2.4"]`, unknown, strings.Join([]string{
			`f:1: name: missing, and the host's is not known (no name); write a name that no other director has, such as name = "loadb1"`,
			`f:1: listen: missing, and this machine's addresses are not known (no addresses); write this director's own address, such as listen = "192.0.2.3:7946"`,
		}, "\n")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, warnings, err := read("f", []byte("[cluster]\n"+tt.file+insecure), tt.here)
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				c := cfg.Cluster
				got = strings.Join([]string{c.Name, c.Listen.String(), sorted(c.Join, netip.AddrPort.Compare), string(c.Quorum)}, " ")
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			warned := slices.ContainsFunc(warnings, func(w Warning) bool { return strings.Contains(w.Text, "name: this host") })
			if warned != (tt.name == "localhost") {
				t.Errorf("warnings %v", warnings)
			}
		})
	}
}

// TestThisMachine: the real one has the loopback address.
func TestThisMachine(t *testing.T) {
	local, err := thisMachine().local()
	if err != nil {
		t.Fatal(err)
	}
	if !local[netip.AddrFrom4([4]byte{127, 0, 0, 1})] {
		t.Errorf("no 127.0.0.1 among %v", local)
	}
}

// TestClusterFiles: what [cluster] names must be there.
func TestClusterFiles(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"key": 0o600, "closed": 0, "script": 0o755, "text": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name, file string
		want       []string
	}{
		{"all there", `
			key_file = "DIR/key"
			[cluster.hooks]
			active = ["DIR/script", "arg"]
			[[cluster.track]]
			command = "DIR/script"`, nil},
		{"no key", `key_file = "DIR/none"`, []string{`f:5: key_file: no file DIR/none; "ipvsd cluster keygen" writes one, which every director needs`}},
		{"a folder", `key_file = "DIR"`, []string{`f:5: key_file: DIR is not a file; "ipvsd cluster keygen" writes one`}},
		{"below a file", `key_file = "DIR/key/x"`, []string{`f:5: key_file: DIR/key/x: not a directory; let the user that ipvsd runs as read it`}},
		{"programs", `
			key_file = "DIR/key"
			[cluster.hooks]
			standby = "DIR/script arg"
			fault = "DIR/text"
			[[cluster.track]]
			command = "DIR"`, []string{
			`f:8: standby: no file DIR/script arg; arguments are separate strings: standby = ["/path", "argument"]`,
			`f:9: fault: DIR/text isn't executable; chmod +x DIR/text`,
			`f:11: command: DIR is a directory`,
		}},
	}
	if os.Getuid() != 0 {
		tests = append(tests, struct {
			name, file string
			want       []string
		}{"no permission", `key_file = "DIR/closed"`, []string{`f:5: key_file: DIR/closed: permission denied; let the user that ipvsd runs as read it`}})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := "[cluster]\nname = \"a\"\nlisten = \"192.0.2.3\"\njoin = [\"192.0.2.4\"]\n" + tt.file
			_, _, err := read("f", []byte(strings.ReplaceAll(text, "DIR", dir)), thisMachine())
			var got []string
			if err != nil {
				got = strings.Split(strings.ReplaceAll(err.Error(), dir, "DIR"), "\n")
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestDefaultKeyFile: without a word about it the key is where the reference has
// it, and on loopback there is none.
func TestDefaultKeyFile(t *testing.T) {
	for file, want := range map[string]string{
		`listen = "192.0.2.3"`:                      defaultKeyFile,
		`join = ["192.0.2.3"]`:                      defaultKeyFile,
		`listen = "127.0.0.1"`:                      "",
		`join = ["[::1]:1", "[::1]:2"]`:             "",
		"listen = \"127.0.0.1\"\nkey_file = \"/k\"": "/k",
		"listen = \"192.0.2.3\"\ninsecure = true":   "",
		"listen = \"127.0.0.1\"\nkey_file = \"\"":   "",
	} {
		cfg, _ := mustParse(t, "[cluster]\n"+file)
		if got := cfg.Cluster.KeyFile; got != want {
			t.Errorf("%s: key file %q, want %q", file, got, want)
		}
	}
}
