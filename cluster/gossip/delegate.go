package gossip

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/memberlist"
)

// receiveQueue is a second of adverts from ten directors.
const receiveQueue = 256

// delegate is Gossip as memberlist sees it. It runs under memberlist's lock or
// in its only packet goroutine: it copies, wakes, and never waits.
type delegate Gossip

var (
	_ memberlist.Delegate         = (*delegate)(nil)
	_ memberlist.EventDelegate    = (*delegate)(nil)
	_ memberlist.ConflictDelegate = (*delegate)(nil)
	_ memberlist.AliveDelegate    = (*delegate)(nil)
	_ memberlist.PingDelegate     = (*delegate)(nil)
)

func (d *delegate) NodeMeta(int) []byte {
	var user []byte
	if m := d.meta.Load(); m != nil {
		user = *m
	}
	return encodeMeta(d.opts.BootID, d.keyring.Keys(), user)
}

func (d *delegate) NotifyMsg(b []byte) {
	at := time.Now()
	e, err := decodeEnvelope(b)
	if err != nil || e.boot == d.opts.BootID {
		return // not of our make, or our own: the file may name us in join
	}
	g := (*Gossip)(d)
	if e.name == d.opts.Name {
		if self := d.self.Load(); self == nil || e.addr != *self {
			g.problems.note("name", e.name, sameName(e.name, e.addr.String()), 0)
		}
		return
	}
	g.retry(e)
	if home, ok := d.view.elsewhere(e.name, e.addr, at); ok {
		g.problems.note("name", e.name, twoNamed(e.name, home.String(), e.addr.String()), persists)
		return
	}
	d.view.heard(e.name, e.addr, at)
	switch e.kind {
	case farewell:
		d.view.left(e.name, e.boot)
	case asked, answered:
		g.hearQuestion(e)
	case said:
		g.deliver(Message{From: e.name, Addr: e.addr, Boot: e.boot, Payload: bytes.Clone(e.payload), At: at})
	}
}

// deliver drops the oldest message where there is no room: what is newer says
// more.
func (g *Gossip) deliver(m Message) {
	for {
		select {
		case g.received <- m:
			return
		default:
		}
		select {
		case <-g.received:
			g.lost.Add(1)
		default:
		}
	}
}

func (d *delegate) GetBroadcasts(int, int) [][]byte { return nil }
func (d *delegate) LocalState(bool) []byte          { return nil }
func (d *delegate) MergeRemoteState([]byte, bool)   {}
func (d *delegate) AckPayload() []byte              { return nil }
func (d *delegate) NotifyJoin(n *memberlist.Node)   { d.view.alive(n, true) }
func (d *delegate) NotifyUpdate(n *memberlist.Node) { d.view.alive(n, false) }
func (d *delegate) NotifyLeave(n *memberlist.Node)  { d.view.gone(n.Name) }
func (d *delegate) NotifyConflict(a, b *memberlist.Node) {
	// Also so for the few seconds after a director moved to another address,
	// until the old one is known to be dead: hence not told at once.
	text := twoNamed(a.Name, nodeAddr(a).String(), nodeAddr(b).String())
	if a.Name == d.opts.Name {
		text = sameName(a.Name, nodeAddr(b).String())
	}
	d.problems.note("name", a.Name, text, persists)
}

func (d *delegate) NotifyPingComplete(n *memberlist.Node, rtt time.Duration, _ []byte) {
	d.view.answered(n.Name, nodeAddr(n), rtt)
}

// NotifyAlive refuses what can't be one of our directors, whose metadata we
// couldn't read or to whom nobody could send.
func (d *delegate) NotifyAlive(n *memberlist.Node) error {
	addr := nodeAddr(n)
	if n.Name == d.opts.Name {
		return nil // ourselves, or a conflict that memberlist finds
	}
	var err error
	if !addr.IsValid() || addr.Port() == 0 || addr.Addr().IsUnspecified() {
		err = errors.New("it advertises no address that others can send to")
	} else if err = checkName(n.Name); err == nil {
		if _, bad := decodeMeta(n.Meta); bad != nil {
			err = fmt.Errorf("its metadata are not ipvsd's (%v)", bad)
		}
	}
	if err != nil {
		text := fmt.Sprintf("%q at %v is not taken for a director: %v; is it another program, or another version of ipvsd?", n.Name, addr, err)
		d.problems.note("alien", n.Name, text, 0)
	}
	return err
}

func sameName(name, at string) string {
	return fmt.Sprintf("another director named %s is at %s: set [cluster] name, each needs its own", name, at)
}

func twoNamed(name, here, there string) string {
	if there < here {
		here, there = there, here
	}
	return fmt.Sprintf("two directors are named %s, at %s and at %s: set [cluster] name on one of them", name, here, there)
}
