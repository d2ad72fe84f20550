package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ipvsd/ipvsd/director/api"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/doctor"
)

func newDoctorCommand(e *env) *cobra.Command {
	var o doctorOptions
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong with this machine as a director or a web node, why, and the cure",
		Long: `Looks at the kernel, its modules and sysctls, interfaces, routes, ports, other
programs that keep an IPVS table, and the key file, and asks the neighbours by ARP
and neighbour solicitations who has the virtual addresses: the questions come from
nobody, so that no cache learns anything by them. What is wrong depends on the
file; without one only what any machine needs is told. A web node that
"ipvsd realserver setup" prepared is checked, too. docs/doctor.md has every check.

--fix sets sysctls, loads modules, closes the key file to others and repairs a web
node's own setup, and tells old and new. It asks nothing, stops no program and
writes nothing below /etc (but what "ipvsd realserver setup --persist" wrote there):
what is to outlive a reboot is printed.

Exit status: 0 nothing found (notes don't count), 2 something, 1 error.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.named = cmd.Flags().Changed("config")
			return e.doctor(cmd.Context(), o)
		},
	}
	fileFlag(c, &o.file)
	socketFlag(c, &o.socket)
	c.Flags().BoolVar(&o.fix, "fix", false, "mend what can be mended at run time")
	c.Flags().BoolVar(&o.asJSON, "json", false, "as JSON")
	return c
}

type doctorOptions struct {
	file, socket string
	named        bool // the file was asked for
	fix, asJSON  bool
}

// examination is what `doctor --json` writes.
type examination struct {
	Machine  string           `json:"machine"`  // what this machine is, in words
	Findings []doctor.Finding `json:"findings"` // what is left, the worst kinds first
	Fixed    []string         `json:"fixed"`    // what --fix changed: old and new
	Failed   []string         `json:"failed"`   // what --fix tried in vain
	Lasting  []string         `json:"lasting"`  // commands that make the changes outlive a reboot
	Unseen   []string         `json:"unseen"`   // what couldn't be looked at, and why

	// Clocks is how many seconds the other directors' clocks are ahead of this
	// one, of those that tell.
	Clocks map[string]float64 `json:"clocks,omitempty"`
}

func (e *env) doctor(ctx context.Context, o doctorOptions) error {
	var host doctor.Sources
	out := examination{Fixed: []string{}, Failed: []string{}, Lasting: []string{}, Unseen: []string{}}
	tried := map[doctor.Action]bool{}
	for again := true; again; {
		asked, unseen, err := o.ask(ctx)
		if err != nil {
			return err
		}
		facts := host.Gather(ctx, asked)
		if err := ctx.Err(); err != nil {
			return err
		}
		out.Machine, out.Findings = machine(o.file, facts), doctor.Diagnose(facts)
		out.Unseen = append(append([]string{}, unseen...), facts.Unknown...)
		out.Clocks = map[string]float64{}
		for addr, s := range facts.Skews {
			out.Clocks[addr.String()] = s.Offset.Seconds()
		}
		again = o.fix && out.mend(host, asked, tried) // a module brings sysctls with it
	}
	if out.Findings == nil {
		out.Findings = []doctor.Finding{}
	}
	if err := e.tellDoctor(out, o); err != nil {
		return fmt.Errorf("write what was found: %v", err)
	}
	if doctor.Count(out.Findings) > 0 {
		return &exitError{code: 2}
	}
	return nil
}

// mend does what the findings ask for and wasn't tried yet, and tells whether
// anything changed.
func (x *examination) mend(host doctor.Sources, asked doctor.Asked, tried map[doctor.Action]bool) (changed bool) {
	for _, f := range x.Findings {
		for _, a := range f.Actions {
			if tried[a] {
				continue
			}
			tried[a] = true
			done, err := host.Do(a)
			if err != nil {
				x.Failed = append(x.Failed, err.Error())
				continue
			}
			changed = true
			x.Fixed = append(x.Fixed, done.Done())
			if line, file := a.Lasting(); line != "" && !asked.SetsItself(f.Check) {
				x.Lasting = append(x.Lasting, fmt.Sprintf("echo '%s' >> %s", line, file))
			}
		}
	}
	return changed
}

// ask asks for the daemon and reads the file: the one that was named, or else
// the daemon's, or the usual one. A file that isn't there is an error only where
// it was named; one with mistakes is a finding.
func (o *doctorOptions) ask(ctx context.Context) (a doctor.Asked, unseen []string, err error) {
	a.Wire = true
	client := api.NewClient(o.socket)
	defer client.Close()
	switch st, err := client.Status(ctx); {
	case err == nil:
		a.Daemon = &doctor.Daemon{PID: st.PID}
		if !o.named {
			o.file = st.Config.File
		}
	case !errors.Is(err, api.ErrNoDaemon):
		unseen = append(unseen, fmt.Sprintf("the running director: %v", err))
	}
	_, statErr := os.Stat(o.file)
	cfg, _, err := config.Load(o.file)
	var mistakes config.Errors
	switch {
	case err == nil:
		a.Config = cfg
	case errors.Is(statErr, fs.ErrNotExist) && !o.named:
	case errors.Is(statErr, fs.ErrNotExist) || !errors.As(err, &mistakes):
		return a, nil, err
	default:
		a.Mistakes = mistakes
	}
	return a, unseen, nil
}

// machine says in words what was looked at.
func machine(file string, f doctor.Facts) string {
	var parts []string
	switch {
	case f.Config != nil && f.Daemon != nil:
		parts = append(parts, fmt.Sprintf("a director by %s, pid %d", file, f.Daemon.PID))
	case f.Config != nil:
		parts = append(parts, fmt.Sprintf("a director by %s that doesn't run", file))
	case len(f.Mistakes) > 0:
		parts = append(parts, "a director whose file is wrong")
	}
	if f.Node != nil {
		parts = append(parts, "a web node that ipvsd set up")
	}
	if len(parts) == 0 {
		parts = append(parts, fmt.Sprintf("neither a director (there is no %s) nor a web node that ipvsd set up", file))
	}
	return strings.Join(parts, ", and ") + "; Linux " + f.Release
}

func (e *env) tellDoctor(x examination, o doctorOptions) error {
	if o.asJSON {
		return printJSON(e.stdout, x)
	}
	r := &renderer{opts: renderFor(e.stdout)}
	r.examination(x, o.fix)
	_, err := e.stdout.Write(r.out.Bytes())
	return err
}

func (r *renderer) examination(x examination, fix bool) {
	fmt.Fprintf(&r.out, "This is %s.\n", x.Machine)
	for _, s := range x.Fixed {
		r.labelled("fixed", green, s)
	}
	for _, s := range x.Failed {
		r.labelled("failed", red, s)
	}
	styles := map[doctor.Severity]style{doctor.Error: red, doctor.Warning: yellow, doctor.Note: dim}
	counts := map[doctor.Severity]int{}
	fixable := 0
	for _, f := range x.Findings {
		counts[f.Severity]++
		if f.Fixable {
			fixable++
		}
		r.newline()
		r.write(styles[f.Severity], fmt.Sprintf("%-*s", labelWidth, f.Severity))
		r.write(bold, f.Check)
		fmt.Fprintf(&r.out, ": %s\n", clean(f.Object))
		if f.Reason != "" {
			r.labelled("", plain, f.Reason)
		}
		for line := range strings.Lines(f.Cure) { // never broken: it is to be copied
			r.write(dim, fmt.Sprintf("%-*s", labelWidth, "cure"))
			fmt.Fprintf(&r.out, "%s\n", clean(line))
		}
	}
	for _, s := range x.Unseen {
		r.newline()
		r.labelled("unseen", yellow, s)
	}
	r.newline()
	r.write(bold, tallyOf(counts))
	if fixable > 0 && !fix {
		fmt.Fprintf(&r.out, "; `ipvsd doctor --fix` mends %d of them", fixable)
	}
	r.newline()
	if len(x.Lasting) > 0 {
		r.out.WriteString("What was fixed lasts until the next boot. To keep it:\n")
		for _, line := range slices.Compact(slices.Sorted(slices.Values(x.Lasting))) {
			fmt.Fprintf(&r.out, "  %s\n", line)
		}
	}
}

func tallyOf(counts map[doctor.Severity]int) string {
	var parts []string
	for _, s := range []doctor.Severity{doctor.Error, doctor.Warning, doctor.Note} {
		if n := counts[s]; n > 0 {
			parts = append(parts, count(n, string(s)))
		}
	}
	if len(parts) == 0 {
		return "nothing found"
	}
	return strings.Join(parts, ", ")
}
