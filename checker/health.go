package checker

import "fmt"

// State is what the verdicts say of a real server.
type State uint8

// The states. Unknown lasts until the first verdict.
const (
	Unknown State = iota
	Up
	Down
)

var stateNames = [...]string{Unknown: "unknown", Up: "up", Down: "down"}

// String returns "unknown", "up" or "down".
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// MarshalText writes the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Health turns results into a state: Rise good ones in a row bring a real
// server up, Fall bad ones take it down, and the very first decides alone.
// It is a value; the zero Health knows nothing and has rise and fall 1.
type Health struct {
	Rise, Fall int // less than 1 counts as 1
	State      State
	Streak     int // results alike in a row: good ones count up from 0, bad ones down
}

// Step adds one result and tells whether the state changed.
func (h Health) Step(ok bool) (Health, bool) {
	switch {
	case ok && h.Streak >= 0:
		h.Streak++
	case ok:
		h.Streak = 1
	case h.Streak <= 0:
		h.Streak--
	default:
		h.Streak = -1
	}
	if h.State == Unknown {
		h.State = Down
		if ok {
			h.State = Up
		}
		return h, true
	}
	return h.settle()
}

// With gives h other thresholds, which count at once for the streak so far.
func (h Health) With(rise, fall int) (Health, bool) {
	h.Rise, h.Fall = rise, fall
	return h.settle()
}

// Restart forgets the streak, not the state: another check begins, and it has
// to earn its verdict.
func (h Health) Restart() Health {
	h.Streak = 0
	return h
}

func (h Health) settle() (Health, bool) {
	switch {
	case h.State == Down && h.Streak >= max(h.Rise, 1):
		h.State = Up
		return h, true
	case h.State == Up && -h.Streak >= max(h.Fall, 1):
		h.State = Down
		return h, true
	}
	return h, false
}
