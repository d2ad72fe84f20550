// Package director keeps the kernel's table as the file and the checks want it.
//
//	file ─▶ Config ─┐
//	checks ─▶ Verdicts ─┼─▶ Desired ─▶ want ─┬─▶ Plan ─▶ []Step ─▶ kernel
//	operators ─▶ Holds ─┘  kernel ─▶ Read ─▶ have ─┘
//
// One goroutine, that of Director.Run, owns everything that changes: the
// running file, what was adopted, what is leaving, what operators want and the
// record of what is ours. Others hand it values through channels and read immutable snapshots. It
// is level-triggered: an event only wakes it, and what it does follows from
// comparing the kernel with what is wanted.
package director

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/hook"
	"github.com/ipvsd/ipvsd/director/intent"
	"github.com/ipvsd/ipvsd/director/journal"
	"github.com/ipvsd/ipvsd/director/mail"
	"github.com/ipvsd/ipvsd/director/table"
)

// How often the loop looks without being woken.
const (
	resyncInterval  = 2 * time.Second        // compares the whole table, so that drift is repaired within 5 s
	leavingInterval = 500 * time.Millisecond // while a real server finishes its connections
	backoffMin      = time.Second
	backoffMax      = 30 * time.Second
)

// Checks is the part of the checker that the director uses.
type Checks interface {
	Set([]checker.Watch)
	States() map[checker.ID]checker.State // the same map until a verdict changes
	Percents() map[checker.ID]uint16      // of the weight, where an agent doesn't want all of it
	Status(checker.ID) (checker.Status, bool)
	Snapshot() map[checker.ID]checker.Status
	Changed() <-chan struct{}
	Ping(context.Context) error
}

// Addresses keeps the addresses that clients reach on the interfaces.
type Addresses interface {
	Set(*config.Config)
	Status() []AddressStatus
	Ping(context.Context) error
}

// Cluster is the part of a cluster that the director's loop speaks to.
type Cluster interface {
	Active() bool
	Look() ClusterLook
	Health(faults []core.Fault)
	Tell(Census)     // to the other directors
	Others() []Other // the living ones, with what they tell

	// Decides says whether nobody but this director can hold the address of a
	// virtual service now: it holds it, or no director's election is about it.
	Decides(table.ServiceKey) bool
	Peers
}

// Peers is how directors tell one another what operators want.
type Peers interface {
	Directors() []Peer // the other ones
	Ask(ctx context.Context, director string, question []byte) ([]byte, error)
	// Serve has questions answered that begin with askIntents. The function may
	// be called as soon as the cluster runs.
	Serve(func(ctx context.Context, question []byte) []byte)
}

// Peer is another director of the cluster.
type Peer struct {
	Name  string // or its address, where it was never seen
	There bool
}

// ClusterLook is what a Status tells of the cluster, as of one moment.
type ClusterLook struct {
	Active    bool
	Addresses []AddressStatus
	Cluster   *ClusterStatus
}

// Options are what a Director works with.
type Options struct {
	Kernel     Kernel
	Checks     Checks
	Addresses  Addresses            // nil: none are kept
	Cluster    Cluster              // nil: a single director
	Journal    *journal.Journal     // Director.Run runs it; nil: none is kept
	Doctor     func() *DoctorStatus // the last of the daemon's own rounds; nil: it makes none
	Log        *slog.Logger
	Version    string
	SysctlRoot string // "": /proc/sys
}

// Director is the pipeline. New builds it, Run turns it.
type Director struct {
	opts    Options
	started time.Time
	reloads chan reload
	pings   chan chan struct{}
	first   chan struct{} // closed after the first programming, failed steps or not
	view    atomic.Pointer[view]
	trial   atomic.Pointer[TrialStatus]

	commands    chan command
	maintenance *maintenance
	books       atomic.Pointer[intent.Book] // what operators want, as the loop last had it
	bookChanged chan struct{}

	hooks *hook.Queue
	post  *mail.Post
}

// command is done by the loop, before a look at the whole table; what it
// returns, after that.
type command func(*loop) (after func())

// reload is a new file, or the reason why there is none.
type reload struct {
	cfg *config.Config
	err error
	why string // the file was read again
}

