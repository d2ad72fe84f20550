package pool_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/pool"
)

func genRules() *rapid.Generator[pool.Rules] {
	return rapid.Custom(func(t *rapid.T) pool.Rules {
		r := pool.Rules{Fallback: rapid.Bool().Draw(t, "fallback"), Fine: rapid.Bool().Draw(t, "fine")}
		r.MinUp = rapid.IntRange(0, 3).Draw(t, "min_up")
		if rapid.Bool().Draw(t, "slow") {
			r.SlowStart = time.Duration(rapid.IntRange(1, 60).Draw(t, "slow_start")) * sec
		}
		if rapid.Bool().Draw(t, "open") {
			r.FailOpen = pool.FailOpen{Percent: rapid.IntRange(1, 99).Draw(t, "percent"), Within: 20 * sec, Hold: 60 * sec}
		}
		if rapid.Bool().Draw(t, "damp") {
			r.Damping = pool.Damping{Falls: rapid.IntRange(1, 3).Draw(t, "falls"), Within: 60 * sec, Calm: 30 * sec}
		}
		return r
	})
}

func genServers() *rapid.Generator[[]pool.Server] {
	return rapid.Custom(func(t *rapid.T) []pool.Server {
		var out []pool.Server
		for i := range rapid.IntRange(1, 6).Draw(t, "servers") {
			out = append(out, pool.Server{
				Addr:    addr(i),
				Weight:  rapid.SampledFrom([]uint32{0, 1, 1, 3, 100, 65535}).Draw(t, "weight"),
				Tier:    rapid.SampledFrom([]int{0, 1, 1, 2, 3}).Draw(t, "tier"),
				Percent: 100,
				Adopted: rapid.Bool().Draw(t, "adopted"),
				Held:    rapid.Uint32Range(0, 2).Draw(t, "held"),
			})
		}
		return out
	})
}

// change lets something happen to the servers.
func change(t *rapid.T, servers []pool.Server) []pool.Server {
	servers = slices.Clone(servers)
	for i := range servers {
		s := &servers[i]
		switch rapid.SampledFrom([]string{"", "", "up", "down", "refuses", "bar", "agent", "all down"}).Draw(t, "change") {
		case "up":
			s.State, s.Refuses = checker.Up, false
		case "down":
			s.State, s.Refuses = checker.Down, false
		case "refuses":
			s.State, s.Refuses = checker.Down, true
		case "bar":
			s.Barred = !s.Barred
		case "agent":
			s.Percent = rapid.SampledFrom([]uint16{0, 1, 50, 100, 300}).Draw(t, "percent")
		case "all down":
			for j := range servers {
				servers[j].State, servers[j].Refuses = checker.Down, false
			}
		}
	}
	return servers
}

// TestCourses takes random pools through random times.
func TestCourses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules, servers := genRules().Draw(t, "rules"), genServers().Draw(t, "servers")
		now := time.Unix(1e9, 0)
		var memory pool.Memory
		for range rapid.IntRange(1, 30).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * sec)
			servers = change(t, servers)
			before := pool.Decide(rules, servers, memory, now)
			next, _ := pool.Look(rules.Policy, servers, memory, now)
			if diff := cmp.Diff(before, pool.Decide(rules, servers, memory, now)); diff != "" {
				t.Fatalf("a look changed the memory that it was given:\n%s", diff)
			}
			memory = next
			d := pool.Decide(rules, servers, memory, now)
			judge(t, rules, servers, d)
			if again, events := pool.Look(rules.Policy, servers, memory, now); len(events) > 0 ||
				!cmp.Equal(d, pool.Decide(rules, servers, again, now)) {
				t.Fatalf("a second look at the same moment found something else: %v", events)
			}
		}
		settle(t, rules, servers, memory, now)
	})
}

// judge holds a decision to what is true of each.
func judge(t *rapid.T, rules pool.Rules, servers []pool.Server, d pool.Decision) {
	need := max(rules.MinUp, 1)
	serving, could := 0, false
	for i, s := range servers {
		sh := d.Shares[i]
		able := s.Weight > 0 && s.Percent > 0 && s.State == checker.Up && !s.Barred
		could = could || able
		if sh.Weight > 0 {
			serving++
		}
		switch {
		case sh.Weight > 65535:
			t.Fatalf("server %d: weight %d", i, sh.Weight)
		case s.Barred && sh.Weight > 0:
			t.Fatalf("server %d is barred and has traffic", i)
		case sh.Dead && (sh.Weight > 0 || s.State == checker.Up):
			t.Fatalf("server %d is dead: %+v", i, sh)
		case s.State == checker.Down && sh.Weight > 0 && (d.Open == "" || s.Refuses):
			t.Fatalf("server %d is down and has traffic without a reason", i)
		case s.State == checker.Up && !rules.Fine && s.Percent == 100 && sh.Weight != s.Weight && !s.Barred && sh.Why == "":
			t.Fatalf("server %d has weight %d and not %d, and nobody says why", i, sh.Weight, s.Weight)
		}
		if s.Tier > 1 && sh.Weight > 0 {
			whole := 0
			for j, o := range servers {
				if max(o.Tier, 1) < s.Tier && d.Shares[j].Weight > 0 && !d.Shares[j].Rising && o.State != checker.Down {
					whole++
				}
			}
			if whole >= need {
				t.Fatalf("server %d is a backup and serves, and %d before it do", i, whole)
			}
		}
	}
	switch {
	case d.Fallback && (serving > 0 || d.Up >= need || !rules.Fallback):
		t.Fatalf("the fallback serves beside %d, %d are up", serving, d.Up)
	case !d.Fallback && serving != d.Up:
		t.Fatalf("%d serve, and %d are said to be up", serving, d.Up)
	case rules.Fallback && !d.Fallback && serving < need:
		t.Fatalf("%d serve, and the fallback doesn't", serving)
	case could && serving == 0 && !d.Fallback:
		t.Fatal("somebody is up, and nobody serves")
	}
}

