package api

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipvsd/ipvsd/director"
)

// slowSource takes a second for a Status, and numbers them in PID.
type slowSource struct {
	fakeSource
	begun, atOnce, most atomic.Int32
}

func (s *slowSource) Status(context.Context) director.Status {
	st := director.Status{PID: int(s.begun.Add(1)), Started: time.Now()}
	s.most.Store(max(s.most.Load(), s.atOnce.Add(1)))
	time.Sleep(time.Second)
	s.atOnce.Add(-1)
	return st
}

// Many requests at once cost two reads, one after the other, and each gets one
// that began after it asked.
func TestReadsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &slowSource{}
		r := newReads(source)
		var all sync.WaitGroup
		for range 3 {
			for range 100 {
				all.Go(func() {
					asked := time.Now()
					if st := r.status(t.Context()); st.Started.Before(asked) {
						t.Errorf("got a status that was begun %s before it was asked for", asked.Sub(st.Started))
					}
				})
			}
			time.Sleep(100 * time.Millisecond)
		}
		all.Wait()
		if source.most.Load() != 1 || source.begun.Load() != 2 {
			t.Errorf("%d reads, %d at once; want 2, 1 at once", source.begun.Load(), source.most.Load())
		}
		if st := r.status(t.Context()); st.PID != 3 {
			t.Errorf("a later request got read %d, want a new one", st.PID)
		}
	})
}

// A client that goes away ends its own request and nobody else's.
func TestReadsWithoutTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReads(&slowSource{})
		gone, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		ask := func(ctx context.Context, want int) {
			all.Go(func() {
				if st := r.status(ctx); st.PID != want {
					t.Errorf("got read %d, want %d", st.PID, want)
				}
			})
			synctest.Wait()
		}
		ask(t.Context(), 1)
		all.Go(func() { r.status(gone) }) // reads for those who come now, though it leaves
		synctest.Wait()
		ask(t.Context(), 2)
		ask(gone, 0)
		leave()
		all.Wait()
	})
}
