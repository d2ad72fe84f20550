package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// meterVar names, to those inside, the link that tells what the lab's processes
// have used.
const meterVar = "BENCH_METER"

// user-mode-linux samples whose time it is 100 times a second, and what wakes
// up with the clock's tick is hit always or never: the same daemon was seen with
// 0.2 and with 0.6 ms for a check. The host measures. So the outer process tells
// the inner one what the lab, which is a family of processes there, has used.
// The text of a symbolic link is the one thing that the lab never takes from a
// cache.
func meter(ctx context.Context, link string) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		next := link + ".next"
		if err := os.Symlink(fmt.Sprintf("%d %d", time.Now().UnixNano(), cpu(os.Getpid())), next); err == nil {
			_ = os.Rename(next, link)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// outside runs this very program in the lab, with the meter beside it.
func outside() (int, error) {
	exe, err := os.Executable()
	if err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "ipvsd-bench-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	link := filepath.Join(dir, "meter")
	go meter(ctx, link)
	status, err := lab.Exec(ctx, lab.Job{
		Argv:     append([]string{exe}, os.Args[1:]...),
		Env:      append(os.Environ(), meterVar+"="+link),
		Writable: []string{dir},
		Stdout:   os.Stdout,
		Stderr:   os.Stderr,
	})
	if load, most := busy(); load > most {
		fmt.Printf("NOTE: this machine has other work, too (load %.1f, the lab's part is 1): times are too long\n", load)
	}
	return status, err
}

// busy is the machine's load over the last minutes, and what it may be.
func busy() (load, most float64) {
	text, _ := os.ReadFile("/proc/loadavg")
	_, _ = fmt.Sscan(string(text), new(float64), &load) // unknown counts as none
	return load, max(1.5, 0.75*float64(runtime.NumCPU()))
}

// labCPU is what the whole lab has used, and when it was measured: just now.
func (b *bench) labCPU() (used time.Duration, at time.Time) {
	read := func() (at, used int64) {
		text, err := os.Readlink(os.Getenv(meterVar))
		b.stage.must(err)
		_, err = fmt.Sscan(text, &at, &used)
		b.stage.must(err)
		return at, used
	}
	for last, _ := read(); ; time.Sleep(5 * time.Millisecond) {
		if at, used := read(); at != last {
			return time.Duration(used), time.Unix(0, at)
		}
	}
}
