package gossip

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

	"github.com/ipvsd/ipvsd/cluster/gossip/gossiptest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is some directors on a network in memory and in virtual time.
type rig struct {
	t    *testing.T
	net  *gossiptest.Network
	keys []Key
	peer []netip.AddrPort // what each has in join
	all  []*node
}

type node struct {
	*Gossip
	addr netip.AddrPort
	log  *record
	stop context.CancelFunc
	done chan struct{}
}

// record is a log that a test may read while it is written.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

// inRig runs a test with size configured addresses in a bubble.
func inRig(t *testing.T, size int, test func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, net: gossiptest.New(1), keys: []Key{{1}}}
		for i := range size {
			r.peer = append(r.peer, addrOf(i))
		}
		defer func() {
			if t.Failed() {
				for _, n := range r.all {
					t.Logf("log of %s:\n%s", n.opts.Name, n.log)
				}
			}
			for _, n := range r.all {
				n.crash()
			}
			time.Sleep(30 * time.Second) // memberlist's last timers
			synctest.Wait()
		}()
		test(r)
	})
}

func addrOf(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 7946)
}

// start begins director i; change may be nil.
func (r *rig) start(i int, change func(*Options)) *node {
	r.t.Helper()
	log := &record{}
	o := Options{
		Name:         fmt.Sprintf("lb%d", i+1),
		Listen:       addrOf(i),
		Join:         r.peer,
		Keys:         r.keys,
		ClusterLabel: "web",
		Log:          slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	o.Transport = r.net.Transport(o.Listen)
	g, err := New(o)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	n := &node{Gossip: g, addr: o.Listen, log: log, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(n.done)
		if err := g.Run(ctx); err != nil {
			r.t.Errorf("Run of %s: %v", o.Name, err)
		}
	}()
	r.all = append(r.all, n)
	return n
}

func (r *rig) startAll() []*node {
	r.t.Helper()
	for i := range r.peer {
		r.start(i, nil)
	}
	nodes := slices.Clone(r.all)
	r.within(3*time.Second, "all joined", func() bool { return complete(nodes...) })
	return nodes
}

// crash ends a director without a word.
func (n *node) crash() {
	n.stop()
	<-n.done
}

// within polls in virtual time; it returns how long it took.
func (r *rig) within(d time.Duration, what string, ok func() bool) time.Duration {
	r.t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > d {
			for _, n := range r.all {
				r.t.Logf("%s sees %v, problems %v", n.opts.Name, n.states(), n.Problems())
			}
			r.t.Fatalf("not within %v: %s", d, what)
		}
		time.Sleep(max(time.Millisecond, min(20*time.Millisecond, d/100)))
	}
	return time.Since(began)
}

// complete: each sees all the others alive.
func complete(nodes ...*node) bool {
	for _, n := range nodes {
		for _, m := range nodes {
			if n.see(m.opts.Name).State != Alive {
				return false
			}
		}
	}
	return true
}

// see is what a director knows of another.
func (n *node) see(name string) Member {
	for _, m := range n.Members() {
		if m.Name == name {
			return m
		}
	}
	return Member{}
}

func (n *node) states() []string {
	var s []string
	for _, m := range n.Members() {
		s = append(s, fmt.Sprintf("%s@%v=%v%s", m.Name, m.Addr, m.State, m.Err))
	}
	return s
}

func (n *node) problem(kind string) string {
	for _, p := range n.Problems() {
		if p.Kind == kind {
			return p.Text
		}
	}
	return ""
}

// drain takes what was received so far.
func (n *node) drain() []Message {
	var all []Message
	for {
		select {
		case m := <-n.Received():
			all = append(all, m)
		default:
			return all
		}
	}
}

// adverts sends a message to everybody each 100 ms until stop is called, and
// throws away what comes.
func (r *rig) adverts(nodes ...*node) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(func() {
			for i := 0; sleep(ctx, 100*time.Millisecond); i++ {
				if err := n.Broadcast(fmt.Appendf(nil, "%d", i)); err != nil {
					r.t.Error(err)
				}
				n.drain()
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

func side(nodes ...*node) []netip.Addr {
	var a []netip.Addr
	for _, n := range nodes {
		a = append(a, n.addr.Addr())
	}
	return a
}

func contains(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%q doesn't contain %q", got, w)
		}
	}
}
