package director

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/intent"
	"github.com/ipvsd/ipvsd/director/table"
)

// OperatorWish is what `ipvsd drain`, `disable` and `enable` ask for.
type OperatorWish struct {
	Wish     intent.Wish   `json:"wish"`
	Real     string        `json:"real"`               // an address, address:port
	Virtual  string        `json:"virtual,omitempty"`  // "": all
	Deadline time.Duration `json:"deadline,omitempty"` // of a drain, from now; 0: none
	By       string        `json:"by,omitempty"`
	Reason   string        `json:"reason,omitempty"`
}

// OperatorAnswer is what was done and what will happen next.
type OperatorAnswer struct {
	Error     string         `json:"error,omitempty"` // nothing was done, and why
	Reals     []OperatedReal `json:"reals"`
	Steps     []string       `json:"steps"` // of the kernel, as ipvsadm's arguments
	Directors []ToldDirector `json:"directors"`
	Notes     []string       `json:"notes"`
	Warnings  []string       `json:"warnings"`
}

// OperatedReal is a real server that a wish is about.
type OperatedReal struct {
	Virtual  string     `json:"virtual"`
	Real     string     `json:"real"`
	State    string     `json:"state"` // as in RealStatus, now
	Active   uint32     `json:"active_connections"`
	Inactive uint32     `json:"inactive_connections"`
	Deadline *time.Time `json:"deadline,omitempty"`
	Next     string     `json:"next"` // what happens next, for people
}

// ToldDirector is another director and whether it knows of the wish.
type ToldDirector struct {
	Name  string `json:"name"`
	Knows bool   `json:"knows"`
	Error string `json:"error,omitempty"`
}

// peerLimit is how long an operator waits for the other directors.
const peerLimit = 2 * time.Second

// Operate carries out a wish: it is stored, the kernel is changed, the other
// directors are told, in this order. It says what came of each.
func (d *Director) Operate(ctx context.Context, w OperatorWish) OperatorAnswer {
	var a OperatorAnswer
	var pairs []table.Pair
	err := d.do(ctx, func(l *loop) func() {
		var problem error
		var before serving
		if pairs, before, problem = l.operate(w); problem != nil {
			a.Error = problem.Error()
			return nil
		}
		return func() { l.account(&a, w, before) }
	})
	if err != nil {
		a.Error = fmt.Sprintf("the director's loop doesn't answer: %v", err)
	}
	if a.Error != "" {
		return a
	}
	d.tellPeers(ctx, &a)
	s := d.Status(ctx)
	for _, p := range pairs {
		a.Reals = append(a.Reals, operated(&s, p))
	}
	return a
}

