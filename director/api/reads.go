package api

import (
	"context"
	"sync"

	"github.com/ipvsd/ipvsd/director"
)

// reads asks the director for one Status at a time, whoever wants one: a Status
// takes a dump of the kernel's table, and many requests at once would take as
// many. All requests that come while one is read share the next one, which
// begins after they asked: nobody gets what was true before that.
type reads struct {
	source Source
	turn   chan struct{} // capacity 1: full while a Status is read

	mu   sync.Mutex
	next *read // hasn't begun; who asks now shares it
}

// read is one Status. It is shared and must not be changed.
type read struct {
	done   chan struct{} // closed when status is there
	status director.Status
}

func newReads(source Source) *reads {
	return &reads{source: source, turn: make(chan struct{}, 1)}
}

// status returns a Status that was read after the call. Where ctx ends before,
// Kernel.ReadError says so and the rest is empty.
func (r *reads) status(ctx context.Context) director.Status {
	mine, first := r.join()
	if first {
		r.read(ctx, mine)
	}
	select {
	case <-mine.done:
		return mine.status
	case <-ctx.Done():
		return director.Status{Kernel: director.KernelStatus{ReadError: ctx.Err().Error()}} // for nobody: the client has gone
	}
}

// join returns the read that begins next; the first to have it reads.
func (r *reads) join() (mine *read, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil {
		r.next, first = &read{done: make(chan struct{})}, true
	}
	return r.next, first
}

// read reads for all who share mine. It goes on without the request that does
// it, for kernelTimeout at most.
func (r *reads) read(ctx context.Context, mine *read) {
	r.turn <- struct{}{}
	r.mu.Lock()
	r.next = nil
	r.mu.Unlock()
	defer func() {
		<-r.turn
		close(mine.done)
	}()
	mine.status = snapshot(context.WithoutCancel(ctx), r.source)
}
