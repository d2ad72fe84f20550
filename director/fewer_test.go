package director_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/kerneltest"
	"github.com/ipvsd/ipvsd/director/table"
)

// fakeCluster is the other directors.
type fakeCluster struct {
	mu     sync.Mutex
	faults []core.Fault
	told   []director.Census
	others []director.Other
}

func (f *fakeCluster) Active() bool { return true }

func (f *fakeCluster) Look() director.ClusterLook { return director.ClusterLook{Active: true} }

func (f *fakeCluster) Health(faults []core.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = faults
}

func (f *fakeCluster) Tell(c director.Census) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, c)
}

func (f *fakeCluster) Others() []director.Other {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.others
}

func (f *fakeCluster) Decides(table.ServiceKey) bool { return true }

func (f *fakeCluster) Directors() []director.Peer { return nil }

func (f *fakeCluster) Serve(func(context.Context, []byte) []byte) {}

func (f *fakeCluster) Ask(context.Context, string, []byte) ([]byte, error) {
	return nil, errors.New("nobody is there")
}

func (f *fakeCluster) last() director.Census {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.told[len(f.told)-1]
}

// other makes lb2 see as many of the same real servers up.
func (f *fakeCluster) other(up int) {
	c := f.last()
	c.Up, c.Complete = up, true
	f.mu.Lock()
	defer f.mu.Unlock()
	f.others = []director.Other{{Name: "lb2", Census: c}}
}

func (f *fakeCluster) want(t *testing.T, what string, want ...core.Fault) {
	t.Helper()
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if diff := cmp.Diff(want, f.faults); diff != "" {
		t.Errorf("%s: faults (-want +got):\n%s", what, diff)
	}
}

// TestFewerRealsLowersThePriority is the track from verdicts to the cluster.
func TestFewerRealsLowersThePriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := webConfig(true)
		cfg.Cluster = &config.Cluster{Name: "lb1", Tracks: []config.Track{
			{Kind: config.TrackFewerReals, FewerReals: 1, Weight: 20, Interval: time.Second, Rise: 2, Fall: 3},
		}}
		cluster, checks := &fakeCluster{}, newFakeChecks()
		d := director.New(cfg, director.Options{
			Kernel: kerneltest.New(), Checks: checks, Cluster: cluster, SysctlRoot: t.TempDir(), Log: slog.New(slog.DiscardHandler),
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- d.Run(ctx) }()
		synctest.Wait()

		if c := cluster.last(); c.All != 2 || c.Up != 0 || c.Complete || c.Set == 0 {
			t.Errorf("told at the start: %+v", c)
		}
		cluster.other(2)
		checks.say(pair(web2), checker.Down, "connection refused")
		time.Sleep(10 * time.Second)
		cluster.want(t, "before all verdicts")

		checks.say(pair(web1), checker.Up, "status 200")
		time.Sleep(1500 * time.Millisecond)
		if c := cluster.last(); c.Up != 1 || !c.Complete {
			t.Errorf("told with all verdicts: %+v", c)
		}
		cluster.want(t, "after one look")
		time.Sleep(2 * time.Second)
		fault := core.Fault{Name: "fewer_reals", Text: "1 of 2 real servers are up here, 2 on lb2", Weight: 20}
		cluster.want(t, "after three looks", fault)
		if c := cluster.last(); c.Faults != fault.Text+" (priority -20)" {
			t.Errorf("the others are told %+v", c)
		}

		checks.say(pair(web2), checker.Up, "status 200")
		time.Sleep(2500 * time.Millisecond)
		cluster.want(t, "mended")
		if c := cluster.last(); c.Up != 2 || c.Faults != "" {
			t.Errorf("told after that: %+v", c)
		}
		n := len(cluster.told)
		time.Sleep(time.Minute)
		if len(cluster.told) != n {
			t.Error("the same was told again and again")
		}

		// Another file has other real servers: nothing to compare.
		checks.say(pair(web2), checker.Down, "connection refused")
		time.Sleep(5 * time.Second)
		cluster.want(t, "down again", fault)
		other := webConfig(true)
		other.Cluster = cfg.Cluster
		other.Virtuals[0].Reals = other.Virtuals[0].Reals[:1]
		d.Reload(ctx, other, "SIGHUP")
		time.Sleep(5 * time.Second)
		cluster.want(t, "another file")
		if st := d.Status(ctx); !st.Active {
			t.Error("Status doesn't take Active from its look")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A director without the track tells the others all the same.
func TestCensusWithoutTrack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := webConfig(true)
		cfg.Cluster = &config.Cluster{Name: "lb1"}
		cfg.Virtuals[0].Reals[0].Check.Type = checker.Off
		cluster, checks := &fakeCluster{}, newFakeChecks()
		d := director.New(cfg, director.Options{
			Kernel: kerneltest.New(), Checks: checks, Cluster: cluster, SysctlRoot: t.TempDir(), Log: slog.New(slog.DiscardHandler),
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- d.Run(ctx) }()
		checks.say(pair(web2), checker.Up, "status 200")
		time.Sleep(time.Second)
		if c := cluster.last(); c.Up != 1 || c.All != 1 || !c.Complete || strings.Contains(c.Faults, "real") {
			t.Errorf("told %+v", c)
		}
		cancel()
		<-done
	})
}
