package director

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/journal"
	"github.com/ipvsd/ipvsd/director/pool"
	"github.com/ipvsd/ipvsd/director/table"
)

// sight is all that is known of the real servers at one moment.
type sight struct {
	verdicts Verdicts
	adopted  map[table.Pair]table.Real
	holds    Holds
	percents map[table.Pair]uint16 // of the weight, where an agent doesn't want all of it
	memory   map[table.ServiceKey]pool.Memory
	now      time.Time
}

// decide applies the rules of a virtual service.
func (s sight) decide(v config.Virtual) pool.Decision {
	r := pool.Rules{Policy: v.Pool, Fallback: v.Fallback != nil, Fine: v.Fine()}
	return pool.Decide(r, s.servers(v, nil), s.memory[v.Service.ServiceKey], s.now)
}

// servers are the real servers of a virtual service as package pool sees them.
func (s sight) servers(v config.Virtual, refuses func(table.Pair) bool) []pool.Server {
	out := make([]pool.Server, len(v.Reals))
	for i, r := range v.Reals {
		pair := table.Pair{Service: v.Service.ServiceKey, Real: r.Addr}
		held, adopted := s.adopted[pair]
		percent, ok := s.percents[pair]
		if !ok {
			percent = 100
		}
		out[i] = pool.Server{
			Addr: r.Addr, Weight: r.Weight, Tier: r.Tier,
			State: s.verdicts[pair], Adopted: adopted, Held: held.Weight,
			Percent: percent, Barred: s.holds[pair] != 0,
		}
		out[i].Refuses = refuses != nil && out[i].State == checker.Down && refuses(pair)
	}
	return out
}

// pools is what the loop remembers of the real servers for package pool.
type pools struct {
	percents map[table.Pair]uint16
	memory   map[table.ServiceKey]pool.Memory // only of virtual services whose rules need one
	next     time.Time                        // when a memory may matter without news; zero: never
}

func newPools() pools {
	return pools{percents: map[table.Pair]uint16{}, memory: map[table.ServiceKey]pool.Memory{}}
}

// sight is what the loop knows now.
func (l *loop) sight() sight {
	return sight{l.verdicts, l.adopted, l.holds, l.pools.percents, l.pools.memory, time.Now()}
}

// lookAtAll brings all memories up to date, and forgets those of virtual
// services that left the file or have no such rules any more.
func (l *loop) lookAtAll() {
	s := l.sight()
	l.pools.next = time.Time{}
	maps.DeleteFunc(l.pools.memory, func(key table.ServiceKey, _ pool.Memory) bool {
		return !l.virtuals[key].Pool.Remembers()
	})
	for _, v := range l.cfg.Virtuals {
		l.look(v, s)
	}
}

// look brings the memory of one virtual service up to date, and tells what is
// worth telling.
func (l *loop) look(v config.Virtual, s sight) {
	if !v.Pool.Remembers() {
		return
	}
	key := v.Service.ServiceKey
	refuses := l.refuses
	if v.Pool.FailOpen.Percent == 0 {
		refuses = nil
	}
	memory, events := pool.Look(v.Pool, s.servers(v, refuses), l.pools.memory[key], s.now)
	l.pools.memory[key] = memory
	if next := memory.Next(v.Pool, s.now); !next.IsZero() && (l.pools.next.IsZero() || next.Before(l.pools.next)) {
		l.pools.next = next
	}
	for _, e := range events {
		level := slog.LevelInfo
		switch {
		case e.Alarm && !e.Real.IsValid():
			level = slog.LevelError
		case e.Alarm:
			level = slog.LevelWarn
		}
		about := event{pair: table.Pair{Service: key, Real: e.Real}, Entry: journal.Entry{Kind: journal.Virtual, Cause: e.Why}}
		about.Text = fmt.Sprintf("%s: %s: %s", l.who(about.pair), e.Text, e.Why)
		if e.Real.IsValid() {
			about.Kind = journal.Weight
			about.Text = fmt.Sprintf("%s %s: %s", l.who(about.pair), strings.TrimPrefix(e.Text, "real server "), e.Why)
		}
		l.happened(level, e.Text, about)
	}
}

// refuses tells whether a real server that is down is so for what an overload
// doesn't do: its kernel says that nobody listens, or nobody answers for its
// address on the segment.
func (l *loop) refuses(p table.Pair) bool {
	status, _ := l.opts.Checks.Status(l.pairs[p])
	why := status.Last.Reason
	return !status.Last.OK && (why == unix.ECONNREFUSED.Error() || why == unix.EHOSTUNREACH.Error())
}

// hearAgents takes in what the agents want, and returns where that is new.
func (l *loop) hearAgents(percents map[checker.ID]uint16) []table.Pair {
	if len(percents) == 0 && len(l.pools.percents) == 0 {
		return nil
	}
	var news []table.Pair
	for pair, id := range l.pairs {
		wanted, some := percents[id]
		if before, had := l.pools.percents[pair]; had == some && before == wanted {
			continue
		}
		news = append(news, pair)
		if some {
			l.pools.percents[pair] = wanted
		} else {
			delete(l.pools.percents, pair)
		}
	}
	maps.DeleteFunc(l.pools.percents, func(p table.Pair, _ uint16) bool { return l.pairs[p] == "" })
	return news
}

// sooner is a pause that ends when a memory may matter.
func (p *pools) sooner(pause time.Duration) time.Duration {
	if p.next.IsZero() {
		return pause
	}
	return min(pause, max(time.Until(p.next), time.Millisecond))
}

// share is what was decided about a real server beside its verdict.
func share(notes map[table.ServiceKey]pool.Decision, v config.Virtual, addr netip.AddrPort) pool.Share {
	d, ok := notes[v.Service.ServiceKey]
	i := slices.IndexFunc(v.Reals, func(r config.Real) bool { return r.Addr == addr })
	if !ok || i < 0 || i >= len(d.Shares) {
		return pool.Share{}
	}
	return d.Shares[i]
}

// note says in a virtual service's status what was decided beside the verdicts.
func note(out *VirtualStatus, v config.Virtual, d pool.Decision) {
	out.FailOpen = d.Open
	for i := range min(len(v.Reals), len(d.Shares)) {
		rs, sh := &out.Reals[i], d.Shares[i]
		rs.WeightReason, rs.Passing, rs.Damped = sh.Why, sh.Passing, sh.Damped
		if until := sh.Until; !until.IsZero() {
			rs.WeightUntil = &until
		}
	}
	for i := len(v.Reals); i < len(out.Reals); i++ {
		if rs := &out.Reals[i]; rs.State == StateFallback {
			rs.Reason = cmp.Or(d.Why, rs.Reason)
		}
	}
}
