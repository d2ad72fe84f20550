package ipvs

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	moby "github.com/moby/ipvs"
	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/director/table"
)

var (
	web     = table.Service{ServiceKey: table.ByAddr(table.TCP, netip.MustParseAddrPort("192.0.2.10:80")), Scheduler: "rr"}
	addWeb  = table.Step{Op: table.AddService, Service: web}
	web1    = table.Real{Addr: netip.MustParseAddrPort("10.0.0.11:80"), Forward: table.DR, Weight: 1}
	addWeb1 = table.Step{Op: table.AddReal, Service: web, Real: web1}
)

func mustDo(t *testing.T, tbl *Table, steps ...table.Step) {
	t.Helper()
	if err := errors.Join(tbl.Do(context.Background(), steps)...); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t *testing.T, tbl *Table, only ...table.ServiceKey) table.Have {
	t.Helper()
	have, err := tbl.Read(context.Background(), only...)
	if err != nil {
		t.Fatal(err)
	}
	return have
}

// dropped runs f on a thread without CAP_NET_ADMIN. The thread dies with it.
func dropped(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var caps [2]unix.CapUserData
		err := unix.Capget(&head, &caps[0])
		caps[0].Effective &^= 1 << unix.CAP_NET_ADMIN
		if err == nil {
			err = unix.Capset(&head, &caps[0])
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestPermission(t *testing.T) {
	tbl := mustOpen(t)
	mustDo(t, tbl, addWeb)
	dropped(t, func() {
		opened, err := Open(context.Background(), Options{})
		if !errors.Is(err, table.ErrPermission) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
			t.Errorf("open: got error %v, want %v with the cure", err, table.ErrPermission)
		}
		if opened != nil {
			t.Error("open: got a table and an error")
		}
		if err := tbl.Do(context.Background(), []table.Step{addWeb1})[0]; !errors.Is(err, table.ErrPermission) {
			t.Errorf("do: got error %v, want %v", err, table.ErrPermission)
		}
		if _, err := tbl.Read(context.Background()); !errors.Is(err, table.ErrPermission) {
			t.Errorf("read: got error %v, want %v", err, table.ErrPermission)
		}
	})
	mustDo(t, tbl, addWeb1)
}

// TestLocal says what the kernel makes of dr to an address of its own, which a
// fallback on the director is: it stores what was asked for, and finds out
// when a connection comes.
func TestLocal(t *testing.T) {
	tbl := mustOpen(t)
	mustDo(t, tbl, addWeb)
	for _, f := range []table.Forward{table.DR, table.NAT, table.Tun} {
		r := table.Real{Addr: netip.MustParseAddrPort("127.0.0.1:80"), Forward: f, Weight: 1}
		mustDo(t, tbl, table.Step{Op: table.AddReal, Service: web, Real: r})
		if got := mustRead(t, tbl).State[web.ServiceKey].Reals[r.Addr]; got != r {
			t.Errorf("%s to a local address reads back as %+v", f, got)
		}
		mustDo(t, tbl, table.Step{Op: table.DeleteReal, Service: web, Real: r})
	}
}

// TestForeignOddities reads and removes what we would never make.
func TestForeignOddities(t *testing.T) {
	tbl := mustOpen(t)
	for _, line := range []string{
		"-A -t 192.0.2.10:80 -s none",
		"-A -t 192.0.2.11:80 -s rr -p 300 -M 255.0.255.0", // a mask with a hole
		"-A -f 3 -s rr",
		"-a -f 3 -r 10.0.0.1:0 -g",
		"-a -f 3 -r 10.0.0.1:8080 -g",
		"-A -t 192.0.2.12:80 -s rr",
		"-a -t 192.0.2.12:80 -r 10.0.0.1:8080 -m",
	} {
		mustIpvsadm(t, line)
	}
	have := mustRead(t, tbl)
	if len(have.State) != 4 || have.State.Reals() != 3 {
		t.Errorf("read %+v", have.State)
	}
	want := table.State{table.ByMark(table.IPv4, 3): {
		Service: table.Service{ServiceKey: table.ByMark(table.IPv4, 3), Scheduler: "wlc"},
		Reals:   map[netip.AddrPort]table.Real{},
	}}
	_, failed := table.Execute(context.Background(), have.State, table.Plan(have.State, want, all), tbl.Do)
	if len(failed) > 0 {
		t.Fatal(failed)
	}
	if steps := table.Plan(mustRead(t, tbl).State, want, all); len(steps) > 0 {
		t.Errorf("still to do: %v", steps)
	}
}

// stubborn is a handle of moby/ipvs whose calls don't return: an answer was
// lost. soft ones return once they are closed, as moby's do.
type stubborn struct {
	soft   bool
	closed chan struct{}
	never  chan struct{}
}

func (s *stubborn) wait() error {
	if s.soft {
		<-s.closed
		return unix.EBADF
	}
	<-s.never
	return nil
}

func (s *stubborn) NewService(*moby.Service) error    { return s.wait() }
func (s *stubborn) UpdateService(*moby.Service) error { return s.wait() }
func (s *stubborn) DelService(*moby.Service) error    { return s.wait() }
func (s *stubborn) Close()                            { close(s.closed) }

func TestLostAnswerOfMoby(t *testing.T) {
	tbl := mustOpen(t)
	tbl.services.close()
	tbl.services.timeout = 50 * time.Millisecond
	never := make(chan struct{})
	lose := func(soft bool) func() (handle, error) {
		return func() (handle, error) { return &stubborn{soft, make(chan struct{}), never}, nil }
	}

	// Calls that end when the handle is closed can be lost without limit.
	tbl.services.open = lose(true)
	for range 2 * maxStuck {
		errs := tbl.Do(context.Background(), []table.Step{addWeb, addWeb, addWeb})
		for _, err := range errs {
			if !errors.Is(err, table.ErrTimeout) {
				t.Fatalf("got error %v, want %v", err, table.ErrTimeout)
			}
		}
		waitFor(t, func() bool { return tbl.services.stuck.Load() == 0 })
	}

	// The next handle is a fresh one.
	tbl.services.open = openMoby
	mustDo(t, tbl, addWeb)
	tbl.services.close()

	// Calls that never end are bounded, and then it says so.
	tbl.services.open = lose(false)
	for range maxStuck {
		if err := tbl.Do(context.Background(), []table.Step{addWeb})[0]; !errors.Is(err, table.ErrTimeout) {
			t.Fatalf("got error %v, want %v", err, table.ErrTimeout)
		}
	}
	tbl.services.open = openMoby
	if err := tbl.Do(context.Background(), []table.Step{addWeb})[0]; err == nil || !strings.Contains(err.Error(), "restart") {
		t.Errorf("got error %v, want one that says to restart", err)
	}
	close(never)
	waitFor(t, func() bool { return tbl.services.stuck.Load() == 0 })
	mustDo(t, tbl, table.Step{Op: table.DeleteService, Service: web})
}

// TestLostAnswerOfContext ends a lost call when the context ends.
func TestLostAnswerOfContext(t *testing.T) {
	tbl := mustOpen(t)
	tbl.services.close()
	tbl.services.open = func() (handle, error) { return &stubborn{soft: true, closed: make(chan struct{})}, nil }
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := tbl.Do(ctx, []table.Step{addWeb})[0]; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v", err)
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("took %v", d)
	}
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for range 400 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("waited in vain")
}

