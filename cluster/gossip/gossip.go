// Package gossip tells a director which other directors exist and carries its
// messages to them. It wraps hashicorp/memberlist v0.7.0: membership by SWIM,
// encrypted and authenticated packets and streams, keys that can be changed
// while it runs. It never decides who owns a virtual address: memberlist needs
// seconds to notice a death, so the election lives on messages sent straight
// to every director (Broadcast), and membership is what an operator sees and
// what says who is to be asked.
//
// # Who owns what
//
// Run starts one goroutine for each of these, and each ends with it: the
// sender owns the socket's way out; a joiner per configured peer dials it; one
// pushes changed metadata; one answers questions; the teller writes all log
// lines and keeps the problems. memberlist calls the delegates under its own
// lock: they copy into a view or a queue behind a mutex of its own, wake, and
// never call back.
//
// # What is and is not promised
//
// Messages are best effort, may be lost, repeated and reordered: memberlist
// hands a burst over last in, first out. Encryption is AES-GCM with a random
// nonce, which keeps strangers out but says nothing about freshness: a
// recorded packet can be played back at any later time. Who acts on a message
// must therefore check the sender's boot id (Message.Boot) and a sequence of
// its own inside the payload, and drop what is old. Here only memberlist's
// incarnations guard what Members says; Member.Heard and a farewell, which
// counts for its own boot only, are for people to read.
package gossip

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// Options say who this director is and whom it knows.
type Options struct {
	Name   string         // letters, digits, ".", "-", "_"; up to 63
	Listen netip.AddrPort // UDP and TCP
	// Advertise is the address by which the others reach this director. Zero:
	// Listen, or, where that is unspecified, the address that this machine
	// uses towards the first of Join.
	Advertise    netip.AddrPort
	Join         []netip.AddrPort // the other directors; this one may be among them
	Keys         []Key            // the first one encrypts, all decrypt
	KeyFile      string           // where Keys come from; "": they can't be rotated
	Insecure     bool             // run without keys on an address that others reach
	ClusterLabel string           // packets of other clusters are dropped and told
	BootID       uint64           // new at each start; 0: random
	Log          *slog.Logger     // required

	// Answer answers what another director asks by Ask; nil is no answer. It
	// runs in one goroutine, in which others wait for theirs.
	Answer func(ctx context.Context, from string, question []byte) []byte

	// Transport replaces the network in tests.
	Transport memberlist.Transport
}

// Gossip is one director's part in the cluster.
type Gossip struct {
	opts     Options
	peers    atomic.Pointer[[]*peer] // Join without ourselves; SetJoin replaces it
	rejoin   chan struct{}           // wakes Run, which starts and ends their joiners
	keyring  *Keyring
	view     *view
	problems *problems
	out      *outbox
	asker    *asker
	rotation *rotation
	lines    *lines
	received chan Message
	lost     atomic.Uint64

	meta     atomic.Pointer[[]byte]
	metaWake chan struct{}

	self     atomic.Pointer[netip.AddrPort] // what we advertise, once known
	list     atomic.Pointer[memberlist.Memberlist]
	rotating sync.Mutex // held by Rotate

	leave sync.Mutex // held while leaving and while shutting down
	down  bool       // guarded by leave
	left  atomic.Bool
}

// New checks the options. Nothing runs before Run.
func New(o Options) (*Gossip, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if o.BootID == 0 {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails, says its documentation
		o.BootID = binary.BigEndian.Uint64(b[:])
	}
	g := &Gossip{
		opts:     o,
		view:     newView(o.Name, o.BootID),
		problems: newProblems(),
		out:      newOutbox(),
		asker:    newAsker(),
		lines:    newLines(),
		rejoin:   make(chan struct{}, 1),
		received: make(chan Message, receiveQueue),
		metaWake: make(chan struct{}, 1),
	}
	var err error
	if g.keyring, err = newKeyring(o.Keys, func() { wake(g.metaWake) }); err != nil {
		return nil, err
	}
	g.keyring.file = o.KeyFile
	if g.rotation, err = newRotation(g.keyring, o.Log); err != nil {
		return nil, err
	}
	g.peers.Store(new([]*peer))
	g.SetJoin(o.Join)
	return g, nil
}

func (o *Options) validate() error {
	if o.Log == nil {
		panic("gossip: no logger")
	}
	var errs []error
	if err := checkName(o.Name); err != nil {
		errs = append(errs, err)
	}
	if !o.Listen.Addr().IsValid() {
		errs = append(errs, errors.New("listen: no address"))
	}
	if len(o.ClusterLabel) > memberlist.LabelMaxSize {
		errs = append(errs, fmt.Errorf("cluster label: %d bytes, at most %d", len(o.ClusterLabel), memberlist.LabelMaxSize))
	}
	if o.Advertise.IsValid() && (o.Advertise.Addr().IsUnspecified() || o.Advertise.Port() == 0) {
		errs = append(errs, fmt.Errorf("advertise %v: nobody can send to it; name an address and a port of this machine", o.Advertise))
	}
	for _, a := range append([]netip.AddrPort{o.Listen, o.Advertise}, o.Join...) {
		if a.Addr().Zone() != "" {
			errs = append(errs, fmt.Errorf("%v: an address with a zone can't be told to others; use a global or unique local one", a))
		}
	}
	for _, a := range o.Join {
		if !a.IsValid() || a.Port() == 0 || a.Addr().IsUnspecified() || a.Addr().IsMulticast() {
			errs = append(errs, fmt.Errorf("join %v: not an address and port of a director", a))
		} else if l := o.Listen.Addr().Unmap(); l.IsValid() && l.Is4() != a.Addr().Unmap().Is4() && l != netip.IPv6Unspecified() {
			errs = append(errs, fmt.Errorf("join %v: not reached from listen %v, of the other family", a, o.Listen))
		}
	}
	if len(o.Keys) == 0 && !o.Insecure && o.Listen.IsValid() && !o.Listen.Addr().IsLoopback() {
		errs = append(errs, fmt.Errorf("no key: whoever reaches %v could make itself a director; write a key with `ipvsd cluster keygen` and name it in [cluster] key_file", o.Listen))
	}
	return errors.Join(errs...)
}

