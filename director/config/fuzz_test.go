package config

import (
	"errors"
	"os"
	"path/filepath"
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
	if d := Diff(cfg, cfg); len(d) > 0 {
		t.Errorf("differs from itself: %q", d)
	}
}
