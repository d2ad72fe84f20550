// Package moduletest tests package ipvs where its kernel module comes and
// goes. It is a package of its own because moby/ipvs keeps the family's number
// for the life of a process: after these tests the process is spoilt.
package moduletest

import (
	"bufio"
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/director/ipvs"
	"github.com/ipvsd/ipvsd/director/table"
	"github.com/ipvsd/ipvsd/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

var (
	web     = table.Service{ServiceKey: table.ByAddr(table.TCP, netip.MustParseAddrPort("192.0.2.10:80")), Scheduler: "rr"}
	addWeb  = table.Step{Op: table.AddService, Service: web}
	delWeb  = table.Step{Op: table.DeleteService, Service: web}
	addWeb1 = table.Step{Op: table.AddReal, Service: web, Real: table.Real{
		Addr: netip.MustParseAddrPort("10.0.0.11:80"), Forward: table.DR, Weight: 1,
	}}
)

// unload removes ip_vs and every module that uses it.
func unload(t *testing.T) {
	t.Helper()
	for range 10 {
		f, err := os.Open("/proc/modules")
		if err != nil {
			t.Fatal(err)
		}
		left := 0
		for sc := bufio.NewScanner(f); sc.Scan(); {
			if name, _, _ := strings.Cut(sc.Text(), " "); strings.HasPrefix(name, "ip_vs") {
				left++
				_ = unix.DeleteModule(name, 0) // in use as yet: the next round
			}
		}
		f.Close()
		if left == 0 {
			return
		}
	}
	t.Fatal("ip_vs can't be unloaded")
}

func open(t *testing.T) *ipvs.Table {
	t.Helper()
	tbl, err := ipvs.Open(context.Background(), ipvs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return tbl
}

func mustDo(t *testing.T, tbl *ipvs.Table, steps ...table.Step) {
	t.Helper()
	if err := errors.Join(tbl.Do(context.Background(), steps)...); err != nil {
		t.Fatal(err)
	}
}

// TestModule is one story, because each part needs what the one before left.
func TestModule(t *testing.T) {
	if os.Getenv("IPVSD_LAB_INSIDE") == "direct" {
		t.Skip("this would unload the host's own ip_vs; the lab kernel runs it")
	}
	ctx := context.Background()
	unload(t)

	// Missing at first use, and neither the kernel nor modprobe can load it.
	restore := breakModprobe(t)
	tbl, err := ipvs.Open(ctx, ipvs.Options{})
	for _, part := range []string{"modprobe ip_vs", "no such luck", "linux-image-"} {
		if !errors.Is(err, table.ErrNoIPVS) || !strings.Contains(err.Error(), part) || tbl != nil {
			t.Fatalf("got error %v, want %v with %q", err, table.ErrNoIPVS, part)
		}
	}
	restore()
	// Missing, and loaded.
	tbl = open(t)
	mustDo(t, tbl, addWeb, addWeb1, delWeb)

	// Gone under our feet.
	restore = breakModprobe(t)
	unload(t)
	if _, err := tbl.Read(ctx); !errors.Is(err, table.ErrNoIPVS) {
		t.Errorf("read: got error %v, want %v", err, table.ErrNoIPVS)
	}
	if _, err := tbl.Read(ctx, web.ServiceKey); !errors.Is(err, table.ErrNoIPVS) {
		t.Errorf("read of one: got error %v, want %v", err, table.ErrNoIPVS)
	}
	for i, err := range tbl.Do(ctx, []table.Step{addWeb, addWeb1, delWeb}) {
		if !errors.Is(err, table.ErrNoIPVS) {
			t.Errorf("step %d: got error %v, want %v", i, err, table.ErrNoIPVS)
		}
	}

	// Back, under another number: reading goes on, changing needs a restart.
	restore()
	if out, err := exec.Command("modprobe", "ip_vs").CombinedOutput(); err != nil {
		t.Fatalf("modprobe: %v\n%s", err, out)
	}
	if have, err := tbl.Read(ctx); err != nil || len(have.State) != 0 {
		t.Errorf("read: got %v and error %v", have.State, err)
	}
	for i, err := range tbl.Do(ctx, []table.Step{addWeb, addWeb1, delWeb}) {
		if !errors.Is(err, table.ErrReloaded) {
			t.Errorf("step %d: got error %v, want %v", i, err, table.ErrReloaded)
		}
	}
	if err := tbl.Close(); err != nil {
		t.Error(err)
	}
	// A Table opened now is no better off, and says so at once.
	if _, err := ipvs.Open(ctx, ipvs.Options{}); !errors.Is(err, table.ErrReloaded) {
		t.Errorf("open: got error %v, want %v", err, table.ErrReloaded)
	}
}

// breakModprobe keeps the kernel and this process from loading a module until
// restore is called.
func breakModprobe(t *testing.T) (restore func()) {
	t.Helper()
	const helper = "/proc/sys/kernel/modprobe"
	before, err := os.ReadFile(helper)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := []byte("#!/bin/sh\necho no such luck >&2\nexit 1\n")
	if err := os.WriteFile(dir+"/modprobe", script, 0o755); err != nil {
		t.Fatal(err)
	}
	set := func(value, path string) {
		if err := os.WriteFile(helper, []byte(value), 0o644); err != nil {
			t.Fatal(err)
		}
		os.Setenv("PATH", path)
	}
	path := os.Getenv("PATH")
	set(dir+"/modprobe", dir)
	return func() { set(string(before), path) }
}
