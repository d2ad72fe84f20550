package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/journal"
)

// Update is the data of an event "status": what /api/v1/status tells, as of At.
// Where it is partial, Virtuals has only the virtual services in which something
// changed since the event before; which there are, and their order, is as it was.
type Update struct {
	At      time.Time `json:"at"` // by this director's clock
	Partial bool      `json:"partial"`
	director.Status
}

// Figures is the data of an event "figures": what moves all the time. It comes
// every few seconds even where nothing moved, so that silence means something.
type Figures struct {
	At     time.Time `json:"at"`
	Synced time.Time `json:"synced"` // kernel.synced of the status
	Reals  []Figure  `json:"reals"`  // those that moved
}

// Figure is one real server's, as numbers in this order: which virtual service
// (by its place in the last status that wasn't partial), which real server of it
// (by its place in its virtual service), active connections, inactive ones,
// connections since the entry was made, good checks, bad checks, how many were
// alike in a row (bad ones negative), when the last check began (milliseconds
// since 1970) and how long it took (microseconds).
type Figure [10]int64

// Journal is what happened, to be told to those who watch. *journal.Journal is one.
type Journal interface {
	// Since answers with the entries after seq, oldest first, at most limit.
	Since(seq uint64, limit int) []journal.Entry
	// Last is the newest entry's number, 0 where there is none.
	Last() uint64
	// Wake has a value once there are new entries, for one reader.
	Wake() <-chan struct{}
}

// events answers with server-sent events until the client goes, is too slow, or
// the director stops (https://html.spec.whatwg.org/multipage/server-sent-events.html).
func (p *pages) events(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no") // nginx would keep the events back
	if r.Method == http.MethodHead {
		return
	}
	// A browser says after a broken connection what it had.
	seen, _ := strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 64)
	watcher := p.feed.watch(r.Context(), seen)
	if watcher == nil {
		h.Set("Retry-After", "5")
		http.Error(w, fmt.Sprintf("busy: %d clients are watching", maxWatchers), http.StatusServiceUnavailable)
		return
	}
	defer p.feed.forget(watcher)
	// The server's time limits are for a request; each event has its own.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{})
	for {
		select {
		case <-r.Context().Done():
			return
		case frame, ok := <-watcher.frames:
			if !ok {
				return
			}
			_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, err := w.Write(frame); err != nil {
				return
			}
			if err := control.Flush(); err != nil {
				return
			}
		}
	}
}

// appendEvent appends one event; id 0 is none.
func appendEvent(b []byte, event string, id uint64, data any) []byte {
	text, err := json.Marshal(data)
	if err != nil {
		panic("api: " + err.Error()) // all of it are plain values
	}
	b = append(append(append(b, "event: "...), event...), '\n')
	if id != 0 {
		b = append(strconv.AppendUint(append(b, "id: "...), id, 10), '\n')
	}
	return append(append(append(b, "data: "...), text...), "\n\n"...)
}
