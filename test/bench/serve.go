package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/test/lab"
)

// serve is the web server that is checked, a process of its own: accept, read,
// write, close, one connection after the other and nothing else, so that the
// lab's one processor is left to those who check. It accepts a connection when
// its request is there (TCP_DEFER_ACCEPT). "mute" takes connections, which is
// the kernel's work, and never answers.
func serve(args []string) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	mute := len(args) > 0 && args[0] == "mute"
	if err == nil && !mute {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 5)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: 80})
	}
	if err == nil {
		err = unix.Listen(fd, 65535)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "serve: %v\n", err)
		os.Exit(1)
	}
	if mute {
		select {}
	}
	const body = "Test Page of some web server\n"
	buf := make([]byte, 4096)
	for n := 1; ; n++ {
		conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
		if err != nil {
			n--
			continue
		}
		if k, _ := unix.Read(conn, buf); k > 0 {
			head := fmt.Appendf(buf[:0], "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\nX-Count: %d\r\n\r\n%s", len(body), n, body)
			_, _ = unix.Write(conn, head)
		} else {
			n-- // a check that only connects, or one that was broken off
		}
		_ = unix.Close(conn)
	}
}

// web starts the server of the node.
func (s *site) web(args ...string) *lab.Proc {
	exe, err := os.Executable()
	s.b.stage.must(err)
	cmd := s.node.Command(context.Background(), append([]string{exe, "serve"}, args...)...)
	cmd.Env = append(os.Environ(), "GOGC=off", "GOMEMLIMIT=64MiB")
	p := s.node.StartCmd(cmd)
	s.awaitPort(80)
	return p
}

// awaitPort waits until the node listens on a port.
func (s *site) awaitPort(port int) {
	lab.Eventually(s.b.stage, 10*time.Second, fmt.Sprintf("the node listens on port %d", port), func() bool {
		conn, err := s.node.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// requests is how many requests the server of the node has answered.
func (s *site) requests() int {
	conn, err := s.node.Dial("tcp", "127.0.0.1:80", 10*time.Second)
	s.b.stage.must(err)
	defer conn.Close()
	text := make([]byte, 4096)
	n, err := ask(conn, text)
	s.b.stage.must(err)
	_, after, _ := strings.Cut(string(text[:n]), "X-Count: ")
	count, err := strconv.Atoi(strings.TrimSpace(after[:max(strings.Index(after, "\r"), 0)]))
	s.b.stage.must(err)
	return count
}

func ask(conn net.Conn, into []byte) (int, error) {
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0, err
	}
	if _, err := conn.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
		return 0, err
	}
	return conn.Read(into)
}
