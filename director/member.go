package director

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ipvsd/ipvsd/cluster"
	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/cluster/gossip"
	"github.com/ipvsd/ipvsd/cluster/vip"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/hook"
	"github.com/ipvsd/ipvsd/director/ipvs/handover"
	"github.com/ipvsd/ipvsd/director/ipvs/syncd"
	"github.com/ipvsd/ipvsd/director/journal"
)

// Member is this director's part in a cluster: the election that decides over
// the addresses, and the kernel's connection synchronisation. It takes the place
// of a single director's address keeper.
type Member struct {
	log  *slog.Logger
	node *cluster.Node
	sync *syncd.Keeper
	cfg  atomic.Pointer[config.Config] // the running file

	warmth  *warmth
	records connectionRecord             // what the others ask for
	faults  atomic.Pointer[[]core.Fault] // of Health

	young *handover.Keeper // connections too young for sync
	hooks *hook.Queue      // [cluster.hooks]

	journal *journal.Journal

	intents atomic.Pointer[func(context.Context, []byte) []byte] // of Serve
	asking  sync.Map                                             // director's name -> chan struct{}, see Ask
}

// NewMember makes the member that the file describes. It reads the key file; of
// the kernel it only reads connection counts. What happens in the cluster goes
// into the journal, which may be nil.
func NewMember(cfg *config.Config, kernel Kernel, j *journal.Journal, log *slog.Logger) (*Member, error) {
	m := &Member{log: log, journal: j, sync: syncd.New(syncd.Options{Log: log}), young: handover.New(handover.Options{Log: log}), hooks: hook.New(log)}
	m.cfg.Store(cfg)
	m.faults.Store(new([]core.Fault))
	m.records.read = kernel.Read
	m.warmth = m.newWarmth()
	o := ClusterOptions(cfg)
	keys, err := m.readKeys(cfg)
	if err != nil {
		return nil, err
	}
	o.Gossip.Keys, o.Gossip.KeyFile, o.Gossip.Answer = keys, cfg.Cluster.KeyFile, m.answer
	o.Log = log
	o.Hook = func(e cluster.Event) { // those of the file of now
		m.hooks.Put(roleHook(m.cfg.Load().Cluster, cfg.Cluster.Name, e))
		m.journal.Put(roleEntry(cfg.Cluster.Name, e))
	}
	o.Moved = m.moved
	if m.node, err = cluster.New(o); err != nil {
		return nil, fmt.Errorf("[cluster]: %w", err)
	}
	return m, nil
}

func (m *Member) readKeys(cfg *config.Config) ([]gossip.Key, error) {
	if cfg.Cluster.KeyFile == "" {
		return nil, nil
	}
	keys, warnings, err := gossip.ReadKeyFile(cfg.Cluster.KeyFile)
	m.warn(warnings)
	return keys, err
}

func (m *Member) warn(keyFile []string) {
	for _, w := range keyFile {
		m.log.Warn("cluster key", "warning", w)
	}
}

// ClusterOptions is what a file says to the cluster, but for the keys.
func ClusterOptions(cfg *config.Config) cluster.Options {
	c := cfg.Cluster
	timers, _ := core.Profile(string(c.Profile)) // the file's profiles are the core's
	return cluster.Options{
		Core: core.Config{
			Name:         c.Name,
			Directors:    c.Directors(),
			Priority:     c.Priority,
			Timers:       timers,
			Quorum:       core.Policy(c.Quorum),
			DropIsolated: c.Isolated == config.DropIsolated,
			Preempt:      c.Preempt,
			PreemptDelay: c.PreemptDelay,
			WarmCap:      warmCap,
			Fingerprint:  fingerprint(cfg),
		},
		Groups:    clusterGroups(cfg),
		Gossip:    gossip.Options{Listen: c.Listen, Join: c.Join, Insecure: c.Insecure},
		Witnesses: c.Witnesses,
	}
}

// clusterGroups puts each address where [[vip]] or [cluster] interface says.
func clusterGroups(cfg *config.Config) []cluster.Group {
	places := map[netip.Addr]vip.Want{}
	for _, w := range WantedAddresses(cfg) {
		if w.Interface == "" {
			w.Interface = cfg.Cluster.Interface
		}
		places[w.Addr.Addr()] = w
	}
	var out []cluster.Group
	for _, g := range cfg.Groups {
		group := cluster.Group{Name: g.Name, Priority: g.Priority}
		for _, a := range g.VIPs {
			if a.IsLoopback() {
				continue // a test on one machine: nobody else could hold it
			}
			group.Addresses = append(group.Addresses, places[a])
		}
		if len(group.Addresses) > 0 {
			out = append(out, group)
		}
	}
	return out
}

