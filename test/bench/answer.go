package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	mathbig "math/big"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// answer is a process that answers checks of several protocols, each as a
// healthy server would, on all addresses of this host. It notes when each of
// its addresses was asked: how late checks come is measured where they arrive,
// alike for all directors.
//
// The first line of its output has the ports by protocol. "lo" keeps it to the
// loopback device and takes free ports; else they are the protocols' own.
func answer(args []string) {
	a := &answerer{local: len(args) > 0 && args[0] == "lo", last: map[netip.Addr]time.Time{}}
	if err := a.serve(); err != nil {
		fmt.Fprintf(os.Stderr, "answer: %v\n", err)
		os.Exit(1)
	}
}

type answerer struct {
	local bool

	mu   sync.Mutex
	last map[netip.Addr]time.Time
	came int // checks since the last question
	gaps []time.Duration
}

// dialogue answers over one connection.
type dialogue func(net.Conn, *bufio.Reader)

// ports of the protocols; connect has one where each connection is counted.
var ports = map[string]uint16{
	"http": 80, "connect": 7, "smtp": 25, "dns": 53, "redis": 6379, "pop": 110, "imap": 143, "udp": 9, "https": 443, "count": 81,
}

func (a *answerer) serve() error {
	cert, err := selfSigned()
	if err != nil {
		return err
	}
	dialogues := map[string]dialogue{
		"http": webAnswer, "connect": func(net.Conn, *bufio.Reader) {}, "smtp": smtpAnswer, "redis": redisAnswer,
		"pop": popAnswer, "imap": imapAnswer, "count": a.countAnswer,
		"https": func(c net.Conn, _ *bufio.Reader) {
			secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
			webAnswer(secure, bufio.NewReader(secure))
		},
	}
	own := map[string]uint16{}
	config := net.ListenConfig{Control: a.restrict}
	for name, talk := range dialogues {
		ln, err := config.Listen(context.Background(), "tcp4", a.listenOn(name))
		if err != nil {
			return err
		}
		own[name] = netip.MustParseAddrPort(ln.Addr().String()).Port()
		go a.accept(ln, name != "count", talk)
	}
	for name, reply := range map[string]func([]byte) []byte{"dns": dnsAnswer, "udp": func(b []byte) []byte { return b }} {
		conn, err := config.ListenPacket(context.Background(), "udp4", a.listenOn(name))
		if err != nil {
			return err
		}
		udp := conn.(*net.UDPConn)
		own[name] = netip.MustParseAddrPort(conn.LocalAddr().String()).Port()
		_ = udp.SetReadBuffer(4 << 20) // as much of it as the kernel grants
		if err := controlFD(udp, func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1) }); err != nil {
			return err
		}
		go a.datagrams(udp, reply)
	}
	if err := json.NewEncoder(os.Stdout).Encode(own); err != nil {
		return err
	}
	if a.local {
		_, _ = io.Copy(io.Discard, os.Stdin) // until who started it ends
		return nil
	}
	select {}
}

func (a *answerer) listenOn(name string) string {
	if a.local {
		return "0.0.0.0:0"
	}
	return fmt.Sprintf("0.0.0.0:%d", ports[name])
}

// restrict keeps a socket to the loopback device, whatever its address.
func (a *answerer) restrict(_, _ string, raw syscall.RawConn) error {
	if !a.local {
		return nil
	}
	var bindErr error
	err := raw.Control(func(fd uintptr) { bindErr = unix.BindToDevice(int(fd), "lo") })
	if err != nil {
		return err
	}
	return bindErr
}

func controlFD(c syscall.Conn, f func(fd int) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

func (a *answerer) accept(ln net.Listener, counts bool, talk dialogue) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			continue
		}
		if counts {
			a.arrived(conn.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap())
		}
		go func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			talk(conn, bufio.NewReaderSize(conn, 1<<10))
		}()
	}
}

func (a *answerer) datagrams(conn *net.UDPConn, reply func([]byte) []byte) {
	buf, oob := make([]byte, 2048), make([]byte, 128)
	for {
		n, k, _, from, err := conn.ReadMsgUDPAddrPort(buf, oob)
		if err != nil {
			continue
		}
		messages, err := unix.ParseSocketControlMessage(oob[:k])
		if err != nil || len(messages) == 0 || len(messages[0].Data) < unix.SizeofInet4Pktinfo {
			continue
		}
		to, _ := netip.AddrFromSlice(messages[0].Data[8:12]) // ipi_addr of struct in_pktinfo (ip(7))
		a.arrived(to)
		source := unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: to.As4()})
		_, _, _ = conn.WriteMsgUDPAddrPort(reply(buf[:n]), source, from)
	}
}

