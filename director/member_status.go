package director

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ipvsd/ipvsd/cluster"
	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/cluster/gossip"
	"github.com/ipvsd/ipvsd/director/ipvs/syncd"
)

// Health tells the cluster what is wrong with this director.
func (m *Member) Health(faults []core.Fault) {
	m.faults.Store(&faults)
	m.node.Health("", faults)
}

// Tell tells the other directors of our real servers.
func (m *Member) Tell(c Census) {
	if err := m.node.Tell(c.encode()); err != nil {
		m.log.Error("the other directors aren't told of our real servers", "err", err)
	}
}

// Others are the other directors that are alive, with what they last told.
func (m *Member) Others() []Other {
	var out []Other
	for _, p := range m.node.Snapshot().Members {
		if c, ok := decodeCensus(p.Told); ok && !p.Self && p.State == gossip.Alive.String() {
			out = append(out, Other{Name: p.Name, Census: c})
		}
	}
	return out
}

// Active reports whether this director holds an address.
func (m *Member) Active() bool { return m.node.Active("") }

// Status tells where each address stands here.
func (m *Member) Status() []AddressStatus { return m.Look().Addresses }

// Look is all that a Status tells of the cluster, as of one moment.
func (m *Member) Look() ClusterLook {
	s := m.node.Snapshot()
	look := ClusterLook{Addresses: m.addresses(s), Cluster: m.status(s)}
	look.Active = slices.ContainsFunc(s.Groups, func(g cluster.GroupStatus) bool { return g.State.Holds() })
	return look
}

func (m *Member) addresses(s cluster.Status) []AddressStatus {
	out := addressStatus(m.node.Addresses())
	here := map[string]bool{}
	for _, a := range out {
		here[a.Address] = true
	}
	for _, g := range s.Groups {
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

func (m *Member) status(s cluster.Status) *ClusterStatus {
	out := &ClusterStatus{
		Name: s.Name, Members: []MemberStatus{}, Groups: []ClusterGroupStatus{},
		Transitions: s.Transitions, Problems: s.Problems, Notes: s.Notes, Sync: m.syncStatus(),
	}
	out.Sync.Known = m.warmth.lag.Load()
	if waits := m.warmth.waits(); waits != "" {
		out.Notes = append(slices.Clone(out.Notes), waits)
	}
	for _, p := range s.Members {
		out.Members = append(out.Members, m.member(p))
	}
	for _, g := range s.Groups {
		out.Groups = append(out.Groups, groupStatus(g))
	}
	return out
}

func (m *Member) member(p cluster.Member) MemberStatus {
	out := MemberStatus{
		Name: p.Name, Address: p.Address.String(), State: p.State, Since: p.Since, Self: p.Self,
		Active: p.Active, Skew: p.Skew, Error: p.Error,
	}
	for _, v := range p.Priority {
		out.Priority = max(out.Priority, v)
	}
	if c, ok := decodeCensus(p.Told); ok && p.State == gossip.Alive.String() {
		out.Faults = c.Faults
		if c.Complete {
			out.Reals = &MemberReals{Up: c.Up, All: c.All}
		}
	}
	if p.Self {
		out.Faults = faultText(*m.faults.Load())
	}
	return out
}

// faultText is what lowers a director's priority, as one line.
func faultText(faults []core.Fault) string {
	var list []string
	for _, f := range faults {
		if f.Weight == 0 {
			list = append(list, f.Text+" (it can't be active)")
			continue
		}
		list = append(list, fmt.Sprintf("%s (priority -%d)", f.Text, f.Weight))
	}
	return strings.Join(list, "; ")
}

func groupStatus(g cluster.GroupStatus) ClusterGroupStatus {
	out := ClusterGroupStatus{
		Name: g.Name, State: g.State.String(), Holder: g.Holder, Term: g.Term,
		Reason: g.Reason, Code: string(g.Code), Since: g.Since,
	}
	switch g.State {
	case core.Suspect, core.Candidate, core.Voting:
		if g.WhyCode != g.Code {
			out.Waits = g.Why
		}
	}
	for _, a := range g.Addresses {
		out.Addresses = append(out.Addresses, a.String())
	}
	if f := g.Failover; !f.Time.IsZero() {
		out.Last = &FailoverStatus{
			At: f.Time, From: f.From, Reason: f.Reason, Suspected: f.Suspected.Seconds(), Decided: f.Decided.Seconds(),
			AddressUp: f.AddressUp.Seconds(), Announced: f.Announced.Seconds(),
		}
	}
	return out
}

func (m *Member) syncStatus() SyncStatus {
	s := m.sync.Snapshot()
	return SyncStatus{
		Enabled: s.Want != syncd.Want{}, Running: len(s.Running) == 2, ID: int(s.Want.SyncID), Interface: s.Want.Interface,
		Error: strings.Join(s.Problems, "; "),
	}
}
