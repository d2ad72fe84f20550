package vip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// probeTimes are the times of the questions about one address. RFC 5227
// section 2.1.1 spreads them over seconds, for a network that a machine has
// just joined; here each moment is an outage, and who answers does so at once.
var probeTimes = [...]time.Duration{0, 40 * time.Millisecond, 80 * time.Millisecond}

const (
	probeWait  = 70 * time.Millisecond // for answers to the last question
	probeAgain = 5 * time.Second       // after an answer
	probeFresh = time.Second           // silence older than that says nothing
)

// errAsking holds back an Add until the neighbours had time to answer.
var errAsking = errors.New("asking the neighbours")

// claim is another machine's word that it has an address.
type claim struct {
	Addr netip.Addr
	MAC  [6]byte
}

// probe is what is known about other holders of one address.
type probe struct {
	addr netip.Addr
	link Link // on which is asked
	done bool // what follows is known
	at   time.Time
	err  error // why the address must not be added; nil: silence
}

// question is what one round asks on one interface, in one family.
type question struct {
	link   Link
	probes map[netip.Addr]*probe
	own    map[[6]byte]bool // the host's MACs: by these it answers itself
}

// verdict is how a question came out.
type verdict struct {
	question
	claims []claim
	err    error
}

// guard holds back an Add until the neighbours were asked whether one of them
// has the address, and as long as one has. What is ours already is not asked
// for: an adopted address needs no Add, a moved one is held meanwhile, and one
// that another program has just removed is put back at once.
//
// Only holders count, not others that ask for the address in the same moment
// (RFC 5227 section 2.1.1): a standby director does so to know the active one
// alive.
func (k *Keeper) guard(facts Facts, s Step, link Link, now time.Time) error {
	l := &k.loop
	t := l.tracks[s.Addr.Addr()]
	if !t.want.Probe || !link.Ethernet || t.heldJustNow(now) || facts.current(s.Addr.Addr()) != "" {
		return nil
	}
	if !link.Carrier {
		return fmt.Errorf("%s: %v", s.doing(), facts.problem(link.Name))
	}
	if p := t.probe; p != nil && p.link.Index == link.Index && p.link.MAC == link.MAC {
		again := p.at.Add(probeAgain)
		switch {
		case !p.done:
			return errAsking
		case p.err == nil && now.Before(p.at.Add(probeFresh)):
			return nil
		case p.err != nil && now.Before(again):
			l.reconcileBy(again)
			return p.err
		}
	}
	t.probe = &probe{addr: s.Addr.Addr(), link: link}
	l.raise(facts, t.probe)
	return errAsking
}

// heldJustNow is whether the address was held until just now. One with a
// lifetime may have expired while the process was stopped.
func (t *track) heldJustNow(now time.Time) bool {
	return t.status.State == Holding && (t.want.Lifetime <= 0 || now.Sub(t.heldAt) < t.want.Lifetime)
}

// contested is whether all that keeps the address away is another holder, or
// that the neighbours can't be asked: the time of the next try is known.
func (t *track) contested() bool {
	return t.status.State == Failed && t.probe != nil && t.probe.done && t.probe.err != nil && t.err == t.probe.err.Error()
}

// raise adds p to the questions of this round.
func (l *loop) raise(facts Facts, p *probe) {
	i := slices.IndexFunc(l.questions, func(q question) bool {
		return q.link.Index == p.link.Index && slices.Collect(maps.Keys(q.probes))[0].Is6() == p.addr.Is6()
	})
	if i < 0 {
		i = len(l.questions)
		q := question{link: p.link, probes: make(map[netip.Addr]*probe), own: make(map[[6]byte]bool)}
		for _, link := range facts.Links {
			q.own[link.MAC] = true
		}
		l.questions = append(l.questions, q)
	}
	l.questions[i].probes[p.addr] = p
}

// ask puts the questions of the round, all at once and beside the loop.
func (k *Keeper) ask(ctx context.Context, tasks *sync.WaitGroup) {
	for _, q := range k.loop.questions {
		tasks.Go(func() {
			addrs := slices.SortedFunc(maps.Keys(q.probes), netip.Addr.Compare)
			claims, err := k.sys.Probe(ctx, q.link, addrs)
			select {
			case k.verdicts <- verdict{q, claims, err}:
			case <-ctx.Done():
			}
		})
	}
	k.loop.questions = nil
}

// judge writes down a verdict. It may be about addresses that nobody wants any
// more; then nobody looks at it.
func (k *Keeper) judge(v verdict, now time.Time) {
	by := make(map[netip.Addr][][6]byte)
	for _, c := range v.claims {
		if !v.own[c.MAC] && !slices.Contains(by[c.Addr], c.MAC) {
			by[c.Addr] = append(by[c.Addr], c.MAC)
		}
	}
	for a, p := range v.probes {
		p.done, p.at = true, now
		switch {
		case len(by[a]) > 0:
			p.err = errAnswered(a, by[a], v.link.Name)
		case v.err != nil:
			p.err = fmt.Errorf("ask on %s whether another machine has %s: %v", v.link.Name, a, v.err)
		}
	}
	k.loop.reconcileAt = now
}

func errAnswered(addr netip.Addr, macs [][6]byte, name string) error {
	slices.SortFunc(macs, func(a, b [6]byte) int { return bytes.Compare(a[:], b[:]) })
	var who []string
	for _, m := range macs {
		who = append(who, net.HardwareAddr(m[:]).String())
	}
	return fmt.Errorf("%s is answered by %s on %s: another director holds it, or a web node lacks `ipvsd realserver setup`",
		addr, strings.Join(who, " and "), name)
}
