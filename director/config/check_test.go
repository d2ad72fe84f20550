package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/checker"
)

// specsOf returns the specs of all real servers in the file's order.
func specsOf(cfg *Config) []checker.Spec {
	var specs []checker.Spec
	for _, v := range cfg.Virtuals {
		for _, r := range v.Reals {
			specs = append(specs, r.Check)
		}
	}
	return specs
}

// TestEqualChecksAreEqual: virtual services that ask for the same in different
// words share one check.
func TestEqualChecksAreEqual(t *testing.T) {
	tests := []struct {
		name       string
		one, other string
		equal      bool
	}{
		{"two virtual ports, one check port", `
			address = "192.0.2.10:80"
			check = { type = "http", port = 8080 }
			real = [{ address = "192.0.2.11" }]`, `
			address = "192.0.2.10:443"
			check = { type = "http", port = 8080 }
			real = [{ address = "192.0.2.11" }]`, true},
		{"address and firewall mark", `
			address = "192.0.2.10:80"
			check.type = "http"
			real = [{ address = "192.0.2.11" }]`, `
			fwmark = 1
			family = "ipv4"
			check = { type = "http", port = 80 }
			real = [{ address = "192.0.2.11" }]`, true},
		{"defaults written out, request by the real server", `
			address = "192.0.2.10:80"
			check.type = "http"
			real = [{ address = "192.0.2.11" }]`, `
			address = "192.0.2.10:81"
			forward = "nat"
			check = { type = "http", request = "/a", method = "get", status = [ "200 - 299" ], follow_redirects = false }
			real = [{ address = "192.0.2.11:80", request = "/" }]`, true},
		{"ping has no port", `
			address = "192.0.2.10:80"
			check.type = "ping"
			real = [{ address = "192.0.2.11" }]`, `
			address = "192.0.2.10:81"
			check.type = "ping"
			real = [{ address = "192.0.2.11" }]`, true},
		{"headers in another order", `
			address = "192.0.2.10:80"
			check = { type = "http", headers = { A = "1", B = "2" } }
			real = [{ address = "192.0.2.11" }]`, `
			address = "192.0.2.12:80"
			check = { type = "http", headers = { B = "2", A = "1" } }
			real = [{ address = "192.0.2.11" }]`, true},
		{"IPv4 in IPv6's form", `
			address = "192.0.2.10:80"
			real = [{ address = "192.0.2.11" }]`, `
			address = "[::ffff:192.0.2.12]:80"
			real = [{ address = "::ffff:192.0.2.11" }]`, true},
		{"external knows the virtual service", `
			address = "192.0.2.10:80"
			check = { type = "external", command = "/bin/true" }
			real = [{ address = "192.0.2.11" }]`, `
			address = "192.0.2.12:80"
			check = { type = "external", command = "/bin/true" }
			real = [{ address = "192.0.2.11" }]`, false},
		{"tcp and udp", `
			address = "192.0.2.10:53"
			real = [{ address = "192.0.2.11" }]`, `
			address = "192.0.2.10:53"
			protocol = "udp"
			real = [{ address = "192.0.2.11" }]`, false},
		{"own receive", `
			address = "192.0.2.10:80"
			check.type = "http"
			real = [{ address = "192.0.2.11" }]`, `
			address = "192.0.2.12:80"
			check.type = "http"
			real = [{ address = "192.0.2.11", receive = "ok" }]`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, _ := mustParse(t, "[[virtual]]\n"+tt.one+"\n[[virtual]]\n"+tt.other)
			specs := specsOf(cfg)
			if got := specs[0] == specs[1]; got != tt.equal {
				t.Errorf("equal = %v, want %v:\n%+v\n%+v", got, tt.equal, specs[0], specs[1])
			}
		})
	}
}

