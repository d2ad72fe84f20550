package api

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/ipvsd/ipvsd/director"
)

// mustScrape answers a scrape as the daemon does.
func mustScrape(t testing.TB, m *Metrics, st director.Status, accept string) (body, contentType string) {
	t.Helper()
	req := httptest.NewRequest("GET", "/metrics", nil)
	req.Header.Set("Accept", accept)
	rec := httptest.NewRecorder()
	newPages(&fakeSource{status: st}, m, quiet()).public().ServeHTTP(rec, req)
	if rec.Code != http.StatusOK {
		t.Fatalf("status %d: %s", rec.Code, rec.Body)
	}
	return rec.Body.String(), rec.Header().Get("Content-Type")
}

func mustParse(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return families
}

// flat is "name{label=value,…} value" for each counter and gauge.
func flat(families map[string]*dto.MetricFamily) map[string]float64 {
	out := map[string]float64{}
	for name, family := range families {
		for _, m := range family.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			key := name
			if len(labels) > 0 {
				key += "{" + strings.Join(labels, ",") + "}"
			}
			if _, twice := out[key]; twice {
				panic("api: series twice: " + key)
			}
			switch family.GetType() {
			case dto.MetricType_COUNTER:
				out[key] = m.Counter.GetValue()
			case dto.MetricType_GAUGE:
				out[key] = m.Gauge.GetValue()
			case dto.MetricType_HISTOGRAM:
				out[key+" count"] = float64(m.Histogram.GetSampleCount())
			}
		}
	}
	return out
}

