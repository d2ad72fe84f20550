package api

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director"
)

func TestPages(t *testing.T) {
	waiting := testStatus()
	waiting.Kernel.Programmed = false
	for range 10 {
		waiting.Virtuals[0].Reals = append(waiting.Virtuals[0].Reals, director.RealStatus{Address: "10.0.0.1:80", State: director.StateUnknown})
	}
	well := &fakeSource{ready: true, active: true, status: testStatus()}
	tests := []struct {
		name, method, path string
		source             *fakeSource
		code               int
		body               string
	}{
		{"unknown path", "GET", "/nothing", well, 404, "404 page not found\n"},
		{"below the index", "GET", "/metrics/", well, 404, "404 page not found\n"},
		{"healthy", "GET", "/healthz", well, 200, "ok\n"},
		{"healthy, HEAD", "HEAD", "/healthz", well, 200, "ok\n"},
		{"a loop hangs", "GET", "/healthz", &fakeSource{hung: []string{"director", "checker"}}, 503, "hangs: director, checker\n"},
		{"ready", "GET", "/readyz", well, 200, "ready\n"},
		{
			"not ready", "GET", "/readyz", &fakeSource{status: waiting}, 503,
			"not ready: the kernel isn't programmed yet; " + strings.Repeat("no verdict yet on 10.0.0.1:80 of web; ", 5) + "and on 6 more real servers\n",
		},
		{
			"not ready for an error", "GET", "/readyz", &fakeSource{status: director.Status{Kernel: director.KernelStatus{Error: "no module ip_vs"}}}, 503,
			"not ready: the kernel isn't programmed: no module ip_vs\n",
		},
		{"ready meanwhile", "GET", "/readyz", &fakeSource{status: director.Status{Kernel: director.KernelStatus{Programmed: true}}}, 503, "not ready: nothing more; ask again\n"},
		{"active", "GET", "/active", well, 200, "active\n"},
		{"standby", "GET", "/active", &fakeSource{}, 503, "standby\n"},
		{"POST", "POST", "/api/v1/status", well, 405, "nothing can be changed here; use the ipvsd command (control socket)\n"},
		{"DELETE of an unknown path", "DELETE", "/nothing", well, 405, "nothing can be changed here; use the ipvsd command (control socket)\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			newPages(tt.source, NewMetrics("1.2.3"), quiet()).public().ServeHTTP(rec, httptest.NewRequest(tt.method, tt.path, nil))
			if rec.Code != tt.code {
				t.Errorf("status %d, want %d", rec.Code, tt.code)
			}
			if diff := cmp.Diff(tt.body, rec.Body.String()); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if rec.Code == 405 && rec.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("Allow is %q", rec.Header().Get("Allow"))
			}
		})
	}
}

func TestStatusJSON(t *testing.T) {
	want := testStatus()
	want.Virtuals[1].Name = "plain"
	p := newPages(&fakeSource{status: want}, NewMetrics(""), quiet()).public()
	rec := httptest.NewRecorder()
	p.ServeHTTP(rec, httptest.NewRequest("GET", "/api/v1/status", nil))
	if ct := rec.Header().Get("Content-Type"); ct != "application/json" {
		t.Errorf("content type %q", ct)
	}
	var got director.Status
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}

	req := httptest.NewRequest("GET", "/api/v1/status", nil)
	req.Header.Set("Accept-Encoding", "br, gzip;q=0.5")
	packed := httptest.NewRecorder()
	p.ServeHTTP(packed, req)
	z, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rec.Body.String(), string(text)); diff != "" {
		t.Errorf("gzip differs (-plain +gzip):\n%s", diff)
	}
}

// Lists are never null: scripts iterate over them.
func TestStatusJSONEmpty(t *testing.T) {
	rec := httptest.NewRecorder()
	source := &fakeSource{status: director.Status{Virtuals: []director.VirtualStatus{{Name: "web"}}}}
	newPages(source, NewMetrics(""), quiet()).public().ServeHTTP(rec, httptest.NewRequest("GET", "/api/v1/status", nil))
	for _, want := range []string{`"reals":[]`, `"addresses":[]`, `"drifts":{}`, `"reloads":{}`} {
		if !strings.Contains(rec.Body.String(), want) {
			t.Errorf("no %s in %s", want, rec.Body)
		}
	}
}

func TestBusy(t *testing.T) {
	source := &fakeSource{block: make(chan struct{})}
	p := newPages(source, NewMetrics(""), quiet())
	h := p.public()
	answered := make(chan struct{})
	for range maxStatuses {
		go func() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil))
			answered <- struct{}{}
		}()
	}
	for len(p.slots) < maxStatuses {
		runtime.Gosched()
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
		t.Errorf("status %d, headers %v", rec.Code, rec.Header())
	}
	rec = httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", "/healthz", nil))
	if rec.Code != http.StatusOK {
		t.Errorf("healthz is %d while scrapes hang", rec.Code)
	}
	close(source.block)
	for range maxStatuses {
		<-answered
	}
}

func TestAcceptsGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "deflate, gzip": true, "GZIP ; q=1.0": true, "gzip;q=0": false, "gzip; q=0.000": false, "gzip;q=0.001": true, "br": false, "xgzip": false,
	} {
		if got := acceptsGzip(header); got != want {
			t.Errorf("acceptsGzip(%q) = %v", header, got)
		}
	}
}
