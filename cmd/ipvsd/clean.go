package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/api"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/ipvs"
	"github.com/ipvsd/ipvsd/director/table"
)

func newCleanCommand(e *env) *cobra.Command {
	var stateDir, socket string
	c := &cobra.Command{
		Use:   "clean",
		Short: "Take what a director that was stopped left in the kernel's table out of it",
		Long: `A director that stops leaves its virtual services in the kernel, unless
[director] clean_stop is true. This takes them out afterwards; those that others made
stay. Removing the package runs it. Each step is printed in ipvsadm's syntax.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.clean(cmd.Context(), stateDir, socket)
		},
	}
	c.Flags().StringVar(&stateDir, "state-dir", config.DefaultStateDir, "the director's state_dir")
	socketFlag(c, &socket)
	return c
}

func (e *env) clean(ctx context.Context, stateDir, socket string) error {
	if _, err := api.NewClient(socket).Status(ctx); !errors.Is(err, api.ErrNoDaemon) {
		return errors.New("a director is running; stop it first")
	}
	owned, err := director.ReadOwned(stateDir)
	if err != nil {
		return fmt.Errorf("read which virtual services are ours: %v", err)
	}
	if len(owned) == 0 {
		// No module is loaded to find out that it holds nothing.
		fmt.Fprintf(e.stdout, "nothing to remove: %s has no virtual service on record\n", stateDir)
		return nil
	}
	kernel, err := ipvs.Open(ctx, ipvs.Options{})
	if err != nil {
		return err
	}
	defer kernel.Close()
	have, err := kernel.Read(ctx)
	if err != nil {
		return fmt.Errorf("read the kernel's table: %v", err)
	}
	steps := table.Plan(have.State, table.State{}, func(k table.ServiceKey) bool { return owned[k] })
	done, failed := table.Execute(ctx, have.State, steps, kernel.Do)
	for _, s := range done {
		fmt.Fprintln(e.stdout, s)
	}
	var errs []error
	for _, f := range failed {
		errs = append(errs, fmt.Errorf("%s: %w", f.Step, f.Err))
	}
	return errors.Join(errs...)
}
