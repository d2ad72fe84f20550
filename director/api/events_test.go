package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/journal"
)

// looked counts the looks at a fakeSource.
type looked struct {
	*fakeSource
	looks atomic.Int64
}

func (l *looked) Status(ctx context.Context) director.Status {
	l.looks.Add(1)
	return l.fakeSource.Status(ctx)
}

func (l *looked) Loads(ctx context.Context) director.Loads {
	l.looks.Add(1)
	return l.fakeSource.Loads(ctx)
}

// change changes the status, sharing nothing with what was told before.
func (f *fakeSource) change(do func(*director.Status)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	st := copyStatus(f.status)
	for i := range st.Virtuals {
		st.Virtuals[i].Reals = slices.Clone(st.Virtuals[i].Reals)
	}
	do(&st)
	f.status = st
}

// pipes is a listener without a network, so that synctest's clock counts.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	ended chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), ended: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.ended) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// testFeed is a running feed behind the HTTP server that the daemon has.
type testFeed struct {
	*pipes
	source  *looked
	journal *journal.Journal
	pages   *pages
	stop    context.CancelFunc
	done    sync.WaitGroup
}

func startFeed(t *testing.T, st director.Status) *testFeed {
	t.Helper()
	f := &testFeed{pipes: newPipes(), source: &looked{fakeSource: &fakeSource{status: st}}, journal: journal.New(journal.Options{Log: quiet()})}
	f.pages = newPages(f.source, NewMetrics(""), quiet())
	f.pages.feed.journal = f.journal
	ctx, cancel := context.WithCancel(t.Context())
	f.stop = cancel
	server := newHTTP(f.pages.public(), quiet())
	f.done.Go(func() { f.pages.feed.run(ctx) })
	f.done.Go(func() { _ = f.journal.Run(ctx) })
	f.done.Go(func() { _ = server.Serve(f) })
	t.Cleanup(func() {
		cancel()
		_ = server.Close()
		f.done.Wait()
	})
	return f
}

// dial connects without asking for anything.
func (f *testFeed) dial(t *testing.T) net.Conn {
	t.Helper()
	here, there := net.Pipe()
	f.conns <- there
	t.Cleanup(func() { _ = here.Close() })
	return here
}

// event is one as a browser takes it.
type event struct{ kind, id, data string }

// watch asks for the events and returns them as they come; the channel is closed
// with the connection.
func (f *testFeed) watch(t *testing.T, header string) (<-chan event, *http.Response) {
	t.Helper()
	conn := f.dial(t)
	go func() { _, _ = io.WriteString(conn, "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n"+header+"\r\n") }()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan event, 1000)
	go func() {
		defer close(events)
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<24)
		var e event
		for lines.Scan() {
			key, value, _ := strings.Cut(lines.Text(), ": ")
			switch key {
			case "event":
				e.kind = value
			case "id":
				e.id = value
			case "data":
				e.data = value
			case "":
				if e.kind != "" {
					events <- e
				}
				e = event{}
			}
		}
	}()
	return events, resp
}

