package gen

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/director/config"
)

// TestDefaults writes each default that the pages show as a value into a file,
// where leaving it out must mean the same. That the keys which stand in the
// reference without a # are defaults is a test of director/config.
func TestDefaults(t *testing.T) {
	tables, err := readReference(string(config.Reference()), config.Keys())
	if err != nil {
		t.Fatal(err)
	}
	const (
		virtual = "[[virtual]]\naddress = \"192.0.2.10:80\"\n[[virtual.real]]\naddress = \"192.0.2.11\"\n"
		track   = "[cluster]\njoin = [\"127.0.0.1\", \"127.0.0.2\"]\nlisten = \"127.0.0.1\"\n[[cluster.track]]\ngateway = \"192.0.2.1\"\n%s\n" + virtual
	)
	check := func(keys string) string { return virtual + "[virtual.check]\n" + keys + "\n%s\n" }
	// A file in which the key means something, with a place for it.
	files := map[string]string{
		"cluster.track.interval":         track,
		"cluster.track.rise":             track,
		"cluster.track.fall":             track,
		"virtual.check.connect_ratio":    check(`type = "http"`),
		"virtual.check.status":           check(`type = "http"`),
		"virtual.check.method":           check(`type = "http"`),
		"virtual.check.follow_redirects": check(`type = "http"`),
		"virtual.check.tls":              check("type = \"agent\"\nport = 9707"),
		"virtual.check.starttls":         check(`type = "smtp"`),
		"virtual.check.verify":           check(`type = "https"`),
		"virtual.check.min_days":         check(`type = "https"`),
	}
	// The config leaves these to the checker, whose tests have them.
	checkers := map[string]bool{"virtual.check.record": true, "virtual.check.min_tls": true}
	found := 0
	for _, tab := range tables {
		for _, e := range tab.keys {
			key := tab.path + "." + e.name
			file, known := files[key]
			switch {
			case checkers[key]:
			case !known && e.isValue && e.std != e.value:
				t.Errorf("%s has the default %s, which nothing tests; write a file for it here", key, e.std)
			case known && e.isValue:
				found++
				without, with := mustParse(t, fmt.Sprintf(file, "")), mustParse(t, fmt.Sprintf(file, e.name+" = "+e.std))
				if diff := config.Diff(without, with); len(diff) > 0 {
					t.Errorf("%s: %s is not the default: %s", key, e.std, strings.Join(diff, "; "))
				}
				if e.std == e.value {
					continue
				}
				if other := mustParse(t, fmt.Sprintf(file, e.name+" = "+e.value)); len(config.Diff(without, other)) == 0 {
					t.Errorf("%s: the example %s changes nothing", key, e.value)
				}
			}
		}
	}
	if found != len(files) {
		t.Errorf("%d defaults found, %d files to test them", found, len(files))
	}
}

func mustParse(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, _, err := config.Parse("test.toml", []byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return cfg
}

// TestFill puts a part between its marks, and nowhere else.
func TestFill(t *testing.T) {
	got, err := Fill("a\n<!-- begin x -->\nold\n<!-- end x -->\n.\\\" begin y\n.\\\" end y\nb\n", "x", "\nnew\n\n")
	if want := "a\n<!-- begin x -->\nnew\n<!-- end x -->\n.\\\" begin y\n.\\\" end y\nb\n"; err != nil || got != want {
		t.Errorf("%v, %q", err, got)
	}
	if got, err = Fill(got, "y", ".B new"); err != nil || !strings.Contains(got, "begin y\n.B new\n.\\\" end y") {
		t.Errorf("%v, %q", err, got)
	}
	for _, page := range []string{"", "<!-- begin x -->\n", "<!-- end x -->\n<!-- begin x -->\n"} {
		if _, err := Fill(page, "x", ""); err == nil {
			t.Errorf("no error for %q", page)
		}
	}
}

// TestUndescribed: who adds a key has to say what it means.
func TestUndescribed(t *testing.T) {
	keys := []config.Key{{Name: "http"}, {Table: "http", Name: "listen", Type: "text"}, {Table: "http", Name: "other", Type: "text"}}
	_, err := readReference("[http]\nlisten = \"x\"\nwrong = 1 # what\n", keys)
	want := "reference.toml:2: listen has no comment that says what it means\n" +
		"reference.toml:3: there is no key wrong in [http]\nreference.toml:0: other of [http] is not there"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want\n%s", err, want)
	}
}
