package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/api"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/trial"
)

// reloader owns which file runs. Signals, a changed file, and requests on the
// control socket reach it in one goroutine.
type reloader struct {
	file     string
	running  *config.Config
	trial    *trial.Trial // nil: the running file is confirmed
	director *director.Director
	server   *api.Server
	log      *slog.Logger
	requests chan request
}

func newReloader(file string, cfg *config.Config, d *director.Director, server *api.Server, log *slog.Logger) *reloader {
	r := &reloader{file: file, running: cfg, director: d, server: server, log: log, requests: make(chan request)}
	t, err := trial.Running(file)
	if err != nil {
		log.Error("the file stays", "err", err)
	}
	r.setTrial(t)
	return r
}

// run serves until it is time to stop, and says whether everything has to stay
// for a restart.
func (r *reloader) run(ctx, stop context.Context) (keep bool) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR2)
	defer signal.Stop(signals)
	look := time.NewTicker(time.Second)
	defer look.Stop()
	watch := newFileWatch(r.file)
	for {
		select {
		case <-ctx.Done():
			return false
		case <-stop.Done():
			return false
		case s := <-signals:
			if s == syscall.SIGUSR2 {
				return true
			}
			watch.changed() // what SIGHUP reads is seen
			_ = r.reload(ctx, "SIGHUP")
		case q := <-r.requests:
			watch.changed()
			q.answer <- q.do(ctx)
			watch.changed()
		case <-look.C:
			if r.trial != nil && !time.Now().Before(r.trial.Deadline) {
				r.log.Warn("nobody confirmed the file in time, the one before comes back", "by", r.trial.By)
				_ = r.back(ctx, "nobody confirmed the file in time")
				watch.changed()
			}
			if r.running.Director.AutoReload && watch.changed() {
				_ = r.reload(ctx, "the file changed")
			}
		}
	}
}

// reload takes the file over, or says why the running one stays.
func (r *reloader) reload(ctx context.Context, why string) error {
	cfg, _, err := r.read()
	if err == nil {
		err = r.take(ctx, cfg, why)
	}
	if err != nil {
		r.refuse(ctx, why, err)
	}
	return err
}

// read reads and validates the file.
func (r *reloader) read() (*config.Config, []config.Warning, error) {
	cfg, warnings, err := config.Load(r.file)
	for _, w := range warnings {
		r.log.Warn("reload", "warning", w.String())
	}
	if err == nil && (cfg.Cluster != nil) != (r.running.Cluster != nil) {
		err = errors.New("[cluster] came or went: that takes a restart of the director")
	}
	return cfg, warnings, err
}

// take makes cfg the running file.
func (r *reloader) take(ctx context.Context, cfg *config.Config, why string) error {
	if err := r.server.Move(cfg.HTTP.Listen); err != nil {
		return err
	}
	tell(daemon.SdNotifyReloading)
	defer tell(daemon.SdNotifyReady)
	r.log.Info("reload", "why", why, "hash", cfg.Hash)
	r.running = cfg
	r.director.Reload(ctx, cfg, why)
	return nil
}

func (r *reloader) refuse(ctx context.Context, why string, err error) {
	for line := range strings.Lines(err.Error()) {
		r.log.Error("reload refused, the running file stays", "why", why, "err", strings.TrimSpace(line))
	}
	r.director.Refuse(ctx, err, why)
}

// back ends the trial: the file before is put in its place and taken over.
func (r *reloader) back(ctx context.Context, why string) error {
	kept, err := trial.Back(r.file)
	if err != nil {
		r.log.Error("the file on trial stays until the next try", "err", err)
		again := *r.trial
		again.Deadline = time.Now().Add(trialAgain)
		r.setTrial(&again)
		return err
	}
	r.setTrial(nil)
	r.log.Warn("the confirmed file is back", "why", why, "rejected", kept)
	return r.reload(ctx, why)
}

// trialAgain is when a file that couldn't be put back is tried again.
const trialAgain = 30 * time.Second

func (r *reloader) setTrial(t *trial.Trial) {
	r.trial = t
	if t == nil {
		r.director.OnTrial(nil)
		return
	}
	r.director.OnTrial(&director.TrialStatus{Deadline: t.Deadline, By: t.By})
}

// endTrial brings the confirmed file back where its trial ended while no
// director ran. Where that fails, the file on trial runs, which is better than no
// director, and the reloader tries again.
func endTrial(file string, now time.Time, log *slog.Logger) {
	t, err := trial.Running(file)
	if err != nil || t == nil || now.Before(t.Deadline) {
		return // newReloader tells of an error, and goes on with a trial
	}
	kept, err := trial.Back(file)
	if err != nil {
		log.Error("nobody confirmed the file in time, but the one before can't be put back", "by", t.By, "err", err)
		return
	}
	log.Warn("nobody confirmed the file in time, the one before is back", "by", t.By, "rejected", kept)
}
