package core

import "time"

// Status is a snapshot for people and metrics. Times are on our own clock.
type Status struct {
	Now       time.Duration
	Quorum    Policy
	Directors int // configured, or more when more were met
	Living    int // heard, with ourselves
	Reach     int // witnesses that answered lately
	Witnesses int
	Warm      bool
	Stopping  bool
	Groups    []GroupStatus
	Peers     []PeerStatus
}

// GroupStatus is one group on this director.
type GroupStatus struct {
	Name       string
	State      State
	Since      time.Duration
	Reason     Reason // of the state
	Why        Reason // of not acting
	Holder     string // "" nobody as far as is known
	Term       uint32 // the highest seen
	Up         bool   // our addresses are on the wire
	Pinned     bool   // an operator put it here
	Priority   int
	Effective  int // faults taken off
	Suppressed bool
	Penalty    int // of flapping
	Slowdown   int // times the usual patience
	Renewed    time.Duration
	Lifetime   time.Duration
	Confirmed  int // directors that confirm us as holder (majority only)
	Phases     Phases
}

// PeerStatus is another director.
type PeerStatus struct {
	Name      string
	Alive     bool
	Left      bool
	Heard     time.Duration
	HeardUs   bool // it says so
	Skew      bool // its fingerprint differs
	Directors int
	Reach     int
	Witnesses int
	Flags     Flags
	Groups    []GroupState // read only
}

// Status returns a snapshot. It changes nothing but the deadline, which may
// come sooner.
func (c *Core) Status() Status {
	s := Status{
		Now: c.now, Quorum: c.cfg.Quorum, Directors: c.directors(), Living: c.living(),
		Reach: c.reach.best(), Witnesses: c.cfg.Witnesses, Warm: c.warm, Stopping: c.stopping,
	}
	for _, g := range c.groups {
		prio, _, _ := g.effective()
		gs := GroupStatus{
			Name: g.name, State: g.state, Since: g.since, Reason: g.reason, Why: g.why, Holder: g.holder(),
			Term: g.seen, Up: g.up, Pinned: g.pinned, Priority: g.priority, Effective: prio,
			Suppressed: g.damp.suppressed(c.now), Penalty: int(g.damp.value(c.now)), Slowdown: int(g.pace.factor(c.now)),
			Phases: g.phases,
		}
		if g.state.Holds() {
			gs.Renewed, gs.Lifetime = g.renewed, g.lifetime
			if c.cfg.Quorum == Majority {
				gs.Confirmed, _ = g.leased()
			}
		}
		s.Groups = append(s.Groups, gs)
	}
	for _, p := range c.peers {
		ps := PeerStatus{Name: p.name, Alive: c.alive(p), Left: p.left, Heard: p.heard, HeardUs: !p.deaf, Skew: p.skew}
		if p.adv != nil {
			ps.Directors, ps.Reach, ps.Witnesses = int(p.adv.Directors), int(p.adv.Reach), int(p.adv.Witnesses)
			ps.Flags, ps.Groups = p.adv.Flags, p.adv.Groups
		}
		s.Peers = append(s.Peers, ps)
	}
	return s
}
