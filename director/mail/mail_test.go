package mail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director/table"
)

var (
	web  = table.ByAddr(table.TCP, netip.MustParseAddrPort("192.168.0.105:80"))
	shop = table.ByAddr(table.TCP, netip.MustParseAddrPort("192.168.0.105:443"))
)

func change(key table.ServiceKey, real string, s State) Change {
	c := Change{
		To: []string{"Büro <ops@example.org>"}, Service: key, Name: "web", State: s, Reason: "connection refused",
		Since: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Serving: "1 of 2 real servers",
	}
	if key == shop {
		c.Name = "shop"
	}
	if real != "" {
		c.Real = netip.MustParseAddrPort(real + ":80")
	}
	return c
}

// bench is a post whose mail server is the test's.
type bench struct {
	*Post
	mu    sync.Mutex
	began time.Time
	sent  []string // when, to whom, what
	last  message
	fail  error
	log   strings.Builder
	stop  func()
}

func (b *bench) take(_ context.Context, _ Settings, m message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	result := ""
	if b.fail != nil {
		result = " failed"
	}
	b.last = m
	b.sent = append(b.sent, fmt.Sprintf("%v %s %s%s", time.Since(b.began), strings.Join(m.to, "+"), strings.TrimPrefix(m.subject, "[ipvsd lb1] "), result))
	return b.fail
}

func (b *bench) failing(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = err
}

func (b *bench) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if diff := cmp.Diff(want, b.sent); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	b.sent = nil
}

func newBench(t *testing.T, decide func(table.ServiceKey) bool) *bench {
	b := &bench{began: time.Now()}
	b.Post = New(slog.New(slog.NewTextHandler(&b.log, nil)), decide)
	b.deliver = b.take
	b.Set(Settings{Director: "lb1", Version: "1.0"})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = b.Run(ctx) }()
	b.stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(b.stop)
	return b
}

func always(table.ServiceKey) bool { return true }

func inTime(t *testing.T, decide func(table.ServiceKey) bool, f func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, decide)
		f(t, b)
		b.stop()
	})
}

func TestBursts(t *testing.T) {
	inTime(t, always, func(t *testing.T, b *bench) {
		b.Put(change(web, "10.0.0.1", Down))
		time.Sleep(3 * time.Second)
		b.Put(change(web, "10.0.0.2", Down), change(web, "", Down))
		time.Sleep(3 * time.Second)
		b.want(t, "5s ops@example.org web: 1 virtual service down, 2 real servers down")
		b.Put(change(web, "10.0.0.1", Up))
		time.Sleep(4 * time.Second)
		b.want(t)
		time.Sleep(time.Second)
		b.want(t, "11s ops@example.org web: real server 10.0.0.1:80 is up")
		// A flapping server is one line.
		for range 4 {
			b.Put(change(web, "10.0.0.1", Down), change(web, "10.0.0.1", Up))
		}
		b.Put(change(shop, "10.0.0.1", Down))
		time.Sleep(5 * time.Second)
		b.want(t, "16s ops@example.org 1 real server down, 1 real server up")
		if text := body(t, b.last); !strings.Contains(text, "up since 2026-03-01 12:00:00 UTC, after 8 changes") {
			t.Error(text)
		}
		// Others get a message of their own; who wants none gets none.
		own, none := change(shop, "10.0.0.2", Down), change(web, "10.0.0.3", Down)
		own.To, none.To = []string{"a@example.org", "b@example.org"}, nil
		b.Put(own, none, change(web, "", Up))
		time.Sleep(5 * time.Second)
		b.want(t, "21s ops@example.org web is up", "21s a@example.org+b@example.org shop: real server 10.0.0.2:80 is down")
	})
}

