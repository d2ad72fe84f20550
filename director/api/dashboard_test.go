package api

import (
	"compress/gzip"
	"io"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func TestDashboard(t *testing.T) {
	h := newPages(&fakeSource{}, NewMetrics(""), quiet()).public()
	get := func(path string, header ...string) *httptest.ResponseRecorder {
		req := httptest.NewRequest("GET", path, nil)
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		return rec
	}
	page := get("/")
	if page.Code != 200 || page.Header().Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(page.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Fatalf("%d %v", page.Code, page.Header())
	}

	// Every file that the page names is there, with its type, and so are those
	// that its modules import.
	kinds := map[string]string{"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
	names := regexp.MustCompile(`(?:"dashboard/|from "\./)([a-z]+\.([a-z]+))"`)
	seen := map[string]bool{}
	queue := []string{page.Body.String()}
	for len(queue) > 0 {
		for _, m := range names.FindAllStringSubmatch(queue[0], -1) {
			if seen[m[1]] {
				continue
			}
			seen[m[1]] = true
			rec := get("/dashboard/" + m[1])
			if rec.Code != 200 || rec.Header().Get("Content-Type") != kinds[m[2]] {
				t.Errorf("%s: %d %v", m[1], rec.Code, rec.Header())
			}
			queue = append(queue, rec.Body.String())
		}
		queue = queue[1:]
	}
	for name := range assets() {
		if name != "index.html" && !seen[name] {
			t.Errorf("nobody needs %s", name)
		}
	}

	if rec := get("/", "If-None-Match", page.Header().Get("ETag")); rec.Code != 304 || rec.Body.Len() != 0 {
		t.Errorf("the same again: %d, %d bytes", rec.Code, rec.Body.Len())
	}
	if rec := get("/", "If-None-Match", `W/"other"`); rec.Code != 200 {
		t.Errorf("another one: %d", rec.Code)
	}
	z, err := gzip.NewReader(get("/", "Accept-Encoding", "gzip").Body)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(z); err != nil || string(text) != page.Body.String() {
		t.Errorf("gzip differs (%v)", err)
	}
	if rec := get("/dashboard/nothing.js"); rec.Code != 404 {
		t.Errorf("status %d", rec.Code)
	}
}

// The policy forbids what is written into a page's markup, and no file may
// parse a string as markup or code: names and reasons come from elsewhere.
func TestDashboardSafe(t *testing.T) {
	unsafe := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function|https?://[^w]|\sstyle=|\son[a-z]+=`)
	for name, a := range assets() {
		if found := unsafe.Find(a.plain); found != nil {
			t.Errorf("%s has %s", name, found)
		}
	}
}
