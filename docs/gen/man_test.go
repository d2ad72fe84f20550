package gen

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestMan has groff read the man pages: it has nothing to complain of.
func TestMan(t *testing.T) {
	pages, err := filepath.Glob("../man/*.[1-8]")
	if err != nil || len(pages) < 3 {
		t.Fatalf("%d man pages, %v", len(pages), err)
	}
	for _, page := range pages {
		out, err := exec.Command("groff", "-K", "utf8", "-T", "utf8", "-man", "-ww", "-z", page).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v (it needs the package groff-base)\n%s", page, err, out)
		}
	}
}