// do has a command done by the loop, and what comes after it, and waits for that.
func (d *Director) do(ctx context.Context, c command) error {
	done := make(chan struct{})
	whole := func(l *loop) func() {
		after := c(l)
		return func() {
			if after != nil {
				after()
			}
			close(done)
		}
	}
	select {
	case d.commands <- whole:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serving counts, by virtual service, the real servers that get new connections.
type serving map[table.ServiceKey]int

func (l *loop) serving(keys []table.ServiceKey) serving {
	out := serving{}
	for _, key := range keys {
		for addr, r := range l.want.State[key].Reals {
			if l.pairs[table.Pair{Service: key, Real: addr}] != "" && r.Weight > 0 {
				out[key]++
			}
		}
	}
	return out
}

// operate takes a wish into the book.
func (l *loop) operate(w OperatorWish) ([]table.Pair, serving, error) {
	key, pairs, err := findReals(l.cfg, w.Real, w.Virtual)
	if err != nil {
		return nil, nil, err
	}
	var keys []table.ServiceKey
	for _, p := range pairs {
		keys = append(keys, p.Service)
	}
	before := l.serving(keys)
	out := func(p table.Pair) bool { return l.causes[p].mark.Wish != "" && l.causes[p].hold == Out }
	if w.Wish == intent.Drain && !slices.ContainsFunc(pairs, func(p table.Pair) bool { return !out(p) }) {
		return pairs, before, nil // draining would bring it back in
	}
	now := time.Now()
	var deadline time.Time
	if w.Deadline > 0 {
		deadline = now.Add(w.Deadline)
	}
	m := intent.NewMark(key, l.book.Next(now, l.name()), w.Wish, deadline, w.By, w.Reason)
	l.opts.Log.Info("operator's wish", "wish", string(m.Wish), "real", key.String(), "cause", m.Cause(), "deadline", w.Deadline.String())
	l.learn([]intent.Record{{Mark: &m}})
	return pairs, before, nil
}

// name is this director's, in marks.
func (l *loop) name() string {
	if l.cfg.Cluster != nil {
		return l.cfg.Cluster.Name
	}
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// account says what the round after a wish did, and what a person should know.
func (l *loop) account(a *OperatorAnswer, w OperatorWish, before serving) {
	for _, s := range l.steps {
		a.Steps = append(a.Steps, s.String())
	}
	if l.kernel.Error != "" {
		a.Warnings = append(a.Warnings, "the kernel isn't as wanted: "+l.kernel.Error)
	}
	if l.saveError != "" {
		a.Warnings = append(a.Warnings, "not stored, it would be lost at a restart: "+l.saveError)
	}
	var keys []table.ServiceKey
	for key := range before {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, table.ServiceKey.Compare)
	now := l.serving(keys)
	for _, key := range keys {
		v := l.virtuals[key]
		switch {
		case now[key] > 0 || w.Wish == intent.Enable:
			continue
		case v.Fallback != nil:
			a.Warnings = append(a.Warnings, fmt.Sprintf("%s has no other real server that is up: the fallback %s has its new clients", v.Name, v.Fallback.Addr))
		default:
			a.Warnings = append(a.Warnings, fmt.Sprintf("%s has no other real server that is up, and no fallback: new clients are refused", v.Name))
		}
	}
	if w.Wish == intent.Drain {
		l.aboutDrains(a, keys)
	}
}

// aboutDrains says what becomes of clients that a scheduler or persistence ties
// to the real server.
func (l *loop) aboutDrains(a *OperatorAnswer, keys []table.ServiceKey) {
	const template = "net/ipv4/vs/expire_quiescent_template"
	for _, key := range keys {
		v := l.virtuals[key]
		if v.Service.Timeout > 0 {
			if on, err := readSysctl(filepath.Join(l.opts.SysctlRoot, template)); err != nil || on != "1" {
				a.Warnings = append(a.Warnings, v.Name+" is persistent and net.ipv4.vs.expire_quiescent_template isn't 1: its clients keep coming back to this real server")
			} else {
				a.Notes = append(a.Notes, v.Name+" is persistent: clients of this real server go to another one with their next connection (net.ipv4.vs.expire_quiescent_template = 1)")
			}
		}
		// ip_vs_sh.c and ip_vs_dh.c leave a place to a real server of weight 0.
		if s := v.Service; s.Scheduler == "dh" || s.Scheduler == "sh" && s.Flags&table.Sched1 == 0 {
			a.Warnings = append(a.Warnings, fmt.Sprintf("%s has the scheduler %s, which refuses the clients of a real server at weight 0 until it is out", v.Name, s.Scheduler))
		}
	}
}

// operated is one real server after a wish.
func operated(s *Status, p table.Pair) OperatedReal {
	out := OperatedReal{Real: p.Real.String()}
	for i := range s.Virtuals {
		v := &s.Virtuals[i]
		if v.Service != p.Service.String() {
			continue
		}
		for _, r := range v.Reals {
			if r.Address != out.Real {
				continue
			}
			out.Virtual, out.State, out.Active, out.Inactive = v.Name, r.State, r.Active, r.Inactive
			if r.Hold != nil {
				out.Deadline = r.Hold.Deadline
			}
			out.Next = next(&r)
		}
	}
	return out
}

func next(r *RealStatus) string {
	switch r.State {
	case StateDraining:
		text := fmt.Sprintf("weight 0, %s left; out when they have ended", connectionsWord(r.Active))
		if r.Active == 0 {
			text = "weight 0, no connections left; out as soon as nothing moves"
		}
		if r.Hold.Deadline != nil {
			text += ", at " + clockText(*r.Hold.Deadline) + " at the latest"
		}
		return text
	case StateDrained, StateDisabled:
		return "out until it is enabled; " + r.Reason
	case StateMaintenance:
		return "still out here: remove the file " + r.Hold.File
	case StateUp:
		return fmt.Sprintf("in, with weight %d", r.Weight)
	case StateUnchecked:
		return fmt.Sprintf("in, with weight %d; it isn't checked", r.Weight)
	case StateUnknown:
		return "in as soon as its check succeeds; it has no verdict yet"
	}
	return fmt.Sprintf("in as soon as its check succeeds; it is %s: %s", checker.Down, r.Reason)
}

// tellPeers brings the book to the other directors now.
func (d *Director) tellPeers(ctx context.Context, a *OperatorAnswer) {
	if d.opts.Cluster == nil {
		return
	}
	limited, cancel := context.WithTimeout(ctx, peerLimit)
	defer cancel()
	peers := d.opts.Cluster.Directors()
	a.Directors = make([]ToldDirector, len(peers))
	done := make(chan int, len(peers))
	for i, p := range peers {
		go func() {
			told := ToldDirector{Name: p.Name, Error: "it isn't there"}
			if p.There {
				told.Error = ""
				if err := d.syncBook(limited, p.Name); err != nil {
					told.Error = err.Error()
				}
			}
			told.Knows = told.Error == ""
			a.Directors[i] = told
			done <- i
		}()
	}
	for range peers {
		<-done
	}
}

// findReals finds the real servers of the file that a person means, and the key
// of a mark for them. An address without a port means the machine: all its real
// servers, those that come later included.
func findReals(cfg *config.Config, real, virtual string) (intent.Key, []table.Pair, error) {
	var key intent.Key
	if virtual != "" {
		v, err := findVirtual(cfg, virtual)
		if err != nil {
			return key, nil, err
		}
		key.Service = v.Service.ServiceKey
	}
	var ok bool
	if key.Real, key.Machine, ok = parseReal(real); !ok {
		return key, nil, fmt.Errorf("%q is neither an address nor address:port; the real servers are %s", real, realList(cfg, key.Service))
	}
	var pairs []table.Pair
	for _, v := range cfg.Virtuals {
		for _, r := range v.Reals {
			if p := (table.Pair{Service: v.Service.ServiceKey, Real: r.Addr}); key.Covers(p) {
				pairs = append(pairs, p)
			}
		}
		if f := v.Fallback; f != nil && key.Covers(table.Pair{Service: v.Service.ServiceKey, Real: f.Addr}) && len(pairs) == 0 {
			return key, nil, fmt.Errorf("%s is the fallback of %s; only a real server can be taken out", real, v.Name)
		}
	}
	if len(pairs) == 0 {
		return key, nil, fmt.Errorf("no real server %q; there are %s", real, realList(cfg, key.Service))
	}
	return key, pairs, nil
}
