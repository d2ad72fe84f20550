package director

import (
	"context"
	"maps"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/pool"
	"github.com/ipvsd/ipvsd/director/table"
)

// view is what the loop publishes after each round. It is never changed.
type view struct {
	cfg    *config.Config
	names  map[checker.ID]string // of the virtual service, by watch
	config ConfigStatus
	kernel KernelStatus
	causes map[table.Pair]cause // who is held back
	notes  map[table.ServiceKey]pool.Decision
}

func newView(cfg *config.Config, now time.Time) *view {
	return &view{
		cfg:    cfg,
		names:  namesOf(cfg),
		config: ConfigStatus{File: cfg.File, Hash: cfg.Hash, Loaded: now, Reloads: map[string]uint64{"ok": 0, "refused": 0}},
		kernel: KernelStatus{Drifts: map[string]uint64{}},
	}
}

func (l *loop) publish() {
	v := &view{cfg: l.cfg, names: l.view.Load().names, config: l.config, kernel: l.kernel, causes: l.causes, notes: maps.Clone(l.want.Notes)}
	if l.view.Load().cfg != l.cfg {
		v.names = namesOf(l.cfg)
	}
	v.config.Reloads = maps.Clone(l.config.Reloads)
	v.kernel.Drifts = maps.Clone(l.kernel.Drifts)
	l.view.Store(v)
}

// Ready says whether the kernel is programmed and every real server has had its
// first verdict.
func (d *Director) Ready() bool {
	v := d.view.Load()
	if !v.kernel.Programmed {
		return false
	}
	states := d.opts.Checks.States()
	for _, virtual := range v.cfg.Virtuals {
		for _, r := range virtual.Reals {
			id := watchID(table.Pair{Service: virtual.Service.ServiceKey, Real: r.Addr})
			if r.Check.Type != checker.Off && states[id] == checker.Unknown {
				return false
			}
		}
	}
	return true
}

// Status puts together what the loop published, what the checks say now and one
// read of the kernel. Where the kernel can't be read, its part says why.
func (d *Director) Status(ctx context.Context) Status {
	v := d.view.Load()
	have, err := d.opts.Kernel.Read(ctx)
	checks := d.opts.Checks.Snapshot()
	s := Status{
		Version: d.opts.Version,
		PID:     os.Getpid(),
		Started: d.started,
		Active:  true,
		Ready:   d.Ready(),
		Config:  v.config,
		Kernel:  v.kernel,
	}
	s.Config.Trial = d.trial.Load()
	if err != nil {
		s.Kernel.ReadError = err.Error()
	}
	s.Virtuals = make([]VirtualStatus, 0, len(v.cfg.Virtuals))
	for _, virtual := range v.cfg.Virtuals {
		s.Virtuals = append(s.Virtuals, virtualStatus(virtual, have, checks, v.causes))
		note(&s.Virtuals[len(s.Virtuals)-1], virtual, v.notes[virtual.Service.ServiceKey])
	}
	switch {
	case d.opts.Cluster != nil:
		look := d.opts.Cluster.Look()
		s.Active, s.Addresses, s.Cluster = look.Active, look.Addresses, look.Cluster
	case d.opts.Addresses != nil:
		s.Addresses = d.opts.Addresses.Status()
	}
	if d.opts.Doctor != nil {
		s.Doctor = d.opts.Doctor()
	}
	return s
}

// others are the real servers that the kernel has and the file hasn't: those that
// leave, and the fallback.
func others(v config.Virtual, have table.Have) []netip.AddrPort {
	configured := make(map[netip.AddrPort]bool, len(v.Reals))
	for _, r := range v.Reals {
		configured[r.Addr] = true
	}
	return slices.DeleteFunc(have.State[v.Service.ServiceKey].Addrs(), func(a netip.AddrPort) bool { return configured[a] })
}

func virtualStatus(v config.Virtual, have table.Have, checks map[checker.ID]checker.Status, causes map[table.Pair]cause) VirtualStatus {
	key := v.Service.ServiceKey
	out := VirtualStatus{
		Name:      v.Name,
		Comment:   v.Comment,
		Service:   key.String(),
		Scheduler: v.Service.Scheduler,
		Counters:  traffic(have.Services[key]),
	}
	held := have.State[key].Reals
	out.Reals = make([]RealStatus, 0, max(len(v.Reals), len(held)))
	for _, r := range v.Reals {
		pair := table.Pair{Service: key, Real: r.Addr}
		rs := realStatus(r, held[r.Addr], have.Reals[pair], checks[watchID(pair)])
		_, rs.InKernel = held[r.Addr]
		if c, ok := causes[pair]; ok {
			c.fill(&rs)
		}
		out.Up = out.Up || rs.State == StateUp
		out.Reals = append(out.Reals, rs)
	}
	for _, addr := range others(v, have) {
		pair := table.Pair{Service: key, Real: addr}
		rs := RealStatus{Address: addr.String(), State: StateLeaving, Reason: "left the file, finishes its connections"}
		fill(&rs, held[addr], have.Reals[pair])
		rs.InKernel = true
		if rs.Weight > 0 {
			rs.Reason = "left the file, serves until another has its first verdict"
		}
		if v.Fallback != nil && v.Fallback.Addr == addr && held[addr].Weight > 0 {
			rs.State, rs.Reason, rs.Configured = StateFallback, "no real server is up", v.Fallback.Weight
			out.Fallback = true
		}
		out.Reals = append(out.Reals, rs)
	}
	return out
}

