package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// benchScrape has Prometheus' question answered for 10,000 real servers, beside
// ipvsadm, which lists the same counters.
func benchScrape(b *bench) {
	const scrapes, together = 100, 8
	p := big
	p.check, p.interval, p.timeout, p.http = "on", time.Minute, time.Second, "127.0.0.1:9117"
	s := b.site()
	_, _, daemon := s.untilReady(p)
	lab.Eventually(b.stage, time.Minute, "all real servers are in", func() bool { return s.get(p, "/readyz") == nil })

	var ours, peer, alone, many []time.Duration
	b.stage.must(s.get(p, "/metrics"))
	before, _ := memory(daemon.PID())
	for i := range scrapes {
		ours = append(ours, b.timed(func() error { return s.get(p, "/metrics") }))
		if i%10 == 0 { // all along, so that a slow moment of the machine falls on both
			peer = append(peer, b.timed(s.list))
		}
	}
	after, high := memory(daemon.PID())
	for range rounds {
		alone = append(alone, b.timed(func() error { return s.get(p, "/metrics") }))
		many = append(many, b.timed(func() error { return s.getTogether(p, together) }))
	}
	_, crowd := memory(daemon.PID())

	o, l := best(ours), best(peer)
	b.report.row(row{
		what: "scrape 1,000 virtual services × 10 real servers", ours: ms(o), peer: "ipvsadm -Ln --stats " + ms(l),
		ratio: quotient(o, l), bar: "≤ 1.0 ×", pass: o <= l,
	})
	b.report.note("the best of %d; median %s, worst %s, ipvsadm's %s and %s; %d at once take as long as %.1f", scrapes, ms(median(ours)), ms(worst(ours)),
		ms(median(peer)), ms(worst(peer)), together, quotient(median(many), median(alone)))
	b.report.row(row{
		what: "  memory after 100 of them, to that after one", ours: fmt.Sprintf("%.0f MB", after), peer: fmt.Sprintf("before %.0f MB", before),
		ratio: quotient(after, before), bar: "≤ 1.25 ×", pass: after <= 1.25*before,
	})
	b.report.note("at most %.0f MB, with %d at once %.0f MB", high, together, crowd)
	s.end(daemon)
}

// get asks the daemon as Prometheus does: gzip is taken as it comes, because
// Prometheus unpacks it on another machine.
func (s *site) get(p plan, path string) error {
	client := http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				return s.director.Dial("tcp", p.http, 10*time.Second)
			},
		},
	}
	req, err := http.NewRequest(http.MethodGet, "http://"+p.http+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	return nil
}

// getTogether asks n times at once.
func (s *site) getTogether(p plan, n int) error {
	var all sync.WaitGroup
	errs := make(chan error, n)
	for range n {
		all.Go(func() { errs <- s.get(p, "/metrics") })
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// list has ipvsadm print what the scrape has.
func (s *site) list() error {
	out := s.director.Run("ipvsadm", "-Ln", "--stats", "--exact")
	if n := strings.Count(out, "->"); n < big.virtuals*big.reals {
		return fmt.Errorf("ipvsadm lists %d real servers", n)
	}
	return nil
}

// timed is how long f took; it must not fail.
func (b *bench) timed(f func() error) time.Duration {
	start := time.Now()
	b.stage.must(f())
	return time.Since(start)
}
