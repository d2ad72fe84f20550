package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mustGet answers with the status code and the body.
func mustGet(t *testing.T, url string) (int, string) {
	t.Helper()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// freePort is a port that nobody had a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func refused(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

func TestListenErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for addr, want := range map[string]string{
		taken.Addr().String(): fmt.Sprintf("listen on %s: address already in use; another ipvsd? set [http] listen", taken.Addr()),
		"192.0.2.1:9117":      "listen on 192.0.2.1:9117: cannot assign requested address; no interface has this address, set [http] listen",
		"127.0.0.1":           "listen on 127.0.0.1: address 127.0.0.1: missing port in address",
	} {
		socket := t.TempDir() + "/ipvsd.sock"
		_, err := Listen(&fakeSource{}, NewMetrics(""), Options{Log: quiet(), Socket: socket, HTTP: addr})
		if err == nil || err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
		if _, err := NewClient(socket).Status(t.Context()); !errors.Is(err, ErrNoDaemon) {
			t.Errorf("the control socket stays open after a failed start: %v", err)
		}
	}
}

func TestServerMove(t *testing.T) {
	s, _ := startServer(t, &fakeSource{active: true})
	first := s.Addr().String()
	if code, body := mustGet(t, "http://"+first+"/active"); code != 200 || body != "active\n" {
		t.Fatalf("%d %q", code, body)
	}

	if err := s.Move("127.0.0.1:1:1"); err == nil {
		t.Error("a nonsense address is taken")
	}
	mustGet(t, "http://"+first+"/active")

	// Another port: the old one goes once the new one is there.
	second := "127.0.0.1:" + freePort(t)
	if err := s.Move(second); err != nil {
		t.Fatal(err)
	}
	mustGet(t, "http://"+second+"/active")
	eventually(t, "the old port is closed", func() bool { return refused(first) })

	// The same port on all addresses excludes the old listener.
	_, port, _ := net.SplitHostPort(second)
	if err := s.Move("0.0.0.0:" + port); err != nil {
		t.Fatal(err)
	}
	mustGet(t, "http://"+second+"/active")

	// The same again changes nothing, "" closes, and it can come back.
	if err := s.Move("0.0.0.0:" + port); err != nil {
		t.Fatal(err)
	}
	if err := s.Move(""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the port is closed", func() bool { return refused(second) })
	if s.Addr() != nil {
		t.Errorf("Addr is %v", s.Addr())
	}
	if err := s.Move(second); err != nil {
		t.Fatal(err)
	}
	mustGet(t, "http://"+second+"/active")
}

// The new address can't be had, and to find out the old one was closed.
func TestServerMoveComesBack(t *testing.T) {
	port := freePort(t)
	s, _ := startServer(t, &fakeSource{active: true})
	if err := s.Move("127.0.0.1:" + port); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Skip("this machine has no 127.0.0.2")
	}
	defer other.Close()
	if err := s.Move("0.0.0.0:" + port); !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("error %v", err)
	}
	mustGet(t, "http://127.0.0.1:"+port+"/active")
}

// Moves faster than Run takes them leave no port open behind.
func TestServerMovesBeforeRun(t *testing.T) {
	w := newWeb(http.NotFoundHandler(), quiet())
	var addrs []string
	for range 3 {
		addrs = append(addrs, "127.0.0.1:"+freePort(t))
		if err := w.move(addrs[len(addrs)-1]); err != nil {
			t.Fatal(err)
		}
	}
	if !refused(addrs[0]) || !refused(addrs[1]) || refused(addrs[2]) {
		t.Error("want the last address open, and only that")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.run(ctx); err != nil {
		t.Fatal(err)
	}
	if !refused(addrs[2]) {
		t.Error("open after run")
	}
}

// Who doesn't finish a request, or doesn't read the answer, keeps neither
// others nor the end waiting.
func TestServerStopsWithSlowClients(t *testing.T) {
	socket := t.TempDir() + "/ipvsd.sock"
	s, err := Listen(&fakeSource{status: bigStatus(1000, 10)}, NewMetrics(""), Options{Log: quiet(), Socket: socket, HTTP: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for _, request := range []string{"GET /healthz HT", "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"} {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(request, "metrics") { // the answer has begun
			if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	if code, _ := mustGet(t, "http://"+s.Addr().String()+"/healthz"); code != 200 {
		t.Errorf("status %d", code)
	}
	start := time.Now()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > stopTimeout+500*time.Millisecond {
		t.Errorf("stopping took %v", took)
	}
}

func TestHeaderLimit(t *testing.T) {
	s, _ := startServer(t, &fakeSource{})
	req, err := http.NewRequest("GET", "http://"+s.Addr().String()+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Long", strings.Repeat("x", 2*maxHeaderBytes))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestConnectionLimit(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := limit(inner, 1)
	defer ln.Close()
	accepted := make(chan net.Conn)
	ended := make(chan error, 1)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- conn
		}
	}()
	for range 2 {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	first := <-accepted
	select {
	case <-accepted:
		t.Fatal("the second is accepted before the first is closed")
	case <-time.After(50 * time.Millisecond):
	}
	first.Close()
	first.Close() // twice is once
	<-accepted
	ln.Close() // while Accept waits for a slot
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept ends with %v", err)
	}
}
