package api

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director"
)

// fakeSource is a director that stands as the test says.
type fakeSource struct {
	mu     sync.Mutex
	status director.Status
	ready  bool
	active bool
	hung   []string
	block  chan struct{} // Status waits until it is closed
}

func (f *fakeSource) Status(ctx context.Context) director.Status {
	f.mu.Lock()
	st, block := copyStatus(f.status), f.block
	f.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			st.Kernel.ReadError = ctx.Err().Error()
		}
	}
	return st
}

func (f *fakeSource) Loads(ctx context.Context) director.Loads {
	st := f.Status(ctx)
	return director.LoadsOf(&st)
}

// copyStatus copies what snapshot and the tests write to.
func copyStatus(st director.Status) director.Status {
	st.Virtuals = slices.Clone(st.Virtuals)
	st.Addresses = slices.Clone(st.Addresses)
	st.Config.Reloads = maps.Clone(st.Config.Reloads)
	st.Kernel.Drifts = maps.Clone(st.Kernel.Drifts)
	return st
}

func (f *fakeSource) Ready() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ready
}

func (f *fakeSource) Active() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.active
}

func (f *fakeSource) Hung(context.Context) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.hung)
}

var testTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// testStatus is a director with one real server up, one down, a fallback, a
// fwmark service and a name that needs escaping.
func testStatus() director.Status {
	return director.Status{
		Version: "1.2.3", PID: 4711, Started: testTime, Active: true, Ready: true,
		Config: director.ConfigStatus{
			File: "/etc/ipvsd/ipvsd.toml", Loaded: testTime,
			Hash:    "00000000002a0f3a5be1c1d0a9bd6f7a3b6d5a3c0e6f5f64c5c3b0c0ffee0000",
			Reloads: map[string]uint64{"ok": 2, "refused": 1},
		},
		Kernel: director.KernelStatus{
			Programmed: true, Synced: testTime, Foreign: 1,
			Drifts: map[string]uint64{"service_missing": 1, "real_changed": 3},
		},
		Virtuals: []director.VirtualStatus{
			{
				Name: "web", Service: "192.168.0.105:80/tcp", Scheduler: "wlc", Up: true,
				Counters: director.Traffic{Connections: 30, PacketsIn: 300, BytesIn: 3000},
				Reals: []director.RealStatus{
					{
						Address: "192.168.0.101:80", Forward: "dr", State: director.StateUp,
						Weight: 1, Configured: 1, InKernel: true, Active: 12, Inactive: 40,
						Counters: director.Traffic{Connections: 1 << 60, PacketsIn: 1, PacketsOut: 2, BytesIn: 3, BytesOut: 4},
						Since:    testTime, Reason: "status 200",
						Check: director.CheckStatus{Type: "https", Target: "192.168.0.101:80", Good: 7, Bad: 1, Void: 2, CertUntil: &testTime},
					},
					{
						Address: "192.168.0.102:80", Forward: "dr", State: director.StateDown, Configured: 1,
						Reason: "connection refused",
						Check:  director.CheckStatus{Type: "http", Target: "192.168.0.102:80", Bad: 3, Overdue: true},
					},
				},
			},
			{
				Name: "mark \"one\" \\ two\nlines \xff", Service: "fwmark 1/ipv4", Scheduler: "rr", Fallback: true,
				Reals: []director.RealStatus{
					{Address: "[fd00::101]:80", Forward: "tun", State: director.StateUnknown, Configured: 5, Check: director.CheckStatus{Type: "ping"}},
					{Address: "127.0.0.1:80", Forward: "dr", State: director.StateFallback, Weight: 1, InKernel: true},
				},
			},
		},
		Addresses: []director.AddressStatus{
			{Address: "192.168.0.105", Interface: "eth0", State: director.AddressAdded, Repaired: 2},
			{Address: "192.168.0.106", State: director.AddressMissing, Error: "no interface"},
		},
	}
}

// bigStatus has virtuals × reals real servers.
func bigStatus(virtuals, reals int) director.Status {
	st := testStatus()
	st.Virtuals = nil
	for v := range virtuals {
		vs := director.VirtualStatus{
			Name: fmt.Sprintf("service-%d", v), Service: fmt.Sprintf("10.0.%d.%d:80/tcp", v/250, v%250), Scheduler: "wlc", Up: true,
		}
		for r := range reals {
			vs.Reals = append(vs.Reals, director.RealStatus{
				Address: fmt.Sprintf("10.%d.%d.%d:80", 1+v/250, v%250, r), Forward: "dr", State: director.StateUp,
				Weight: 100, Configured: 100, InKernel: true, Active: 1234, Inactive: 5678, Reason: "status 200",
				Counters: director.Traffic{Connections: 123456, PacketsIn: 12345678, BytesIn: 1234567890},
				Since:    testTime,
				Check: director.CheckStatus{
					Type: "http", Target: fmt.Sprintf("10.%d.%d.%d:80", 1+v/250, v%250, r), Good: 4567, Bad: 12,
					Last: &director.CheckResult{OK: true, Reason: "status 200", At: testTime, Seconds: 0.0012},
				},
			})
		}
		st.Virtuals = append(st.Virtuals, vs)
	}
	return st
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// startServer runs a server on a free port and a socket in a folder that ends
// with the test.
func startServer(t *testing.T, source Source) (s *Server, socket string) {
	t.Helper()
	return startWith(t, source, nil)
}

func startWith(t *testing.T, source Source, j Journal) (s *Server, socket string) {
	t.Helper()
	socket = t.TempDir() + "/ipvsd.sock"
	s, err := Listen(source, NewMetrics("1.2.3"), Options{Log: quiet(), Socket: socket, HTTP: "127.0.0.1:0", Journal: j})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(3 * time.Second):
			t.Error("Run didn't end")
		}
	})
	return s, socket
}
