package core

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every reason has a sentence, and every sentence a reason.
func TestReasons(t *testing.T) {
	src, err := os.ReadFile("reason.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range regexp.MustCompile(`(?m)^\t\w+ +Code = "([a-z-]+)"$`).FindAllStringSubmatch(string(src), -1) {
		n++
		r := Reason{Code: Code(m[1]), Node: "lb2", Age: ms(612), N: 1, Of: 2, Text: "eth0 has no carrier"}
		if s := r.String(); strings.Contains(s, "%") || strings.Contains(s, "-") && s == m[1] {
			t.Errorf("%s: %q", m[1], s)
		}
	}
	if n != len(plain) || n < 50 {
		t.Errorf("%d codes, %d sentences", n, len(plain))
	}
	got := Reason{Code: HolderDead, Node: "lb1", Age: ms(612)}.String()
	if want := "no advert from lb1 for 612 ms, and its address doesn't answer"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
}

func TestValidate(t *testing.T) {
	good := Config{Name: "lb1", Boot: 1, Directors: 2, Groups: []Group{{Name: "web"}}}
	for _, c := range []struct {
		name string
		edit func(*Config)
		want string
	}{
		{"good", func(*Config) {}, ""},
		{"no name", func(c *Config) { c.Name = "" }, `name "": 1 to 63 bytes`},
		{"no boot id", func(c *Config) { c.Boot = 0 }, "boot id: zero"},
		{"a crowd", func(c *Config) { c.Directors = 18 }, "18 directors: at most 17"},
		{"too many witnesses", func(c *Config) { c.Witnesses = 17 }, "17 witnesses: at most 16"},
		{"a policy", func(c *Config) { c.Quorum = "some" }, `quorum "some": witness, majority or none`},
		{"a group twice", func(c *Config) { c.Groups = append(c.Groups, Group{Name: "web"}) }, `groups "web" and "web": the same identity`},
		{"a priority", func(c *Config) { c.Groups[0].Priority = -1 }, `group "web": priority -1: 1 to 10000`},
		{"start hold", func(c *Config) { c.StartHold = ms(500) }, "start hold 500ms: longer than dead, 540ms"},
		{"lifetimes", func(c *Config) { c.Timers = Standard; c.Timers.Lifetime = ms(10) }, "lifetime 10ms, alone 1m0s: 1 s to 1 min, alone the longer one"},
	} {
		cfg := good
		cfg.Groups = slices.Clone(good.Groups)
		c.edit(&cfg)
		got := ""
		if err := cfg.Validate(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
	for _, name := range []string{"standard", "fast", "relaxed"} {
		p, ok := Profile(name)
		cfg := good
		if cfg.Timers = p; !ok || cfg.Validate() != nil {
			t.Errorf("profile %s: %v", name, cfg.Validate())
		}
	}
}

func TestDamping(t *testing.T) {
	var d damping
	for i := range 3 {
		d.add(time.Duration(i) * time.Second)
	}
	now := 3 * time.Second
	if !d.suppressed(now) {
		t.Errorf("three losses at once cost %.0f: not suppressed", d.value(now))
	}
	if !d.suppressed(now + flapHalf) {
		t.Errorf("free already at %.0f", d.value(now+flapHalf))
	}
	if d.suppressed(now + 2*flapHalf) {
		t.Errorf("still suppressed at %.0f", d.value(now+2*flapHalf))
	}
}

// Old and foreign messages change nothing.
func TestReplays(t *testing.T) {
	r, lb2 := standby(t, nil)
	old := &Message{Kind: KindAdvert, From: "lb2", Boot: lb2.boot, Seq: 1, Advert: lb2.stands().advert()}
	lb2.holds(1)
	r.step(Received{old}) // of this boot, long ago
	if r.state() != Standby || r.c.groups[0].live == nil {
		t.Errorf("an old advert made the holder stand by: %s", r.state())
	}
	earlier := *lb2
	earlier.boot, earlier.deaf, earlier.seq = 4711, true, 90_000
	earlier.stands()
	r.step(Received{&Message{Kind: KindAdvert, From: "lb2", Boot: 4711, Seq: 90_001, Advert: earlier.advert()}})
	r.step(Received{&Message{Kind: KindLeave, From: "lb2", Boot: 4711, Seq: 90_002}})
	r.step(Received{&Message{Kind: KindHandover, From: "lb2", Boot: 4711, Seq: 90_003, Group: ID("web"), Term: 99, Node: "lb1"}})
	r.run(2 * time.Second)
	if got := briefly(r.since()); got != "" || r.state() != Standby {
		t.Errorf("a replay of an earlier process did %q", got)
	}
	// The same process's hand-over, replayed after the term went on.
	lb2.holds(5)
	r.run(ms(200))
	lb2.send(&Message{Kind: KindHandover, Term: 3, Node: "lb1"})
	if r.state() != Standby {
		t.Errorf("an old hand-over was taken: %s", r.state())
	}
}

// A restart within the time of detection is seen by the boot id.
func TestRebootIsSeen(t *testing.T) {
	r, lb2 := standby(t, nil)
	lb2.boot, lb2.seq = 555, 0
	lb2.stands()
	lb2.state.State, lb2.state.Priority = Init, 50
	r.run(ms(700), lb2) // its addresses still answer
	if r.state() != Suspect {
		t.Fatalf("%s while the addresses of the earlier process answer", r.state())
	}
	r.run(ms(200))
	if r.state() != Active {
		t.Errorf("%s after they stopped", r.state())
	}
}

// Reload: priorities, timers and groups; what stays keeps its state.
func TestReload(t *testing.T) {
	r, _ := active(t, nil)
	cfg := Config{
		Directors: 2, Quorum: None, Priority: 120, Timers: Fast,
		Groups: []Group{{Name: "mail", Interfaces: []string{"eth0"}}, {Name: "web", Priority: 7, Interfaces: []string{"eth0"}}},
	}
	r.step(Reload{cfg})
	s := r.c.Status()
	if s.Groups[1].State != Active || s.Groups[1].Priority != 7 || s.Groups[0].Priority != 120 {
		t.Errorf("after the reload: %+v", s.Groups)
	}
	if got := briefly(r.since()); strings.Contains(got, "drop") {
		t.Errorf("the reload did %q", got)
	}
	cfg.Groups = cfg.Groups[:1]
	r.step(Reload{cfg})
	if got := briefly(r.since()); !strings.Contains(got, "drop") || !strings.Contains(got, "active>standby(group-removed)") {
		t.Errorf("a group that left the file: %q", got)
	}
	cfg.Groups = append(cfg.Groups, cfg.Groups[0])
	r.step(Reload{cfg})
	if n := len(r.c.Status().Groups); n != 1 {
		t.Errorf("a wrong file was taken: %d groups", n)
	}
}

// Config skew is told and changes nothing.
func TestSkew(t *testing.T) {
	r, _ := standby(t, nil)
	r.step(Reload{Config{Directors: 3, Quorum: None, Fingerprint: 1, Groups: []Group{{Name: "web", Interfaces: []string{"eth0"}}}}})
	r.run(ms(200))
	var notes []string
	for _, a := range r.since() {
		if n, ok := a.(Note); ok && !n.Over {
			notes = append(notes, n.Reason.String())
		}
	}
	want := []string{"lb2 runs another configuration", "lb2 counts 2 directors, we 3"}
	slices.Sort(notes)
	slices.Sort(want)
	// The test's director says what we have configured; so only the first one differs.
	if !slices.Contains(notes, want[1]) || r.state() != Standby {
		t.Errorf("%q in %s", notes, r.state())
	}
}

// An idle core wants to be woken by its adverts and nothing else.
func TestIdleDeadlines(t *testing.T) {
	r, _ := standby(t, nil)
	n := 0
	for end := r.now + 10*time.Second; r.now < end; n++ {
		r.now = r.c.NextDeadline()
		r.them["lb2"].says()
	}
	if n > 110 {
		t.Errorf("%d wake-ups in 10 s", n)
	}
}

func BenchmarkStep(b *testing.B) {
	cfg := Config{Name: "lb1", Boot: 1, Directors: 3}
	for _, n := range []string{"a", "b", "c", "d"} {
		cfg.Groups = append(cfg.Groups, Group{Name: n, Interfaces: []string{"eth0"}})
	}
	c := New(cfg)
	now := time.Duration(0)
	b.ReportAllocs()
	for b.Loop() {
		now = max(now+1, c.NextDeadline())
		c.Step(now, Tick{})
	}
}
