package doctor

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
)

// TestRounds lets the daemon go round for two hours while things break and are
// mended: the gauge, the count and the log follow, and the wire is asked each
// hour only, with its findings kept meanwhile.
func TestRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var wires []time.Duration
		rounds, wrong := 0, false
		start := time.Now()
		var log bytes.Buffer
		registry := prometheus.NewPedanticRegistry()
		r := NewRounds(RoundsOptions{
			Log: slog.New(slog.NewTextHandler(&log, nil)), Metrics: registry,
			Look: func(_ context.Context, wire bool) Facts {
				mu.Lock()
				defer mu.Unlock()
				rounds++
				f := healthy()
				if wrong {
					f.set("net/ipv4/vs/expire_nodest_conn", "0")
				}
				if wire {
					wires = append(wires, time.Since(start))
					f.held()
					f.answered(web1)
				}
				if rounds == 3 {
					f.Blind = []string{"owner", "expire"}
				}
				return *f
			},
		})
		programmed := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx, programmed) }()
		time.Sleep(time.Hour)
		if r.Status() != nil || rounds != 0 {
			t.Errorf("a round before the table is programmed: %+v", r.Status())
		}
		close(programmed)
		start = time.Now()
		gauge := func(check, severity string) float64 {
			var m dto.Metric
			if err := r.gauge.WithLabelValues(check, severity).Write(&m); err != nil {
				t.Error(err)
			}
			return m.GetGauge().GetValue()
		}
		expect := func(when string, findings int, expire, arp float64) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			st := r.Status()
			if st == nil || st.Findings != findings || gauge("expire", "warning") != expire || gauge("arp-answer", "error") != arp {
				t.Errorf("%s: %+v, expire %v, arp-answer %v", when, st, gauge("expire", "warning"), gauge("arp-answer", "error"))
			}
		}
		synctest.Wait()
		if families, err := registry.Gather(); err != nil || len(families) != 1 || len(families[0].GetMetric()) != len(Checks())-len(onTheWire) {
			t.Errorf("before the wire was asked, its checks have series: %v, %v", families, err)
		}
		expect("at the start", 0, 0, 0)
		mu.Lock()
		wrong = true
		mu.Unlock()
		time.Sleep(12 * time.Minute)
		expect("a web node answers and a sysctl is wrong", 2, 1, 1)
		mu.Lock()
		wrong = false
		mu.Unlock()
		time.Sleep(12 * time.Minute)
		expect("the sysctl is right again", 1, 0, 1)
		// expect has made the series of "expire" anew; that of "owner" is gone.
		families, err := registry.Gather()
		if err != nil || len(families) != 1 || len(families[0].GetMetric()) != len(Checks())-1 {
			t.Errorf("a check that couldn't look has a series: %v, %v", families, err)
		}
		time.Sleep(96 * time.Minute)
		mu.Lock()
		if len(wires) != 2 || wires[1]-wires[0] < 54*time.Minute || wires[1]-wires[0] > 66*time.Minute || rounds < 11 || rounds > 14 {
			t.Errorf("%d rounds; the wire was asked after %v", rounds, wires)
		}
		mu.Unlock()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for text, n := range map[string]int{"doctor found": 2, "doctor no longer finds": 1, "check=arp-answer": 1} {
			if got := strings.Count(log.String(), text); got != n {
				t.Errorf("%q is in the log %d times, want %d:\n%s", text, got, n, log.String())
			}
		}
		families, err = registry.Gather()
		if err != nil || len(families) != 1 || len(families[0].GetMetric()) != len(Checks()) {
			t.Fatalf("gauge: %v, %v", families, err)
		}
		if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
			t.Errorf("promlint: %v, %v", problems, err)
		}
	})
}

// TestRoundsTellOnce: two machines answer for one address, and neither is told
// again in the next round.
func TestRoundsTellOnce(t *testing.T) {
	f := healthy()
	f.held()
	f.answered(web1, MAC{2, 0, 0, 0, 1, 2})
	f.Who[MAC{2, 0, 0, 0, 1, 2}] = f.Who[web1]
	var log bytes.Buffer
	r := NewRounds(RoundsOptions{
		Log: slog.New(slog.NewTextHandler(&log, nil)), Metrics: prometheus.NewRegistry(),
		Look: func(context.Context, bool) Facts { return *f },
	})
	for range 3 {
		r.round(t.Context(), true)
	}
	if n := strings.Count(log.String(), "doctor found"); n != 2 || strings.Contains(log.String(), "no longer") {
		t.Errorf("told %d times, want 2:\n%s", n, log.String())
	}
}
