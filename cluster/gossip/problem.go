package gossip

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Problem is something that keeps directors apart and that an operator can
// mend.
type Problem struct {
	// Kind is what is wrong: key, label, name, address, tcp, udp, alien,
	// stranger, listen.
	Kind  string
	About string // the director's address or name
	Text  string // a sentence with the cure
	Since time.Time
}

const (
	// persists is for what also passes by itself, as when a director moves.
	persists = 10 * time.Second
	// solvedAfter is the silence after which a problem is taken for solved:
	// longer than two unconditional joins, which would show it again.
	solvedAfter = 20 * time.Second
	maxProblems = 64
)

type problemID struct{ kind, about string }

type problem struct {
	Problem
	last  time.Time
	after time.Duration // it is shown when seen for so long
	shown bool
}

// problems is written by whoever sees one and read by the teller, who logs
// each once when it comes and once when it goes.
type problems struct {
	wake chan struct{}

	mu   sync.Mutex
	open map[problemID]*problem
}

func newProblems() *problems {
	return &problems{wake: make(chan struct{}, 1), open: map[problemID]*problem{}}
}

func (ps *problems) note(kind, about, text string, after time.Duration) {
	now := time.Now()
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.open[problemID{kind, about}]
	if p == nil {
		if len(ps.open) == maxProblems {
			return
		}
		p = &problem{Problem: Problem{Kind: kind, About: about, Since: now}, after: after}
		ps.open[problemID{kind, about}] = p
	}
	p.Text, p.last, p.after = text, now, min(p.after, after)
	if !p.shown && now.Sub(p.Since) >= p.after {
		wake(ps.wake)
	}
}

// clear: it is known to be solved.
func (ps *problems) clear(kind, about string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.open[problemID{kind, about}]; p != nil {
		p.last = time.Time{}
		wake(ps.wake)
	}
}

func (ps *problems) any(kind string) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for id := range ps.open {
		if id.kind == kind {
			return true
		}
	}
	return false
}

// sweep returns what came and what went since the last time.
func (ps *problems) sweep(now time.Time) (came, went []Problem) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for id, p := range ps.open {
		switch {
		case now.Sub(p.last) > solvedAfter:
			delete(ps.open, id)
			if p.shown {
				went = append(went, p.Problem)
			}
		case !p.shown && p.last.Sub(p.Since) >= p.after:
			p.shown = true
			came = append(came, p.Problem)
		}
	}
	return came, went
}

func (ps *problems) snapshot() []Problem {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var out []Problem
	for _, p := range ps.open {
		if p.shown {
			out = append(out, p.Problem)
		}
	}
	slices.SortFunc(out, func(a, b Problem) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.About, b.About))
	})
	return out
}

func otherKey(peer string) string {
	return fmt.Sprintf("the director at %s uses another key: give both the same [cluster] key_file", peer)
}

func noKey(peer string) string {
	return fmt.Sprintf("of the director at %s and this one only one encrypts: give both the same [cluster] key_file", peer)
}

// inspect finds problems in who is a member.
func (g *Gossip) inspect() {
	members := g.view.snapshot()
	at := map[netip.AddrPort]string{}
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	for i := range members {
		m := &members[i]
		if !m.joined() {
			continue
		}
		addr := m.Addr.String()
		if other, ok := at[m.Addr]; ok {
			g.problems.note("address", addr, fmt.Sprintf("directors %s and %s both say they are at %s: set [cluster] listen on each to its own address", other, m.Name, addr), persists)
		}
		at[m.Addr] = m.Name
		if !m.Self && !g.configured(m.Addr) {
			g.problems.note("stranger", m.Name, fmt.Sprintf("director %s at %s has joined but isn't in [cluster] join here: add %s", m.Name, addr, strconv.Quote(addr)), persists)
		}
	}
	for _, m := range g.view.twins(time.Now()) {
		g.problems.note("name", m.Name, fmt.Sprintf("director %s at %v was started %d times within a minute: look why it ends, or whether two machines have this name and address", m.Name, m.Addr, twinStarts), 0)
	}
}

func (g *Gossip) configured(addr netip.AddrPort) bool {
	return slices.ContainsFunc(*g.peers.Load(), func(p *peer) bool { return p.addr == addr })
}