// next is the next event, which must be of a kind.
func next[T any](t *testing.T, events <-chan event, kind string) (out T) {
	t.Helper()
	e, ok := <-events
	if !ok || e.kind != kind {
		t.Fatalf("event %q (%v), want %s", e.kind, ok, kind)
	}
	if err := json.Unmarshal([]byte(e.data), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func plainStatus() director.Status {
	st := testStatus()
	st.Virtuals[1].Name = "mark"
	return st
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFeed(t, plainStatus())
		events, resp := f.watch(t, "")
		if got := resp.Header.Get("Content-Type"); got != "text/event-stream; charset=utf-8" {
			t.Errorf("content type %q", got)
		}

		first := next[Update](t, events, "status")
		if first.Partial {
			t.Error("the first status is partial")
		}
		if diff := cmp.Diff(plainStatus(), first.Status); diff != "" {
			t.Errorf("status (-want +got):\n%s", diff)
		}

		// Nothing moves: it is said all the same, and no oftener than agreed.
		began := time.Now()
		if still := next[Figures](t, events, "figures"); len(still.Reals) != 0 || time.Since(began) != beatEvery {
			t.Errorf("after %v: %+v", time.Since(began), still)
		}

		// Figures move: only those come.
		f.source.change(func(st *director.Status) {
			r := &st.Virtuals[0].Reals[0]
			r.Active, r.Inactive, r.Counters.Connections = 13, 41, 99
			r.Check.Good, r.Check.Streak = 8, 8
			r.Check.Last = &director.CheckResult{OK: true, Reason: "", At: testTime, Seconds: .0015}
			st.Virtuals[0].Reals[1].Check.Streak = -4
		})
		update := next[Update](t, events, "status") // there was no last check before
		if !update.Partial || len(update.Virtuals) != 1 || update.Virtuals[0].Name != "web" {
			t.Errorf("update %+v", update)
		}
		f.source.change(func(st *director.Status) {
			r := &st.Virtuals[0].Reals[0]
			r.Active, r.Check.Good = 14, 9
			r.Check.Last = &director.CheckResult{OK: true, Sample: "Date: later", At: testTime.Add(time.Second), Seconds: .002}
			st.Virtuals[0].Reals[1].Check.Streak = -5
			st.Kernel.Synced = testTime.Add(time.Minute)
		})
		moved := next[Figures](t, events, "figures")
		want := []Figure{{0, 0, 14, 41, 99, 9, 1, 8, testTime.Add(time.Second).UnixMilli(), 2000}, {0, 1, 0, 0, 0, 0, 3, -5, 0, 0}}
		if diff := cmp.Diff(want, moved.Reals); diff != "" {
			t.Errorf("figures (-want +got):\n%s", diff)
		}
		if !moved.Synced.Equal(testTime.Add(time.Minute)) {
			t.Errorf("synced %v", moved.Synced)
		}

		// A server dies.
		f.source.change(func(st *director.Status) {
			st.Virtuals[0].Reals[0].State, st.Virtuals[0].Reals[0].Reason = director.StateDown, "timeout"
			st.Virtuals[1].Reals[0].Active = 7
		})
		update = next[Update](t, events, "status")
		if !update.Partial || len(update.Virtuals) != 1 || update.Virtuals[0].Reals[0].Reason != "timeout" {
			t.Errorf("update %+v", update)
		}
		if moved = next[Figures](t, events, "figures"); len(moved.Reals) != 1 || moved.Reals[0][0] != 1 {
			t.Errorf("figures %+v", moved)
		}

		// Nothing but the director's own.
		f.source.change(func(st *director.Status) { st.Active = false })
		if update = next[Update](t, events, "status"); !update.Partial || len(update.Virtuals) != 0 || update.Active {
			t.Errorf("update %+v", update)
		}

		// Another file.
		f.source.change(func(st *director.Status) { st.Virtuals = st.Virtuals[:1] })
		if update = next[Update](t, events, "status"); update.Partial || len(update.Virtuals) != 1 {
			t.Errorf("update %+v", update)
		}

		f.stop()
		if e, ok := <-events; ok && e.kind != "figures" {
			t.Errorf("after the end: %+v", e)
		}
	})
}

// However many watch, there is one look a second, and they last.
func TestEventsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFeed(t, plainStatus())
		var all []<-chan event
		for range maxWatchers {
			events, _ := f.watch(t, "")
			all = append(all, events)
		}
		if _, resp := f.watch(t, ""); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
			t.Errorf("one too many gets %d", resp.StatusCode)
		}
		before := f.source.looks.Load()
		time.Sleep(time.Minute - lookEvery/2)
		if n := f.source.looks.Load() - before; n > 60 {
			t.Errorf("%d looks in a minute", n)
		}
		for i, events := range all {
			next[Update](t, events, "status")
			for len(events) > 0 {
				next[Figures](t, events, "figures")
			}
			select {
			case e, ok := <-events:
				t.Fatalf("watcher %d: %+v, %v", i, e, ok)
			default: // still there, longer than any time limit of the server
			}
		}
	})
}