// fingerprint is of what must be the same on all directors: virtual services
// with their real servers and checks, and the groups' addresses.
func fingerprint(cfg *config.Config) uint64 {
	virtuals := slices.Clone(cfg.Virtuals)
	for i := range virtuals {
		virtuals[i].Line = 0
		// Whom this director tells is its own affair.
		virtuals[i].Comment, virtuals[i].Hooks, virtuals[i].Email = "", config.VirtualHooks{}, nil
		virtuals[i].Reals = slices.Clone(virtuals[i].Reals)
		for j := range virtuals[i].Reals {
			virtuals[i].Reals[j].Line = 0
		}
	}
	groups := map[string][]netip.Addr{}
	for _, g := range cfg.Groups {
		groups[g.Name] = g.VIPs
	}
	b, err := json.Marshal([]any{virtuals, groups})
	if err != nil {
		panic("director: fingerprint of a file: " + err.Error()) // plain values, no cycles
	}
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:])
}

// Run takes part in the cluster until ctx ends.
func (m *Member) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ends := make(chan error, 5)
	go func() { ends <- m.node.Run(ctx) }()
	go func() { ends <- m.sync.Run(ctx) }()
	go func() { ends <- m.young.Run(ctx) }()
	go func() { ends <- m.warmth.run(ctx) }()
	go func() { ends <- m.hooks.Run(ctx) }()
	first := <-ends
	cancel()
	return errors.Join(first, <-ends, <-ends, <-ends, <-ends)
}

// Programmed lets the addresses come: there is an answer for clients now.
func (m *Member) Programmed() { m.node.Programmed() }

// Stop hands the addresses over and says goodbye to the other directors.
func (m *Member) Stop(ctx context.Context) error { return m.node.Stop(ctx) }

// Failover hands a group, or all (""), to another director, or the best (""),
// and says how that ended.
func (m *Member) Failover(ctx context.Context, group, to string) (FailoverAnswer, error) {
	a, err := m.node.Failover(ctx, group, to)
	answer := FailoverAnswer{OK: a.OK, Reason: a.Reason.String(), Holder: a.Reason.Node, Nobody: a.Nobody.Seconds()}
	m.journal.Put(failoverAsked(group, to, answer, err))
	if err != nil {
		return FailoverAnswer{}, err
	}
	return answer, nil
}

// Rotate changes the key of all directors. anew gives up a rotation that wasn't
// finished and begins another one.
func (m *Member) Rotate(ctx context.Context, anew bool) (gossip.Rotation, error) {
	return m.node.Rotate(ctx, anew)
}

// Set takes another file. What takes a restart is told as a problem.
func (m *Member) Set(cfg *config.Config) {
	if cfg.Cluster == nil {
		m.log.Warn("[cluster] left the file; this director stays in the cluster until it is restarted")
		return
	}
	m.cfg.Store(cfg)
	o := ClusterOptions(cfg)
	o.Log = m.log
	if err := m.node.Reload(o); err != nil {
		m.log.Error("cluster: the running settings stay", "err", err)
	}
	if path := cfg.Cluster.KeyFile; path != "" {
		warnings, err := m.node.Keyring().Load(path)
		m.warn(warnings)
		if err != nil {
			m.log.Error("cluster keys: the running ones stay", "err", err)
		}
	}
	want := syncWant(cfg)
	m.sync.Set(want)
	m.young.Set(handoverSettings(cfg, want))
}

// syncWant is the synchronisation that the file asks for; on loopback there is
// nobody to synchronise with.
func syncWant(cfg *config.Config) syncd.Want {
	c := cfg.Cluster
	if !c.Sync.Enabled || c.Listen.Addr().IsLoopback() {
		return syncd.Want{}
	}
	name := c.Sync.Interface
	if name == "" {
		name = interfaceOf(c.Listen.Addr())
	}
	return syncd.Want{Interface: name, SyncID: uint8(c.Sync.ID), ManageSysctl: cfg.Sysctl.Manage}
}

// interfaceOf names the interface with an address; "" where none has it, which
// syncd tells as a problem.
func interfaceOf(addr netip.Addr) string {
	links, _ := net.Interfaces()
	for _, l := range links {
		addrs, _ := l.Addrs()
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == addr {
				return l.Name
			}
		}
	}
	return ""
}

// Ping returns nil once the member's loops have come round.
func (m *Member) Ping(ctx context.Context) error {
	return errors.Join(m.node.Ping(ctx), m.sync.Ping(ctx))
}
