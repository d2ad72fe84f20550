package checker

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// fileServer is a server of FTP with one file for anybody, or for anna with
// "p w" where closed.
type fileServer struct {
	file   string
	closed bool
	tls    *tls.Config // after AUTH TLS

	pasv func(port uint16) string // the answer to PASV; nil: a sound one
	data func(net.Conn)           // instead of sending the file
	end  string                   // instead of 226
}

func (f fileServer) serve(conn net.Conn) {
	l, err := net.Listen("tcp", netip.AddrPortFrom(netip.MustParseAddrPort(conn.LocalAddr().String()).Addr(), 0).String())
	if err != nil {
		return
	}
	defer l.Close()
	port := netip.MustParseAddrPort(l.Addr().String()).Port()
	f.talk(conn, l, port)
}

func (f fileServer) talk(conn net.Conn, l net.Listener, port uint16) {
	say := func(line string) { _, _ = io.WriteString(conn, line+"\r\n") }
	say("220-welcome\r\nhere\r\n220 ready")
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch line = strings.TrimRight(line, "\r\n"); {
		case line == "AUTH TLS" && f.tls != nil:
			say("234 go")
			up := tls.Server(conn, f.tls)
			if up.Handshake() != nil {
				return
			}
			conn, in = up, bufio.NewReader(up)
		case line == "PBSZ 0", line == "PROT P", line == "TYPE I":
			say("200 ok")
		case strings.HasPrefix(line, "USER "):
			say("331 password")
		case line == "PASS p w", strings.HasPrefix(line, "PASS ") && !f.closed:
			say("230 in")
		case line == "PASV":
			answer := fmt.Sprintf("227 Entering Passive Mode (10,99,99,99,%d,%d)", port>>8, port&255)
			if f.pasv != nil {
				answer = f.pasv(port)
			}
			say(answer)
		case line == "EPSV":
			say(fmt.Sprintf("229 Entering Extended Passive Mode (|||%d|)", port))
		case line == "RETR /pub/test":
			f.send(say, l)
		case line == "QUIT":
			say("221 bye")
			return
		default:
			say("550 no: " + line)
		}
	}
}

func (f fileServer) send(say func(string), l net.Listener) {
	_ = l.(*net.TCPListener).SetDeadline(time.Now().Add(5 * time.Second))
	data, err := l.Accept()
	if err != nil {
		say("425 no data connection")
		return
	}
	defer data.Close()
	say("150 here it comes")
	if f.tls != nil {
		up := tls.Server(data, f.tls)
		if up.Handshake() != nil {
			say("425 no TLS")
			return
		}
		data = up
	}
	if f.data != nil {
		f.data(data)
	} else {
		_, _ = io.WriteString(data, f.file)
	}
	_ = data.Close()
	say(or(f.end, "226 done"))
}

