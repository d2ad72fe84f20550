package director_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/kerneltest"
	"github.com/ipvsd/ipvsd/director/table"
)

// BenchmarkStatus is what a scrape of 1,000 × 10 real servers costs before it is
// written, but for the kernel's own part: the table is in memory.
func BenchmarkStatus(b *testing.B) {
	cfg, checks, kernel := &config.Config{}, newFakeChecks(), kerneltest.New()
	var steps []table.Step
	for i := range 1000 {
		key := table.ByAddr(table.TCP, netip.AddrPortFrom(netip.MustParseAddr("192.0.2.100"), uint16(1000+i)))
		v := config.Virtual{Name: fmt.Sprintf("service-%d", i), Service: table.Service{ServiceKey: key, Scheduler: "rr"}}
		want := table.Entry{Service: v.Service, Reals: map[netip.AddrPort]table.Real{}}
		for j := range 10 {
			r := table.Real{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i / 250), byte(i % 250), byte(j)}), 80), Forward: table.NAT, Weight: 1}
			want.Reals[r.Addr] = r
			v.Reals = append(v.Reals, config.Real{Real: r, Check: checker.Spec{Type: checker.Connect, Target: r.Addr}})
			checks.status[checker.ID(table.Pair{Service: key, Real: r.Addr}.String())] = checker.Status{
				State: checker.Up, Good: 10, Last: checker.Result{OK: true, Reason: "connected", Start: time.Now()},
			}
		}
		steps = append(steps, table.Plan(nil, table.State{key: want}, func(table.ServiceKey) bool { return true })...)
		cfg.Virtuals = append(cfg.Virtuals, v)
	}
	ctx := context.Background()
	for _, err := range kernel.Do(ctx, steps) {
		if err != nil {
			b.Fatal(err)
		}
	}
	d := director.New(cfg, director.Options{Kernel: kernel, Checks: checks, SysctlRoot: b.TempDir()})
	b.ReportAllocs()
	for b.Loop() {
		if st := d.Status(ctx); len(st.Virtuals) != 1000 || !st.Virtuals[999].Up {
			b.Fatal("a status without all virtual services")
		}
	}
}
