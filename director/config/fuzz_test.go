package config

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// FuzzParse: nothing panics; an error is of type Errors, sorted, with every
// line inside the file and a text of one line; what is accepted is whole.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, "reference.toml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		last := 1 + strings.Count(string(data), "\n")
		cfg, warnings, err := Parse("f", data)
		for _, w := range warnings {
			if w.Line < 1 || w.Line > last || strings.ContainsAny(w.Text, "\n\r") {
				t.Errorf("warning %q, file has %d lines", w, last)
			}
		}
		if err == nil {
			checkWhole(t, cfg)
			return
		}
		var problems Errors
		if cfg != nil || !errors.As(err, &problems) || len(problems) == 0 {
			t.Fatalf("cfg %v, error %#v", cfg, err)
		}
		before := 1
		for _, p := range problems {
			if p.Line < before || p.Line > last || p.Text == "" || strings.ContainsAny(p.Text, "\n\r") {
				t.Errorf("problem %q after line %d, file has %d lines", p, before, last)
			}
			before = p.Line
		}
	})
}

// checkWhole looks for what no accepted file may leave open.
func checkWhole(t *testing.T, cfg *Config) {
	t.Helper()
	names := make(map[string]bool)
	for _, v := range cfg.Virtuals {
		if v.Name == "" || names[v.Name] || v.Line < 1 || v.Service.Family == 0 || v.Service.Scheduler == "" || v.Service.PrefixLen == 0 {
			t.Errorf("virtual is not whole: %+v", v)
		}
		names[v.Name] = true
		for _, r := range v.Reals {
			if !r.Addr.IsValid() || r.Line < 1 || r.Rise < 1 || r.Fall < 1 || len(r.Check.Validate()) > 0 {
				t.Errorf("real is not whole: %+v", r)
			}
		}
	}
	checkCluster(t, cfg)
	if d := Diff(cfg, cfg); len(d) > 0 {
		t.Errorf("differs from itself: %q", d)
	}
}

// checkCluster: the groups part the addresses among them, and nothing of what
// a cluster is run by is left open.
func checkCluster(t *testing.T, cfg *Config) {
	t.Helper()
	c := cfg.Cluster
	if c == nil {
		if len(cfg.Groups) > 0 {
			t.Errorf("groups without a cluster: %+v", cfg.Groups)
		}
		return
	}
	if c.Priority < 1 || c.Profile == "" || c.Quorum == "" || c.Sync.ID < 1 || c.Hooks.Timeout <= 0 || c.Line < 1 ||
		slices.Contains(c.Join, c.Listen) || c.KeyFile == "" && !c.Insecure && !c.Join[0].Addr().IsLoopback() {
		t.Errorf("cluster is not whole: %+v", c)
	}
	for _, track := range c.Tracks {
		if track.Kind == "" || track.Rise < 1 || track.Fall < 1 || track.Line < 1 || track.Kind != TrackInterface && track.Interval <= 0 {
			t.Errorf("track is not whole: %+v", track)
		}
	}
	var vips []netip.Addr
	for _, g := range cfg.Groups {
		if g.Name == "" || g.Priority < 1 {
			t.Errorf("group is not whole: %+v", g)
		}
		vips = append(vips, g.VIPs...)
	}
	all := addresses(cfg)
	slices.SortFunc(vips, netip.Addr.Compare)
	slices.SortFunc(all, netip.Addr.Compare)
	if len(cfg.Groups) == 0 || !slices.Equal(vips, all) {
		t.Errorf("groups have %v, the file %v", vips, all)
	}
}
