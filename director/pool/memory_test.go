package pool_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director/pool"
)

// course is a pool in the course of time.
type course struct {
	t      *testing.T
	rules  pool.Rules
	now    time.Time
	memory pool.Memory
	events []pool.Event
	last   pool.Decision
}

func newCourse(t *testing.T, p pool.Policy) *course {
	return &course{t: t, rules: pool.Rules{Policy: p, Fallback: true}, now: time.Unix(1e9, 0)}
}

// is lets some time pass, sets the servers, and compares the decision.
func (c *course) is(after time.Duration, servers, want string) {
	c.t.Helper()
	c.now = c.now.Add(after)
	list := parse(c.t, servers)
	memory, events := pool.Look(c.rules.Policy, list, c.memory, c.now)
	c.memory = memory
	c.events = append(c.events, events...)
	c.last = pool.Decide(c.rules, list, c.memory, c.now)
	if got := shown(c.last); got != want {
		c.t.Errorf("%s later, %q: got %q, want %q", after, servers, got, want)
	}
}

// told takes the events so far, and wants one with the text, or none for "".
func (c *course) told(text string) {
	c.t.Helper()
	var all []string
	for _, e := range c.events {
		all = append(all, e.Text+": "+e.Why)
	}
	c.events = nil
	if got := strings.Join(all, "; "); !strings.Contains(got, text) || text == "" && got != "" {
		c.t.Errorf("told %q, want %q", got, text)
	}
}

func (c *course) why(server int, want string) {
	c.t.Helper()
	if got := c.last.Shares[server].Why; !strings.Contains(got, want) || want == "" && got != "" {
		c.t.Errorf("why of server %d: %q, want %q", server, got, want)
	}
}

const sec = time.Second

func TestSlowStart(t *testing.T) {
	c := newCourse(t, pool.Policy{SlowStart: 60 * sec})
	c.is(0, "up 100, new 100", "100 0x") // a start says nothing about how warm they are
	c.is(sec, "up 100, up 100", "100 100")
	c.is(sec, "up 100, down 100", "100 0x")
	c.is(sec, "up 100, up 100", "100 3")
	c.why(1, "slow start: 2s of 1m0s, of weight 100")
	if next := c.memory.Next(c.rules.Policy, c.now); next != c.now.Add(2*sec) {
		t.Errorf("next in %s, want 2s", next.Sub(c.now))
	}
	c.is(sec, "up 100, up 100", "100 3")
	c.is(sec, "up 100, up 100", "100 7")
	c.is(28*sec, "up 100, up 100 50%", "100 27")
	c.why(1, "agent: 50 %, slow start: 32s of 1m0s, of weight 100")
	c.is(0, "up 100, up 200", "100 107") // a reload changes the weight, not the ramp
	c.is(28*sec, "up 100, up 100", "100 100")
	c.why(1, "")
	if next := c.memory.Next(c.rules.Policy, c.now); !next.IsZero() {
		t.Errorf("next in %s, want never", next.Sub(c.now))
	}
	c.is(0, "up 100, barred up 100", "100 0")
	c.is(sec, "up 100, up 100", "100 3") // a person let it in again
	c.is(sec, "up 100, up 100, new 100", "100 3 0x")
	c.is(sec, "up 100, up 100, up 100", "100 7 3") // a reload added it
	c.is(sec, "up 100, down 100, up 100", "100 0x 3")
	c.is(0, "up 100, down 100, up 100, held100 100", "100 0x 3 100") // the kernel has it
	c.is(0, "up 100, down 100, up 100, up 100", "100 0x 3 100")
	c.is(0, "down 100, down 100, down 100, down 100", "0x 0x 0x 0x fallback")
	c.is(0, "up 1, down 100, down 100, down 100", "1 0x 0x 0x") // little, but all there is
	c.told("")
}

