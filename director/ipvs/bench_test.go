package ipvs

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director/table"
)

// bigTable is 1,000 services with 10 real servers each.
func bigTable() table.State {
	st := table.State{}
	for i := range 1000 {
		vip := netip.AddrFrom4([4]byte{192, 0, 2, byte(i / 250)})
		k := table.ByAddr(table.TCP, netip.AddrPortFrom(vip, uint16(1000+i)))
		e := table.Entry{
			Service: table.Service{ServiceKey: k, Scheduler: "wlc"},
			Reals:   map[netip.AddrPort]table.Real{},
		}
		for j := range 10 {
			a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i / 250), byte(j)}), k.Addr.Port())
			e.Reals[a] = table.Real{Addr: a, Forward: table.DR, Weight: uint32(j + 1)}
		}
		st[k] = e
	}
	return st
}

func all(table.ServiceKey) bool { return true }

// program fills the empty table from the state and returns how long reading,
// planning and doing took together, which is what the director's start takes.
func program(tb testing.TB, tbl *Table, want table.State) time.Duration {
	tb.Helper()
	ctx := context.Background()
	start := time.Now()
	have, err := tbl.ReadState(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	_, failed := table.Execute(ctx, have, table.Plan(have, want, all), tbl.Do)
	if len(failed) > 0 {
		tb.Fatalf("%d steps failed, the first: %v", len(failed), failed[0].Err)
	}
	return time.Since(start)
}

// restore fills the empty table with ipvsadm -R.
func restore(tb testing.TB, want table.State) time.Duration {
	tb.Helper()
	var in bytes.Buffer
	for _, s := range table.Plan(nil, want, all) {
		fmt.Fprintln(&in, s)
	}
	cmd := exec.Command("ipvsadm", "-R")
	cmd.Stdin = &in
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("ipvsadm -R: %v\n%s", err, out)
	}
	return time.Since(start)
}

// reconcile reads and plans a table that is as it should be.
func reconcile(tb testing.TB, tbl *Table, want table.State) time.Duration {
	tb.Helper()
	start := time.Now()
	have, err := tbl.ReadState(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	if steps := table.Plan(have, want, all); len(steps) > 0 {
		tb.Fatalf("%d steps to do, the first: %s", len(steps), steps[0])
	}
	return time.Since(start)
}

// BenchmarkTable compares programming with ipvsadm -R, and a reconcile that
// finds nothing to do with programming. It does in turn what it compares, so
// that a slow moment of the machine falls on all alike, and takes medians.
func BenchmarkTable(b *testing.B) {
	tbl, want := mustOpen(b), bigTable()
	var ours, ipvsadm, again []time.Duration
	for b.Loop() {
		for range 5 {
			mustFlush(b, tbl)
			ipvsadm = append(ipvsadm, restore(b, want))
			mustFlush(b, tbl)
			ours = append(ours, program(b, tbl, want))
			mean := time.Duration(0)
			for range audit { // one full dump among them
				mean += reconcile(b, tbl, want) / audit
			}
			again = append(again, mean)
		}
	}
	ms := func(ds []time.Duration) float64 {
		slices.Sort(ds)
		return ds[len(ds)/2].Seconds() * 1000
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ms(ours), "ms/program")
	b.ReportMetric(ms(ipvsadm), "ms/ipvsadm-R")
	b.ReportMetric(ms(again), "ms/reconcile")
	b.ReportMetric(ms(ours)/ms(ipvsadm), "program:ipvsadm-R")
	b.ReportMetric(ms(again)/ms(ours), "reconcile:program")
}

// BenchmarkRead is the full read alone, with its allocations.
func BenchmarkRead(b *testing.B) {
	tbl := mustOpen(b)
	program(b, tbl, bigTable())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tbl.Read(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadState is the same without counters.
func BenchmarkReadState(b *testing.B) {
	tbl := mustOpen(b)
	program(b, tbl, bigTable())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tbl.ReadState(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPlan is the comparison alone.
func BenchmarkPlan(b *testing.B) {
	have, want := bigTable(), bigTable()
	b.ReportAllocs()
	for b.Loop() {
		if steps := table.Plan(have, want, all); len(steps) > 0 {
			b.Fatal(steps[0])
		}
	}
}
