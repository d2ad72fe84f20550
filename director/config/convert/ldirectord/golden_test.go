package ldirectord

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/director/config/convert"
)

// TestGolden imports files that are written as people write them, with the
// slips that they make. Each .golden holds the output and the notes.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.cf")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := imported(t, string(data), testOptions())
			got := string(r.TOML()) + "----\n" + notes(r)
			if note, ok := Accepts(convert.File{Name: "x", Data: data}, testOptions()); ok {
				got += "---- ldirectord accepts it\n"
			} else {
				got += "---- ldirectord refuses it at " + strings.SplitN(note.String(), " ", 2)[0] + "\n"
			}
			golden(t, strings.TrimSuffix(file, ".cf")+".golden", got)
		})
	}
}

// TestTwoFiles: each file's globals are for its own services.
func TestTwoFiles(t *testing.T) {
	const one = "checkinterval=3\nquiescent=yes\nvirtual=192.0.2.1:80\n\treal=10.0.0.1 gate\n"
	const two = "cleanstop=no\ncheckinterval=7\nvirtual=192.0.2.2:80\n\treal=10.0.0.1 gate\n\nvirtual=192.0.2.1:80\n\treal=10.0.0.9 gate\n"
	r := Convert([]convert.File{{Name: "one", Data: []byte(one)}, {Name: "two", Data: []byte(two)}}, testOptions())
	golden(t, "testdata/two-files.golden", string(r.TOML())+"----\n"+notes(r))
}

// TestMigrationGuide holds docs/migrating-from-ldirectord.md to the directives:
// each that may stand in a place has a row in that place's table.
func TestMigrationGuide(t *testing.T) {
	data, err := os.ReadFile("../../../../docs/migrating-from-ldirectord.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(data), "## Global directives")
	globals, sections, _ := strings.Cut(text, "## In a virtual section")
	row := func(table, name string) string {
		for line := range strings.Lines(table) {
			if head, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | "); ok && strings.Contains(head, "`"+name+"`") {
				return line
			}
		}
		return ""
	}
	for name, s := range specs {
		if s.where&global != 0 && row(globals, name) == "" {
			t.Errorf("%s is not in the table of global directives", name)
		}
		if s.where&section != 0 && row(sections, name) == "" && name != "connecttimeout" {
			t.Errorf("%s is not in the table of a virtual section", name)
		}
		l, left := leftovers[name]
		for _, table := range []string{globals, sections} {
			if line := row(table, name); left && !l.kept && line != "" && !strings.Contains(line, "| – |") {
				t.Errorf("%s has no key, and the guide says it is carried over: %s", name, line)
			}
		}
	}
	for _, name := range []string{"virtual", "virtual6"} {
		if row(sections, name) == "" {
			t.Errorf("%s is not in the table", name)
		}
	}
}
