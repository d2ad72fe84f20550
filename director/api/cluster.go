package api

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipvsd/ipvsd/director"
)

// Series that are there from the start, so that a rate or an alert doesn't have
// to wait for the first one.
var (
	memberStates = []string{"absent", "alive", "dead", "left", "silent", "suspect"}
	groupStates  = []string{"active", "candidate", "fault", "init", "releasing", "standby", "suspect", "voting"}
	phaseNames   = []string{"suspected", "decided", "address_up", "announced"}
)

// cluster writes what a member of a cluster has to tell; a single director has
// none of it.
func (e *exposition) cluster(c *director.ClusterStatus) {
	if c == nil {
		return
	}
	members, skew := make(map[string]uint64), false
	for _, state := range memberStates {
		members[state] = 0
	}
	for i := range c.Members {
		members[c.Members[i].State]++
		skew = skew || c.Members[i].Skew
	}
	const name = "ipvsd_cluster_members"
	e.family(name, gauge, "Directors of the cluster as this one sees them, itself included, by state: alive, silent (no advert lately), suspect, dead, left (it said goodbye), absent (configured, never seen).")
	for _, state := range slices.Sorted(maps.Keys(members)) {
		e.sample(name, members[state], "state", state)
	}

	transitions := make(map[string]uint64)
	for _, state := range groupStates {
		transitions[state] = 0
	}
	maps.Copy(transitions, c.Transitions)
	e.byLabel("ipvsd_cluster_transitions_total", "Changes of this director's role, counted for each group of addresses, by the new role.", "to", transitions)

	const active = "ipvsd_cluster_group_active"
	e.family(active, gauge, "1 where this director holds the group's addresses, 0 where it doesn't. The sum over all directors should be 1.")
	for i := range c.Groups {
		e.sample(active, truth(holds(&c.Groups[i])), "group", c.Groups[i].Name)
	}
	e.one("ipvsd_cluster_config_skew", gauge, "1 where another director's file differs in what must be the same on all: virtual services, real servers, checks, groups of addresses.", truth(skew))
	e.one("ipvsd_cluster_problems", gauge, "What an operator should mend in the cluster, as this director sees it; ipvsd status has each with its cure.", uint64(len(c.Problems)))
	e.sync(&c.Sync)
}

// sync writes how the kernel's connection synchronisation does.
func (e *exposition) sync(s *director.SyncStatus) {
	if !s.Enabled {
		return
	}
	e.one("ipvsd_cluster_sync_running", gauge, "1 while the kernel's connection synchronisation runs as [cluster.sync] wants it. None where that is off.", truth(s.Running))
	if s.Known != nil {
		const known = "ipvsd_cluster_sync_known_ratio"
		e.family(known, gauge, "Share, 0 to 1, of the active director's established connections that this standby knows, of the one of which it knows least. None on a director that holds all, and while it can't be told.")
		e.ratio(known, s.Known.Share)
	}
}

// holds reports whether the group's addresses are this director's; releasing, it
// has them until the successor does.
func holds(g *director.ClusterGroupStatus) bool { return g.State == "active" || g.State == "releasing" }

// failovers is the histogram of failovers to this director, each counted once
// however often a Status tells of it.
type failovers struct {
	phases *prometheus.HistogramVec

	mu   sync.Mutex
	last map[string]time.Time // the one of each group that was counted
}

func newFailovers() failovers {
	return failovers{
		phases: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ipvsd_failover_duration_seconds",
			Help:    "Time that failovers to this director took until each phase: suspected, decided, address_up, announced; from when the failed director was last heard or, where none fell silent, from the decision (then without the first two phases).",
			Buckets: []float64{.01, .05, .1, .2, .3, .4, .5, .6, .8, 1, 1.5, 2, 3, 5, 10, 30},
		}, []string{"phase"}),
		last: make(map[string]time.Time),
	}
}

// ObserveFailover counts a group's failover, unless it or a later one was counted
// already. It may be called from any goroutine.
func (m *Metrics) ObserveFailover(group string, f director.FailoverStatus) {
	m.failovers.mu.Lock()
	defer m.failovers.mu.Unlock()
	if last, known := m.failovers.last[group]; known && !f.At.After(last) {
		return
	}
	m.failovers.last[group] = f.At
	observe := func(phase string, seconds float64) {
		if seconds > 0 { // else it didn't come to that
			m.failovers.phases.WithLabelValues(phase).Observe(seconds)
		}
	}
	if f.Suspected > 0 {
		observe("suspected", f.Suspected)
		observe("decided", f.Decided)
	}
	observe("address_up", f.AddressUp)
	observe("announced", f.Announced)
}

// seen takes the failovers that a Status tells of.
func (m *Metrics) seen(st *director.Status) {
	if st.Cluster == nil {
		return
	}
	for _, phase := range phaseNames {
		m.failovers.phases.WithLabelValues(phase)
	}
	for i := range st.Cluster.Groups {
		if g := &st.Cluster.Groups[i]; g.Last != nil {
			m.ObserveFailover(g.Name, *g.Last)
		}
	}
}

// wholeCluster is a copy in which lists and maps are never nil.
func wholeCluster(c *director.ClusterStatus) *director.ClusterStatus {
	if c == nil {
		return nil
	}
	out := *c
	out.Members, out.Groups = whole(slices.Clone(c.Members)), whole(slices.Clone(c.Groups))
	for i := range out.Members {
		out.Members[i].Active = whole(out.Members[i].Active)
	}
	for i := range out.Groups {
		out.Groups[i].Addresses = whole(out.Groups[i].Addresses)
	}
	out.Problems, out.Notes = whole(c.Problems), whole(c.Notes)
	if out.Transitions == nil {
		out.Transitions = map[string]uint64{}
	}
	return &out
}

func whole[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
