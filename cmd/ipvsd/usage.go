package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// unknownCommand is the error for a word behind a group of commands that is none
// of them. Cobra would print the group's help and report success, so that a
// script with a misspelt "config check" would take every file for fine.
func unknownCommand(root *cobra.Command, args []string) error {
	c, rest, err := root.Find(args)
	if err != nil || !c.HasSubCommands() || len(rest) == 0 || strings.HasPrefix(rest[0], "-") {
		return nil
	}
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return fmt.Errorf("unknown command %q for %q; there are %s", rest[0], c.CommandPath(), strings.Join(names, ", "))
}

// tellUsage has a command and those below it say how they are written when they
// are given an argument too few or too many, or a flag that is wrong.
func tellUsage(c *cobra.Command) {
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; \"%s -h\" has the flags", err, c.CommandPath())
	})
	if fits := c.Args; fits != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			switch {
			case fits(c, args) == nil:
				return nil
			case len(args) == 0:
				return fmt.Errorf("an argument is missing; write %s", c.UseLine())
			default:
				return fmt.Errorf("%q is one argument too many; write %s", args[len(args)-1], c.UseLine())
			}
		}
	}
	for _, sub := range c.Commands() {
		tellUsage(sub)
	}
}
