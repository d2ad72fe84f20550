package cluster

import (
	"context"
	"net/netip"
	"time"

	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/cluster/gossip"
	"github.com/ipvsd/ipvsd/cluster/vip"
)

// loop is what the goroutine of Run owns.
type loop struct {
	*Node
	ctx    context.Context
	start  time.Time
	opts   Options
	core   *core.Core
	inputs []core.Input // to be stepped
	look   <-chan sight
	facts  vip.Facts
	seen   bool // facts were read

	holding    holding
	place      place
	wire       wire
	witnesses  witnesses
	peers      map[string]netip.AddrPort // by the name that they have in messages
	faults     faults
	operations map[uint64]*operation
	nextID     uint64
	stopped    chan struct{} // closed when the core has stopped; nil: not asked to
	over       bool          // it has
	sleeps     sleeps
	story      story
	dirty      bool
}

// slept is how long a sleep of the machine has to be to count as a stall.
const slept = 50 * time.Millisecond

func newLoop(n *Node, e *echoes) *loop {
	n.mu.Lock()
	defer n.mu.Unlock()
	return &loop{
		Node: n, start: time.Now(), opts: n.opts, core: core.New(n.opts.Core),
		holding:    newHolding(),
		wire:       newWire(),
		witnesses:  witnesses{echoes: e, every: witnessEvery},
		peers:      make(map[string]netip.AddrPort),
		faults:     faults{own: []core.Fault{{Name: "table", Text: "the table hasn't been programmed yet"}}},
		operations: make(map[uint64]*operation),
		story:      newStory(),
	}
}

func (l *loop) now() time.Duration { return time.Since(l.start) }

// run turns until ctx ends.
func (l *loop) run(ctx context.Context) {
	l.ctx = ctx
	l.push(l.nodeHealth())
	facts, err := l.host.Read()
	l.adopt(facts)
	l.sight(sight{facts, err})
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		l.turn()
		timer.Reset(l.next())
		select {
		case <-ctx.Done():
		case <-timer.C:
		case m := <-l.gossip.Received():
			l.received(m)
		case c := <-l.host.Heard():
			l.heard(c)
		case e := <-l.witnesses.echoes.heard:
			l.witnessed(e)
		case f := <-l.commands:
			f(l)
		case s := <-l.look:
			l.sight(s)
		case <-l.host.Changed():
			l.checkAddresses()
		case <-l.gossip.Changed():
			l.dirty = true
		}
	}
}

// turn does what is due. What was received meanwhile comes before any question
// and any deadline: after a stall it says what was missed.
func (l *loop) turn() {
	for more := true; more; {
		select {
		case m := <-l.gossip.Received():
			l.received(m)
		case c := <-l.host.Heard():
			l.heard(c)
		case e := <-l.witnesses.echoes.heard:
			l.witnessed(e)
		default:
			more = false
		}
	}
	if gap := l.sleeps.grown(); gap > slept {
		l.push(core.Stalled{For: gap})
	}
	l.flush()
	l.ask()
	l.askWitnesses()
	l.flush()
	if !l.over && l.now() >= l.core.NextDeadline() {
		l.push(core.Tick{})
		l.flush()
	}
	if l.dirty {
		l.dirty = false
		l.publish()
	}
}

// next is how long nothing is due.
func (l *loop) next() time.Duration {
	at := min(l.wire.next(), l.witnesses.at)
	if !l.over {
		at = min(at, l.core.NextDeadline())
	}
	return max(at-l.now(), 0)
}

func (l *loop) push(in ...core.Input) { l.inputs = append(l.inputs, in...) }

// flush steps the core with what was pushed, and with what comes of it.
func (l *loop) flush() {
	for len(l.inputs) > 0 {
		in := l.inputs[0]
		l.inputs = l.inputs[1:]
		if l.over {
			continue
		}
		l.carryOut(l.core.Step(l.now(), in))
		l.dirty = true
	}
	l.inputs = nil
}

// carryOut does what the core wants, in its order: first of all what takes
// addresses away, then what brings them, then the messages that tell of it.
func (l *loop) carryOut(actions []core.Action) {
	l.drop(actions)
	l.hold(actions)
	for _, a := range actions {
		switch a := a.(type) {
		case core.Send:
			l.send(a)
		case core.Announce:
			l.host.AnnounceThese(l.holding.addrs(a.Group), a.Kind == core.AfterConflict)
		case core.Probe:
			l.wire.probe(a.Group, a.Every, l.now())
		case core.AskWitnesses:
			l.witnesses.pace(a.Every, l.now())
		case core.Transition:
			l.transition(a)
		case core.Decision:
			l.decision(a)
		case core.Note:
			l.note(a)
		case core.Answer:
			l.answer(a)
		case core.Stopped:
			l.over = true
			if l.stopped != nil {
				close(l.stopped)
				l.stopped = nil
			}
		}
	}
}

// received takes another director's message. What it says of itself must be
// what its envelope says.
func (l *loop) received(g gossip.Message) {
	m, err := core.Decode(g.Payload)
	if err != nil {
		l.story.garbled(l, g, err)
		return
	}
	if m.From != g.From || m.Boot != g.Boot {
		return
	}
	l.peers[m.From] = g.Addr
	l.push(core.Received{Message: m})
	l.flush()
}

// send sends a message; a director that was never heard is found by gossip.
func (l *loop) send(a core.Send) {
	b, err := a.Message.Encode()
	if err == nil {
		switch to, known := l.peers[a.To]; {
		case a.To == "":
			err = l.gossip.Broadcast(b)
		case known:
			err = l.gossip.Send(to, b)
		default:
			err = l.gossip.SendTo(a.To, b)
		}
	}
	if err != nil {
		l.story.unsent(l, err)
	}
}

// sight takes a look at the kernel.
func (l *loop) sight(s sight) {
	if s.err != nil {
		if !l.seen {
			l.blind(s.err)
		}
		return
	}
	l.seen, l.facts = true, s.facts
	if p := findPlaces(l.facts, l.opts); !p.equal(l.place) {
		l.settle(p)
	}
}

// blind: nothing is known of this machine's interfaces.
func (l *loop) blind(err error) {
	l.faults.place = make(map[string][]core.Fault)
	for _, g := range l.opts.Groups {
		l.faults.place[g.Name] = []core.Fault{{Name: "interface", Text: err.Error()}}
	}
	l.pushHealth()
	l.flush()
}

// settle takes what the kernel holds together with the options.
func (l *loop) settle(p place) {
	old := l.place
	l.place = p
	l.host.Listen(p.rooms)
	l.witnesses.set(p.witnesses)
	if cfg := l.config(); !sameConfig(cfg, l.story.config) {
		l.story.config = cfg
		l.push(core.Reload{Config: cfg})
	}
	if !sameMACs(p.macs, old.macs) {
		l.push(core.MACs{MACs: p.macs})
	}
	l.faults.place = p.faults
	l.pushHealth()
	l.move()
	l.flush()
}
