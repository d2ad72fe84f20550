package main

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/api"
	"github.com/ipvsd/ipvsd/director/doctor"
	"github.com/ipvsd/ipvsd/director/intent"
	"github.com/ipvsd/ipvsd/director/ipvs"
	"github.com/ipvsd/ipvsd/director/journal"
)

func newDirectorCommand(e *env) *cobra.Command {
	var o daemonOptions
	c := &cobra.Command{
		Use:   "director",
		Short: "The daemon: keep the kernel's table and the addresses as the file and the checks want them",
		Long: `Runs in the foreground and logs to standard error. Signals:
  SIGHUP           read the file again; a wrong file is refused and the running one stays
  SIGTERM, SIGINT  stop: the addresses go, to the next director where there is one; the
                   kernel's table stays unless [director] clean_stop = true
  SIGUSR2          stop for a restart: everything stays, so that traffic flows meanwhile`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.runDirector(cmd.Context(), o)
		},
	}
	fileFlag(c, &o.file)
	socketFlag(c, &o.socket)
	c.Flags().StringVar(&o.logFormat, "log-format", "text", "text or json")
	c.Flags().StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	return c
}

type daemonOptions struct {
	file, socket, logFormat, logLevel string
}

func (e *env) runDirector(stop context.Context, o daemonOptions) error {
	log, err := e.logger(o)
	if err != nil {
		return err
	}
	endTrial(o.file, time.Now(), log)
	cfg, err := e.load(o.file)
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		// Most of the heap lives as long as the file does; half the usual
		// head room keeps 10,000 real servers below 100 MB.
		debug.SetGCPercent(50)
	}
	// The loops outlive the first signal, so that the way down has its order.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(stop))
	defer cancel(nil)

	kernel, err := ipvs.Open(ctx, ipvs.Options{})
	if err != nil {
		return err
	}
	defer kernel.Close()
	metrics := api.NewMetrics(version)
	var d *director.Director
	checks := checker.New(checker.Options{Log: log, Path: director.CheckPath(kernel), Observe: func(id checker.ID, r checker.Result) {
		if virtual := d.VirtualOf(id); virtual != "" { // else it is a [[cluster.track]]
			metrics.ObserveCheck(virtual, r.Duration.Seconds())
		}
	}})
	happened := journal.New(journal.Options{Dir: cfg.Director.StateDir, Log: log})
	parts := director.Options{Kernel: kernel, Checks: checks, Log: log, Version: version, Journal: happened}
	addresses, err := newAddresses(cfg, log, &parts)
	if err != nil {
		return err
	}
	rounds := doctor.NewRounds(doctor.RoundsOptions{Log: log, Metrics: metrics.Registerer(), Look: func(ctx context.Context, wire bool) doctor.Facts {
		self := &doctor.Daemon{PID: os.Getpid()}
		return doctor.Sources{}.Gather(ctx, doctor.Asked{Config: d.Config(), Daemon: self, Wire: wire})
	}})
	parts.Doctor = rounds.Status
	d = director.New(cfg, parts)
	server, err := api.Listen(d, metrics, api.Options{Log: log, Socket: o.socket, HTTP: cfg.HTTP.Listen, Journal: happened})
	if err != nil {
		return err
	}
	r := newReloader(o.file, cfg, d, server, log)
	r.handle(server)
	server.Handle("POST /v1/probe", probeHandler(d, kernel))
	server.Handle("POST /v1/failover", failoverHandler(addresses.member))
	server.Handle("POST /v1/cluster/rotate", rotateHandler(addresses.member))
	for _, wish := range []intent.Wish{intent.Drain, intent.Disable, intent.Enable} {
		server.Handle("POST /v1/"+string(wish), operateHandler(wish, d.Operate))
	}
	log.Info("starting", "version", version, "file", cfg.File, "virtuals", len(cfg.Virtuals), "pid", os.Getpid())

	loops := newGroup(ctx, cancel)
	loops.run("checker", checks.Run)
	loops.run("director", d.Run)
	loops.run("api", server.Run)
	holders := newGroup(ctx, cancel)
	holders.run("addresses", func(ctx context.Context) error { return addresses.run(ctx, d.Programmed()) })
	loops.run("doctor", func(ctx context.Context) error { return rounds.Run(ctx, d.Programmed()) })
	n := &notifier{log: log, director: d}
	loops.run("notify", n.run)

	if r.run(ctx, stop) {
		log.Info("stopping for a restart, addresses and table stay")
	} else if context.Cause(ctx) == nil {
		tell(daemon.SdNotifyStopping)
		log.Info("stopping")
		release, done := context.WithTimeout(ctx, 5*time.Second)
		if err := addresses.stop(release); err != nil {
			log.Warn("addresses not given up", "err", err)
		}
		done()
	}
	cancel(nil)
	holders.wait()
	loops.wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	log.Info("stopped")
	return nil
}
