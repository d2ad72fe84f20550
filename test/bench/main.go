// Command bench measures ipvsd beside its peers, all in one lab kernel and one
// run: the real bin/ipvsd, and keepalived, ldirectord and ipvsadm as Debian has
// them. "make bench" calls it.
//
//	bench [-ipvsd bin/ipvsd] [NAME...]
//
// NAME is one of the measurements, all of them if none is named. It prints one
// line for each figure, with the bar it has to reach, and exits with 0 whether
// that was reached or not; 1 means that something could not be measured.
//
// In user-mode-linux, system calls and thread switches cost several times what
// they cost on iron: compare figures within one run only.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// measurements in the order in which they run.
var measurements = []struct {
	name string
	run  func(*bench)
}{
	{"table", benchTable},
	{"start", benchStart},
	{"death", benchDeath},
	{"cpu", benchCPU},
	{"memory", benchMemory},
}

// bench is one run.
type bench struct {
	ipvsd  string // path of the binary
	report *report
	stage  *stage
}

func main() {
	lab.MaybeInit()
	if len(os.Args) > 1 && os.Args[1] == "serve" { // a part of the lab
		serve(os.Args[2:])
		return
	}
	ipvsd := flag.String("ipvsd", "bin/ipvsd", "the binary to measure")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: bench [-ipvsd bin/ipvsd] [NAME...]")
		for _, m := range measurements {
			fmt.Fprintf(os.Stderr, "  %s\n", m.name)
		}
	}
	flag.Parse()
	path, err := filepath.Abs(*ipvsd)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
	if !lab.Inside() {
		status, err := outside()
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench: %v\n", err)
			status = max(status, 1)
		}
		os.Exit(status)
	}
	os.Exit(inside(path, flag.Args()))
}

func inside(ipvsd string, names []string) int {
	start := time.Now()
	b := &bench{ipvsd: ipvsd, report: newReport(os.Stdout)}
	status := 0
	for _, m := range measurements {
		if len(names) > 0 && !slices.Contains(names, m.name) {
			continue
		}
		if err := b.measure(m.run); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", m.name, err)
			status = 1
		}
	}
	b.report.end(time.Since(start))
	return status
}

// measure runs one measurement in a lab network of its own.
func (b *bench) measure(run func(*bench)) (err error) {
	b.stage = &stage{}
	defer b.stage.strike()
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			err = fmt.Errorf("%s", string(r))
		default:
			panic(r)
		}
	}()
	run(b)
	return nil
}
