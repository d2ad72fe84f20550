package heartbeat

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/director/config/convert"
	"github.com/ipvsd/ipvsd/docs/gen"
)

const guide = "../../../../docs/migrating-from-heartbeat.md"

// TestMigrationGuide holds docs/migrating-from-heartbeat.md to the importer, as
// that of keepalived: "make docs" writes what nothing is made of, and what comes
// of the example.
func TestMigrationGuide(t *testing.T) {
	data, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	byHand, _, _ := strings.Cut(string(data), "<!-- begin directives")
	words := make(map[string][]string) // by why: those with the same reason are one row
	for _, name := range slices.Sorted(maps.Keys(directives)) {
		why := directives[name].text
		if why == "" && !strings.Contains(byHand, "`"+name+"`") {
			t.Errorf("%s has no row", name)
		}
		words[why] = append(words[why], name)
	}
	delete(words, "")
	rows := "| ha.cf | why, and what to do | import |\n|---|---|---|\n"
	for _, why := range slices.SortedFunc(maps.Keys(words), func(a, b string) int { return strings.Compare(words[a][0], words[b][0]) }) {
		rows += gen.Fate(words[why], why, directives[words[why][0]].lost)
	}
	output, notes := converted(t, string(data))
	if err := gen.Page(guide, *update, map[string]string{"directives": rows, "example": output, "notes": notes}); err != nil {
		t.Error(err)
	}
}

// converted imports the files of the guide, each in a block after its name.
func converted(t *testing.T, page string) (output, notes string) {
	t.Helper()
	var files []convert.File
	for _, name := range []string{"ha.cf", "haresources", "authkeys"} {
		_, text, ok := strings.Cut(page, "\n"+name+":\n\n```\n")
		text, _, end := strings.Cut(text, "```")
		if !ok || !end {
			t.Fatalf("no example of %s in the guide", name)
		}
		files = append(files, convert.File{Name: name, Data: []byte(text)})
	}
	r := Convert(files, convert.Options{})
	validate(t, r.TOML())
	return gen.Imported(r)
}
