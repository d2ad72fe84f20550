package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
)

// web answers on [http] listen. move opens the port, run answers.
type web struct {
	handler http.Handler
	log     *slog.Logger
	wake    chan struct{} // capacity 1: want has changed

	mu   sync.Mutex
	want *endpoint // nil: nothing is listened on
}

// endpoint is one open port.
type endpoint struct {
	addr  string // as in the file
	ln    net.Listener
	http  *http.Server
	taken bool // run answers there and will close it; under web.mu
}

// newWeb makes a web that listens on nothing yet.
func newWeb(h http.Handler, log *slog.Logger) *web {
	return &web{handler: h, log: log, wake: make(chan struct{}, 1)}
}

// move opens addr instead of what was open; "" only closes. It may be called
// before and during run, and changes nothing when it fails. The new port is
// open before the old one is closed, unless they exclude each other (the same
// port on one address and on all): then there is a moment without.
func (w *web) move(addr string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.want
	if old == nil && addr == "" || old != nil && old.addr == addr {
		return nil
	}
	next, err := w.open(addr, old)
	if err != nil {
		return err
	}
	w.want = next
	if old != nil && !old.taken {
		_ = old.ln.Close() // nobody was answered there
	}
	w.poke()
	return nil
}

// open opens addr, taking old's port away from it where that is in the way.
func (w *web) open(addr string, old *endpoint) (*endpoint, error) {
	if addr == "" {
		return nil, nil
	}
	ln, err := listenTCP(addr)
	if errors.Is(err, syscall.EADDRINUSE) && old != nil && samePort(addr, old.addr) {
		_ = old.ln.Close()
		if ln, err = listenTCP(addr); err != nil {
			w.reopen(old)
		}
	}
	if err != nil {
		return nil, err
	}
	return w.endpoint(addr, ln), nil
}

// reopen brings back a port that was closed for one that couldn't be opened.
func (w *web) reopen(old *endpoint) {
	w.want = nil
	if ln, err := listenTCP(old.addr); err != nil {
		w.log.Error("http off", "listen", old.addr, "err", err)
	} else {
		w.want = w.endpoint(old.addr, ln)
	}
	w.poke()
}

func (w *web) endpoint(addr string, ln net.Listener) *endpoint {
	return &endpoint{addr: addr, ln: ln, http: newHTTP(w.handler, w.log)}
}

// addr is the address that is listened on, nil where there is none.
func (w *web) addr() net.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.want == nil {
		return nil
	}
	return w.want.ln.Addr()
}

// run answers until ctx ends, then lets running requests finish for a second.
// A port that breaks while it is used ends it with an error.
func (w *web) run(ctx context.Context) error {
	var (
		now   *endpoint
		fails = make(chan error, 1)
		group sync.WaitGroup
	)
	defer group.Wait()
	stop := func(e *endpoint) {
		if e != nil {
			group.Go(func() { stopHTTP(e.http) })
		}
	}
	w.poke() // move may have been called before
	for {
		select {
		case <-ctx.Done():
			w.close()
			stop(now)
			return nil
		case err := <-fails:
			w.close()
			stop(now)
			return err
		case <-w.wake:
			next := w.take()
			if next == now {
				continue
			}
			if next != nil {
				w.log.Info("http on", "listen", next.ln.Addr().String())
				group.Go(func() { w.serve(next, fails) })
			}
			stop(now)
			now = next
		}
	}
}

func (w *web) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take returns what is to be answered on; from now on run closes it.
func (w *web) take() *endpoint {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.want != nil {
		w.want.taken = true
	}
	return w.want
}

// close closes a port that run hadn't seen yet.
func (w *web) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.want != nil && !w.want.taken {
		_ = w.want.ln.Close()
	}
	w.want = nil
}

func (w *web) serve(e *endpoint, fails chan<- error) {
	err := e.http.Serve(e.ln)
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return // by us
	}
	select {
	case fails <- fmt.Errorf("http on %s: %v", e.addr, err):
	default:
	}
}

// newHTTP is an http.Server with this package's limits.
func newHTTP(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // mostly clients' mistakes
	}
}

// stopHTTP closes the port at once and the connections when their requests are
// answered, at the latest after stopTimeout.
func stopHTTP(h *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := h.Shutdown(ctx); err != nil {
		_ = h.Close()
	}
}
