package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/ipvsd/ipvsd/director"
)

// mustPTY opens a pseudo terminal of 80 × 24 (pty(7)).
func mustPTY(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatalf("open a pseudo terminal: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// shown collects what is written to a terminal.
type shown struct {
	mu   sync.Mutex
	text []byte
}

func (s *shown) read(master *os.File) {
	buf := make([]byte, 4096)
	for {
		n, err := master.Read(buf)
		s.mu.Lock()
		s.text = append(s.text, buf[:n]...)
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (s *shown) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.text)
}

func (s *shown) wait(t *testing.T, want string) {
	t.Helper()
	for range 600 {
		if strings.Contains(s.String(), want) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%q is never shown:\n%q", want, s)
}

func TestWatchScreen(t *testing.T) {
	for name, quit := range map[string]string{"q": "q", "Ctrl-C": "\x03"} {
		t.Run(name, func(t *testing.T) {
			master, slave := mustPTY(t)
			var screen shown
			go screen.read(master)
			before, err := term.GetState(int(slave.Fd()))
			if err != nil {
				t.Fatal(err)
			}
			answers := make(chan answer)
			done := make(chan error, 1)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() { done <- watchScreen(ctx, slave, slave, answers, arrangement{}) }()

			answers <- answer{status: states()["many"].status, at: statusNow}
			screen.wait(t, "lines 1 to 23 of")
			if _, err := master.WriteString("\x1b[B"); err != nil {
				t.Fatal(err)
			}
			screen.wait(t, "lines 2 to 24 of")
			answers <- answer{err: errors.New("no director is running"), at: statusNow}
			screen.wait(t, "not up to date: no director is running")
			answers <- answer{status: states()["all-up"].status, at: statusNow}
			screen.wait(t, "as wanted 1s ago")

			if _, err := master.WriteString(quit); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			screen.wait(t, screenLeave)
			if text := screen.String(); !strings.HasPrefix(text, screenEnter) || !strings.HasSuffix(text, screenLeave) {
				t.Errorf("the screen isn't entered first and left last: %q … %q", text[:40], text[len(text)-40:])
			}
			after, err := term.GetState(int(slave.Fd()))
			if err != nil {
				t.Fatal(err)
			}
			if *after != *before {
				t.Errorf("the terminal is left as %+v, was %+v", after, before)
			}
		})
	}
}

func TestWatchBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var calls atomic.Int32
		ask := func(context.Context) (director.Status, error) {
			switch calls.Add(1) {
			case 2:
				return director.Status{}, errors.New("no director is running")
			case 4:
				cancel()
			}
			return statusOf(web(real("192.168.0.101:80", director.StateUp, "status 200", 1, 1, 1))), nil
		}
		var out bytes.Buffer
		start := time.Now()
		if err := (&env{stdout: &out}).watchStatus(ctx, ask, false, arrangement{}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 3*watchInterval {
			t.Errorf("took %v", took)
		}
		blocks := strings.Count(out.String(), "192.168.0.101:80 dr")
		if blocks < 2 || strings.Count(out.String(), "no director is running\n") != 1 {
			t.Errorf("got:\n%s", &out)
		}
	})
}

func TestWatchJSON(t *testing.T) {
	answers := make(chan answer, 2)
	answers <- answer{status: statusOf(), at: statusNow}
	answers <- answer{err: errors.New("no \"director\""), at: statusNow}
	close(answers)
	var out bytes.Buffer
	if err := watchBlocks(&out, answers, true, arrangement{}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], `{"version":"1.2.3"`) || lines[1] != `{"error":"no \"director\""}` {
		t.Errorf("got %q", lines)
	}
}

func TestScreenPress(t *testing.T) {
	s := screen{height: 24, width: 80}
	s.take(answer{status: states()["many"].status, at: statusNow})
	for _, step := range []struct {
		key string
		top int
	}{{"j", 1}, {"k", 0}, {"k", 0}, {" ", 22}, {"b", 0}, {"x", 0}} {
		if s.press(step.key) {
			t.Errorf("%q quits", step.key)
		}
		if err := s.draw(new(bytes.Buffer), false); err != nil {
			t.Fatal(err)
		}
		if s.top != step.top {
			t.Errorf("after %q line %d is on top, want %d", step.key, s.top, step.top)
		}
	}
	s.press("G")
	var out bytes.Buffer
	if err := s.draw(&out, false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "and 10 more; --json has all") {
		t.Errorf("the end isn't shown:\n%s", &out)
	}
	if n := strings.Count(out.String(), "\r\n"); n != 23 {
		t.Errorf("%d lines", n)
	}
}
