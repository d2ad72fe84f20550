// Command labexec runs a command inside the lab kernel: labexec CMD ARGS... It serves go test -exec, too.
package main

import (
	"fmt"
	"os"

	"github.com/ipvsd/ipvsd/test/lab"
)

func main() {
	lab.MaybeInit()
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: labexec COMMAND [ARGUMENT]...")
		os.Exit(2)
	}
	os.Exit(lab.Run(os.Args[1:]))
}
