package child

import (
	"context"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func sh(ctx context.Context, t *testing.T, script string, env ...string) End {
	t.Helper()
	end, err := Run(ctx, []string{"/bin/sh", "-c", script}, env)
	if err != nil {
		t.Fatal(err)
	}
	return end
}

func TestRun(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "/run/systemd/notify")
	end := sh(t.Context(), t, `echo "$PWD $ADDED ${NOTIFY_SOCKET-none}"; echo error >&2; exit 3`, "ADDED=1")
	if end.Output != "/ 1 none\nerror\n" || end.Status().ExitStatus() != 3 {
		t.Errorf("%q, %v", end.Output, end.State)
	}
	if end := sh(t.Context(), t, "head -c 100000 /dev/zero | tr '\\0' x; echo end"); len(end.Output) != maxOutput || !strings.HasSuffix(end.Output, "xend\n") {
		t.Errorf("%d bytes of output", len(end.Output))
	}
	if _, err := Run(t.Context(), []string{"/nonexistent"}, nil); !os.IsNotExist(err) {
		t.Error(err)
	}
}

// The end of the context is that of the whole group.
func TestGroup(t *testing.T) {
	for name, script := range map[string]string{
		"a child of it":        "sleep 60 & echo $!; wait",
		"a child it left open": "sleep 60 & echo $!",
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			end := sh(ctx, t, script)
			pid, err := strconv.Atoi(strings.TrimSpace(end.Output))
			if err != nil {
				t.Fatal(err)
			}
			for began := time.Now(); gone(pid) != nil; time.Sleep(10 * time.Millisecond) {
				if time.Since(began) > 10*time.Second {
					t.Fatal("it lives on")
				}
			}
		})
	}
}

// gone returns nil once a process is no more, or nothing but a zombie.
func gone(pid int) error {
	if syscall.Kill(pid, 0) == syscall.ESRCH {
		return nil
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil || strings.Contains(string(stat), ") Z ") {
		return nil
	}
	return syscall.EBUSY
}
