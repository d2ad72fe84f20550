package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/config"
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

	config ConfigStatus
	kernel KernelStatus
}

func newLoop(d *Director) *loop {
	v := d.view.Load()
	l := &loop{
		Director: d,
		verdicts: Verdicts{},
		want:     Wanted{State: table.State{}, Waiting: map[table.ServiceKey]bool{}},
		adopted:  map[table.Pair]table.Real{},
		leaving:  map[table.Pair]time.Time{},
		expect:   table.State{},
		config:   v.config,
		kernel:   v.kernel,
		peers:    newPeers(),
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
	l.adopt(have, nil)
	l.begin()
	return nil
}

// begin hands the running file to everything that works by it.
func (l *loop) begin() {
	applySysctls(l.opts.SysctlRoot, l.cfg, l.opts.Log)
	l.opts.Checks.Set(watches(l.cfg))
	if l.opts.Addresses != nil {
		l.opts.Addresses.Set(l.cfg)
	}
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
		return
	}
	for _, line := range config.Diff(l.cfg, r.cfg) {
		l.opts.Log.Info("reload", "change", line)
	}
	before := l.pairs
	l.use(r.cfg)
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
}

// round compares the kernel with what is wanted and carries out the difference:
// of the whole table, or only of the virtual services whose wanted state has
// changed since the last round.
//
// It fails only where no later round could succeed.
func (l *loop) round(ctx context.Context, full bool) error {
	states := l.opts.Checks.States()
	news := l.hear(states)
	l.health(states, len(news) > 0)
	var want Wanted
	var keys []table.ServiceKey
	if full {
		want = Desired(l.cfg, l.verdicts, l.adopted)
		l.want = want
	} else {
		if keys = l.rethink(news); len(keys) == 0 {
			l.publish()
			return nil
		}
		want = Wanted{State: only(l.want.State, keys), Waiting: l.want.Waiting}
	}
	err := l.converge(ctx, want, keys)
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, table.ErrReloaded):
		return err
	case err != nil:
		l.backoff = min(max(2*l.backoff, backoffMin), backoffMax)
		l.kernel.Error = err.Error()
		l.opts.Log.Error("kernel table is not as wanted", "err", err, "next", l.backoff)
		if full && !errors.Is(err, errUnread) {
			l.begun()
		}
	case full:
		if l.backoff > 0 {
			l.opts.Log.Info("kernel table is as wanted again")
		}
		l.backoff = 0
		l.kernel.Error = ""
		l.kernel.Synced = time.Now()
		l.kernel.Programmed = true
		l.begun()
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
	}
}

// errUnread is that the kernel's table could not be read, so nothing was done.
var errUnread = errors.New("read the kernel's table")

// converge brings the kernel to want, of all virtual services or of keys only.
func (l *loop) converge(ctx context.Context, wanted Wanted, keys []table.ServiceKey) error {
	have, err := l.read(ctx, wanted.State, keys)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnread, err)
	}
	expect := l.expect
	if keys != nil {
		expect = only(expect, keys)
	}
	repairs := l.drift(expect, have.State)

	owned := maps.Clone(l.record.owned)
	for key := range wanted.State {
		owned[key] = true
	}
	ours := func(k table.ServiceKey) bool { return owned[k] }
	want, retained := Retain(wanted, have, ours, l.mayLeave)
	if keys == nil {
		maps.DeleteFunc(l.leaving, func(p table.Pair, _ time.Time) bool { return !retained[p] })
		l.kernel.Foreign = 0
		for key := range have.State {
			if !owned[key] {
				l.kernel.Foreign++
			}
		}
	}
	l.retained = len(retained)
	l.kernel.Leaving = len(l.leaving)
	if err := l.record.set(owned); err != nil {
		// Traffic comes first; only a removal while we are down could miss one.
		l.opts.Log.Warn("record of our virtual services not written", "err", err)
	}

	steps := table.Plan(have.State, want, ours)
	done, failed := table.Execute(ctx, have.State, steps, l.opts.Kernel.Do)
	l.tell(done, repairs)
	for key := range expect {
		delete(l.expect, key)
	}
	maps.Copy(l.expect, want)
	for _, f := range failed {
		delete(l.expect, f.Step.Service.ServiceKey)
	}
	for _, f := range failed {
		if errors.Is(f.Err, table.ErrReloaded) {
			return f.Err
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%s of %d failed: %s", stepsWord(len(failed)), len(steps), failureText(failed))
	}
	if keys == nil {
		// What left the file and is gone from the kernel is no longer ours.
		rest := make(map[table.ServiceKey]bool, len(want))
		for key := range want {
			rest[key] = true
		}
		if err := l.record.set(rest); err != nil {
			l.opts.Log.Warn("record of our virtual services not written", "err", err)
		}
	}
	return nil
}

