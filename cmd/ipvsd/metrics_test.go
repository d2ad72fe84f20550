package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/api"
	"github.com/ipvsd/ipvsd/director/doctor"
)

// contractMetrics are promised to dashboards and alerts: they may only be added
// to. Labels are in the order of the scrape.
var contractMetrics = map[string]struct{ kind, labels string }{
	"ipvsd_real_server_up":                   {"gauge", "virtual,real"},
	"ipvsd_real_server_weight":               {"gauge", "virtual,real"},
	"ipvsd_real_server_active_connections":   {"gauge", "virtual,real"},
	"ipvsd_real_server_inactive_connections": {"gauge", "virtual,real"},
	"ipvsd_real_server_connections_total":    {"counter", "virtual,real"},
	"ipvsd_real_server_bytes_in_total":       {"counter", "virtual,real"},
	"ipvsd_real_server_bytes_out_total":      {"counter", "virtual,real"},
	"ipvsd_real_server_packets_in_total":     {"counter", "virtual,real"},
	"ipvsd_real_server_packets_out_total":    {"counter", "virtual,real"},
	"ipvsd_virtual_up":                       {"gauge", "virtual"},
	"ipvsd_virtual_fallback":                 {"gauge", "virtual"},
	"ipvsd_checks_total":                     {"counter", "virtual,real,result"},
	"ipvsd_check_duration_seconds":           {"histogram", "virtual"},
	"ipvsd_cluster_active":                   {"gauge", ""},
	"ipvsd_cluster_members":                  {"gauge", "state"},
	"ipvsd_cluster_transitions_total":        {"counter", "to"},
	"ipvsd_failover_duration_seconds":        {"histogram", "phase"},
	"ipvsd_kernel_drift_total":               {"counter", "kind"},
	"ipvsd_reload_total":                     {"counter", "result"},
	"ipvsd_config_hash":                      {"gauge", ""},
	"ipvsd_build_info":                       {"gauge", "goversion,version"},
}

// fullStatus is a director of which everything can be told that is ever told.
func fullStatus() director.Status {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	st := statusOf(web(real("192.168.0.101:80", director.StateUp, "status 200", 1, 12, 40), held("192.168.0.102:80", director.StateDraining, "", 3)))
	st.Config.Hash, st.Config.Loaded = strings.Repeat("0a", 32), now
	st.Virtuals[0].Reals[0].Check.CertUntil = &now
	st.Virtuals[0].Reals[1].Hold.Deadline = &now
	st.Cluster = &director.ClusterStatus{
		Groups: []director.ClusterGroupStatus{{Name: "web", State: "active"}},
		Sync:   director.SyncStatus{Enabled: true, Running: true, Known: &director.SyncKnown{Share: 0.5}},
	}
	return st
}

// mustScrape answers a scrape with all that the daemon registers.
func mustScrape(t *testing.T, format expfmt.Format) string {
	t.Helper()
	m := api.NewMetrics("1.2.3")
	m.ObserveCheck("web", 0.01)
	ready := make(chan struct{})
	close(ready)
	ctx, cancel := context.WithCancel(t.Context())
	rounds := doctor.NewRounds(doctor.RoundsOptions{
		Log: slog.New(slog.DiscardHandler), Metrics: m.Registerer(),
		Look: func(context.Context, bool) doctor.Facts { cancel(); return doctor.Facts{} },
	})
	if err := rounds.Run(ctx, ready); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := m.Write(&b, format, fullStatus()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// metricFamilies are the families of such a scrape.
func metricFamilies(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(mustScrape(t, expfmt.FmtText)))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func labelNames(f *dto.MetricFamily) string {
	var names []string
	for _, l := range f.Metric[0].Label {
		names = append(names, l.GetName())
	}
	return strings.Join(names, ",")
}

func TestMetricsContract(t *testing.T) {
	families, open := metricFamilies(t), mustScrape(t, expfmt.FmtOpenMetrics_1_0_0)
	for name, want := range contractMetrics {
		f, ok := families[name]
		if !ok {
			t.Errorf("no %s", name)
			continue
		}
		if kind := strings.ToLower(f.GetType().String()); kind != want.kind || labelNames(f) != want.labels {
			t.Errorf("%s is a %s by {%s}, want a %s by {%s}", name, kind, labelNames(f), want.kind, want.labels)
		}
		family := name
		if want.kind == "counter" {
			family = strings.TrimSuffix(name, "_total")
		}
		if !strings.Contains(open, "\n# TYPE "+family+" "+want.kind+"\n") {
			t.Errorf("OpenMetrics: no family %s", family)
		}
	}
}

// All names, types and units are as Prometheus' own linter wants them; HELP is a
// sentence.
func TestMetricsLint(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(mustScrape(t, expfmt.FmtText))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for name, f := range metricFamilies(t) {
		if strings.HasPrefix(name, "ipvsd_") && (!strings.HasSuffix(f.GetHelp(), ".") || len(f.GetHelp()) < 20) {
			t.Errorf("%s: HELP %q is no sentence", name, f.GetHelp())
		}
	}
}
