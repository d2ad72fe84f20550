package cluster

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/cluster/gossip"
)

// Status is what an operator should know of the cluster, as this director sees
// it.
type Status struct {
	Name        string
	Quorum      core.Policy
	Directors   int // configured
	Living      int // heard, with this one
	Reach       int // witnesses that answer …
	Witnesses   int // … of these
	Stopping    bool
	Members     []Member
	Groups      []GroupStatus
	Transitions map[string]uint64 // by the state that was entered
	Problems    []string          // to be mended
	Notes       []string          // worth knowing
}

// Member is one director.
type Member struct {
	Name      string
	Address   netip.AddrPort
	Self      bool
	State     string // alive, silent, suspect, dead, left, absent
	Since     time.Time
	LastHeard time.Time // zero: never
	RTT       time.Duration
	Priority  map[string]int // by group, faults taken off
	Active    []string       // the groups that it holds
	Skew      bool           // its configuration differs
	HeardUs   bool           // it says so
	Reach     int            // witnesses that answer it
	Keys      []string       // fingerprints, the encrypting one first
	Told      []byte         // what it says by Tell; not to be changed
	Error     string         // why it isn't reached
}

// GroupStatus is one group.
type GroupStatus struct {
	Name      string
	State     core.State
	Role      Role
	Holder    string // "": nobody as far as is known
	Term      uint32
	Since     time.Time
	Reason    string // of the state
	Code      core.Code
	Why       string // it doesn't act
	WhyCode   core.Code
	Up        bool // our addresses are on the wire
	Pinned    bool // an operator put it here
	Damped    bool // flapped too often
	Priority  int
	Effective int // faults taken off
	Lifetime  time.Duration
	Addresses []netip.Prefix
	Failover  Failover // the last one to this director; zero: none
}

// Failover is how a group came here. The phases count from when its holder was
// last heard, or, where it didn't fall silent, from the decision.
type Failover struct {
	Time      time.Time // of the decision
	From      string    // who held it before; "": nobody as far as is known
	Term      uint32
	Reason    string
	Code      core.Code
	Suspected time.Duration // 0: nobody fell silent
	Permitted time.Duration // nothing was in the way any more
	Decided   time.Duration
	AddressUp time.Duration
	Announced time.Duration
}

// view is what the loop publishes; nobody changes it afterwards.
type view struct {
	start       time.Time
	core        core.Status
	addresses   map[string][]netip.Prefix
	ids         map[core.GroupID]string
	failovers   map[string]Failover
	transitions map[string]uint64
	notes       []string
	peers       map[string]netip.AddrPort
}

func newView(o Options) *view {
	v := &view{
		start: time.Now(), addresses: make(map[string][]netip.Prefix), ids: make(map[core.GroupID]string),
		failovers: make(map[string]Failover), transitions: make(map[string]uint64), peers: make(map[string]netip.AddrPort),
	}
	for _, g := range o.Groups {
		v.ids[core.ID(g.Name)] = g.Name
		for _, w := range g.Addresses {
			v.addresses[g.Name] = append(v.addresses[g.Name], w.Addr)
		}
	}
	v.core = core.New(o.Core).Status()
	return v
}

// publish makes a new view.
func (l *loop) publish() {
	l.story.forget(l.now())
	now := l.core.Status()
	l.story.held(now)
	v := &view{
		start: l.start, core: now, addresses: make(map[string][]netip.Prefix), ids: make(map[core.GroupID]string),
		failovers: make(map[string]Failover), transitions: make(map[string]uint64), notes: l.story.list(),
		peers: make(map[string]netip.AddrPort, len(l.peers)),
	}
	for _, g := range l.opts.Groups {
		v.ids[core.ID(g.Name)] = g.Name
		for _, w := range g.Addresses {
			v.addresses[g.Name] = append(v.addresses[g.Name], w.Addr)
		}
		if f, ok := l.story.failovers[g.Name]; ok {
			v.failovers[g.Name] = f
		}
	}
	for k, n := range l.story.transitions {
		v.transitions[k] = n
	}
	for k, a := range l.peers {
		v.peers[k] = a
	}
	l.view.Store(v)
	if l.story.news {
		l.story.news = false
		poke(l.changed)
	}
}

