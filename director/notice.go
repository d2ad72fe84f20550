package director

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/hook"
	"github.com/ipvsd/ipvsd/director/mail"
	"github.com/ipvsd/ipvsd/director/table"
)

// notices are what hooks and mail were told last, so that each change is told
// once, whatever woke the loop. Real servers go by their checks; a virtual
// service is up while a real server of the file has weight.
type notices struct {
	reals    map[table.Pair]checker.State
	virtuals map[table.ServiceKey]bool // served; one that isn't in it hasn't been judged yet
}

func newNotices() notices {
	return notices{reals: map[table.Pair]checker.State{}, virtuals: map[table.ServiceKey]bool{}}
}

// notice is one change, for hooks and mail.
type notice struct {
	virtual config.Virtual
	real    netip.AddrPort // the zero one: it is about the virtual service itself
	up      bool
	phase   config.Phase
	reason  string
	since   time.Time
}

// event is the hook's name in the file, with its program.
func (n notice) event() (event, command string) {
	h := n.virtual.Hooks
	switch {
	case n.real.IsValid() && n.up:
		return "real_up", h.RealUp
	case n.real.IsValid():
		return "real_down", h.RealDown
	case n.up:
		return "virtual_up", h.VirtualUp
	}
	return "virtual_down", h.VirtualDown
}

func upWord(up bool) string {
	if up {
		return checker.Up.String()
	}
	return checker.Down.String()
}

// tellers runs hooks, sends mail and writes the journal until the function that
// it returns is called: after the loop, so that the stop is told, too.
func (d *Director) tellers() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _ = d.hooks.Run(ctx) })
	all.Go(func() { _ = d.post.Run(ctx) })
	if d.opts.Journal != nil {
		all.Go(func() { _ = d.opts.Journal.Run(ctx) })
	}
	return func() { cancel(); all.Wait() }
}

// decides says whether it is up to this director to tell of a virtual service.
func (d *Director) decides(key table.ServiceKey) bool {
	return d.opts.Cluster == nil || d.opts.Cluster.Decides(key)
}

// useNotices takes over whom the running file wants told of what.
func (l *loop) useNotices() {
	for pair := range l.notices.reals {
		if l.pairs[pair] == "" {
			delete(l.notices.reals, pair)
			l.hooks.Put(hook.Call{Object: pair.String()})
		}
	}
	for key := range l.notices.virtuals {
		if _, ok := l.virtuals[key]; !ok {
			delete(l.notices.virtuals, key)
			l.hooks.Put(hook.Call{Object: key.String()})
		}
	}
	e := l.cfg.Email
	settings := mail.Settings{
		Server: e.SMTP, From: e.From, Login: e.Login, Director: l.name(), Version: l.opts.Version, Repeat: e.Repeat,
		TLS:      map[config.StartTLS]mail.TLS{config.AlwaysTLS: mail.Always, config.NeverTLS: mail.Never}[e.StartTLS],
		Password: func() (string, error) { return checker.ReadSecret(e.PasswordFile) },
	}
	if !slices.Contains(e.Only, config.Running) {
		settings.Repeat = 0
	}
	l.post.Set(settings)
	l.post.Readdress(func(key table.ServiceKey, real netip.AddrPort) []string {
		v, ok := l.virtuals[key]
		if !ok || real.IsValid() && l.pairs[table.Pair{Service: key, Real: real}] == "" {
			return nil
		}
		return l.mailTo(v)
	})
}

// mailTo is who is told of a virtual service by mail.
func (l *loop) mailTo(v config.Virtual) []string {
	if len(l.cfg.Email.Only) == 0 {
		return nil
	}
	return v.Email
}

