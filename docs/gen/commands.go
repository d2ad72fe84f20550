package gen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Commands returns the commands below one with their flags, for a man page,
// sorted by name. One that skip names is left out with all below it.
func Commands(above *cobra.Command, skip func(*cobra.Command) bool) string {
	var b strings.Builder
	for _, c := range above.Commands() {
		if !c.IsAvailableCommand() || skip(c) {
			continue
		}
		command(&b, c)
		if c.Name() != "completion" { // its commands are one and the same for each shell
			b.WriteString(Commands(c, skip))
		}
	}
	return b.String()
}

func command(b *strings.Builder, c *cobra.Command) {
	use, flags := c.Use, []*pflag.FlagSet{c.NonInheritedFlags()}
	if c.Name() == "completion" {
		var shells []string
		for _, s := range c.Commands() {
			shells = append(shells, s.Name())
			flags = append(flags, s.NonInheritedFlags())
		}
		use += " " + strings.Join(shells, "|")
	}
	fmt.Fprintf(b, ".SS %s\n", macro(c.Parent().CommandPath()+" "+use))
	fmt.Fprintf(b, "%s.\n", roff(strings.TrimSuffix(c.Short, ".")))
	if c.Long != "" && c.Name() != "completion" {
		b.WriteString(".PP\n")
		paragraphs(b, c.Long)
	}
	var told []string
	for _, set := range flags {
		set.VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && f.Name != "help" && !slices.Contains(told, f.Name) {
				told = append(told, f.Name)
				flag(b, f)
			}
		})
	}
	if c.Example != "" {
		b.WriteString(".PP\nExamples:\n")
		paragraphs(b, c.Example)
	}
}

// valueNames are instead of pflag's names of types.
var valueNames = map[string]string{"string": "TEXT", "duration": "TIME", "int": "NUMBER"}

// flag writes one as the commands' own -h does: "-c, --config FILE".
func flag(b *strings.Builder, f *pflag.Flag) {
	name := `\fB` + roff("--"+f.Name) + `\fR`
	if f.Shorthand != "" {
		name = `\fB` + roff("-"+f.Shorthand) + `\fR, ` + name
	}
	value, usage := pflag.UnquoteUsage(f)
	value = cmp.Or(valueNames[value], value)
	if value != "" {
		name += ` \fI` + roff(value) + `\fR`
	}
	if value != "" && f.DefValue != "" && f.DefValue != "[]" && f.DefValue != "0s" && f.DefValue != "0" {
		usage += " (default: " + f.DefValue + ")"
	}
	fmt.Fprintf(b, ".TP\n%s\n%s\n", name, roff(usage))
}