// arrived notes a check of the real server at addr.
func (a *answerer) arrived(addr netip.Addr) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.came++
	if before, ok := a.last[addr]; ok {
		a.gaps = append(a.gaps, now.Sub(before))
	}
	a.last[addr] = now
}

// arrivals is what countAnswer tells: of the checks since the last question.
type arrivals struct {
	Asked  int     // addresses that were ever asked
	Checks int     // that came
	P50    float64 // of the time between two checks of one, in seconds; 0: none was checked twice
	P99    float64
	Max    float64 // the time since the last one included
}

// countAnswer tells of the arrivals, and forgets them.
func (a *answerer) countAnswer(w net.Conn, _ *bufio.Reader) {
	now := time.Now()
	a.mu.Lock()
	gaps := a.gaps
	out := arrivals{Asked: len(a.last), Checks: a.came}
	a.gaps, a.came = nil, 0
	var open time.Duration
	for _, at := range a.last {
		open = max(open, now.Sub(at))
	}
	a.mu.Unlock()
	out.Max = open.Seconds()
	if len(gaps) > 0 {
		slices.Sort(gaps)
		out.P50, out.P99 = gaps[len(gaps)/2].Seconds(), gaps[len(gaps)*99/100].Seconds()
		out.Max = max(gaps[len(gaps)-1], open).Seconds()
	}
	_ = json.NewEncoder(w).Encode(out)
}

func webAnswer(w net.Conn, r *bufio.Reader) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if strings.TrimSpace(line) == "" {
			break
		}
	}
	const body = "Test Page of some web server\n"
	_, _ = fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
}

// lines answers each line by what reply says; "" ends the dialogue.
func lines(w net.Conn, r *bufio.Reader, greeting string, reply func(line string) (text string, end bool)) {
	_, _ = io.WriteString(w, greeting)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		text, end := reply(strings.TrimSpace(line))
		_, _ = io.WriteString(w, text)
		if end {
			return
		}
	}
}

func smtpAnswer(w net.Conn, r *bufio.Reader) {
	lines(w, r, "220 bench ESMTP\r\n", func(line string) (string, bool) {
		if strings.EqualFold(line, "QUIT") {
			return "221 bye\r\n", true
		}
		return "250 bench\r\n", false
	})
}

func popAnswer(w net.Conn, r *bufio.Reader) {
	lines(w, r, "+OK bench\r\n", func(line string) (string, bool) { return "+OK\r\n", strings.EqualFold(line, "QUIT") })
}

func imapAnswer(w net.Conn, r *bufio.Reader) {
	lines(w, r, "* OK bench\r\n", func(line string) (string, bool) {
		tag, verb, _ := strings.Cut(line, " ")
		if strings.EqualFold(verb, "LOGOUT") {
			return "* BYE\r\n" + tag + " OK\r\n", true
		}
		return tag + " OK\r\n", false
	})
}

func redisAnswer(w net.Conn, r *bufio.Reader) {
	lines(w, r, "", func(line string) (string, bool) {
		switch strings.ToUpper(line) {
		case "PING":
			return "+PONG\r\n", false
		case "QUIT":
			return "+OK\r\n", true
		}
		return "", false // the lengths of the protocol
	})
}

// dnsAnswer answers any question with 192.0.2.1 (RFC 1035 section 4).
func dnsAnswer(q []byte) []byte {
	if len(q) < 17 {
		return nil
	}
	end := 12
	for end < len(q) && q[end] != 0 {
		end += int(q[end]) + 1
	}
	if end += 5; end > len(q) {
		return nil
	}
	out := append([]byte(nil), q[:end]...)
	out[2], out[3] = 0x84|q[2]&1, 0
	binary.BigEndian.PutUint16(out[4:], 1)
	binary.BigEndian.PutUint16(out[6:], 1)
	binary.BigEndian.PutUint32(out[8:], 0)
	return append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1)
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: mathbig.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
