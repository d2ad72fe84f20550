package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/ipvsd/ipvsd/director"
)

const watchInterval = time.Second

// answer is what a director said, or why it said nothing.
type answer struct {
	status director.Status
	err    error
	at     time.Time
}

// watchStatus shows the status again each second until ctx ends or, on a
// terminal, somebody quits. Only a director that isn't there in the beginning
// is an error: one that restarts is worth watching.
func (e *env) watchStatus(ctx context.Context, ask statusFunc, asJSON bool, arranged arrangement) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first, err := ask(ctx)
	if err != nil {
		return err
	}
	answers := make(chan answer)
	go func() {
		defer close(answers)
		now := answer{status: first, at: time.Now()}
		for {
			select {
			case answers <- now:
			case <-ctx.Done():
				return
			}
			select {
			case <-time.After(watchInterval):
			case <-ctx.Done():
				return
			}
			st, err := ask(ctx)
			now = answer{st, err, time.Now()}
		}
	}()
	if out, ok := terminal(e.stdout); ok && !asJSON {
		err = watchScreen(ctx, out, os.Stdin, answers, arranged)
	} else {
		err = watchBlocks(e.stdout, answers, asJSON, arranged)
	}
	cancel()
	for range answers { // its goroutine has ended
	}
	return err
}

// watchBlocks writes one block after the other, for a file or a pipe.
func watchBlocks(w io.Writer, answers <-chan answer, asJSON bool, arranged arrangement) error {
	for a := range answers {
		var err error
		switch {
		case asJSON && a.err == nil:
			err = json.NewEncoder(w).Encode(a.status)
		case asJSON:
			err = json.NewEncoder(w).Encode(map[string]string{"error": a.err.Error()})
		case a.err != nil:
			_, err = fmt.Fprintf(w, "%s\n%s\n\n", a.at.Format(time.DateTime), a.err)
		default:
			var b bytes.Buffer
			fmt.Fprintln(&b, a.at.Format(time.DateTime))
			o := renderFor(w)
			o.now, o.arranged = a.at, arranged
			_ = renderStatus(&b, a.status, o) // a Buffer takes all
			b.WriteByte('\n')
			_, err = w.Write(b.Bytes())
		}
		if err != nil {
			return fmt.Errorf("write the status: %v", err)
		}
	}
	return nil
}

// The terminal's sequences (ECMA-48 and xterm's private modes).
const (
	screenEnter = "\x1b[?1049h\x1b[?25l\x1b[?7l" // alternate screen, no cursor, no wrapping
	screenLeave = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	screenHome  = "\x1b[H"
	lineRest    = "\x1b[K"
	screenRest  = "\x1b[J"
)

// watchScreen shows the answers in the terminal's alternate screen, and leaves
// the terminal as it was.
func watchScreen(ctx context.Context, out, in *os.File, answers <-chan answer, arranged arrangement) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	keys := make(chan string)
	if term.IsTerminal(int(in.Fd())) {
		before, err := term.MakeRaw(int(in.Fd()))
		if err != nil {
			return fmt.Errorf("set up the terminal: %v", err)
		}
		defer func() { _ = term.Restore(int(in.Fd()), before) }()
		done := make(chan struct{})
		go func() { defer close(done); readKeys(ctx, in, keys) }()
		defer func() { cancel(); <-done }()
	}
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)

	if _, err := io.WriteString(out, screenEnter); err != nil {
		return err
	}
	defer func() {
		if _, leaveErr := io.WriteString(out, screenLeave); err == nil {
			err = leaveErr
		}
	}()
	s := screen{arranged: arranged}
	for {
		select {
		case a, ok := <-answers:
			if !ok {
				return nil
			}
			s.take(a)
		case key := <-keys:
			if s.press(key) {
				return nil
			}
		case <-resized:
		case <-ctx.Done():
			return nil
		}
		s.width, s.height = terminalSize(out)
		o := renderFor(out)
		if err := s.draw(out, o.color); err != nil {
			return err
		}
	}
}

// screen is what watchScreen shows.
type screen struct {
	last          answer // the last one that came
	lost          answer // why there is none since then
	top           int    // the first line that is shown
	width, height int

	arranged arrangement
	typing   bool // keys are the filter's
}

