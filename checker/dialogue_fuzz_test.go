package checker

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// dialogues are the checks that read lines, each with its answers.
var dialogues = []struct {
	spec  Spec
	lines string
}{
	{Spec{Type: SMTP}, "220 hi\r\n250-x\r\n250 STARTTLS\r\n221 bye\r\n"},
	{Spec{Type: FTP, Request: "/x"}, "220 hi\r\n331 x\r\n230 in\r\n200 ok\r\n227 (127,0,0,1,0,1)\r\n150 x\r\n226 x\r\n"},
	{Spec{Type: IMAP}, "* OK hi\r\n* CAPABILITY\r\na2 OK\r\n"},
	{Spec{Type: POP}, "+OK hi\r\n+OK bye\r\n"},
	{Spec{Type: NNTP}, "200 hi\r\n205 bye\r\n"},
	{Spec{Type: Redis, Request: "INFO x", Receive: "role"}, "+PONG\r\n$4\r\nrole\r\n"},
	{Spec{Type: Memcached}, "VERSION 1\r\n"},
	{Spec{Type: Agent}, "up 75%\n"},
	{Spec{Type: SimpleTCP, Send: "x", Expect: "ready"}, "ready\n"},
}

// FuzzDialogue: whatever a server says, a dialogue ends with a verdict that
// can be printed.
func FuzzDialogue(f *testing.F) {
	for i, d := range dialogues {
		f.Add(uint(i), []byte(d.lines))
		f.Add(uint(i), []byte(d.lines[:len(d.lines)/2]))
		f.Add(uint(i), []byte(strings.ReplaceAll(d.lines, " ", "-")))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = l.Close() })
	answers := make(chan []byte, 1)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write(<-answers)
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	}()
	f.Fuzz(func(t *testing.T, i uint, b []byte) {
		d := dialogues[i%uint(len(dialogues))]
		answers <- b
		spec := d.spec
		spec.Target, spec.Timeout = netip.MustParseAddrPort(l.Addr().String()), 2*time.Second
		start := time.Now()
		r := Once(context.Background(), spec, io.Discard)
		if d := time.Since(start); d > 3*time.Second {
			t.Errorf("took %s", d)
		}
		if r.Void || r.Reason == "" || strings.ContainsAny(r.Reason, "\r\n\x00\x1b") || len(r.Reason) > 600 {
			t.Errorf("got %+v", r)
		}
	})
}

// FuzzReplies: the readers of single answers take anything.
func FuzzReplies(f *testing.F) {
	for _, seed := range []string{
		"250-a\r\n250 b\r\n", "227 (1,2,3,4,5,6)\r\n", "229 (|||1|)\r\n", "+OK\r\n", "$3\r\nabc\r\n", ":1\r\n", "-ERR\r\n", "a2 OK\r\n", "75% # x\n", `{"a": [1]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		text := string(b)
		_, _, _, _ = numberedLine(text)
		_, _ = pasvPort(text)
		_, _ = epsvPort(text)
		_ = taggedLine(text, "a2")
		if r := agentSays(text); r.OK && r.Percent > maxPercent {
			t.Errorf("got %+v", r)
		}
		_ = (&jsonField{path: []string{"a", "0"}, name: "a.0", value: "1"}).judge(b)
		for _, read := range []func(*session) error{
			func(s *session) error { _, err := s.numbered("2"); return err },
			func(s *session) error { _, err := s.redisAnswer(); return err },
			func(s *session) error { return s.tagged("a2") },
		} {
			s := &session{spec: &Spec{}, plain: &sock{}, in: bufio.NewReaderSize(bytes.NewReader(b), maxLine)}
			_ = read(s)
		}
	})
}