// TestCheckDefaults: [check] is taken over key by key, and only where the type
// has a use for it.
func TestCheckDefaults(t *testing.T) {
	cfg, _ := mustParse(t, `
[check]
type = "http"
port = 8080
request = "/default"
receive = "default"
virtualhost = "www.example.com"
interval = "3s"
rise = 4
[[virtual]]
address = "192.0.2.10:80"
check = { receive = "", interval = "5s" }
real = [{ address = "192.0.2.11" }]
[[virtual]]
address = "192.0.2.12:80"
check.type = "connect"
real = [{ address = "192.0.2.11" }]
[[virtual]]
address = "192.0.2.13:80"
check = { type = "off", command = "/not/used" }
real = [{ address = "192.0.2.11", receive = "kept for later" }]
`)
	specs := specsOf(cfg)
	if s := specs[0]; s.Request != "/default" || s.Receive != "" || s.VirtualHost != "www.example.com" || s.Interval.String() != "5s" || s.Timeout.String() != "5s" || s.Target.Port() != 8080 {
		t.Errorf("http: %+v", s)
	}
	if s := specs[1]; s.Request != "" || s.VirtualHost != "" || s.Interval.String() != "3s" || s.Target.Port() != 8080 {
		t.Errorf("connect: %+v", s)
	}
	if s := specs[2]; s.Receive != "" || s.Command != "" {
		t.Errorf("off: %+v", s)
	}
	if r := cfg.Virtuals[0].Reals[0]; r.Rise != 4 || r.Fall != 1 {
		t.Errorf("rise %d fall %d, want 4 and 1", r.Rise, r.Fall)
	}
}

// TestExternal: what ldirectord passes to a check.
func TestExternal(t *testing.T) {
	cfg, _ := mustParse(t, `
[[virtual]]
address = "[2001:db8::10]:80"
forward = "nat"
check = { type = "external", command = ["/bin/check", "-v"], port = 9 }
real = [{ address = "[2001:db8::11]:8080" }]
[[virtual]]
fwmark = 7
family = "ipv4"
check = { type = "external", command = "/bin/check" }
real = [{ address = "192.0.2.11" }]
`)
	specs := specsOf(cfg)
	if s := specs[0]; s.Command != "/bin/check\x00-v" || s.Virtual != "[2001:db8::10]" || s.VPort != 80 || s.RPort != 8080 || s.Target.Port() != 9 {
		t.Errorf("by address: %+v", s)
	}
	if s := specs[1]; s.Command != "/bin/check" || s.Virtual != "7" || s.VPort != 0 || s.RPort != 0 {
		t.Errorf("by mark: %+v", s)
	}
}

// TestLoadFile: what can be wrong with a file before its first line is read,
// and with the files that checks name.
func TestLoadFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "missing-ca.toml"), []byte(`
[[virtual]]
address = "192.0.2.10:443"
check = { type = "https", ca_file = "/nowhere/ca.pem" }
real = [{ address = "192.0.2.11" }, { address = "192.0.2.12" }]
`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secret.toml"), nil, 0); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, file, want string }{
		{"not there", "none.toml", `none.toml: no such file; write it`},
		{"directory", ".", `: that is a directory; name the file in it`},
		{"below a file", "secret.toml/x", `secret.toml/x: not a directory`},
		{"certificate", "missing-ca.toml", `missing-ca.toml:4: ca_file: `},
	}
	if os.Getuid() != 0 {
		tests = append(tests, struct{ name, file, want string }{"no permission", "secret.toml", `secret.toml: no permission to read it`})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, _, err := Load(filepath.Join(dir, tt.file))
			if cfg != nil || err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, %v; want one line with %q", cfg, err, tt.want)
			}
		})
	}
	if _, warnings, err := Load("/dev/null"); err != nil || len(warnings) != 1 {
		t.Errorf("/dev/null: %v, %v", warnings, err)
	}
	if _, _, err := Load("/dev/zero"); err == nil {
		t.Error("/dev/zero was read to its end")
	}
}

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"scheduler", "scheduler", 0},
		{"sheduler", "scheduler", 1},
		{"wieght", "weight", 1},
		{"weights", "weight", 1},
		{"kitten", "sitting", 3},
		{"naïve", "naive", 1},
	}
	for _, tt := range tests {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
