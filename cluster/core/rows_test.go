package core

import (
	"testing"
	"time"
)

// standby is a rig whose lb2 is active.
func standby(t *testing.T, edit func(*Config)) (*rig, *actor) {
	t.Helper()
	cfg := Config{Directors: 2, Quorum: None, Priority: 100}
	if edit != nil {
		edit(&cfg)
	}
	r := newRig(t, cfg)
	lb2 := r.peer("lb2").holds(1)
	if cfg.Directors > 2 {
		r.peer("lb3")
	}
	r.run(time.Second)
	if r.state() != Standby {
		t.Fatalf("state %s, not standby", r.state())
	}
	r.run(3 * time.Second) // past the start hold
	r.since()
	return r, lb2
}

// active is a rig that is active itself, with lb2 standing by.
func active(t *testing.T, edit func(*Config)) (*rig, *actor) {
	t.Helper()
	cfg := Config{Directors: 2, Quorum: None, Priority: 100}
	if edit != nil {
		edit(&cfg)
	}
	r := newRig(t, cfg)
	lb2 := r.peer("lb2")
	lb2.state.Priority = 50
	if cfg.Directors > 2 {
		r.peer("lb3").state.Priority = 50
	}
	r.run(3100 * time.Millisecond)
	if r.state() == Voting {
		lb2.send(&Message{Kind: KindGrant, Term: r.c.groups[0].vote.term})
	}
	if r.state() != Active {
		t.Fatalf("state %s, not active", r.state())
	}
	r.step(Actuated{Group: "web", Result: Up})
	r.run(time.Second)
	r.since()
	return r, lb2
}

func majority(c *Config) { c.Directors, c.Quorum = 3, Majority }

