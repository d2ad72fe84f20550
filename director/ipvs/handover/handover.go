// Package handover keeps those connections alive over a planned move of an
// address that are too young for the kernel's sync daemons, which take 2 to 3 s
// to tell of a connection: a request under way would meet a director that
// doesn't know it, and be reset.
//
// The old director reads its connections when it offers a group and once more
// when it has dropped the addresses, and sends them in the sync daemons' own
// messages: the new one's backup daemon takes them in. Packets that come to the
// new director before that would be answered by a reset; for a moment it holds
// resets from the addresses back, and the client sends again. A director holds
// them back all the while that it hasn't the addresses, so that nothing is to
// be done for it on the way of a move.
//
// Keeper.Run owns everything: the filters and the sending. It never
// holds up a move; where something fails, young connections break as without
// it.
//
// Sources: net/netfilter/ipvs/ip_vs_sync.c (version 1 of the messages),
// ip_vs_conn.c (/proc/net/ip_vs_conn) and ip_vs_proto_tcp.c of the kernel (6.1),
// include/uapi/linux/ip_vs.h; tc-u32(8).
package handover

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ipvsd/ipvsd/director/ipvs/syncd"
	"github.com/ipvsd/ipvsd/director/table"
)

// Phase is where a group of addresses stands on this director.
type Phase uint8

// The phases.
const (
	Away    Phase = iota + 1 // another director's, or nobody's
	Leaving                  // ours, and offered to another
	Taken                    // ours, from a director that lived and offered it
	Ours                     // ours otherwise
)

// The waits.
const (
	again = 30 * time.Millisecond   // a datagram may be lost: all is sent twice
	hush  = 1500 * time.Millisecond // resets are held back so long after a move: clients send again after 200 ms
	limit = time.Second             // for reading and sending a large table
)

// Settings are what the file says. The zero value does nothing.
type Settings struct {
	Sync     syncd.Want              // the daemons whose messages are sent; zero: none are
	Groups   map[string][]netip.Addr // their addresses, by name
	Services []Service               // to tell what a connection belongs to
}

// Service is a virtual service with its real servers, the fallback among them.
type Service struct {
	Key   table.ServiceKey
	Reals []table.Real
}

// System is the machine as the keeper needs it.
type System interface {
	// Silence holds back TCP resets that this machine itself sends from the
	// addresses, and from no others; none ends it.
	Silence(addrs []netip.Addr) error
	// Addrs are the machine's own addresses.
	Addrs() ([]netip.Addr, error)
	// Carry sends the connections that belong to pick, and returns how many.
	Carry(ctx context.Context, d syncd.Daemon, pick *Pick) (int, error)
}

// Options are the parts a Keeper is made of.
type Options struct {
	Log    *slog.Logger // required
	System System       // Linux if nil
}

// Keeper does all that. Make it with New.
type Keeper struct {
	log  *slog.Logger
	sys  System
	wake chan struct{}

	mu       sync.Mutex
	settings Settings
	mail     []word

	groups   map[string]*group // these three are Run's
	silenced []netip.Addr
	failed   string
}

type word struct {
	group string
	phase Phase
}

type group struct {
	phase  Phase
	silent []netip.Addr // of its addresses: those whose resets are held back, while Away and a while longer
	until  time.Time    // Taken: when the silence ends
	again  time.Time    // when to send once more; zero: not
	left   time.Time    // when it was last offered to another
}

// New makes a Keeper. It does nothing until Run.
func New(o Options) *Keeper {
	k := &Keeper{log: o.Log, sys: o.System, wake: make(chan struct{}, 1), groups: make(map[string]*group)}
	if k.sys == nil {
		k.sys = &Linux{}
	}
	return k
}

// Set takes other settings.
func (k *Keeper) Set(s Settings) {
	k.mu.Lock()
	k.settings = s
	k.mu.Unlock()
	k.poke()
}

// Tell says where a group stands now. It never waits.
func (k *Keeper) Tell(name string, p Phase) {
	k.mu.Lock()
	k.mail = append(k.mail, word{name, p})
	k.mu.Unlock()
	k.poke()
}

func (k *Keeper) poke() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends, and then holds no reset back any more. What a stop
// gave away is still told of.
func (k *Keeper) Run(ctx context.Context) error {
	for {
		timer := time.NewTimer(k.turn(ctx))
		select {
		case <-ctx.Done():
			timer.Stop()
			k.turn(context.WithoutCancel(ctx))
			_ = k.sys.Silence(nil) // the addresses are gone, and with them what would be reset
			return nil
		case <-timer.C:
		case <-k.wake:
		}
		timer.Stop()
	}
}

