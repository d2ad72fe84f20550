package api

import (
	"context"
	"time"

	"github.com/ipvsd/ipvsd/director"
)

const (
	lookEvery   = time.Second      // while somebody watches, and no oftener than lookShare lets
	lookShare   = 10               // a look is at most one part in so many of the time
	beatEvery   = 4 * time.Second  // figures come at least so often
	maxWatchers = 32               // each costs a connection and its frames
	maxFrames   = 8                // that a watcher may be behind
	maxBacklog  = 200              // journal entries for one who comes
	sampleEvery = 10 * time.Second // for the history
)

// feed looks at the director for all who watch, however many they are, and keeps
// the history. Its goroutine is run; it owns all fields but the channels.
type feed struct {
	source  Source
	journal Journal // nil: none
	samples

	join  chan joining
	leave chan *watcher
	ended chan struct{} // closed when run has ended

	watchers map[*watcher]bool // true: has had a whole status
	now      *director.Status  // what the watchers know; nil: nobody watches
	at       time.Time         // of now
	whole    []byte            // now as an event; nil: nobody needed it yet
	sent     time.Time         // of the last event
	told     uint64            // the journal's entries until here
}

// watcher is one client. run closes frames when the client was too slow or it
// ends.
type watcher struct{ frames chan []byte }

type joining struct {
	seen  uint64 // the last journal entry that the client has
	reply chan *watcher
}

func newFeed(source Source) *feed {
	return &feed{
		source: source, watchers: make(map[*watcher]bool),
		join: make(chan joining), leave: make(chan *watcher), ended: make(chan struct{}),
	}
}

// watch begins to tell a client; nil: too many do, or the feed has ended.
func (f *feed) watch(ctx context.Context, seen uint64) *watcher {
	j := joining{seen: seen, reply: make(chan *watcher, 1)}
	select {
	case f.join <- j:
		return <-j.reply
	case <-ctx.Done():
	case <-f.ended:
	}
	return nil
}

// forget ends what watch began.
func (f *feed) forget(w *watcher) {
	select {
	case f.leave <- w:
	case <-f.ended:
	}
}

// run looks and tells until ctx ends. It may run only once.
func (f *feed) run(ctx context.Context) {
	defer close(f.ended)
	defer func() {
		for w := range f.watchers {
			close(w.frames)
		}
	}()
	var wake <-chan struct{}
	if f.journal != nil {
		wake = f.journal.Wake()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-f.join:
			j.reply <- f.admit(j.seen)
			if f.now == nil {
				timer.Reset(0)
			}
		case w := <-f.leave:
			delete(f.watchers, w)
		case <-wake:
			f.tellJournal()
		case <-timer.C:
			timer.Reset(f.look(ctx))
		}
	}
}

// admit takes a client in and tells it what is known already.
func (f *feed) admit(seen uint64) *watcher {
	if len(f.watchers) >= maxWatchers {
		return nil
	}
	f.tellJournal() // what follows for the new one ends where the others are
	w := &watcher{frames: make(chan []byte, maxFrames)}
	f.watchers[w] = false
	frame := []byte("retry: 2000\n\n")
	if f.journal != nil {
		if seen > f.told { // of another journal
			seen = 0
		}
		if f.told > maxBacklog {
			seen = max(seen, f.told-maxBacklog)
		}
		for _, e := range f.journal.Since(seen, maxBacklog) {
			frame = appendEvent(frame, "journal", e.Seq, e)
		}
	}
	w.frames <- frame
	if f.now != nil {
		w.frames <- f.wholeEvent()
		f.watchers[w] = true
	}
	return w
}

// wholeEvent tells all of now.
func (f *feed) wholeEvent() []byte {
	if f.whole == nil {
		f.whole = appendEvent(nil, "status", 0, Update{At: f.at, Status: *f.now})
	}
	return f.whole
}

// look asks the director how it stands, where somebody watches or the history
// wants a sample, tells what changed, and says how long to wait for the next.
func (f *feed) look(ctx context.Context) time.Duration {
	began := time.Now()
	if len(f.watchers) == 0 {
		f.now, f.whole = nil, nil
		f.sample(began, func() director.Loads { return f.loads(ctx) })
		return f.due(time.Now())
	}
	st := snapshot(ctx, f.source)
	if ctx.Err() != nil {
		return 0
	}
	f.sample(began, func() director.Loads { return director.LoadsOf(&st) })
	before := f.now
	f.now, f.at, f.whole = &st, began, nil
	f.tellStatus(before)
	return min(max(lookEvery, (lookShare-1)*time.Since(began)), sampleEvery)
}

// loads are for the history while nobody watches: a whole status would be much
// to throw away.
func (f *feed) loads(ctx context.Context) director.Loads {
	limited, cancel := context.WithTimeout(ctx, kernelTimeout)
	defer cancel()
	return f.source.Loads(limited)
}

// tellStatus tells the watchers what is other than they know, which is before.
func (f *feed) tellStatus(before *director.Status) {
	var news []byte
	if before != nil {
		d := difference(before, f.now)
		if d.update != nil {
			d.update.At = f.at
			news = appendEvent(news, "status", 0, d.update)
		}
		if len(d.figures) > 0 || f.at.Sub(f.sent) >= beatEvery {
			news = appendEvent(news, "figures", 0, Figures{At: f.at, Synced: f.now.Kernel.Synced, Reals: d.figures})
		}
	}
	if before == nil || news != nil {
		f.sent = f.at
	}
	for w, knows := range f.watchers {
		switch {
		case !knows:
			f.watchers[w] = true
			f.send(w, f.wholeEvent())
		case news != nil:
			f.send(w, news)
		}
	}
}

// tellJournal tells the watchers what happened since it was called last, or the
// newest of it.
func (f *feed) tellJournal() {
	if f.journal == nil {
		return
	}
	last := f.journal.Last()
	if len(f.watchers) == 0 {
		f.told = last
		return
	}
	if last > maxBacklog {
		f.told = max(f.told, last-maxBacklog)
	}
	var frame []byte
	for _, e := range f.journal.Since(f.told, maxBacklog) {
		frame = appendEvent(frame, "journal", e.Seq, e)
		f.told = e.Seq
	}
	if frame == nil {
		return
	}
	for w := range f.watchers {
		f.send(w, frame)
	}
}

// send never waits: who is too far behind is let go. It may come back, and gets
// a whole status then.
func (f *feed) send(w *watcher, frame []byte) {
	select {
	case w.frames <- frame:
	default:
		close(w.frames)
		delete(f.watchers, w)
	}
}