func TestMetricsText(t *testing.T) {
	m := NewMetrics("1.2.3")
	m.ObserveCheck("web", 0.0012)
	m.ObserveCheck("web", 3)
	m.ObserveCheck("left the file", 1)
	st := testStatus()
	st.Virtuals[0].FailOpen, st.Virtuals[0].Reals[1].Damped = "2 of 2 real servers fail and are kept in", true
	text, contentType := mustScrape(t, m, st, "")
	if contentType != "text/plain; version=0.0.4; charset=utf-8; escaping=underscores" && !strings.HasPrefix(contentType, "text/plain; version=0.0.4; charset=utf-8") {
		t.Errorf("content type %q", contentType)
	}
	got := flat(mustParse(t, text))
	const mark = "mark \"one\" \\ two\nlines \ufffd"
	want := map[string]float64{
		"ipvsd_real_server_up{virtual=web,real=192.168.0.101:80}":                            1,
		"ipvsd_real_server_up{virtual=web,real=192.168.0.102:80}":                            0,
		"ipvsd_real_server_up{virtual=" + mark + ",real=[fd00::101]:80}":                     0,
		"ipvsd_real_server_weight{virtual=web,real=192.168.0.101:80}":                        1,
		"ipvsd_real_server_weight{virtual=web,real=192.168.0.102:80}":                        0,
		"ipvsd_real_server_weight{virtual=" + mark + ",real=127.0.0.1:80}":                   1,
		"ipvsd_real_server_configured_weight{virtual=" + mark + ",real=[fd00::101]:80}":      5,
		"ipvsd_real_server_active_connections{virtual=web,real=192.168.0.101:80}":            12,
		"ipvsd_real_server_inactive_connections{virtual=web,real=192.168.0.101:80}":          40,
		"ipvsd_real_server_connections_total{virtual=web,real=192.168.0.101:80}":             1 << 60,
		"ipvsd_real_server_packets_in_total{virtual=web,real=192.168.0.101:80}":              1,
		"ipvsd_real_server_packets_out_total{virtual=web,real=192.168.0.101:80}":             2,
		"ipvsd_real_server_bytes_in_total{virtual=web,real=192.168.0.101:80}":                3,
		"ipvsd_real_server_bytes_out_total{virtual=web,real=192.168.0.101:80}":               4,
		"ipvsd_real_server_state_since_timestamp_seconds{virtual=web,real=192.168.0.101:80}": float64(testTime.Unix()),
		"ipvsd_virtual_up{virtual=web}":                                                      1,
		"ipvsd_virtual_up{virtual=" + mark + "}":                                             0,
		"ipvsd_virtual_fallback{virtual=" + mark + "}":                                       1,
		"ipvsd_virtual_fail_open{virtual=web}":                                               1,
		"ipvsd_virtual_fail_open{virtual=" + mark + "}":                                      0,
		"ipvsd_real_server_damped{virtual=web,real=192.168.0.101:80}":                        0,
		"ipvsd_real_server_damped{virtual=web,real=192.168.0.102:80}":                        1,
		"ipvsd_virtual_connections_total{virtual=web}":                                       30,
		"ipvsd_checks_total{virtual=web,real=192.168.0.101:80,result=ok}":                    7,
		"ipvsd_checks_total{virtual=web,real=192.168.0.101:80,result=failed}":                1,
		"ipvsd_checks_total{virtual=web,real=192.168.0.101:80,result=void}":                  2,
		"ipvsd_virtual_checks_overdue{virtual=web}":                                          1,
		"ipvsd_certificate_expiry_timestamp_seconds{virtual=web,real=192.168.0.101:80}":      float64(testTime.Unix()),
		"ipvsd_check_duration_seconds{virtual=web} count":                                    2,
		"ipvsd_cluster_active": 1,
		"ipvsd_ready":          1,
		"ipvsd_kernel_drift_total{kind=real_changed}":                        3,
		"ipvsd_kernel_foreign_services":                                      1,
		"ipvsd_reload_total{result=ok}":                                      2,
		"ipvsd_reload_total{result=refused}":                                 1,
		"ipvsd_config_hash":                                                  0x2a,
		"ipvsd_config_last_reload_successful":                                1,
		"ipvsd_address_present{address=192.168.0.105,interface=eth0}":        1,
		"ipvsd_address_present{address=192.168.0.106,interface=}":            0,
		"ipvsd_address_repaired_total{address=192.168.0.105,interface=eth0}": 2,
		"ipvsd_scrape_errors_total":                                          0,
	}
	for series, value := range want {
		if v, ok := got[series]; !ok {
			t.Errorf("no series %s", series)
		} else if v != value {
			t.Errorf("%s is %v, want %v", series, v, value)
		}
	}
	for _, series := range []string{
		"ipvsd_real_server_up{virtual=" + mark + ",real=127.0.0.1:80}",           // the fallback
		"ipvsd_checks_total{virtual=" + mark + ",real=127.0.0.1:80,result=ok}",   // isn't checked
		"ipvsd_real_server_connections_total{virtual=web,real=192.168.0.102:80}", // isn't in the kernel
		"ipvsd_check_duration_seconds{virtual=left the file} count",
		"ipvsd_certificate_expiry_timestamp_seconds{virtual=web,real=192.168.0.102:80}", // no certificate
		"ipvsd_real_server_drain_deadline_timestamp_seconds{virtual=web,real=192.168.0.101:80}",
	} {
		if _, ok := got[series]; ok {
			t.Errorf("unwanted series %s", series)
		}
	}
	if !strings.Contains(text, `ipvsd_build_info{goversion="go`) {
		t.Error("no build info")
	}
}

