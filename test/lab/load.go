package lab

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

// LoadOption changes how a Load asks.
type LoadOption func(*Load)

// Every sets the time between two requests; 20 ms without it.
func Every(d time.Duration) LoadOption { return func(l *Load) { l.every = d } }

// Deadline sets the time a request may take, from its connect to its answer; 1 s without it.
func Deadline(d time.Duration) LoadOption { return func(l *Load) { l.deadline = d } }

// Late sets after what time a good answer counts as none for the report's outage: somebody who waits that long has seen
// one. Without it every good answer is in time.
func Late(d time.Duration) LoadOption { return func(l *Load) { l.late = d } }

// Load is a client that opens a new connection for every request and never waits for an earlier one.
type Load struct {
	host     *Host
	url      *url.URL
	target   string // address and port
	every    time.Duration
	deadline time.Duration
	late     time.Duration // 0: never
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu      sync.Mutex
	samples []sample
	sent    int
	changed chan struct{} // capacity 1
}

// Load starts a client of http://, https:// (any certificate will do), tcp://, udp:// or sctp://; the host part is an IP
// address. For the last three it sends a line to an [Echo] and takes the first word of the answer for the server's name.
// It runs until Stop or the test's end.
func (h *Host) Load(rawURL string, opts ...LoadOption) *Load {
	h.t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		h.t.Fatalf("lab: load: %v", err)
	}
	l := &Load{
		host: h, url: u, target: u.Host, every: 20 * time.Millisecond, deadline: time.Second,
		changed: make(chan struct{}, 1),
	}
	if u.Port() == "" {
		l.target = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	for _, o := range opts {
		o(l)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.wg.Go(func() { l.run(ctx) })
	h.t.Cleanup(func() { l.Stop() })
	return l
}

func (l *Load) run(ctx context.Context) {
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for {
		l.mu.Lock()
		l.sent++
		l.mu.Unlock()
		l.wg.Go(l.one)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// one makes one request. Its deadline is its own: a request that was sent before Stop gets its full time.
func (l *Load) one() {
	ctx, cancel := context.WithTimeout(context.Background(), l.deadline)
	defer cancel()
	s := sample{start: time.Now()}
	s.server, s.err = l.host.ask(ctx, l.url, l.target)
	l.mu.Lock()
	s.end = time.Now() // under the lock: a report up to now misses nothing that ended before
	l.samples = append(l.samples, s)
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// Stop sends no more requests, waits for those on the way and reports.
func (l *Load) Stop() Report {
	l.cancel()
	l.wg.Wait()
	return l.Report()
}

// Report is the state of affairs; requests on the way are counted as sent only.
func (l *Load) Report() Report {
	l.mu.Lock()
	sent, samples := l.sent, l.samples // what is in there doesn't change any more
	l.mu.Unlock()
	return l.report(sent, samples, time.Time{})
}

// Between reports the requests that ended after from and not after to. Reports of times that meet share no request and miss
// none; an outage begins in the report before if the last good answer was there.
func (l *Load) Between(from, to time.Time) Report {
	l.mu.Lock()
	samples := l.samples
	l.mu.Unlock()
	var in []sample
	var lastGood time.Time
	for _, s := range samples {
		switch {
		case s.end.After(to):
		case s.end.After(from):
			in = append(in, s)
		case s.err == nil && !l.tooLate(s) && s.start.After(lastGood):
			lastGood = s.start
		}
	}
	return l.report(len(in), in, lastGood)
}

// WaitFor waits until ok holds for the report and returns whether it did in time. It looks after every answer, 10 times a
// second at most.
func (l *Load) WaitFor(ok func(Report) bool, timeout time.Duration) bool {
	end := time.NewTimer(timeout)
	defer end.Stop()
	for {
		if ok(l.Report()) {
			return true
		}
		select {
		case <-end.C:
			return ok(l.Report())
		case <-time.After(100 * time.Millisecond):
		}
		select {
		case <-end.C:
			return ok(l.Report())
		case <-l.changed:
		}
	}
}

// Get asks once for a URL as a Load does and returns the server's name: for a quick look at who answers.
func (h *Host) Get(rawURL string, timeout time.Duration) (string, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", err
	}
	target := u.Host
	if u.Port() == "" {
		target = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return h.ask(ctx, u, target)
}

// ask does one request on a fresh connection and returns who answered.
func (h *Host) ask(ctx context.Context, u *url.URL, target string) (string, error) {
	network := u.Scheme
	if strings.HasPrefix(network, "http") {
		network = "tcp"
	}
	ap, err := netip.ParseAddrPort(target)
	if err != nil {
		return "", err
	}
	conn, err := h.connect(ctx, network, ap)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if d, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(d)
	}
	var name string
	switch u.Scheme {
	case "http":
		name, err = askHTTP(conn, u)
	case "https":
		name, err = askHTTP(tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: u.Hostname()}), u)
	default:
		name, err = askEcho(conn)
	}
	return name, shorten(err)
}

// shorten takes the addresses out of an error: they are the same in every line of a report, or random.
func shorten(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return err
}

// askHTTP does without http.Transport and its two goroutines a connection: the lab has one slow processor.
func askHTTP(conn net.Conn, u *url.URL) (string, error) {
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
		u.RequestURI(), u.Host); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return "", err
	}
	name := resp.Header.Get("X-Server")
	if name == "" { // not a Web of ours; its page shall be its name
		name = strings.TrimSpace(string(body))
	}
	if resp.StatusCode != http.StatusOK {
		return name, fmt.Errorf("status %d from %s", resp.StatusCode, name)
	}
	return name, nil
}

func askEcho(conn net.Conn) (string, error) {
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		return "", err
	}
	buf := make([]byte, 2048)
	n, err := conn.Read(buf)
	if err != nil {
		return "", err
	}
	name, rest, _ := strings.Cut(strings.TrimSpace(string(buf[:n])), " ")
	if rest != "hello" {
		return name, fmt.Errorf("odd answer %q", buf[:n])
	}
	return name, nil
}
