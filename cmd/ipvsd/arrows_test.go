package main

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/ipvsd/ipvsd/"

// arrows says which packages of ours each package may import. A package that
// isn't named may import none.
var arrows = map[string][]string{
	"director/table":          nil,
	"checker":                 {"checker/child"},
	"director/hook":           {"checker/child"},
	"director/mail":           {"director/table"},
	"director/pool":           {"checker"},
	"director/config":         {"checker", "director/pool", "director/table"},
	"director/config/convert": {"director/config", "director/config/convert/emit"},
	"director/config/convert/ldirectord": {
		"checker", "director/config", "director/config/convert", "director/config/convert/emit", "director/table",
	},
	"director/config/convert/keepalived": {"director/config/convert", "director/config/convert/emit"},
	"director/config/convert/heartbeat":  {"director/config/convert", "director/config/convert/emit"},
	"director/intent":                    {"director/table"},
	"director/kerneltest":                {"director/table"},
	"director/ipvs":                      {"director/table"},
	"director": {
		"checker", "cluster", "cluster/core", "cluster/gossip", "cluster/vip", "director/config", "director/hook", "director/mail", "director/intent", "director/ipvs/syncd",
		"director/ipvs/handover", "director/journal", "director/pool", "director/table",
	},
	"director/doctor": {"cluster/vip", "director", "director/config", "director/table", "realserver"},
	"director/api":    {"director", "director/journal"},
	"cmd/ipvsd": {
		"checker", "cluster/vip", "director", "director/api", "director/config", "director/doctor", "director/intent", "director/ipvs",
		"director/config/convert", "director/config/convert/heartbeat", "director/config/convert/keepalived",
		"director/config/convert/ldirectord",
		"director/journal", "director/table", "director/trial", "cluster/gossip", "realserver", "test/lab",
	},
	"cluster":                       {"cluster/core", "cluster/gossip", "cluster/vip"},
	"director/ipvs/syncd":           {"director/table"},
	"director/ipvs/handover":        {"director/ipvs/syncd", "director/table"},
	"director/ipvs/syncd/syncdtest": {"director/ipvs/syncd"},
	"test/browser/director":         {"director", "director/api", "director/journal"},
	"test/bench":                    {"checker", "director", "director/api", "director/ipvs", "director/table", "test/lab"},
	"test/lab/labexec":              {"test/lab"},
	"docs/gen":                      {"director/config", "director/config/convert"},
}

// TestArrows holds the imports between our packages to docs/architecture.md.
func TestArrows(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}:{{range .Imports}} {{.}}{{end}}`, module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		pkg, imports, _ := strings.Cut(strings.TrimSpace(line), ":")
		pkg = strings.TrimPrefix(pkg, module)
		allowed := map[string]bool{}
		for _, a := range arrows[pkg] {
			allowed[module+a] = true
		}
		for imp := range strings.FieldsSeq(imports) {
			if strings.HasPrefix(imp, module) && !allowed[imp] {
				t.Errorf("%s may not import %s", pkg, strings.TrimPrefix(imp, module))
			}
		}
	}
}
