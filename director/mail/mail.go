// Package mail tells people by mail which real servers and virtual services
// went down or came back. Who has something to tell leaves it in a Post and
// goes on; what comes within some seconds is one message, and while the mail
// server doesn't take it, newer states take the place of older ones.
//
// The goroutine in Post.Run composes and sends; the rest has a lock and waits
// for nothing. Messages follow RFC 5322, 2047 and 3834; they are sent by
// RFC 5321 with 3207 and 4954.
package mail

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ipvsd/ipvsd/director/table"
)

const (
	gather     = 5 * time.Second // for what belongs together
	oneTry     = 30 * time.Second
	pauseMin   = 10 * time.Second // after a try that failed, doubled each time …
	pauseMax   = 10 * time.Minute
	tryFor     = 24 * time.Hour // … until it is too old
	lastTry    = 3 * time.Second
	maxWaiting = 2000 // changes
)

// Settings are how and by whom mail is sent.
type Settings struct {
	Server   string // host:port
	From     string // as net/mail reads it
	TLS      TLS
	Login    string                 // "": none
	Password func() (string, error) // asked at each message
	Repeat   time.Duration          // of what is still down; 0: never
	Director string                 // its name
	Version  string
}

// TLS says whether it goes encrypted, unless the port is that of SMTPS.
type TLS uint8

// The ways.
const (
	Auto TLS = iota // where the server offers it
	Always
	Never
)

// Change is a real server or a virtual service that has another state.
type Change struct {
	To      []string
	Service table.ServiceKey
	Name    string // of the virtual service
	Comment string
	Real    netip.AddrPort // the zero one: it is about the virtual service itself
	State   State
	Reason  string
	Since   time.Time
	Serving string // who has the traffic now, in a sentence
	Silent  bool   // nothing is sent now; it is only known what is down
}

// State is what became of it.
type State uint8

// The states.
const (
	Up State = iota + 1
	Down
	Removed // the virtual service is taken out of the kernel by a stop
)

// id is what a change is about.
type id struct {
	service table.ServiceKey
	real    netip.AddrPort
}

func (c Change) id() id { return id{c.Service, c.Real} }

// waiting is a change that is still to be sent.
type waiting struct {
	Change
	number uint64 // in the order of coming
	count  int    // changes that it stands for
	again  bool
	since  time.Time // when the first of them came
}

// down is what has to be told again.
type down struct {
	Change
	next time.Time
}

// Post is what waits to be sent. Make it with New.
type Post struct {
	log    *slog.Logger
	decide func(table.ServiceKey) bool
	wake   chan struct{}

	mu       sync.Mutex
	settings Settings
	box      map[id]waiting
	ready    time.Time // when the box may be emptied
	pause    time.Duration
	dropped  int
	number   uint64
	downs    map[id]down

	deliver func(context.Context, Settings, message) error // a test-only seam
}

// New makes an empty post. decide says at each sending whether it is up to this
// director to tell of a virtual service; what isn't is forgotten, because
// another director has seen it, too.
func New(log *slog.Logger, decide func(table.ServiceKey) bool) *Post {
	return &Post{
		log: log, decide: decide, wake: make(chan struct{}, 1),
		box: map[id]waiting{}, downs: map[id]down{}, deliver: deliver,
	}
}

// Set takes other settings; they are for what waits, too.
func (p *Post) Set(s Settings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.settings.Repeat != s.Repeat {
		for id, d := range p.downs {
			d.next = time.Now().Add(s.Repeat)
			p.downs[id] = d
		}
	}
	p.settings = s
	if p.pause > 0 { // they may be right now
		p.pause, p.ready = 0, time.Now()
	}
	p.poke()
}

// Put leaves changes.
func (p *Post) Put(changes ...Change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, c := range changes {
		delete(p.downs, c.id())
		if c.State == Down && len(c.To) > 0 {
			p.downs[c.id()] = down{c, now.Add(p.settings.Repeat)}
		}
		if !c.Silent && len(c.To) > 0 {
			p.add(waiting{Change: c, count: 1, since: now})
		}
	}
	p.poke()
}

// add puts a change into the box, in the place of an older one.
func (p *Post) add(w waiting) {
	old, was := p.box[w.id()]
	switch {
	case was:
		if w.since = old.since; !old.again { // that was no change
			w.count += old.count
		}
	case len(p.box) >= maxWaiting:
		p.dropped++
		return
	case len(p.box) == 0:
		if soon := time.Now().Add(gather); p.ready.Before(soon) {
			p.ready = soon
		}
	}
	p.number++
	w.number = p.number
	p.box[w.id()] = w
}

