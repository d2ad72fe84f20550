package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/ipvsd/ipvsd/director/api"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/journal"
)

func newExplainCommand(e *env) *cobra.Command {
	var file, socket string
	var since time.Duration
	var asJSON bool
	c := &cobra.Command{
		Use:   "explain [REAL | VIRTUAL | failover | reload]",
		Short: "Tell in plain sentences what happened last, why, and what comes next",
		Long: `Tells the story of the last changes from the director's journal: the cause first,
then what the kernel was told and how soon, what is the case now, and what will
happen next.

  ipvsd explain                  the last things that happened
  ipvsd explain 192.168.0.101    a real server, in all virtual services it is in;
                                 address, address:port or the machine's name
  ipvsd explain web              a virtual service: its name, address or mark
  ipvsd explain failover         who took the addresses over, and each phase of it
  ipvsd explain reload           what the last reload changed, or why it was refused

Without a running director the journal on disk is read, in the file's state_dir.

Exit status: 0 told, 1 nothing is known of it.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("since") && since <= 0 {
				return fmt.Errorf("explain: --since %v: write how far back, such as 1h", since)
			}
			s, err := e.learn(cmd.Context(), file, socket)
			if err != nil {
				return err
			}
			s.since = since
			if len(args) == 1 {
				s.about = args[0]
			}
			s.lookup = func(host string) []string {
				limited, cancel := context.WithTimeout(cmd.Context(), 2*time.Second)
				defer cancel()
				addrs, _ := net.DefaultResolver.LookupHost(limited, host) // unknown: no addresses
				return addrs
			}
			if err := s.tell(); err != nil {
				return err
			}
			if asJSON {
				return s.writeJSON(e.stdout)
			}
			return s.write(e.stdout)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return append([]string{"failover", "reload"}, realNamesOf(cmd.Context(), socket)...), cobra.ShellCompDirectiveNoFileComp
		},
	}
	fileFlag(c, &file)
	c.Flags().DurationVar(&since, "since", 0, "everything that happened within so long (default: the last change)")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON: the sentences, and the journal's entries behind them")
	socketFlag(c, &socket)
	return c
}

// learn asks the running director, or reads the disk where none runs.
func (e *env) learn(ctx context.Context, file, socket string) (*explainer, error) {
	s := &explainer{now: time.Now()}
	client := api.NewClient(socket)
	defer client.Close()
	entries, err := client.Journal(ctx)
	switch {
	case err == nil:
		st, err := client.Status(ctx)
		if err != nil {
			return nil, err
		}
		s.entries, s.status = entries, &st
		return s, nil
	case !errors.Is(err, api.ErrNoDaemon):
		return nil, err
	}
	s.dir = config.DefaultStateDir
	if cfg, _, err := config.Load(file); err == nil { // a wrong file is no reason to say nothing
		s.dir = cfg.Director.StateDir
	}
	if s.entries, s.skipped, err = journal.Read(s.dir); err != nil && len(s.entries) == 0 {
		return nil, fmt.Errorf("no director is running, and %w", err)
	}
	return s, nil
}

// write prints the sentences, each in its own paragraph of lines.
func (s *explainer) write(w io.Writer) error {
	for _, one := range s.out {
		if _, err := fmt.Fprintln(w, one.Text); err != nil {
			return err
		}
		for _, line := range one.Lines {
			if _, err := fmt.Fprintf(w, "    %s\n", line); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *explainer) writeJSON(w io.Writer) error {
	entries := s.told
	if entries == nil {
		entries = []journal.Entry{}
	}
	return printJSON(w, map[string]any{"about": s.about, "running": s.status != nil, "sentences": s.out, "entries": entries})
}
