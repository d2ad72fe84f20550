package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkScrape answers a scrape of 1,000 × 10 real servers, but for the
// director's part, which is BenchmarkStatus of package director.
func BenchmarkScrape(b *testing.B) {
	st := bigStatus(1000, 10)
	m := NewMetrics("1.2.3")
	for i := range st.Virtuals {
		m.ObserveCheck(st.Virtuals[i].Name, 0.01)
	}
	h := newPages(&fakeSource{status: st}, m, quiet()).public()
	for _, encoding := range []string{"identity", "gzip"} {
		b.Run(encoding, func(b *testing.B) {
			b.ReportAllocs()
			var n int64
			for b.Loop() {
				req := httptest.NewRequest("GET", "/metrics", nil)
				req.Header.Set("Accept", acceptOpenMetrics)
				req.Header.Set("Accept-Encoding", encoding)
				w := &countingWriter{header: http.Header{}}
				h.ServeHTTP(w, req)
				n = w.n
			}
			b.ReportMetric(float64(n)/1e6, "MB/answer")
		})
	}
}

// BenchmarkExposition is the part that grows with the real servers.
func BenchmarkExposition(b *testing.B) {
	st := bigStatus(1000, 10)
	b.ReportAllocs()
	for b.Loop() {
		e := newExposition(io.Discard, false)
		e.status(&st)
		if err := e.flush(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStatusJSON(b *testing.B) {
	h := newPages(&fakeSource{status: bigStatus(1000, 10)}, NewMetrics(""), quiet()).public()
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(&countingWriter{header: http.Header{}}, httptest.NewRequest("GET", "/api/v1/status", nil))
	}
}

func BenchmarkObserveCheck(b *testing.B) {
	m := NewMetrics("")
	b.ReportAllocs()
	for b.Loop() {
		m.ObserveCheck("web", 0.01)
	}
}

type countingWriter struct {
	header http.Header
	n      int64
}

func (w *countingWriter) Header() http.Header { return w.header }
func (w *countingWriter) WriteHeader(int)     {}
func (w *countingWriter) Write(p []byte) (int, error) {
	w.n += int64(len(p))
	return len(p), nil
}
