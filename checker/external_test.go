package checker

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// helper is a command that does what, see helperCommand.
func helper(t *testing.T, what ...string) string {
	t.Helper()
	t.Setenv("CHECKER_HELPER", "command")
	t.Setenv("GORACE", "atexit_sleep_ms=0") // else each command of a race build takes a second
	return strings.Join(append([]string{os.Args[0]}, what...), "\x00")
}

func external(command string) Spec {
	return Spec{
		Type: External, Command: command, Target: netip.MustParseAddrPort("10.0.0.11:8080"),
		Virtual: "192.0.2.10", VPort: 80, RPort: 8000, Interval: time.Hour, Timeout: 20 * time.Second,
	}
}

func TestExternal(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "/run/systemd/notify")
	v6 := external(helper(t, "args", "--deep"))
	v6.Virtual, v6.Target = "2001:db8::10", netip.MustParseAddrPort("[2001:db8::11]:8080")
	mark := external(helper(t, "args"))
	mark.Virtual, mark.VPort, mark.RPort = "5", 0, 0
	for _, tt := range []struct {
		name   string
		spec   Spec
		ok     bool
		reason string
	}{
		{"arguments", external(helper(t, "args")), true, "exit status 0: 192.0.2.10 80 10.0.0.11 8000"},
		{"own arguments, IPv6", v6, true, "exit status 0: --deep [2001:db8::10] 80 [2001:db8::11] 8000"},
		{"mark", mark, true, "exit status 0: 5 0 10.0.0.11 0"},
		{"exit 3", external(helper(t, "exit3")), false, "exit status 3: no replica is in sync"},
		{"killed by a signal", external(helper(t, "signal")), false, "killed by signal SIGTERM"},
		{"much output", external(helper(t, "flood")), true, "exit status 0: the end"},
		{"no such command", external("/nonexistent/check"), false, "run /nonexistent/check: no such file or directory"},
		{"not executable", external("/etc/passwd"), false, "run /etc/passwd: permission denied"},
		{"environment", external(helper(t, "env")), true, "exit status 0: socket"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := Once(context.Background(), tt.spec, io.Discard)
			if r.OK != tt.ok || r.Void || r.Reason != tt.reason {
				t.Errorf("got %+v, want %t %q", r, tt.ok, tt.reason)
			}
			if len(r.Sample) > maxSample {
				t.Errorf("sample of %d bytes", len(r.Sample))
			}
		})
	}
}

// TestExternalTimeout: the whole group dies, and a grandchild that holds the
// output doesn't hold us.
func TestExternalTimeout(t *testing.T) {
	for _, tt := range []struct {
		name, what, reason string
		ok                 bool
	}{
		{"hangs with a child", "hang", "timeout after 2s, killed: child ", false},
		{"leaves a child", "leave", "exit status 0: child ", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := external(helper(t, tt.what))
			spec.Timeout = 2 * time.Second
			if tt.ok {
				spec.Timeout = 10 * time.Second
			}
			start := time.Now()
			r := Once(context.Background(), spec, io.Discard)
			if r.OK != tt.ok || !strings.HasPrefix(r.Reason, tt.reason) {
				t.Fatalf("got %+v, want %q", r, tt.reason)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %s", d)
			}
			var child int
			if _, err := fmt.Sscan(strings.TrimPrefix(r.Reason, tt.reason), &child); err != nil {
				t.Fatal(err)
			}
			for range 100 {
				if dead(child) {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
			t.Errorf("the child %d lives on", child)
		})
	}
}

// dead tells whether a process is gone, or a zombie that nobody here reaps.
func dead(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestExternalStops(t *testing.T) {
	spec := external("/bin/sh\x00-c\x00sleep 60")
	c := New(Options{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	c.Set([]Watch{{ID: "x", Spec: spec}})
	time.Sleep(100 * time.Millisecond)
	start := time.Now()
	cancel()
	<-done
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("stopping took %s", d)
	}
}

func TestExternalEnvironment(t *testing.T) {
	for _, tt := range []struct {
		name string
		with func(*Spec)
		want string
	}{
		{"IPv4", func(s *Spec) { s.Protocol, s.VirtualName = "tcp", "web" }, `IPVSD_ADDRESS_FAMILY=ipv4
IPVSD_CHECK_INTERVAL=3600
IPVSD_CHECK_TIMEOUT=2.5
IPVSD_PORT=8080
IPVSD_PROTOCOL=tcp
IPVSD_REAL=10.0.0.11
IPVSD_REAL_PORT=8000
IPVSD_VIRTUAL=192.0.2.10
IPVSD_VIRTUAL_NAME=web
IPVSD_VIRTUAL_PORT=80`},
		{"mark, IPv6", func(s *Spec) {
			s.Virtual, s.VPort, s.RPort, s.VirtualName = "5", 0, 0, "5"
			s.Target = netip.MustParseAddrPort("[2001:db8::11]:0")
		}, `IPVSD_ADDRESS_FAMILY=ipv6
IPVSD_CHECK_INTERVAL=3600
IPVSD_CHECK_TIMEOUT=2.5
IPVSD_PORT=0
IPVSD_PROTOCOL=fwmark
IPVSD_REAL=2001:db8::11
IPVSD_REAL_PORT=0
IPVSD_VIRTUAL=5
IPVSD_VIRTUAL_NAME=5
IPVSD_VIRTUAL_PORT=0`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "env")
			spec := external(helper(t, "own", file))
			tt.with(&spec)
			spec.Timeout = 2500 * time.Millisecond
			if r := Once(context.Background(), spec, io.Discard); !r.OK {
				t.Fatalf("got %+v", r)
			}
			got, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
