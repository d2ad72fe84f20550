package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/director/ipvs"
	"github.com/ipvsd/ipvsd/director/table"
	"github.com/ipvsd/ipvsd/test/lab"
)

// small is the set-up of the Debian tutorial: two web servers, a check every 2 s.
var small = plan{virtuals: 1, reals: 2, check: "http", interval: 2 * time.Second, timeout: time.Second}

// benchStart times the way from exec to READY, and to traffic.
func benchStart(b *bench) {
	s := b.site()
	s.web()
	kernel := s.kernel()
	in := func() bool { return s.serving(kernel, small.key(0)) == 2 }
	var ready, served []time.Duration
	for range rounds {
		_ = os.RemoveAll(filepath.Join(s.dir, "state"))
		r, start, p := s.untilReady(small)
		ready = append(ready, r)
		served = append(served, s.within(20*time.Second, "real servers in", start, in))
		s.end(p)
	}
	r, d := best(ready), best(served)

	var peer []time.Duration
	for range rounds {
		start := time.Now()
		p := s.keepalived(small)
		peer = append(peer, s.within(20*time.Second, "keepalived's real servers in", start, in))
		s.end(p)
	}
	ka := best(peer)
	start := time.Now()
	p := s.ldirectord(small)
	ld := s.within(60*time.Second, "ldirectord's real servers in", start, in)
	s.end(p)

	b.report.row(row{
		what: "start to READY, 2 real servers (the bar is for iron)", ours: ms(r), bar: "≤ 300 ms", pass: r <= 300*time.Millisecond,
	})
	b.report.row(row{what: "  to both checked and in", ours: ms(d), peer: "keepalived " + ms(ka), ratio: quotient(d, ka)})
	b.report.row(row{what: "", ours: ms(d), peer: "ldirectord " + ms(ld), ratio: quotient(d, ld)})

	large := big
	large.check, large.interval, large.timeout = "off", time.Minute, time.Second
	_ = os.RemoveAll(filepath.Join(s.dir, "state"))
	r, _, p = s.untilReady(large)
	s.end(p)
	b.report.row(row{what: "  to READY, 1,000 × 10 from empty", ours: ms(r)})
}

// untilReady starts the director and waits for its READY.
func (s *site) untilReady(p plan) (took time.Duration, start time.Time, _ *lab.Proc) {
	path := filepath.Join(s.dir, "notify")
	_ = os.Remove(path)
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	s.b.stage.must(err)
	defer conn.Close()
	s.b.stage.must(conn.SetReadDeadline(time.Now().Add(30 * time.Second)))
	cmd := s.director.Command(context.Background(), s.ipvsdArgs(s.ipvsdFile(p))...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path)
	start = time.Now()
	proc := s.director.StartCmd(cmd)
	text := make([]byte, 1024)
	for {
		n, err := conn.Read(text)
		if err != nil {
			s.b.stage.Fatalf("no READY: %v\n%s", err, proc.Output())
		}
		if strings.Contains(string(text[:n]), "READY=1") {
			return time.Since(start), start, proc
		}
	}
}

// serving is how many real servers of a virtual service get new connections.
func (s *site) serving(kernel *ipvs.Table, k table.ServiceKey) int {
	have, err := kernel.Read(context.Background(), k)
	s.b.stage.must(err)
	n := 0
	for _, r := range have.State[k].Reals {
		if r.Weight > 0 {
			n++
		}
	}
	return n
}

// look is how often the table is looked at: what is timed by it is late by that
// much at most.
const look = 2 * time.Millisecond

// within waits until ok holds and returns how long that was after since.
func (s *site) within(limit time.Duration, what string, since time.Time, ok func() bool) time.Duration {
	return s.b.within(limit, what, since, ok)
}

func (b *bench) within(limit time.Duration, what string, since time.Time, ok func() bool) time.Duration {
	for deadline := time.Now().Add(limit); ; time.Sleep(look) {
		if ok() {
			return time.Since(since)
		}
		if time.Now().After(deadline) {
			b.stage.Fatalf("%s: not within %s", what, limit)
		}
	}
}