// Where nobody watches, there is a look for each sample of the history.
func TestFeedRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFeed(t, plainStatus())
		time.Sleep(10*time.Minute + time.Second)
		if n := f.source.looks.Load(); n != maxSamples {
			t.Errorf("%d looks in ten minutes, want %d", n, maxSamples)
		}
	})
}

// Looks that take long are made less often.
func TestSlowLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFeed(t, plainStatus())
		events, _ := f.watch(t, "")
		next[Update](t, events, "status")
		f.source.mu.Lock()
		f.source.block = make(chan struct{}) // for ever: kernelTimeout ends each look
		f.source.mu.Unlock()
		before := f.source.looks.Load()
		time.Sleep(time.Minute)
		if n := f.source.looks.Load() - before; n > 6 {
			t.Errorf("%d looks of %v each in a minute", n, kernelTimeout)
		}
	})
}

// Who doesn't read is let go, and costs nobody anything.
func TestEventsSlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFeed(t, plainStatus())
		slow := f.dial(t)
		_, _ = io.WriteString(slow, "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
		events, _ := f.watch(t, "")
		go func() {
			for range events {
			}
		}()
		time.Sleep(lookEvery / 2)              // so that each look finds something new
		for i := range uint32(maxFrames + 3) { // before a time limit ends its connection
			f.source.change(func(st *director.Status) { st.Virtuals[0].Reals[0].Active = 100 + i })
			time.Sleep(lookEvery)
		}
		f.stop()
		<-f.pages.feed.ended
		if n := len(f.pages.feed.watchers); n != 1 {
			t.Errorf("%d are watching, want 1", n)
		}
	})
}

func TestEventsJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFeed(t, plainStatus())
		put := func(from, to int) {
			for i := from; i <= to; i++ {
				f.journal.Put(journal.Entry{Kind: journal.Verdict, Text: fmt.Sprint("entry ", i)})
			}
			synctest.Wait()
		}
		put(1, maxBacklog+50)
		events, _ := f.watch(t, "")
		for i := 51; i <= maxBacklog+50; i++ {
			if e := next[journal.Entry](t, events, "journal"); e.Seq != uint64(i) {
				t.Fatalf("entry %d, want %d", e.Seq, i)
			}
		}
		next[Update](t, events, "status")
		put(251, 252)
		for _, want := range []string{"251", "252"} {
			if e := <-events; e.kind != "journal" || e.id != want {
				t.Errorf("%+v, want entry %s", e, want)
			}
		}

		// A browser that was away goes on where it was.
		events, _ = f.watch(t, "Last-Event-ID: 250\r\n")
		for _, want := range []string{"251", "252"} {
			if e := <-events; e.kind != "journal" || e.id != want {
				t.Errorf("%+v, want entry %s", e, want)
			}
		}
		next[Update](t, events, "status")

		// What it knows is of a journal that is no more.
		events, _ = f.watch(t, "Last-Event-ID: 9000\r\n")
		if e := next[journal.Entry](t, events, "journal"); e.Seq != 53 {
			t.Errorf("entry %d, want 53", e.Seq)
		}
	})
}

func TestEventsHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFeed(t, plainStatus())
		conn := f.dial(t)
		go func() {
			_, _ = io.WriteString(conn, "HEAD /api/v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		}()
		resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodHead})
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%v, %v", resp, err)
		}
	})
}

// A stopped feed answers instead of waiting.
func TestEventsAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFeed(t, plainStatus())
		f.stop()
		<-f.pages.feed.ended
		if _, resp := f.watch(t, ""); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
}