// New returns a director that will start with cfg.
func New(cfg *config.Config, opts Options) *Director {
	if opts.SysctlRoot == "" {
		opts.SysctlRoot = "/proc/sys"
	}
	d := &Director{
		opts:    opts,
		started: time.Now(),
		reloads: make(chan reload),
		pings:   make(chan chan struct{}),
		first:   make(chan struct{}),

		commands:    make(chan command),
		maintenance: newMaintenance(cfg.Director.MaintenanceDir, opts.Log),
		bookChanged: make(chan struct{}, 1),
		hooks:       hook.New(opts.Log),
	}
	d.post = mail.New(opts.Log, d.decides)
	if opts.Cluster != nil {
		opts.Cluster.Serve(d.answerPeer)
	}
	d.view.Store(newView(cfg, time.Now()))
	return d
}

// Programmed is closed once the table was programmed for the first time, as far
// as the kernel took it: Status tells what it refused.
func (d *Director) Programmed() <-chan struct{} { return d.first }

// Reload hands a new file to the loop, which changes exactly what differs. why is
// what had the file read again.
func (d *Director) Reload(ctx context.Context, cfg *config.Config, why string) {
	d.hand(ctx, reload{cfg: cfg, why: why})
}

// OnTrial says until when the running file has to be confirmed; nil: it is.
func (d *Director) OnTrial(t *TrialStatus) { d.trial.Store(t) }

// Refuse records that a new file was refused; the running one stays.
func (d *Director) Refuse(ctx context.Context, err error, why string) {
	d.hand(ctx, reload{err: err, why: why})
}

func (d *Director) hand(ctx context.Context, r reload) {
	select {
	case d.reloads <- r:
	case <-ctx.Done():
	}
}

// Hung names the loops that don't turn within ctx.
func (d *Director) Hung(ctx context.Context) []string {
	type named struct {
		name string
		ping func(context.Context) error
	}
	loops := []named{{"director", d.ping}, {"checker", d.opts.Checks.Ping}}
	if d.opts.Addresses != nil {
		loops = append(loops, named{"addresses", d.opts.Addresses.Ping})
	}
	type answer struct {
		index int
		err   error
	}
	answers := make(chan answer, len(loops))
	for i, l := range loops {
		go func() { answers <- answer{i, l.ping(ctx)} }()
	}
	var hung []string
	for range loops {
		if a := <-answers; a.err != nil {
			hung = append(hung, loops[a.index].name)
		}
	}
	return hung
}

func (d *Director) ping(ctx context.Context) error {
	pong := make(chan struct{})
	select {
	case d.pings <- pong:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run programs the kernel and keeps it programmed until ctx ends, and returns
// nil then. The table stays as it is at the end unless the file says
// clean_stop. It fails where the first read of the kernel
// fails, and where only a new process can go on.
func (d *Director) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go d.maintenance.run(ctx) // may hang in a directory for ever, hence not waited for
	defer d.tellers()()
	var beside sync.WaitGroup
	defer beside.Wait()
	defer cancel() // before that
	if d.opts.Cluster != nil {
		beside.Go(func() { d.replicate(ctx) })
	}
	if d.opts.Journal != nil {
		beside.Go(func() { d.observe(ctx) })
	}
	l := newLoop(d)
	if err := l.start(ctx); err != nil {
		return err
	}
	next := time.Now() // of the whole table
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		full := false
		var after func()
		select {
		case <-ctx.Done():
			return l.stop()
		case r := <-d.reloads:
			l.take(r)
			full = r.err == nil
		case c := <-d.commands:
			after, full = c(l), true
		case <-d.maintenance.changed:
			l.tellStrangers()
			full = true
		case <-d.opts.Checks.Changed():
		case <-timer.C:
			full = true
		case <-d.pings:
			continue
		case <-l.peers.compare.C:
			l.compareReals()
			continue
		}
		l.steps = nil
		err := l.round(ctx, full)
		l.chronicle()
		if err != nil {
			return err
		}
		if after != nil {
			after()
		}
		// Verdicts, however many, never put off the look at the whole table.
		if due := time.Now().Add(l.pause()); full || due.Before(next) {
			next = due
		}
		timer.Reset(time.Until(next))
	}
}

// watches lists what the checker has to watch for a file: the real servers, and
// what [[cluster.track]] names.
func watches(cfg *config.Config) []checker.Watch {
	var out []checker.Watch
	for _, v := range cfg.Virtuals {
		for _, r := range v.Reals {
			out = append(out, checker.Watch{
				ID:   watchID(table.Pair{Service: v.Service.ServiceKey, Real: r.Addr}),
				Spec: r.Check,
				Rise: r.Rise,
				Fall: r.Fall,
			})
		}
	}
	return append(out, trackWatches(cfg)...)
}

func watchID(p table.Pair) checker.ID { return checker.ID(p.String()) }

func stepsWord(n int) string {
	if n == 1 {
		return "1 step"
	}
	return fmt.Sprintf("%d steps", n)
}
