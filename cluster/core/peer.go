package core

import (
	"slices"
	"strings"
	"time"
)

// peer is another director, known since its first message.
type peer struct {
	name    string
	boot    uint64
	old     [4]uint64 // boot ids of its earlier processes: replays
	maxSeq  uint64    // of any message
	advSeq  uint64    // of adverts
	since   time.Duration
	heard   time.Duration // any message of this boot; stalls of ours credited
	credit  time.Duration // since then
	advAt   time.Duration
	adv     *Advert // never nil once advSeq > 0
	left    bool
	confirm uint64 // our newest advert that it heard
	deaf    bool   // told that it doesn't hear us
	skew    bool   // told
	count   bool   // told
	dup     time.Duration
	gave    []gave
}

// gave is a group that p said it gave up, in a message newer than its advert.
type gave struct {
	id  GroupID
	seq uint64
}

func (c *Core) peer(name string) *peer {
	i, ok := slices.BinarySearchFunc(c.peers, name, func(p *peer, n string) int { return strings.Compare(p.name, n) })
	if ok {
		return c.peers[i]
	}
	return nil
}

// meet is peer, making one for a name that is new.
func (c *Core) meet(name string) *peer {
	i, ok := slices.BinarySearchFunc(c.peers, name, func(p *peer, n string) int { return strings.Compare(p.name, n) })
	if !ok {
		if len(c.peers) >= MaxPeers {
			return nil
		}
		c.peers = slices.Insert(c.peers, i, &peer{name: name})
	}
	return c.peers[i]
}

// group is p's state of a group, nil when it said nothing of it.
func (p *peer) group(id GroupID) *GroupState {
	if p == nil || p.left || p.adv == nil {
		return nil
	}
	for i := range p.adv.Groups {
		if p.adv.Groups[i].ID == id {
			return &p.adv.Groups[i]
		}
	}
	return nil
}

// holds is p's state of a group when it says that it holds it.
func (p *peer) holds(id GroupID) *GroupState {
	s := p.group(id)
	if s == nil || !s.State.Holds() {
		return nil
	}
	for _, g := range p.gave {
		if g.id == id && g.seq > p.advSeq {
			return nil
		}
	}
	return s
}

// gives takes p's word that it dropped a group.
func (p *peer) gives(id GroupID, seq uint64) {
	p.gave = slices.DeleteFunc(p.gave, func(g gave) bool { return g.id == id || g.seq < p.advSeq })
	p.gave = append(p.gave, gave{id, seq})
}

func (c *Core) suspect(p *peer) time.Duration {
	if p.adv != nil {
		return max(c.cfg.Timers.Suspect, ms(int(p.adv.Suspect)))
	}
	return c.cfg.Timers.Suspect
}

func (c *Core) dead(p *peer) time.Duration {
	if p.adv != nil {
		return max(c.cfg.Timers.Dead, ms(int(p.adv.Dead)))
	}
	return c.cfg.Timers.Dead
}

// alive is whether p was heard just now.
func (c *Core) alive(p *peer) bool {
	return p != nil && !p.left && p.boot != 0 && !c.after(p.heard+c.suspect(p))
}

// living counts the directors that are heard, with us.
func (c *Core) living() int {
	n := 1
	for _, p := range c.peers {
		if c.alive(p) {
			n++
		}
	}
	return n
}

// complete is whether every director has told lately, and since our last
// stall, what it holds.
func (c *Core) complete() bool {
	n := 1
	for _, p := range c.peers {
		if c.told(p) {
			n++
		}
	}
	return n >= c.directors()
}

// told is whether what p says is of now: no replay, for it has heard us since,
// and nothing that waited while we were stalled.
func (c *Core) told(p *peer) bool {
	at, ok := c.confirmedAt(p, 1)
	return c.alive(p) && ok && c.now-at <= c.dead(p) && c.now-p.advAt <= c.suspect(p) &&
		(c.stallAt == 0 || p.advAt > c.stallAt+c.cfg.Timers.Burst)
}

// directors is how many there are: configured, or more when more were met.
func (c *Core) directors() int { return max(c.cfg.Directors, len(c.peers)+1) }

func (c *Core) majority() int { return c.directors()/2 + 1 }

// alone is whether nobody else could take over: no other director was heard
// since the start, or all have left.
func (c *Core) alone() bool {
	for _, p := range c.peers {
		if !p.left {
			return false
		}
	}
	return c.cfg.Quorum != Majority || c.cfg.Directors == 1
}

// lifetime is that of addresses that are renewed now.
func (c *Core) lifetime() time.Duration {
	if c.alone() {
		return c.cfg.Timers.Alone
	}
	return c.cfg.Timers.Lifetime
}

// fenceMargin is how long after the end of its lifetime the kernel may still
// answer for an address: it looks once a second, and later when others were renewed.
const fenceMargin = 2 * time.Second
