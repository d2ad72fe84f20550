package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/ipvsd/ipvsd/realserver"
)

func newRealserverCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "realserver",
		Short: "Prepare this web node for the packets of a director, and undo it",
		Long: `Prepares a web node (a real server) for the method by which the director forwards:

  dr   the VIP on lo, arp_ignore=1 and arp_announce=2 set before it comes up, so
       that the node takes packets for the VIP but does not answer ARP for it.
       IPv6 needs no sysctl: Linux does not answer solicitations for an address
       on lo.
  tun  the VIP on tunl0 (IPv6: ip6tnl0), which is made and brought up, with the
       same ARP settings; rp_filter must not be strict there.
  nat  no VIP. ICMP redirects are no longer accepted; the default route must be
       the director's inside address. Routes are not changed: a wrong one could
       cut you off. With --gateway ADDR, status tells whether it is right.

What was there before is kept in ` + realserver.RecordFile + `; teardown goes back to it.`,
	}
	c.AddCommand(realserverSetup(e), realserverStatus(e), realserverTeardown(e))
	return c
}

func realserverSetup(e *env) *cobra.Command {
	var opts realserver.Options
	var n realserver.Node
	c := &cobra.Command{
		Use:   "setup --vip ADDR [--vip ADDR...] [--method dr|tun|nat] [--persist]",
		Short: "Take packets for these VIPs, without answering ARP for them",
		Long: `Prints each change as it is made, sysctls before addresses. A second run changes
nothing; other VIPs are added to those that are set up; without --vip those are
checked and repaired.

--persist keeps it over a reboot, through what runs this node's network: files for
systemd-networkd, a file in /etc/network/interfaces.d, or a systemd unit. It says
which. Once given it holds for VIPs that are added later.`,
		Example: `  ipvsd realserver setup --vip 192.168.0.105
  ipvsd realserver setup --vip 192.168.0.105 --vip fd00::105 --persist
  ipvsd realserver setup --method nat --gateway 10.0.0.1`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			goal, err := opts.Goal()
			if err != nil {
				return err
			}
			if n.Executable, err = os.Executable(); err != nil {
				return err
			}
			return e.node(&n).Setup(goal)
		},
	}
	realserverFlags(c, &opts, &n)
	c.Flags().BoolVar(&opts.Persist, "persist", false, "come back after a reboot")
	c.Flags().BoolVarP(&n.DryRun, "dry-run", "n", false, "print the commands, change nothing")
	return c
}

func realserverStatus(e *env) *cobra.Command {
	var opts realserver.Options
	var n realserver.Node
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Name each missing piece with its cure, and the servers that listen on the VIPs",
		Long: `Looks at the VIPs of setup, and at those given with --vip, which also works for a
node that was set up by hand. Exit status: 0 nothing is missing, 2 something is,
1 error. A VIP on which no server listens is told, but is not an error: whether a
server works is the director's check.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			var goal realserver.Goal
			if len(opts.VIPs) > 0 || opts.Method != string(realserver.DR) || opts.Gateway != "" {
				var err error
				if goal, err = opts.Goal(); err != nil {
					return err
				}
			}
			report, err := e.node(&n).Status(goal)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(e.stdout, report)
			} else {
				err = report.WriteText(e.stdout)
			}
			if err == nil && !report.OK() {
				err = &exitError{code: 2}
			}
			return err
		},
	}
	realserverFlags(c, &opts, &n)
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func realserverTeardown(e *env) *cobra.Command {
	var n realserver.Node
	c := &cobra.Command{
		Use:   "teardown",
		Short: "Put back what was there before the first setup",
		Long: `Removes the addresses that setup added, then gives the sysctls their first values
again and removes the files of --persist. Also after a reboot.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return e.node(&n).Teardown() },
	}
	recordFlag(c, &n)
	c.Flags().BoolVarP(&n.DryRun, "dry-run", "n", false, "print the commands, change nothing")
	return c
}

func realserverFlags(c *cobra.Command, opts *realserver.Options, n *realserver.Node) {
	c.Flags().StringArrayVar(&opts.VIPs, "vip", nil, "`ADDR`, a virtual address; may be repeated")
	c.Flags().StringVar(&opts.Method, "method", string(realserver.DR), "how the director forwards: `dr|tun|nat`")
	c.Flags().StringVar(&opts.Gateway, "gateway", "", "nat: the director's inside `ADDR`, to be checked")
	methods := []string{string(realserver.DR), string(realserver.TUN), string(realserver.NAT)}
	err := c.RegisterFlagCompletionFunc("method", cobra.FixedCompletions(methods, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(errors.Join(errors.New("main: --method"), err)) // the flag is defined above
	}
	recordFlag(c, n)
}

// recordFlag is for tests and for hosts that are namespaces of one machine.
func recordFlag(c *cobra.Command, n *realserver.Node) {
	c.Flags().StringVar(&n.RecordFile, "record", realserver.RecordFile, "`FILE` with the former values")
	c.Flags().StringVar(&n.Root, "root", "", "folder in front of every file but those in /proc")
	_ = c.Flags().MarkHidden("root") // fails only for a flag that isn't there
}

func (e *env) node(n *realserver.Node) *realserver.Node {
	n.Kernel, n.Sockets, n.Out = realserver.Linux{}, realserver.Sockets, e.stdout
	return n
}
