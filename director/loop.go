package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/intent"
	"github.com/ipvsd/ipvsd/director/table"
)

// loop is the state that the goroutine of Run owns.
type loop struct {
	*Director
	cfg      *config.Config
	virtuals map[table.ServiceKey]config.Virtual // the file's
	pairs    map[table.Pair]checker.ID           // the file's real servers, with the watch of each
	verdicts Verdicts                            // as last heard
	adopted  map[table.Pair]table.Real           // what the kernel held when we first saw it
	leaving  map[table.Pair]time.Time            // deadlines of those that left the file
	peers    peers                               // what the cluster is told and tells
	retained int                                 // how many the last round kept that the file doesn't name
	want     Wanted                              // as last asked for
	expect   table.State                         // as last programmed; a service that failed isn't in it
	record   *record
	backoff  time.Duration // 0: the last round succeeded
	steps    []table.Step  // done since the loop last woke

	named     func(intent.Key) bool // whether the file names a mark's real server
	book      intent.Book           // what operators want
	bookNews  bool                  // since hold last looked
	unsaved   bool                  // the book isn't on disk as it is
	saveError string                // why
	causes    map[table.Pair]cause  // who is held back; never changed, but replaced
	holds     Holds                 // the same for Desired
	drains    drains
	notices   notices // what hooks and mail were told
	pools     pools
	story     story

	config ConfigStatus
	kernel KernelStatus

	unsettled bool // a sysctl waits for a route
}

func newLoop(d *Director) *loop {
	v := d.view.Load()
	l := &loop{
		Director: d,
		verdicts: Verdicts{},
		want:     newWanted(0),
		adopted:  map[table.Pair]table.Real{},
		leaving:  map[table.Pair]time.Time{},
		expect:   table.State{},
		config:   v.config,
		kernel:   v.kernel,
		peers:    newPeers(),
		drains:   drains{watches: map[table.Pair]*drainWatch{}},
		notices:  newNotices(),
		pools:    newPools(),
		story:    story{drifted: map[table.Pair]time.Time{}},
	}
	// What is published is never changed, the first view included.
	l.config.Reloads, l.kernel.Drifts = maps.Clone(v.config.Reloads), maps.Clone(v.kernel.Drifts)
	l.use(v.cfg)
	return l
}

// use makes cfg the running file, in memory only.
func (l *loop) use(cfg *config.Config) {
	l.cfg = cfg
	l.pairs = map[table.Pair]checker.ID{}
	l.virtuals = map[table.ServiceKey]config.Virtual{}
	for _, v := range cfg.Virtuals {
		l.virtuals[v.Service.ServiceKey] = v
		for _, r := range v.Reals {
			pair := table.Pair{Service: v.Service.ServiceKey, Real: r.Addr}
			l.pairs[pair] = watchID(pair)
		}
	}
	maps.DeleteFunc(l.verdicts, func(p table.Pair, _ checker.State) bool { return l.pairs[p] == "" })
	l.peers.use(cfg)
	l.named = namedIn(cfg)
}

// start adopts what the kernel holds and lets the checks begin.
func (l *loop) start(ctx context.Context) error {
	have, err := l.opts.Kernel.Read(ctx)
	if err != nil {
		return fmt.Errorf("read the kernel's table: %w", err)
	}
	l.record, err = readRecord(l.cfg.Director.StateDir)
	if err != nil {
		l.opts.Log.Warn("record of our virtual services unreadable, only the file's are ours", "err", err)
	}
	l.tellStart()
	l.startBook(ctx)
	l.adopt(have, nil)
	l.begin()
	return nil
}

// begin hands the running file to everything that works by it.
func (l *loop) begin() {
	l.unsettled = !applySysctls(l.opts.SysctlRoot, l.cfg, l.opts.Log)
	l.opts.Checks.Set(watches(l.cfg))
	if l.opts.Addresses != nil {
		l.opts.Addresses.Set(l.cfg)
	}
	l.maintenance.set(l.cfg.Director.MaintenanceDir)
	l.useNotices()
}

// adopt remembers what the kernel holds of the file's real servers that weren't
// in the file before.
func (l *loop) adopt(have table.Have, before map[table.Pair]checker.ID) {
	n := 0
	for pair := range l.pairs {
		if _, ok := before[pair]; ok {
			continue
		}
		if real, ok := have.State[pair.Service].Reals[pair.Real]; ok {
			l.adopted[pair] = real
			n++
		}
	}
	if n > 0 {
		l.opts.Log.Info("adopted real servers that the kernel holds, their weights stay until the first verdict", "reals", n)
	}
}

// take replaces the running file, or notes why it stays.
func (l *loop) take(r reload) {
	if r.err != nil {
		l.config.Error = r.err.Error()
		l.config.Reloads["refused"]++
		l.tellRefused(r)
		return
	}
	l.tellTaken(r)
	before := l.pairs
	l.use(r.cfg)
	l.setBook(l.book)
	have, err := l.opts.Kernel.Read(context.Background())
	if err != nil {
		l.opts.Log.Warn("kernel unreadable at the reload, nothing is adopted", "err", err)
	}
	l.adopt(have, before)
	for pair := range l.adopted {
		if _, ok := l.pairs[pair]; !ok {
			delete(l.adopted, pair)
		}
	}
	l.begin()
	l.config.File, l.config.Hash, l.config.Loaded, l.config.Error = r.cfg.File, r.cfg.Hash, time.Now(), ""
	l.config.Reloads["ok"]++
	l.tellReload()
}

