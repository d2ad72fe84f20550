package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMaintenanceDir: a directory that isn't there is most often a typing error.
func TestMaintenanceDir(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ path, warning, err string }{
		{"", "", ""},
		{dir, "", ""},
		{dir + "/none", "f:2: maintenance_dir: there is no " + dir + "/none; nobody is in maintenance until you make it", ""},
		{file, "", "f:2: maintenance_dir: " + file + " is not a directory; it must be one, with a file for each real server that shall be out"},
	} {
		cfg, warnings, err := read("f", []byte("[director]\nmaintenance_dir = \""+tt.path+"\"\n"), thisMachine())
		warning, text := "", ""
		for _, w := range warnings {
			if strings.Contains(w.Text, "maintenance_dir") {
				warning = w.String()
			}
		}
		if err != nil {
			text = err.Error()
		}
		if warning != tt.warning || text != tt.err {
			t.Errorf("%q: warning %q, error %q", tt.path, warning, text)
		}
		if err == nil && cfg.Director.MaintenanceDir != tt.path {
			t.Errorf("%q: %q", tt.path, cfg.Director.MaintenanceDir)
		}
	}
}
