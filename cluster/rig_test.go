package cluster

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/cluster/gossip"
	"github.com/ipvsd/ipvsd/cluster/gossip/gossiptest"
	"github.com/ipvsd/ipvsd/cluster/vip"
)

const (
	webVIP  = "192.0.2.100"
	mailVIP = "192.0.2.101"
)

// rig is a cluster on one segment, in virtual time.
type rig struct {
	t     *testing.T
	net   *gossiptest.Network
	lan   *lan
	nodes []*fakeNode
	edit  func(i int, o *Options)
	bare  bool // Programmed isn't called
}

// fakeNode is one director with its machine.
type fakeNode struct {
	*Node
	rig    *rig
	index  int
	host   *fakeHost
	log    *syncBuffer
	cancel context.CancelFunc
	done   chan error

	mu     sync.Mutex
	events []string
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func addrOf(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 7946)
}

// newRig makes n directors, lb1 the best, and starts them.
func newRig(t *testing.T, n int, edit func(i int, o *Options)) *rig {
	r := &rig{t: t, net: gossiptest.New(1), lan: &lan{}, edit: edit}
	r.nodes = make([]*fakeNode, n)
	for i := n - 1; i >= 0; i-- { // not in the very same moment: who still listens grants no vote
		r.nodes[i] = r.start(i, n, r.lan.host(byte(i+1)))
		time.Sleep(50 * time.Millisecond)
	}
	t.Cleanup(func() {
		for _, n := range r.nodes {
			n.end()
		}
		time.Sleep(10 * time.Second) // memberlist's last probes
		if t.Failed() {
			for _, n := range r.nodes {
				t.Logf("lb%d:\n%s", n.index+1, n.log)
			}
		}
	})
	return r
}

func (r *rig) options(i, n int) Options {
	var join []netip.AddrPort
	for j := range n {
		if j != i {
			join = append(join, addrOf(j))
		}
	}
	o := Options{
		Core:   core.Config{Name: fmt.Sprintf("lb%d", i+1), Directors: n, Priority: 200 - 10*i, Timers: core.Standard},
		Groups: []Group{{Name: "web", Addresses: []vip.Want{{Addr: netip.MustParsePrefix(webVIP + "/32")}}}},
		Gossip: gossip.Options{
			Listen: addrOf(i), Join: join, Insecure: true, ClusterLabel: "test",
		},
	}
	if r.edit != nil {
		r.edit(i, &o)
	}
	return o
}

func (r *rig) start(i, n int, h *fakeHost) *fakeNode {
	f := &fakeNode{rig: r, index: i, host: h, log: &syncBuffer{}, done: make(chan error, 1)}
	o := r.options(i, n)
	o.host = h
	o.Gossip.Transport = r.net.Transport(addrOf(i))
	o.Log = slog.New(slog.NewTextHandler(f.log, nil))
	o.Hook = func(e Event) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.events = append(f.events, fmt.Sprintf("%s %s>%s", e.Group, e.From, e.To))
	}
	var err error
	if f.Node, err = New(o); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	go func() { f.done <- f.Run(ctx) }()
	if !r.bare {
		f.Programmed()
	}
	return f
}

// end ends the process, as SIGKILL does: nothing is taken away.
func (f *fakeNode) end() {
	f.cancel()
	if err, open := <-f.done; open {
		close(f.done)
		if err != nil {
			f.rig.t.Errorf("Run: %v", err)
		}
	}
}

// die is the end of the machine.
func (f *fakeNode) die() {
	f.unplug()
	f.host.change(func(h *fakeHost) { h.dead = true })
	f.end()
}

// unplug takes the cable out at the switch: no event.
func (f *fakeNode) unplug() {
	f.host.change(func(h *fakeHost) { h.cut = true })
	f.others(f.rig.net.Cut)
}

func (f *fakeNode) plug() {
	f.host.change(func(h *fakeHost) { h.cut = false })
	f.others(f.rig.net.Mend)
}

func (f *fakeNode) others(do func(from, to netip.Addr)) {
	for _, o := range f.rig.nodes {
		if o != nil && o != f {
			do(addrOf(f.index).Addr(), addrOf(o.index).Addr())
			do(addrOf(o.index).Addr(), addrOf(f.index).Addr())
		}
	}
}

// hooked are the events of the hook.
func (f *fakeNode) hooked() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.events, ", ")
}

func (f *fakeNode) group(name string) GroupStatus {
	s := f.Snapshot()
	i := slices.IndexFunc(s.Groups, func(g GroupStatus) bool { return g.Name == name })
	if i < 0 {
		f.rig.t.Helper()
		f.rig.t.Fatalf("lb%d has no group %s", f.index+1, name)
	}
	return s.Groups[i]
}

// holders are the directors whose machines have an address.
func (r *rig) holders(addr string) string {
	var out []string
	for _, n := range r.nodes {
		if n.host.has(addr) {
			out = append(out, fmt.Sprintf("lb%d", n.index+1))
		}
	}
	return strings.Join(out, " ")
}

// until waits for the holders of an address and returns how long that took.
func (r *rig) until(addr, holders string, limit time.Duration) time.Duration {
	r.t.Helper()
	began := time.Now()
	for time.Since(began) <= limit {
		synctest.Wait()
		if r.holders(addr) == holders {
			return time.Since(began)
		}
		time.Sleep(time.Millisecond)
	}
	r.t.Fatalf("%s is held by %q, not by %q, after %v", addr, r.holders(addr), holders, limit)
	return 0
}

// stays watches that the holders of an address don't change.
func (r *rig) stays(addr, holders string, d time.Duration) {
	r.t.Helper()
	for began := time.Now(); time.Since(began) < d; time.Sleep(5 * time.Millisecond) {
		synctest.Wait()
		if got := r.holders(addr); got != holders {
			r.t.Fatalf("%s is held by %q, not by %q, after %v", addr, got, holders, time.Since(began))
		}
	}
}