// Readdress gives what waits and what is down to others, or to nobody where it
// is gone.
func (p *Post) Readdress(to func(table.ServiceKey, netip.AddrPort) []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, w := range p.box {
		if w.To = to(id.service, id.real); len(w.To) == 0 {
			delete(p.box, id)
		} else {
			p.box[id] = w
		}
	}
	for id, d := range p.downs {
		if d.To = to(id.service, id.real); len(d.To) == 0 {
			delete(p.downs, id)
		} else {
			p.downs[id] = d
		}
	}
}

func (p *Post) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run sends what comes until ctx ends, and tries once more then.
func (p *Post) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTry)
			defer cancel()
			p.send(last, time.Now().Add(tryFor))
			return nil
		case <-p.wake:
		case <-timer.C:
		}
		now := time.Now()
		p.repeat(now)
		p.send(ctx, now)
		if next := p.next(); !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
}

// repeat puts into the box what is down for long enough.
func (p *Post) repeat(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.settings.Repeat == 0 {
		return
	}
	due := false
	for _, d := range p.downs {
		due = due || !d.next.After(now)
	}
	for id, d := range p.downs {
		if _, told := p.box[id]; due && !told && !d.next.After(now.Add(gather)) { // those that come soon go along
			p.add(waiting{Change: d.Change, again: true, since: now})
		}
		if due && !d.next.After(now.Add(gather)) {
			d.next = now.Add(p.settings.Repeat)
			p.downs[id] = d
		}
	}
}

// next is when something has to be done by itself; zero: never.
func (p *Post) next() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	var next time.Time
	if len(p.box) > 0 {
		next = p.ready
	}
	if p.settings.Repeat > 0 {
		for _, d := range p.downs {
			if next.IsZero() || d.next.Before(next) {
				next = d.next
			}
		}
	}
	return next
}

// send sends what is in the box, if it is time: a message for each list of
// addresses. What fails for now stays.
func (p *Post) send(ctx context.Context, now time.Time) {
	mine := map[table.ServiceKey]bool{}
	for _, key := range p.due(now) {
		if mine[key] = p.decide(key); !mine[key] {
			p.log.Debug("mail left to the active director", "service", key.String())
		}
	}
	for _, l := range p.letters(mine) {
		if l.dropped > 0 {
			p.log.Error("changes left out of mail, too many wait", "changes", l.dropped)
		}
		try, cancel := context.WithTimeout(ctx, oneTry)
		m := l.compose(time.Now())
		err := p.deliver(try, l.settings, m)
		cancel()
		attrs := []any{"to", strings.Join(m.to, ", "), "subject", m.subject, "changes", len(l.changes)}
		var no refusal
		switch old := now.Sub(l.since) > tryFor; {
		case err == nil:
			p.done(l)
			p.log.Info("mail sent", attrs...)
		case errors.As(err, &no) || old:
			p.done(l)
			p.log.Error("mail not sent and given up", append(attrs, "err", err)...)
		default:
			p.log.Warn("mail not sent", append(attrs, "err", err, "next", p.later())...)
			return // the others would fare alike
		}
	}
}

// later puts everything off after a try that failed.
func (p *Post) later() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pause = min(max(2*p.pause, pauseMin), pauseMax)
	p.ready = time.Now().Add(p.pause)
	return p.pause
}

// due are the virtual services that something is to be told of now.
func (p *Post) due(now time.Time) []table.ServiceKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.box) == 0 || now.Before(p.ready) {
		return nil
	}
	seen := map[table.ServiceKey]bool{}
	for id := range p.box {
		seen[id.service] = true
	}
	return slices.Collect(maps.Keys(seen))
}

// letters sorts what is in the box by who gets it, and drops what isn't ours to
// tell. It stays there until it is done.
func (p *Post) letters(mine map[table.ServiceKey]bool) []letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	lists := map[string]letter{}
	for id, w := range p.box {
		ours, asked := mine[id.service]
		if !asked { // it has just come
			continue
		}
		if !ours {
			delete(p.box, id)
			continue
		}
		list := strings.Join(w.To, "\n")
		l, ok := lists[list]
		if !ok {
			l = letter{settings: p.settings, to: w.To, dropped: p.dropped, since: w.since}
		}
		l.changes = append(l.changes, w)
		if w.since.Before(l.since) {
			l.since = w.since
		}
		lists[list] = l
	}
	var out []letter
	for _, list := range slices.Sorted(maps.Keys(lists)) {
		out = append(out, lists[list])
	}
	return out
}

// done takes out of the box what was told and hasn't changed since.
func (p *Post) done(l letter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range l.changes {
		now, ok := p.box[w.id()]
		switch {
		case !ok:
		case now.number == w.number:
			delete(p.box, w.id())
		default:
			now.count = max(now.count-w.count, 1)
			now.since = time.Now()
			p.box[w.id()] = now
		}
	}
	p.pause, p.dropped = 0, 0
	if len(p.box) > 0 {
		p.ready = time.Now().Add(gather)
	}
}