func (s *screen) take(a answer) {
	if a.err != nil {
		s.lost = a
		return
	}
	s.last, s.lost = a, answer{}
}

// press acts on a key and reports whether it is time to go.
func (s *screen) press(key string) bool {
	if s.typing {
		return s.typed(key)
	}
	page := max(s.height-2, 1)
	switch key {
	case "q", "Q", "\x03", "\x04": // Ctrl-C, Ctrl-D
		return true
	case "s":
		s.arranged.order, s.top = s.arranged.order.next(), 0
	case "/":
		s.typing = true
	case "\x1b":
		s.arranged.filter = ""
	case "j", "\x1b[B", "\x1bOB":
		s.top++
	case "k", "\x1b[A", "\x1bOA":
		s.top--
	case " ", "\x1b[6~":
		s.top += page
	case "b", "\x1b[5~":
		s.top -= page
	case "g", "\x1b[H":
		s.top = 0
	case "G", "\x1b[F":
		s.top = 1 << 30
	}
	return false
}

// typed takes a key, or more that were pasted, for the filter.
func (s *screen) typed(key string) (quit bool) {
	if key == "\x1b" {
		s.typing, s.arranged.filter = false, ""
		return false
	}
	if strings.HasPrefix(key, "\x1b") {
		return false // an arrow or the like
	}
	for _, c := range key {
		switch {
		case c == '\x03' || c == '\x04':
			return true
		case c == '\r' || c == '\n':
			s.typing = false
			return false
		case c == '\x7f' || c == '\b':
			_, last := utf8.DecodeLastRuneInString(s.arranged.filter)
			s.arranged.filter = s.arranged.filter[:len(s.arranged.filter)-last]
		case unicode.IsPrint(c):
			s.arranged.filter += string(c)
		}
	}
	s.top = 0
	return false
}

// draw writes the screen in one piece, so that it doesn't flicker.
func (s *screen) draw(w io.Writer, color bool) error {
	var text bytes.Buffer
	o := renderOptions{now: s.last.at, width: s.width, color: color, arranged: s.arranged}
	_ = renderStatus(&text, s.last.status, o) // a Buffer takes all
	lines := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	room := max(s.height-1, 1)
	s.top = max(min(s.top, len(lines)-room), 0)
	end := min(s.top+room, len(lines))

	var b bytes.Buffer
	b.WriteString(screenHome)
	for _, line := range lines[s.top:end] {
		b.WriteString(line + lineRest + "\r\n")
	}
	b.WriteString(screenRest)
	fmt.Fprintf(&b, "\x1b[%d;1H%s%s", s.height, cut(s.footer(len(lines), end), s.width), lineRest)
	_, err := w.Write(b.Bytes())
	return err
}

func (s *screen) footer(lines, end int) string {
	if s.typing {
		return "show only: " + s.arranged.filter + "_   Enter keeps it, Esc shows all"
	}
	text := s.last.at.Format(time.TimeOnly) + "  q quits"
	if s.lost.err != nil {
		return text + ", not up to date: " + clean(s.lost.err.Error())
	}
	text += ", s sorts by " + string(cmp.Or(s.arranged.order, byFile).next()) + ", / filters"
	if s.arranged.filter != "" {
		text += fmt.Sprintf(" (%q, Esc shows all)", s.arranged.filter)
	}
	if s.top > 0 || end < lines {
		text += fmt.Sprintf(", lines %d to %d of %d", s.top+1, end, lines)
	}
	return text
}

// readKeys sends what is typed until ctx ends. It polls, as a read from a
// terminal can't be called off.
func readKeys(ctx context.Context, in *os.File, keys chan<- string) {
	buf := make([]byte, 32)
	for ctx.Err() == nil {
		fds := []unix.PollFd{{Fd: int32(in.Fd()), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 50); n == 0 || err != nil {
			if err != nil && err != unix.EINTR {
				return
			}
			continue
		}
		n, err := in.Read(buf)
		if err != nil {
			return
		}
		select {
		case keys <- string(buf[:n]):
		case <-ctx.Done():
		}
	}
}