func TestMetricsLint(t *testing.T) {
	m := NewMetrics("1.2.3")
	m.ObserveCheck("web", 1)
	text, _ := mustScrape(t, m, clusterStatus(), "")
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// A kernel that can't be read costs its own figures only.
func TestMetricsWithoutKernel(t *testing.T) {
	m := NewMetrics("1.2.3")
	st := testStatus()
	st.Kernel.ReadError = "read the table: operation not permitted"
	mustScrape(t, m, st, "")
	text, _ := mustScrape(t, m, st, "")
	got := flat(mustParse(t, text))
	if n := got["ipvsd_scrape_errors_total"]; n != 2 {
		t.Errorf("scrape errors %v, want 2", n)
	}
	if _, ok := got["ipvsd_real_server_up{virtual=web,real=192.168.0.101:80}"]; !ok {
		t.Error("verdicts are missing")
	}
	if _, ok := got["ipvsd_virtual_fallback{virtual=web}"]; ok {
		t.Error("who has the traffic wasn't read, and is told")
	}
	for series := range got {
		for _, kernel := range []string{"_weight{", "_connections", "_bytes", "_packets", "foreign"} {
			if strings.HasPrefix(series, "ipvsd_") && strings.Contains(series, kernel) && !strings.Contains(series, "configured_weight") {
				t.Errorf("a figure that wasn't read: %s", series)
			}
		}
	}
}

// A real server that isn't checked is up while the kernel uses it; where that
// wasn't read, nothing is said of it: an alert must not fire for a guess.
func TestMetricsUnchecked(t *testing.T) {
	st := testStatus()
	v := &st.Virtuals[0]
	v.Up = false
	v.Reals[0].State, v.Reals[1].State = director.StateUnchecked, director.StateUnchecked
	const virtual, one, two = "ipvsd_virtual_up{virtual=web}", "ipvsd_real_server_up{virtual=web,real=192.168.0.101:80}", "ipvsd_real_server_up{virtual=web,real=192.168.0.102:80}"
	text, _ := mustScrape(t, NewMetrics(""), st, "")
	got := flat(mustParse(t, text))
	if got[virtual] != 1 || got[one] != 1 || got[two] != 0 {
		t.Errorf("virtual up %v, real servers up %v and %v; want 1, 1 and 0", got[virtual], got[one], got[two])
	}
	st.Kernel.ReadError = "read the table: operation not permitted"
	text, _ = mustScrape(t, NewMetrics(""), st, "")
	got = flat(mustParse(t, text))
	for _, series := range []string{virtual, one, two} {
		if v, ok := got[series]; ok {
			t.Errorf("%s is %v though the kernel wasn't read", series, v)
		}
	}
}

func TestMetricsDrain(t *testing.T) {
	st := testStatus()
	r := &st.Virtuals[0].Reals[0]
	r.State, r.Verdict, r.Hold = director.StateDraining, director.StateUp, &director.HoldStatus{Wish: "drain", Deadline: &testTime}
	text, _ := mustScrape(t, NewMetrics(""), st, "")
	got := flat(mustParse(t, text))
	for series, want := range map[string]float64{
		"ipvsd_real_server_draining{virtual=web,real=192.168.0.101:80}":                         1,
		"ipvsd_real_server_drain_deadline_timestamp_seconds{virtual=web,real=192.168.0.101:80}": float64(testTime.Unix()),
		"ipvsd_real_server_up{virtual=web,real=192.168.0.101:80}":                               1,
	} {
		if v, ok := got[series]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", series, v, ok, want)
		}
	}
}

func TestMetricsEmpty(t *testing.T) {
	text, _ := mustScrape(t, NewMetrics(""), director.Status{}, "")
	mustParse(t, text)
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "# HELP ipvsd_real") {
			t.Errorf("a family without a series: %s", line)
		}
	}
}

const acceptOpenMetrics = "application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"

var (
	metaLine   = regexp.MustCompile(`^# (HELP|TYPE|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$`)
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"(?:,|\}))+)? (\S+)$`)
)