// TestLostAnswer waits on our own socket for what never comes, and goes on.
func TestLostAnswer(t *testing.T) {
	tbl := mustOpen(t)
	mustDo(t, tbl, addWeb)
	r := &tbl.reader
	r.timeout = 50 * time.Millisecond
	err := r.receive(context.Background(), func(message) (bool, error) { return false, nil })
	if !errors.Is(err, table.ErrTimeout) {
		t.Errorf("got error %v, want %v", err, table.ErrTimeout)
	}
	if r.opened {
		t.Error("the socket is still open, and the answer may yet come")
	}
	if have := mustRead(t, tbl); len(have.State) != 1 {
		t.Errorf("read %v", have.State)
	}
}

// TestStrangers: what another process sends to our socket is no answer.
func TestStrangers(t *testing.T) {
	tbl := mustOpen(t)
	mustDo(t, tbl, addWeb, addWeb1)
	stranger := link{timeout: time.Second}
	if err := stranger.open(); err != nil {
		t.Fatal(err)
	}
	defer stranger.close()
	// The end mark of the dump that comes next, from a liar.
	stranger.end(stranger.begin(unix.NLMSG_DONE, 0, 0))
	native.PutUint32(stranger.out[8:], tbl.reader.seq+1)
	native.PutUint32(stranger.out[12:], tbl.reader.port)
	to := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: tbl.reader.port}
	if err := unix.Sendto(stranger.fd, stranger.out, 0, to); err != nil {
		t.Fatal(err)
	}
	if have := mustRead(t, tbl); have.State.Reals() != 1 {
		t.Errorf("read %v", have.State)
	}
}

// TestTogether reads and changes from many goroutines at once.
func TestTogether(t *testing.T) {
	tbl := mustOpen(t)
	var wg sync.WaitGroup
	for i := range 4 {
		s := web
		s.FWMark, s.Protocol, s.Addr = uint32(i+1), 0, netip.AddrPort{}
		wg.Go(func() {
			for range 50 {
				for _, err := range tbl.Do(context.Background(), []table.Step{
					{Op: table.AddService, Service: s},
					{Op: table.AddReal, Service: s, Real: web1},
					{Op: table.DeleteReal, Service: s, Real: web1},
					{Op: table.DeleteService, Service: s},
				}) {
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
		wg.Go(func() {
			for range 50 {
				if _, err := tbl.Read(context.Background()); err != nil {
					t.Error(err)
				}
				if _, err := tbl.ReadState(context.Background()); err != nil {
					t.Error(err)
				}
				if _, err := tbl.Read(context.Background(), s.ServiceKey); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if have := mustRead(t, tbl); len(have.State) != 0 {
		t.Errorf("left over: %v", have.State)
	}
}

// TestMixedFamilies: the cheap read doesn't see an IPv6 server in an IPv4
// service by itself, and has to know of ours, and of others' in the end.
func TestMixedFamilies(t *testing.T) {
	tbl := mustOpen(t)
	ctx := context.Background()
	read := func() table.State {
		st, err := tbl.ReadState(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	mustDo(t, tbl, addWeb, addWeb1)
	read()
	six := table.Real{Addr: netip.MustParseAddrPort("[fd00::1]:80"), Forward: table.Tun, Weight: 1}
	mustDo(t, tbl, table.Step{Op: table.AddReal, Service: web, Real: six})
	if n := len(read()[web.ServiceKey].Reals); n != 2 {
		t.Errorf("our own IPv6 server isn't seen at once")
	}
	mustIpvsadm(t, "-A -f 5 -s rr")
	mustIpvsadm(t, "-a -f 5 -r 10.0.0.1:0 -g")
	mustIpvsadm(t, "-a -f 5 -r [fd00::1]:0 -i")
	for range audit {
		if len(read()[table.ByMark(table.IPv4, 5)].Reals) == 2 {
			return
		}
	}
	t.Errorf("a foreign IPv6 server isn't seen within %d reads", audit)
}
