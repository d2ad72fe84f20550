package core

import (
	"slices"
	"time"
)

// window is by how much a message may be older than the newest one of its
// boot: the transport may swap neighbours.
const window = 64

// receive takes a message, unless it is a replay.
func (c *Core) receive(m *Message) {
	if m == nil || m.From == "" || !m.Kind.known() || m.Kind.state() != (m.Advert != nil) {
		return
	}
	if m.From == c.cfg.Name {
		if m.Boot != c.cfg.Boot && (c.twinAt == 0 || c.now > c.twinAt+time.Minute) {
			c.twinAt = c.now
			c.note("", Reason{Code: DuplicateName, Node: m.From})
		}
		return
	}
	wasAlone := c.alone()
	p := c.meet(m.From)
	if p == nil {
		c.note("", Reason{Code: TooManyPeers, Node: m.From})
		return
	}
	if !c.fresh(p, m) {
		return
	}
	if m.Seq > p.maxSeq {
		p.maxSeq = m.Seq
		p.heard, p.credit = c.now, 0
	}
	switch {
	case m.Kind.state():
		if m.Seq > p.advSeq {
			c.heed(p, m)
		}
		if m.Kind == KindPing {
			c.pongs = append(c.pongs, p.name)
		}
	case m.Kind == KindLeave:
		p.left = true
		c.advert = true
	default:
		for _, g := range c.groups {
			if g.id == m.Group {
				g.message(p, m)
			}
		}
	}
	if wasAlone && !c.alone() {
		c.renewNow = true // back to the short lifetime before the newcomer relies on it
	}
}

// fresh is whether m is of p's present process and not old.
func (c *Core) fresh(p *peer, m *Message) bool {
	switch {
	case m.Boot == p.boot:
		return !p.left && m.Seq+window > p.maxSeq
	case m.Boot == 0:
		return false
	}
	known := slices.Contains(p.old[:], m.Boot)
	if p.boot != 0 && (known || !c.after(p.heard+c.dead(p))) && !c.proven(p, m) {
		return false
	}
	if known && (p.dup == 0 || c.now-p.dup > time.Minute) {
		p.dup = c.now
		c.note("", Reason{Code: DuplicateName, Node: p.name})
	}
	if p.boot != 0 {
		copy(p.old[1:], p.old[:])
		p.old[0] = p.boot
	}
	*p = peer{name: p.name, old: p.old, dup: p.dup, boot: m.Boot, since: c.now, heard: c.now}
	return true
}

// proven is whether m can't be a replay from before: its sender has heard an
// advert of ours that is new, and not older than what the process did that we
// know. A replay to a director that has just started, and so doesn't remember
// anybody's earlier processes, would otherwise silence the real one.
func (c *Core) proven(p *peer, m *Message) bool {
	if m.Advert == nil {
		return false
	}
	for _, h := range m.Advert.Heard {
		if h.Node != c.cfg.Name || h.Boot != uint16(c.cfg.Boot) {
			continue
		}
		seq := c.seq - uint64(uint16(c.seq)-h.Seq)
		s := c.sent[seq%sentRing]
		return seq <= c.seq && s.seq == seq && seq >= p.confirm && c.now-s.at <= c.dead(p)
	}
	return false
}

// heed takes what p says of itself.
func (c *Core) heed(p *peer, m *Message) {
	if p.adv == nil {
		c.advert = true // so that it soon knows us
	}
	p.advSeq, p.adv, p.advAt = m.Seq, m.Advert, c.now
	deaf := c.now > p.since+2*c.dead(p)
	for _, h := range p.adv.Heard {
		if h.Node != c.cfg.Name {
			continue
		}
		deaf = ms(int(h.Age)) > c.dead(p)
		if h.Boot == uint16(c.cfg.Boot) {
			c.confirmed(p, h.Seq)
		}
	}
	c.tell(&p.deaf, deaf, Reason{Code: NotHeardBy, Node: p.name})
	c.tell(&p.skew, p.adv.Fingerprint != c.cfg.Fingerprint, Reason{Code: Skew, Node: p.name})
	c.tell(&p.count, int(p.adv.Directors) != c.cfg.Directors,
		Reason{Code: DirectorCount, Node: p.name, N: int(p.adv.Directors), Of: c.cfg.Directors})
	for i := range p.adv.Groups {
		s := &p.adv.Groups[i]
		for _, g := range c.groups {
			if g.id == s.ID {
				g.heard(s)
			}
		}
	}
}

// tell notes a condition when it begins and when it ends.
func (c *Core) tell(told *bool, is bool, r Reason) {
	if *told != is {
		*told = is
		c.do(Note{At: c.now, Reason: r, Over: !is})
	}
}

// confirmed takes the low bits of the newest advert of ours that p has heard.
func (c *Core) confirmed(p *peer, low uint16) {
	back := uint64(uint16(c.seq) - low)
	if back < c.seq && c.seq-back > p.confirm {
		p.confirm = c.seq - back
	}
}

// confirmedAt is when the newest advert that p confirmed was sent, if it was
// sent at or after seq.
func (c *Core) confirmedAt(p *peer, seq uint64) (time.Duration, bool) {
	s := c.sent[p.confirm%sentRing]
	return s.at, p.confirm >= seq && p.confirm > 0 && s.seq == p.confirm
}

// state is what we say of ourselves.
func (c *Core) state() *Advert {
	t := c.cfg.Timers
	a := &Advert{
		Interval:    toMs(t.Interval),
		Suspect:     toMs(t.Suspect),
		Dead:        toMs(t.Dead),
		Fence:       toMs(c.lifetime() + fenceMargin),
		Directors:   uint8(c.cfg.Directors),
		Reach:       uint8(c.reach.best()),
		Witnesses:   uint8(c.cfg.Witnesses),
		Fingerprint: c.cfg.Fingerprint,
		MACs:        c.macs,
	}
	if c.stopping {
		a.Flags |= Leaving
	}
	if c.stallAt > 0 && c.now < c.stallAt+10*time.Second {
		a.Flags |= Starved
	}
	if c.noReach() {
		a.Flags |= NoReach
	}
	if c.cfg.Quorum == Majority && c.living() < c.majority() {
		a.Flags |= NoQuorum
	}
	a.Groups = make([]GroupState, 0, len(c.groups))
	for _, g := range c.groups {
		a.Groups = append(a.Groups, g.wireState())
	}
	a.Heard = make([]Heard, 0, len(c.peers))
	for _, p := range c.peers {
		if p.adv != nil && !p.left {
			a.Heard = append(a.Heard, Heard{p.name, uint16(p.boot), uint16(p.advSeq), toMs(c.now - p.heard)})
		}
	}
	return a
}

func toMs(d time.Duration) uint16 { return uint16(min(max(d.Milliseconds(), 0), 65535)) }