// round compares the kernel with what is wanted and carries out the difference:
// of the whole table, or only of the virtual services whose wanted state has
// changed since the last round.
//
// It fails only where no later round could succeed.
func (l *loop) round(ctx context.Context, full bool) error {
	states := l.opts.Checks.States()
	news := l.hear(states)
	defer l.tellOutside(news, full)
	l.health(states, len(news) > 0)
	var want Wanted
	var keys []table.ServiceKey
	if full {
		l.settle()
		l.saveBook()
		l.hold(time.Now())
		l.lookAtAll()
		want = l.sight().desired(l.cfg)
		l.want = want
	} else {
		if keys = l.rethink(news); len(keys) == 0 {
			l.publish()
			return nil
		}
		want = Wanted{State: only(l.want.State, keys), Waiting: l.want.Waiting, Out: l.want.Out}
	}
	err := l.converge(ctx, want, keys)
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, table.ErrReloaded):
		return err
	case err != nil:
		l.backoff = min(max(2*l.backoff, backoffMin), backoffMax)
		l.tellUnwanted(err)
		l.kernel.Error = err.Error()
		if full && !errors.Is(err, errUnread) {
			l.begun()
		}
	case full:
		if l.backoff > 0 {
			l.tellWanted()
		}
		l.backoff = 0
		l.kernel.Error = ""
		l.kernel.Synced = time.Now()
		l.kernel.Programmed = true
		l.begun()
	}
	if full && err == nil && l.bookNews {
		return l.round(ctx, true) // a drain is over: out with it
	}
	l.publish()
	return nil
}

// begun tells that the table was programmed once. A step that failed, such as
// one virtual service whose scheduler the kernel lacks, holds that up no more
// than it holds up the other services.
func (l *loop) begun() {
	select {
	case <-l.first:
	default:
		close(l.first)
		l.tellProgrammed()
	}
}

// hear takes in the checker's verdicts, tells the new ones, and forgets what was
// adopted of a real server that has one. It returns who has another than before.
func (l *loop) hear(states map[checker.ID]checker.State) []table.Pair {
	var news []table.Pair
	before := map[table.Pair]checker.State{}
	for pair, id := range l.pairs {
		if s := states[id]; s != l.verdicts[pair] {
			before[pair] = l.verdicts[pair]
			l.verdicts[pair] = s
			delete(l.adopted, pair)
			news = append(news, pair)
		}
	}
	l.tellVerdicts(news, before)
	return append(news, l.hearAgents(l.opts.Checks.Percents())...)
}

// rethink brings what is wanted up to date where a verdict is new, and returns
// the virtual services in which that changed something.
func (l *loop) rethink(news []table.Pair) []table.ServiceKey {
	var keys []table.ServiceKey
	s := l.sight()
	seen := map[table.ServiceKey]bool{}
	for _, pair := range news {
		key := pair.Service
		if seen[key] {
			continue
		}
		seen[key] = true
		old, waited := l.want.State[key], l.want.Waiting[key]
		delete(l.want.Waiting, key)
		l.look(l.virtuals[key], s)
		l.want.add(l.virtuals[key], s)
		if !maps.Equal(old.Reals, l.want.State[key].Reals) || waited != l.want.Waiting[key] {
			keys = append(keys, key)
		}
	}
	return keys
}

// pause is how long the loop may sleep.
func (l *loop) pause() time.Duration {
	switch {
	case l.backoff > 0:
		return l.backoff
	case l.retained > 0:
		return leavingInterval
	case len(l.drains.watches) > 0:
		due := time.Until(l.drains.next)
		if l.drains.next.IsZero() || due > drainInterval {
			return drainInterval
		}
		return max(due, time.Millisecond)
	}
	return l.pools.sooner(resyncInterval)
}

// stop leaves the table as it is, or empties our part of it.
func (l *loop) stop() (err error) {
	defer func() { l.tellStopped(err) }()
	if !l.cfg.Director.CleanStop {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	have, err := l.opts.Kernel.Read(ctx)
	if err != nil {
		return fmt.Errorf("clean stop: read the kernel's table: %v", err)
	}
	steps := table.Plan(have.State, table.State{}, l.record.has)
	done, failed := table.Execute(ctx, have.State, steps, l.opts.Kernel.Do)
	l.opts.Log.Info("clean stop", "steps", len(done), "failed", len(failed))
	for _, s := range done {
		l.took(s, "clean stop", time.Now())
	}
	if len(failed) > 0 {
		return fmt.Errorf("clean stop: %s", failureText(failed))
	}
	l.tellCleanStop()
	return l.record.set(map[table.ServiceKey]bool{})
}
