package gen

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director/config/convert"
)

// Page compares parts of a page with what they should be, or writes them.
func Page(file string, write bool, parts map[string]string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	page := string(data)
	for part, text := range parts {
		filled, err := Fill(page, part, text)
		if err != nil {
			return fmt.Errorf("%s: %v", file, err)
		}
		page = filled
	}
	if write {
		return os.WriteFile(file, []byte(page), 0o644)
	}
	if diff := cmp.Diff(string(data), page); diff != "" {
		return errors.New(file + " is not of now; run \"make docs\" (-page +code):\n" + diff)
	}
	return nil
}

// Imported is what an importer made of a guide's example, and what it said, in
// Markdown.
func Imported(r convert.Result) (output, notes string) {
	var b strings.Builder
	for _, n := range r.Notes {
		if !n.Lost {
			n.Text = "note: " + n.Text
		}
		fmt.Fprintln(&b, n)
	}
	return "```toml\n" + strings.Trim(string(r.TOML()), "\n") + "\n```", "```\n" + b.String() + "```"
}

// Fate is the row of a guide's table for words that nothing is made of.
func Fate(words []string, why string, lost bool) string {
	mark := "not needed"
	if lost {
		mark = "–"
	}
	return fmt.Sprintf("| `%s` | %s | %s |\n", strings.Join(words, "` `"), why, mark)
}
