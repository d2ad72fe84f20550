package vip

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var errBusy = errors.New("busy")

const (
	verdictTime = 150 * time.Millisecond
	contested   = "192.0.2.10 is answered by 02:00:00:00:00:99 on eth0: another director holds it, or a web node lacks `ipvsd realserver setup`"
)

func guarded(addr, name string) Want {
	w := want(addr, name)
	w.Probe = true
	return w
}

// answered makes other machines answer for an address, or nobody.
func (k *fakeKernel) answered(addr string, macs ...[6]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.others == nil {
		k.others = map[netip.Addr][][6]byte{}
	}
	k.others[netip.MustParseAddr(addr)] = macs
}

// asked are the addresses of each question so far, as "interface address …".
func (k *fakeKernel) asked() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []string
	for _, p := range k.probes {
		s := p.Link.Name
		for _, a := range p.Addrs {
			s += " " + a.String()
		}
		out = append(out, s)
	}
	k.probes = nil
	return out
}

func TestProbeBeforeAdd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFake(eth(1, "eth0"))
		r := newRig(t, k)
		r.Set([]Want{guarded("192.0.2.10/32", "eth0"), guarded("192.0.2.11/32", "eth0"), guarded("2001:db8::10/128", "eth0"), want("192.0.2.12/32", "eth0")})
		r.wantAddrs(t, "192.0.2.12/32 eth0 *") // the others don't keep it waiting
		r.wantStatus(t, "192.0.2.10", Waiting, "")
		asked := k.asked()
		slices.Sort(asked)
		if diff := cmp.Diff([]string{"eth0 192.0.2.10 192.0.2.11", "eth0 2001:db8::10"}, asked); diff != "" {
			t.Errorf("asked (-want +got):\n%s", diff)
		}
		time.Sleep(verdictTime)
		synctest.Wait()
		for _, a := range []string{"192.0.2.10", "192.0.2.11", "2001:db8::10"} {
			r.wantStatus(t, a, Holding, "")
		}

		// A foreign removal is repaired without a question.
		k.answered("192.0.2.10", [6]byte{2, 5: 0x99})
		time.Sleep(time.Minute)
		k.lose("192.0.2.10/32")
		time.Sleep(settle)
		r.wantStatus(t, "192.0.2.10", Holding, "")
		if got := k.asked(); len(got) > 0 {
			t.Errorf("asked %q", got)
		}
	})
}

func TestAnsweredIsNotAdded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFake(eth(1, "eth0"))
		k.answered("192.0.2.10", [6]byte{2, 5: 0x99})
		r := newRig(t, k)
		wants := []Want{guarded("192.0.2.10/32", "eth0")}
		r.Set(wants)
		time.Sleep(verdictTime)
		r.wantStatus(t, "192.0.2.10", Failed, contested)
		for range 100 { // neither wants nor events make it ask more often
			time.Sleep(100 * time.Millisecond)
			r.Set(wants)
			k.change(func() {})
			r.wantStatus(t, "192.0.2.10", Failed, contested)
		}
		if got := k.asked(); len(got) != 2 {
			t.Errorf("asked %d times in 10 s", len(got))
		}
		time.Sleep(time.Hour)
		r.wantAddrs(t)
		if n := strings.Count(r.log.String(), "is answered by"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, r.log)
		}
		k.answered("192.0.2.10", [6]byte{2, 5: 0x99}, [6]byte{2, 5: 0x98})
		time.Sleep(probeAgain + verdictTime)
		r.wantStatus(t, "192.0.2.10", Failed, strings.Replace(contested, "02:00:00:00:00:99", "02:00:00:00:00:98 and 02:00:00:00:00:99", 1))
		k.answered("192.0.2.10")
		time.Sleep(probeAgain + verdictTime)
		r.wantStatus(t, "192.0.2.10", Holding, "")
		if s := r.wantStatus(t, "192.0.2.10", Holding, ""); s.Repaired != 0 {
			t.Errorf("repaired %d times", s.Repaired)
		}
	})
}

// The host answers itself through an interface on the same segment.
func TestOwnAnswersDontCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFake(eth(1, "eth0"), eth(2, "eth1"))
		k.answered("192.0.2.10", eth(2, "eth1").MAC)
		r := newRig(t, k)
		r.Set([]Want{guarded("192.0.2.10/32", "eth0")})
		time.Sleep(verdictTime)
		r.wantStatus(t, "192.0.2.10", Holding, "")
	})
}

