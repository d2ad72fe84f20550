package cluster

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/cluster/vip"
)

const never = time.Duration(1<<63 - 1)

// wire is what is asked of the neighbours for the core, and what was heard.
type wire struct {
	probes map[string]*probe // by group
	duels  map[duel]time.Duration
}

// probe asks for the addresses of one group.
type probe struct {
	every  time.Duration
	at     time.Duration      // of the next question
	silent map[netip.Addr]int // questions in a row without an answer
}

// lostAfter is how many questions in a row one address leaves unanswered until
// the answers of its group's other addresses don't count any more: the kernel
// counts lifetimes in seconds, and the last address of a dead director may
// outlive the first by one. The core then waits for as many silent questions as
// ever, so that seven in a row make the mistake.
const lostAfter = 2

// duel is another machine that claims an address which we hold.
type duel struct {
	group string
	mac   [6]byte
}

// duelPause is the time between two words about the same one: RFC 5227 warns
// of machines that defend an address against each other without end.
const duelPause = 100 * time.Millisecond

func newWire() wire {
	return wire{probes: make(map[string]*probe), duels: make(map[duel]time.Duration)}
}

// probe starts or stops asking for a group.
func (w *wire) probe(group string, every, now time.Duration) {
	p := w.probes[group]
	switch {
	case every <= 0:
		delete(w.probes, group)
	case p == nil:
		w.probes[group] = &probe{every, now, make(map[netip.Addr]int)}
	default:
		p.at = min(p.at, now+every)
		p.every = every
	}
}

func (w *wire) next() time.Duration {
	at := never
	for _, p := range w.probes {
		at = min(at, p.at)
	}
	return at
}

// ask asks what is due. All answers that came are with the core already.
func (l *loop) ask() {
	now := l.now()
	if l.wire.next() > now {
		return
	}
	for _, c := range l.host.Pending() { // those that came before the next question
		l.heard(c)
	}
	for _, name := range sortedKeys(l.wire.probes) {
		p := l.wire.probes[name]
		if now < p.at {
			continue
		}
		p.at = max(p.at+p.every, now+p.every/2)
		failed := make(map[string]bool)
		for _, q := range l.place.asks[name] {
			if err := l.host.Ask(q.link, q.addr, netip.Addr{}); err != nil {
				failed[q.link.Name] = true
				l.story.unasked(l, q.link.Name, err)
				continue
			}
			p.silent[q.addr]++
		}
		for _, face := range l.place.interfaces(name) {
			if !failed[face] { // a question that wasn't put can't go unanswered
				l.push(core.Asked{Group: name, Interface: face})
			}
		}
	}
}

// heard takes another machine's claim: an answer of a witness, or one about an
// address of ours.
func (l *loop) heard(c vip.Claim) {
	if slices.Contains(l.place.own, c.MAC) {
		return // this machine answers itself where it has two interfaces on one segment
	}
	if l.witnesses.claim(c) {
		l.witnessedNow()
	}
	group, ours := l.place.groups[c.Addr]
	switch {
	case !ours:
	case l.holding.leases[group] != nil:
		d := duel{group, c.MAC}
		last, known := l.wire.duels[d]
		if now := l.now(); !known || now >= last+duelPause {
			if len(l.wire.duels) > 100 {
				clear(l.wire.duels)
			}
			l.wire.duels[d] = now
			l.push(core.Claimed{Group: group, Interface: c.Interface, MAC: c.MAC})
		}
	case l.wire.probes[group] != nil:
		p := l.wire.probes[group]
		p.silent[c.Addr] = 0
		for _, n := range p.silent {
			if n > lostAfter {
				return
			}
		}
		l.push(core.Answered{Group: group, Interface: c.Interface, MAC: c.MAC})
	}
	l.flush()
}
