package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// stop ends a process as an operator does, or else by force.
func (b *bench) stop(p *lab.Proc) {
	p.Signal(syscall.SIGTERM)
	if p.Wait(10*time.Second) == lab.ErrRunning {
		_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
		_ = p.Wait(5 * time.Second)
	}
}

// stat is a process in /proc.
type stat struct {
	parent int
	cpu    time.Duration // its own, and that of its children that have ended
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may have blanks
	f := strings.Fields(rest)
	if len(f) < 15 {
		return stat{}, fmt.Errorf("/proc/%d/stat: %q", pid, text)
	}
	number := func(i int) int {
		n, _ := strconv.Atoi(f[i]) // the kernel's own text
		return n
	}
	ticks := number(11) + number(12) + number(13) + number(14)
	return stat{parent: number(1), cpu: time.Duration(ticks) * 10 * time.Millisecond}, nil
}

// family is a process and all below it.
func family(root int) map[int]stat {
	all := map[int]stat{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(d))
		if st, err := readStat(pid); err == nil {
			all[pid] = st
		}
	}
	out := map[int]stat{}
	var add func(pid int)
	add = func(pid int) {
		out[pid] = all[pid]
		for child, st := range all {
			if st.parent == pid {
				add(child)
			}
		}
	}
	add(root)
	return out
}

// cpu is the processor time that a process and all below it have used.
func cpu(root int) time.Duration {
	var sum time.Duration
	for _, st := range family(root) {
		sum += st.cpu
	}
	return sum
}

// memory is the resident memory of a process and all below it, now and at its
// highest, in MB.
func memory(root int) (now, high float64) {
	for pid := range family(root) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(line, ":")
			kB, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				continue
			}
			switch key {
			case "VmRSS":
				now += float64(kB) * 1024 / 1e6
			case "VmHWM":
				high += float64(kB) * 1024 / 1e6
			}
		}
	}
	return now, high
}
