package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/ipvs"
)

func newProbeCommand(e *env) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "probe VIRTUAL [REAL]",
		Short: "Run the check of a virtual service's real servers now and print what was sent and what came",
		Long: `Runs the check of one real server, or of all real servers of a virtual service,
once, from this machine, and prints its transcript. VIRTUAL is a name or address
from the file; REAL is an address with or without port. Changes nothing. Needs no
running director, but for checks with path = "vip": they go by virtual services
that the director adds to the kernel's table. Exit status: 0 healthy, 2 not,
1 error.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := e.load(file)
			if err != nil {
				return err
			}
			real := ""
			if len(args) == 2 {
				real = args[1]
			}
			return e.probe(cmd.Context(), cfg, args[0], real)
		},
	}
	fileFlag(c, &file)
	return c
}

func (e *env) probe(ctx context.Context, cfg *config.Config, virtual, real string) error {
	v, err := findVirtual(cfg, virtual)
	if err != nil {
		return err
	}
	var path checker.Path
	if slices.ContainsFunc(v.Reals, func(r config.Real) bool { return r.Check.Mark != 0 }) {
		kernel, err := ipvs.Open(ctx, ipvs.Options{})
		if err != nil {
			return err
		}
		defer kernel.Close()
		path = director.CheckPath(kernel)
	}
	probed, sick := 0, 0
	for _, r := range v.Reals {
		if real != "" && real != r.Addr.String() && real != r.Addr.Addr().String() {
			continue
		}
		if probed++; probed > 1 {
			fmt.Fprintln(e.stdout)
		}
		fmt.Fprintf(e.stdout, "%s -> %s\n", v.Name, r.Addr)
		if r.Check.Type == checker.Off {
			fmt.Fprintln(e.stdout, "check type off: never checked")
			continue
		}
		if result := checker.OnceBy(ctx, r.Check, path, e.stdout); !result.OK {
			sick++
		}
	}
	switch {
	case probed == 0:
		return fmt.Errorf("virtual service %q has no real server %q; it has: %s", v.Name, real, realNames(v))
	case sick > 0:
		return &exitError{code: 2}
	}
	return nil
}

// findVirtual finds a virtual service by name, by address and port, or by mark.
func findVirtual(cfg *config.Config, name string) (config.Virtual, error) {
	var names string
	for _, v := range cfg.Virtuals {
		key := v.Service.ServiceKey
		if name == v.Name || name == key.String() || (key.Protocol != 0 && name == key.Addr.String()) {
			return v, nil
		}
		names += " " + v.Name
	}
	return config.Virtual{}, fmt.Errorf("the file has no virtual service %q; it has:%s", name, names)
}

func realNames(v config.Virtual) string {
	var names string
	for i, r := range v.Reals {
		if i > 0 {
			names += " "
		}
		names += r.Addr.String()
	}
	return names
}
