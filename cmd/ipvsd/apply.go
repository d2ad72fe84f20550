package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ipvsd/ipvsd/director/api"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/trial"
)

// applyWish is what `ipvsd apply` asks for.
type applyWish struct {
	Confirm time.Duration `json:"confirm"` // nanoseconds; 0: for good
	By      string        `json:"by"`
}

// applyAnswer is what became of apply, confirm or rollback.
type applyAnswer struct {
	File     string    `json:"file"`
	Changes  []string  `json:"changes"`            // of the running file; none: it was the same
	Warnings []string  `json:"warnings,omitempty"` // of the file
	Deadline time.Time `json:"deadline,omitzero"`  // of the trial that runs now
	Error    string    `json:"error,omitempty"`    // why nothing was done; several lines of a wrong file
	Note     string    `json:"note,omitempty"`
}

func newApplyCommand(e *env) *cobra.Command {
	var socket string
	var asJSON bool
	w := applyWish{}
	c := &cobra.Command{
		Use:   "apply",
		Short: "Have the director take its changed file over, on trial if you like",
		Long: `Has the running director read its file again, as SIGHUP does, and says what
changed. What that does to the kernel's table, "ipvsd plan" shows before.

With --confirm 5m the file runs on trial: unless "ipvsd confirm" comes within five
minutes, the director goes back to the file that ran before, puts that in the
file's place, and keeps the other one as FILE.rejected. A restart or a crash
meanwhile changes nothing of that. "ipvsd rollback" goes back at once. Passwords
and certificates in files of their own are not brought back.

Exit status: 0 taken over, 1 refused, with every error.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("confirm") && (w.Confirm < minTrial || w.Confirm > maxTrial) {
				return fmt.Errorf("apply: --confirm %v: write something from %v to %v, such as 5m", w.Confirm, minTrial, maxTrial)
			}
			w.By = whoAmI()
			return e.askReloader(cmd.Context(), socket, "/v1/apply", w, asJSON)
		},
	}
	c.Flags().DurationVar(&w.Confirm, "confirm", 0, "go back to the file before unless confirmed within so long")
	c.Flags().BoolVar(&asJSON, "json", false, "the answer as JSON")
	socketFlag(c, &socket)
	return c
}

// The limits of a trial: long enough to log in again, short enough that
// somebody still thinks of it.
const (
	minTrial = 5 * time.Second
	maxTrial = 24 * time.Hour
)

func newConfirmCommand(e *env) *cobra.Command {
	return newTrialCommand(e, "confirm", "Keep the file that \"ipvsd apply --confirm\" brought", `Ends the trial that "ipvsd apply --confirm" began: the running file stays.
Exit status: 0 confirmed, 1 nothing is on trial.`)
}

func newRollbackCommand(e *env) *cobra.Command {
	return newTrialCommand(e, "rollback", "Go back to the file before \"ipvsd apply --confirm\"", `Ends the trial that "ipvsd apply --confirm" began: the file that ran before runs
again and is in its place; the other one is kept as FILE.rejected.
Exit status: 0 gone back, 1 nothing is on trial, or the file before was refused.`)
}

func newTrialCommand(e *env, use, short, long string) *cobra.Command {
	var socket string
	var asJSON bool
	c := &cobra.Command{
		Use: use, Short: short, Long: long, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.askReloader(cmd.Context(), socket, "/v1/"+use, applyWish{By: whoAmI()}, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "the answer as JSON")
	socketFlag(c, &socket)
	return c
}

func (e *env) askReloader(ctx context.Context, socket, path string, w applyWish, asJSON bool) error {
	client := api.NewClient(socket)
	defer client.Close()
	var a applyAnswer
	if err := client.Post(ctx, path, w, &a); err != nil {
		return err
	}
	if asJSON {
		if err := printJSON(e.stdout, a); err != nil {
			return err
		}
		if a.Error != "" {
			return &exitError{code: 1}
		}
		return nil
	}
	for _, w := range a.Warnings {
		fmt.Fprintln(e.stderr, w)
	}
	if a.Error != "" {
		fmt.Fprintln(e.stderr, a.Error)
		return &exitError{code: 1}
	}
	for _, c := range a.Changes {
		fmt.Fprintln(e.stdout, c)
	}
	if a.Note != "" {
		fmt.Fprintln(e.stdout, a.Note)
	}
	if !a.Deadline.IsZero() {
		fmt.Fprintf(e.stdout, "%s is on trial: without \"ipvsd confirm\" by %s the file before comes back\n", a.File, a.Deadline.Local().Format(time.TimeOnly))
	}
	return nil
}

// request is a wish on its way to the reloader.
type request struct {
	do     func(context.Context) applyAnswer
	answer chan applyAnswer
}

// handle adds the reloader's verbs to the control socket.
func (r *reloader) handle(server *api.Server) {
	for path, do := range map[string]func(context.Context, applyWish) applyAnswer{
		"/v1/apply": r.apply, "/v1/confirm": r.confirm, "/v1/rollback": r.rollback,
	} {
		server.Handle("POST "+path, wishHandler(func(ctx context.Context, wish applyWish) (applyAnswer, error) {
			if wish.Confirm < 0 || wish.Confirm > maxTrial {
				return applyAnswer{}, badWish(fmt.Sprintf("confirm: at most %v", maxTrial))
			}
			q := request{do: func(ctx context.Context) applyAnswer { return do(ctx, wish) }, answer: make(chan applyAnswer, 1)}
			select {
			case r.requests <- q:
				return <-q.answer, nil
			case <-ctx.Done():
				return applyAnswer{}, ctx.Err()
			}
		}))
	}
}

// apply reads the file and takes it over, after the trial was noted.
func (r *reloader) apply(ctx context.Context, w applyWish) applyAnswer {
	a := applyAnswer{File: r.file}
	if r.trial != nil && w.Confirm > 0 {
		a.Error = fmt.Sprintf("apply: %s is on trial until %s already: first \"ipvsd confirm\" or \"ipvsd rollback\"", r.file, r.trial.Deadline.Local().Format(time.TimeOnly))
		return a
	}
	why := "apply by " + w.By
	cfg, warnings, err := r.read()
	for _, w := range warnings {
		a.Warnings = append(a.Warnings, w.String())
	}
	if err != nil {
		r.refuse(ctx, why, err)
		a.Error = err.Error()
		return a
	}
	before := r.running
	if a.Changes = config.Diff(before, cfg); len(a.Changes) == 0 {
		a.Note = "nothing that counts has changed in " + r.file
	}
	var t *trial.Trial
	switch {
	case w.Confirm == 0:
	case cfg.Hash == before.Hash: // what changed are files that it names
		a.Note = r.file + " is the one that runs already, so it is not on trial"
	default:
		t = &trial.Trial{Deadline: time.Now().Add(w.Confirm), By: w.By}
		if err := trial.Begin(r.file, before.Text, *t); err != nil {
			a.Changes, a.Error = nil, err.Error()
			return a
		}
	}
	if err := r.take(ctx, cfg, why); err != nil {
		r.refuse(ctx, why, err)
		a.Changes, a.Error = nil, err.Error()
		if t != nil {
			if err := trial.Confirm(r.file); err != nil {
				a.Error += "\n" + err.Error()
			}
		}
		return a
	}
	if t != nil {
		r.setTrial(t)
	}
	if r.trial != nil {
		a.Deadline = r.trial.Deadline
	}
	return a
}

func (r *reloader) confirm(_ context.Context, w applyWish) applyAnswer {
	a := applyAnswer{File: r.file}
	if r.trial == nil {
		a.Error = "confirm: no file is on trial"
		return a
	}
	if err := trial.Confirm(r.file); err != nil {
		a.Error = err.Error()
		return a
	}
	r.setTrial(nil)
	r.log.Info("the file is confirmed", "by", w.By)
	a.Note = r.file + " is confirmed"
	return a
}

func (r *reloader) rollback(ctx context.Context, w applyWish) applyAnswer {
	a := applyAnswer{File: r.file}
	if r.trial == nil {
		a.Error = "rollback: no file is on trial"
		return a
	}
	before := r.running
	if err := r.back(ctx, "rollback by "+w.By); err != nil {
		a.Error = err.Error()
		return a
	}
	a.Changes, a.Note = config.Diff(before, r.running), "the file before is back"
	return a
}