// Active is whether this director holds a group, or any ("").
func (n *Node) Active(group string) bool {
	return slices.ContainsFunc(n.view.Load().core.Groups, func(g core.GroupStatus) bool {
		return (group == "" || g.Name == group) && g.State.Holds()
	})
}

// Snapshot tells where everything stands. It waits for nothing.
func (n *Node) Snapshot() Status {
	v := n.view.Load()
	n.mu.Lock()
	name, problems := n.opts.Core.Name, slices.Clone(n.problems)
	n.mu.Unlock()
	c := v.core
	s := Status{
		Name: name, Quorum: c.Quorum, Directors: c.Directors, Living: c.Living, Reach: c.Reach, Witnesses: c.Witnesses,
		Stopping: c.Stopping, Transitions: v.transitions, Notes: v.notes, Problems: problems,
	}
	for _, p := range n.gossip.Problems() {
		s.Problems = append(s.Problems, p.Text)
	}
	for _, g := range c.Groups {
		s.Groups = append(s.Groups, v.group(g))
	}
	s.Members = v.members(n.gossip.Members(), name)
	return s
}

func (v *view) group(g core.GroupStatus) GroupStatus {
	return GroupStatus{
		Name: g.Name, State: g.State, Role: roleOf(g.State), Holder: g.Holder, Term: g.Term, Since: v.start.Add(g.Since),
		Reason: g.Reason.String(), Code: g.Reason.Code, Why: g.Why.String(), WhyCode: g.Why.Code,
		Up: g.Up, Pinned: g.Pinned, Damped: g.Suppressed, Priority: g.Priority, Effective: g.Effective,
		Lifetime: g.Lifetime, Addresses: v.addresses[g.Name], Failover: v.failovers[g.Name],
	}
}

// members joins what gossip knows with what the adverts say.
func (v *view) members(known []gossip.Member, self string) []Member {
	var out []Member
	find := func(name string) *Member {
		i := slices.IndexFunc(out, func(m Member) bool { return m.Name == name })
		if i < 0 {
			i = len(out)
			out = append(out, Member{Name: name})
		}
		return &out[i]
	}
	for _, k := range known {
		m := Member{
			Name: k.Name, Address: k.Addr, Self: k.Name == self, State: k.State.String(), Since: k.Since, LastHeard: k.Heard,
			RTT: k.RTT, Keys: k.Keys, Told: k.Meta, Error: k.Err,
		}
		out = append(out, m)
	}
	me := find(self)
	me.Self, me.State, me.HeardUs, me.Reach = true, gossip.Alive.String(), true, v.core.Reach
	me.Priority = make(map[string]int)
	for _, g := range v.core.Groups {
		me.Priority[g.Name] = g.Effective
		if g.State.Holds() {
			me.Active = append(me.Active, g.Name)
		}
	}
	for _, p := range v.core.Peers {
		i := slices.IndexFunc(out, func(m Member) bool { return m.Name == "" && m.Address == v.peers[p.Name] })
		if i >= 0 && !slices.ContainsFunc(out, func(m Member) bool { return m.Name == p.Name }) {
			out[i].Name = p.Name // heard before gossip joined it
		}
		m := find(p.Name)
		m.Skew, m.HeardUs, m.Reach = p.Skew, p.HeardUs, p.Reach
		m.Priority = make(map[string]int)
		if !m.Address.IsValid() {
			m.Address = v.peers[p.Name]
		}
		if p.Heard > 0 && v.start.Add(p.Heard).After(m.LastHeard) {
			m.LastHeard = v.start.Add(p.Heard)
		}
		switch {
		case p.Left:
			m.State = gossip.Left.String()
		case p.Alive:
			m.State = gossip.Alive.String()
		case m.State == gossip.Alive.String() || m.State == "":
			m.State = "silent" // gossip needs seconds to notice
		}
		for _, g := range p.Groups {
			name, ok := v.ids[g.ID]
			if !ok {
				continue
			}
			m.Priority[name] = int(g.Priority)
			if g.State.Holds() && p.Alive {
				m.Active = append(m.Active, name)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
