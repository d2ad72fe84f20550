package checker

import (
	"testing"
)

func TestHealth(t *testing.T) {
	for _, tt := range []struct {
		name       string
		rise, fall int
		results    string // + good, - bad
		states     string // after each: u up, d down; in capitals where it changed
	}{
		{"first verdict after one check, up", 3, 3, "+", "U"},
		{"first verdict after one check, down", 3, 3, "-", "D"},
		{"zero thresholds are one", 0, 0, "+-+", "UDU"},
		{"fall 3", 1, 3, "+---+", "UuuDU"},
		{"a good one in between starts anew", 1, 3, "+--+---", "UuuuuuD"},
		{"rise 2", 2, 1, "+-+-++", "UDdddU"},
		{"stays", 2, 2, "-----", "Ddddd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := Health{Rise: tt.rise, Fall: tt.fall}
			got := ""
			for _, r := range tt.results {
				var changed bool
				h, changed = h.Step(r == '+')
				letter := map[State]string{Up: "u", Down: "d"}[h.State]
				if changed {
					letter = map[State]string{Up: "U", Down: "D"}[h.State]
				}
				got += letter
			}
			if got != tt.states {
				t.Errorf("after %s: %s, want %s", tt.results, got, tt.states)
			}
		})
	}
}

func TestHealthWithCountsAtOnce(t *testing.T) {
	h := Health{Rise: 5, Fall: 5}
	for _, ok := range []bool{false, true, true} {
		h, _ = h.Step(ok)
	}
	if h.State != Down {
		t.Fatalf("state %s, want down", h.State)
	}
	h, changed := h.With(2, 5)
	if h.State != Up || !changed {
		t.Errorf("state %s, changed %t after rise came down to the streak; want up, true", h.State, changed)
	}
}

func TestHealthRestartKeepsState(t *testing.T) {
	h, _ := Health{Rise: 1, Fall: 2}.Step(true)
	h, _ = h.Step(false)
	h, changed := h.Restart().Step(false)
	if h.State != Up || changed {
		t.Errorf("the old check's failure counted for the new one")
	}
}