func TestSlowStartOfAFirstTier(t *testing.T) {
	c := newCourse(t, pool.Policy{SlowStart: 10 * sec})
	c.is(0, "up 100, up 100 tier2", "100 0")
	c.is(sec, "down 100, up 100 tier2", "0x 100")
	c.is(sec, "up 100, up 100 tier2", "20 100") // the backup goes on beside it
	c.is(6*sec, "up 100, up 100 tier2", "80 100")
	c.is(2*sec, "up 100, up 100 tier2", "100 0")
}

func TestFailOpen(t *testing.T) {
	open := pool.Policy{FailOpen: pool.FailOpen{Percent: 50, Within: 30 * sec, Hold: 5 * time.Minute}}
	t.Run("an overload", func(t *testing.T) {
		c := newCourse(t, open)
		c.is(0, "up 5, up 6, up 7, up 8", "5 6 7 8")
		c.is(sec, "down 5, up 6, up 7, up 8", "0x 6 7 8")
		c.is(10*sec, "down 5, down 6, up 7, up 8", "0x 0x 7 8") // half of them, not more
		c.told("")
		c.is(10*sec, "down 5, down 6, down 7, up 8", "5 6 7 8") // the last good set
		c.told("fail_open keeps real servers in that fail: 3 of 4 failed within 30s")
		c.why(0, "kept in by fail_open")
		c.is(time.Minute, "down 5, down 6, down 7, down 8", "5 6 7 8")
		if !strings.HasPrefix(c.last.Open, "fail_open: 4 of 4 real servers fail") {
			t.Errorf("open: %q", c.last.Open)
		}
		c.is(sec, "up 5, down 6, down 7, down 8", "5 6 7 8")
		c.told("")
		c.is(sec, "up 5, up 6, down 7, down 8", "5 6 0x 0x")
		c.told("fail_open is over: 2 of 4 real servers fail")
		c.is(40*sec, "up 5, down 6, down 7, down 8", "5 0x 0x 0x") // the other failures are old
		c.told("")
	})
	t.Run("one after the other is no mass", func(t *testing.T) {
		c := newCourse(t, open)
		c.is(0, "up, up, up", "1 1 1")
		c.is(sec, "down, up, up", "0x 1 1")
		c.is(31*sec, "down, down, up", "0x 0x 1")
		c.is(31*sec, "down, down, down", "0x 0x 0x fallback")
		c.told("")
	})
	t.Run("hold", func(t *testing.T) {
		c := newCourse(t, open)
		c.is(0, "up, up", "1 1")
		c.is(sec, "down, down", "1 1")
		c.is(299*sec, "down, down", "1 1")
		c.told("fail_open keeps")
		c.is(sec, "down, down", "0x 0x fallback")
		c.told("2 of 2 real servers still fail after 5m0s, and are out")
		c.is(sec, "down, down", "0x 0x fallback") // and not anew
		c.is(sec, "up, down", "1 0x")
		c.told("")
	})
	t.Run("who refuses connections is out", func(t *testing.T) {
		c := newCourse(t, open)
		c.is(0, "up, up, up", "1 1 1")
		c.is(sec, "refuses, down, up", "0x 1 1")
		c.told("2 of 3")
		c.is(sec, "down, refuses, down", "0x 0x 1")
		c.is(sec, "down, down, refuses", "0x 0x 0x fallback")
		c.told("all that fail refuse connections")
		c = newCourse(t, open)
		c.is(0, "up, up, up", "1 1 1")
		c.is(sec, "refuses, refuses, refuses", "0x 0x 0x fallback")
		c.told("")
	})
	t.Run("who was down before stays out", func(t *testing.T) {
		c := newCourse(t, open)
		c.is(0, "up, up, down, barred up", "1 1 0x 0")
		c.is(sec, "down, down, down, barred down", "1 1 0x 0")
		c.is(sec, "barred down, down, down, barred down", "0 1 0x 0") // a person's word wins
	})
	t.Run("over a restart", func(t *testing.T) {
		c := newCourse(t, open)
		c.is(0, "held5, held5", "5 5")
		c.is(sec, "down, held5", "0x 5")
		c.is(sec, "down, down", "1 1")
	})
	t.Run("with tiers the backup helps", func(t *testing.T) {
		c := newCourse(t, open)
		c.is(0, "up, up, up tier2", "1 1 0")
		c.is(sec, "down, down, up tier2", "1 1 1")
		c.is(sec, "up, down, down tier2", "1 1 0x") // and needn't once one is back
	})
	t.Run("a reload turns it off", func(t *testing.T) {
		c := newCourse(t, open)
		c.is(0, "up, up", "1 1")
		c.is(sec, "down, down", "1 1")
		c.rules.FailOpen = pool.FailOpen{}
		c.is(sec, "down, down", "0x 0x fallback")
	})
}

