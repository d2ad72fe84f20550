package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/api"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/ipvs"
)

func newProbeCommand(e *env) *cobra.Command {
	var file, socket string
	c := &cobra.Command{
		Use:   "probe VIRTUAL [REAL]",
		Short: "Run the check of a virtual service's real servers now and print what was sent and what came",
		Long: `Runs the check of one real server, or of all real servers of a virtual service,
once, from this machine, and prints its transcript. VIRTUAL is a name or address
from the file; REAL is an address with or without port. Changes nothing, and
counts for nothing: the director's own checks decide.

The running director does it, with its running file, for whom may use its control
socket. Where none runs, or with --config, this command reads the file and probes
itself; then checks with path = "vip" need a director that has added their virtual
services to the kernel's table. Exit status: 0 healthy, 2 not, 1 error.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			wish := probeWish{Virtual: args[0]}
			if len(args) == 2 {
				wish.Real = args[1]
			}
			if !cmd.Flags().Changed("config") {
				err := e.askProbe(cmd.Context(), socket, wish)
				if !errors.Is(err, api.ErrNoDaemon) || cmd.Flags().Changed("socket") {
					return err
				}
			}
			cfg, err := e.load(file)
			if err != nil {
				return err
			}
			sick, err := probe(cmd.Context(), cfg, nil, wish, e.stdout)
			if err == nil && sick > 0 {
				return &exitError{code: 2}
			}
			return err
		},
	}
	fileFlag(c, &file)
	socketFlag(c, &socket)
	return c
}

// probeWish is which checks to run; Real "": all of the virtual service.
type probeWish struct {
	Virtual string `json:"virtual"`
	Real    string `json:"real"`
}

// What a director says after the transcript.
const (
	probeSick  = "Ipvsd-Sick"  // how many real servers aren't healthy
	probeError = "Ipvsd-Error" // why the rest was not probed
)

// askProbe has the running director probe.
func (e *env) askProbe(ctx context.Context, socket string, wish probeWish) error {
	client := api.NewClient(socket)
	defer client.Close()
	trailer, err := client.Stream(ctx, "/v1/probe", wish, e.stdout)
	if err != nil {
		return err
	}
	switch sick := trailer.Get(probeSick); {
	case trailer.Get(probeError) != "":
		return fmt.Errorf("probe: %s", trailer.Get(probeError))
	case sick == "":
		return errors.New("probe: the director ended before the probe did")
	case sick != "0":
		return &exitError{code: 2}
	}
	return nil
}

// probeHandler probes on the control socket, for who may use that but not read
// the file or open raw sockets.
func probeHandler(d *director.Director, kernel director.Kernel) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var wish probeWish
		if !readWish(w, r, &wish) {
			return
		}
		// Each check has its own deadline; together they may outlast the server's.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		w.Header().Set("Trailer", probeSick+", "+probeError)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusOK)
		sick, err := probe(r.Context(), d.Config(), kernel, wish, flushed{w})
		if err != nil {
			w.Header().Set(probeError, strings.ReplaceAll(err.Error(), "\n", "; "))
		}
		w.Header().Set(probeSick, strconv.Itoa(sick))
	})
}

// flushed sends each line as it comes.
type flushed struct{ w http.ResponseWriter }

func (f flushed) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	return n, errors.Join(err, http.NewResponseController(f.w).Flush())
}

// probe runs the checks and says how many real servers aren't healthy. Without
// a kernel it opens one where checks need it.
func probe(ctx context.Context, cfg *config.Config, kernel director.Kernel, wish probeWish, w io.Writer) (sick int, err error) {
	v, err := findVirtual(cfg, wish.Virtual)
	if err != nil {
		return 0, err
	}
	if kernel == nil && slices.ContainsFunc(v.Reals, func(r config.Real) bool { return r.Check.Mark != 0 }) {
		opened, err := ipvs.Open(ctx, ipvs.Options{})
		if err != nil {
			return 0, err
		}
		defer opened.Close()
		kernel = opened
	}
	var path checker.Path
	if kernel != nil {
		path = director.CheckPath(kernel)
	}
	probed := 0
	for _, r := range v.Reals {
		if wish.Real != "" && wish.Real != r.Addr.String() && wish.Real != r.Addr.Addr().String() {
			continue
		}
		if probed++; probed > 1 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s -> %s\n", v.Name, r.Addr)
		if r.Check.Type == checker.Off {
			fmt.Fprintln(w, "check type off: never checked")
			continue
		}
		if result := checker.OnceBy(ctx, r.Check, path, w); !result.OK {
			sick++
		}
		if ctx.Err() != nil {
			return sick, ctx.Err()
		}
	}
	if probed == 0 {
		return 0, fmt.Errorf("virtual service %q has no real server %q; it has: %s", v.Name, wish.Real, realNames(v))
	}
	return sick, nil
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
