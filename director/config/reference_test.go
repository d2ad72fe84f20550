package config

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestReferenceIsDefaults: the keys that are set in it could be left out.
func TestReferenceIsDefaults(t *testing.T) {
	cfg, warnings := mustParse(t, string(Reference()))
	if len(warnings) > 0 {
		t.Errorf("warnings: %v", warnings)
	}
	least, _ := mustParse(t, `
[[virtual]]
address = "192.0.2.10:80"
[[virtual.real]]
address = "192.0.2.11"
[[virtual.real]]
address = "192.0.2.12"
`)
	ignore := cmp.Options{
		compareAddresses,
		cmpopts.IgnoreFields(Config{}, "Hash", "Text"),
		cmpopts.IgnoreFields(Virtual{}, "Line"),
		cmpopts.IgnoreFields(Real{}, "Line"),
	}
	if diff := cmp.Diff(least, cfg, ignore); diff != "" {
		t.Errorf("(-defaults +reference):\n%s", diff)
	}
}

// TestReferenceClusterIsDefaults: the same for [cluster] with its first # taken
// away.
func TestReferenceClusterIsDefaults(t *testing.T) {
	const join = "\njoin = [\"192.0.2.3\", \"192.0.2.4\"]\n"
	_, text, _ := strings.Cut(string(Reference()), "\n# [cluster]\n")
	text, _, ok := strings.Cut(text, "\n\n")
	if !ok {
		t.Fatal("no [cluster] in the reference")
	}
	text = strings.ReplaceAll("\n"+text, "\n# ", "\n")
	reference, _ := mustParse(t, "[cluster]"+join+text)
	least, _ := mustParse(t, "[cluster]"+join)
	if diff := cmp.Diff(least.Cluster, reference.Cluster, compareAddresses); diff != "" {
		t.Errorf("(-defaults +reference):\n%s", diff)
	}
}

var (
	headerLine = regexp.MustCompile(`^\s*((?:# )*)\[\[?([a-z.]+)\]\]?$`)
	keyLine    = regexp.MustCompile(`^\s*((?:# )*)([a-z_]+) = (.*)$`)
	inlineKey  = regexp.MustCompile(`[{,] ([a-z_]+) =`)
)

// TestReferenceIsComplete: every key of the raw structs is mentioned in its
// table, and every key that is mentioned, also behind a #, exists.
func TestReferenceIsComplete(t *testing.T) {
	mentioned := make(map[string]bool)
	path, commented := "", -1
	for i, line := range strings.Split(string(Reference()), "\n") {
		if m := headerLine.FindStringSubmatch(line); m != nil {
			path, commented = m[2], -1
			if m[1] != "" {
				commented = i
			}
			mentioned[path] = true
		}
		m := keyLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		key := join(path, m[2])
		mentioned[key] = true
		for _, in := range inlineKey.FindAllStringSubmatch(m[3], -1) {
			mentioned[join(key, in[1])] = true
		}
		if m[1] != "" {
			uncommentKey(t, commented, i)
		}
	}
	for _, s := range sections() {
		for i, key := range s.keys {
			full := join(s.path, key)
			if !embedsAt(s.types[i]) && typeNames[s.types[i]] == "" {
				t.Errorf("%s: typeNames has no words for %v", full, s.types[i])
			}
			if s.path == "check" && mentioned["virtual."+full] { // said to be the same
				continue
			}
			if !mentioned[full] {
				t.Errorf("%s is not in the reference", full)
			}
		}
	}
}

// uncommentKey reads the reference with one example, and its header if need be,
// taken in: it may not go with the rest (a firewall mark with an address), but it must be a key, and of
// the right type.
func uncommentKey(t *testing.T, header, key int) {
	t.Helper()
	lines := strings.Split(string(Reference()), "\n")
	for _, i := range []int{header, key} {
		if i >= 0 {
			lines[i] = strings.TrimLeft(lines[i], "# ")
		}
	}
	_, _, err := Parse("reference.toml", []byte(strings.Join(lines, "\n")))
	if err == nil {
		return
	}
	for _, wrong := range []string{"unknown key", "must be text", "is text", "is not a", "TOML", "second time"} {
		if strings.Contains(err.Error(), wrong) {
			t.Errorf("line %d without its #: %v", key+1, err)
		}
	}
}
