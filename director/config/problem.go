package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ipvsd/ipvsd/checker"
)

// Problem is one mistake in a file: what is wrong and what would be right.
type Problem struct {
	File string
	Line int // 0: the file as a whole
	Text string
}

func (p Problem) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", p.File, p.Text)
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// Errors is the error of Load and Parse: every mistake of the file, by line.
type Errors []Problem

// Error prints one mistake a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Warning is something that is legal but probably not meant.
type Warning Problem

func (w Warning) String() string { return Problem(w).String() }

// report collects what is found in one file.
type report struct {
	file     string
	problems []Problem
	warnings []Warning

	here   *machine // where the file is to be used: what it names must be there; nil: anywhere
	judged map[checker.Spec][]checker.Problem
}

func (r *report) errorf(line int, format string, args ...any) {
	r.problems = append(r.problems, Problem{r.file, line, fmt.Sprintf(format, args...)})
}

func (r *report) warnf(line int, format string, args ...any) {
	r.warnings = append(r.warnings, Warning{r.file, line, fmt.Sprintf(format, args...)})
}

// key reports a problem of one key of a table, at its line or, where the key
// isn't there, at the table's. The key then counts as bad.
func (r *report) key(t *at, key, format string, args ...any) {
	t.spoil(key)
	r.errorf(t.line(key), "%s%s: %s", t.prefix, key, fmt.Sprintf(format, args...))
}

// sorted returns the problems by line, each once. What was found on a line
// that isn't even TOML follows from that and is left out.
func (r *report) sorted(syntax []Problem) Errors {
	broken := make(map[int]bool, len(syntax))
	for _, p := range syntax {
		broken[p.Line] = true
	}
	all := slices.Clone(syntax)
	for _, p := range r.problems {
		if !broken[p.Line] {
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return unique(all)
}

// unique leaves out what was said before.
func unique[S ~[]E, E comparable](list S) S {
	seen := make(map[E]bool, len(list))
	return slices.DeleteFunc(list, func(e E) bool {
		was := seen[e]
		seen[e] = true
		return was
	})
}

// sortWarnings orders warnings by line.
func sortWarnings(list []Warning) {
	slices.SortStableFunc(list, func(a, b Warning) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Text, b.Text))
	})
}
