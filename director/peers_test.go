package director

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/ipvs/syncd"
	"github.com/ipvsd/ipvsd/director/table"
)

func TestFewerReals(t *testing.T) {
	track := config.Track{Kind: config.TrackFewerReals, FewerReals: 2, Weight: 20, Rise: 2, Fall: 3}
	own := func(up int) Census { return Census{Set: 7, Up: up, All: 4, Complete: true} }
	other := func(name string, up int) Other { return Other{name, Census{Set: 7, Up: up, All: 4, Complete: true}} }
	unlike, unready := other("lb3", 4), other("lb3", 4)
	unlike.Set, unready.Complete = 8, false
	const bad = "1 of 4 real servers are up here, 3 on lb2"
	for _, tc := range []struct {
		name   string
		own    []Census
		others []Other
		want   []string
	}{
		{"after fall looks", []Census{own(1), own(1), own(1), own(1)}, []Other{other("lb2", 3)}, []string{"", "", bad, bad}},
		{"one look is good", []Census{own(1), own(1), own(3), own(1), own(1), own(1)}, []Other{other("lb2", 3)}, []string{"", "", "", "", "", bad}},
		{"after rise looks", []Census{own(1), own(1), own(1), own(2), own(1), own(2), own(2)}, []Other{other("lb2", 3)}, []string{"", "", bad, bad, bad, bad, ""}},
		{"the difference is too small", []Census{own(2), own(2), own(2)}, []Other{other("lb2", 3)}, []string{"", "", ""}},
		{"the best other counts", []Census{own(1), own(1), own(1)}, []Other{other("lb3", 2), other("lb2", 3), other("lb4", 1)}, []string{"", "", bad}},
		{"no verdict here yet", []Census{{Set: 7}, {Set: 7}, {Set: 7}, {Set: 7}}, []Other{other("lb2", 4)}, []string{"", "", "", ""}},
		{"none there yet", []Census{own(1), own(1), own(1)}, []Other{unready}, []string{"", "", ""}},
		{"another file", []Census{own(1), own(1), own(1)}, []Other{unlike}, []string{"", "", ""}},
		{"nobody else", []Census{own(0), own(0), own(0)}, nil, []string{"", "", ""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var f fewerReals
			for i, own := range tc.own {
				f.look(track, own, tc.others)
				if got := f.why(); got != tc.want[i] {
					t.Errorf("look %d: %q, want %q", i+1, got, tc.want[i])
				}
			}
		})
	}
}

func FuzzCensus(f *testing.F) {
	f.Add(Census{Set: 1 << 60, Up: 2, All: 3, Complete: true, Faults: "1 of 3 real servers are up here"}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		c, ok := decodeCensus(b)
		if !ok {
			return
		}
		again, ok := decodeCensus(c.encode())
		if !ok || len(c.Faults) < 400 && again != c {
			t.Errorf("%+v, then %+v", c, again)
		}
	})
}

func TestCensusFits(t *testing.T) {
	long := Census{Faults: strings.Repeat("ä", 400)}
	c, ok := decodeCensus(long.encode())
	if !ok || len(c.Faults) < 300 || strings.ContainsRune(c.Faults, '\uFFFD') {
		t.Errorf("%v, %d bytes", ok, len(c.Faults))
	}
}

// warmRig is what a warmth sees.
type warmRig struct {
	preempt, wanted, running bool
	holders                  []string
	own, theirs              connections
	err                      error
	asked, warmed            atomic.Int32
}

func (r *warmRig) warmth() *warmth {
	return &warmth{
		log:     slog.New(slog.DiscardHandler),
		preempt: func() bool { return r.preempt },
		synced:  func() (bool, bool) { return r.wanted, r.running },
		holders: func() []string { return r.holders },
		own:     func(context.Context) (connections, error) { return r.own, nil },
		ask: func(_ context.Context, name string) (connections, error) {
			r.asked.Add(1)
			return r.theirs, r.err
		},
		warmed: func() { r.warmed.Add(1) },
	}
}

