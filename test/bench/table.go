package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"time"

	"github.com/ipvsd/ipvsd/director/ipvs"
	"github.com/ipvsd/ipvsd/director/table"
)

// big is the table of the figures: 1,000 virtual services, 10 real servers each.
var big = plan{virtuals: 1000, reals: 10}

// state is a plan as a table.
func (p plan) state() table.State {
	st := table.State{}
	for i := range p.virtuals {
		k := p.key(i)
		e := table.Entry{
			Service: table.Service{ServiceKey: k, Scheduler: "rr"},
			Reals:   map[netip.AddrPort]table.Real{},
		}
		for j := range p.reals {
			a := p.real(i, j)
			e.Reals[a] = table.Real{Addr: a, Forward: table.NAT, Weight: 1}
		}
		st[k] = e
	}
	return st
}

func (p plan) key(i int) table.ServiceKey { return table.ByAddr(table.TCP, p.vip(i)) }

func all(table.ServiceKey) bool { return true }

// kernel opens the director's table, for this process.
func (s *site) kernel() *ipvs.Table {
	var t *ipvs.Table
	s.b.stage.must(s.director.Do(func() (err error) {
		t, err = ipvs.Open(context.Background(), ipvs.Options{})
		return err
	}))
	s.b.stage.Cleanup(func() { _ = t.Close() })
	return t
}

// rounds is how often each thing is timed, in turn with what it is compared
// with, so that a slow moment of the machine falls on all alike.
const rounds = 5

func benchTable(b *bench) {
	s := b.site()
	kernel, want := s.kernel(), big.state()
	var ours, peer, full, usual []time.Duration
	for range rounds {
		s.director.Run("ipvsadm", "-C")
		peer = append(peer, s.restore(want))
		s.director.Run("ipvsadm", "-C")
		b.stage.must(s.director.Do(func() error {
			d, err := program(kernel, want)
			if err != nil {
				return err
			}
			ours = append(ours, d)
			if d, err = reconcile(kernel, want, true); err != nil {
				return err
			}
			full = append(full, d)
			for range 5 {
				if d, err = reconcile(kernel, want, false); err != nil {
					return err
				}
				usual = append(usual, d)
			}
			return nil
		}))
	}
	o, p := best(ours), best(peer)
	b.report.row(row{
		what: "program 1,000 virtual services × 10 real servers", ours: ms(o), peer: "ipvsadm -R " + ms(p),
		ratio: quotient(o, p), bar: "≤ 1.0 ×", pass: o <= p,
	})
	d := best(usual)
	b.report.row(row{
		what: "reconcile it, nothing to change", ours: ms(d), peer: "programming it " + ms(o),
		ratio: quotient(d, o), bar: "≤ 0.1 ×", pass: 10*d <= o,
	})
	d = best(full)
	b.report.row(row{what: "  with the counters of each real server (status)", ours: ms(d), ratio: quotient(d, o)})
}

// program fills the empty table as the director's first round does.
func program(kernel *ipvs.Table, want table.State) (time.Duration, error) {
	ctx, start := context.Background(), time.Now()
	have, err := kernel.ReadState(ctx)
	if err != nil {
		return 0, err
	}
	_, failed := table.Execute(ctx, have, table.Plan(have, want, all), kernel.Do)
	took := time.Since(start)
	if len(failed) > 0 {
		return 0, fmt.Errorf("%d steps failed, the first: %v", len(failed), failed[0].Err)
	}
	return took, nil
}

// reconcile reads the whole table and plans: as the director's rounds do every
// 2 s, or with all counters.
func reconcile(kernel *ipvs.Table, want table.State, counters bool) (time.Duration, error) {
	ctx, start := context.Background(), time.Now()
	var have table.State
	var err error
	if counters {
		var h table.Have
		h, err = kernel.Read(ctx)
		have = h.State
	} else {
		have, err = kernel.ReadState(ctx)
	}
	if err != nil {
		return 0, err
	}
	steps := table.Plan(have, want, all)
	took := time.Since(start)
	if len(steps) > 0 {
		return 0, fmt.Errorf("%d steps to do, the first: %s", len(steps), steps[0])
	}
	return took, nil
}

// restore fills the empty table with ipvsadm -R.
func (s *site) restore(want table.State) time.Duration {
	var in, out bytes.Buffer
	for _, step := range table.Plan(nil, want, all) {
		fmt.Fprintln(&in, step)
	}
	path, err := exec.LookPath("ipvsadm")
	s.b.stage.must(err)
	cmd := s.director.Command(context.Background(), path, "-R")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, &out
	start := time.Now()
	if err := cmd.Run(); err != nil {
		s.b.stage.Fatalf("ipvsadm -R: %v\n%s", err, out.String())
	}
	return time.Since(start)
}
