package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const diffBefore = `
[hooks]
real_down = "/usr/local/bin/told"
[email]
to = ["ops@example.org"]
[[vip]]
address = "192.0.2.10/24"
interface = "eth0"
[[vip]]
address = "192.0.2.20"
interface = "eth0"
[[virtual]]
name = "web"
address = "192.0.2.10:80"
check = { type = "http", interval = "10s", headers = { Authorization = "Basic c2VjcmV0" } }
real = [{ address = "192.0.2.11" }, { address = "192.0.2.12" }, { address = "192.0.2.13" }]
[[virtual]]
address = "192.0.2.20:25"
real = [{ address = "192.0.2.21" }]
`

const diffTwo = `
[cluster]
name = "loadb1"
listen = "192.0.2.3"
join = ["192.0.2.4"]
witnesses = ["192.0.2.1"]
[[cluster.track]]
interface = "eth1"
[[cluster.track]]
gateway = "192.0.2.1"
[[cluster.track]]
command = ["/usr/local/bin/check", "-v"]
[[cluster.track]]
fewer_reals = 1
[[group]]
name = "mail"
vips = ["192.0.2.20"]
`

func TestDiffCluster(t *testing.T) {
	tests := []struct {
		name          string
		before, after string
		want          []string
	}{
		{"added", "", diffTwo, []string{
			`[cluster] added, directors: 2`,
			`group mail added with 192.0.2.20`,
			`group default added with 192.0.2.10`,
		}},
		{"removed", diffTwo, "", []string{
			`[cluster] removed, a single director`,
			`group mail removed`,
			`group default removed`,
		}},
		{"this director in join", diffTwo, strings.Replace(diffTwo, `["192.0.2.4"]`, `["192.0.2.4:7946", "192.0.2.3"]`, 1), nil},
		{"a third director", diffTwo, strings.NewReplacer(
			`["192.0.2.4"]`, `["192.0.2.5", "192.0.2.4"]`, `witnesses = ["192.0.2.1"]`, "priority = 50",
		).Replace(diffTwo), []string{
			`[cluster] join 192.0.2.4:7946 -> 192.0.2.4:7946, 192.0.2.5:7946`,
			`[cluster] priority 100 -> 50`,
			`[cluster] quorum witness -> majority`,
			`[cluster] witnesses 192.0.2.1 -> none`,
			`group mail: priority 100 -> 50`,
			`group default: priority 100 -> 50`,
		}},
		{"hooks and sync", diffTwo, diffTwo + `
			[cluster.hooks]
			active = ["/usr/local/bin/moved", "here"]
			[cluster.sync]
			id = 7
			`, []string{
			`[cluster.sync] id 1 -> 7`,
			`[cluster.hooks] active "" -> "/usr/local/bin/moved here"`,
		}},
		{"tracks", diffTwo, strings.NewReplacer(`"eth1"`, `"eth2"`, "fewer_reals = 1", "fewer_reals = 2", `"-v"`, `"-v"]`+"\nweight = 30 # ").Replace(diffTwo), []string{
			`track interface eth1 removed`,
			`track interface eth2 added, weight 0`,
			`track command /usr/local/bin/check -v: weight 20 -> 30`,
			`track fewer_reals: fewer_reals 1 -> 2`,
		}},
		{"groups", diffTwo, strings.Replace(diffTwo, `["192.0.2.20"]`, `["192.0.2.20", "192.0.2.10"]`, 1), []string{
			`group default removed`,
			`group mail: vips 192.0.2.20 -> 192.0.2.10, 192.0.2.20`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, _ := mustParse(t, tt.before+diffBefore)
			after, _ := mustParse(t, tt.after+diffBefore)
			if diff := cmp.Diff(tt.want, Diff(before, after)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDiff(t *testing.T) {
	tests := []struct {
		name   string
		change func(string) string
		want   []string
	}{
		{"nothing", func(s string) string { return "# comment\n\n" + s }, nil},
		{"order", func(s string) string {
			s = strings.Replace(s, `{ address = "192.0.2.11" }, `, "", 1)
			return strings.Replace(s, `"192.0.2.13" }`, `"192.0.2.13" }, { address = "192.0.2.11" }`, 1)
		}, nil},
		{"globals", func(s string) string {
			return "http.listen = \"\"\nsysctl.manage = false\ndirector.removal_grace = \"1s\"\n" + s
		}, []string{
			`[http] listen "127.0.0.1:9117" -> ""`,
			`[director] removal_grace 1m0s -> 1s`,
			`[sysctl] manage true -> false`,
		}},
		{"vip", func(s string) string {
			return strings.NewReplacer("192.0.2.10/24", "192.0.2.10/25", `"192.0.2.20"`, `"192.0.2.30"`).Replace(s)
		}, []string{
			`vip 192.0.2.20/32 removed`,
			`vip 192.0.2.10: prefix length 24 -> 25`,
			`vip 192.0.2.30/32 added on eth0`,
		}},
		{"virtuals", func(s string) string { return strings.Replace(s, "20:25", "20:26", 1) }, []string{
			`virtual 192.0.2.20:25 removed (192.0.2.20:25/tcp)`,
			`virtual 192.0.2.20:26 added (192.0.2.20:26/tcp, real servers: 1)`,
		}},
		{"settings", func(s string) string {
			return strings.Replace(s, `"web"`, "\"shop\"\nscheduler = \"sh\"\nscheduler_flags = [\"sh-port\"]\nfallback = { address = \"127.0.0.1\" }", 1)
		}, []string{
			`virtual shop: name web -> shop`,
			`virtual shop: scheduler wlc -> sh`,
			`virtual shop: scheduler flags 0x0 -> 0x10`,
			`virtual shop: fallback none -> 127.0.0.1:80 (dr)`,
		}},
		{"reals", func(s string) string {
			return strings.NewReplacer(`"192.0.2.11"`, `"192.0.2.14"`, `"192.0.2.12"`, `"192.0.2.12", weight = 5`).Replace(s)
		}, []string{
			`virtual web: real 192.0.2.11:80 removed`,
			`virtual web: real 192.0.2.14:80 added, weight 1`,
			`virtual web: real 192.0.2.12:80: weight 1 -> 5`,
		}},
		{"told globally", func(s string) string {
			return strings.NewReplacer(`"ops@example.org"`, `"ops@example.org", "b@example.org"`, `bin/told"`, "bin/told\"\nreload = [\"/bin/push\", \"now\"]\nvirtual_up = \"/bin/true\"").Replace(s)
		}, []string{
			`[hooks] virtual_up none -> "/bin/true"`,
			`[hooks] reload "" -> "/bin/push now"`,
			`[email] to ops@example.org -> ops@example.org, b@example.org`,
		}},
		{"told of one", func(s string) string {
			return strings.Replace(s, `"web"`, "\"web\"\ncomment = \"the shop\"\nemail = \"off\"\nhooks = { real_down = \"\", virtual_down = \"/bin/sorry\" }", 1)
		}, []string{
			`virtual web: hook real_down default -> none`,
			`virtual web: hook virtual_down default -> "/bin/sorry"`,
			`virtual web: email default -> none`,
			`virtual web: comment "" -> "the shop"`,
		}},
		{"pool", func(s string) string {
			s = strings.Replace(s, `"web"`, "\"web\"\nmin_up = 2\nslow_start = \"60s\"\nfail_open = {}\ndamping = { falls = 3 }", 1)
			return strings.NewReplacer(`"192.0.2.11"`, `"192.0.2.11", weight = "40%"`, `"192.0.2.12"`, `"192.0.2.12", weight = "40%"`,
				`"192.0.2.13"`, `"192.0.2.13", weight = "20%", tier = 2`).Replace(s)
		}, []string{
			`virtual web: min_up 1 -> 2`,
			`virtual web: slow_start none -> 1m0s`,
			`virtual web: fail_open none -> 50% within 30s, hold 10m0s`,
			`virtual web: damping none -> 3 falls within 10m0s, calm 10m0s`,
			`virtual web: real 192.0.2.11:80: weight 1 -> 40`,
			`virtual web: real 192.0.2.11:80: weight in percent false -> true`,
			`virtual web: real 192.0.2.12:80: weight 1 -> 40`,
			`virtual web: real 192.0.2.12:80: weight in percent false -> true`,
			`virtual web: real 192.0.2.13:80: weight 1 -> 20`,
			`virtual web: real 192.0.2.13:80: weight in percent false -> true`,
			`virtual web: real 192.0.2.13:80: tier 1 -> 2`,
		}},
		{"check", func(s string) string {
			return strings.NewReplacer(`"10s"`, `"2s"`, "c2VjcmV0", "bmV3", `"192.0.2.12"`, `"192.0.2.12", request = "/own"`).Replace(s)
		}, []string{
			`virtual web: check interval 10s -> 2s`,
			`virtual web: check headers changed`,
			`virtual web: real 192.0.2.12:80: check request "/" -> "/own"`,
		}},
	}
	before, _ := mustParse(t, diffBefore)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			after, _ := mustParse(t, tt.change(diffBefore))
			if diff := cmp.Diff(tt.want, Diff(before, after)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestDiffMissesNothing changes every single field of a Config and wants to be
// told.
func TestDiffMissesNothing(t *testing.T) {
	before, _ := mustParse(t, diffTwo+diffBefore)
	after, _ := mustParse(t, diffTwo+diffBefore)
	mutate(t, "", reflect.ValueOf(after).Elem(), func(path string) {
		silent := strings.HasSuffix(path, "Line") || path == ".File" || path == ".Hash" || strings.HasPrefix(path, ".Text[") || strings.HasSuffix(path, ".Check.Mark")
		if field, ok := strings.CutPrefix(path, ".Cluster.Tracks["); ok {
			own := []string{"0].Interface", "1].Gateway", "2].Command"}
			others := []string{"Interface", "Gateway", "Command"}
			silent = silent || slices.Contains(others, field[3:]) && !slices.Contains(own, field)
		}
		if told := len(Diff(before, after)) > 0; told == silent {
			t.Errorf("%s changed: told %v", path, told)
		}
	})
}

// mutate changes one leaf after the other, calls try and changes it back.
func mutate(t *testing.T, path string, v reflect.Value, try func(path string)) {
	old := reflect.New(v.Type()).Elem()
	old.Set(v)
	switch v.Interface().(type) {
	case netip.AddrPort:
		v.Set(reflect.ValueOf(netip.MustParseAddrPort("203.0.113.1:1")))
	case netip.Addr:
		v.Set(reflect.ValueOf(netip.MustParseAddr("203.0.113.1")))
	case netip.Prefix:
		v.Set(reflect.ValueOf(netip.MustParsePrefix("203.0.113.1/8")))
	default:
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				mutate(t, path+"."+v.Type().Field(i).Name, v.Field(i), try)
			}
			return
		case reflect.Slice:
			for i := range v.Len() {
				mutate(t, fmt.Sprintf("%s[%d]", path, i), v.Index(i), try)
			}
			return
		case reflect.Map: // CheckServices, which follow from the rest
			return
		case reflect.Pointer: // a nil one is a fallback; TestDiff has it
			if !v.IsNil() {
				mutate(t, path, v.Elem(), try)
			}
			return
		case reflect.String:
			v.SetString(v.String() + "x")
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.Int, reflect.Int64:
			v.SetInt(v.Int() + 1e9)
		default:
			v.SetUint(v.Uint() ^ 4)
		}
	}
	try(path)
	v.Set(old)
}
