package cluster

import (
	"time"

	"golang.org/x/sys/unix"
)

// sleeps finds out that the machine slept. The monotonic clock, by which
// everything here goes, stands still meanwhile; CLOCK_BOOTTIME doesn't.
type sleeps struct {
	before time.Duration
	known  bool
}

// grown is by how much the machine slept since the last call.
func (s *sleeps) grown() time.Duration {
	var boot, mono unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) != nil {
		return 0
	}
	asleep := time.Duration(boot.Nano() - mono.Nano())
	gap := asleep - s.before
	if !s.known {
		gap = 0
	}
	s.before, s.known = asleep, true
	return gap
}
