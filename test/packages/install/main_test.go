package install

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/ipvsd/ipvsd/test/lab"
)

// The versions of the two packages, and the folder that holds them.
const (
	older     = "0.0.1"
	newer     = "0.0.2"
	folderVar = "IPVSD_PACKAGES"
)

func TestMain(m *testing.M) {
	lab.MaybeInit()
	if !lab.Inside() {
		os.Exit(withPackages())
	}
	lab.Main(m)
}

// withPackages builds both outside of the lab, where the Go tool is quick.
func withPackages() int {
	folder, err := os.MkdirTemp("", "ipvsd-packages-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	for _, v := range []string{older, newer} {
		cmd := exec.Command("../../../deploy/package", folder, runtime.GOARCH)
		cmd.Env = append(os.Environ(), "GO=go", "VERSION="+v, "LDFLAGS=-s -w -X main.version="+v)
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "deploy/package: %v\n%s", err, out)
			return 1
		}
	}
	os.Setenv(folderVar, folder)
	// dpkg must not write to the disk of who runs the tests, so namespaces of
	// this kernel won't do.
	os.Setenv("IPVSD_LAB_WAY", "uml")
	return lab.Run(os.Args)
}

func deb(version string) string {
	return filepath.Join(os.Getenv(folderVar), "ipvsd_"+version+"-1_"+runtime.GOARCH+".deb")
}
