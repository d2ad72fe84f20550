package checker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What an external check may cost beside its own running.
const (
	maxOutput = 4 << 10                // of the output, its end is kept
	pipeGrace = 100 * time.Millisecond // for the output of what a command left behind
)

// commandProbe runs a command: exit status 0 is up, everything else down.
type commandProbe struct {
	spec *Spec
	argv []string
}

// newCommandProbe adds the four arguments that ldirectord passes to those of
// the command itself, unless no virtual service is concerned.
func newCommandProbe(spec *Spec) *commandProbe {
	argv := strings.Split(spec.Command, "\x00")
	if spec.Virtual == "" {
		return &commandProbe{spec: spec, argv: argv}
	}
	real := spec.Target.Addr().Unmap()
	host := real.String()
	if real.Is6() {
		host = "[" + host + "]"
	}
	virtual := spec.Virtual
	if addr, err := netip.ParseAddr(virtual); err == nil && addr.Is6() {
		virtual = "[" + virtual + "]"
	}
	return &commandProbe{spec: spec, argv: append(argv,
		virtual, strconv.Itoa(int(spec.VPort)), host, strconv.Itoa(int(spec.RPort)))}
}

func (p *commandProbe) check(ctx context.Context, t *transcript) Result {
	if t != nil {
		t.note("run %s, timeout %s", strings.Join(p.argv, " "), p.spec.Timeout)
	}
	ctx, cancel := context.WithTimeout(ctx, p.spec.Timeout)
	defer cancel()
	var out tail
	cmd := exec.CommandContext(ctx, p.argv[0], p.argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = commandEnv()
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = pipeGrace
	if err := cmd.Start(); err != nil {
		return p.notStarted(err)
	}
	err := cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		_ = killGroup(cmd) // a child it left still holds the output: don't let them pile up
	}
	if t != nil {
		t.came(out.text())
		t.done("%s", cmd.ProcessState)
	}
	r := p.judge(ctx, cmd.ProcessState, out.lastLine())
	r.Sample = sample([]byte(out.text()), "")
	return r
}

// judge goes by the exit status alone, as long as the command ended by itself.
func (p *commandProbe) judge(ctx context.Context, state *os.ProcessState, line string) Result {
	status, _ := state.Sys().(syscall.WaitStatus)
	switch {
	case ctx.Err() != nil && status.Signaled():
		return bad("timeout after " + p.spec.Timeout.String() + ", killed" + after(line))
	case status.Signaled():
		return bad("killed by signal " + unix.SignalName(status.Signal()) + after(line))
	case status.ExitStatus() != 0:
		return bad("exit status " + strconv.Itoa(status.ExitStatus()) + after(line))
	}
	return good("exit status 0" + after(line))
}

func after(line string) string {
	if line == "" {
		return ""
	}
	return ": " + line
}

// notStarted: a command that cannot be run is down, as it always was; a machine
// that cannot fork is ours.
func (p *commandProbe) notStarted(err error) Result {
	reason := fmt.Sprintf("run %s: %v", p.argv[0], err)
	var path *os.PathError
	if errors.As(err, &path) {
		reason = fmt.Sprintf("run %s: %v", p.argv[0], path.Err)
	}
	if ours(err) || errors.Is(err, unix.EAGAIN) {
		return void(reason)
	}
	return bad(reason)
}

// killGroup kills the command and all it started.
func killGroup(cmd *exec.Cmd) error {
	err := unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	if errors.Is(err, unix.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// commandEnv is our environment without what systemd meant for us.
func commandEnv() []string {
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

// lastLine is the last line that says something, printable and short.
func (t *tail) lastLine() string {
	b := bytes.TrimSpace([]byte(t.text()))
	return sample(b[bytes.LastIndexByte(b, '\n')+1:], "")
}
