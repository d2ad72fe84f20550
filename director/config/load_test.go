package config

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ipvsd/ipvsd/director/pool"
	"github.com/ipvsd/ipvsd/director/table"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// compareAddresses lets cmp look at netip's types, and at lists without
// telling an empty one from none.
var compareAddresses = cmp.Options{
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmpopts.EquateEmpty(),
}

func mustParse(t *testing.T, text string) (*Config, []Warning) {
	t.Helper()
	cfg, warnings, err := Parse("ipvsd.toml", []byte(text))
	if err != nil {
		t.Fatalf("Parse:\n%v", err)
	}
	return cfg, warnings
}

// golden compares a text with a file, or writes the file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// TestBad holds the exact text of every mistake's message.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			cfg, _, err := Parse(filepath.Base(file), data)
			if err == nil || cfg != nil {
				t.Fatalf("accepted; want an error")
			}
			golden(t, strings.TrimSuffix(file, ".toml")+".err", err.Error()+"\n")
		})
	}
}

// TestGood holds what the files mean, in words.
func TestGood(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			cfg, warnings, err := Parse(filepath.Base(file), data)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, ".toml")+".golden", dump(cfg, warnings))
		})
	}
}

// unusual are the settings that differ from the usual ones.
func unusual(list, usual []setting) []setting {
	return slices.DeleteFunc(list, func(s setting) bool { return slices.Contains(usual, s) })
}

// dump prints a Config for people: what is not as in an empty file.
func dump(cfg *Config, warnings []Warning) string {
	var b strings.Builder
	for _, w := range warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	empty, _, _ := Parse("", nil)
	for i, s := range globals(cfg) {
		if s != globals(empty)[i] {
			fmt.Fprintf(&b, "%s = %s\n", s.name, s.value)
		}
	}
	if c := cfg.Cluster; c != nil {
		fmt.Fprintf(&b, "cluster in line %d, directors: %d\n", c.Line, c.Directors())
		for _, s := range clusterSettings(c) {
			fmt.Fprintf(&b, "  %s = %s\n", s.name, s.value)
		}
		for _, t := range c.Tracks {
			fmt.Fprintf(&b, "  track in line %d: %s\n", t.Line, t)
			for _, s := range trackSettings(t) {
				fmt.Fprintf(&b, "    %s: %s\n", s.name, s.value)
			}
		}
	}
	for _, g := range cfg.Groups {
		fmt.Fprintf(&b, "group %s in line %d: %v, priority %d\n", g.Name, g.Line, g.VIPs, g.Priority)
	}
	for _, v := range cfg.VIPs {
		fmt.Fprintf(&b, "vip %s on %s\n", v.Address, v.Interface)
	}
	for _, v := range cfg.Virtuals {
		fmt.Fprintf(&b, "\nvirtual in line %d: %s\n", v.Line, v.Service.ServiceKey)
		print := func(indent string, list []setting) {
			for _, s := range list {
				if !slices.Contains([]string{"", `""`, "0", "false", "invalid AddrPort", direct}, s.value) {
					fmt.Fprintf(&b, "%s%s: %s\n", indent, s.name, s.value)
				}
			}
		}
		print("  ", virtualSettings(v))
		print("  ", unusual(poolSettings(v), poolSettings(Virtual{Pool: pool.Policy{MinUp: 1}})))
		print("  ", unusual(toldSettings(v, cfg), toldSettings(Virtual{}, empty)))
		for _, r := range v.Reals {
			fmt.Fprintf(&b, "  real in line %d: %s\n", r.Line, r.Addr)
			print("    ", realSettings(r.Real))
			print("    ", unusual(shareSettings(r), shareSettings(Real{})))
			if r.Check.Headers != "" {
				fmt.Fprintf(&b, "    check headers: %q\n", r.Check.Headers)
				r.Check.Headers = ""
			}
			if r.Check.Via.IsValid() {
				key := table.ByMark(v.Service.Family, r.Check.Mark)
				fmt.Fprintf(&b, "    check goes to %s by %v\n", r.Check.Target, table.Plan(nil, table.State{key: cfg.CheckServices[key]}, nil))
			}
			print("    ", checkSettings(r))
		}
	}
	return b.String()
}