// checkName holds a director's name to what log lines, labels of metrics and
// memberlist's addresses ("name/host") bear.
func checkName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("name %q: 1 to %d characters", name, maxName)
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(".-_", c) {
			return fmt.Errorf("name %q: %q is not a letter, a digit, %q, %q or %q", name, c, ".", "-", "_")
		}
	}
	return nil
}

// listenAgain is the pause after the address couldn't be listened on, for
// instance because the interface isn't up yet.
const listenAgain = time.Second

// Run takes part in the cluster until ctx ends. It does not say goodbye: call
// Leave before where this is the end of a service and not a restart. An
// address that can't be listened on is a problem that is told and tried again,
// since a director without its cluster still balances.
func (g *Gossip) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { g.tell(ctx) })

	list, err := g.listen(ctx)
	if err != nil || list == nil {
		return err
	}
	defer func() {
		// Shut first: it cuts the dials that a joiner may be waiting for.
		g.leave.Lock()
		defer g.leave.Unlock()
		g.down = true
		_ = list.Shutdown()
	}()
	g.list.Store(list)
	wg.Go(func() { g.send(ctx) })
	wg.Go(func() { g.pushMeta(ctx) })
	wg.Go(func() { g.answer(ctx) })
	g.joinAll(ctx, &wg)
	return nil
}

// listen makes the memberlist; nil and no error when ctx ended before.
func (g *Gossip) listen(ctx context.Context) (*memberlist.Memberlist, error) {
	for {
		list, err := g.create(ctx)
		if err == nil {
			g.problems.clear("listen", "")
			return list, nil
		}
		var opErr *net.OpError
		if !errors.As(err, &opErr) {
			return nil, fmt.Errorf("cluster on %v: %v", g.opts.Listen, err)
		}
		g.problems.note("listen", "", fmt.Sprintf("cannot listen on %v: %v; is it an address of this machine, and no other program's port?", g.opts.Listen, opErr.Err), 0)
		if !sleep(ctx, listenAgain) {
			return nil, nil
		}
	}
}

// Received gives the messages of other directors. Where nobody reads, the
// oldest are dropped.
func (g *Gossip) Received() <-chan Message { return g.received }

// Changed is woken when Members or Problems may say something new.
func (g *Gossip) Changed() <-chan struct{} { return g.view.changed }

// Keyring holds the keys in use and lets them be changed.
func (g *Gossip) Keyring() *Keyring { return g.keyring }

// BootID is new at each start.
func (g *Gossip) BootID() uint64 { return g.opts.BootID }

// Addr is the address told to the others; zero until Run knows it.
func (g *Gossip) Addr() netip.AddrPort {
	if a := g.self.Load(); a != nil {
		return *a
	}
	return netip.AddrPort{}
}

// Members are all directors that were seen since the start, this one and the
// configured ones that never were (State Absent, without a name) included,
// sorted by name.
func (g *Gossip) Members() []Member {
	members := g.view.snapshot()
	for i := range members {
		members[i].Configured = members[i].Self
	}
	for _, p := range *g.peers.Load() {
		err := p.lastErr()
		i := slices.IndexFunc(members, func(m Member) bool { return m.Addr == p.addr })
		if i < 0 {
			members = append(members, Member{Addr: p.addr, Configured: true, Err: err})
			continue
		}
		members[i].Configured = true
		if members[i].State != Alive {
			members[i].Err = err
		}
	}
	slices.SortStableFunc(members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.Addr.Compare(b.Addr))
	})
	return members
}

// Problems are the conditions that an operator should mend, oldest first.
func (g *Gossip) Problems() []Problem { return g.problems.snapshot() }

// Stats are counts since the start.
type Stats struct {
	Sent         uint64 // packets handed to the network
	SendErrors   uint64
	SendDropped  uint64 // messages that waited too long for their turn
	ReceiveDrops uint64 // messages that nobody fetched in time
	LogDropped   uint64 // log lines of memberlist
}

// Stats counts what was lost on the way.
func (g *Gossip) Stats() Stats {
	return Stats{
		Sent:         g.out.sent.Load(),
		SendErrors:   g.out.failed.Load(),
		SendDropped:  g.out.dropped.Load(),
		ReceiveDrops: g.lost.Load(),
		LogDropped:   g.lines.dropped.Load(),
	}
}

// wake sends without ever waiting: a wake-up that is pending already is enough.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sleep is false when ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// plain is the address without the IPv6 form of an IPv4 one.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func sameAddr(a, b netip.AddrPort) bool { return plain(a) == plain(b) }
