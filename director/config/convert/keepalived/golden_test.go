package keepalived

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/config/convert"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden lists the files of testdata that are imported.
func golden(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob("testdata/*.conf")
	if err != nil || len(list) < 8 {
		t.Fatalf("testdata/*.conf: %d files, %v", len(list), err)
	}
	return list
}

// TestGolden compares the output and the notes of whole files, and has
// director/config judge the output.
func TestGolden(t *testing.T) {
	opts := convert.Options{Read: os.ReadFile, Glob: filepath.Glob}
	for _, conf := range golden(t) {
		t.Run(filepath.Base(conf), func(t *testing.T) {
			data, err := os.ReadFile(conf)
			if err != nil {
				t.Fatal(err)
			}
			r := Convert([]convert.File{{Name: conf, Data: data}}, opts)
			name := strings.TrimSuffix(conf, ".conf")
			compare(t, name+".toml", r.TOML())
			compare(t, name+".notes", printed(r.Notes))
			validate(t, r.TOML())
		})
	}
}

// printed is how the notes of a file are kept: those of what is lost with an
// exclamation mark.
func printed(notes []convert.Note) []byte {
	var b bytes.Buffer
	for _, n := range notes {
		mark := "  "
		if n.Lost {
			mark = "! "
		}
		b.WriteString(mark + n.String() + "\n")
	}
	return b.Bytes()
}

func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func validate(t *testing.T, toml []byte) {
	t.Helper()
	if _, _, err := config.Parse("ipvsd.toml", toml); err != nil {
		t.Errorf("the output isn't valid:\n%v\n%s", err, toml)
	}
}

// TestInputs has keepalived read the files of testdata, so that they are what
// it takes; odd.conf is what it doesn't.
func TestInputs(t *testing.T) {
	program, err := exec.LookPath("keepalived")
	if err != nil {
		t.Skip("no keepalived on this machine")
	}
	for _, conf := range golden(t) {
		if filepath.Base(conf) == "odd.conf" {
			continue
		}
		cmd := exec.Command(program, "-t", "-i", "lb1", "-f", filepath.Base(conf))
		cmd.Dir = "testdata"
		out, _ := cmd.CombinedOutput() // fails where this machine lacks an interface
		for line := range strings.Lines(string(out)) {
			for _, bad := range []string{"Unknown keyword", "Missing '", "Unexpected '", "Extra '", "nvalid number"} {
				if strings.Contains(line, bad) && !strings.Contains(line, "nat_mask") {
					t.Errorf("%s: %s", conf, line)
				}
			}
		}
	}
}
