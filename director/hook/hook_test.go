package hook

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// logged is a log that may be read while others write.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t *testing.T, q *Queue) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = q.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

// absent is a program that can't be started, so that no process needs real time.
func absent(event, object, before, state string) Call {
	return Call{Event: event, Object: object, Before: before, State: state, Program: Program{
		Argv: []string{"/nonexistent/" + state}, Timeout: time.Second, Retries: 3, Pause: 3 * time.Second,
	}}
}

// order is which programs were tried, from the log.
func order(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		_, rest, ok := strings.Cut(line, "command=/nonexistent/")
		if !ok {
			continue
		}
		state, rest, _ := strings.Cut(rest, " try=")
		_, object, _ := strings.Cut(line, "object=")
		object, _, _ = strings.Cut(object, " ")
		try, _, _ := strings.Cut(rest, " ")
		out = append(out, object+" "+state+" "+try)
	}
	return strings.Join(out, ", ")
}

func TestQueue(t *testing.T) {
	down := func(o string) Call { return absent("real_down", o, "up", "down") }
	up := func(o string) Call { return absent("real_up", o, "down", "up") }
	silent := func(c Call) Call { c.Program.Argv = nil; return c }
	for _, tt := range []struct {
		name string
		do   func(q *Queue) // before Run
		then func(q *Queue) // while it waits for a second try
		want string
	}{
		{name: "in the order of coming", do: func(q *Queue) { q.Put(down("b")); q.Put(down("a")); q.Put(down("c")) }, want: "b down 1, a down 1, c down 1"},
		{name: "back before it was told", do: func(q *Queue) { q.Put(down("a")); q.Put(up("a")) }, want: ""},
		{name: "flaps, and ends down", do: func(q *Queue) { q.Put(down("a")); q.Put(up("a")); q.Put(down("a")) }, want: "a down 1"},
		{name: "back without a program", do: func(q *Queue) { q.Put(down("a")); q.Put(silent(up("a"))) }, want: ""},
		{name: "no state before", do: func(q *Queue) {
			q.Put(absent("reload", "file", "", "one"))
			q.Put(absent("reload", "file", "", "two"))
			q.Put(absent("reload", "file", "", "two"))
		}, want: "file two 1"},
		{name: "a failed one that is old", do: func(q *Queue) { q.Put(down("a")); q.Put(down("b")) }, then: func(q *Queue) { q.Put(up("a")) }, want: "a down 1, b down 1, a up 1"},
		{name: "a failed one that is over", do: func(q *Queue) { q.Put(down("a")) }, then: func(q *Queue) { q.Put(silent(up("a"))) }, want: "a down 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out logged
				q := New(slog.New(slog.NewTextHandler(&out, nil)))
				tt.do(q)
				stop := start(t, q)
				time.Sleep(time.Second)
				if tt.then != nil {
					tt.then(q)
					time.Sleep(time.Second)
				}
				stop()
				if got := order(out.String()); got != tt.want {
					t.Errorf("tried %q, want %q\n%s", got, tt.want, out.String())
				}
			})
		})
	}
}

// A program that fails is tried again, each time after twice as long, and holds
// up nobody meanwhile.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out logged
		q := New(slog.New(slog.NewTextHandler(&out, nil)))
		stop := start(t, q)
		begin := time.Now()
		c := absent("virtual_down", "web", "up", "down")
		c.Program.Retries, c.Program.Pause = 7, 3*time.Second
		q.Put(c)
		tries := 0
		var at []string
		for range 300 {
			synctest.Wait()
			if n := strings.Count(out.String(), "object=web"); n > tries {
				tries = n
				at = append(at, fmt.Sprint(time.Since(begin).Seconds()))
			}
			if time.Since(begin) == 20*time.Second {
				q.Put(absent("real_down", "other", "up", "down"))
				synctest.Wait()
				if !strings.Contains(out.String(), "object=other") {
					t.Error("the other one waits")
				}
			}
			time.Sleep(time.Second)
		}
		stop()
		if got, want := strings.Join(at, " "), "0 3 9 21 45 93 153 213"; got != want {
			t.Errorf("tried after %s s, want %s", got, want)
		}
		if !strings.Contains(out.String(), `msg="hook failed and is given up" event=virtual_down`) {
			t.Error(out.String())
		}
	})
}

