package scenario

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director"
)

// TestNotify is systemd's side of Type=notify: READY comes after the first
// programming, the watchdog is fed, and a reload and a stop are told.
func TestNotify(t *testing.T) {
	f, _ := drFarm(t, 1)
	f.write(quick(`scheduler = "rr"`, rs1))
	path := filepath.Join(f.dir, "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	var said []string
	await := func(what string) {
		t.Helper()
		deadline := time.Now().Add(10 * time.Second)
		buf := make([]byte, 1024)
		for !strings.Contains(strings.Join(said, "\n"), what) {
			_ = socket.SetReadDeadline(deadline)
			n, err := socket.Read(buf)
			if err != nil {
				t.Fatalf("systemd heard no %s: %v\n%s", what, err, strings.Join(said, "\n"))
			}
			said = append(said, string(buf[:n]))
		}
	}

	cmd := f.director.Command(context.Background(), os.Getenv(binaryVar), "director", "-c", f.file(), "--socket", f.socket())
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=3000000")
	f.proc = f.director.StartCmd(cmd)
	await("READY=1")
	if !strings.Contains(f.table(), "-A -t 192.168.0.105:80 -s rr") {
		t.Errorf("READY before the table was programmed:\n%s", f.table())
	}
	if strings.Contains(strings.Join(said, "\n"), "WATCHDOG=1") {
		t.Errorf("the watchdog was fed before READY: %v", said)
	}
	said = nil
	await("WATCHDOG=1")
	await("STATUS=1 of 1 real server up")
	said = nil
	f.proc.Signal(syscall.SIGHUP)
	await("RELOADING=1")
	await("READY=1")
	f.eventually(3*time.Second, "reloaded", func(s director.Status) bool { return s.Config.Reloads["ok"] == 1 })

	f.proc.Signal(syscall.SIGTERM)
	await("STOPPING=1")
}
