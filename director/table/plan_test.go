package table_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/director/kerneltest"
	"github.com/ipvsd/ipvsd/director/table"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

// TestScenarios runs the stories in testdata/plan: blocks of a command with
// its input, a line of dashes, and the output up to an empty line. Tables are
// written as ipvsadm -S would.
//
//	have            the kernel's table is …
//	want            the wanted table is …
//	ours SERVICE…   whose services may be deleted; every one unless said
//	plan            print the steps from have to want
//	execute STEP…   carry them out; the steps given fail. Print what became of each, and the table
//	drift           print what differs in have from want
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/plan/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { runScenario(t, f) })
	}
}

func runScenario(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	sc := story{ours: every}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	for len(lines) > 0 {
		if lines[0] == "" || lines[0][0] == '#' {
			fmt.Fprintln(&out, lines[0])
			lines = lines[1:]
			continue
		}
		var input []string
		command := lines[0]
		for lines = lines[1:]; len(lines) > 0 && lines[0] != "----"; lines = lines[1:] {
			input = append(input, lines[0])
		}
		for len(lines) > 0 && lines[0] != "" {
			lines = lines[1:] // the output so far
		}
		fmt.Fprintln(&out, strings.Join(append([]string{command}, input...), "\n"))
		fmt.Fprint(&out, "----\n", sc.run(t, command, input))
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, want := out.String(), string(text); got != want {
		t.Errorf("%s has changed; look at it with -update and git diff. Now:\n%s", file, got)
	}
}

// story is the state of a scenario.
type story struct {
	have, want table.State
	ours       func(table.ServiceKey) bool
}

func (s *story) run(t *testing.T, command string, input []string) string {
	t.Helper()
	verb, rest, _ := strings.Cut(command, " ")
	switch verb {
	case "have":
		s.have = mustState(t, input)
		return ""
	case "want":
		s.want = mustState(t, input)
		return ""
	case "ours":
		s.ours = func(k table.ServiceKey) bool { return strings.Contains(rest+" ", k.String()+" ") }
		return ""
	case "plan":
		return s.plan()
	case "execute":
		return s.execute(t, input)
	case "drift":
		return s.drift()
	}
	t.Fatalf("unknown command %q", command)
	return ""
}

func (s *story) plan() string {
	steps := table.Plan(s.have, s.want, s.ours)
	if len(steps) == 0 {
		return "nothing to do\n"
	}
	var b strings.Builder
	for _, st := range steps {
		fmt.Fprintf(&b, "%d: %s\n", st.Phase(), st)
	}
	return b.String()
}

func (s *story) execute(t *testing.T, failing []string) string {
	t.Helper()
	k := kerneltest.New()
	for _, err := range k.Do(t.Context(), table.Plan(nil, s.have, every)) {
		if err != nil {
			t.Fatal(err)
		}
	}
	k.FailStep(func(st table.Step) error {
		for _, f := range failing {
			if st.String() == f {
				return errors.New("injected")
			}
		}
		return nil
	})
	var b strings.Builder
	done, failed := table.Execute(context.Background(), s.have, table.Plan(s.have, s.want, s.ours), k.Do)
	for _, st := range done {
		fmt.Fprintf(&b, "done: %s\n", st)
	}
	for _, f := range failed {
		if errors.Is(f.Err, table.ErrSkipped) {
			fmt.Fprintf(&b, "left out: %s: %v\n", f.Step, f.Err)
			continue
		}
		fmt.Fprintf(&b, "failed: %v\n", f.Err)
	}
	fmt.Fprintln(&b, "the table:")
	for _, st := range table.Plan(nil, k.State(), every) {
		fmt.Fprintf(&b, "  %s\n", st)
	}
	return b.String()
}

func (s *story) drift() string {
	ds := table.Drift(s.want, s.have)
	if len(ds) == 0 {
		return "none\n"
	}
	var b strings.Builder
	for _, d := range ds {
		what := d.Pair.Service.String()
		if d.Pair.Real.IsValid() {
			what = d.Pair.String()
		}
		fmt.Fprintf(&b, "%s: %s: before %q, after %q\n", d.Kind, what, d.Before, d.After)
	}
	return b.String()
}

func mustState(t *testing.T, lines []string) table.State {
	t.Helper()
	st := table.State{}
	for _, line := range lines {
		s, err := parseStep(line)
		if err != nil {
			t.Fatal(err)
		}
		k := s.Service.ServiceKey
		if s.Op == table.AddService {
			st[k] = table.Entry{Service: s.Service, Reals: map[netip.AddrPort]table.Real{}}
			continue
		}
		st[k].Reals[s.Real.Addr] = s.Real
	}
	return st
}