// tellOutside tells hooks and mail what is new: of the real servers named, and
// of their virtual services or of all.
func (l *loop) tellOutside(news []table.Pair, all bool) {
	var list []notice
	seen := map[table.ServiceKey]bool{}
	for _, pair := range news {
		seen[pair.Service] = true
		if n, ok := l.realNotice(pair); ok {
			list = append(list, n)
		}
	}
	for _, v := range l.cfg.Virtuals {
		if !all && !seen[v.Service.ServiceKey] {
			continue
		}
		if n, ok := l.virtualNotice(v); ok {
			list = append(list, n)
		}
	}
	sums := map[table.ServiceKey]summary{}
	var changes []mail.Change
	for _, n := range list {
		key := n.virtual.Service.ServiceKey
		if _, ok := sums[key]; !ok {
			sums[key] = l.summary(n.virtual)
		}
		if !n.real.IsValid() {
			l.tellVirtual(n, sums[key])
		}
		l.hooks.Put(l.hookCall(n, sums[key]))
		changes = append(changes, l.mailChange(n, sums[key]))
	}
	if len(changes) > 0 {
		l.post.Put(changes...)
	}
}

// phase is what the director is doing as far as something is concerned that has
// its first verdict, or another one.
func (l *loop) phase(known bool) config.Phase {
	switch {
	case known:
		return config.Running
	case l.config.Reloads["ok"] > 0:
		return config.Reloading
	}
	return config.Starting
}

// realNotice says whether a real server has another verdict than was told. That
// it is up is no news at first.
func (l *loop) realNotice(pair table.Pair) (notice, bool) {
	now := l.verdicts[pair]
	before, known := l.notices.reals[pair]
	if now == checker.Unknown || now == before {
		return notice{}, false
	}
	l.notices.reals[pair] = now
	status, _ := l.opts.Checks.Status(l.pairs[pair])
	n := notice{
		virtual: l.virtuals[pair.Service], real: pair.Real, up: now == checker.Up, phase: l.phase(known),
		reason: status.Last.Reason, since: status.Since,
	}
	return n, known || !n.up
}

// virtualNotice does the same for a virtual service.
func (l *loop) virtualNotice(v config.Virtual) (notice, bool) {
	key := v.Service.ServiceKey
	entry, ok := l.want.State[key]
	if !ok || l.want.Waiting[key] {
		return notice{}, false
	}
	up := slices.ContainsFunc(v.Reals, func(r config.Real) bool { return entry.Reals[r.Addr].Weight > 0 })
	before, known := l.notices.virtuals[key]
	if known && up == before {
		return notice{}, false
	}
	l.notices.virtuals[key] = up
	n := notice{virtual: v, up: up, phase: l.phase(known), reason: "a real server serves", since: time.Now()}
	if !up {
		n.reason = l.outage(v)
	}
	return n, known || !up
}

// outage is why no real server serves.
func (l *loop) outage(v config.Virtual) string {
	held := 0
	for _, r := range v.Reals {
		pair := table.Pair{Service: v.Service.ServiceKey, Real: r.Addr}
		if l.verdicts[pair] == checker.Up && l.holds[pair] != 0 {
			held++
		}
	}
	switch d := l.sight().decide(v); {
	case len(v.Reals) == 0:
		return "it has no real server"
	case held > 0:
		return fmt.Sprintf("no real server serves; %d that are up are held back by a person", held)
	case d.Fallback:
		return d.Why
	}
	return "no real server is up"
}

// summary is how a virtual service stands now.
type summary struct {
	up, all int
	serving string // a sentence
	sorry   string // the fallback, where it serves
}