// read reads what a round compares: the virtual services of keys, or the whole
// table, where counters are only asked of services with a real server that
// nobody wants, because only those may have connections to finish.
func (l *loop) read(ctx context.Context, want table.State, keys []table.ServiceKey) (table.Have, error) {
	if keys != nil {
		return l.opts.Kernel.Read(ctx, keys...)
	}
	state, err := l.opts.Kernel.ReadState(ctx)
	if err != nil {
		return table.Have{}, err
	}
	for key, held := range state {
		if _, ok := want[key]; !ok && !l.record.has(key) {
			continue // somebody else's
		}
		for addr := range held.Reals {
			if _, ok := want[key].Reals[addr]; !ok {
				keys = append(keys, key)
				break
			}
		}
	}
	if keys == nil {
		return table.Have{State: state}, nil
	}
	have, err := l.opts.Kernel.Read(ctx, keys...)
	have.State = state
	return have, err
}

// hear takes in the checker's verdicts, tells the new ones, and forgets what was
// adopted of a real server that has one. It returns who has another than before.
func (l *loop) hear(states map[checker.ID]checker.State) []table.Pair {
	var news []table.Pair
	for pair, id := range l.pairs {
		if s := states[id]; s != l.verdicts[pair] {
			l.verdicts[pair] = s
			delete(l.adopted, pair)
			news = append(news, pair)
		}
	}
	l.tellVerdicts(news)
	return news
}

// rethink brings what is wanted up to date where a verdict is new, and returns
// the virtual services in which that changed something.
func (l *loop) rethink(news []table.Pair) []table.ServiceKey {
	var keys []table.ServiceKey
	seen := map[table.ServiceKey]bool{}
	for _, pair := range news {
		key := pair.Service
		if seen[key] {
			continue
		}
		seen[key] = true
		old, waited := l.want.State[key], l.want.Waiting[key]
		delete(l.want.Waiting, key)
		l.want.add(l.virtuals[key], l.verdicts, l.adopted)
		if !maps.Equal(old.Reals, l.want.State[key].Reals) || waited != l.want.Waiting[key] {
			keys = append(keys, key)
		}
	}
	return keys
}

// mayLeave says whether a real server that nobody wants any more may finish its
// connections. One that is still in the file was taken out by its check, with
// quiescent = false: nobody answers there.
func (l *loop) mayLeave(p table.Pair) bool {
	if _, ok := l.pairs[p]; ok || l.cfg.Director.RemovalGrace == 0 {
		return false
	}
	deadline, ok := l.leaving[p]
	if !ok {
		deadline = time.Now().Add(l.cfg.Director.RemovalGrace)
		l.leaving[p] = deadline
	}
	return time.Now().Before(deadline)
}

// drift tells and counts what the kernel holds otherwise than we left it.
func (l *loop) drift(expect, have table.State) map[table.Pair]string {
	repairs := map[table.Pair]string{}
	for _, d := range table.Drift(expect, have) {
		l.kernel.Drifts[string(d.Kind)]++
		repairs[d.Pair] = "repair: " + string(d.Kind)
		l.opts.Log.Warn("kernel table was changed by somebody else", "kind", string(d.Kind), "service", d.Pair.Service.String(),
			"real", realText(d.Pair), "before", d.Before, "after", d.After)
	}
	return repairs
}

// pause is how long the loop may sleep.
func (l *loop) pause() time.Duration {
	switch {
	case l.backoff > 0:
		return l.backoff
	case l.retained > 0:
		return leavingInterval
	}
	return resyncInterval
}

// stop leaves the table as it is, or empties our part of it.
func (l *loop) stop() error {
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
	if len(failed) > 0 {
		return fmt.Errorf("clean stop: %s", failureText(failed))
	}
	return l.record.set(map[table.ServiceKey]bool{})
}
