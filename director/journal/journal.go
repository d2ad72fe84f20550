// Package journal keeps what happened on this director: cause, verdict and
// kernel step, in a ring in memory and on disk. It owns the two files of the
// ring, the numbers of the entries, and who waits for new ones. It decides
// nothing: what an entry says is up to who puts it.
//
// Who puts an entry never waits, neither for the disk nor for a reader. One
// goroutine, that of [Journal.Run], numbers the entries, publishes them and
// writes them; readers read an immutable snapshot.
//
// On disk the ring is JSON, a line for each entry, in two files of half its
// size each: the newer one is appended to, and takes the place of the older one
// when it is full. Each entry is given to the kernel at once, so that a killed
// process loses none, and to the disk once a second, so that a power cut loses
// the last second at most. Nothing is written while nothing happens.
package journal

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The bounds of the ring.
const (
	DefaultSize = 4 << 20  // bytes on disk
	Capacity    = 10000    // entries in memory: about what DefaultSize holds …
	memory      = 16 << 20 // … and bytes, where they are long

	maxQueued = 4000 // entries that wait for Run; what comes then is counted and dropped
)

// syncEvery is how long what was written may be lost by a power cut.
const syncEvery = time.Second

// Options are what a Journal works with.
type Options struct {
	Dir  string       // of the files; "": in memory only
	Size int64        // bytes on disk; 0: DefaultSize
	Log  *slog.Logger // required
}

// Journal is the ring. New builds it, Run turns it. A nil Journal keeps nothing.
type Journal struct {
	log     *slog.Logger
	disk    disk                    // only Run uses it
	problem string                  // why the disk doesn't have all; only Run uses it
	bytes   int                     // of now's entries; only Run uses it
	now     atomic.Pointer[[]Entry] // by Seq; what readers see is never changed
	wake    chan struct{}

	mu      sync.Mutex
	queue   []Entry
	dropped int
	readers []chan struct{}
}

// New returns a journal that is empty until Run has read the files.
func New(o Options) *Journal {
	if o.Size <= 0 {
		o.Size = DefaultSize
	}
	j := &Journal{log: o.Log, disk: disk{dir: o.Dir, size: o.Size}, wake: make(chan struct{}, 1)}
	j.now.Store(&[]Entry{})
	return j
}

// Put leaves entries for Run, which numbers them, and gives those without a time
// the present one. It never waits: where too many wait already, the rest is
// dropped, and an entry tells how many.
func (j *Journal) Put(entries ...Entry) {
	if j == nil || len(entries) == 0 {
		return
	}
	now := time.Now()
	j.mu.Lock()
	room := min(len(entries), maxQueued-len(j.queue))
	for _, e := range entries[:room] {
		if e.Time.IsZero() {
			e.Time = now
		}
		j.queue = append(j.queue, e.fit())
	}
	j.dropped += len(entries) - room
	j.mu.Unlock()
	nudge(j.wake)
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take is what was left, and what was dropped told as an entry behind it.
func (j *Journal) take() []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := j.queue
	if j.dropped > 0 {
		list = append(list, Entry{Time: time.Now(), Kind: Daemon, After: Lost, Text: lostText(j.dropped)})
	}
	j.queue, j.dropped = nil, 0
	return list
}

// Run keeps the ring until ctx ends, writes what is left then, and returns nil:
// a disk that is full or broken is told once, and the ring goes on in memory.
func (j *Journal) Run(ctx context.Context) error {
	defer j.disk.close()
	j.load()
	var sync *time.Timer // nil: nothing to sync, nothing to try again
	for {
		j.turn()
		if sync == nil && j.disk.unsaved() {
			sync = time.NewTimer(syncEvery)
		}
		var due <-chan time.Time
		if sync != nil {
			due = sync.C
		}
		select {
		case <-ctx.Done():
			j.turn()
			j.flush()
			return nil
		case <-j.wake:
		case <-due:
			sync = nil
			j.flush()
		}
	}
}