// settle lets all be good for so long that nothing of the past counts.
func settle(t *rapid.T, rules pool.Rules, servers []pool.Server, memory pool.Memory, now time.Time) {
	for i := range servers {
		servers[i].State, servers[i].Refuses, servers[i].Barred, servers[i].Percent = checker.Up, false, false, 100
	}
	for range 3 {
		memory, _ = pool.Look(rules.Policy, servers, memory, now)
		now = now.Add(2 * time.Minute)
	}
	memory, _ = pool.Look(rules.Policy, servers, memory, now)
	if next := memory.Next(rules.Policy, now); !next.IsZero() {
		t.Fatalf("all is calm, and something is to come in %s", next.Sub(now))
	}
	got := pool.Decide(rules, servers, memory, now)
	if want := pool.Decide(rules, servers, pool.Memory{}, now); !cmp.Equal(want, got) {
		t.Fatalf("after a long calm (-want +got):\n%s", cmp.Diff(want, got))
	}
}

// TestMassFailureTakesNobodyOut lets more of a good pool fail at once than
// fail_open allows: nobody loses weight.
func TestMassFailureTakesNobodyOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := genRules().Draw(t, "rules")
		rules.FailOpen = pool.FailOpen{Percent: rapid.IntRange(1, 99).Draw(t, "percent"), Within: 20 * sec, Hold: 60 * sec}
		var servers []pool.Server
		n := rapid.IntRange(2, 10).Draw(t, "servers")
		for i := range n {
			servers = append(servers, pool.Server{Addr: addr(i), Weight: 7, Percent: 100, State: checker.Up})
		}
		now := time.Unix(1e9, 0)
		memory, _ := pool.Look(rules.Policy, servers, pool.Memory{}, now)
		want := pool.Decide(rules, servers, memory, now)

		order := rapid.Permutation([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}).Draw(t, "order")
		failing := 0
		for _, i := range order {
			if i >= n || failing == n {
				continue
			}
			failing++
			servers = slices.Clone(servers)
			servers[i].State = checker.Down
			now = now.Add(sec)
			memory, _ = pool.Look(rules.Policy, servers, memory, now)
			got := pool.Decide(rules, servers, memory, now)
			if failing < 2 || failing*100 <= rules.FailOpen.Percent*n {
				continue
			}
			for j := range servers {
				if got.Shares[j].Weight != want.Shares[j].Weight {
					t.Fatalf("%d of %d fail: server %d has %d instead of %d", failing, n, j, got.Shares[j].Weight, want.Shares[j].Weight)
				}
			}
		}
	})
}

// TestSlowStartRises lets a server come up: its weight only grows, by at least
// something and never above its own.
func TestSlowStartRises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := pool.Rules{Fine: rapid.Bool().Draw(t, "fine")}
		rules.SlowStart = time.Duration(rapid.Int64Range(int64(sec), int64(time.Hour)).Draw(t, "slow_start"))
		servers := []pool.Server{{Addr: addr(0), Weight: rapid.Uint32Range(1, 65535).Draw(t, "weight"), Percent: 100, State: checker.Down}}
		now := time.Unix(1e9, 0)
		memory, _ := pool.Look(rules.Policy, servers, pool.Memory{}, now)
		servers = slices.Clone(servers)
		servers[0].State = checker.Up
		full := pool.Decide(rules, servers, pool.Memory{}, now).Shares[0].Weight
		last, begun := uint32(1), now
		for {
			memory, _ = pool.Look(rules.Policy, servers, memory, now)
			w := pool.Decide(rules, servers, memory, now).Shares[0].Weight
			if w < last || w > full {
				t.Fatalf("%s after: weight %d, before that %d, in the end %d", now.Sub(begun), w, last, full)
			}
			last = w
			next := memory.Next(rules.Policy, now)
			if next.IsZero() {
				break
			}
			if !next.After(now) {
				t.Fatalf("%s after: the next step is %s ago", now.Sub(begun), now.Sub(next))
			}
			now = next
		}
		if last != full || now.Sub(begun) > rules.SlowStart {
			t.Fatalf("weight %d of %d after %s", last, full, now.Sub(begun))
		}
	})
}
