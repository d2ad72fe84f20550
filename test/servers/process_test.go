//go:build servers

package servers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// signal sends a signal to the servers and all they started.
func (h *host) signal(s syscall.Signal) {
	for _, p := range h.family() {
		_ = syscall.Kill(p.pid, s)
	}
}

// halt stops the servers and waits until the kernel has: it tells one thread
// of each, which may have to wait for a processor.
func (h *host) halt(t *testing.T) {
	t.Helper()
	h.signal(syscall.SIGSTOP)
	for until := time.Now().Add(endTime); !h.halted(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the servers don't stop")
		}
	}
}

func (h *host) halted() bool {
	for _, p := range h.family() {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.pid))
		for _, path := range threads {
			if t, ok := lookAt(path); ok && !strings.Contains("TtZX", t.state) {
				return false
			}
		}
	}
	return true
}

// stop ends the servers and all they started. It asks first: some leave shared
// memory behind when they are killed.
func (h *host) stop() {
	family := h.family()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, cmd := range h.procs {
			_ = cmd.Process.Signal(syscall.SIGTERM)
		}
		for _, cmd := range h.procs {
			_, _ = cmd.Process.Wait()
		}
	}()
	select {
	case <-ended:
	case <-time.After(endTime):
	}
	h.signal(syscall.SIGSTOP) // nobody forks on the way
	for _, p := range append(family, h.family()...) {
		if now, ok := look(p.pid); ok && now.start == p.start { // else the number is another's by now
			_ = syscall.Kill(p.pid, syscall.SIGKILL)
		}
	}
	<-ended
	h.procs = nil
}

// process is one of the kernel's.
type process struct {
	pid, parent int
	start       uint64 // after the boot, in ticks
	state       string // "R", "S", "T", …
}

// look reads what the kernel says of a process.
func look(pid int) (process, bool) {
	p, ok := lookAt(fmt.Sprintf("/proc/%d/stat", pid))
	p.pid = pid
	return p, ok
}

func lookAt(path string) (process, bool) {
	var p process
	b, err := os.ReadFile(path)
	if err != nil {
		return p, false
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:])) // the name before may hold anything
	if len(fields) < 20 {
		return process{}, false
	}
	p.state = fields[0]
	_, err = fmt.Sscan(fields[1]+" "+fields[19], &p.parent, &p.start)
	return p, err == nil
}

// family are the servers that live and all below them.
func (h *host) family() []process {
	children := map[int][]process{}
	stats, _ := filepath.Glob("/proc/[0-9]*")
	for _, path := range stats {
		var pid int
		if _, err := fmt.Sscan(filepath.Base(path), &pid); err != nil {
			continue
		}
		if p, ok := look(pid); ok {
			children[p.parent] = append(children[p.parent], p)
		}
	}
	var all []process
	for _, cmd := range h.procs {
		for _, p := range children[os.Getpid()] {
			if p.pid == cmd.Process.Pid {
				all = append(all, p)
			}
		}
	}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i].pid]...)
	}
	return all
}
