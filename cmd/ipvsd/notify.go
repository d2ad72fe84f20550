package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/ipvsd/ipvsd/director"
)

// hungAfter is how long a loop may take to answer until it counts as hung.
const hungAfter = 10 * time.Second

// notifier tells systemd that the daemon is ready, and feeds the watchdog as
// long as every loop turns (sd_notify(3)).
type notifier struct {
	log      *slog.Logger
	director *director.Director
}

func (n *notifier) run(ctx context.Context) error {
	select {
	case <-n.director.Programmed():
		n.log.Info("ready: the kernel's table is as wanted")
		tell(daemon.SdNotifyReady)
	case <-ctx.Done():
		return nil
	}
	every := 10 * time.Second
	limit, err := daemon.SdWatchdogEnabled(false)
	if err == nil && limit > 0 {
		every = limit / 3
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		n.feed(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (n *notifier) feed(ctx context.Context) {
	wait, cancel := context.WithTimeout(ctx, hungAfter)
	defer cancel()
	if hung := n.director.Hung(wait); len(hung) > 0 && ctx.Err() == nil {
		n.log.Error("a loop hangs, the watchdog is not fed", "loops", hung)
		return
	}
	up, reals := n.director.Tally()
	tell(fmt.Sprintf("%s\nSTATUS=%d of %s up", daemon.SdNotifyWatchdog, up, count(reals, "real server")))
}

// tell sends one state to systemd; without systemd nobody listens, and that is
// no failure.
func tell(state string) { _, _ = daemon.SdNotify(false, state) }
