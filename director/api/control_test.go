package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director"
)

func listenOn(socket string) (*Server, error) {
	return Listen(&fakeSource{}, NewMetrics(""), Options{Log: quiet(), Socket: socket})
}

func TestControlStatus(t *testing.T) {
	want := testStatus()
	want.Virtuals[1].Name = "plain"
	_, socket := startServer(t, &fakeSource{status: want})
	info, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != fs.ModeSocket|0o660 {
		t.Errorf("mode %v", info.Mode())
	}
	c := NewClient(socket)
	defer c.Close()
	got, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestControlVerb(t *testing.T) {
	socket := t.TempDir() + "/ipvsd.sock"
	s, err := listenOn(socket)
	if err != nil {
		t.Fatal(err)
	}
	s.Handle("POST /v1/drain", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	c := NewClient(socket)
	resp, err := c.http.Post("http://ipvsd/v1/drain", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Errorf("status %s", resp.Status)
	}
	if err := c.get(t.Context(), "/v1/nothing", nil); err == nil || err.Error() != "the director answers 404 Not Found to /v1/nothing: 404 page not found" {
		t.Errorf("error %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket outlives the daemon: %v", err)
	}
}

func TestControlRefusesASecondDirector(t *testing.T) {
	_, socket := startServer(t, &fakeSource{})
	want := fmt.Sprintf("another ipvsd director is running (pid %d)", os.Getpid())
	if _, err := listenOn(socket); err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	// Also one whose lock file somebody removed.
	if err := os.Remove(socket + ".lock"); err != nil {
		t.Fatal(err)
	}
	if _, err := listenOn(socket); err == nil || err.Error() != want {
		t.Errorf("without its lock: error %q, want %q", err, want)
	}
	if _, err := NewClient(socket).Status(t.Context()); err != nil {
		t.Errorf("the first is disturbed: %v", err)
	}
}

func TestControlReplacesADeadSocket(t *testing.T) {
	socket := t.TempDir() + "/ipvsd.sock"
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if _, err := NewClient(socket).Status(t.Context()); !errors.Is(err, ErrNoDaemon) || !strings.Contains(err.Error(), "nobody listens on") {
		t.Errorf("a dead socket: %v", err)
	}
	s, err := listenOn(socket)
	if err != nil {
		t.Fatal(err)
	}
	s.control.close()
}

func TestControlKeepsWhatIsNoSocket(t *testing.T) {
	path := t.TempDir() + "/precious"
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := listenOn(path)
	if err == nil || err.Error() != fmt.Sprintf("control socket: %s is there already and no socket; remove it, or choose another with --socket", path) {
		t.Errorf("error %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "data" {
		t.Errorf("the file is gone: %q, %v", data, err)
	}
}

func TestClientErrors(t *testing.T) {
	dir := t.TempDir()
	_, err := NewClient(dir + "/none.sock").Status(t.Context())
	want := fmt.Sprintf("no director is running (there is no %s/none.sock); start it with `systemctl start ipvsd` or `ipvsd director`", dir)
	if !errors.Is(err, ErrNoDaemon) || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}

	source := &fakeSource{block: make(chan struct{})}
	_, socket := startServer(t, source)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := NewClient(socket).Status(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	hurried := NewClient(socket)
	hurried.http.Timeout = 50 * time.Millisecond
	if _, err := hurried.Status(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "the director doesn't answer on "+socket) {
		t.Errorf("error %v", err)
	}
	close(source.block)
	if _, err := hurried.Status(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Run as nobody by TestClientPermission: root may do everything.
func TestClientPermissionHelper(t *testing.T) {
	socket := os.Getenv("API_TEST_SOCKET")
	if socket == "" {
		t.Skip("part of TestClientPermission")
	}
	_, err := NewClient(socket).Status(t.Context())
	fmt.Println("error:", err)
}

func TestClientPermission(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to become somebody else")
	}
	dir, err := os.MkdirTemp("/tmp", "ipvsd-api-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket := dir + "/ipvsd.sock"
	s, err := Listen(&fakeSource{status: director.Status{}}, NewMetrics(""), Options{Log: quiet(), Socket: socket})
	if err != nil {
		t.Fatal(err)
	}
	defer s.control.close()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/test", self, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(dir+"/test", "-test.run=TestClientPermissionHelper")
	cmd.Dir = dir
	cmd.Env = []string{"API_TEST_SOCKET=" + socket, "USER=carol"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := "error: " + socket + ": permission denied; use root, or join the group with `usermod -aG ipvsd carol` and log in again\n"
	if !strings.HasPrefix(string(out), want) {
		t.Errorf("got %q, want %q", out, want)
	}
}
