package gossip

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	lineQueue  = 256
	sameLineIn = 10 * time.Second // between lines of one shape
	maxShapes  = 128
	udpSilence = 5 * time.Second
)

// lines takes memberlist's log. memberlist writes under its lock, so a line is
// only copied here.
type lines struct {
	wake    chan struct{}
	dropped atomic.Uint64

	mu    sync.Mutex
	queue []string
}

func newLines() *lines { return &lines{wake: make(chan struct{}, 1)} }

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	if len(l.queue) < lineQueue {
		l.queue = append(l.queue, string(bytes.TrimSpace(b)))
	} else {
		l.dropped.Add(1)
	}
	l.mu.Unlock()
	wake(l.wake)
	return len(b), nil
}

func (l *lines) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queue
	l.queue = nil
	return q
}

// tell writes the log: memberlist's lines translated, problems once when they
// come and once when they go.
func (g *Gossip) tell(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	said := map[string]time.Time{}
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-g.lines.wake:
		case <-g.problems.wake:
		case <-tick.C:
			g.inspect()
			g.view.forget(time.Now(), g.configured)
		}
		for _, line := range g.lines.take() {
			level, text := g.translate(line)
			if level > slog.LevelDebug && !due(said, text) {
				level = slog.LevelDebug
			}
			g.opts.Log.Log(ctx, level, "memberlist says", "text", text)
		}
		came, went := g.problems.sweep(time.Now())
		for _, p := range came {
			g.opts.Log.Warn("cluster problem", "kind", p.Kind, "problem", p.Text)
		}
		for _, p := range went {
			g.opts.Log.Info("cluster problem is gone", "kind", p.Kind, "problem", p.Text)
		}
		if len(came)+len(went) > 0 {
			wake(g.view.changed)
		}
	}
}

// due is false for a line whose like was said a short while ago; the shape of
// a line is what is left of it without figures.
func due(said map[string]time.Time, text string) bool {
	shape := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
	now := time.Now()
	if last, ok := said[shape]; ok && now.Sub(last) < sameLineIn {
		return false
	}
	if len(said) >= maxShapes {
		clear(said)
	}
	said[shape] = now
	return true
}

// usual are lines that memberlist takes for more important than they are here:
// said again as a problem or a member's state, or everyday.
var usual = []string{
	"Decrypt packet failed",
	"discarding packet with unacceptable label",
	"discarding stream with unacceptable label",
	"failed to receive",
	"Conflicting address for",
	"ignoring alive message for",
	"Refuting a",
	"Failed fallback TCP ping",
	"Got ping for unexpected node",
	"over TCP but UDP probes failed",
	"Suspect ",
	"Marking ",
	"Push/Pull with",
	"Binding to public address without encryption",
}

// translate finds the level of a line of memberlist, and the problem that it
// tells of.
func (g *Gossip) translate(line string) (slog.Level, string) {
	level := slog.LevelInfo
	text := line
	if rest, ok := strings.CutPrefix(line, "["); ok {
		if name, rest, ok := strings.Cut(rest, "] "); ok {
			text = strings.TrimPrefix(rest, "memberlist: ")
			switch name {
			case "DEBUG":
				level = slog.LevelDebug
			case "WARN", "ERR", "ERROR": // no error of memberlist ends anything here
				level = slog.LevelWarn
			}
		}
	}
	g.understand(text)
	for _, u := range usual {
		if strings.Contains(text, u) {
			level = slog.LevelDebug
		}
	}
	return level, text
}

// understand reads from a line what memberlist tells in no other way.
func (g *Gossip) understand(text string) {
	if name, ok := between(text, "Suspect ", " has failed"); ok {
		g.view.suspect(name)
		return
	}
	if name, ok := between(text, "Was able to connect to ", " over TCP but UDP"); ok {
		// Under loss memberlist says so too: only silence tells.
		if a, heard := g.view.find(name); a.IsValid() && time.Since(heard) > udpSilence {
			g.problems.note("udp", a.String(), fmt.Sprintf("the director at %v is reached by TCP, but not by UDP: open port %d for both between the directors", a, a.Port()), persists)
		}
		return
	}
	from, ok := g.from(text)
	if !ok {
		return
	}
	switch {
	case strings.Contains(text, "no installed keys could decrypt"):
		g.problems.note("key", from, otherKey(from), 0)
	case strings.Contains(text, "Decrypt packet failed"),
		strings.Contains(text, "remote state is not encrypted"),
		strings.Contains(text, "encryption is not configured"):
		g.problems.note("key", from, noKey(from), 0)
	case strings.Contains(text, "unacceptable label"):
		label, _ := between(text, "label \"", "\"")
		g.problems.note("label", from, fmt.Sprintf("the director at %s belongs to another cluster (%q, this one is %q): set the same on both, or remove it from [cluster] join", from, label, g.opts.ClusterLabel), 0)
	}
}

// from is the configured peer that a line speaks of. Of a stream it names a
// passing port, so the address decides, as long as it is one peer's. Others
// are nobody's problem: anyone can send a packet that can't be decrypted.
func (g *Gossip) from(text string) (string, bool) {
	_, rest, ok := strings.Cut(text, "from=")
	if !ok {
		return "", false
	}
	rest, _, _ = strings.Cut(rest, " ")
	a, err := netip.ParseAddrPort(rest)
	if err != nil {
		return "", false
	}
	a = plain(a)
	found := ""
	for _, p := range *g.peers.Load() {
		switch {
		case p.addr == a:
			return p.text, true
		case p.addr.Addr() != a.Addr():
		case found != "":
			return "", false
		default:
			found = p.text
		}
	}
	return found, found != ""
}

func between(s, before, after string) (string, bool) {
	_, s, ok := strings.Cut(s, before)
	if !ok {
		return "", false
	}
	s, _, ok = strings.Cut(s, after)
	return s, ok
}
