package gossip

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"time"

	"github.com/hashicorp/memberlist"
)

// The memberlist settings were measured for two to five directors on a LAN:
// a death is known after 2 to 4 s, and 30 % loss makes no false one. Election
// doesn't wait for them.
const (
	probeInterval = 500 * time.Millisecond
	// streamTimeout is for a whole exchange of states.
	streamTimeout = 2 * time.Second
	// dialTimeout is shorter, so that a peer that came back within a dial
	// that began before is reached by the next one.
	dialTimeout = time.Second
)

// create listens and makes the memberlist. A *net.OpError may be cured by
// trying again.
func (g *Gossip) create(ctx context.Context) (*memberlist.Memberlist, error) {
	var transport memberlist.NodeAwareTransport
	switch t := g.opts.Transport.(type) {
	case nil:
		udp, err := listenNet(ctx, g.opts.Listen)
		if err != nil {
			return nil, err
		}
		transport = udp
	case memberlist.NodeAwareTransport:
		transport = t
	default:
		return nil, errors.New("the transport is not a memberlist.NodeAwareTransport")
	}
	list, err := g.createOn(capped{transport})
	if err != nil {
		_ = transport.Shutdown()
		return nil, err
	}
	return list, nil
}

func (g *Gossip) createOn(transport memberlist.NodeAwareTransport) (*memberlist.Memberlist, error) {
	advertise, err := g.advertise(transport)
	if err != nil {
		return nil, err
	}
	g.self.Store(&advertise)

	c := memberlist.DefaultLANConfig()
	c.Name = g.opts.Name
	c.Transport = transport
	c.Label = g.opts.ClusterLabel
	c.BindAddr, c.BindPort = g.opts.Listen.Addr().String(), int(advertise.Port())
	c.AdvertiseAddr, c.AdvertisePort = advertise.Addr().String(), int(advertise.Port())
	c.ProbeInterval, c.ProbeTimeout = probeInterval, 200*time.Millisecond
	c.SuspicionMult, c.SuspicionMaxTimeoutMult, c.AwarenessMaxMultiplier = 3, 2, 4
	c.GossipInterval, c.GossipNodes, c.RetransmitMult = 100*time.Millisecond, 3, 4
	c.PushPullInterval, c.GossipToTheDeadTime = 5*time.Second, 15*time.Second
	c.DeadNodeReclaimTime = time.Second
	c.TCPTimeout = streamTimeout
	c.EnableCompression = false // spends a millisecond to save nothing
	c.RequireNodeNames = false
	c.DelegateProtocolMin, c.DelegateProtocolMax, c.DelegateProtocolVersion = 1, 1, 1
	c.GossipVerifyIncoming, c.GossipVerifyOutgoing = true, true
	if g.keyring.ring != nil {
		c.Keyring = g.keyring.ring
	}
	// CIDRsAllowed stays empty: who has the key and the label is one of us, a
	// director that joins before the others' files name it is wanted, and
	// memberlist would drop it without a word. It is told as a problem.
	d := (*delegate)(g)
	c.Delegate, c.Events, c.Conflict, c.Alive, c.Ping = d, d, d, d, d
	c.Logger = log.New(g.lines, "", 0)
	return memberlist.Create(c)
}

// advertise finds the address that others are told.
func (g *Gossip) advertise(transport memberlist.Transport) (netip.AddrPort, error) {
	if a := plain(g.opts.Advertise); a.IsValid() {
		return a, nil
	}
	a := plain(g.opts.Listen)
	if a.Port() == 0 { // a test's
		_, port, err := transport.FinalAdvertiseAddr("", 0)
		if err != nil {
			return netip.AddrPort{}, err
		}
		a = netip.AddrPortFrom(a.Addr(), uint16(port))
	}
	if !a.Addr().IsUnspecified() {
		return a, nil
	}
	peers := *g.peers.Load()
	if len(peers) == 0 {
		return netip.AddrPort{}, fmt.Errorf("listen %v doesn't say how others reach this director, and no join says who they are: listen on one address", g.opts.Listen)
	}
	// Connecting a UDP socket asks the routing table and sends nothing.
	c, err := net.Dial("udp", peers[0].text)
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer func() { _ = c.Close() }()
	local := plain(c.LocalAddr().(*net.UDPAddr).AddrPort())
	return netip.AddrPortFrom(local.Addr(), a.Port()), nil
}

// capped shortens dials.
type capped struct{ memberlist.NodeAwareTransport }

func (c capped) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return c.NodeAwareTransport.DialAddressTimeout(a, min(timeout, dialTimeout))
}
