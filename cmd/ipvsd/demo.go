package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ipvsd/ipvsd/test/lab"
)

// demoLimit is the time after which a demo that hangs is killed.
const demoLimit = 2 * time.Minute

// demoOptions are how the outer process tells the one in the lab what it writes
// to: there, standard output is a serial line.
type demoOptions struct {
	live, color bool
	width       int // columns
}

// A demo is made for as many columns as this; on a terminal with fewer it makes
// do with them, down to the least.
const (
	demoWidth      = 100
	demoLeastWidth = 80
)

func newDemoCommand(e *env) *cobra.Command {
	var o demoOptions
	c := &cobra.Command{
		Use:   "demo",
		Short: "Play a whole cluster on this machine: servers and directors die, a client counts",
		Long: `Builds a whole cluster: a client, two directors and three web servers (nginx),
each a host of its own in a network of its own. Where this kernel has no IPVS,
or you are not root, that happens in a kernel that is an ordinary process
(Debian's user-mode-linux). Nothing on this machine is changed, nothing stays.

The client opens a connection every 20 ms and holds another one open all the
time. Meanwhile one web server is killed and the test page of another is broken,
both come back, the active director hands over to the other one, then the new
one's machine dies and returns. After each act and at the end you see what the
client saw. It takes less than a minute.

Exit status: 0 all went as it should, 1 something didn't.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if lab.Inside() {
				return e.playDemo(cmd.Context(), o)
			}
			return e.bootDemo(cmd.Context())
		},
	}
	c.Flags().BoolVar(&o.live, "live", false, "redraw the line with the client's figures")
	c.Flags().BoolVar(&o.color, "color", false, "colour")
	c.Flags().IntVar(&o.width, "width", demoWidth, "columns")
	for _, name := range []string{"live", "color", "width"} {
		_ = c.Flags().MarkHidden(name) // fails only for a flag that isn't there
	}
	return c
}

// bootDemo runs this very command in the lab.
func (e *env) bootDemo(ctx context.Context) error {
	if _, err := nginxPath(); err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	argv := []string{exe, "demo"}
	if out, ok := terminal(e.stdout); ok {
		width, _ := terminalSize(out)
		argv = append(argv, fmt.Sprintf("--live=%t", os.Getenv("TERM") != "dumb"),
			fmt.Sprintf("--color=%t", renderFor(e.stdout).color),
			fmt.Sprintf("--width=%d", max(demoLeastWidth, min(width, demoWidth))))
	}
	fmt.Fprintln(e.stdout, "Starting the lab: a kernel with IPVS and a network of its own. Nothing on this")
	fmt.Fprintln(e.stdout, "machine is changed, and nothing stays. Ctrl-C ends it.")
	status, err := lab.Exec(ctx, lab.Job{
		Argv:   argv,
		Dir:    "/",
		Mem:    "1G",
		Limit:  demoLimit,
		Stdout: e.stdout,
		Stderr: e.stderr,
	})
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(e.stdout, "\nStopped. Nothing stays.")
		return &exitError{code: 130}
	case err != nil:
		return fmt.Errorf("demo: lab: %v", err)
	case status != 0:
		return &exitError{code: 1}
	}
	return nil
}

// nginxPath also looks where the PATH of an ordinary user doesn't.
func nginxPath() (string, error) {
	if path, err := exec.LookPath("nginx"); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, "nginx")); err == nil {
			return path, nil
		}
	}
	return "", errors.New("demo: nginx is not installed; on Debian and Ubuntu: sudo apt-get install nginx-light\n" +
		"       (make demo installs it, without starting it on this machine)")
}

// playDemo builds the cluster and plays the story, inside the lab.
func (e *env) playDemo(ctx context.Context, o demoOptions) (err error) {
	s := &stage{}
	defer s.strike()
	out := newTeller(e.stdout, o)
	f := &demoFarm{stage: s}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case stageFailure:
			out.problems([]string{string(r)})
			f.logTo(e.stderr)
			err = &exitError{code: 1}
		default:
			panic(r)
		}
	}()
	f.build()
	p := newPlay(f, out)
	problems := p.run(ctx)
	if ctx.Err() != nil {
		return &exitError{code: 130}
	}
	out.problems(problems)
	if len(problems) > 0 {
		f.logTo(e.stderr)
		return &exitError{code: 1}
	}
	return nil
}

// stage is the lab's test, for a program: what went up is taken down at the end.
type stage struct {
	cleanups []func()
}

// stageFailure is what Fatalf panics with; playDemo recovers it.
type stageFailure string

func (s *stage) Helper() {}

func (s *stage) Logf(string, ...any) {}

func (s *stage) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *stage) Fatalf(format string, args ...any) { panic(stageFailure(fmt.Sprintf(format, args...))) }

// strike takes down what went up, the last first.
func (s *stage) strike() {
	for i := len(s.cleanups) - 1; i >= 0; i-- {
		s.cleanups[i]()
	}
	s.cleanups = nil
}
