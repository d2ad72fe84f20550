package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const diffBefore = `
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
	before, _ := mustParse(t, diffBefore)
	after, _ := mustParse(t, diffBefore)
	mutate(t, "", reflect.ValueOf(after).Elem(), func(path string) {
		silent := strings.HasSuffix(path, "Line") || path == ".File" || path == ".Hash"
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
		case reflect.Pointer: // the fallback; TestDiff has it
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