// TestRows goes through the state table of the protocol, row by row.
func TestRows(t *testing.T) {
	for _, row := range []struct {
		name string
		play func(t *testing.T) *rig
		want string
		end  State
	}{
		{"start", func(t *testing.T) *rig {
			r := newRig(t, Config{Directors: 2})
			r.run(ms(100))
			return r
		}, "none>init(started)", Init},
		{"init: advert with an active holder", func(t *testing.T) *rig {
			r := newRig(t, Config{Directors: 2})
			r.peer("lb2").holds(3)
			r.run(ms(150))
			return r
		}, "none>init(started) init>standby(holder-known)", Standby},
		{"init: all heard for two intervals, nobody holds", func(t *testing.T) *rig {
			r := newRig(t, Config{Directors: 2, Quorum: None})
			r.peer("lb2").state.Priority = 50
			r.run(ms(450))
			return r
		}, "none>init(started) hold init>candidate(all-heard) candidate>active(no-holder)", Active},
		{"init: start hold over", func(t *testing.T) *rig {
			r := newRig(t, Config{Directors: 2, Quorum: None})
			r.run(ms(2990))
			if r.state() != Init {
				t.Errorf("left init early: %s", r.state())
			}
			r.run(ms(50))
			return r
		}, "none>init(started) init>standby(start-hold-over) standby>suspect(wire-asked)", Suspect},
		{"any: hard fault", func(t *testing.T) *rig {
			r, _ := standby(t, nil)
			r.step(Health{Faults: []Fault{{Name: "interface", Text: "eth0 has no carrier"}}})
			return r
		}, "standby>fault(fault)", Faulty},
		{"active: hard fault hands over", func(t *testing.T) *rig {
			r, lb2 := active(t, nil)
			r.step(Health{Faults: []Fault{{Name: "interface"}}})
			r.run(ms(5))
			lb2.send(&Message{Kind: KindTook, Term: 2})
			return r
		}, "handover active>releasing(fault) drop releasing>fault(successor-has-it)", Faulty},
		{"fault: well for the recover delay", func(t *testing.T) *rig {
			r, _ := standby(t, nil)
			r.step(Health{Faults: []Fault{{Name: "interface"}}})
			r.step(Health{})
			r.run(ms(4900))
			if r.state() != Faulty {
				t.Errorf("recovered early")
			}
			r.run(ms(200))
			return r
		}, "standby>fault(fault) fault>standby(recovered)", Standby},
		{"standby: adverts of the holder", func(t *testing.T) *rig {
			r, _ := standby(t, nil)
			r.run(10 * time.Second)
			return r
		}, "", Standby},
		{"standby: holder silent", func(t *testing.T) *rig {
			r, lb2 := standby(t, nil)
			lb2.silent = true
			r.run(ms(320))
			return r
		}, "standby>suspect(holder-silent)", Suspect},
		{"suspect: any message of the holder", func(t *testing.T) *rig {
			r, lb2 := standby(t, nil)
			lb2.silent = true
			r.run(ms(500))
			lb2.says()
			return r
		}, "standby>suspect(holder-silent) suspect>standby(refuted)", Standby},
		{"suspect: a director still hears the holder", func(t *testing.T) *rig {
			r, lb2 := standby(t, func(c *Config) { c.Directors = 3 })
			lb2.silent = true
			lb3 := r.them["lb3"]
			lb3.state.Holder, lb3.state.HolderTerm = "lb2", 1
			lb3.heard = []Heard{{"lb2", uint16(lb2.boot), uint16(lb2.seq + 5), 0}}
			r.run(2 * time.Second)
			return r
		}, "standby>suspect(peer-hears-holder)", Suspect},
		{"suspect: the address answers", func(t *testing.T) *rig {
			r, lb2 := standby(t, nil)
			lb2.silent = true
			r.run(2*time.Second, lb2)
			if why := r.c.groups[0].why.Code; why != WireAnswers {
				t.Errorf("waits for %s", why)
			}
			return r
		}, "standby>suspect(holder-silent)", Suspect},
		{"suspect: it answers for longer than the fence", func(t *testing.T) *rig {
			r, lb2 := standby(t, nil)
			lb2.silent = true
			r.run(30*time.Second, lb2)
			return r
		}, "standby>suspect(holder-silent) alarm(held-remote)", Suspect},
		{"suspect: claim permitted", func(t *testing.T) *rig {
			r, lb2 := standby(t, nil)
			lb2.silent = true
			r.run(ms(620))
			return r
		}, "standby>suspect(holder-silent) hold suspect>candidate(holder-dead) candidate>active(holder-dead)", Active},
		{"standby: the holder says that it isn't", func(t *testing.T) *rig {
			r, lb2 := standby(t, nil)
			lb2.state.Priority = 50
			lb2.stands().says()
			return r
		}, "hold standby>candidate(holder-gave-up) candidate>active(holder-gave-up)", Active},
		{"standby: the holder yields", func(t *testing.T) *rig {
			r, lb2 := standby(t, nil)
			lb2.send(&Message{Kind: KindYield, Term: 1})
			return r
		}, "hold standby>candidate(holder-gave-up) candidate>active(holder-gave-up)", Active},
		{"standby: the holder leaves", func(t *testing.T) *rig {
			r, lb2 := standby(t, nil)
			lb2.send(&Message{Kind: KindLeave})
			return r
		}, "hold standby>candidate(holder-left) candidate>active(holder-left)", Active},
		{"candidate: anyone active", func(t *testing.T) *rig {
			r, lb2 := standby(t, func(c *Config) { c.Directors = 3 })
			lb3 := r.them["lb3"]
			lb3.state.Priority = 200
			r.run(ms(100))
			lb2.silent = true
			lb2.send(&Message{Kind: KindLeave})
			r.run(ms(20))
			lb3.holds(2).says()
			return r
		}, "standby>candidate(holder-left) candidate>standby(holder-active)", Standby},
		{"candidate: rank delay", func(t *testing.T) *rig {
			r, lb2 := standby(t, func(c *Config) { c.Directors = 3 })
			r.them["lb3"].state.Priority = 200
			r.run(ms(100))
			lb2.silent = true
			lb2.send(&Message{Kind: KindLeave})
			r.run(ms(40))
			if r.state() != Candidate {
				t.Errorf("didn't wait for the better one: %s", r.state())
			}
			r.run(ms(20))
			return r
		}, "standby>candidate(holder-left) hold candidate>active(holder-left)", Active},
		{"candidate: quorum", func(t *testing.T) *rig {
			r, lb2 := standby(t, majority)
			lb2.silent = true
			lb2.send(&Message{Kind: KindLeave})
			return r
		}, "vote standby>candidate(holder-left) candidate>voting(holder-left)", Voting},
		{"voting: majority", func(t *testing.T) *rig {
			r, lb2 := standby(t, majority)
			lb2.silent = true
			lb2.send(&Message{Kind: KindLeave})
			r.them["lb3"].send(&Message{Kind: KindGrant, Term: 2})
			return r
		}, "vote standby>candidate(holder-left) candidate>voting(holder-left) hold voting>active(holder-left)", Active},
		{"voting: an interval without", func(t *testing.T) *rig {
			r, lb2 := standby(t, majority)
			lb2.silent = true
			lb2.send(&Message{Kind: KindLeave})
			r.run(ms(90))
			r.since()
			r.now += ms(15)
			r.step(Tick{})
			return r
		}, "abort voting>candidate(vote-failed)", Candidate},
		{"active: ticks renew", func(t *testing.T) *rig {
			r, _ := active(t, nil)
			r.run(10 * time.Second)
			n := 0
			for _, a := range r.since() {
				if h, ok := a.(Hold); ok && h.Renew && h.Lifetime == 2*time.Second {
					n++
				}
			}
			if n < 19 || n > 21 {
				t.Errorf("%d renewals in 10 s, not 20", n)
			}
			return r
		}, "", Active},
		{"active: the address is gone", func(t *testing.T) *rig {
			r, _ := active(t, nil)
			r.step(Actuated{Group: "web", Result: Lost})
			return r
		}, "drop yield active>standby(address-lost)", Standby},
		{"active: another one with a higher term", func(t *testing.T) *rig {
			r, lb2 := active(t, nil)
			lb2.holds(9).says()
			return r
		}, "drop active>standby(higher-term)", Standby},
		{"active: another one with a lower term", func(t *testing.T) *rig {
			r, lb2 := active(t, nil)
			lb2.holds(0).says()
			r.run(ms(50))
			lb2.stands().says()
			return r
		}, "announce", Active},
		{"active: the quorum lease is over", func(t *testing.T) *rig {
			r, lb2 := active(t, majority)
			lb2.deaf, r.them["lb3"].deaf = true, true
			r.run(ms(600))
			return r
		}, "drop yield active>standby(quorum-lost) standby>suspect(wire-asked)", Suspect},
		{"active: isolated", func(t *testing.T) *rig {
			r, lb2 := active(t, func(c *Config) { c.Quorum, c.Witnesses, c.DropIsolated = Witness, 1, true })
			r.step(Witnessed{Begun: r.now, Answered: 1})
			lb2.silent = true
			for range 5 {
				r.run(time.Second)
				r.step(Witnessed{Begun: r.now})
			}
			return r
		}, "drop yield active>standby(isolated) standby>suspect(wire-asked) alarm(no-witness)", Suspect},
		{"active: fewer witnesses than another", func(t *testing.T) *rig {
			r, lb2 := active(t, func(c *Config) { c.Quorum, c.Witnesses = Witness, 2 })
			lb2.reach = 2
			for i := 0; i < 1200 && r.state() == Active; i++ {
				if i%100 == 0 {
					r.step(Witnessed{Begun: r.now, Answered: 1})
				}
				r.run(ms(10))
			}
			r.run(ms(510))
			return r
		}, "handover active>releasing(fewer-witnesses) handover drop yield releasing>standby(successor-silent)", Standby},
		{"active: SIGTERM", func(t *testing.T) *rig {
			r, _ := active(t, nil)
			r.step(Stop{})
			return r
		}, "handover active>releasing(stopping)", Releasing},
		{"releasing: took", func(t *testing.T) *rig {
			r, lb2 := active(t, nil)
			r.step(Stop{})
			lb2.send(&Message{Kind: KindTook, Term: 2})
			r.run(ms(200))
			return r
		}, "handover active>releasing(stopping) drop leave releasing>standby(successor-has-it) leave stopped", Standby},
		{"releasing: nobody takes it", func(t *testing.T) *rig {
			r, _ := active(t, nil)
			r.step(Stop{})
			r.run(ms(495))
			if r.state() != Releasing {
				t.Errorf("%s before the time was over", r.state())
			}
			r.since()
			r.run(ms(10))
			return r
		}, "drop yield leave releasing>standby(successor-silent)", Standby},
		{"standby: handed over", func(t *testing.T) *rig {
			r, lb2 := standby(t, nil)
			lb2.state.State = Releasing
			lb2.send(&Message{Kind: KindHandover, Term: 2, Node: "lb1"})
			r.step(Actuated{Group: "web", Result: Up})
			return r
		}, "hold standby>active(handed-over) took", Active},
		{"any: a stall of our own", func(t *testing.T) *rig {
			r, _ := standby(t, nil)
			r.now += 1500 * time.Millisecond
			r.step(Tick{})
			r.run(time.Second)
			return r
		}, "", Standby},
		{"any: a stall of our own, too long to be credited", func(t *testing.T) *rig {
			r, _ := standby(t, nil)
			r.now += 5 * time.Second
			r.step(Tick{})
			r.run(time.Second)
			return r
		}, "standby>suspect(wire-asked) suspect>standby(refuted)", Standby},
		{"active: a stall shorter than the lifetime", func(t *testing.T) *rig {
			r, _ := active(t, nil)
			r.now += 1200 * time.Millisecond
			r.step(Tick{})
			return r
		}, "", Active},
		{"active: a stall longer than the lifetime", func(t *testing.T) *rig {
			r, _ := active(t, nil)
			r.now += 5 * time.Second
			r.step(Tick{})
			return r
		}, "drop yield active>standby(lease-lapsed) standby>suspect(wire-asked)", Suspect},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := row.play(t)
			if got := briefly(r.since()); got != row.want {
				t.Errorf("did   %q\nwanted %q", got, row.want)
			}
			if r.state() != row.end {
				t.Errorf("ended in %s, not %s", r.state(), row.end)
			}
		})
	}
}
