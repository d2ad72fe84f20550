// Package scenario says what must be true of ipvsd, with traffic, in the lab
// kernel: each test builds hosts, runs the real binary on them, lets clients
// use what it balances, and hurts something.
package scenario

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ipvsd/ipvsd/test/lab"
)

// binaryVar names the ipvsd binary under test to the tests inside the lab.
const binaryVar = "IPVSD_BINARY"

func TestMain(m *testing.M) {
	lab.MaybeInit()
	if !lab.Inside() && os.Getenv(binaryVar) == "" {
		os.Exit(withBinary())
	}
	lab.Main(m)
}

// withBinary builds ipvsd outside of the lab, where the Go tool is quick.
func withBinary() int {
	dir, err := os.MkdirTemp("", "ipvsd-scenario-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "ipvsd")
	build := exec.Command("go", "build", "-o", binary, "github.com/ipvsd/ipvsd/cmd/ipvsd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build ipvsd: %v\n%s", err, out)
		return 1
	}
	os.Setenv(binaryVar, binary)
	return lab.Run(os.Args)
}
