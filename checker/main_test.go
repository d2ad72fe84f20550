package checker

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain lets the test binary be its own helper: the commands of external
// checks and the server of the benchmarks, which must not share our CPU time.
func TestMain(m *testing.M) {
	switch os.Getenv("CHECKER_HELPER") {
	case "":
		goleak.VerifyTestMain(m)
	case "server":
		serveForBench()
	default:
		helperCommand()
	}
}

// serveForBench serves a small page on one port and takes connections without
// ever answering on another, prints both, and ends with its standard input.
func serveForBench() {
	web, _ := net.Listen("tcp", "0.0.0.0:0")
	mute, _ := net.Listen("tcp", "0.0.0.0:0")
	fmt.Println(addr(web), addr(mute))
	go func() {
		for {
			conn, err := mute.Accept()
			if err != nil {
				time.Sleep(time.Millisecond)
				continue
			}
			go func() {
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
			}()
		}
	}()
	go func() {
		_ = http.Serve(web, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("<html><body>Test Page</body></html>\n"))
		}))
	}()
	var b [1]byte
	_, _ = os.Stdin.Read(b[:])
}

// addr is a listener's address as a client on this machine reaches it.
func addr(l net.Listener) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(l.Addr().(*net.TCPAddr).Port))
}

func ptr[T any](v T) *T { return &v }
