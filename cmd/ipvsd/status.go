package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/api"
)

func newStatusCommand(e *env) *cobra.Command {
	var (
		asJSON, watch bool
		socket        string
		arranged      = arrangement{order: byFile}
	)
	c := &cobra.Command{
		Use:   "status",
		Short: "Show virtual services, real servers and the cluster: state, weight, connections, why",
		Long: `Asks the running director and shows how everything stands.

WEIGHT is the one in the kernel; 0/1 is 0 now and 1 in the file (quiescent), -/1
not in the kernel. ACTIVE are established connections, INACT all others. SINCE is
how long the state lasts, CHECK how long ago the last check was. A real server
that a person took out is draining, drained, disabled or in maintenance, which is
nothing down.

--sort puts what you look for at the top: trouble, load (active connections) or
name. --watch is like top(1): s changes the order, / types a filter (Enter keeps
it, Esc takes it away), arrows, space and b scroll, q quits.

With a [cluster], its directors, who holds which group of addresses, and how the
last failover to this director went: milliseconds since the failed one was last
heard. An address elsewhere is on another director, as it should be.

Exit status: 0 all is up, 1 no director is running, 2 something is down: a
virtual service, a real server, an address, another director, the connection
synchronisation; nobody holds a group, or the kernel isn't as wanted.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client := api.NewClient(socket)
			defer client.Close()
			if asJSON && (arranged != arrangement{order: byFile}) {
				return errors.New("status: --sort and --filter are for people; --json has all, in the file's order")
			}
			if watch {
				return e.watchStatus(cmd.Context(), client.Status, asJSON, arranged)
			}
			return e.status(cmd.Context(), client.Status, asJSON, arranged)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON, as /api/v1/status has it")
	c.Flags().BoolVarP(&watch, "watch", "w", false, "again each second; s sorts, / filters, arrows scroll, q quits")
	c.Flags().Var(&arranged.order, "sort", "file, trouble, load or name: what is at the top")
	c.Flags().StringVar(&arranged.filter, "filter", "", "only the virtual services and real servers with this text: a name, an address, a state, a reason")
	socketFlag(c, &socket)
	return c
}

// socketFlag is for the commands that speak to the running director.
func socketFlag(c *cobra.Command, socket *string) {
	c.Flags().StringVar(socket, "socket", api.DefaultSocket, "the director's control socket")
	_ = c.MarkFlagFilename("socket", "sock") // fails only for a flag that isn't there
}

// statusFunc asks a director how it stands.
type statusFunc func(context.Context) (director.Status, error)

func (e *env) status(ctx context.Context, ask statusFunc, asJSON bool, arranged arrangement) error {
	st, err := ask(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		err = printJSON(e.stdout, st)
	} else {
		o := renderFor(e.stdout)
		o.arranged = arranged
		err = renderStatus(e.stdout, st, o)
	}
	if err != nil {
		return fmt.Errorf("write the status: %v", err)
	}
	if len(problems(&st)) > 0 {
		return &exitError{code: 2}
	}
	return nil
}

// findReal finds a real server of a virtual service; nil: there is none.
func findReal(st *director.Status, virtual, address string) *director.RealStatus {
	for i := range st.Virtuals {
		for j := range st.Virtuals[i].Reals {
			if r := &st.Virtuals[i].Reals[j]; st.Virtuals[i].Name == virtual && r.Address == address {
				return r
			}
		}
	}
	return nil
}

// renderFor says how to write for w: coloured and cut on a terminal, everything
// in full elsewhere, where a program or a pager reads.
func renderFor(w io.Writer) renderOptions {
	o := renderOptions{now: time.Now()}
	f, ok := terminal(w)
	if !ok {
		o.width, _ = strconv.Atoi(os.Getenv("COLUMNS")) // only if somebody exported it
		return o
	}
	o.width, _ = terminalSize(f)
	o.color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return o
}

func terminal(w any) (*os.File, bool) {
	f, ok := w.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// terminalSize is the classic 80 × 24 where the terminal doesn't say.
func terminalSize(f *os.File) (width, height int) {
	width, height, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}