func realStatus(r config.Real, held table.Real, c table.Counters, status checker.Status) RealStatus {
	rs := RealStatus{
		Address:    r.Addr.String(),
		State:      StateUnknown,
		Configured: r.Weight,
		Tier:       max(r.Tier, 1),
		Since:      status.Since,
		Reason:     status.Last.Reason,
		Check: CheckStatus{
			Type:        string(r.Check.Type),
			Target:      r.Check.Target.String(),
			Good:        status.Good,
			Bad:         status.Bad,
			Last:        checkResult(status.Last),
			LastFailure: checkResult(status.LastFailure),
			Void:        status.Void,
			Streak:      status.Streak,
			Rise:        max(r.Rise, 1),
			Fall:        max(r.Fall, 1),
			Interval:    r.Check.Interval.Seconds(),
			Overdue:     overdue(r.Check, status.Last, time.Now()),
		},
	}
	if until := status.CertUntil; !until.IsZero() {
		rs.Check.CertUntil = &until
	}
	switch {
	case status.State == checker.Up:
		rs.State = StateUp
	case status.State == checker.Down:
		rs.State = StateDown
	case r.Check.Type == checker.Off:
		rs.State = StateUnchecked
	}
	rs.Verdict = rs.State
	fill(&rs, held, c)
	rs.Forward = r.Forward.String()
	return rs
}

// fill says in a real server's status who holds it back.
func (c cause) fill(rs *RealStatus) {
	rs.State, rs.Reason, rs.Since = c.state(), c.String(), c.since()
	if rs.State == StateDraining {
		rs.Reason = drainingText(c, rs.Active)
	}
	rs.Hold = &HoldStatus{Wish: StateMaintenance, File: c.file}
	m := c.mark
	if m.Wish == "" {
		return
	}
	*rs.Hold = HoldStatus{
		Wish: string(m.Wish), By: m.By, Director: m.Version.Director, Reason: m.Reason, File: c.file, Since: m.Version.At(),
	}
	if !m.Deadline.IsZero() {
		rs.Hold.Deadline = &m.Deadline
	}
	if c.done != nil {
		rs.Hold.Ended, rs.Hold.Cut = &c.done.At, c.done.Cut
		rs.Since = c.done.At
	}
}

func fill(rs *RealStatus, held table.Real, c table.Counters) {
	rs.Forward = held.Forward.String()
	rs.Weight = held.Weight
	rs.Active, rs.Inactive = c.Active, c.Inactive
	rs.Counters = traffic(c)
}

func traffic(c table.Counters) Traffic {
	return Traffic{
		Connections: c.Conns,
		PacketsIn:   c.PacketsIn, PacketsOut: c.PacketsOut,
		BytesIn: c.BytesIn, BytesOut: c.BytesOut,
	}
}

// overdue reports whether a check should have ended again since last began: one
// that takes all of its time misses its turns meanwhile, so the next may begin an
// interval after its end and take as long. Some seconds more are ours for a busy
// machine.
func overdue(spec checker.Spec, last checker.Result, now time.Time) bool {
	const grace = 5 * time.Second
	return !last.Start.IsZero() && spec.Type != checker.On && spec.Type != checker.Off &&
		now.Sub(last.Start) > spec.Interval+2*spec.Timeout+grace
}

func checkResult(r checker.Result) *CheckResult {
	if r.Start.IsZero() {
		return nil
	}
	return &CheckResult{OK: r.OK, Reason: r.Reason, At: r.Start, Seconds: r.Duration.Seconds(), Sample: r.Sample}
}

// Tally counts the real servers that are up, and all.
func (d *Director) Tally() (up, all int) {
	states := d.opts.Checks.States()
	for id := range d.view.Load().names {
		all++
		if states[id] == checker.Up {
			up++
		}
	}
	return up, all
}

func namesOf(cfg *config.Config) map[checker.ID]string {
	out := map[checker.ID]string{}
	for _, v := range cfg.Virtuals {
		for _, r := range v.Reals {
			out[watchID(table.Pair{Service: v.Service.ServiceKey, Real: r.Addr})] = v.Name
		}
	}
	return out
}

// VirtualOf names the virtual service of a watch.
func (d *Director) VirtualOf(id checker.ID) string { return d.view.Load().names[id] }

// Active reports whether this director holds the addresses. A single one always
// does.
func (d *Director) Active() bool { return d.opts.Cluster == nil || d.opts.Cluster.Active() }
