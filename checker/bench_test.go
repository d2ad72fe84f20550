package checker

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The server of the benchmarks is another process: the CPU figures are ours
// alone. Each benchmark reports cpu-us/op, user and system together.

type benchServer struct{ web, mute netip.AddrPort }

func startBenchServer(b testing.TB) benchServer {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CHECKER_HELPER=server", "GOMAXPROCS=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	web, mute, _ := strings.Cut(strings.TrimSpace(line), " ")
	return benchServer{netip.MustParseAddrPort(web), netip.MustParseAddrPort(mute)}
}

func cpuTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// perCheck runs check b.N times, 8 at once, and reports the CPU time of one.
func perCheck(b *testing.B, check func()) {
	b.Helper()
	b.ReportAllocs()
	work := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range work {
				check()
			}
		})
	}
	b.ResetTimer()
	before := cpuTime()
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	wg.Wait()
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/1e3/float64(b.N), "cpu-us/op")
}

// whole turns a Checker as fast as it goes until it has made b.N checks, so
// that the figure has the schedule, the reactor and the history in it.
func whole(b *testing.B, spec Spec) {
	b.ReportAllocs()
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	var reason string
	c := New(Options{Observe: func(_ ID, r Result) {
		if n++; n >= b.N {
			cancel()
		}
		if !r.OK {
			reason = r.Reason
		}
	}})
	var watches []Watch
	target := loop(spec.Target)
	for i := range 64 {
		spec.Interval = tick
		spec.Target = target(i)
		watches = append(watches, Watch{ID: ID(fmt.Sprint(i)), Spec: spec})
	}
	c.Set(watches)
	b.ResetTimer()
	before := cpuTime()
	_ = c.Run(ctx)
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/1e3/float64(n), "cpu-us/op")
	if reason != "" {
		b.Error(reason)
	}
}

// plain runs one probe per worker, in the plain way.
func plain(b *testing.B, spec Spec) {
	probes := make(chan probe, 8)
	env := newEnv()
	defer env.close()
	for range 8 {
		p, err := compile(ptr(spec.normal()), env, map[string]*regexp.Regexp{})
		if err != nil {
			b.Fatal(err)
		}
		probes <- p
	}
	perCheck(b, func() {
		p := <-probes
		if r := run(context.Background(), p, nil); !r.OK {
			b.Error(r.Reason)
		}
		probes <- p
	})
}

func BenchmarkHTTP(b *testing.B) {
	srv := startBenchServer(b)
	spec := Spec{Type: HTTP, Target: srv.web, Interval: time.Second, Timeout: 5 * time.Second, Request: "/index.html", Receive: "Test Page"}
	b.Run("ours", func(b *testing.B) { whole(b, spec) })
	b.Run("goroutine", func(b *testing.B) { plain(b, spec) }) // what a check costs that the owner does not carry
	request := requestBytes(ptr(spec.normal()))
	b.Run("raw", func(b *testing.B) { // blocking calls and nothing else: the floor
		perCheck(b, func() {
			if err := rawExchange(srv.web, request); err != nil {
				b.Error(err)
			}
		})
	})
	b.Run("dialer", func(b *testing.B) { // net.Dialer and http.ReadResponse
		perCheck(b, func() {
			if err := dialerExchange(srv.web, request); err != nil {
				b.Error(err)
			}
		})
	})
	b.Run("client", func(b *testing.B) { // net/http as one would write it
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
		perCheck(b, func() {
			resp, err := client.Get("http://" + srv.web.String() + "/index.html")
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		})
	})
}

func BenchmarkConnect(b *testing.B) {
	srv := startBenchServer(b)
	b.Run("ours", func(b *testing.B) {
		whole(b, Spec{Type: Connect, Target: srv.web, Interval: time.Second, Timeout: 5 * time.Second})
	})
	b.Run("dialer", func(b *testing.B) {
		dialer := net.Dialer{KeepAlive: -1}
		perCheck(b, func() {
			conn, err := dialer.DialTCP(context.Background(), "tcp", netip.AddrPort{}, srv.web)
			if err != nil {
				b.Error(err)
				return
			}
			_ = conn.SetLinger(0)
			_ = conn.Close()
		})
	})
}

