package api

import (
	"io"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/ipvsd/ipvsd/director"
)

// Metrics is the registry, and the way from a Status to a scrape's answer.
type Metrics struct {
	registry     *prometheus.Registry
	durations    *prometheus.HistogramVec
	scrapeErrors prometheus.Counter
	failovers    failovers

	// observers keeps what durations.WithLabelValues returned, by virtual
	// service: the look-up costs fifty times the observation.
	observers sync.Map // string -> prometheus.Observer
}

// NewMetrics makes the registry with what the process itself has to tell.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ipvsd_check_duration_seconds",
			Help:    "Time that the checks of a virtual service's real servers took, good and bad ones, time-outs included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"virtual"}),
		scrapeErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ipvsd_scrape_errors_total",
			Help: "Scrapes whose answer lacked something: the kernel's table could not be read, or the client went away.",
		}),
		failovers: newFailovers(),
	}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "ipvsd_build_info",
		Help: "A constant 1; the labels say which ipvsd this is.",
	}, []string{"version", "goversion"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	m.registry.MustRegister(
		build,
		m.durations,
		m.scrapeErrors,
		m.failovers.phases,
		// Beside the usual ones go_gc_heap_allocs_bytes_total, which is
		// go_memstats_alloc_bytes_total under a name that withoutClashes keeps.
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(
			collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/gc/heap/allocs:bytes$`)},
		)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Registerer takes further metrics. Their names must not be those of
// exposition.go.
func (m *Metrics) Registerer() prometheus.Registerer { return m.registry }

// ObserveCheck counts one check. It may be called from any goroutine and costs
// some ten nanoseconds.
func (m *Metrics) ObserveCheck(virtual string, seconds float64) {
	o, ok := m.observers.Load(virtual)
	if !ok {
		o, _ = m.observers.LoadOrStore(virtual, m.durations.WithLabelValues(virtual))
	}
	o.(prometheus.Observer).Observe(seconds)
}

// Write answers a scrape: st's families, then the registry's. Where
// st.Kernel.ReadError is set, the kernel's figures are left out rather than
// told as zeros. Failovers that st tells of are counted first.
func (m *Metrics) Write(w io.Writer, format expfmt.Format, st director.Status) error {
	m.forget(st.Virtuals)
	m.seen(&st)
	openMetrics := format.FormatType() == expfmt.TypeOpenMetrics
	e := newExposition(w, openMetrics)
	e.status(&st)
	if err := e.flush(); err != nil {
		return err
	}
	families, gatherErr := m.registry.Gather() // what could be gathered, and what not
	if openMetrics {
		families = withoutClashes(families)
	}
	encoder := expfmt.NewEncoder(w, format)
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return err
		}
	}
	if openMetrics {
		if _, err := expfmt.FinalizeOpenMetrics(w); err != nil {
			return err
		}
	}
	return gatherErr
}

// withoutClashes leaves out counters whose family has another's name once
// OpenMetrics has taken the suffix: of go_memstats_alloc_bytes and
// go_memstats_alloc_bytes_total a strict reader refuses the whole scrape.
func withoutClashes(families []*dto.MetricFamily) []*dto.MetricFamily {
	names := make(map[string]bool, len(families))
	for _, f := range families {
		names[f.GetName()] = true
	}
	return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool {
		name, counter := strings.CutSuffix(f.GetName(), "_total")
		return counter && names[name]
	})
}

// forget drops the histograms of virtual services that left the file.
func (m *Metrics) forget(now []director.VirtualStatus) {
	names := make(map[string]struct{}, len(now))
	for i := range now {
		names[now[i].Name] = struct{}{}
	}
	m.observers.Range(func(key, _ any) bool {
		name := key.(string)
		if _, ok := names[name]; !ok {
			m.observers.Delete(name)
			m.durations.DeleteLabelValues(name)
		}
		return true
	})
}