func TestFTP(t *testing.T) {
	sound := fileServer{file: "Test Page\n"}
	fetch := func(s *Spec) { s.Request, s.Receive = "/pub/test", "Test" }
	base := Spec{Type: FTP}
	pasv := func(text string) func(net.Conn) {
		return fileServer{pasv: func(uint16) string { return text }}.serve
	}
	tryAll(t, base, []trial{
		{name: "anonymous", serve: sound.serve, ok: true, reason: "logged in as anonymous"},
		{name: "login", serve: fileServer{closed: true}.serve, with: user(t, "anna", "p w"), ok: true, reason: "logged in as anna"},
		{name: "wrong password", serve: fileServer{closed: true}.serve, with: user(t, "anna", "hunter2"), reason: "answer to PASS: 550 no: PASS ****"},
		{name: "no password needed", serve: plays("> 220 hi", "< USER", "> 230 in", "< QUIT"), ok: true, reason: "logged in as anonymous"},
		{name: "denied", serve: plays("> 220 hi", "< USER", "> 530 no"), reason: "answer to USER: 530 no"},
		{name: "refuses", serve: plays("> 421 too many"), reason: "greeting: 421 too many"},
		{name: "file", serve: sound.serve, with: fetch, ok: true, reason: `got /pub/test, has "Test"`},
		{name: "file, any", serve: sound.serve, with: func(s *Spec) { s.Request = "/pub/test" }, ok: true, reason: "got /pub/test"},
		{name: "file without parentheses", with: fetch, ok: true, reason: `got /pub/test, has "Test"`, serve: fileServer{file: "Test", pasv: func(p uint16) string {
			return fmt.Sprintf("227 Passive 127,0,0,1,%d,%d", p>>8, p&255)
		}}.serve},
		{name: "another file", serve: fileServer{file: "Oops"}.serve, with: fetch, reason: `/pub/test lacks "Test"`},
		{name: "large file", serve: fileServer{file: "Test" + strings.Repeat("x", 1<<20)}.serve, with: fetch, ok: true, reason: `got /pub/test, has "Test"`},
		{name: "large file, late", serve: fileServer{file: strings.Repeat("x", 1<<20) + "Test"}.serve, with: fetch, reason: `first 256 KiB of /pub/test lacks "Test"`},
		{name: "no such file", serve: sound.serve, with: func(s *Spec) { s.Request = "/none" }, reason: "answer to RETR: 550 no: RETR /none"},
		{name: "file cut short", serve: fileServer{file: "Test", end: "426 disk trouble"}.serve, with: fetch, reason: "end of RETR: 426 disk trouble"},
		{
			name: "file never ends", serve: fileServer{data: func(c net.Conn) { _, _ = io.WriteString(c, "Te"); mute(c) }}.serve,
			with: func(s *Spec) { fetch(s); quicker(s) }, reason: "data connection: timeout after 800ms while reading the file",
		},
		{name: "no data port", serve: pasv("227 whatever"), with: fetch, reason: "answer to PASV: 227 whatever"},
		{name: "data port 0", serve: pasv("227 (127,0,0,1,0,0)"), with: fetch, reason: "answer to PASV: 227 (127,0,0,1,0,0)"},
		{name: "nobody at the data port", serve: pasv("227 (127,0,0,1,0,1)"), with: fetch, reason: "data connection: connection refused"},
		{name: "no TLS", serve: sound.serve, with: startTLS, reason: "answer to AUTH: 550 no: AUTH TLS"},
	})
	tryHostile(t, base)
	secure := func(config *tls.Config) func(net.Conn) { return fileServer{file: "Test", tls: config}.serve }
	trySecureAfter(t, Spec{Type: FTP, StartTLS: true}, secure)
	trySecureAfter(t, Spec{Type: FTP, StartTLS: true, Request: "/pub/test", Receive: "Test"}, secure)
	trySecure(t, Spec{Type: FTP, TLS: true}, sound.serve)
}

func TestPassivePorts(t *testing.T) {
	for line, want := range map[string]uint16{
		"227 Entering Passive Mode (10,0,0,1,4,1)": 1025, "227 10,0,0,1,4,1": 1025, "227 =10,0,0,1,0,21": 21,
		"227 (10,0,0,1,4)": 0, "227 (10,0,0,1,0,0)": 0, "227 (10,0,0,1,256,1)": 0, "227": 0, "227 1 2 (1,2,3,4,5,6,7)": 0,
	} {
		if got, ok := pasvPort(line); got != want || ok != (want != 0) {
			t.Errorf("%q: got %d, %t", line, got, ok)
		}
	}
	for line, want := range map[string]uint16{
		"229 x (|||6446|)": 6446, "229 x (!!!21!)": 21, "229 (|||0|)": 0, "229 (|||70000|)": 0, "229 (||1|6446|)": 0, "229 (|||": 0, "229 (|||6446": 0, "229": 0,
	} {
		if got, ok := epsvPort(line); ok != (want != 0) || ok && got != want {
			t.Errorf("%q: got %d, %t", line, got, ok)
		}
	}
}