func TestWarmth(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(*warmRig)
		want string // why it waits; "": it is warm
	}{
		{"all arrived", func(*warmRig) {}, ""},
		{"most arrived", func(r *warmRig) { r.own[3] = 91 }, ""},
		{"too few", func(r *warmRig) { r.own[3] = 43 }, "43 % of the connections of lb2 are known here, 90 % are wanted"},
		{"other ones", func(r *warmRig) { r.own[3], r.own[4] = 0, 100 }, "0 % of the connections of lb2"},
		{"none to lose", func(r *warmRig) { r.own, r.theirs = connections{}, connections{} }, ""},
		{"sync is off", func(r *warmRig) { r.wanted, r.running, r.own[3] = false, false, 0 }, ""},
		{"sync doesn't run", func(r *warmRig) { r.running = false }, "the kernel's connection sync isn't running yet"},
		{"no answer", func(r *warmRig) { r.err = fmt.Errorf("lb2 doesn't answer") }, "the connections of lb2 aren't known: lb2 doesn't answer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &warmRig{preempt: true, wanted: true, running: true, holders: []string{"lb2"}}
				r.own[3], r.theirs[3] = 100, 100
				tc.do(r)
				w := r.warmth()
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- w.run(ctx) }()
				time.Sleep(20 * time.Second)
				if (r.warmed.Load() == 1) != (tc.want == "") || !strings.Contains(w.waits(), tc.want) || tc.want == "" && w.waits() != "" {
					t.Errorf("warm %d times, waits: %q", r.warmed.Load(), w.waits())
				}
				time.Sleep(warmCap)
				before := r.asked.Load()
				time.Sleep(warmCap)
				if n := r.asked.Load() - before; n > int32(warmCap/lagEvery) || w.waits() != "" {
					t.Errorf("goes on after the cap: %d more questions, %q", n, w.waits())
				}
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
	t.Run("without preempt it is only for status", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := &warmRig{wanted: true, running: true, holders: []string{"lb2"}}
			r.own[3], r.theirs[3] = 43, 100
			w := r.warmth()
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- w.run(ctx) }()
			time.Sleep(2*warmCap - time.Second)
			if n := r.asked.Load(); n != int32(2*warmCap/lagEvery) || r.warmed.Load() > 0 || w.waits() != "" {
				t.Errorf("asked %d times, told %d times, waits: %q", n, r.warmed.Load(), w.waits())
			}
			if k := w.lag.Load(); k == nil || *k != (SyncKnown{0.43, "lb2"}) {
				t.Errorf("known: %v", k)
			}
			cancel()
			<-ended
		})
	})
}

// Connections that may be too young to have been synchronised don't count, once
// there is an earlier look to tell them by.
func TestConnectionRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := table.ByMark(table.IPv4, 9)
		pair := table.Pair{Service: key}
		var now table.Counters
		r := connectionRecord{read: func(context.Context, ...table.ServiceKey) (table.Have, error) {
			return table.Have{Reals: map[table.Pair]table.Counters{pair: now}}, nil
		}}
		look := func(active uint32, total uint64) uint32 {
			t.Helper()
			now = table.Counters{Active: active, Conns: total}
			c, err := r.look(t.Context(), &config.Config{})
			if err != nil {
				t.Fatal(err)
			}
			b, err := decodeConnections(c.encode())
			if err != nil || b != c {
				t.Errorf("encoding: %v", err)
			}
			return c[bucketOf(pair)]
		}
		for _, step := range []struct {
			active uint32
			total  uint64
			want   uint32
		}{
			{100, 1000, 100}, // nothing is known: all count
			{100, 1010, 100},
			{100, 1020, 80}, // 4 s later: 20 may be young
			{100, 1030, 80},
			{10, 5000, 0},
			{10, 3, 10}, // the entry is new
		} {
			if got := look(step.active, step.total); got != step.want {
				t.Errorf("%d active of %d: %d count, want %d", step.active, step.total, got, step.want)
			}
			time.Sleep(2 * time.Second)
		}
		time.Sleep(time.Hour)
		if got := look(10, 100000); got != 10 {
			t.Errorf("a look of an hour ago makes %d of 10 count", got)
		}
		if len(r.looks) > 4 || syncd.Delay > 4*time.Second {
			t.Errorf("%d looks kept", len(r.looks))
		}
	})
}

func TestFaultText(t *testing.T) {
	got := faultText([]core.Fault{{Name: "fewer_reals", Text: "1 of 3 up", Weight: 20}, {Name: "interface", Text: "eth1 is down"}})
	if want := "1 of 3 up (priority -20); eth1 is down (it can't be active)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