func TestRetries(t *testing.T) {
	inTime(t, always, func(t *testing.T, b *bench) {
		b.failing(errors.New("connection refused"))
		b.Put(change(web, "10.0.0.1", Down))
		time.Sleep(50 * time.Second)
		b.want(t, "5s ops@example.org web: real server 10.0.0.1:80 is down failed",
			"15s ops@example.org web: real server 10.0.0.1:80 is down failed",
			"35s ops@example.org web: real server 10.0.0.1:80 is down failed")
		b.Put(change(web, "10.0.0.1", Up), change(web, "10.0.0.2", Down))
		b.failing(nil)
		time.Sleep(30 * time.Second)
		b.want(t, "1m15s ops@example.org web: 1 real server down, 1 real server up")
		b.Put(change(web, "10.0.0.2", Up))
		time.Sleep(5 * time.Second)
		b.want(t, "1m25s ops@example.org web: real server 10.0.0.2:80 is up")

		b.failing(refusal{errors.New("550 no such user")})
		b.Put(change(web, "10.0.0.2", Down))
		time.Sleep(time.Hour)
		b.want(t, "1m30s ops@example.org web: real server 10.0.0.2:80 is down failed")
		if !strings.Contains(b.log.String(), `msg="mail not sent and given up"`) {
			t.Error(b.log.String())
		}

		b.failing(errors.New("connection refused"))
		b.Put(change(web, "10.0.0.2", Up))
		time.Sleep(30 * time.Hour)
		synctest.Wait()
		b.mu.Lock()
		n := len(b.sent)
		b.mu.Unlock()
		if n < 140 || n > 160 {
			t.Errorf("%d tries in a day", n)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(b.sent) != n {
			t.Error("it goes on after a day")
		}
	})
}

// The settings of a reload are tried at once.
func TestSetAfterFailure(t *testing.T) {
	inTime(t, always, func(t *testing.T, b *bench) {
		b.failing(errors.New("connection refused"))
		b.Put(change(web, "10.0.0.1", Down))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		b.failing(nil)
		b.sent = nil
		b.Set(Settings{Director: "lb1"})
		b.want(t, "10m0s ops@example.org web: real server 10.0.0.1:80 is down")
	})
}

func TestRepeat(t *testing.T) {
	inTime(t, always, func(t *testing.T, b *bench) {
		b.Set(Settings{Director: "lb1", Repeat: time.Minute})
		silent := change(web, "10.0.0.2", Down)
		silent.Silent = true
		b.Put(change(web, "10.0.0.1", Down), silent, change(web, "10.0.0.3", Down))
		time.Sleep(66 * time.Second)
		b.want(t, "5s ops@example.org web: 2 real servers down", "1m5s ops@example.org web: 3 real servers still down")
		b.Put(change(web, "10.0.0.1", Up))
		b.Readdress(func(_ table.ServiceKey, real netip.AddrPort) []string {
			if real.Addr() == netip.MustParseAddr("10.0.0.3") {
				return nil
			}
			return []string{"new@example.org"}
		})
		time.Sleep(60 * time.Second)
		b.want(t, "1m11s new@example.org web: real server 10.0.0.1:80 is up", "2m5s new@example.org web: real server 10.0.0.2:80 is still down")
		b.Set(Settings{Director: "lb1"})
		time.Sleep(time.Hour)
		b.want(t)
	})
}

// A standby keeps quiet, and goes on where it has become active.
func TestStandby(t *testing.T) {
	var mu sync.Mutex
	active := false
	inTime(t, func(key table.ServiceKey) bool { mu.Lock(); defer mu.Unlock(); return active || key == shop }, func(t *testing.T, b *bench) {
		b.Set(Settings{Director: "lb1", Repeat: time.Minute})
		b.Put(change(web, "10.0.0.1", Down), change(shop, "10.0.0.1", Down))
		time.Sleep(50 * time.Second)
		b.want(t, "5s ops@example.org shop: real server 10.0.0.1:80 is down")
		b.Put(change(shop, "10.0.0.1", Up))
		mu.Lock()
		active = true
		mu.Unlock()
		time.Sleep(16 * time.Second)
		b.want(t, "55s ops@example.org shop: real server 10.0.0.1:80 is up", "1m5s ops@example.org web: real server 10.0.0.1:80 is still down")
	})
}

// What waits at the end is told then.
func TestStop(t *testing.T) {
	inTime(t, always, func(t *testing.T, b *bench) {
		b.Put(change(web, "", Removed), change(shop, "", Removed))
		b.stop()
		b.want(t, "0s ops@example.org 2 virtual services removed")
	})
}

func TestManyChanges(t *testing.T) {
	inTime(t, always, func(t *testing.T, b *bench) {
		for i := range maxWaiting + 10 {
			b.Put(change(web, netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String(), Down))
		}
		time.Sleep(5 * time.Second)
		b.want(t, fmt.Sprintf("5s ops@example.org web: %d real servers down", maxWaiting))
		if text := body(t, b.last); !strings.Contains(text, fmt.Sprintf("and %d further changes", maxWaiting-maxTold+10)) {
			t.Error(text[len(text)-300:])
		}
		if !strings.Contains(b.log.String(), "changes=10") {
			t.Error("nothing in the log")
		}
	})
}

// parsed reads a message as a mail program does.
func parsed(t *testing.T, m message) (mail.Header, string) {
	t.Helper()
	r, err := mail.ReadMessage(strings.NewReader(string(m.data)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(quotedprintable.NewReader(r.Body))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(m.data), "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n") || strings.ContainsFunc(line, func(c rune) bool { return c > 126 }) {
			t.Errorf("line %q", line)
		}
	}
	return r.Header, string(text)
}

func body(t *testing.T, m message) string {
	t.Helper()
	_, text := parsed(t, m)
	return strings.ReplaceAll(text, "\r\n", "\n")
}

func TestCompose(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 5, 0, time.UTC)
	down, up := change(web, "10.0.0.1", Down), change(web, "10.0.0.2", Up)
	service := change(web, "", Down)
	down.Name, up.Name, service.Name = "Läden", "Läden", "Läden"
	down.Comment, service.Comment = "the shop; Ölfarben", "the shop; Ölfarben"
	service.Reason, up.Reason, up.Comment = "no real server is up", "status 200", "the shop; Ölfarben"
	service.Serving = "the fallback 127.0.0.1:80 serves"
	l := letter{
		settings: Settings{Director: "lb1", Version: "1.0", From: "Balancer <lb@example.org>"},
		to:       []string{"Büro <ops@example.org>", "b@example.org"},
		changes:  []waiting{{Change: up, number: 1, count: 3}, {Change: down, number: 2, count: 1}, {Change: service, number: 3, count: 1}},
	}
	m := l.compose(now)
	h, text := parsed(t, m)
	if strings.Join(m.to, " ") != "ops@example.org b@example.org" || m.from != "lb@example.org" {
		t.Errorf("from %s to %s", m.from, m.to)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
	if err != nil || subject != "[ipvsd lb1] Läden: 1 virtual service down, 1 real server down, 1 real server up" {
		t.Errorf("subject %q, %v", subject, err)
	}
	for key, want := range map[string]string{
		"From": `"Balancer" <lb@example.org>`, "To": "=?utf-8?q?B=C3=BCro?= <ops@example.org>, <b@example.org>",
		"Date": "Sun, 01 Mar 2026 12:00:05 +0000", "Auto-Submitted": "auto-generated",
	} {
		if got := h.Get(key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	id := h.Get("Message-ID")
	if again, _ := parsed(t, l.compose(now)); !strings.HasSuffix(id, "@example.org>") || id == again.Get("Message-ID") {
		t.Errorf("Message-ID %s, then %s", id, again.Get("Message-ID"))
	}
	const want = `Läden, 192.168.0.105:80/tcp
(the shop; Ölfarben)
now: the fallback 127.0.0.1:80 serves

  virtual service: down since 2026-03-01 12:00:00 UTC
    why: no real server is up
  real server 10.0.0.1:80: down since 2026-03-01 12:00:00 UTC
    why: connection refused
  real server 10.0.0.2:80: up since 2026-03-01 12:00:00 UTC, after 3 changes
    why: status 200

Told by ipvsd 1.0 on the director lb1 at 2026-03-01 12:00:05 UTC.
`
	if diff := cmp.Diff(want, strings.ReplaceAll(text, "\r\n", "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
