package api

import (
	"context"
	"log/slog"
	"net"
	"net/http"
)

// Options says where to listen.
type Options struct {
	Log    *slog.Logger
	Socket string // the control socket; "": DefaultSocket
	HTTP   string // [http] listen; "": off

	Journal Journal // what the dashboard tells of the past; nil: nothing
}

// Server is the control socket and the HTTP port. [Listen] opens both, so that
// a failure is told before the start is reported; Run answers.
type Server struct {
	control *control
	web     *web
	feed    *feed
}

// Listen opens the control socket and the port. Another living director is an
// error that names its process.
func Listen(source Source, metrics *Metrics, o Options) (*Server, error) {
	if o.Socket == "" {
		o.Socket = DefaultSocket
	}
	p := newPages(source, metrics, o.Log)
	p.feed.journal = o.Journal
	s := &Server{control: newControl(o.Socket, p), web: newWeb(p.public(), o.Log), feed: p.feed}
	if err := s.control.listen(); err != nil {
		return nil, err
	}
	if err := s.web.move(o.HTTP); err != nil {
		s.control.close()
		return nil, err
	}
	return s, nil
}

// Move answers on another address from now on; "" is off. It changes nothing
// when it fails, and may be called during Run.
func (s *Server) Move(addr string) error { return s.web.move(addr) }

// Addr is the address of the HTTP port, nil where it is off.
func (s *Server) Addr() net.Addr { return s.web.addr() }

// Handle adds a verb to the control socket, such as "POST /v1/drain". It must
// be called before Run.
func (s *Server) Handle(pattern string, h http.Handler) { s.control.mux.Handle(pattern, h) }

// Run answers until ctx ends, then lets running requests finish for a second,
// closes both and removes the socket. One that breaks ends the other.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ends := make(chan error, 2)
	go s.feed.run(ctx)
	go func() { ends <- s.control.run(ctx) }()
	go func() { ends <- s.web.run(ctx) }()
	first := <-ends
	cancel()
	second := <-ends
	<-s.feed.ended
	if first != nil {
		return first
	}
	return second
}
