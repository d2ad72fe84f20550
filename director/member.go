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

	"github.com/ipvsd/ipvsd/cluster"
	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/cluster/gossip"
	"github.com/ipvsd/ipvsd/cluster/vip"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/ipvs/syncd"
)

// Member is this director's part in a cluster: the election that decides over
// the addresses, and the kernel's connection synchronisation. It takes the place
// of a single director's address keeper.
type Member struct {
	log  *slog.Logger
	node *cluster.Node
	sync *syncd.Keeper
}

// NewMember makes the member that the file describes. It reads the key file.
func NewMember(cfg *config.Config, log *slog.Logger) (*Member, error) {
	for _, t := range cfg.Cluster.Tracks {
		if t.Kind == config.TrackFewerReals {
			return nil, fmt.Errorf("%s:%d: this version can't track fewer_reals; remove this [[cluster.track]]", cfg.File, t.Line)
		}
	}
	m := &Member{log: log, sync: syncd.New(syncd.Options{Log: log})}
	o := ClusterOptions(cfg)
	keys, err := readKeys(cfg, log)
	if err != nil {
		return nil, err
	}
	o.Gossip.Keys = keys
	o.Log = log
	h := hooks{log: log, hooks: cfg.Cluster.Hooks, name: cfg.Cluster.Name}
	o.Hook = h.run
	if m.node, err = cluster.New(o); err != nil {
		return nil, fmt.Errorf("[cluster]: %w", err)
	}
	return m, nil
}

func readKeys(cfg *config.Config, log *slog.Logger) ([]gossip.Key, error) {
	if cfg.Cluster.KeyFile == "" {
		return nil, nil
	}
	keys, warnings, err := gossip.ReadKeyFile(cfg.Cluster.KeyFile)
	for _, w := range warnings {
		log.Warn("cluster key", "warning", w)
	}
	return keys, err
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
			Preempt:      c.Preempt,
			PreemptDelay: c.PreemptDelay,
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
	ends := make(chan error, 2)
	go func() { ends <- m.node.Run(ctx) }()
	go func() { ends <- m.sync.Run(ctx) }()
	first := <-ends
	cancel()
	return errors.Join(first, <-ends)
}

// Programmed lets the addresses come: there is an answer for clients now.
func (m *Member) Programmed() { m.node.Programmed() }

// Stop hands the addresses over and says goodbye to the other directors.
func (m *Member) Stop(ctx context.Context) error { return m.node.Stop(ctx) }

// Failover hands a group, or all (""), to another director, or the best (""),
// and says how that ended.
func (m *Member) Failover(ctx context.Context, group, to string) (FailoverAnswer, error) {
	a, err := m.node.Failover(ctx, group, to)
	if err != nil {
		return FailoverAnswer{}, err
	}
	return FailoverAnswer{OK: a.OK, Reason: a.Reason.String(), Holder: a.Reason.Node, Nobody: a.Nobody.Seconds()}, nil
}

// Set takes another file. What takes a restart is told as a problem.
func (m *Member) Set(cfg *config.Config) {
	if cfg.Cluster == nil {
		m.log.Warn("[cluster] left the file; this director stays in the cluster until it is restarted")
		return
	}
	o := ClusterOptions(cfg)
	o.Log = m.log
	if err := m.node.Reload(o); err != nil {
		m.log.Error("cluster: the running settings stay", "err", err)
	}
	keys, err := readKeys(cfg, m.log)
	if err == nil && len(keys) > 0 {
		err = m.node.Keyring().Set(keys)
	}
	if err != nil {
		m.log.Error("cluster keys: the running ones stay", "err", err)
	}
	m.sync.Set(syncWant(cfg))
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

// Health tells the cluster what is wrong with this director.
func (m *Member) Health(faults []core.Fault) { m.node.Health("", faults) }

// Ping returns nil once the member's loops have come round.
func (m *Member) Ping(ctx context.Context) error {
	return errors.Join(m.node.Ping(ctx), m.sync.Ping(ctx))
}

// Active reports whether this director holds an address.
func (m *Member) Active() bool {
	return slices.ContainsFunc(m.node.Snapshot().Groups, func(g cluster.GroupStatus) bool { return g.State.Holds() })
}

// Status tells where each address stands here.
func (m *Member) Status() []AddressStatus {
	out := addressStatus(m.node.Addresses())
	here := map[string]bool{}
	for _, a := range out {
		here[a.Address] = true
	}
	for _, g := range m.node.Snapshot().Groups {
		for _, p := range g.Addresses {
			if here[p.String()] {
				continue
			}
			a := AddressStatus{Address: p.String(), State: AddressMissing, Since: g.Since, Error: "nobody holds it: " + g.Reason}
			if g.Holder != "" {
				a.State, a.Error = AddressElsewhere, ""
				a.Holder = g.Holder
			}
			out = append(out, a)
		}
	}
	return out
}

// ClusterStatus is the cluster as this director sees it.
func (m *Member) ClusterStatus() *ClusterStatus {
	s := m.node.Snapshot()
	out := &ClusterStatus{
		Name: s.Name, Members: []MemberStatus{}, Groups: []ClusterGroupStatus{},
		Transitions: s.Transitions, Problems: s.Problems, Notes: s.Notes, Sync: m.syncStatus(),
	}
	for _, p := range s.Members {
		priority := 0
		for _, v := range p.Priority {
			priority = max(priority, v)
		}
		out.Members = append(out.Members, MemberStatus{
			Name: p.Name, Address: p.Address.String(), State: p.State, Since: p.Since, Self: p.Self,
			Priority: priority, Active: p.Active, Skew: p.Skew, Error: p.Error,
		})
	}
	for _, g := range s.Groups {
		gs := ClusterGroupStatus{
			Name: g.Name, State: g.State.String(), Holder: g.Holder, Term: g.Term,
			Reason: g.Reason, Code: string(g.Code), Since: g.Since,
		}
		for _, a := range g.Addresses {
			gs.Addresses = append(gs.Addresses, a.String())
		}
		if f := g.Failover; !f.Time.IsZero() {
			gs.Last = &FailoverStatus{
				At: f.Time, Reason: f.Reason, Suspected: f.Suspected.Seconds(), Decided: f.Decided.Seconds(),
				AddressUp: f.AddressUp.Seconds(), Announced: f.Announced.Seconds(),
			}
		}
		out.Groups = append(out.Groups, gs)
	}
	return out
}

func (m *Member) syncStatus() SyncStatus {
	s := m.sync.Snapshot()
	out := SyncStatus{Enabled: s.Want != syncd.Want{}, Running: len(s.Running) == 2, ID: int(s.Want.SyncID), Interface: s.Want.Interface}
	for i, p := range s.Problems {
		if i > 0 {
			out.Error += "; "
		}
		out.Error += p
	}
	return out
}
