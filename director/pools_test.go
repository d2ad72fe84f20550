package director_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/kerneltest"
	"github.com/ipvsd/ipvsd/director/pool"
	"github.com/ipvsd/ipvsd/director/table"
)

// poolConfig is webConfig with a scheduler that shares by weight.
func poolConfig(p pool.Policy) *config.Config {
	cfg := webConfig(true)
	cfg.Virtuals[0].Service.Scheduler = "wlc"
	cfg.Virtuals[0].Pool = p
	return cfg
}

// bothUp lets both real servers be up.
func (b *bench) bothUp() {
	b.checks.say(pair(web1), checker.Up, "status 200")
	b.checks.say(pair(web2), checker.Up, "status 200")
	synctest.Wait()
}

func (b *bench) virtual() director.VirtualStatus {
	return b.d.Status(context.Background()).Virtuals[0]
}

func TestSlowStartInSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := poolConfig(pool.Policy{SlowStart: 10 * time.Second})
		kernel := kerneltest.New()
		b := runBench(t, kernel, cfg)
		b.bothUp()
		b.want("start", map[string]uint32{"192.168.0.101:80": 102, "192.168.0.102:80": 170})
		b.checks.say(pair(web1), checker.Down, "status 503")
		b.want("down", map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 170})
		time.Sleep(500 * time.Millisecond) // between two looks at the whole table
		b.checks.say(pair(web1), checker.Up, "status 200")
		b.want("up", map[string]uint32{"192.168.0.101:80": 20, "192.168.0.102:80": 170})
		if why := b.virtual().Reals[0].WeightReason; why != "slow start: 2s of 10s, of weight 102" {
			t.Errorf("the status says %q", why)
		}
		time.Sleep(2100 * time.Millisecond)
		b.want("2 s later", map[string]uint32{"192.168.0.101:80": 41, "192.168.0.102:80": 170})

		more := poolConfig(cfg.Virtuals[0].Pool)
		more.Virtuals[0].Reals[1].Weight = 6
		b.d.Reload(context.Background(), more, "SIGHUP")
		b.want("reload", map[string]uint32{"192.168.0.101:80": 41, "192.168.0.102:80": 204})
		planned := director.Preview(more, have(t, kernel), director.VerdictsOf(b.d.Status(context.Background()), more), nil, nil)
		if len(planned) > 0 {
			t.Errorf("a slow start is under way, and there is a plan against it: %v", planned)
		}
		time.Sleep(10 * time.Second)
		b.want("in the end", map[string]uint32{"192.168.0.101:80": 102, "192.168.0.102:80": 204})

		log := b.log.String()
		for line, want := range map[string]int{
			`-r 192.168.0.101:80 -g -w 20" reason="up: status 200; slow start: 2s of 10s, of weight 102"`: 1,
			`-r 192.168.0.101:80 -g -w 41"`:  0, // the steps between are noise
			`-r 192.168.0.101:80 -g -w 102"`: 2,
		} {
			if n := strings.Count(log, line); n != want {
				t.Errorf("the log has %d times %s, want %d:\n%s", n, line, want, log)
			}
		}
		steps := kernel.Steps()
		_ = b.stop()
		again := runBench(t, kernel, more)
		again.bothUp()
		again.want("restart", map[string]uint32{"192.168.0.101:80": 102, "192.168.0.102:80": 204})
		if n := kernel.Steps() - steps; n != 0 {
			t.Errorf("a restart made %d steps", n)
		}
	})
}

func TestFailOpenKeepsTheKernel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := poolConfig(pool.Policy{FailOpen: pool.FailOpen{Percent: 50, Within: 10 * time.Second, Hold: time.Minute}})
		b := runBench(t, kerneltest.New(), cfg)
		b.bothUp()
		good := map[string]uint32{"192.168.0.101:80": 3, "192.168.0.102:80": 5}
		b.want("start", good)
		b.checks.say(pair(web1), checker.Down, "timeout after 1s waiting for the answer")
		b.want("one fails", map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 5})
		b.checks.say(pair(web2), checker.Down, "status 503")
		b.want("the other, too", good)
		v := b.virtual()
		if v.Fallback || !strings.HasPrefix(v.FailOpen, "fail_open: 2 of 2 real servers fail and are kept in") ||
			v.Reals[0].State != director.StateDown || v.Reals[0].WeightReason != "kept in by fail_open" {
			t.Errorf("status: %+v", v)
		}
		if !strings.Contains(b.log.String(), `level=ERROR msg="fail_open keeps real servers in that fail" service=192.168.0.105:80/tcp reason="2 of 2 failed within 10s`) {
			t.Errorf("no alarm in the log:\n%s", b.log.String())
		}
		b.d.Reload(context.Background(), poolConfig(cfg.Virtuals[0].Pool), "SIGHUP")
		b.want("a reload", good)

		// The checks' new reason is seen though the verdict stays.
		b.checks.say(pair(web2), checker.Down, "connection refused")
		time.Sleep(2 * time.Second)
		b.want("one refuses", map[string]uint32{"192.168.0.101:80": 3, "192.168.0.102:80": 0})
		time.Sleep(time.Minute)
		b.want("after hold", map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 0, "127.0.0.1:80": 1})
		if v := b.virtual(); v.FailOpen != "" || !v.Fallback {
			t.Errorf("status: %+v", v)
		}
	})
}

func TestDampingSurvivesAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := poolConfig(pool.Policy{Damping: pool.Damping{Falls: 2, Within: time.Minute, Calm: 30 * time.Second}})
		b := runBench(t, kerneltest.New(), cfg)
		b.bothUp()
		for range 3 {
			b.checks.say(pair(web1), checker.Down, "status 503")
			synctest.Wait()
			b.checks.say(pair(web1), checker.Up, "status 200")
			synctest.Wait()
		}
		out := map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 5}
		b.want("three falls", out)
		b.d.Reload(context.Background(), poolConfig(cfg.Virtuals[0].Pool), "SIGHUP")
		b.want("a reload", out)
		if r := b.virtual().Reals[0]; !r.Damped || r.State != director.StateUp || !strings.HasPrefix(r.WeightReason, "flapping: more than 2 falls within 1m0s") {
			t.Errorf("status: %+v", r)
		}
		time.Sleep(29 * time.Second)
		b.want("not yet calm", out)
		time.Sleep(2 * time.Second)
		b.want("calm", map[string]uint32{"192.168.0.101:80": 3, "192.168.0.102:80": 5})
		if log := b.log.String(); strings.Count(log, "real server is flapping") != 1 || strings.Count(log, "real server is calm again") != 1 {
			t.Errorf("the log:\n%s", log)
		}
	})
}

func TestAgentsSetWeights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := poolConfig(pool.Policy{})
		for i := range cfg.Virtuals[0].Reals {
			cfg.Virtuals[0].Reals[i].Check.Type = checker.Agent
		}
		b := runBench(t, kerneltest.New(), cfg)
		b.bothUp()
		b.want("start", map[string]uint32{"192.168.0.101:80": 102, "192.168.0.102:80": 170})
		b.checks.ask(pair(web1), 50)
		b.want("half", map[string]uint32{"192.168.0.101:80": 51, "192.168.0.102:80": 170})
		if why := b.virtual().Reals[0].WeightReason; why != "agent: 50 %, of weight 102" {
			t.Errorf("the status says %q", why)
		}
		b.checks.ask(pair(web2), 0)
		b.want("drain", map[string]uint32{"192.168.0.101:80": 51, "192.168.0.102:80": 0})
		b.checks.ask(pair(web2), 100)
		b.want("all of it", map[string]uint32{"192.168.0.101:80": 51, "192.168.0.102:80": 170})
	})
}

func TestTiersAndMinUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := poolConfig(pool.Policy{})
		cfg.Virtuals[0].Reals[1].Tier = 2
		b := runBench(t, kerneltest.New(), cfg)
		b.bothUp()
		b.want("tiers", map[string]uint32{"192.168.0.101:80": 3, "192.168.0.102:80": 0})
		b.checks.say(pair(web1), checker.Down, "status 503")
		b.want("the backup", map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 5})
		b.checks.say(pair(web1), checker.Up, "status 200")
		b.want("and back", map[string]uint32{"192.168.0.101:80": 3, "192.168.0.102:80": 0})
		if !strings.Contains(b.log.String(), `-r 192.168.0.102:80 -g -w 0" reason="up: status 200; backup: 1 of the tiers before are up"`) {
			t.Errorf("the log:\n%s", b.log.String())
		}

		b.d.Reload(context.Background(), poolConfig(pool.Policy{MinUp: 2}), "SIGHUP")
		b.want("both", map[string]uint32{"192.168.0.101:80": 3, "192.168.0.102:80": 5})
		b.checks.say(pair(web1), checker.Down, "status 503")
		b.want("too few", map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 0, "127.0.0.1:80": 1})
		want := []string{"", "the fallback serves: 1 of the 2 real servers that min_up asks for are up", ""}
		var got []string
		v := b.virtual()
		for _, r := range v.Reals {
			got = append(got, r.WeightReason)
		}
		if diff := cmp.Diff(want, got); diff != "" || !v.Fallback || !v.Up || v.Reals[2].Reason != "1 of the 2 real servers that min_up asks for are up" {
			t.Errorf("status %+v (-want +got):\n%s", v, diff)
		}
	})
}

func have(t *testing.T, kernel *kerneltest.Kernel) table.Have {
	t.Helper()
	have, err := kernel.Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return have
}
