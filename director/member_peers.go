package director

import (
	"context"
	"slices"

	"github.com/ipvsd/ipvsd/cluster/gossip"
	"github.com/ipvsd/ipvsd/director/table"
)

// Decides says whether nobody but this director can hold the address of a
// virtual service now: it holds it, or no director's election is about it, as
// with an address on loopback.
func (m *Member) Decides(key table.ServiceKey) bool {
	groups := m.cfg.Load().Groups
	if key.Protocol == 0 {
		return len(groups) == 0 || m.node.Active("") // a mark has no address
	}
	for _, g := range groups {
		if slices.Contains(g.VIPs, key.Addr.Addr()) && !key.Addr.Addr().IsLoopback() {
			return m.node.Active(g.Name)
		}
	}
	return true
}

// Directors are the other directors of the cluster.
func (m *Member) Directors() []Peer {
	var out []Peer
	for _, p := range m.node.Snapshot().Members {
		if p.Self {
			continue
		}
		peer := Peer{Name: p.Name, There: p.State == gossip.Alive.String() || p.State == gossip.Suspect.String()}
		if p.Name == "" {
			peer = Peer{Name: p.Address.String()}
		}
		out = append(out, peer)
	}
	return out
}

// Serve has questions answered that begin with askIntents.
func (m *Member) Serve(answer func(context.Context, []byte) []byte) { m.intents.Store(&answer) }

// Ask puts a question to another director. Gossip wants one at a time to each:
// who asks while another question waits, waits too.
func (m *Member) Ask(ctx context.Context, director string, question []byte) ([]byte, error) {
	turn, _ := m.asking.LoadOrStore(director, make(chan struct{}, 1))
	select {
	case turn.(chan struct{}) <- struct{}{}:
		defer func() { <-turn.(chan struct{}) }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return m.node.Ask(ctx, director, question)
}