// load reads the files, and says how the run before ended where that left no word.
func (j *Journal) load() {
	list, skipped, err := j.disk.open()
	if err != nil {
		j.complain(err)
	}
	if skipped > 0 {
		j.log.Warn("lines of the journal are unreadable and left out", "dir", j.disk.dir, "lines", skipped)
	}
	if len(list) == 0 {
		return
	}
	if last := list[len(list)-1]; last.Kind != Daemon || last.After != Stopped {
		lost := Entry{Seq: last.Seq + 1, Time: last.Time, Kind: Daemon, After: Lost, Text: lostRun}
		list = append(list, lost)
		j.write(list[len(list)-1:])
	}
	j.publish(list, list)
}

// turn publishes and writes what was put.
func (j *Journal) turn() {
	news := j.take()
	if len(news) == 0 {
		return
	}
	seq := j.Last()
	for i := range news {
		seq++
		news[i].Seq = seq
	}
	// Readers see only so much of the array as there was when they looked.
	j.publish(append(*j.now.Load(), news...), news)
	j.write(news)
}

// newest are the last entries that make half of what memory may hold.
func newest(list []Entry) []Entry {
	bytes := 0
	for i := len(list) - 1; i >= 0; i-- {
		if bytes += list[i].size(); bytes > memory/2 || len(list)-i > Capacity {
			return list[i+1:]
		}
	}
	return list
}

// publish shows readers a list that ends with news.
func (j *Journal) publish(list, news []Entry) {
	for i := len(list) - len(news); i < len(list); i++ {
		j.bytes += list[i].size()
	}
	if len(list) > Capacity+Capacity/4 || j.bytes > memory {
		list = slices.Clone(newest(list))
		j.bytes = 0
		for i := range list {
			j.bytes += list[i].size()
		}
	}
	j.now.Store(&list)
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range j.readers {
		nudge(c)
	}
}

// write leaves it to flush to say that all is well: what the kernel took may not
// come to the disk.
func (j *Journal) write(list []Entry) {
	if err := j.disk.append(list); err != nil {
		j.complain(err)
	}
}

func (j *Journal) flush() { j.complain(j.disk.flush()) }

// complain tells an error once, and when it is over.
func (j *Journal) complain(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch {
	case (text == "") == (j.problem == ""):
		return
	case text != "":
		j.log.Error("the journal isn't written to disk; it goes on in memory", "err", text)
		j.Put(Entry{Kind: Daemon, After: Unwritten, Cause: text, Text: "the journal isn't written to disk, and goes on in memory: " + text + "."})
	default:
		j.log.Info("the journal is written to disk again")
	}
	j.problem = text
}

// Since returns the entries after a number, the oldest first, and at most limit
// of them (0: all): a reader that goes on from the last one's number misses none
// that the ring still holds. The answer is shared and must not be changed.
func (j *Journal) Since(seq uint64, limit int) []Entry {
	if j == nil {
		return nil
	}
	list := *j.now.Load()
	if len(list) == 0 || seq >= list[len(list)-1].Seq {
		return nil
	}
	from, _ := slices.BinarySearchFunc(list, seq+1, func(e Entry, seq uint64) int { return cmp.Compare(e.Seq, seq) })
	list = list[from:]
	if limit > 0 && len(list) > limit {
		list = list[:limit]
	}
	return slices.Clip(list) // behind it the owner goes on
}

// Last is the number of the newest entry; 0: there is none.
func (j *Journal) Last() uint64 {
	if j == nil {
		return 0
	}
	list := *j.now.Load()
	if len(list) == 0 {
		return 0
	}
	return list[len(list)-1].Seq
}

// Wake has a value once there is something newer than what Since returned. Each
// call's channel is another reader's, for as long as there is the journal.
func (j *Journal) Wake() <-chan struct{} {
	if j == nil {
		return nil
	}
	c := make(chan struct{}, 1)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.readers = append(j.readers, c)
	return c
}
