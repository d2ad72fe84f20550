//go:build oracle

package ldirectord

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director/config/convert"
	"github.com/ipvsd/ipvsd/director/config/convert/ldirectord/gen"
)

// TestOracle compares what is accepted with the real ldirectord, for generated
// files. It takes a third of a second for each and needs Debian's package, so it
// has a tag of its own: go test -tags oracle -run TestOracle. LDIRECTORD_FILES
// says how many files, LDIRECTORD_SEED which.
func TestOracle(t *testing.T) {
	count, err := strconv.Atoi(cmp.Or(os.Getenv("LDIRECTORD_FILES"), "200"))
	if err != nil {
		t.Fatal(err)
	}
	services, err := os.ReadFile("/etc/services")
	if err != nil {
		t.Fatal(err)
	}
	opts := convert.Options{Port: convert.PortIn(services), Host: noHost}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("LDIRECTORD_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("seed %d", seed)
	dir := t.TempDir()
	work := make(chan int)
	var wg sync.WaitGroup
	var mu sync.Mutex
	accepted := 0
	for range 8 {
		wg.Go(func() {
			for n := range work {
				data := gen.File(rand.New(rand.NewPCG(seed, uint64(n))), gen.Options{Slips: []float64{0, 0.01, 0.05}[n%3]})
				name := filepath.Join(dir, strconv.Itoa(n)+".cf")
				if err := os.WriteFile(name, data, 0o600); err != nil {
					t.Error(err)
				}
				theirs, said := oracle(name)
				note, ours := Accepts(convert.File{Name: "x", Data: data}, opts)
				if theirs != ours {
					t.Errorf("file %d: ldirectord %t (%s), we %t (%s)\n%s", n, theirs, said, ours, note, numbered(data))
				}
				mu.Lock()
				if theirs {
					accepted++
				}
				mu.Unlock()
			}
		})
	}
	for n := range count {
		work <- n
	}
	close(work)
	wg.Wait()
	t.Logf("ldirectord accepts %d of %d files", accepted, count)
}

func noHost(name string, _ bool) (netip.Addr, error) {
	return netip.Addr{}, fmt.Errorf("resolve %s: no such host", name)
}

func oracle(file string) (accepts bool, said string) {
	cmd := exec.Command("ldirectord", file, "status")
	cmd.Env = append(os.Environ(), "RES_OPTIONS=timeout:1 attempts:1 ndots:0", "LOCALDOMAIN=invalid")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false, fmt.Sprint(err)
	}
	return exit.ExitCode() == 3, strings.TrimSpace(string(out))
}

func numbered(data []byte) string {
	var b strings.Builder
	for i, l := range strings.Split(string(data), "\n") {
		fmt.Fprintf(&b, "%3d %q\n", i+1, l)
	}
	return b.String()
}
