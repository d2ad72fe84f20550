// Command ipvsd balances traffic on the kernel's IPVS. See README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ipvsd/ipvsd/test/lab"
)

// env is what a command may use of the world around it.
type env struct {
	stdout, stderr io.Writer
}

// exitError ends the program with a status of its own. An empty message means
// that everything was said already.
type exitError struct {
	code int
	msg  string
}

func (e *exitError) Error() string { return e.msg }

func main() {
	lab.MaybeInit() // the demo starts this program as a part of its lab
	os.Exit(run(&env{stdout: os.Stdout, stderr: os.Stderr}, os.Args[1:]))
}

// run executes one command line and returns the exit status.
func run(e *env, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRootCommand(e)
	root.InitDefaultCompletionCmd()
	root.SetArgs(args)
	err := unknownCommand(root, args)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	if err == nil {
		return 0
	}
	code := 1
	if exit, ok := errors.AsType[*exitError](err); ok {
		code = exit.code
	}
	if msg := err.Error(); msg != "" {
		fmt.Fprintf(e.stderr, "ipvsd: %s\n", msg)
	}
	return code
}

func newRootCommand(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:           "ipvsd",
		Short:         "Director for IPVS: balances, checks, and says what it did and why",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	root.AddCommand(
		newDirectorCommand(e),
		newConfigCommand(e),
		newPlanCommand(e),
		newApplyCommand(e),
		newConfirmCommand(e),
		newRollbackCommand(e),
		newStatusCommand(e),
		newExplainCommand(e),
		newDrainCommand(e),
		newDisableCommand(e),
		newEnableCommand(e),
		newProbeCommand(e),
		newDoctorCommand(e),
		newFailoverCommand(e),
		newClusterCommand(e),
		newRealserverCommand(e),
		newCleanCommand(e),
		newDemoCommand(e),
		newVersionCommand(e),
	)
	tellUsage(root)
	return root
}