func TestDamping(t *testing.T) {
	damp := pool.Policy{Damping: pool.Damping{Falls: 2, Within: 5 * time.Minute, Calm: time.Minute}}
	flap := func(c *course, times int) {
		c.t.Helper()
		c.is(0, "up, up", "1 1")
		for range times {
			c.is(10*sec, "down, up", "0x 1")
			c.is(10*sec, "up, up", "1 1")
		}
		c.told("")
		c.is(10*sec, "down, up", "0x 1")
		c.told("flapping: 3 falls within 5m0s")
		c.is(10*sec, "up, up", "0 1")
		c.why(0, "flapping: more than 2 falls within 5m0s, out until it is calm for 1m0s (1m0s left)")
	}
	t.Run("calm", func(t *testing.T) {
		c := newCourse(t, damp)
		flap(c, 2)
		c.is(50*sec, "down, up", "0x 1")
		c.is(10*sec, "up, up", "0 1")
		c.is(59*sec, "up, up", "0 1")
		c.told("")
		c.is(sec, "up, up", "1 1")
		c.told("calm again")
		c.is(sec, "down, up", "0x 1") // forgiven
		c.is(sec, "up, up", "1 1")
	})
	t.Run("calm while it is down", func(t *testing.T) {
		c := newCourse(t, damp)
		flap(c, 2)
		c.is(sec, "down, up", "0x 1")
		c.is(time.Hour, "down, up", "0x 1")
		c.is(sec, "up, up", "1 1")
	})
	t.Run("old falls don't count", func(t *testing.T) {
		c := newCourse(t, damp)
		c.is(0, "up, up", "1 1")
		for range 5 {
			c.is(100*sec, "down, up", "0x 1")
			c.is(100*sec, "up, up", "1 1")
		}
		c.told("")
	})
	t.Run("never the last one", func(t *testing.T) {
		c := newCourse(t, damp)
		flap(c, 2)
		c.is(sec, "up, down", "1 0x")
		c.why(0, "flapping, but too few others serve")
		c.is(sec, "up, up", "0 1")
	})
	t.Run("a reload keeps it", func(t *testing.T) {
		c := newCourse(t, damp)
		flap(c, 2)
		c.rules.Damping.Calm = 2 * time.Minute
		c.is(90*sec, "up 5, up, up", "0 1 1")
		c.rules.Damping.Falls = 0
		c.is(0, "up 5, up, up", "5 1 1")
	})
	t.Run("with a slow start after it", func(t *testing.T) {
		c := newCourse(t, damp)
		flap(c, 2)
		c.rules.SlowStart = 10 * sec
		c.is(time.Minute, "up 100, up", "20 1")
	})
	t.Run("an overload isn't its own fault", func(t *testing.T) {
		both := damp
		both.FailOpen = pool.FailOpen{Percent: 40, Within: 30 * sec, Hold: time.Minute}
		c := newCourse(t, both)
		c.is(0, "up, up", "1 1")
		for range 5 {
			c.is(5*sec, "down, down", "1 1")
			c.is(5*sec, "up, up", "1 1")
		}
	})
}
