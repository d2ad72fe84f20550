package lab

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// holdPatience is the silence after which a held connection counts as broken.
const holdPatience = 30 * time.Second

// Hold is a client that keeps one connection to an [Echo], sends a line every 100 ms and checks the answers.
type Hold struct {
	conn net.Conn
	wg   sync.WaitGroup
	end  chan struct{}
	once sync.Once

	mu  sync.Mutex
	rep HoldReport
	at  time.Time // of the last answer
}

// HoldReport is what a [Hold] saw.
type HoldReport struct {
	Server   string
	Sent     int
	Answered int
	Silence  time.Duration // longest time between two answers, or from the last one to now
	Broken   error         // nil while the connection lives
	BrokenAt time.Time
}

func (r HoldReport) String() string {
	s := fmt.Sprintf("%s: %d lines, %d answered, longest silence %v",
		r.Server, r.Sent, r.Answered, r.Silence.Round(time.Millisecond))
	if r.Broken != nil {
		s += fmt.Sprintf(", broken at %s: %v", clock(r.BrokenAt), r.Broken)
	}
	return s
}

// Hold opens a connection ("tcp" or "sctp"), has its first line answered, and keeps it until Stop or the test's end.
func (h *Host) Hold(network, addr string) *Hold {
	h.t.Helper()
	conn, err := h.Dial(network, addr, 5*time.Second)
	if err != nil {
		h.t.Fatalf("lab: %s: hold: %v", h.Name, err)
	}
	k := &Hold{conn: conn, end: make(chan struct{}), at: time.Now()}
	first := make(chan struct{})
	k.wg.Go(func() { k.read(first) })
	k.wg.Go(k.write)
	h.t.Cleanup(func() { k.Stop() })
	select {
	case <-first:
	case <-time.After(5 * time.Second):
		h.t.Fatalf("lab: %s: hold: connected to %s, but no answer", h.Name, addr)
	}
	return k
}

func (k *Hold) write() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		k.mu.Lock()
		n := k.rep.Sent
		k.rep.Sent++
		dead := k.rep.Broken != nil
		k.mu.Unlock()
		if dead {
			return
		}
		_ = k.conn.SetWriteDeadline(time.Now().Add(holdPatience))
		if _, err := fmt.Fprintf(k.conn, "line %d\n", n); err != nil {
			k.broke(err)
			return
		}
		select {
		case <-k.end:
			return
		case <-tick.C:
		}
	}
}

func (k *Hold) read(first chan struct{}) {
	in := bufio.NewReader(k.conn)
	for n := 0; ; n++ {
		_ = k.conn.SetReadDeadline(time.Now().Add(holdPatience))
		line, err := in.ReadString('\n')
		if err != nil {
			k.broke(err)
			return
		}
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if want := fmt.Sprintf("line %d", n); rest != want {
			k.broke(fmt.Errorf("got %q, want %q", rest, want))
			return
		}
		k.mu.Lock()
		now := time.Now()
		k.rep.Silence = max(k.rep.Silence, now.Sub(k.at))
		k.rep.Answered++
		k.rep.Server = name
		k.at = now
		k.mu.Unlock()
		if n == 0 {
			close(first)
		}
	}
}

// broke notes the first thing that went wrong, unless it was our own Stop.
func (k *Hold) broke(err error) {
	select {
	case <-k.end:
		return
	default:
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rep.Broken == nil {
		k.rep.Broken, k.rep.BrokenAt = shorten(err), time.Now()
	}
}

// Report is the state of affairs.
func (k *Hold) Report() HoldReport {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.rep
	select {
	case <-k.end:
	default:
		if r.Broken == nil {
			r.Silence = max(r.Silence, time.Since(k.at))
		}
	}
	return r
}

// Stop closes the connection and reports.
func (k *Hold) Stop() HoldReport {
	r := k.Report()
	k.once.Do(func() { close(k.end) })
	k.conn.Close()
	k.wg.Wait()
	return r
}
