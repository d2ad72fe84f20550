package main

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/director/ipvs"
	"github.com/ipvsd/ipvsd/test/lab"
)

// benchDeath kills the web server and times how long it stays in: in all, and
// after the check that failed, which is over when the refusal (RST) arrives.
func benchDeath(b *bench) {
	s := b.site()
	kernel := s.kernel()
	web := s.node.Web(":80", "web")
	web.Page(page, 200, "Test Page\n")

	p := s.ipvsd(small)
	after, total := s.deaths(kernel, p, web, rounds)
	s.end(p)
	b.report.row(row{
		what: "dead server out, after its failed check", ours: ms(after), bar: "≤ 50 ms", pass: after <= 50*time.Millisecond,
	})

	many := small
	many.extra = offServices(s)
	p = s.ipvsd(many)
	afterBig, _ := s.deaths(kernel, p, web, rounds)
	s.end(p)
	b.report.row(row{
		what: "  beside 1,000 × 10", ours: ms(afterBig), bar: "≤ 50 ms", pass: afterBig <= 50*time.Millisecond,
	})

	p = s.keepalived(small)
	kaAfter, ka := s.deaths(kernel, p, web, 3)
	s.end(p)
	p = s.ldirectord(small)
	ldAfter, ld := s.deaths(kernel, p, web, 3)
	s.end(p)
	for _, peer := range []struct {
		name         string
		after, total time.Duration
	}{{"keepalived", kaAfter, ka}, {"ldirectord", ldAfter, ld}} {
		b.report.row(row{what: "  after its failed check", ours: ms(after), peer: peer.name + " " + ms(peer.after), ratio: quotient(after, peer.after)})
		b.report.row(row{what: "  from its death, checked every 2 s", ours: ms(total), peer: peer.name + " " + ms(peer.total), ratio: quotient(total, peer.total)})
	}
}

// offServices are 1,000 × 10 more that nobody checks.
func offServices(s *site) string {
	var b strings.Builder
	for i := range big.virtuals {
		at := big.vip(i + 1)
		fmt.Fprintf(&b, "[[virtual]]\naddress = %q\nscheduler = \"rr\"\nforward = \"nat\"\n[virtual.check]\ntype = \"on\"\n", at)
		for j := range big.reals {
			fmt.Fprintf(&b, "[[virtual.real]]\naddress = %q\n", big.real(i+10, j))
		}
	}
	return b.String()
}

// deaths kills the web server n times and returns the median times. Both real
// servers are the same web server: the first that is out counts.
func (s *site) deaths(kernel *ipvs.Table, p *lab.Proc, web *lab.Web, n int) (after, total time.Duration) {
	var afters, totals []time.Duration
	in := func() bool { return s.serving(kernel, small.key(0)) == 2 }
	for i := 0; len(afters) < n; i++ {
		if i > 3*n {
			s.b.stage.Fatalf("out without a refused check, again and again\n%s", p.Output())
		}
		s.within(60*time.Second, "real servers in", time.Now(), in)
		// At any moment of the interval.
		time.Sleep(small.interval/2 + time.Duration(i)*small.interval/time.Duration(n))
		frames := s.listen()
		start := time.Now()
		web.Close()
		out := start.Add(s.within(30*time.Second, "the dead server out", start, func() bool { return s.serving(kernel, small.key(0)) < 2 }))
		web.Reopen()
		failed := s.firstRefusal(frames)
		if failed.IsZero() || failed.After(out) {
			continue // the death broke off a check that was under way
		}
		totals = append(totals, out.Sub(start))
		afters = append(afters, out.Sub(failed))
	}
	return median(afters), median(totals)
}

// listen opens a packet socket that keeps what comes to the director with the
// kernel's time of arrival, until somebody reads it.
func (s *site) listen() (fd int) {
	s.b.stage.must(s.director.Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
			return err
		}
		const ip = unix.ETH_P_IP>>8 | unix.ETH_P_IP&0xff<<8 // in network order
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: ip})
	}))
	return fd
}

// firstRefusal closes the socket and returns when the first RST from port 80
// came; zero: there was none.
func (s *site) firstRefusal(fd int) time.Time {
	defer unix.Close(fd)
	frame, control := make([]byte, 2048), make([]byte, 128)
	for {
		n, k, _, _, err := unix.Recvmsg(fd, frame, control, 0)
		if err != nil {
			return time.Time{}
		}
		messages, err := unix.ParseSocketControlMessage(control[:k])
		s.b.stage.must(err)
		if !refusal(frame[:n]) || len(messages) == 0 {
			continue
		}
		var at unix.Timespec
		_, err = binary.Decode(messages[0].Data, binary.NativeEndian, &at)
		s.b.stage.must(err)
		return time.Unix(at.Unix())
	}
}

// refusal tells whether a frame is a RST from port 80.
func refusal(f []byte) bool {
	const ethernet, tcp, rst = 14, 6, 4
	if len(f) < ethernet+40 || f[ethernet+9] != tcp {
		return false
	}
	segment := f[ethernet+4*int(f[ethernet]&15):]
	return len(segment) >= 20 && binary.BigEndian.Uint16(segment) == 80 && segment[13]&rst != 0
}
