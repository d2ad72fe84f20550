package api

import (
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/prometheus/common/expfmt"

	"github.com/ipvsd/ipvsd/director"
)

// pages answers the paths of both listeners.
type pages struct {
	source  Source
	reads   *reads
	metrics *Metrics
	log     *slog.Logger
	slots   chan struct{} // one for each Status in memory
	feed    *feed
}

func newPages(source Source, metrics *Metrics, log *slog.Logger) *pages {
	return &pages{source: source, reads: newReads(source), metrics: metrics, log: log, slots: make(chan struct{}, maxStatuses), feed: newFeed(source)}
}

// public is what [http] listen answers. Nothing here changes anything.
func (p *pages) public() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", p.index)
	mux.HandleFunc("/dashboard/{file}", p.asset)
	mux.HandleFunc("/metrics", p.slot(p.serveMetrics))
	mux.HandleFunc("/healthz", p.healthz)
	mux.HandleFunc("/readyz", p.slot(p.readyz))
	mux.HandleFunc("/active", p.active)
	mux.HandleFunc("/api/v1/status", p.slot(p.status))
	mux.HandleFunc("/api/v1/events", p.events)
	mux.HandleFunc("/api/v1/history", p.slot(p.history))
	mux.HandleFunc("/api/v1/journal", p.slot(p.serveJournal))
	return readOnly(mux)
}

// readOnly refuses whatever could change something, on every path.
func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "nothing can be changed here; use the ipvsd command (control socket)", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// slot lets only so many requests hold a Status at once; a slow reader costs
// its own slot until writeTimeout, not memory without bound.
func (p *pages) slot(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case p.slots <- struct{}{}:
			defer func() { <-p.slots }()
			next(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			http.Error(w, fmt.Sprintf("busy: %d requests like this one are being answered", maxStatuses), http.StatusServiceUnavailable)
		}
	}
}

func (p *pages) healthz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), hungTimeout)
	defer cancel()
	if hung := p.source.Hung(ctx); len(hung) > 0 {
		http.Error(w, "hangs: "+strings.Join(hung, ", "), http.StatusServiceUnavailable)
		return
	}
	say(w, "ok")
}

func (p *pages) readyz(w http.ResponseWriter, r *http.Request) {
	if p.source.Ready() {
		say(w, "ready")
		return
	}
	missing := awaited(p.reads.status(r.Context()))
	http.Error(w, "not ready: "+strings.Join(missing, "; "), http.StatusServiceUnavailable)
}

func (p *pages) active(w http.ResponseWriter, _ *http.Request) {
	if !p.source.Active() {
		http.Error(w, "standby", http.StatusServiceUnavailable)
		return
	}
	say(w, "active")
}

func say(w http.ResponseWriter, word string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, word+"\n")
}

// awaited says what a director that isn't ready still waits for.
func awaited(st director.Status) []string {
	var list []string
	switch {
	case st.Kernel.Programmed:
	case st.Kernel.Error != "":
		list = append(list, "the kernel isn't programmed: "+st.Kernel.Error)
	case st.Kernel.ReadError != "":
		list = append(list, "the kernel isn't programmed: "+st.Kernel.ReadError)
	default:
		list = append(list, "the kernel isn't programmed yet")
	}
	const named = 5
	unknown := 0
	for _, v := range st.Virtuals {
		for _, r := range v.Reals {
			if cmp.Or(r.Verdict, r.State) != director.StateUnknown {
				continue
			}
			if unknown++; unknown <= named {
				list = append(list, fmt.Sprintf("no verdict yet on %s of %s", r.Address, v.Name))
			}
		}
	}
	if unknown > named {
		list = append(list, fmt.Sprintf("and on %d more real servers", unknown-named))
	}
	if len(list) == 0 {
		list = append(list, "nothing more; ask again") // it became ready since it was asked
	}
	return list
}

func (p *pages) status(w http.ResponseWriter, r *http.Request) {
	st := p.reads.status(r.Context())
	p.metrics.seen(&st)
	w.Header().Set("Content-Type", "application/json")
	body, done := compressed(w, r)
	defer done()
	if err := json.NewEncoder(body).Encode(st); err != nil {
		p.log.Debug("status not delivered", "client", r.RemoteAddr, "err", err)
	}
}

func (p *pages) serveMetrics(w http.ResponseWriter, r *http.Request) {
	st := p.reads.status(r.Context())
	if st.Kernel.ReadError != "" {
		p.metrics.scrapeErrors.Inc()
		p.log.Warn("kernel not read for a scrape", "err", st.Kernel.ReadError)
	}
	format := negotiate(r.Header)
	w.Header().Set("Content-Type", string(format))
	w.Header().Add("Vary", "Accept")
	body, done := compressed(w, r)
	defer done()
	if err := p.metrics.Write(body, format, st); err != nil {
		p.metrics.scrapeErrors.Inc()
		p.log.Debug("scrape not delivered", "client", r.RemoteAddr, "err", err)
	}
}

// negotiate chooses between the text format and OpenMetrics. Protobuf isn't
// offered: exposition.go doesn't write it.
func negotiate(h http.Header) expfmt.Format {
	return expfmt.NegotiateAccept(h, expfmt.FmtOpenMetrics_1_0_0, expfmt.FmtOpenMetrics_0_0_1, expfmt.FmtText)
}

var gzips = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil {
		panic("api: " + err.Error())
	}
	return z
}}

// compressed returns where the body goes, and what ends it.
func compressed(w http.ResponseWriter, r *http.Request) (io.Writer, func()) {
	w.Header().Add("Vary", "Accept-Encoding")
	if r.Method == http.MethodHead || !acceptsGzip(r.Header.Get("Accept-Encoding")) {
		return w, func() {}
	}
	w.Header().Set("Content-Encoding", "gzip")
	z := gzips.Get().(*gzip.Writer)
	z.Reset(w)
	return z, func() {
		_ = z.Close() // the connection is broken; its owner notices
		z.Reset(io.Discard)
		gzips.Put(z)
	}
}

// acceptsGzip reads an Accept-Encoding header (RFC 9110 section 12.5.3).
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, param, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		q, found := strings.CutPrefix(strings.TrimSpace(param), "q=")
		return !found || strings.Trim(q, "0.") != ""
	}
	return false
}
