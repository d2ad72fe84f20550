package vip

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAnnouncementSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(eth(1, "eth0")))
		start := time.Now()
		r.Set([]Want{want("192.0.2.10/32", "eth0"), want("2001:db8::10/128", "eth0")})
		time.Sleep(130 * time.Second)
		ms := func(ms ...int) (out []time.Duration) {
			for _, m := range ms {
				out = append(out, time.Duration(m)*time.Millisecond)
			}
			return out
		}
		times := ms(0, 20, 100, 300, 1000, 2000, 3500, 63500, 123500)
		for _, a := range []string{"192.0.2.10", "2001:db8::10"} {
			if diff := cmp.Diff(times, r.kernel.times(a, start)); diff != "" {
				t.Errorf("%s announced (-want +got):\n%s", a, diff)
			}
			if s := r.wantStatus(t, a, Holding, ""); s.Announced != 9 {
				t.Errorf("%s: announced %d times", a, s.Announced)
			}
		}

		again := time.Now()
		r.Announce()
		time.Sleep(150 * time.Millisecond)
		if diff := cmp.Diff(ms(0, 20, 100), r.kernel.times("192.0.2.10", again)); diff != "" {
			t.Errorf("after Announce (-want +got):\n%s", diff)
		}

		r.Set(nil)
		synctest.Wait()
		gone := time.Now()
		time.Sleep(5 * time.Minute)
		if got := r.kernel.times("192.0.2.10", gone); len(got) > 0 {
			t.Errorf("announced %v after it was given up", got)
		}
	})
}

// An address that another machine takes over is held and not announced, also
// where an announcement would be due; and again when it stays after all.
func TestSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(eth(1, "eth0")))
		w := want("192.0.2.10/32", "eth0")
		r.Set([]Want{w})
		time.Sleep(900 * time.Millisecond)
		start := time.Now()
		w.Silent = true
		r.Set([]Want{w})
		time.Sleep(2 * time.Second) // two would have been due
		if got := r.kernel.times("192.0.2.10", start); len(got) > 0 {
			t.Errorf("announced after %v", got)
		}
		r.wantAddrs(t, "192.0.2.10/32 eth0 *")
		w.Silent = false
		start = time.Now()
		r.Set([]Want{w})
		time.Sleep(100 * time.Millisecond)
		if got := r.kernel.times("192.0.2.10", start); len(got) == 0 {
			t.Error("not announced again")
		}
	})
}

func TestManyAreAnnouncedInHeaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(eth(1, "eth0")))
		var wants []Want
		for i := range 200 {
			wants = append(wants, Want{Addr: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 32), Interface: "eth0"})
		}
		start := time.Now()
		r.Set(wants)
		time.Sleep(10 * time.Millisecond)
		r.kernel.mu.Lock()
		defer r.kernel.mu.Unlock()
		heaps := map[time.Duration]int{}
		for _, s := range r.kernel.sent {
			heaps[s.At.Sub(start)]++
		}
		want := map[time.Duration]int{0: 64, time.Millisecond: 64, 2 * time.Millisecond: 64, 3 * time.Millisecond: 8}
		if diff := cmp.Diff(want, heaps); diff != "" {
			t.Errorf("heaps (-want +got):\n%s", diff)
		}
	})
}

func TestNothingBeforeSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFake(eth(1, "eth0"))
		k.own("192.0.2.2/24", "eth0")
		for _, a := range []string{"192.0.2.10/32", "192.0.2.11/32"} {
			if err := k.Do(Step{Add, netip.MustParsePrefix(a), "eth0", Forever}); err != nil {
				t.Fatal(err)
			}
		}
		k.took()
		r := newRig(t, k)
		time.Sleep(time.Hour)
		r.wantAddrs(t, "192.0.2.2/24 eth0", "192.0.2.10/32 eth0 *", "192.0.2.11/32 eth0 *")

		r.Set([]Want{want("192.0.2.10/32", "eth0")})
		r.wantAddrs(t, "192.0.2.2/24 eth0", "192.0.2.10/32 eth0 *")
		if diff := cmp.Diff([]string{"ip addr del 192.0.2.11/32 dev eth0"}, k.took()); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
		if !strings.Contains(r.log.String(), "adopted=true") {
			t.Errorf("the adoption is not in the log:\n%s", r.log)
		}
		r.stop()
		r.wantAddrs(t, "192.0.2.2/24 eth0", "192.0.2.10/32 eth0 *")
	})
}

func TestRelease(t *testing.T) {
	for _, running := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			k := newFake(eth(1, "eth0"))
			k.own("192.0.2.2/24", "eth0")
			r := newRig(t, k)
			r.Set([]Want{want("192.0.2.10/32", "eth0")})
			r.wantAddrs(t, "192.0.2.2/24 eth0", "192.0.2.10/32 eth0 *")
			if !running {
				r.stop()
			}
			if err := r.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.wantAddrs(t, "192.0.2.2/24 eth0")
			time.Sleep(time.Hour)
			r.wantAddrs(t, "192.0.2.2/24 eth0")
			if s := r.Snapshot(); len(s) > 0 {
				t.Errorf("snapshot after Release: %v", s)
			}
		})
	}
}

func TestReleaseTellsWhatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFake(eth(1, "eth0"))
		r := newRig(t, k)
		r.Set([]Want{want("192.0.2.10/32", "eth0")})
		synctest.Wait()
		k.change(func() { k.fail = func(Step) error { return errors.New("device or resource busy") } })
		err := r.Release(t.Context())
		if err == nil || err.Error() != "remove 192.0.2.10/32 from eth0: device or resource busy" {
			t.Errorf("Release: %v", err)
		}
		k.change(func() { k.fail = nil })
		r.wantAddrs(t, "192.0.2.10/32 eth0 *") // events in a heap are one
		time.Sleep(time.Second)
		r.wantAddrs(t)
	})
}

func TestForeignRemovalIsRepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(eth(1, "eth0")))
		r.Set([]Want{want("192.0.2.10/32", "eth0")})
		time.Sleep(time.Minute)
		start := time.Now()
		r.kernel.lose("192.0.2.10/32")
		time.Sleep(settle)
		r.wantAddrs(t, "192.0.2.10/32 eth0 *")
		if s := r.wantStatus(t, "192.0.2.10", Holding, ""); s.Repaired != 1 {
			t.Errorf("repaired %d times", s.Repaired)
		}
		time.Sleep(50 * time.Millisecond)
		if got := r.kernel.times("192.0.2.10", start); len(got) < 2 {
			t.Errorf("announced after the repair: %v", got)
		}
	})
}

// A program that removes the address each time it sees it must not make the
// two fight at full speed.
func TestFightIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(eth(1, "eth0")))
		r.Set([]Want{want("192.0.2.10/32", "eth0")})
		synctest.Wait()
		r.kernel.took()
		for range 1000 {
			r.kernel.lose("192.0.2.10/32")
			time.Sleep(20 * time.Millisecond)
		}
		if n := len(r.kernel.took()); n < 15 || n > 30 {
			t.Errorf("put back %d times in 20 s", n)
		}
		r.wantStatus(t, "192.0.2.10", Failed, "add 192.0.2.10/32 to eth0: another program keeps removing it")
		time.Sleep(2 * time.Second)
		r.wantAddrs(t, "192.0.2.10/32 eth0 *")
		time.Sleep(time.Minute)
		r.kernel.lose("192.0.2.10/32")
		time.Sleep(settle)
		r.wantAddrs(t, "192.0.2.10/32 eth0 *")
	})
}

func TestInterfacesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFake()
		r := newRig(t, k)
		r.Set([]Want{want("192.0.2.10/32", "eth0")})
		r.wantStatus(t, "192.0.2.10", Failed, "add 192.0.2.10/32 to eth0: there is no interface eth0")
		time.Sleep(10 * time.Minute)
		if n := strings.Count(r.log.String(), "there is no interface"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, r.log)
		}

		link := eth(5, "eth0")
		link.Up, link.Carrier = false, false
		k.change(func() { k.links = []Link{link} })
		time.Sleep(settle)
		r.wantStatus(t, "192.0.2.10", Failed, "add 192.0.2.10/32 to eth0: interface eth0 is down (ip link set eth0 up)")

		link.Up = true
		k.change(func() { k.links = []Link{link} })
		time.Sleep(settle)
		r.wantStatus(t, "192.0.2.10", Holding, "interface eth0 has no carrier")
		if len(k.times("192.0.2.10", time.Time{})) > 0 {
			t.Error("announced without a carrier")
		}

		link.Carrier = true
		plugged := time.Now()
		k.change(func() { k.links = []Link{link} })
		time.Sleep(30 * time.Millisecond)
		r.wantStatus(t, "192.0.2.10", Holding, "")
		if got := k.times("192.0.2.10", plugged); len(got) < 1 {
			t.Error("not announced when the cable was plugged in")
		}

		time.Sleep(time.Minute)
		made := time.Now()
		link.Index, link.MAC = 9, [6]byte{2, 9}
		k.change(func() { k.links, k.held = []Link{link}, nil })
		time.Sleep(30 * time.Millisecond)
		s := r.wantStatus(t, "192.0.2.10", Holding, "")
		if s.Repaired != 0 {
			t.Error("a new interface was taken for a foreign removal")
		}
		k.mu.Lock()
		last := k.sent[len(k.sent)-1]
		k.mu.Unlock()
		if last.At.Before(made) || last.Link.Index != 9 || last.Link.MAC != link.MAC {
			t.Errorf("the last announcement was on %v", last.Link)
		}

		// Renamed: the address goes on serving under the new name.
		link.Name = "lan0"
		k.change(func() {
			k.links = []Link{link}
			k.held[0].Interface = "lan0"
		})
		time.Sleep(settle)
		r.wantAddrs(t, "192.0.2.10/32 lan0 *")
		link.AltName = "enp1s0 eth0"
		k.change(func() { k.links = []Link{link} })
		time.Sleep(settle)
		r.wantStatus(t, "192.0.2.10", Holding, "")
		r.wantAddrs(t, "192.0.2.10/32 lan0 *")
	})
}

func TestOwnAddressOfTheHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFake(eth(1, "eth0"), eth(2, "eth1"))
		k.own("192.0.2.10/24", "eth1")
		r := newRig(t, k)
		r.Set([]Want{want("192.0.2.10/32", "eth0")})
		if s := r.wantStatus(t, "192.0.2.10", Own, ""); s.Interface != "eth1" {
			t.Errorf("held on %s", s.Interface)
		}
		time.Sleep(time.Hour)
		if len(k.took())+len(k.times("192.0.2.10", time.Time{})) > 0 {
			t.Error("the host's own address was touched or announced")
		}
		r.Set(nil)
		r.wantAddrs(t, "192.0.2.10/24 eth1")
	})
}

func TestLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFake(eth(1, "eth0"))
		r := newRig(t, k)
		w := want("192.0.2.10/32", "eth0")
		w.Lifetime = 2 * time.Second
		for range 20 { // renewed
			r.Set([]Want{w})
			time.Sleep(500 * time.Millisecond)
			r.wantAddrs(t, "192.0.2.10/32 eth0 *")
		}
		time.Sleep(1600 * time.Millisecond) // not renewed
		r.wantAddrs(t)
		k.change(func() {}) // the kernel tells of the expiry: no repair
		time.Sleep(time.Second)
		r.wantAddrs(t)
		r.wantStatus(t, "192.0.2.10", Lapsed, "not renewed for 2s")
		r.Set([]Want{w})
		r.wantAddrs(t, "192.0.2.10/32 eth0 *")
		r.wantStatus(t, "192.0.2.10", Holding, "")

		r.stop() // nobody there: the kernel removes it
		time.Sleep(2 * time.Second)
		r.wantAddrs(t)
	})
}

// TestConvergesAfterFailures fails each single step once; afterwards all is as
// it should be.
func TestConvergesAfterFailures(t *testing.T) {
	for bad := range 5 {
		synctest.Test(t, func(t *testing.T) {
			k := newFake(eth(1, "eth0"), eth(2, "eth1"))
			for _, a := range []string{"192.0.2.10/32", "192.0.2.11/32", "2001:db8::10/128"} {
				if err := k.Do(Step{Add, netip.MustParsePrefix(a), "eth0", Forever}); err != nil {
					t.Fatal(err)
				}
			}
			n := 0
			k.fail = func(Step) error {
				n++
				if n == bad+1 {
					return errors.New("no buffer space available")
				}
				return nil
			}
			r := newRig(t, k)
			r.Set([]Want{want("192.0.2.10/32", "eth1"), want("2001:db8::10/64", "eth0")})
			time.Sleep(time.Second)
			r.wantStatus(t, "192.0.2.10", Holding, "")
			r.wantStatus(t, "2001:db8::10", Holding, "")
			time.Sleep(time.Second)
			if got := len(k.addrs()); got != 2 {
				t.Errorf("step %d failed: %v", bad, k.addrs())
			}
		})
	}
}

func TestErrorsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFake(eth(1, "eth0"))
		k.sendErr = errors.New("operation not permitted: needs root or CAP_NET_RAW")
		r := newRig(t, k)
		r.Set([]Want{want("192.0.2.10/32", "eth0")})
		r.wantStatus(t, "192.0.2.10", Holding, "announce on eth0: operation not permitted: needs root or CAP_NET_RAW")
		time.Sleep(10 * time.Minute)
		if n := strings.Count(r.log.String(), "CAP_NET_RAW"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, r.log)
		}
		k.change(func() { k.readErr = errors.New("read addresses: no buffer space available") })
		time.Sleep(settle)
		r.wantStatus(t, "192.0.2.10", Holding, "read addresses: no buffer space available")
		k.change(func() { k.readErr, k.sendErr = nil, nil })
		time.Sleep(2 * time.Minute)
		r.wantStatus(t, "192.0.2.10", Holding, "")
	})
}

// TestQuiet: where nothing happens, the kernel is looked at twice a minute.
func TestQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFake(eth(1, "eth0"))
		r := newRig(t, k)
		r.Set([]Want{want("192.0.2.10/32", "eth0")})
		time.Sleep(time.Second)
		<-r.Changed()
		k.mu.Lock()
		before := k.reads
		k.mu.Unlock()
		time.Sleep(10 * time.Minute)
		k.mu.Lock()
		defer k.mu.Unlock()
		if n := k.reads - before; n > 21 {
			t.Errorf("read the kernel %d times in 10 quiet minutes", n)
		}
	})
}