func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out logged
		q := New(slog.New(slog.NewTextHandler(&out, nil)))
		for i := range maxWaiting + 7 {
			q.Put(absent("real_down", fmt.Sprint(i), "up", "down"))
		}
		stop := start(t, q)
		synctest.Wait()
		stop()
		if text := out.String(); !strings.Contains(text, "dropped=7") || strings.Count(text, "try=1") != maxWaiting {
			t.Errorf("%d tried", strings.Count(text, "try=1"))
		}
	})
}

// script writes a program.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrograms(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		timeout    time.Duration
		want       string // in the log
	}{
		{name: "environment", body: `echo "$1 $IPVSD_EVENT $IPVSD_PREVIOUS $IPVSD_REASON ${NOTIFY_SOCKET-none}"`, want: `output="arg real_down up two words none"`},
		{name: "exit status", body: "echo why; exit 3", want: `output=why err="exit status 3"`},
		{name: "timeout", body: "echo begun; sleep 60", timeout: 300 * time.Millisecond, want: `output=begun err="timeout after 300ms, killed"`},
		{name: "leaves a child", body: "sleep 60 & echo done", want: `msg=hook event=real_down object=web command=`},
		{name: "talks much", body: "head -c 100000 /dev/zero | tr '\\0' x", want: strings.Repeat("x", shown) + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("NOTIFY_SOCKET", "/run/systemd/notify")
			var out logged
			q := New(slog.New(slog.NewTextHandler(&out, nil)))
			stop := start(t, q)
			began := time.Now()
			q.Put(Call{Event: "real_down", Object: "web", Before: "up", State: "down", Env: []string{"IPVSD_REASON=two\x00 words"}, Program: Program{
				Argv: []string{script(t, tt.body), "arg"}, Timeout: cmp.Or(tt.timeout, 20*time.Second),
			}})
			for !strings.Contains(out.String(), "try=1") && time.Since(began) < 30*time.Second {
				time.Sleep(10 * time.Millisecond)
			}
			stop()
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("want %q in\n%s", tt.want, out.String())
			}
		})
	}
}

// A program that fails when its state is over isn't tried again, also where
// nobody is told of the state that came meanwhile.
func TestOverMeanwhile(t *testing.T) {
	dir := t.TempDir()
	var out logged
	q := New(slog.New(slog.NewTextHandler(&out, nil)))
	start(t, q)
	c := Call{Event: "active", Object: "group", State: "active", Program: Program{
		Argv:    []string{script(t, "touch "+dir+"/begun; until [ -e "+dir+"/over ]; do sleep 0.01; done; exit 1")},
		Timeout: time.Minute, Retries: 10, Pause: time.Millisecond,
	}}
	await := func(what string, ok func() bool) {
		t.Helper()
		for began := time.Now(); !ok(); time.Sleep(time.Millisecond) {
			if time.Since(began) > 30*time.Second {
				t.Fatalf("in vain for: %s\n%s", what, out.String())
			}
		}
	}
	q.Put(c)
	await("it runs", func() bool { _, err := os.Stat(dir + "/begun"); return err == nil })
	q.Put(Call{Event: "standby", Object: "group", State: "standby"})
	if err := os.WriteFile(dir+"/over", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	await("it has failed", func() bool { return strings.Contains(out.String(), "try=1") })
	if !strings.Contains(out.String(), "given up") || !strings.Contains(out.String(), "newer=true") {
		t.Error(out.String())
	}
	q.Put(c)
	await("the next one is tried again", func() bool { return strings.Contains(out.String(), "try=2") })
}

// What waits when the daemon stops has its first try; what hangs is killed.
func TestStop(t *testing.T) {
	file := filepath.Join(t.TempDir(), "told")
	var out logged
	q := New(slog.New(slog.NewTextHandler(&out, nil)))
	call := func(object, body string) Call {
		return Call{Event: "active", Object: object, State: "standby", Program: Program{Argv: []string{script(t, body)}, Timeout: time.Minute, Retries: 10, Pause: time.Second}}
	}
	q.Put(call("quick", "echo told > "+file))
	q.Put(call("hangs", "sleep 60"))
	q.Put(call("late", "true"))
	stop := start(t, q)
	began := time.Now()
	stop()
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the stop took %s", took)
	}
	if !strings.Contains(out.String(), `"hook not run, the daemon stops" event=active object=late`) {
		t.Error(out.String())
	}
}
