// Command bench measures ipvsd beside its peers, all in one lab kernel and one
// run: the real bin/ipvsd, and keepalived, ldirectord and ipvsadm as Debian has
// them. "make bench" calls it.
//
//	bench [-ipvsd bin/ipvsd] [-runs 10] [-few 3] [-minutes 3] [-pairs 4] [-v] [NAME...]
//
// NAME is one of the measurements, all of them if none is named. It prints one
// line for each figure, with the bar it has to reach, and exits with 0 whether
// that was reached or not; 1 means that something could not be measured.
//
// In user-mode-linux, system calls and thread switches cost several times what
// they cost on iron: compare figures within one run only.
package main

import (
	"errors"
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
	{"mixed", benchMixed},
	{"memory", benchMemory},
	{"scrape", benchScrape},
	{"failover", benchFailover},
	{"loss", benchLoss},
}

// bench is one run.
type bench struct {
	options
	report *report
	stage  *stage
}

// options are the command line's.
type options struct {
	ipvsd   string  // path of the binary
	runs    int     // of faults whose worst case counts …
	few     int     // … and of the others, and keepalived's
	minutes float64 // of each kind of loss
	pairs   int     // of directors under loss, of each kind
	verbose bool
}

// tell prints what one run did, where that is wished for.
func (b *bench) tell(format string, args ...any) {
	if b.verbose {
		b.stage.Logf(format, args...)
	}
}

func main() {
	lab.MaybeInit()
	if len(os.Args) > 1 { // a part of the lab
		switch os.Args[1] {
		case "serve":
			serve(os.Args[2:])
			return
		case "answer":
			answer(os.Args[2:])
			return
		case "checks":
			checks(os.Args[2:])
			return
		case "spin":
			spin()
		}
	}
	var o options
	flag.StringVar(&o.ipvsd, "ipvsd", "bin/ipvsd", "the binary to measure")
	flag.IntVar(&o.runs, "runs", 10, "failover: runs of a fault whose worst case counts")
	flag.IntVar(&o.few, "few", 3, "failover: runs of the other faults, and of keepalived's")
	flag.Float64Var(&o.minutes, "minutes", 3, "loss: minutes of each kind of loss")
	flag.IntVar(&o.pairs, "pairs", 4, "loss: pairs of directors of each kind, half as many fast ones")
	flag.BoolVar(&o.verbose, "v", false, "tell each run of failover and loss on standard error")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: bench [FLAG...] [NAME...]")
		flag.PrintDefaults()
		fmt.Fprintf(os.Stderr, "  %s\n", native)
		for _, m := range measurements {
			fmt.Fprintf(os.Stderr, "  %s\n", m.name)
		}
	}
	flag.Parse()
	path, err := filepath.Abs(o.ipvsd)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err == nil && (o.runs < 1 || o.few < 1 || o.pairs < 1) {
		err = errors.New("-runs, -few and -pairs are 1 at least")
	}
	o.ipvsd = path
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
	if !lab.Inside() {
		status, err := both(flag.Args())
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench: %v\n", err)
			status = max(status, 1)
		}
		os.Exit(status)
	}
	os.Exit(inside(o, flag.Args()))
}

// native is the measurement that needs no lab.
const native = "thousands"

// both runs what needs no lab, then the lab.
func both(names []string) (int, error) {
	if len(names) > 0 && !slices.Contains(names, native) {
		return outside()
	}
	start := time.Now()
	r := newReport(os.Stdout)
	err := benchThousands(r)
	r.end(time.Since(start))
	if err != nil || len(names) == 1 {
		return 0, err
	}
	return outside()
}

func inside(o options, names []string) int {
	start := time.Now()
	b := &bench{options: o, report: newReport(os.Stdout)}
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
func (b *bench) measure(run func(*bench)) error {
	b.stage = &stage{}
	defer b.stage.strike()
	return b.stage.try(func() { run(b) })
}
