// Package gen writes those parts of the pages in docs that come from the code:
// the keys of the file (from director/config's reference.toml), the commands
// and flags (from cobra's tree), the fields of the status (from the Go types and
// their comments). The rest of a page is written by hand; Fill puts a part
// between its two marks. Tests of cmd/ipvsd and of the importers call it, as
// golden files: "make docs" writes the pages, "make check" compares them.
package gen

import (
	"fmt"
	"strings"
)

// Fill returns the page with the lines between the marks of a part replaced. A
// mark is a line that ends in "begin NAME" or "end NAME", but for what closes a
// comment in the page's language: "<!-- begin keys -->", `.\" begin keys`.
func Fill(page, part, text string) (string, error) {
	var before, after []string
	state := 0
	for line := range strings.Lines(page) {
		mark := strings.TrimSuffix(strings.TrimSpace(line), " -->")
		switch {
		case state == 0:
			before = append(before, line)
			if isMark(mark, "begin "+part) {
				state = 1
			}
			continue
		case state == 1 && isMark(mark, "end "+part):
			state = 2
		}
		if state == 2 {
			after = append(after, line)
		}
	}
	if state != 2 {
		return "", fmt.Errorf("no lines with the marks \"begin %s\" and \"end %s\"", part, part)
	}
	return strings.Join(before, "") + strings.Trim(text, "\n") + "\n" + strings.Join(after, ""), nil
}

func isMark(line, mark string) bool { return line == "<!-- "+mark || line == `.\" `+mark }