func rawExchange(target netip.AddrPort, request []byte) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(target.Port()), Addr: target.Addr().As4()}); err != nil {
		return err
	}
	if _, err := unix.Write(fd, request); err != nil {
		return err
	}
	var b [2048]byte
	_, err = unix.Read(fd, b[:])
	return err
}

var dialerBuffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 2<<10) }}

func dialerExchange(target netip.AddrPort, request []byte) error {
	dialer := net.Dialer{KeepAlive: -1}
	conn, err := dialer.DialTCP(context.Background(), "tcp", netip.AddrPort{}, target)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write(request); err != nil {
		return err
	}
	r := dialerBuffers.Get().(*bufio.Reader)
	defer dialerBuffers.Put(r)
	r.Reset(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// BenchmarkWatch turns a whole Checker with 10,000 targets and reports its
// memory (resident, the test binary included), its CPU and how late checks are.
func BenchmarkWatch(b *testing.B) {
	srv := startBenchServer(b)
	for _, bm := range []struct {
		name     string
		target   func(i int) netip.AddrPort
		interval time.Duration
		n        int
	}{
		{"10000-idle", loop(srv.web), time.Hour, 10_000},
		{"10000-http-5s", loop(srv.web), 5 * time.Second, 10_000},
		{"10000-hanging", loop(srv.mute), 5 * time.Second, 10_000},
		{"500-http-1s", loop(srv.web), time.Second, 500},
	} {
		b.Run(bm.name, func(b *testing.B) {
			for range b.N {
				watchForBench(b, bm.n, bm.target, bm.interval)
			}
		})
	}
}

// loop spreads targets over 127.0.0.0/8, one port: each is its own Spec.
func loop(at netip.AddrPort) func(int) netip.AddrPort {
	return func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), at.Port())
	}
}

func watchForBench(b *testing.B, n int, target func(int) netip.AddrPort, interval time.Duration) {
	debug.FreeOSMemory()
	var good, bad atomic.Int64
	var mu sync.Mutex
	last := map[ID]time.Time{}
	var late []time.Duration
	c := New(Options{Observe: func(id ID, r Result) {
		if r.OK {
			good.Add(1)
		} else {
			bad.Add(1)
		}
		mu.Lock()
		defer mu.Unlock()
		if before, ok := last[id]; ok {
			late = append(late, (r.Start.Sub(before) - interval).Abs())
		}
		last[id] = r.Start
	}})
	watches := make([]Watch, n)
	for i := range watches {
		watches[i] = Watch{ID: ID(fmt.Sprintf("10.0.0.1:80/tcp real %d", i)), Spec: Spec{
			Type: HTTP, Target: target(i), Interval: interval, Timeout: 4900 * time.Millisecond, Request: "/index.html", Receive: "Test Page",
		}}
	}
	c.Set(watches)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	time.Sleep(time.Second + min(interval, time.Duration(n)*time.Millisecond)*2)
	mu.Lock()
	clear(last)
	late = late[:0]
	mu.Unlock()
	before, from, ran := cpuTime(), time.Now(), good.Load()+bad.Load()
	var rss float64
	goroutines := 0
	for time.Since(from) < 12*time.Second {
		time.Sleep(100 * time.Millisecond)
		rss = max(rss, resident())
		goroutines = max(goroutines, runtime.NumGoroutine())
	}
	cpu, span := cpuTime()-before, time.Since(from)
	checks := good.Load() + bad.Load() - ran
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/1e6, "heap-MB")
	cancel()
	<-done
	slices.Sort(late)
	b.ReportMetric(rss, "rss-MB")
	b.ReportMetric(float64(goroutines), "goroutines")
	b.ReportMetric(100*cpu.Seconds()/span.Seconds(), "cpu-%")
	if checks > 0 {
		b.ReportMetric(float64(cpu.Microseconds())/float64(checks), "cpu-us/check")
	}
	b.ReportMetric(float64(checks)/span.Seconds(), "checks/s")
	if len(late) > 0 {
		b.ReportMetric(float64(late[len(late)*99/100].Microseconds())/1e3, "late-p99-ms")
	}
}

// resident is our resident memory in MB.
func resident() float64 {
	text, _ := os.ReadFile("/proc/self/statm")
	var size, pages float64
	_, _ = fmt.Sscan(string(text), &size, &pages)
	return pages * float64(os.Getpagesize()) / 1e6
}
