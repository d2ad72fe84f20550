package checker

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

func TestAgentSays(t *testing.T) {
	for _, tt := range []struct {
		line    string
		ok      bool
		percent uint16
		reason  string
	}{
		{"up", true, 100, "the agent says up"},
		{"ready", true, 100, "the agent says ready"},
		{"75%", true, 75, "the agent says 75%"},
		{"ready 75%", true, 75, "the agent says ready 75%"},
		{"UP, 150%", true, 150, "the agent says UP, 150%"},
		{"0%", true, 0, "the agent says 0%"},
		{"drain", true, 0, "the agent says drain"},
		{"drain 75%", true, 0, "the agent says drain 75%"},
		{"75% drain", true, 0, "the agent says 75% drain"},
		{"up 50% maxconn:30 # half asleep", true, 50, "the agent says up 50% maxconn:30: half asleep"},
		{"maint", false, 0, "the agent says maint"},
		{"up 75% down # disk full", false, 0, "the agent says down: disk full"},
		{"stopped", false, 0, "the agent says stopped"},
		{"", false, 0, "the agent says nothing"},
		{"# hello", false, 0, "the agent says nothing"},
		{"75", false, 0, `the agent says "75"; known are up, ready, drain, maint, down, fail, stopped and "75%"`},
		{"-1%", false, 0, `the agent says "-1%"; known are up, ready, drain, maint, down, fail, stopped and "75%"`},
		{"99999%", false, 0, `the agent says "99999%"; known are up, ready, drain, maint, down, fail, stopped and "75%"`},
		{"HTTP/1.1 200 OK", false, 0, `the agent says "HTTP/1.1 200 OK"; known are up, ready, drain, maint, down, fail, stopped and "75%"`},
	} {
		r := agentSays(tt.line)
		if r.OK != tt.ok || r.Weighs != tt.ok || r.Percent != tt.percent || r.Reason != tt.reason {
			t.Errorf("%q: got %+v", tt.line, r)
		}
	}
}

func TestAgent(t *testing.T) {
	base := Spec{Type: Agent}
	tryAll(t, base, []trial{
		{name: "alive", serve: hangsUp("75%\n"), ok: true, reason: "the agent says 75%"},
		{name: "asked", serve: plays("< weight?", "> 75%"), with: func(s *Spec) { s.Send = "weight?\n" }, ok: true, reason: "the agent says 75%"},
		{name: "down", serve: hangsUp("down # backup runs\r\n"), reason: "the agent says down: backup runs"},
		{name: "half a word", serve: hangsUp("dr"), reason: "connection closed in the middle of the agent's word"},
		{name: "silent", serve: mute, with: quicker, reason: "timeout after 800ms while waiting for the agent's word"},
	})
	tryHostile(t, base)
	trySecure(t, Spec{Type: Agent, TLS: true}, hangsUp("up\n"))
}

// TestPercent: what an agent wants is told, counts as a change, and is
// forgotten with the agent.
func TestPercent(t *testing.T) {
	var says atomic.Value
	says.Store("up\n")
	target := standIn(t, "127.0.0.1:0", func(c net.Conn) { hangsUp(says.Load().(string))(c) })
	web := rawServer(t, says200)
	c := New(Options{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	defer func() {
		cancel()
		<-done
	}()
	watch := func(typ Type, target netip.AddrPort) []Watch {
		return []Watch{{ID: "x", Spec: Spec{Type: typ, Target: target, Interval: 20 * time.Millisecond, Timeout: 5 * time.Second}}}
	}
	until := func(percent uint16, state State) {
		t.Helper()
		limit := time.After(20 * time.Second)
		for {
			of, percents := c.States()["x"], c.Percents()
			p, some := percents["x"]
			if !some {
				p = 100
			}
			if st, _ := c.Status("x"); p == percent && of == state && st.Percent == percent {
				return
			}
			select {
			case <-c.Changed():
			case <-limit:
				t.Fatalf("%s with %d %%, want %s with %d %%", of, p, state, percent)
			}
		}
	}
	c.Set(watch(Agent, target))
	until(100, Up)
	says.Store("30%\n")
	until(30, Up)
	says.Store("down\n")
	until(30, Down) // the weight it had is what it comes back with, until it says otherwise
	says.Store("60%\n")
	until(60, Up)
	c.Set(watch(HTTP, web))
	until(100, Up)
}

func says200(c net.Conn) { says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")(c) }
