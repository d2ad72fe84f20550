// Package child runs the programs that an operator names: checks and hooks. It
// owns nothing beyond one run; what an end means is the caller's.
package child

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// What a program may cost beside its own running.
const (
	maxOutput = 4 << 10                // of the output, its end is kept
	pipeGrace = 100 * time.Millisecond // for the output of what it left behind
)

// End is how a program ended.
type End struct {
	State  *os.ProcessState
	Output string // the last 4 KiB of its standard output and error
}

// Status is the end in the kernel's words.
func (e End) Status() syscall.WaitStatus {
	status, _ := e.State.Sys().(syscall.WaitStatus)
	return status
}

// Run runs a program with more environment than Environ has, in the root
// directory and in a process group of its own: when ctx ends, it and all that
// it started are killed. An error is that it could not be started.
func Run(ctx context.Context, argv, env []string) (End, error) {
	var out tail
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = append(environ(), env...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = pipeGrace
	if err := cmd.Start(); err != nil {
		return End{}, err
	}
	if err := cmd.Wait(); errors.Is(err, exec.ErrWaitDelay) {
		_ = killGroup(cmd) // a child it left still holds the output: don't let them pile up
	}
	return End{State: cmd.ProcessState, Output: out.text()}, nil
}

// killGroup kills the program and all it started.
func killGroup(cmd *exec.Cmd) error {
	err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// environ is our environment without what systemd meant for us.
func environ() []string {
	var out []string
	for _, v := range os.Environ() {
		switch name, _, _ := strings.Cut(v, "="); name {
		case "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES":
		default:
			out = append(out, v)
		}
	}
	return out
}

// tail is a writer that keeps the end of what it gets. It has a lock because
// after WaitDelay a writer may still be at it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p[max(0, len(p)-maxOutput):]...)
	if over := len(t.b) - maxOutput; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
