package lab

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
)

// Web is an HTTP server in a host, run by the test's own process. "/" answers with the server's name; so does every
// other path without a page of its own, but with 404. Every answer carries the name in the header X-Server.
type Web struct {
	Name string
	host *Host
	addr string
	cert *tls.Certificate

	mu     sync.Mutex
	pages  map[string]page
	counts map[string]int
	srv    *http.Server
	served chan struct{}
	hung   chan struct{} // closed by Close: ends hanging requests
}

type page struct {
	status int
	body   string
	hang   bool
}

// Web starts an HTTP server on addr, as ":80" or "192.0.2.1:80".
func (h *Host) Web(addr, name string) *Web {
	h.t.Helper()
	return h.web(&Web{Name: name, host: h, addr: addr})
}

// WebTLS starts an HTTPS server.
func (h *Host) WebTLS(addr, name string, cert tls.Certificate) *Web {
	h.t.Helper()
	return h.web(&Web{Name: name, host: h, addr: addr, cert: &cert})
}

func (h *Host) web(w *Web) *Web {
	h.t.Helper()
	w.pages = map[string]page{"/": {status: http.StatusOK, body: w.Name}}
	w.counts = map[string]int{}
	w.Reopen()
	h.t.Cleanup(w.Close)
	return w
}

// Page sets what a path answers.
func (w *Web) Page(path string, status int, body string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pages[path] = page{status: status, body: body}
}

// Hang makes a path accept requests and never answer, until Close or the client's end.
func (w *Web) Hang(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pages[path] = page{hang: true}
}

// Count is the number of requests for a path.
func (w *Web) Count(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts[path]
}

// Requests is the number of all requests.
func (w *Web) Requests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, c := range w.counts {
		n += c
	}
	return n
}

// Reopen listens again after a Close.
func (w *Web) Reopen() {
	w.host.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.srv != nil {
		return
	}
	l, err := w.host.Listen("tcp", w.addr)
	if err != nil {
		w.host.t.Fatalf("lab: %s: web server %s: %v", w.host.Name, w.Name, err)
	}
	if w.cert != nil {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{*w.cert}})
	}
	srv := &http.Server{Handler: w, ErrorLog: log.New(io.Discard, "", 0)}
	w.srv, w.served, w.hung = srv, make(chan struct{}), make(chan struct{})
	go func(l net.Listener, served chan struct{}) {
		defer close(served)
		_ = srv.Serve(l) // ErrServerClosed
	}(l, w.served)
}

// Close closes the listener and all connections: the next connection is refused.
func (w *Web) Close() {
	w.mu.Lock()
	srv, served := w.srv, w.served
	if srv != nil {
		close(w.hung)
	}
	w.srv = nil
	w.mu.Unlock()
	if srv == nil {
		return
	}
	_ = srv.Close()
	<-served
}

func (w *Web) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.counts[r.URL.Path]++
	p, ok := w.pages[r.URL.Path]
	hung := w.hung
	w.mu.Unlock()
	if !ok {
		p = page{status: http.StatusNotFound, body: w.Name}
	}
	if p.hang {
		select {
		case <-hung:
		case <-r.Context().Done():
		}
		return
	}
	rw.Header().Set("X-Server", w.Name)
	rw.Header().Set("Content-Type", "text/plain")
	rw.WriteHeader(p.status)
	fmt.Fprint(rw, p.body)
}
