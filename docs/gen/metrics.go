package gen

import (
	"fmt"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// metricSections are the headings of metrics.md and which names begin how; the
// last takes what is left.
var metricSections = []struct {
	title    string
	prefixes []string
}{
	{"Virtual services", []string{"ipvsd_virtual_"}},
	{"Real servers", []string{"ipvsd_real_server_", "ipvsd_certificate_"}},
	{"Checks", []string{"ipvsd_check"}},
	{"Cluster", []string{"ipvsd_cluster_", "ipvsd_failover_"}},
	{"Director, file and kernel", []string{"ipvsd_"}},
}

// Metrics writes a table for each kind of metric: name with labels, type, and the
// HELP of the scrape. Families that aren't ipvsd's own are left out.
func Metrics(families map[string]*dto.MetricFamily) string {
	rows := make([][]string, len(metricSections))
	for name, f := range families {
		for i, s := range metricSections {
			if slices.ContainsFunc(s.prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
				rows[i] = append(rows[i], metricRow(f))
				break
			}
		}
	}
	var b strings.Builder
	for i, s := range metricSections {
		slices.Sort(rows[i])
		fmt.Fprintf(&b, "\n## %s\n\n| metric | type | meaning |\n|---|---|---|\n%s", s.title, strings.Join(rows[i], ""))
	}
	return strings.TrimPrefix(b.String(), "\n")
}

func metricRow(f *dto.MetricFamily) string {
	name := f.GetName()
	if labels := f.Metric[0].Label; len(labels) > 0 {
		var names []string
		for _, l := range labels {
			names = append(names, l.GetName())
		}
		name += "{" + strings.Join(names, ",") + "}"
	}
	return fmt.Sprintf("| `%s` | %s | %s |\n", name, strings.ToLower(f.GetType().String()), f.GetHelp())
}
