package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Cmd is an exec.Cmd whose process starts inside the namespaces of its host.
type Cmd struct {
	*exec.Cmd
	host *Host
}

// Command makes a command of the host. Set its fields as those of an exec.Cmd.
func (h *Host) Command(ctx context.Context, argv ...string) *Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// A group of its own, so that the children of the process die with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return &Cmd{Cmd: cmd, host: h}
}

// Start starts the process. It is forked by a thread that is in the host's namespaces and inherits them.
func (c *Cmd) Start() error { return c.host.space.quick(c.Cmd.Start) }

// Run starts the process and waits for it.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output is what the process wrote to its standard output.
func (c *Cmd) Output() ([]byte, error) {
	var b bytes.Buffer
	c.Stdout = &b
	err := c.Run()
	return b.Bytes(), err
}

// CombinedOutput is what the process wrote.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	var b bytes.Buffer
	c.Stdout, c.Stderr = &b, &b
	err := c.Run()
	return b.Bytes(), err
}

// tryLimit is the time after which a foreground command is taken for hung.
const tryLimit = time.Minute

// Try runs a command to its end and returns what it wrote.
func (h *Host) Try(argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), tryLimit)
	defer cancel()
	b, err := h.Command(ctx, argv...).CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("killed after %v", tryLimit)
	}
	return string(b), err
}

// Run is Try for a command that must succeed.
func (h *Host) Run(argv ...string) string {
	h.t.Helper()
	out, err := h.Try(argv...)
	if err != nil {
		h.t.Fatalf("lab: %s: %s: %v\n%s", h.Name, strings.Join(argv, " "), err, out)
	}
	return out
}

// Proc is a background process.
type Proc struct {
	cmd  *Cmd
	host *Host
	out  *output
	done chan struct{}
	err  error // valid after done
}

// Start starts a background process with captured output. Its process group is killed at the test's end.
func (h *Host) Start(argv ...string) *Proc {
	h.t.Helper()
	return h.StartCmd(h.Command(context.Background(), argv...))
}

// StartCmd is Start for a command of [Host.Command] whose fields (Env, Dir) the caller set.
func (h *Host) StartCmd(cmd *Cmd) *Proc {
	h.t.Helper()
	p := &Proc{cmd: cmd, host: h, out: &output{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if err := cmd.Start(); err != nil {
		h.t.Fatalf("lab: %s: start %s: %v", h.Name, strings.Join(cmd.Args, " "), err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	h.t.Cleanup(func() {
		_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
		<-p.done
	})
	return p
}

// PID is the process's number.
func (p *Proc) PID() int { return p.cmd.Process.Pid }

// Kill kills the process as kill -9 does, not its children, and waits for its end.
func (p *Proc) Kill() {
	p.Signal(syscall.SIGKILL)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
	}
}

// Signal sends a signal to the process; a process that has ended is fine.
func (p *Proc) Signal(sig os.Signal) {
	p.host.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.host.t.Fatalf("lab: %s: signal %v to %s: %v", p.host.Name, sig, p.cmd.Args[0], err)
	}
}

// ErrRunning is returned by [Proc.Wait] when the timeout came before the process's end.
var ErrRunning = errors.New("still running")

// Wait waits for the end of the process and returns nil if it exited with 0, else as exec.Cmd.Wait does.
func (p *Proc) Wait(timeout time.Duration) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.err
	case <-timer.C:
		return ErrRunning
	}
}

// Running reports whether the process has not ended.
func (p *Proc) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Output is what the process has written so far, stdout and stderr in one.
func (p *Proc) Output() string { return p.out.String() }

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
