package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ipvsd/ipvsd/director/config"
)

func newConfigCommand(e *env) *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Check the file, make one from another program's, or print a reference of all keys"}
	var file string
	check := &cobra.Command{
		Use:   "check",
		Short: "Read and validate the file; print every error as FILE:LINE: what is wrong",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := e.load(file)
			if err != nil {
				return err
			}
			reals := 0
			for _, v := range cfg.Virtuals {
				reals += len(v.Reals)
			}
			_, err = fmt.Fprintf(e.stdout, "%s: fine: %s, %s\n", file,
				count(len(cfg.Virtuals), "virtual service"), count(reals, "real server"))
			return err
		},
	}
	fileFlag(check, &file)
	reference := &cobra.Command{
		Use:   "reference",
		Short: "Print a file with every key, its default and what it means",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := e.stdout.Write(config.Reference())
			return err
		},
	}
	c.AddCommand(check, reference, newImportCommand(e))
	return c
}

// fileFlag is the flag -c of every command that reads the file.
func fileFlag(c *cobra.Command, file *string) {
	c.Flags().StringVarP(file, "config", "c", config.DefaultFile, "the file")
	_ = c.MarkFlagFilename("config", "toml") // fails only for a flag that isn't there
}

// load reads the file and prints its warnings; its errors, one a line, are the
// whole message of the failure.
func (e *env) load(file string) (*config.Config, error) {
	cfg, warnings, err := config.Load(file)
	for _, w := range warnings {
		w.Text = "warning: " + w.Text // an error stops, this doesn't
		fmt.Fprintln(e.stderr, w)
	}
	if err != nil {
		fmt.Fprintf(e.stderr, "%v\n", err)
		return nil, &exitError{code: 1}
	}
	return cfg, nil
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