func TestWhatIsNotProbed(t *testing.T) {
	dummy := Link{Name: "dummy0", Index: 3, MAC: [6]byte{2, 3}, Up: true, Carrier: true}
	lo := Link{Name: "lo", Index: 1, Loopback: true, Up: true, Carrier: true}
	for _, tc := range []struct {
		name string
		want Want
		held string
	}{
		{name: "the loopback", want: guarded("192.0.2.10/32", "lo")},
		{name: "without ARP", want: guarded("192.0.2.10/32", "dummy0")},
		{name: "not asked for", want: want("192.0.2.10/32", "eth0")},
		{name: "adopted", want: guarded("192.0.2.10/32", "eth0"), held: "192.0.2.10/32"},
		{name: "adopted with another prefix", want: guarded("192.0.2.10/24", "eth0"), held: "192.0.2.10/32"},
		{name: "moved", want: guarded("192.0.2.10/32", "eth0"), held: "192.0.2.10/32"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newFake(lo, eth(2, "eth0"), dummy, eth(4, "eth1"))
				if tc.held != "" {
					on := "eth0"
					if tc.name == "moved" {
						on = "eth1"
					}
					if err := k.Do(Step{Add, netip.MustParsePrefix(tc.held), on, Forever}); err != nil {
						t.Fatal(err)
					}
				}
				k.answered("192.0.2.10", [6]byte{2, 5: 0x99})
				r := newRig(t, k)
				r.Set([]Want{tc.want})
				r.wantStatus(t, "192.0.2.10", Holding, "")
				r.wantAddrs(t, tc.want.Addr.String()+" "+tc.want.Interface+" *")
				if got := k.asked(); len(got) > 0 {
					t.Errorf("asked %q", got)
				}
			})
		})
	}
}

func TestProbeNeedsAWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := eth(1, "eth0")
		link.Carrier = false
		k := newFake(link)
		r := newRig(t, k)
		r.Set([]Want{guarded("192.0.2.10/32", "eth0")})
		r.wantStatus(t, "192.0.2.10", Failed, "add 192.0.2.10/32 to eth0: interface eth0 has no carrier")
		link.Carrier = true
		k.change(func() { k.links, k.probeErr = []Link{link}, errors.New("network is down") })
		time.Sleep(settle + verdictTime)
		r.wantStatus(t, "192.0.2.10", Failed, "ask on eth0 whether another machine has 192.0.2.10: network is down")
		r.wantAddrs(t)
		// Made anew while it is asked on: the answers of the old one say nothing.
		time.Sleep(probeAgain)
		k.change(func() { k.probeErr, k.links = nil, []Link{eth(7, "eth0")} })
		time.Sleep(settle + verdictTime)
		r.wantStatus(t, "192.0.2.10", Holding, "")
	})
}

// A stopped process finds its lease over: somebody else may have the address.
func TestExpiredIsProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFake(eth(1, "eth0"))
		r := newRig(t, k)
		w := guarded("192.0.2.10/32", "eth0")
		w.Lifetime = 2 * time.Second
		r.Set([]Want{w})
		time.Sleep(verdictTime)
		r.wantStatus(t, "192.0.2.10", Holding, "")
		k.answered("192.0.2.10", [6]byte{2, 5: 0x99})
		time.Sleep(3 * time.Second)
		r.wantStatus(t, "192.0.2.10", Lapsed, "not renewed for 2s")
		r.Set([]Want{w})
		time.Sleep(verdictTime)
		r.wantStatus(t, "192.0.2.10", Failed, contested)
	})
}

func TestWantsEndWhileAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFake(eth(1, "eth0"))
		r := newRig(t, k)
		wants := []Want{guarded("192.0.2.10/32", "eth0")}
		r.Set(wants)
		synctest.Wait()
		r.Set(nil)
		time.Sleep(time.Minute)
		r.wantAddrs(t)
		r.Set(wants)
		synctest.Wait()
		r.stop() // in the middle of it
		time.Sleep(time.Minute)
		r.wantAddrs(t)

		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		time.Sleep(verdictTime)
		r.wantStatus(t, "192.0.2.10", Holding, "")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFake(eth(1, "eth0"))
		idle := New(Options{system: k})
		if err := idle.Ping(t.Context()); err != nil {
			t.Errorf("before Run: %v", err)
		}
		r := newRig(t, k)
		synctest.Wait()
		if err := r.Ping(t.Context()); err != nil {
			t.Errorf("while it runs: %v", err)
		}
		release := make(chan struct{})
		k.change(func() { k.fail = func(Step) error { <-release; return nil } })
		r.Set([]Want{want("192.0.2.10/32", "eth0")})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while it hangs: %v", err)
		}
		close(release)
		if err := r.Ping(t.Context()); err != nil {
			t.Errorf("after it hung: %v", err)
		}
		r.stop()
		if err := r.Ping(t.Context()); err != nil {
			t.Errorf("after Run: %v", err)
		}
	})
}
