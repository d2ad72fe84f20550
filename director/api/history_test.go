package api

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director"
)

// told is what /api/v1/history says.
type told struct {
	Interval float64     `json:"interval_seconds"`
	Times    []time.Time `json:"times"`
	Virtuals []struct {
		Name  string `json:"name"`
		Reals []struct {
			Address  string    `json:"address"`
			Active   []*uint32 `json:"active"`
			Inactive []*uint32 `json:"inactive"`
		} `json:"reals"`
	} `json:"virtuals"`
}

func mustHistory(t *testing.T, p *pages) (h told) {
	t.Helper()
	rec := httptest.NewRecorder()
	p.public().ServeHTTP(rec, httptest.NewRequest("GET", "/api/v1/history", nil))
	if err := json.Unmarshal(rec.Body.Bytes(), &h); err != nil {
		t.Fatalf("%v in %s", err, rec.Body)
	}
	return h
}

func TestHistory(t *testing.T) {
	p := newPages(&fakeSource{}, NewMetrics(""), quiet())
	if h := mustHistory(t, p); h.Interval != 10 || h.Times == nil || h.Virtuals == nil {
		t.Errorf("an empty history is %+v", h)
	}

	at := testTime
	see := func(st director.Status) {
		p.feed.sample(at, func() director.Loads { return director.LoadsOf(&st) })
		p.feed.sample(at.Add(sampleEvery-time.Millisecond), func() director.Loads { return director.LoadsOf(&st) }) // too early
		at = at.Add(sampleEvery)
	}
	for i := range maxSamples + 5 {
		st := plainStatus()
		st.Virtuals[0].Reals[0].Active = uint32(i)
		switch i {
		case maxSamples:
			st.Kernel.ReadError = "no kernel"
		case maxSamples + 3: // the file changes: one leaves, one comes, the order is another
			st.Virtuals[0].Reals = append(slices.Clone(st.Virtuals[0].Reals[:1]), director.RealStatus{Address: "192.168.0.103:80", Active: 5, Inactive: 6})
			slices.Reverse(st.Virtuals)
		case maxSamples + 4:
			st.Virtuals[0].Reals = append(slices.Clone(st.Virtuals[0].Reals[:1]), director.RealStatus{Address: "192.168.0.103:80", Active: 7, Inactive: 8})
		}
		see(st)
	}
	h := mustHistory(t, p)
	if len(h.Times) != maxSamples || !h.Times[0].Equal(testTime.Add(5*sampleEvery)) {
		t.Errorf("%d times from %v", len(h.Times), h.Times[0])
	}
	if len(h.Virtuals) != 2 || h.Virtuals[0].Name != "web" || len(h.Virtuals[0].Reals) != 2 {
		t.Fatalf("virtual services %+v", h.Virtuals)
	}
	numbers := func(list []*uint32) (out []int) {
		for _, n := range list {
			if n == nil {
				out = append(out, -1)
			} else {
				out = append(out, int(*n))
			}
		}
		return out
	}
	var first, second []int
	for i := 5; i < maxSamples+5; i++ {
		first, second = append(first, i), append(second, -1)
	}
	first[maxSamples-5] = -1
	second[maxSamples-2], second[maxSamples-1] = 5, 7
	if diff := cmp.Diff(first, numbers(h.Virtuals[0].Reals[0].Active)); diff != "" {
		t.Errorf("the first (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(second, numbers(h.Virtuals[0].Reals[1].Active)); diff != "" {
		t.Errorf("the new one (-want +got):\n%s", diff)
	}
	if got := numbers(h.Virtuals[0].Reals[1].Inactive); got[maxSamples-1] != 8 {
		t.Errorf("inactive %v", got)
	}
}

// Ten minutes of 10,000 real servers stay within the memory that history.go
// says: what the file says is shared, and a count has four bytes.
func TestHistoryMemory(t *testing.T) {
	st := bigStatus(1000, 10)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var s samples
	before := heap()
	for i := range 2 * maxSamples {
		s.sample(testTime.Add(time.Duration(i)*sampleEvery), func() director.Loads { return director.LoadsOf(&st) })
	}
	took := int64(heap() - before)
	runtime.KeepAlive(&s)
	runtime.KeepAlive(&st)
	if took > 6<<20 {
		t.Errorf("%d bytes", took)
	}
	t.Logf("%d bytes", took)
}

func BenchmarkHistory(b *testing.B) {
	st := bigStatus(1000, 10)
	p := newPages(&fakeSource{}, NewMetrics(""), quiet())
	for i := range maxSamples {
		p.feed.sample(testTime.Add(time.Duration(i)*sampleEvery), func() director.Loads { return director.LoadsOf(&st) })
	}
	var body bytes.Buffer
	for b.Loop() {
		rec := httptest.NewRecorder()
		rec.Body = &body
		body.Reset()
		p.history(rec, httptest.NewRequest("GET", "/api/v1/history", nil))
	}
	b.ReportMetric(float64(body.Len()), "bytes")
}

func BenchmarkDifference(b *testing.B) {
	before, now := bigStatus(1000, 10), bigStatus(1000, 10)
	for v := range now.Virtuals {
		for r := range now.Virtuals[v].Reals {
			now.Virtuals[v].Reals[r].Active++
		}
	}
	for b.Loop() {
		d := difference(&before, &now)
		frame := appendEvent(nil, "figures", 0, Figures{Reals: d.figures})
		b.ReportMetric(float64(len(frame)), "bytes")
	}
}
