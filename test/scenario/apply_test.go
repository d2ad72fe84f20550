package scenario

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

// TestApply runs files on trial: one is confirmed, one nobody confirms, one is
// rolled back by hand, one outlives a killed director; a wrong one is refused.
func TestApply(t *testing.T) {
	f, _ := drFarm(t, 2)
	two, one := quick(`scheduler = "rr"`, rs1, rs2), quick(`scheduler = "rr"`, rs1)
	second := "-a -t 192.168.0.105:80 -r 192.168.0.102:80 -g -w 1"
	f.start(two)
	f.awaitTable(5*time.Second, second)
	load := f.client.Load("http://192.168.0.105/")
	verb := func(want int, args ...string) string {
		t.Helper()
		out, code := f.try(append(args, "--socket", f.socket())...)
		if code != want {
			t.Errorf("ipvsd %s: exit %d\n%s", strings.Join(args, " "), code, out)
		}
		return out
	}
	onTrial := func(is bool) func(director.Status) bool {
		return func(s director.Status) bool { return (s.Config.Trial != nil) == is }
	}
	text := func(suffix string) string {
		b, err := os.ReadFile(f.file() + suffix)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return string(b)
	}

	// A wrong file is refused, and nothing is on trial.
	f.write(strings.Replace(one, "scheduler", "sheduler", 1))
	if out := verb(1, "apply", "--confirm", "1m"); !strings.Contains(out, `did you mean "scheduler"?`) || !strings.Contains(out, f.file()+":") {
		t.Errorf("a wrong file:\n%s", out)
	}
	if text(".trial") != "" || f.status().Config.Trial != nil {
		t.Error("a refused file is on trial")
	}
	verb(1, "confirm")
	verb(1, "rollback")

	// Confirmed, it stays.
	f.write(one)
	if out := verb(0, "apply", "--confirm", "1m"); !strings.Contains(out, "192.168.0.102:80") || !strings.Contains(out, "on trial") {
		t.Errorf("apply:\n%s", out)
	}
	f.awaitTable(5*time.Second, "!"+second)
	if s := f.status(); s.Config.Trial == nil {
		t.Error("status doesn't tell of the trial")
	}
	if out := verb(1, "apply", "--confirm", "1m"); !strings.Contains(out, "on trial until") {
		t.Errorf("a second trial:\n%s", out)
	}
	verb(0, "confirm")
	f.eventually(5*time.Second, "confirmed", onTrial(false))
	if text(".trial")+text(".confirmed") != "" {
		t.Error("confirm leaves files behind")
	}
	if out := verb(0, "apply", "--confirm", "1m"); !strings.Contains(out, "not on trial") || text(".trial") != "" {
		t.Errorf("the same file once more:\n%s", out)
	}

	// Nobody confirms it: the file before comes back, in the kernel and on disk.
	before := text("")
	f.write(two)
	after := text("")
	verb(0, "apply", "--confirm", "5s")
	f.awaitTable(5*time.Second, second)
	f.eventually(20*time.Second, "the trial is over", onTrial(false))
	f.awaitTable(5*time.Second, "!"+second)
	if text("") != before || text(".rejected") != after {
		t.Errorf("on disk is\n%s\nrejected is\n%s", text(""), text(".rejected"))
	}

	// Rolled back by hand.
	f.write(two)
	verb(0, "apply", "--confirm", "1h")
	f.awaitTable(5*time.Second, second)
	verb(0, "rollback")
	f.awaitTable(5*time.Second, "!"+second)

	// The director is killed and started again: the trial goes on. It ends while
	// no director runs: the next one starts with the file before.
	f.write(two)
	verb(0, "apply", "--confirm", "10s")
	f.proc.Kill()
	f.restart()
	if s := f.status(); s.Config.Trial == nil {
		t.Error("the trial is forgotten after a restart")
	}
	f.proc.Signal(syscall.SIGUSR2)
	if err := f.proc.Wait(5 * time.Second); err != nil {
		t.Error(err)
	}
	lab.Eventually(t, 20*time.Second, "the deadline", func() bool {
		info, err := os.Stat(f.file() + ".trial")
		return err == nil && time.Since(info.ModTime()) > 11*time.Second
	})
	f.restart()
	f.awaitTable(5*time.Second, "!"+second)
	if text("") != before || f.status().Config.Trial != nil {
		t.Errorf("after the deadline the file is\n%s", text(""))
	}
	noneFailed(t, load.Stop())
}
