//go:build servers

package servers

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/checker"
)

// try is one check of a server that is well.
type try struct {
	name string
	port string       // which of the host's
	spec checker.Spec // its target is filled in
	bad  string       // what the reason must hold; "": it must be healthy
	only string       // "4": the server isn't there over IPv6
}

// The times of these tests, on a machine that is busy with other things.
const (
	startTime = 40 * time.Second       // for a server to start
	endTime   = 5 * time.Second        // for one to end when it is asked to
	patience  = 5 * time.Second        // for an answer that must come
	stalled   = 500 * time.Millisecond // the timeout against a server that is stopped
	overrun   = 1500 * time.Millisecond
)

// trials puts a server that was just started through all of it.
func (h *host) trials(tries ...try) {
	h.t.Helper()
	var good []try
	for i := range tries {
		if tries[i].bad == "" {
			good = append(good, tries[i])
		}
	}
	h.ready(h.t, good)
	for _, tt := range tries {
		h.t.Run(tt.name, func(t *testing.T) {
			for _, at := range tt.addresses() {
				r, transcript := h.once(tt, at, cmp.Or(tt.spec.Timeout, patience))
				if tt.bad == "" && !r.OK || tt.bad != "" && (r.OK || r.Void || !strings.Contains(r.Reason, tt.bad)) {
					t.Errorf("%s: got %+v, want %q\n%s", at, r, tt.bad, transcript)
				}
			}
		})
	}
	if h.t.Failed() {
		return
	}
	h.t.Run("stopped", func(t *testing.T) { h.whileStopped(t, good) })
	h.t.Run("gone", func(t *testing.T) { h.afterEnd(t, good) })
}

func (tt try) addresses() []netip.Addr {
	all := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}
	if tt.only == "4" {
		return all[:1]
	}
	return all
}

func (h *host) once(tt try, at netip.Addr, timeout time.Duration) (checker.Result, string) {
	spec := tt.spec
	spec.Target = netip.AddrPortFrom(at, uint16(h.ports[tt.port]))
	spec.Timeout, spec.Interval = timeout, timeout
	if problems := spec.Validate(); len(problems) > 0 {
		panic(fmt.Sprintf("%s: %v", tt.name, problems)) // a mistake of the test
	}
	var b bytes.Buffer
	r := checker.Once(context.Background(), spec, &b)
	if strings.Contains(b.String()+r.Reason+r.Sample, password) {
		h.t.Errorf("%s: the password is in the transcript:\n%s", tt.name, b.String())
	}
	return r, b.String()
}

// ready waits until the server answers all that it must.
func (h *host) ready(t *testing.T, good []try) {
	t.Helper()
	for _, tt := range good {
		for _, at := range tt.addresses() {
			until := time.Now().Add(startTime)
			r, transcript := h.once(tt, at, patience)
			for !r.OK && time.Now().Before(until) {
				time.Sleep(50 * time.Millisecond)
				r, transcript = h.once(tt, at, patience)
			}
			if !r.OK {
				t.Fatalf("%s, %s: not healthy after %s: %+v\n%s", tt.name, at, startTime, r, transcript)
			}
		}
	}
}

// whileStopped: the kernel still accepts connections, and nothing else happens.
func (h *host) whileStopped(t *testing.T, good []try) {
	h.halt(t)
	var all sync.WaitGroup
	for _, tt := range good {
		for _, at := range tt.addresses() {
			all.Go(func() {
				r, transcript := h.once(tt, at, stalled)
				if r.OK || r.Void || !strings.Contains(r.Reason, "timeout after "+stalled.String()) || r.Duration > stalled+overrun {
					t.Errorf("%s, %s: got %+v\n%s", tt.name, at, r, transcript)
				}
			})
		}
	}
	all.Wait()
	h.signal(syscall.SIGCONT)
	h.ready(t, good)
}

// afterEnd: who isn't there is found out at once.
func (h *host) afterEnd(t *testing.T, good []try) {
	h.stop()
	for _, tt := range good {
		for _, at := range tt.addresses() {
			r, transcript := h.once(tt, at, patience)
			refused := strings.Contains(r.Reason, "connection refused") || strings.Contains(r.Reason, "port unreachable")
			if r.OK || r.Void || !refused || r.Duration > patience/2 {
				t.Errorf("%s, %s: got %+v\n%s", tt.name, at, r, transcript)
			}
		}
	}
}

// secret is the file with the password that the servers know.
func (h *host) secret() string { return h.file("password", "$password") }

// other is a file with another.
func (h *host) other() string { return h.file("other", "not-it") }

// with is a Spec with something changed.
func with(s checker.Spec, change func(*checker.Spec)) checker.Spec {
	change(&s)
	return s
}
