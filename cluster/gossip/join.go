package gossip

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	joinEvery = time.Second            // a peer that isn't a member
	joinSoon  = 250 * time.Millisecond // … and was just heard
	// syncEvery exchanges states with every peer, member or not: memberlist's
	// own exchange asks members only, so that a director that one side takes
	// for alive and the other refuses stays so, and a restarted one that
	// gossip missed is seen.
	syncEvery = 7 * time.Second
	// unnamedFor is how long a peer may answer without being a member: longer
	// than it takes until the former owner of its name is dead.
	unnamedFor = 10 * time.Second
)

// peer is one configured director; its joiner owns it but for what the lock
// guards.
type peer struct {
	addr netip.AddrPort
	text string
	wake chan struct{}

	mu    sync.Mutex
	err   string    // why the last join failed
	heard time.Time // its last message
}

func (p *peer) lastErr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// SetJoin takes other directors to join. One that is no longer named stays a
// member as long as it lives; nobody dials it any more. Call it from one
// goroutine at a time, with addresses that Options would take.
func (g *Gossip) SetJoin(join []netip.AddrPort) {
	old, peers := *g.peers.Load(), []*peer{}
	for _, a := range slices.CompactFunc(slices.SortedFunc(slices.Values(join), netip.AddrPort.Compare), sameAddr) {
		if a = plain(a); a == plain(g.opts.Listen) || a == plain(g.opts.Advertise) {
			continue
		}
		if i := slices.IndexFunc(old, func(p *peer) bool { return p.addr == a }); i >= 0 {
			peers = append(peers, old[i])
			continue
		}
		peers = append(peers, &peer{addr: a, text: a.String(), wake: make(chan struct{}, 1)})
	}
	g.peers.Store(&peers)
	wake(g.rejoin)
	wake(g.view.changed)
}

// joinAll keeps a joiner for each peer until ctx ends.
func (g *Gossip) joinAll(ctx context.Context, wg *sync.WaitGroup) {
	ends := map[*peer]context.CancelFunc{}
	for {
		peers := *g.peers.Load()
		for p, end := range ends {
			if !slices.Contains(peers, p) {
				end()
				delete(ends, p)
			}
		}
		for _, p := range peers {
			if ends[p] == nil {
				joining, end := context.WithCancel(ctx)
				ends[p] = end
				wg.Go(func() { g.join(joining, p) })
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-g.rejoin:
		}
	}
}

// retry wakes the joiner of a director that speaks to us and isn't a member:
// so a healed partition is over before its second is.
func (g *Gossip) retry(e envelope) {
	for _, p := range *g.peers.Load() {
		if p.addr == e.addr {
			p.mu.Lock()
			p.heard = time.Now()
			p.mu.Unlock()
			if !g.view.joinedAt(p.addr) {
				wake(p.wake)
			}
		}
	}
}

// join is a peer's joiner. memberlist never dials again who it took for dead,
// and it dials one after another, so each peer has its own goroutine.
func (g *Gossip) join(ctx context.Context, p *peer) {
	var synced, answering time.Time
	again := jitter(syncEvery)
	for {
		began := time.Now()
		if p.addr != g.Addr() && !g.left.Load() && (!g.view.joinedAt(p.addr) || began.Sub(synced) > again) {
			ok := g.dial(p)
			if ok {
				synced, again = time.Now(), jitter(syncEvery)
			}
			answering = g.judge(p, ok, answering)
		}
		if !sleep(ctx, time.Until(began.Add(joinSoon))) {
			return
		}
		timer := time.NewTimer(time.Until(began.Add(jitter(joinEvery))))
		select {
		case <-ctx.Done():
		case <-p.wake:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// dial exchanges states with a peer.
func (g *Gossip) dial(p *peer) bool {
	_, err := g.list.Load().Join([]string{p.text})
	text := joinError(err, p.text)
	p.mu.Lock()
	changed := p.err != text
	p.err = text
	byUDP := time.Since(p.heard) < 2*time.Second
	p.mu.Unlock()
	if changed {
		wake(g.view.changed)
	}
	switch {
	case err == nil:
		g.problems.clear("tcp", p.text)
	case strings.Contains(text, "no installed keys"):
		g.problems.note("key", p.text, otherKey(p.text), 0)
	case strings.Contains(text, "not encrypted"), strings.Contains(text, "encryption is not configured"):
		g.problems.note("key", p.text, noKey(p.text), 0)
	case byUDP:
		g.problems.note("tcp", p.text, fmt.Sprintf("the director at %s is heard by UDP, but not reached by TCP (%s): open port %d for both between the directors", p.text, text, p.addr.Port()), persists)
	}
	return err == nil
}

// judge finds peers that answer and are nevertheless no members; it returns
// since when that is so.
func (g *Gossip) judge(p *peer, ok bool, since time.Time) time.Time {
	switch {
	case !ok || g.view.joinedAt(p.addr):
		return time.Time{}
	case since.IsZero():
		return time.Now()
	case time.Since(since) > unnamedFor && !g.problems.any("name") && !g.problems.any("alien"):
		g.problems.note("address", p.text, fmt.Sprintf("a director answers at %s, but none advertises this address: join the address that it advertises, or set its [cluster] listen", p.text), 0)
	}
	return since
}

// joinError is what memberlist says, without the frame around it.
func joinError(err error, addr string) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if _, inner, ok := strings.Cut(text, "failed to join "+addr+": "); ok {
		text = inner
	}
	return strings.TrimSpace(text)
}

// jitter is ±20 %, so that directors don't dial each other in step.
func jitter(d time.Duration) time.Duration {
	return d*4/5 + rand.N(d*2/5)
}
