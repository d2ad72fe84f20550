package director

import (
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/table"
)

func TestOverdue(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	spec := checker.Spec{Type: checker.Connect, Interval: 10 * time.Second, Timeout: 3 * time.Second}
	on := spec
	on.Type = checker.On
	tests := []struct {
		name  string
		spec  checker.Spec
		last  time.Time
		after time.Duration
		want  bool
	}{
		{"just checked", spec, start, 0, false},
		{"at the limit", spec, start, 21 * time.Second, false},
		{"beyond it", spec, start, 21*time.Second + 1, true},
		{"never checked", spec, time.Time{}, time.Hour, false},
		{"on is never checked", on, start, time.Hour, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := overdue(tt.spec, checker.Result{Start: tt.last}, start.Add(tt.after)); got != tt.want {
				t.Errorf("overdue: %v, want %v", got, tt.want)
			}
		})
	}
}

func TestRealStatusCertificate(t *testing.T) {
	until := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	of := func(s checker.Status) *time.Time {
		return realStatus(config.Real{}, table.Real{}, table.Counters{}, s).Check.CertUntil
	}
	if got := of(checker.Status{CertUntil: until}); got == nil || !got.Equal(until) {
		t.Errorf("certificate until %v, want %v", got, until)
	}
	if got := of(checker.Status{}); got != nil {
		t.Errorf("a check that sees no certificate has one until %v", got)
	}
}
