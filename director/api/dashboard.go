package api

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
)

// The dashboard is what these files say: nothing is built, and nothing comes
// from elsewhere.
//
//go:embed dashboard
var dashboardFiles embed.FS

// contentPolicy lets the page load its own files and nothing else, whatever a
// name or a reason may smuggle into it.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// kinds are the files' types; a machine's own list may have others.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// asset is one file of the dashboard.
type asset struct {
	kind, tag     string
	plain, zipped []byte
}

var assets = sync.OnceValue(func() map[string]asset {
	entries, err := dashboardFiles.ReadDir("dashboard")
	if err != nil {
		panic("api: " + err.Error())
	}
	out := make(map[string]asset, len(entries))
	for _, e := range entries {
		plain, err := dashboardFiles.ReadFile("dashboard/" + e.Name())
		if err != nil {
			panic("api: " + err.Error())
		}
		out[e.Name()] = newAsset(e.Name(), plain)
	}
	return out
})

func newAsset(name string, plain []byte) asset {
	var zipped bytes.Buffer
	z, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		panic("api: " + err.Error())
	}
	_, _ = z.Write(plain) // a buffer takes all
	_ = z.Close()
	return asset{
		kind: kinds[path.Ext(name)], tag: fmt.Sprintf(`W/"%.16x"`, sha256.Sum256(plain)), // weak: one for both encodings
		plain: plain, zipped: zipped.Bytes(),
	}
}

// index answers with the dashboard's page.
func (p *pages) index(w http.ResponseWriter, r *http.Request) { serveAsset(w, r, "index.html") }

// asset answers with another file of the dashboard.
func (p *pages) asset(w http.ResponseWriter, r *http.Request) { serveAsset(w, r, r.PathValue("file")) }

func serveAsset(w http.ResponseWriter, r *http.Request, name string) {
	a, ok := assets()[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // ask each time whether it is another one
	h.Set("ETag", a.tag)
	h.Add("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("If-None-Match"), a.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := a.plain
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		body = a.zipped
	}
	_, _ = io.Copy(w, bytes.NewReader(body)) // the client went; nobody else minds
}
