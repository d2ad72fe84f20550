package scenario

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

// mailbox is a mail server on a host that takes everything.
type mailbox struct {
	mu       sync.Mutex
	messages []string
}

func (m *mailbox) got() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.messages...)
}

func newMailbox(t *testing.T, h *lab.Host, addr string) *mailbox {
	t.Helper()
	l, err := h.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	m := new(mailbox)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go m.talk(conn)
		}
	}()
	return m
}

func (m *mailbox) talk(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	say := func(line string) { fmt.Fprintf(conn, "%s\r\n", line) }
	say("220 mailbox")
	in := bufio.NewReader(conn)
	var message strings.Builder
	inside := false
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch {
		case inside && line == ".\r\n":
			inside = false
			m.mu.Lock()
			m.messages = append(m.messages, message.String())
			m.mu.Unlock()
			say("250 queued")
		case inside:
			message.WriteString(line)
		case strings.HasPrefix(line, "DATA"):
			inside = true
			say("354 go on")
		case strings.HasPrefix(line, "QUIT"):
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// TestHooks lets a server die: the hook runs with what happened in its
// environment, mail comes to another host, and a hook that hangs delays neither
// the kernel nor mail nor, but for its deadline, other hooks.
func TestHooks(t *testing.T) {
	f, webs := drFarm(t, 2)
	mail := newMailbox(t, f.client, "192.168.0.1:25")
	told := filepath.Join(f.dir, "told")
	script := func(name, body string) string {
		t.Helper()
		path := filepath.Join(f.dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tell := script("tell", `echo "$IPVSD_EVENT $1 $IPVSD_VIRTUAL $IPVSD_VIRTUAL_ADDRESS $IPVSD_REAL $IPVSD_UP/$IPVSD_ALL $IPVSD_FALLBACK: $IPVSD_REASON" >>`+told)
	hang := script("hang", "sleep 60")
	file := func(realDown string) string {
		head := fmt.Sprintf(`
[hooks]
real_down = ["%s", "arg"]
real_up = ["%s", "arg"]
virtual_down = ["%s", "arg"]
reload = "%s"
timeout = "4s"
retries = 0
[email]
to = ["ops@example.org"]
smtp = "192.168.0.1:25"
`, realDown, tell, tell, tell)
		return head + quick("scheduler = \"rr\"\ncomment = \"the shop\"\nfallback = { address = \"127.0.0.1\" }", rs1, rs2)
	}
	lines := func() string {
		b, _ := os.ReadFile(told)
		return string(b)
	}
	f.start(file(tell))
	if text := lines(); text != "" {
		t.Errorf("told at the start, where all is well:\n%s", text)
	}

	webs[0].Page(testPage, 500, "no")
	lab.Eventually(t, 10*time.Second, "the hook ran", func() bool {
		return strings.HasPrefix(lines(), "real_down arg web 192.168.0.105:80 192.168.0.101:80 1/2 : ")
	})
	if !strings.Contains(lines(), "500") {
		t.Errorf("no reason:\n%s", lines())
	}
	lab.Eventually(t, 15*time.Second, "mail came", func() bool { return len(mail.got()) == 1 })
	text := mail.got()[0]
	for _, want := range []string{
		"To: <ops@example.org>", "Subject: [ipvsd ", "web: real server 192.168.0.101:80 is down", "Auto-Submitted: auto-generated",
		"(the shop)", "1 of 2 real servers are up; 192.168.0.102:80 serves",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the mail lacks %q:\n%s", want, text)
		}
	}

	// Another program, which hangs: the table changes at once all the same.
	_ = os.Remove(told)
	f.reload(file(hang))
	lab.Eventually(t, 5*time.Second, "the reload was told", func() bool { return strings.HasPrefix(lines(), "reload") })
	webs[1].Page(testPage, 500, "no")
	f.awaitTable(4*time.Second, "-a -t 192.168.0.105:80 -r 192.168.0.102:80 -g -w 0", "-a -t 192.168.0.105:80 -r 127.0.0.1:80 -g -w 1")
	webs[0].Page(testPage, 200, testBody)
	f.awaitTable(4*time.Second, "-a -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 1")
	lab.Eventually(t, 15*time.Second, "more mail came", func() bool { return len(mail.got()) >= 2 })
	if text := mail.got()[1]; !strings.Contains(text, "192.168.0.102:80: down since") {
		t.Errorf("the second mail:\n%s", text)
	}
	lab.Eventually(t, 15*time.Second, "the hooks behind it ran", func() bool {
		return strings.Contains(lines(), "real_up arg web 192.168.0.105:80 192.168.0.101:80")
	})
	if !strings.Contains(f.proc.Output(), "timeout after 4s, killed") {
		t.Error("the log says nothing of the program that hung")
	}
	f.eventually(5*time.Second, "the status has the comment", func(s director.Status) bool { return s.Virtuals[0].Comment == "the shop" })
}
