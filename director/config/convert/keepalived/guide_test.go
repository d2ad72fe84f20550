package keepalived

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/director/config/convert"
	"github.com/ipvsd/ipvsd/docs/gen"
)

const guide = "../../../../docs/migrating-from-keepalived.md"

// TestMigrationGuide holds docs/migrating-from-keepalived.md to the importer:
// each keyword that something is made of has a row in its block's table, and
// those that nothing is made of stand there with the importer's own words,
// written by "make docs".
func TestMigrationGuide(t *testing.T) {
	data, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	page, parts := string(data), make(map[string]string)
	parts["example"], parts["notes"] = example(t, page)
	for _, b := range []struct {
		heading, kept string
		part          string
		fates         []fate
	}{
		{"Other blocks", "", "top", topWords},
		{"`global_defs`", globalKept, "global_defs", globalWords},
		{"`vrrp_instance` and `vrrp_sync_group`", instanceKept + " " + syncKept, "vrrp_instance", instanceWords},
		{"`vrrp_script`", scriptKept, "vrrp_script", scriptWords},
		{"`vrrp_track_process`", processKept, "vrrp_track_process", processWords},
		{"`virtual_server`", virtualKept, "virtual_server", virtualWords},
		{"`real_server`", realKept + strings.Join(checkers, " "), "real_server", realWords},
		{"Checkers", commonKeys + httpKept + " " + urlKept + smtpKept + dnsKept + udpKept + " " + miscKept, "checkers", slices.Concat(checkWords, urlWords)},
	} {
		_, section, ok := strings.Cut(page, "\n## "+b.heading+"\n")
		if !ok {
			t.Errorf("no section %s", b.heading)
			continue
		}
		section, _, _ = strings.Cut(section, "\n## ")
		section, _, _ = strings.Cut(section, "\n<!-- begin")
		for w := range strings.FieldsSeq(b.kept) {
			if !hasRow(section, w) && !slices.ContainsFunc(b.fates, func(f fate) bool { return slices.Contains(strings.Fields(f.words), w) }) {
				t.Errorf("%s: %s has no row", b.heading, w)
			}
		}
		parts[b.part] = rows(b.fates)
	}
	if err := gen.Page(guide, *update, parts); err != nil {
		t.Error(err)
	}
}

// hasRow tells whether a table has a row that a keyword stands in first.
func hasRow(tables, word string) bool {
	for line := range strings.Lines(tables) {
		if head, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | "); ok && strings.Contains(head, "`"+word+"`") {
			return true
		}
	}
	return false
}

// rows is the table of what nothing is made of.
func rows(fates []fate) string {
	table := "| keepalived | why, and what to do | import |\n|---|---|---|\n"
	for i, f := range fates {
		if !slices.Contains(fates[:i], f) { // two blocks of one section may share some
			table += gen.Fate(strings.Fields(f.words), f.text, f.lost)
		}
	}
	return table
}

// example imports the guide's example.
func example(t *testing.T, page string) (output, notes string) {
	t.Helper()
	_, text, _ := strings.Cut(page, "```conf\n")
	text, _, ok := strings.Cut(text, "```")
	if !ok {
		t.Fatal("no example in the guide")
	}
	r := Convert([]convert.File{{Name: "keepalived.conf", Data: []byte(text)}}, convert.Options{})
	validate(t, r.TOML())
	return gen.Imported(r)
}
