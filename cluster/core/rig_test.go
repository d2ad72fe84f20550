package core

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// rig is one core, with the other directors played by the test.
type rig struct {
	t      *testing.T
	c      *Core
	now    time.Duration
	all    []Action
	mark   int
	advert uint64 // the newest one of the core
	them   map[string]*actor
}

// actor is another director.
type actor struct {
	r      *rig
	name   string
	boot   uint64
	seq    uint64
	state  GroupState
	flags  Flags
	reach  uint8
	silent bool
	deaf   bool // doesn't say that it heard us
	heard  []Heard
	fence  uint16
}

func (a *actor) mac() MAC { return MAC{2, 0, 0, 0, 0, a.name[len(a.name)-1]} }

func newRig(t *testing.T, cfg Config) *rig {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = "lb1"
	}
	if cfg.Groups == nil {
		cfg.Groups = []Group{{Name: "web", Interfaces: []string{"eth0"}}}
	}
	cfg.Boot = 7
	cfg.MACs = []MAC{{2, 0, 0, 0, 0, '1'}}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, c: New(cfg), them: make(map[string]*actor)}
}

func (r *rig) step(in Input) {
	acts := r.c.Step(r.now, in)
	r.all = append(r.all, acts...)
	for _, a := range acts {
		if s, ok := a.(Send); ok && s.Message.Kind.state() {
			r.advert = s.Message.Seq
		}
	}
}

// peer brings another director in, standing by.
func (r *rig) peer(name string) *actor {
	a := &actor{
		r: r, name: name, boot: 100 + uint64(len(r.them)), fence: 4000,
		state: GroupState{ID: ID("web"), State: Standby, Flags: Eligible, Priority: 100},
	}
	r.them[name] = a
	return a
}

func (a *actor) holds(term uint32) *actor {
	a.state.State, a.state.Term, a.state.Holder, a.state.HolderTerm = Active, term, a.name, term
	a.state.Flags |= IsUp
	return a
}

func (a *actor) stands() *actor {
	a.state.State, a.state.Holder, a.state.HolderTerm = Standby, "", 0
	a.state.Flags &^= IsUp
	return a
}

// says sends an advert.
func (a *actor) says() { a.send(&Message{Kind: KindAdvert, Advert: a.advert()}) }

func (a *actor) advert() *Advert {
	ad := &Advert{
		Interval: 100, Suspect: 300, Dead: 600, Fence: a.fence, Flags: a.flags, Directors: uint8(a.r.c.cfg.Directors),
		Reach: a.reach, Witnesses: uint8(a.r.c.cfg.Witnesses), MACs: []MAC{a.mac()}, Groups: []GroupState{a.state},
		Heard: slices.Clone(a.heard),
	}
	if !a.deaf {
		ad.Heard = append(ad.Heard, Heard{a.r.c.cfg.Name, uint16(a.r.c.cfg.Boot), uint16(a.r.advert), 0})
	}
	return ad
}

// send sends anything else.
func (a *actor) send(m *Message) {
	a.seq++
	m.From, m.Boot, m.Seq = a.name, a.boot, a.seq
	if m.Advert == nil && m.Kind != KindLeave {
		m.Group = ID("web")
	}
	a.r.step(Received{m})
}

// run lets time pass: the others advertise, the wire is asked while that is
// wanted, and answers for whom is named.
func (r *rig) run(d time.Duration, answers ...*actor) {
	end := r.now + d
	for r.now < end {
		r.now = min(r.now+ms(10), end)
		if r.now%ms(100) == 0 {
			var names []string
			for n, a := range r.them {
				if !a.silent {
					names = append(names, n)
				}
			}
			slices.Sort(names)
			for _, n := range names {
				r.them[n].says()
			}
		}
		if r.now%ms(20) == 0 && r.c.groups[0].wire.on {
			r.step(Asked{"web", "eth0"})
			for _, a := range answers {
				r.step(Answered{"web", "eth0", a.mac()})
			}
		}
		if r.c.NextDeadline() <= r.now {
			r.step(Tick{})
		}
	}
}

func (r *rig) state() State { return r.c.groups[0].state }

// since returns the actions after the mark that the last call left.
func (r *rig) since() []Action {
	a := r.all[r.mark:]
	r.mark = len(r.all)
	return a
}

// brief writes down what matters of actions: the transitions with the code of
// their reason, what happens to addresses, and messages but adverts.
func briefly(actions []Action) string {
	var s []string
	for _, a := range actions {
		switch a := a.(type) {
		case Transition:
			if a.From != a.To {
				s = append(s, fmt.Sprintf("%s>%s(%s)", a.From, a.To, a.Reason.Code))
			}
		case Drop:
			s = append(s, "drop")
		case Hold:
			if !a.Renew {
				s = append(s, "hold")
			}
		case Announce:
			s = append(s, "announce")
		case Send:
			if !a.Message.Kind.state() {
				s = append(s, a.Message.Kind.String())
			}
		case Decision:
			if a.Alarm {
				s = append(s, "alarm("+string(a.Reason.Code)+")")
			}
		case Stopped:
			s = append(s, "stopped")
		}
	}
	return strings.Join(slices.Compact(s), " ")
}
