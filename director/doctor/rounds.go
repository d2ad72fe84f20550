package doctor

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipvsd/ipvsd/director"
)

// The pace of the daemon's rounds. The wire is asked in the second round and
// then each hour: not while directors that start together take their places.
const (
	roundEvery = 10 * time.Minute // a tenth more or less
	wireEvery  = 6                // rounds
)

// RoundsOptions are what Rounds work with.
type RoundsOptions struct {
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Look    func(ctx context.Context, wire bool) Facts // such as Sources.Gather
}

// Rounds are the daemon's own: it looks every ten minutes, counts what it finds
// in ipvsd_doctor_findings, and logs what is new or gone. It mends nothing.
type Rounds struct {
	opts   RoundsOptions
	gauge  *prometheus.GaugeVec
	status atomic.Pointer[director.DoctorStatus]

	// Only touched by Run.
	last  map[told]bool // without notes
	wire  []Finding     // of the last round that asked it
	blind []string      // which of onTheWire couldn't look then
}

// onTheWire are the checks that ask other machines.
var onTheWire = []string{arpCheck, skewCheck}

// told is what makes a finding the same as an earlier one.
type told struct{ check, object string }

// NewRounds makes rounds and registers their gauge.
func NewRounds(o RoundsOptions) *Rounds {
	r := &Rounds{opts: o, last: map[told]bool{}, blind: onTheWire, gauge: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "ipvsd_doctor_findings",
		Help: "What ipvsd doctor finds wrong with this host, by check; notes are worth knowing and no fault. Counted every ten minutes.",
	}, []string{"check", "severity"})}
	o.Metrics.MustRegister(r.gauge)
	return r
}

// Status is the outcome of the last round; nil before the first.
func (r *Rounds) Status() *director.DoctorStatus { return r.status.Load() }

// Run goes round until ctx ends, and returns nil then. It begins when programmed
// is closed, because the director has then set what it sets itself.
func (r *Rounds) Run(ctx context.Context, programmed <-chan struct{}) error {
	select {
	case <-programmed:
	case <-ctx.Done():
		return nil
	}
	for n := 0; ; n++ {
		r.round(ctx, n%wireEvery == 1)
		select {
		case <-time.After(roundEvery*9/10 + rand.N(roundEvery/5)):
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *Rounds) round(ctx context.Context, wire bool) {
	facts := r.opts.Look(ctx, wire)
	findings := Diagnose(facts)
	if wire {
		r.wire = slices.DeleteFunc(slices.Clone(findings), func(f Finding) bool { return !slices.Contains(onTheWire, f.Check) })
		r.blind = slices.DeleteFunc(slices.Clone(facts.Blind), func(check string) bool { return !slices.Contains(onTheWire, check) })
	} else {
		findings = append(findings, r.wire...) // who holds what may have changed, so they are not judged anew
		facts.Blind = append(facts.Blind, r.blind...)
	}
	counts := map[string]int{}
	now := map[told]bool{}
	for _, f := range findings {
		counts[f.Check]++
		if f.Severity == Note {
			continue
		}
		key := told{f.Check, f.Object}
		now[key] = true
		if !r.last[key] {
			r.opts.Log.Warn("doctor found", "check", f.Check, "object", f.Object, "reason", f.Reason, "cure", f.Cure)
		}
	}
	for key := range r.last {
		if !now[key] {
			r.opts.Log.Info("doctor no longer finds", "check", key.check, "object", key.object)
		}
	}
	r.last = now
	for _, c := range Checks() {
		if counts[c.Name] == 0 && slices.Contains(facts.Blind, c.Name) {
			r.gauge.DeleteLabelValues(c.Name, string(c.Severity)) // 0 would say that all is well
			continue
		}
		r.gauge.WithLabelValues(c.Name, string(c.Severity)).Set(float64(counts[c.Name]))
	}
	r.status.Store(&director.DoctorStatus{Findings: Count(findings), Checked: time.Now()})
}
