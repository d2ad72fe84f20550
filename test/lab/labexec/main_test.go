package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// These tests run outside of the lab and boot one each.
func TestMain(m *testing.M) {
	lab.MaybeInit()
	os.Exit(m.Run())
}

func sh(t *testing.T, ctx context.Context, job lab.Job, script string) (status int, stdout, stderr string, err error) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	var out, errs bytes.Buffer
	job.Argv, job.Stdout, job.Stderr = []string{"sh", "-c", script}, &out, &errs
	status, err = lab.Exec(ctx, job)
	if left, _ := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "ipvsd-lab-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if pids := labProcesses(os.Getenv("TMPDIR")); len(pids) > 0 {
		t.Errorf("processes left behind: %v", pids)
	}
	return status, out.String(), errs.String(), err
}

// labProcesses are the processes whose command line names the folder.
func labProcesses(dir string) (pids []string) {
	list, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range list {
		b, _ := os.ReadFile(f)
		if bytes.Contains(b, []byte(dir)) {
			pids = append(pids, filepath.Base(filepath.Dir(f))+" "+string(bytes.ReplaceAll(b, []byte{0}, []byte{' '})))
		}
	}
	return pids
}

func TestExec(t *testing.T) {
	dir := t.TempDir()
	keep := filepath.Join(dir, "keep")
	if err := os.Mkdir(keep, 0o755); err != nil {
		t.Fatal(err)
	}
	job := lab.Job{Dir: dir, Writable: []string{keep}, Env: append(os.Environ(), "GREETING=hello")}
	status, stdout, stderr, err := sh(t, t.Context(), job, `
		echo $GREETING; echo problem >&2; date +%s; pwd; ipvsadm -Ln >/dev/null || echo no ipvs
		echo gone >gone; echo kept >keep/kept; exit 7`)
	if err != nil || status != 7 {
		t.Fatalf("status %d, %v, want 7\n%s%s", status, err, stdout, stderr)
	}
	lines := strings.Split(stdout, "\n")
	if len(lines) != 4 || lines[0] != "hello" || lines[2] != dir || stderr != "problem\n" {
		t.Errorf("stdout %q, stderr %q", stdout, stderr)
	}
	if sec, err := strconv.ParseInt(lines[1], 10, 64); err != nil || time.Since(time.Unix(sec, 0)).Abs() > 5*time.Second {
		t.Errorf("the lab's clock: %q, now %d", lines[1], time.Now().Unix())
	}
	if b, err := os.ReadFile(filepath.Join(keep, "kept")); err != nil || string(b) != "kept\n" {
		t.Errorf("kept: %q, %v", b, err)
	}
	if os.Getenv("IPVSD_LAB_WAY") != "direct" {
		if _, err := os.Stat(filepath.Join(dir, "gone")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a file that was written inside is on the host: %v", err)
		}
	}
}

// Every byte of a long output arrives, also the last ones.
func TestLongOutput(t *testing.T) {
	status, stdout, _, err := sh(t, t.Context(), lab.Job{}, `seq 1 100000; printf end`)
	if err != nil || status != 0 {
		t.Fatalf("status %d, %v", status, err)
	}
	if len(stdout) != 588895+3 || !strings.HasSuffix(stdout, "100000\nend") {
		t.Errorf("%d bytes, end %q", len(stdout), stdout[max(0, len(stdout)-20):])
	}
}

func TestSignalStatus(t *testing.T) {
	if status, _, _, err := sh(t, t.Context(), lab.Job{}, `kill -9 $$`); err != nil || status != 137 {
		t.Errorf("status %d, %v, want 137", status, err)
	}
}

func TestLimit(t *testing.T) {
	start := time.Now()
	_, stdout, _, err := sh(t, t.Context(), lab.Job{Limit: 5 * time.Second}, `setsid sleep 1000 & echo started; sleep 1000`)
	if err == nil || !strings.Contains(err.Error(), "time limit of 5s") || stdout != "started\n" {
		t.Errorf("stdout %q, error %v, want the time limit", stdout, err)
	}
	if d := time.Since(start); d > 15*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, _, _, err := sh(t, ctx, lab.Job{}, `sleep 1000`); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want %v", err, context.DeadlineExceeded)
	}
}

// A process that outlives the job ends with the lab.
func TestOrphan(t *testing.T) {
	if status, stdout, _, err := sh(t, t.Context(), lab.Job{}, `setsid sleep 1000 & echo ok`); err != nil || status != 0 || stdout != "ok\n" {
		t.Errorf("status %d, %q, %v", status, stdout, err)
	}
}

func TestNoSuchCommand(t *testing.T) {
	_, err := lab.Exec(t.Context(), lab.Job{Argv: []string{"/no/such/command"}})
	if err == nil || !strings.Contains(err.Error(), "/no/such/command") {
		t.Errorf("error %v", err)
	}
}

func TestLabsSideBySide(t *testing.T) {
	done := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := lab.Exec(context.Background(), lab.Job{Argv: []string{"sleep", "1"}})
			done <- err
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
