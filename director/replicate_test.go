package director_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/intent"
	"github.com/ipvsd/ipvsd/director/kerneltest"
	"github.com/ipvsd/ipvsd/director/table"
)

// segment is the network between directors; one of them holds the addresses.
type segment struct {
	mu     sync.Mutex
	holder string
	serve  map[string]func(context.Context, []byte) []byte
	gone   map[string]bool
}

// seat is one director's place on a segment.
type seat struct {
	fakeCluster
	net  *segment
	name string
}

func (s *seat) Serve(f func(context.Context, []byte) []byte) {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	s.net.serve[s.name] = f
}

func (s *seat) Decides(table.ServiceKey) bool {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	return s.net.holder == s.name
}

func (s *seat) Directors() []director.Peer {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	var out []director.Peer
	for _, name := range []string{"lb1", "lb2", "lb3"} {
		if name != s.name && s.net.serve[name] != nil {
			out = append(out, director.Peer{Name: name, There: !s.net.gone[name] && !s.net.gone[s.name]})
		}
	}
	return out
}

func (s *seat) Ask(ctx context.Context, name string, q []byte) ([]byte, error) {
	s.net.mu.Lock()
	f, gone := s.net.serve[name], s.net.gone[name] || s.net.gone[s.name]
	s.net.mu.Unlock()
	if gone || len(q) > 1183 {
		<-ctx.Done()
		return nil, errors.New(name + " doesn't answer")
	}
	time.Sleep(time.Millisecond)
	a := f(ctx, q)
	if a == nil || len(a) > 1183 {
		<-ctx.Done()
		return nil, errors.New(name + " doesn't answer")
	}
	return a, nil
}

func (s *segment) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// directors runs several on a segment, each with a kernel of its own.
func directors(t *testing.T, net *segment, cfg func(name string) *config.Config, names ...string) map[string]*bench {
	out := map[string]*bench{}
	for _, name := range names {
		c := cfg(name)
		c.Cluster = &config.Cluster{Name: name}
		b := &bench{t: t, kernel: kerneltest.New(), checks: newFakeChecks()}
		b.d = director.New(c, director.Options{
			Kernel: b.kernel, Checks: b.checks, SysctlRoot: t.TempDir(), Cluster: &seat{net: net, name: name},
			Log: slog.New(slog.NewTextHandler(&b.log, nil)),
		})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- b.d.Run(ctx) }()
		b.stop = sync.OnceValue(func() error { cancel(); return <-done })
		t.Cleanup(func() { _ = b.stop() })
		synctest.Wait()
		b.checks.say(pair(web1), checker.Up, "ok")
		b.checks.say(pair(web2), checker.Up, "ok")
		synctest.Wait()
		out[name] = b
	}
	return out
}

func newSegment() *segment {
	return &segment{holder: "lb1", serve: map[string]func(context.Context, []byte) []byte{}, gone: map[string]bool{}}
}

func TestDirectorsAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newSegment()
		dirs := map[string]string{"lb1": t.TempDir(), "lb2": t.TempDir()}
		cfg := func(name string) *config.Config {
			c := webConfig(true)
			c.Director.StateDir = dirs[name]
			return c
		}
		all := directors(t, net, cfg, "lb1", "lb2")
		one, two := all["lb1"], all["lb2"]
		one.kernel.Count(pair(web1), table.Counters{Active: 1})

		a := two.ask(intent.Drain, real1, 0) // asked on the standby
		if diff := cmp.Diff([]director.ToldDirector{{Name: "lb1", Knows: true}}, a.Directors); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		quiet, out, in := map[string]uint32{real1: 0, real2: 5}, map[string]uint32{real2: 5}, map[string]uint32{real1: 3, real2: 5}
		one.want("the active one, at once", quiet)
		time.Sleep(time.Minute)
		two.want("the standby sees no connections and waits for the active one", quiet)
		if s := one.state(real1); s.Hold == nil || s.Hold.Director != "lb2" || s.Hold.By != "alice" {
			t.Errorf("status of lb1: %+v", s)
		}

		// A failover in the middle: the new active director goes on.
		net.set(func() { net.holder, net.gone["lb1"] = "lb2", true })
		two.kernel.Count(pair(web1), table.Counters{Active: 1})
		time.Sleep(time.Minute)
		two.want("after the failover", quiet)
		two.kernel.Count(pair(web1), table.Counters{})
		time.Sleep(6 * time.Second)
		two.want("its last connection has ended", out)
		one.want("nobody told lb1", quiet)

		// lb2 enables while lb1 is away: the old drain doesn't come back.
		a = two.ask(intent.Enable, real1, 0)
		if len(a.Directors) != 1 || a.Directors[0].Knows || a.Directors[0].Error == "" {
			t.Errorf("told: %+v", a.Directors)
		}
		net.set(func() { net.gone["lb1"] = false })
		time.Sleep(2 * time.Second)
		one.want("lb1 is back", in)
		two.want("lb1 is back", in)

		// One that was restarted with an empty disk is told again.
		two.ask(intent.Disable, real2, 0)
		synctest.Wait()
		_ = one.stop()
		if err := os.Remove(filepath.Join(dirs["lb1"], intent.FileName)); err != nil {
			t.Fatal(err)
		}
		one = directors(t, net, cfg, "lb1")["lb1"]
		time.Sleep(2 * time.Second)
		one.want("after a loss of its disk", map[string]uint32{real1: 3})
		if book, err := intent.Peek(dirs["lb1"]); err != nil || book.Len() != 2 {
			t.Errorf("stored: %d, %v", book.Len(), err)
		}
	})
}