// turn does what is due and returns for how long nothing is.
func (k *Keeper) turn(ctx context.Context) time.Duration {
	k.mu.Lock()
	s, mail := k.settings, k.mail
	k.mail = nil
	k.mu.Unlock()
	for _, w := range mail {
		k.take(ctx, s, w)
	}
	now := time.Now()
	next := time.Hour
	var silent []netip.Addr
	for name, g := range k.groups {
		if !g.again.IsZero() && !now.Before(g.again) {
			g.again = time.Time{}
			k.carry(ctx, s, name)
		}
		if !g.again.IsZero() {
			next = min(next, g.again.Sub(now))
		}
		if g.phase == Taken && !now.Before(g.until) {
			g.silent = nil
		} else if g.phase == Taken {
			next = min(next, g.until.Sub(now))
		}
		silent = append(silent, g.silent...)
	}
	if s.Sync == (syncd.Want{}) {
		silent = nil
	}
	k.silence(silent)
	return next
}

func (k *Keeper) take(ctx context.Context, s Settings, w word) {
	g := k.groups[w.group]
	if g == nil {
		g = &group{}
		k.groups[w.group] = g
	}
	was := *g
	*g = group{phase: w.phase, left: was.left}
	now := time.Now()
	switch w.phase {
	case Away:
		g.silent, g.again = k.mute(s.Groups[w.group]), was.again
	case Taken:
		g.silent, g.until = was.silent, now.Add(hush)
	case Leaving:
		g.left = now
	}
	// A successor that was slow to say so takes it after the offer was over.
	if w.phase == Leaving || w.phase == Away && was.phase != Away && now.Before(was.left.Add(hush)) {
		k.carry(ctx, s, w.group)
		g.again = time.Now().Add(again)
	}
}

// mute are those addresses whose resets may be held back: where this machine
// has an address otherwise, as a director has that is a real server too, its
// resets are a server's own.
func (k *Keeper) mute(addrs []netip.Addr) []netip.Addr {
	own, err := k.sys.Addrs()
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool { return slices.Contains(own, a) })
}

// carry sends the connections of a group.
func (k *Keeper) carry(ctx context.Context, s Settings, name string) {
	if s.Sync == (syncd.Want{}) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	begun := time.Now()
	n, err := k.sys.Carry(ctx, s.Sync.Daemon(syncd.Master), NewPick(s.Services, s.Groups[name]))
	if err != nil {
		k.log.Warn("telling the next director of young connections", "group", name, "sent", n, "err", err)
		return
	}
	k.log.Info("told the next director of connections", "group", name, "connections", n, "took", time.Since(begun).Round(time.Microsecond))
}

// silence has the kernel hold back the resets of these addresses only. What
// fails is told once and tried again at the next change.
func (k *Keeper) silence(addrs []netip.Addr) {
	slices.SortFunc(addrs, netip.Addr.Compare)
	addrs = slices.Compact(addrs)
	if slices.Equal(addrs, k.silenced) && k.failed == "" {
		return
	}
	err := k.sys.Silence(addrs)
	if err == nil {
		k.silenced, k.failed = addrs, ""
		return
	}
	if err.Error() != k.failed {
		k.log.Warn("resets of young connections can't be held back over a planned move", "err", err)
	}
	k.failed = err.Error()
}

// Pick says which connections are meant, and what their services are.
type Pick struct {
	vips  map[netip.Addr]bool
	reals map[table.Pair]bool
	marks map[netip.AddrPort]uint32 // of services by mark, by real server
}

// NewPick picks the connections to some addresses; those of services by mark have
// no address, and all of them are meant.
func NewPick(services []Service, vips []netip.Addr) *Pick {
	p := &Pick{vips: make(map[netip.Addr]bool), reals: make(map[table.Pair]bool), marks: make(map[netip.AddrPort]uint32)}
	for _, a := range vips {
		p.vips[a] = true
	}
	for _, s := range services {
		for _, r := range s.Reals {
			if s.Key.FWMark != 0 {
				p.marks[r.Addr] = s.Key.FWMark
			} else {
				p.reals[table.Pair{Service: s.Key, Real: r.Addr}] = true
			}
		}
	}
	return p
}

// wants reports whether a connection is meant, and the mark of its service.
// Those of another group's addresses are another director's to tell of.
func (p *Pick) wants(c conn) (mark uint32, ok bool) {
	if p.vips[c.virtual.Addr()] && p.reals[table.Pair{Service: table.ByAddr(c.proto, c.virtual), Real: c.real}] {
		return 0, true
	}
	mark, ok = p.marks[c.real]
	return mark, ok
}
