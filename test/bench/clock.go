package main

import "time"

// stall is how long the lab may stand still. It is one process of a machine that
// may have others: directors that stood still with it are not at fault.
const stall = 150 * time.Millisecond

// pause is when the lab stood still for longer than that.
type pause struct {
	over time.Time
	took time.Duration
}

// clock finds the pauses.
type clock struct {
	end    chan struct{}
	pauses chan []pause
}

func watchClock() clock {
	const tick = 10 * time.Millisecond
	c := clock{make(chan struct{}), make(chan []pause, 1)}
	go func() {
		var found []pause
		for last := time.Now(); ; {
			select {
			case <-c.end:
				c.pauses <- found
				return
			case <-time.After(tick):
			}
			now := time.Now()
			if gap := now.Sub(last) - tick; gap > stall {
				found = append(found, pause{now, gap})
			}
			last = now
		}
	}()
	return c
}

func (c clock) stop() []pause {
	close(c.end)
	return <-c.pauses
}