// TestDirectorsHealManyMarks parts two directors, each of which is asked for
// more than a message holds: together again they agree.
func TestDirectorsHealManyMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newSegment()
		cfg := func(string) *config.Config {
			c := webConfig(true)
			for i := range 40 {
				real := c.Virtuals[0].Reals[0]
				real.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 80)
				c.Virtuals[0].Reals = append(c.Virtuals[0].Reals, real)
			}
			return c
		}
		all := directors(t, net, cfg, "lb1", "lb2", "lb3")
		net.set(func() { net.gone["lb3"] = true })
		for i, r := range cfg("").Virtuals[0].Reals {
			net.set(func() { net.gone["lb2"] = i%2 == 0 })
			who := []string{"lb1", "lb3"}[i%2]
			all[who].ask([]intent.Wish{intent.Drain, intent.Disable}[i/2%2], r.Addr.String(), time.Duration(i)*time.Hour)
		}
		net.set(func() { clear(net.gone) })
		time.Sleep(20 * time.Second)
		for _, name := range []string{"lb2", "lb3"} {
			held := func(b *bench) (list []string) {
				for _, r := range b.d.Status(context.Background()).Virtuals[0].Reals {
					if r.Hold != nil {
						list = append(list, r.Address+" "+r.Hold.Wish+" "+r.Hold.Director)
					}
				}
				return list
			}
			want := held(all["lb1"])
			if diff := cmp.Diff(want, held(all[name])); diff != "" || len(want) != 42 {
				t.Errorf("%s, of %d (-lb1 +%s):\n%s", name, len(want), name, diff)
			}
		}
	})
}

// TestOddPeers: what isn't understood changes nothing.
func TestOddPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newSegment()
		all := directors(t, net, func(string) *config.Config { return webConfig(true) }, "lb1")
		serve := net.serve["lb1"]
		for _, q := range []string{"o", "ox", "or", "or\x00", "ot", "ot[", "ot[1]", `ot[{"real":"192.168.0.101:80","wish":"disable","version":{"time":-5,"director":""}}]`} {
			_ = serve(context.Background(), []byte(q))
		}
		if a := serve(context.Background(), []byte("or\xff\xff\xff\xff")); string(a) != "o\x00\x00\x00\x00[]" {
			t.Errorf("a page after the last: %q", a)
		}
		all["lb1"].want("after odd questions", map[string]uint32{real1: 3, real2: 5})

		// Another director that answers oddly is asked again, and no more.
		for _, answer := range []string{"", "x", "o", "o1234567", "o12345678", "o\x00\x00\x00\x01[]"} {
			net.set(func() { net.serve["lb2"] = func(context.Context, []byte) []byte { return []byte(answer) } })
			time.Sleep(12 * time.Second)
		}
		all["lb1"].want("after odd answers", map[string]uint32{real1: 3, real2: 5})
		if strings.Contains(all["lb1"].log.String(), "level=ERROR") {
			t.Error(all["lb1"].log.String())
		}
	})
}