// checkOpenMetrics holds text to the specification's rules that the writer
// could break: one TYPE before all samples of a family, families not
// interleaved, the suffixes that the type asks for, no series twice, # EOF.
func checkOpenMetrics(text string) error {
	body, ok := strings.CutSuffix(text, "# EOF\n")
	if !ok {
		return fmt.Errorf("doesn't end with # EOF")
	}
	types, helps, series := map[string]string{}, map[string]bool{}, map[string]bool{}
	current := ""
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		if meta := metaLine.FindStringSubmatch(line); meta != nil {
			kind, name, rest := meta[1], meta[2], meta[3]
			if name != current && (types[name] != "" || helps[name]) {
				return fmt.Errorf("family %s is split", name)
			}
			current = name
			if kind == "TYPE" && types[name] != "" || kind == "HELP" && helps[name] {
				return fmt.Errorf("%s of family %s twice", kind, name)
			}
			switch kind {
			case "TYPE":
				types[name] = rest
			case "HELP":
				helps[name] = true
			}
			continue
		}
		sample := sampleLine.FindStringSubmatch(line)
		if sample == nil {
			return fmt.Errorf("not a line of OpenMetrics: %q", line)
		}
		suffix, ok := strings.CutPrefix(sample[1], current)
		if !ok {
			return fmt.Errorf("sample %s in family %s", sample[1], current)
		}
		allowed := map[string]string{"counter": " _total _created ", "gauge": "  ", "histogram": " _bucket _count _sum _created ", "summary": "  _count _sum _created ", "unknown": "  "}
		if !strings.Contains(allowed[types[current]], " "+suffix+" ") {
			return fmt.Errorf("sample %s in a %s", sample[1], types[current])
		}
		if types[current] == "counter" && strings.HasSuffix(current, "_total") {
			return fmt.Errorf("family %s has the suffix of its samples", current)
		}
		if id := sample[1] + sample[2]; series[id] {
			return fmt.Errorf("series %s twice", id)
		} else {
			series[id] = true
		}
	}
	return nil
}

func TestMetricsOpenMetrics(t *testing.T) {
	m := NewMetrics("1.2.3")
	m.ObserveCheck("web", 1)
	open, contentType := mustScrape(t, m, clusterStatus(), acceptOpenMetrics)
	if !strings.HasPrefix(contentType, "application/openmetrics-text; version=1.0.0; charset=utf-8") {
		t.Errorf("content type %q", contentType)
	}
	if err := checkOpenMetrics(open); err != nil {
		t.Errorf("%v in:\n%s", err, open)
	}
	// Both formats have the same series of ours.
	plain, _ := mustScrape(t, m, clusterStatus(), "text/plain")
	ours := func(text string) (list string) {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "ipvsd_real") || strings.HasPrefix(line, "ipvsd_virtual") || strings.HasPrefix(line, "ipvsd_checks_total") ||
				strings.HasPrefix(line, "ipvsd_cluster") {
				list += line
			}
		}
		return list
	}
	if ours(open) != ours(plain) {
		t.Errorf("text:\n%s\nOpenMetrics:\n%s", ours(plain), ours(open))
	}
	if !strings.Contains(open, "\nipvsd_failover_duration_seconds_count{phase=\"decided\"} 1\n") || !strings.Contains(open, "\n# TYPE ipvsd_cluster_transitions counter\n") {
		t.Error("the cluster's families aren't there")
	}
	// By default client_golang's own collector breaks the rule.
	for name, want := range map[string]bool{"go_memstats_alloc_bytes ": true, "go_memstats_alloc_bytes_total ": false, "go_gc_heap_allocs_bytes_total ": true} {
		if strings.Contains(open, "\n"+name) != want {
			t.Errorf("%sis there: %v, want %v", name, !want, want)
		}
	}
	if !strings.Contains(plain, "\ngo_memstats_alloc_bytes_total ") {
		t.Error("the text format lacks go_memstats_alloc_bytes_total")
	}
	for _, bad := range []string{"x 1\n", "# TYPE a gauge\na 1\n# TYPE a counter\na_total 1\n# EOF\n", "# TYPE a counter\na 1\n# EOF\n", "# TYPE a gauge\na 1\na 1\n# EOF\n", "# TYPE a gauge\na{b=\"\\x\"} 1\n# EOF\n"} {
		if checkOpenMetrics(bad) == nil {
			t.Errorf("the test's own parser takes %q", bad)
		}
	}
}

func FuzzLabelValue(f *testing.F) {
	f.Add("plain")
	f.Add("a\"b\\c\nd\xffe")
	f.Fuzz(func(t *testing.T, value string) {
		e := newExposition(io.Discard, false)
		e.family("x", gauge, "Help.")
		e.sample("x", 1, "l", value)
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(bytes.NewReader(e.buf))
		if err != nil {
			t.Fatalf("%q: %v", e.buf, err)
		}
		got := families["x"].Metric[0].Label[0].GetValue()
		if want := string([]rune(value)); got != want {
			t.Errorf("%q came out as %q", value, got)
		}
	})
}
