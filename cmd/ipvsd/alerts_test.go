package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

const (
	prometheusDir = "../../deploy/prometheus/"
	grafanaFile   = "../../deploy/grafana/ipvsd.json"
	runbook       = "https://github.com/ipvsd/ipvsd/blob/main/docs/operations.md#"
)

func mustRead(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// promtool is Debian's, of the package prometheus, which DEPS_TEST has.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Dir = prometheusDir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestAlerts has Prometheus itself check the rules, and fire each of them.
func TestAlerts(t *testing.T) {
	promtool(t, "check", "rules", "alerts.yml")
	promtool(t, "test", "rules", "alerts_test.yml")
}

// alert is one rule of alerts.yml.
type alert struct{ name, severity, expr, texts, runbook string }

var (
	alertRule  = regexp.MustCompile(`(?s)- alert: (\w+)\n +expr: '(.*?)'\n(?: +for: \w+\n)? +labels:\n +severity: (\w+)\n +annotations:\n +(summary: .*?) +runbook_url: (\S+)\n`)
	metricName = regexp.MustCompile(`\b(?:ipvsd|process|go)_[a-z0-9_]+`)
	labelOf    = regexp.MustCompile(`\$labels\.(\w+)`)
)

func alerts(t *testing.T) []alert {
	t.Helper()
	text := mustRead(t, prometheusDir+"alerts.yml")
	var list []alert
	for _, m := range alertRule.FindAllStringSubmatch(text, -1) {
		list = append(list, alert{name: m[1], expr: strings.ReplaceAll(m[2], "''", "'"), severity: m[3], texts: m[4], runbook: m[5]})
	}
	if n := strings.Count(text, "- alert: "); n != len(list) || n == 0 {
		t.Fatalf("read %d of %d alerts: each has expr, for, severity, summary, description, runbook_url in this order", len(list), n)
	}
	return list
}

// TestAlertTests holds alerts_test.yml to having every alert fire and not fire,
// and the alerts' texts to the labels that they have when they fire.
func TestAlertTests(t *testing.T) {
	cases := mustRead(t, prometheusDir+"alerts_test.yml")
	for _, a := range alerts(t) {
		q := `- {expr: 'ALERTS{alertname="` + a.name + `",alertstate="firing"}', eval_time: `
		quiet, fires := false, 0
		for line := range strings.Lines(cases) {
			if !strings.Contains(line, q) {
				continue
			}
			if strings.Contains(line, "exp_samples: []") {
				quiet = true
				continue
			}
			fires++
			for _, l := range labelOf.FindAllStringSubmatch(a.texts, -1) {
				if !strings.Contains(line, `,`+l[1]+`="`) {
					t.Errorf("%s: its text has the label %s, which it lacks when it fires: %s", a.name, l[1], line)
				}
			}
		}
		if !quiet || fires == 0 {
			t.Errorf("%s: alerts_test.yml has it quiet: %v, firing: %d times; want both", a.name, quiet, fires)
		}
	}
}

// TestAlertRunbooks holds docs/operations.md to having a section for each alert
// that says the four things, and no section for an alert that is gone.
func TestAlertRunbooks(t *testing.T) {
	sections := map[string]string{}
	for _, s := range strings.Split(mustRead(t, docs+"operations.md"), "\n### ")[1:] {
		name, body, _ := strings.Cut(s, "\n")
		sections[name] = body
	}
	names := map[string]bool{}
	for _, a := range alerts(t) {
		names[a.name] = true
		if a.runbook != runbook+strings.ToLower(a.name) {
			t.Errorf("%s: runbook_url is %s", a.name, a.runbook)
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, a.severity) {
			t.Errorf("%s: severity %s", a.name, a.severity)
		}
		for _, part := range []string{"**Means.**", "**Users notice.**", "**Look.**", "**Do.**"} {
			if !strings.Contains(sections[a.name], part) {
				t.Errorf("docs/operations.md: no %s in a section \"### %s\"", part, a.name)
			}
		}
		if !strings.HasPrefix(strings.TrimSpace(sections[a.name]), "*"+a.severity+"*") {
			t.Errorf("docs/operations.md: the section %s doesn't begin with *%s*", a.name, a.severity)
		}
	}
	for name := range sections {
		if strings.HasPrefix(name, "Ipvsd") && !names[name] {
			t.Errorf("docs/operations.md: %s is no alert", name)
		}
	}
}

// queries are the dashboard's, by what asks.
func queries(t *testing.T) map[string]string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Name, Definition string }
		}
		Annotations struct {
			List []struct{ Name, Expr string }
		}
	}
	if err := json.Unmarshal([]byte(mustRead(t, grafanaFile)), &dashboard); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, p := range dashboard.Panels {
		for i, q := range p.Targets {
			out[fmt.Sprintf("panel %d, %s, query %d", p.ID, p.Title, i+1)] = q.Expr
		}
	}
	for _, v := range dashboard.Templating.List {
		out["variable "+v.Name] = v.Definition
	}
	for _, a := range dashboard.Annotations.List {
		out["annotation "+a.Name] = a.Expr
	}
	if len(out) < 10 {
		t.Fatalf("%d panels and variables in %s", len(out), grafanaFile)
	}
	return out
}

// pageQueries are those of docs/metrics.md.
func pageQueries(t *testing.T) []string {
	t.Helper()
	_, table, ok := strings.Cut(mustRead(t, docs+"metrics.md"), "\n| question | query |\n")
	var list []string
	for _, row := range regexp.MustCompile("(?m)^\\|.* \\| `(.+)` \\|$").FindAllStringSubmatch(table, -1) {
		list = append(list, row[1])
	}
	if !ok || len(list) < 5 {
		t.Fatalf("docs/metrics.md: %d queries", len(list))
	}
	return list
}

// TestQueries has Prometheus read every query of the dashboard and of the page.
func TestQueries(t *testing.T) {
	variables := strings.NewReplacer("$__rate_interval", "1m", "$job", ".*", "$virtual", ".*", "'", "''")
	list := pageQueries(t)
	for who, q := range queries(t) {
		if !strings.HasPrefix(who, "variable ") { // Grafana's own function
			list = append(list, q)
		}
	}
	rules := "groups:\n  - name: queries\n    rules:\n"
	for i, q := range list {
		rules += fmt.Sprintf("      - record: query:%d\n        expr: '%s'\n", i, variables.Replace(q))
	}
	file := filepath.Join(t.TempDir(), "queries.yml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

// TestMetricNames holds what alerts, dashboard and page ask for to what a scrape has.
func TestMetricNames(t *testing.T) {
	have := map[string]bool{}
	for name, f := range metricFamilies(t) {
		have[name] = true
		if f.GetType() == dto.MetricType_HISTOGRAM {
			have[name+"_bucket"], have[name+"_sum"], have[name+"_count"] = true, true, true
		}
	}
	asked := queries(t)
	for _, a := range alerts(t) {
		asked["alert "+a.name] = a.expr
	}
	for _, q := range pageQueries(t) {
		asked["docs/metrics.md: "+q] = q
	}
	for who, expr := range asked {
		for _, name := range metricName.FindAllString(expr, -1) {
			if !have[name] {
				t.Errorf("%s asks for %s, which no scrape has", who, name)
			}
		}
	}
}
