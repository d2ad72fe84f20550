package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/api"
	"github.com/ipvsd/ipvsd/director/intent"
)

const whichReal = `REAL is a real server as "ipvsd status" shows it, such as 192.0.2.11:80, or its
address alone, which means all real servers on that machine. Both mean all
virtual services, unless --virtual names one.

What was asked for last counts. All directors of the cluster know it; it is kept
over reloads, restarts and failovers until another command, or until the real
server leaves the file. Exit status: 0 done, 1 not, with the reason.`

func newDrainCommand(e *env) *cobra.Command {
	c := newOperateCommand(e, intent.Drain, "drain REAL",
		"Take a real server out once its connections have ended",
		`Gives the real server weight 0: its connections go on and new ones go elsewhere.
Once none is left, or at the deadline, it is taken out of the kernel's table; the
deadline cuts those that are left. "ipvsd status" shows how many there are.
Returns at once, or with --wait when that is done.

`+whichReal)
	return c
}

func newDisableCommand(e *env) *cobra.Command {
	return newOperateCommand(e, intent.Disable, "disable REAL", "Take a real server out at once",
		`Takes the real server out of the kernel's table, which cuts its connections.
"ipvsd drain" lets them end.

`+whichReal)
}

func newEnableCommand(e *env) *cobra.Command {
	return newOperateCommand(e, intent.Enable, "enable REAL", "Bring a drained or disabled real server back",
		`Ends a drain, finished or not, or a disable: the real server's check decides
again.

`+whichReal)
}

func newOperateCommand(e *env, wish intent.Wish, use, short, long string) *cobra.Command {
	var socket string
	var asJSON, wait bool
	w := director.OperatorWish{Wish: wish}
	c := &cobra.Command{
		Use:   use,
		Short: short,
		Long:  long,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w.Real, w.By = args[0], whoAmI()
			if cmd.Flags().Changed("deadline") && w.Deadline <= 0 {
				return fmt.Errorf("drain: a deadline of %v; write one that is to come, such as 30m, or use \"ipvsd disable\"", w.Deadline)
			}
			client := api.NewClient(socket)
			defer client.Close()
			var a director.OperatorAnswer
			if err := client.Post(cmd.Context(), "/v1/"+string(wish), w, &a); err != nil {
				return err
			}
			if a.Error != "" {
				return fmt.Errorf("%s: %s", wish, a.Error)
			}
			if asJSON {
				return printJSON(e.stdout, a)
			}
			if err := printOperated(e.stdout, &a); err != nil || !wait {
				return err
			}
			return waitDrained(cmd.Context(), e.stdout, client.Status, a.Reals)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return realNamesOf(cmd.Context(), socket), cobra.ShellCompDirectiveNoFileComp
		},
	}
	c.Flags().StringVar(&w.Virtual, "virtual", "", "only in this virtual service: its name, address:port or mark")
	c.Flags().StringVar(&w.Reason, "reason", "", "why, for the others who look at the status")
	c.Flags().BoolVar(&asJSON, "json", false, "the answer as JSON")
	if wish == intent.Drain {
		c.Flags().BoolVarP(&wait, "wait", "w", false, "tell how it goes on until it is over; Ctrl-C ends that, not the drain")
		c.MarkFlagsMutuallyExclusive("wait", "json")
		c.Flags().DurationVar(&w.Deadline, "deadline", 0, "out after so long, whatever connections are left (default: wait for all)")
	}
	socketFlag(c, &socket)
	return c
}

// whoAmI is the person who asks, also behind sudo.
func whoAmI() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "uid " + strconv.Itoa(os.Getuid())
}

// realNamesOf is what the shell completes; nothing where no director runs.
func realNamesOf(ctx context.Context, socket string) []string {
	limited, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	client := api.NewClient(socket)
	defer client.Close()
	st, err := client.Status(limited)
	if err != nil {
		return nil
	}
	var list []string
	seen := map[string]bool{}
	for _, v := range st.Virtuals {
		for _, r := range v.Reals {
			if r.Verdict != "" && !seen[r.Address] { // else the fallback, or one that left the file
				seen[r.Address] = true
				list = append(list, r.Address)
			}
		}
	}
	return list
}

// printOperated tells what was done and what will happen next.
func printOperated(w io.Writer, a *director.OperatorAnswer) error {
	for _, r := range a.Reals {
		if _, err := fmt.Fprintf(w, "%s of %s: %s\n", r.Real, r.Virtual, clean(r.Next)); err != nil {
			return err
		}
	}
	if len(a.Steps) == 0 {
		fmt.Fprintln(w, "kernel: nothing to do")
	}
	for _, s := range a.Steps {
		fmt.Fprintf(w, "kernel: %s\n", s)
	}
	for _, d := range a.Directors {
		text := "knows it"
		if !d.Knows {
			text = "doesn't know it yet: " + d.Error + "; it is told as soon as it answers"
		}
		fmt.Fprintf(w, "director %s: %s\n", clean(d.Name), clean(text))
	}
	for _, n := range a.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
	for _, n := range a.Warnings {
		if _, err := fmt.Fprintf(w, "warning: %s\n", n); err != nil {
			return err
		}
	}
	return nil
}

// operateHandler serves a wish on the control socket.
func operateHandler(wish intent.Wish, operate func(context.Context, director.OperatorWish) director.OperatorAnswer) http.Handler {
	return wishHandler(func(ctx context.Context, o director.OperatorWish) (director.OperatorAnswer, error) {
		if o.Deadline < 0 || o.Deadline > 0 && wish != intent.Drain {
			return director.OperatorAnswer{}, badWish("deadline: only one that is to come, and only of a drain")
		}
		o.Wish = wish
		ctx, cancel := context.WithTimeout(ctx, operateTimeout)
		defer cancel()
		return operate(ctx, o), nil
	})
}

// operateTimeout is shorter than the client waits.
const operateTimeout = 8 * time.Second
