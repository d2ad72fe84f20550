package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// control is the control socket: HTTP over a unix socket that root and the
// group ipvsd may use. A file lock beside it, kept while the daemon lives,
// tells a living daemon's socket from a dead one's.
type control struct {
	path string
	mux  *http.ServeMux
	log  *slog.Logger

	// Set by listen, closed by run.
	ln   net.Listener
	lock *os.File
}

// newControl makes a control socket at path, which isn't opened yet. It has
// slots of its own: a busy HTTP port must not keep the operator out.
func newControl(path string, p *pages) *control {
	own := *p
	own.slots = make(chan struct{}, maxStatuses)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", own.slot(own.status))
	mux.HandleFunc("GET /v1/journal", own.slot(own.serveJournal))
	return &control{path: path, mux: mux, log: p.log}
}

// listen opens the socket. Another living director is an error that names its
// process; what a dead one left is replaced.
func (c *control) listen() error {
	dir := filepath.Dir(c.path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("control socket: %v", err)
	}
	lock, err := lockFile(c.path + ".lock")
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return alreadyRunning(c.path)
	}
	if err != nil {
		return fmt.Errorf("control socket: %v%s", err, rootHint(err))
	}
	ln, err := listenUnix(c.path)
	if err != nil {
		_ = lock.Close()
		return err
	}
	c.lock, c.ln = lock, limit(ln, maxConns)
	return nil
}

// run answers until ctx ends, then lets running requests finish for a second
// and removes the socket.
func (c *control) run(ctx context.Context) error {
	defer c.lock.Close()
	server := newHTTP(c.mux, c.log)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(c.ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("control socket %s: %v", c.path, err)
	case <-ctx.Done():
	}
	stopHTTP(server) // closing the listener removes the file
	<-failed
	return nil
}

// close undoes listen when there is no run.
func (c *control) close() {
	_ = c.ln.Close()
	_ = c.lock.Close()
}

// lockFile takes an exclusive lock that ends with the process.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	return f, nil
}

// listenUnix opens the socket at path for root and the group. The lock must be
// held: two processes here at once would remove each other's socket.
func listenUnix(path string) (net.Listener, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("control socket: %v", err)
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("control socket: %s is there already and no socket; remove it, or choose another with --socket", path)
	default:
		if conn, err := net.Dial("unix", path); err == nil {
			_ = conn.Close()
			return nil, alreadyRunning(path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("control socket: remove a dead daemon's: %v", err)
		}
	}
	// The kernel gives the file the mode of the unbound socket less the umask:
	// nobody else gets in between bind and chmod (net/unix/af_unix.c).
	private := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var chmodErr error
		err := raw.Control(func(fd uintptr) { chmodErr = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, chmodErr)
	}}
	ln, err := private.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: listen on %s: %v", path, cause(err))
	}
	if err := shareWithGroup(path); err != nil {
		_ = ln.Close()
		return nil, fmt.Errorf("control socket: %v", err)
	}
	return ln, nil
}

// shareWithGroup gives the socket its mode, and to the group where the machine
// has it and we may.
func shareWithGroup(path string) error {
	if g, err := user.LookupGroup(Group); err == nil && os.Geteuid() == 0 {
		gid, err := strconv.Atoi(g.Gid)
		if err != nil {
			return fmt.Errorf("group %s has the id %q, which is no number", Group, g.Gid)
		}
		if err := os.Chown(path, 0, gid); err != nil {
			return err
		}
	}
	return os.Chmod(path, 0o660)
}

// alreadyRunning names the process behind the socket at path.
func alreadyRunning(path string) error {
	if pid, err := listenerPID(path); err == nil {
		return fmt.Errorf("another ipvsd director is running (pid %d)", pid)
	}
	return fmt.Errorf("another ipvsd director is running (it holds %s.lock)", path)
}

// listenerPID asks the kernel who listens there (SO_PEERCRED, unix(7)).
func listenerPID(path string) (int32, error) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var (
		cred    *unix.Ucred
		credErr error
	)
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	return cred.Pid, nil
}

func rootHint(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "; the director runs as root, or choose another place with --socket"
	}
	return ""
}
