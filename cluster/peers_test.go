package cluster

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipvsd/ipvsd/cluster/core"
)

// preempting lets the better director come back after it was away.
func preempting(t *testing.T) *rig {
	r := newRig(t, 2, func(_ int, o *Options) { o.Core.Preempt = true })
	r.until(webVIP, "lb1", 6*time.Second)
	time.Sleep(5 * time.Second)
	r.nodes[0].die()
	r.until(webVIP, "lb2", 2*time.Second)
	time.Sleep(30 * time.Second)
	h := r.nodes[0].host.again()
	h.held = map[netip.Addr]*fakeHeld{} // the machine was away
	r.nodes[0] = r.start(0, 2, h)
	r.nodes[0].plug()
	return r
}

// A better director asks for its role back once the synced connections are
// there, and not before.
func TestPreemptWaitsForConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := preempting(t)
		r.stays(webVIP, "lb2", 30*time.Second)
		if g := r.nodes[0].group("web"); g.WhyCode != core.PreemptWaits {
			t.Errorf("%+v", g)
		}
		r.nodes[0].Warmed()
		r.until(webVIP, "lb1", 2*time.Second)
		time.Sleep(time.Second)
		if f := r.nodes[0].group("web").Failover; f.From != "lb2" {
			t.Errorf("the former holder is %q: %+v", f.From, f)
		}
	})
}

// Or when it has waited for long enough.
func TestPreemptCap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := preempting(t)
		r.stays(webVIP, "lb2", 50*time.Second)
		r.until(webVIP, "lb1", 15*time.Second)
	})
}

func TestFormerHolder(t *testing.T) {
	both(t, func(t *testing.T, n int) {
		r := newRig(t, n, nil)
		r.until(webVIP, "lb1", 6*time.Second)
		time.Sleep(5 * time.Second)
		if f := r.nodes[0].group("web").Failover; f.From != "" {
			t.Errorf("the first holder took it from %q", f.From)
		}
		r.nodes[0].die()
		r.until(webVIP, "lb2", 2*time.Second)
		time.Sleep(time.Second)
		if f := r.nodes[1].group("web").Failover; f.From != "lb1" {
			t.Errorf("lb2 took it from %q", f.From)
		}
	})
}

func TestTellAndAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, func(i int, o *Options) {
			if i == 1 {
				o.Gossip.Answer = func(_ context.Context, from string, q []byte) []byte { return []byte(from + ":" + string(q)) }
			}
		})
		if err := r.nodes[0].Tell([]byte("three up")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		told := map[string]string{}
		for _, m := range r.nodes[1].Snapshot().Members {
			told[m.Name] = string(m.Told)
		}
		if told["lb1"] != "three up" || told["lb2"] != "" {
			t.Errorf("told %v", told)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if a, err := r.nodes[0].Ask(ctx, "lb2", []byte("q")); err != nil || string(a) != "lb1:q" {
			t.Errorf("%q, %v", a, err)
		}
		if a, err := r.nodes[0].Rotate(ctx, false); err != nil || a.Done {
			t.Errorf("rotated a cluster without keys: %+v, %v", a, err)
		}
	})
}
