package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/api"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/ipvs"
)

func newPlanCommand(e *env) *cobra.Command {
	var file, socket string
	var asJSON bool
	c := &cobra.Command{
		Use:   "plan",
		Short: "Print the kernel operations that the director would now carry out; change nothing",
		Long: `Compares the kernel's table with what the file asks for and prints each step in
ipvsadm's syntax, with the active connections that it cuts or lets finish. With a
director running its verdicts count; without one, what the kernel holds is adopted
as at a start. Exit status: 0 nothing to do, 2 some steps, 1 error.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := e.load(file)
			if err != nil {
				return err
			}
			steps, err := preview(cmd.Context(), cfg, socket)
			if err != nil {
				return err
			}
			if asJSON {
				err = writePlanJSON(e.stdout, steps)
			} else {
				err = writePlan(e.stdout, cfg, steps)
			}
			if err == nil && len(steps) > 0 {
				err = &exitError{code: 2}
			}
			return err
		},
	}
	fileFlag(c, &file)
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	socketFlag(c, &socket)
	return c
}

func preview(ctx context.Context, cfg *config.Config, socket string) ([]director.Planned, error) {
	kernel, err := ipvs.Open(ctx, ipvs.Options{})
	if err != nil {
		return nil, err
	}
	defer kernel.Close()
	have, err := kernel.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the kernel's table: %v", err)
	}
	owned, err := director.ReadOwned(cfg.Director.StateDir)
	if err != nil {
		return nil, fmt.Errorf("read which virtual services are ours: %v", err)
	}
	var verdicts director.Verdicts
	holds, err := director.StoredHolds(cfg)
	if err != nil {
		return nil, fmt.Errorf("read who is drained or disabled: %v", err)
	}
	status, err := api.NewClient(socket).Status(ctx)
	switch {
	case errors.Is(err, api.ErrNoDaemon):
	case err != nil:
		return nil, err
	default:
		verdicts, holds = director.VerdictsOf(status, cfg), director.HoldsOf(status, cfg)
	}
	return director.Preview(cfg, have, verdicts, holds, owned), nil
}

func writePlan(w io.Writer, cfg *config.Config, steps []director.Planned) error {
	if len(steps) == 0 {
		_, err := fmt.Fprintln(w, "Nothing to do: the kernel's table is as wanted.")
		return err
	}
	var cuts uint32
	for _, s := range steps {
		fmt.Fprint(w, s.Step)
		if s.Cuts > 0 {
			fmt.Fprintf(w, "   # cuts %s", count(int(s.Cuts), "active connection"))
		}
		if s.Finishing > 0 {
			fmt.Fprintf(w, "   # %s may finish within %s", count(int(s.Finishing), "active connection"), cfg.Director.RemovalGrace)
		}
		fmt.Fprintln(w)
		cuts += s.Cuts
	}
	_, err := fmt.Fprintf(w, "%s; %s cut\n", count(len(steps), "step"), count(int(cuts), "active connection"))
	return err
}

func writePlanJSON(w io.Writer, steps []director.Planned) error {
	type step struct {
		Step      string `json:"step"` // ipvsadm's arguments
		Service   string `json:"service"`
		Real      string `json:"real,omitempty"`
		Cuts      uint32 `json:"cuts"`      // active connections that it breaks
		Finishing uint32 `json:"finishing"` // active connections that may finish
	}
	out := make([]step, 0, len(steps))
	for _, s := range steps {
		j := step{Step: s.String(), Service: s.Service.ServiceKey.String(), Cuts: s.Cuts, Finishing: s.Finishing}
		if s.Real.Addr.IsValid() {
			j.Real = s.Real.Addr.String()
		}
		out = append(out, j)
	}
	return printJSON(w, map[string]any{"steps": out})
}