func (l *loop) summary(v config.Virtual) summary {
	const named = 5
	s := summary{all: len(v.Reals)}
	entry := l.want.State[v.Service.ServiceKey]
	var names []string
	serving := 0
	for _, r := range v.Reals {
		if l.verdicts[table.Pair{Service: v.Service.ServiceKey, Real: r.Addr}] == checker.Up {
			s.up++
		}
		if entry.Reals[r.Addr].Weight == 0 {
			continue
		}
		if serving++; serving <= named {
			names = append(names, r.Addr.String())
		}
	}
	if f := v.Fallback; f != nil && entry.Reals[f.Addr].Weight > 0 && serving == 0 {
		s.sorry = f.Addr.String()
	}
	s.serving = fmt.Sprintf("%d of %d real servers are up; ", s.up, s.all)
	switch {
	case s.sorry != "":
		s.serving += "the fallback " + s.sorry + " serves"
	case serving == 0:
		s.serving += "nobody serves"
	case serving > named:
		s.serving += fmt.Sprintf("%s and %d more serve", strings.Join(names, ", "), serving-named)
	case serving == 1:
		s.serving += names[0] + " serves"
	default:
		s.serving += strings.Join(names, ", ") + " serve"
	}
	if open := l.want.Notes[v.Service.ServiceKey].Open; open != "" {
		s.serving += "; " + open
	}
	return s
}

// hookCall is a change for the hooks; docs/notices.md lists its environment.
func (l *loop) hookCall(n notice, s summary) hook.Call {
	event, command := n.event()
	key := n.virtual.Service.ServiceKey
	call := hook.Call{
		Event: event, Object: key.String(), Before: upWord(!n.up), State: upWord(n.up),
		Program: program(command, l.cfg.Hooks.Pace),
	}
	address, protocol, active := key.Addr.String(), key.Protocol.String(), "no"
	if key.Protocol == 0 {
		address, protocol = strconv.FormatUint(uint64(key.FWMark), 10), "fwmark"
	}
	if l.decides(key) {
		active = "yes"
	}
	real := ""
	if n.real.IsValid() {
		real = n.real.String()
		call.Object = table.Pair{Service: key, Real: n.real}.String()
	}
	call.Env = []string{
		"IPVSD_STATE=" + call.State, "IPVSD_PHASE=" + string(n.phase), "IPVSD_REASON=" + n.reason,
		"IPVSD_VIRTUAL=" + n.virtual.Name, "IPVSD_VIRTUAL_ADDRESS=" + address, "IPVSD_PROTOCOL=" + protocol,
		"IPVSD_REAL=" + real, "IPVSD_UP=" + strconv.Itoa(s.up), "IPVSD_ALL=" + strconv.Itoa(s.all),
		"IPVSD_FALLBACK=" + s.sorry, "IPVSD_COMMENT=" + n.virtual.Comment,
		"IPVSD_NAME=" + l.name(), "IPVSD_ACTIVE=" + active,
	}
	return call
}

func (l *loop) mailChange(n notice, s summary) mail.Change {
	c := mail.Change{
		To: l.mailTo(n.virtual), Service: n.virtual.Service.ServiceKey, Name: n.virtual.Name, Comment: n.virtual.Comment,
		Real: n.real, State: mail.Down, Reason: n.reason, Since: n.since, Serving: s.serving,
		Silent: !slices.Contains(l.cfg.Email.Only, n.phase),
	}
	if n.up {
		c.State = mail.Up
	}
	return c
}

// tellReload runs the hook for a file that was taken over.
func (l *loop) tellReload() {
	l.hooks.Put(hook.Call{
		Event: "reload", Object: "file", State: l.cfg.Hash,
		Program: program(l.cfg.Hooks.Reload, l.cfg.Hooks.Pace),
		Env:     []string{"IPVSD_FILE=" + l.cfg.File, "IPVSD_HASH=" + l.cfg.Hash, "IPVSD_NAME=" + l.name()},
	})
}

// tellCleanStop tells that nobody serves any more.
func (l *loop) tellCleanStop() {
	for _, v := range l.cfg.Virtuals {
		l.post.Put(mail.Change{
			To: l.mailTo(v), Service: v.Service.ServiceKey, Name: v.Name, Comment: v.Comment, State: mail.Removed,
			Reason: "ipvsd was stopped, and [director] clean_stop = true", Since: time.Now(),
			Silent: !slices.Contains(l.cfg.Email.Only, config.Stopping),
		})
	}
}
