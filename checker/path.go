package checker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Path says whether the kernel takes what bears s.Mark to s.Via and to nobody
// else: nil, or why not. Without that a check would judge whoever the virtual
// service happens to choose. It may be called from several goroutines.
type Path func(ctx context.Context, s Spec) error

// Connects tells whether the check makes all its connections itself, so that
// they can bear a mark.
func (s Spec) Connects() bool {
	k := kindOf(s.Type)
	return k != nil && k.build != nil && k.target == portNeeded && !(s.Type == Connect && s.Protocol == "udp")
}

// Datagrams tells whether the check sends datagrams, not over a connection.
func (s Spec) Datagrams() bool { return overUDP(&s) }

// pathProbe is a check that bears a mark. A verdict counts only where the kernel
// took the mark to the real server before the check and after it.
type pathProbe struct {
	spec  *Spec
	inner probe
	path  Path // may be nil
}

// pathStep is how often a check that must wait for the kernel's table asks again.
const pathStep = 50 * time.Millisecond

// check waits up to half its timeout for the kernel's table, which a start or a
// reload is about to change, or a repair; then it has its whole timeout.
func (p *pathProbe) check(ctx context.Context, t *transcript) Result {
	if t != nil {
		t.note("path vip: mark %#x takes it to %s", p.spec.Mark, p.spec.Via)
	}
	if p.path == nil {
		return p.inner.check(ctx, t)
	}
	for until := time.Now().Add(p.spec.Timeout / 2); ; {
		err := p.path(ctx, *p.spec)
		if err == nil {
			break
		}
		if ctx.Err() != nil || time.Now().After(until) {
			return void(err.Error())
		}
		time.Sleep(pathStep)
	}
	r := p.inner.check(ctx, t)
	if err := p.path(ctx, *p.spec); err != nil {
		return void(err.Error())
	}
	return r
}

// pathError is a want of the director's own on the way.
type pathError struct{ text string }

func (e *pathError) Error() string { return e.text }

// portTries is how many local ports are tried until one isn't stale.
const portTries = 16

// openMarked dials a port of the virtual service's address with the Spec's mark.
func (e *env) openMarked(protocol int, spec *Spec, target netip.AddrPort) (*sock, error) {
	from, err := ownAddress(spec, target.Addr())
	if err != nil {
		return nil, err
	}
	for range portTries {
		fd, err := streamSocket(protocol, target.Addr())
		if err != nil {
			return nil, err
		}
		if err := connectMarked(fd, spec.Mark, from, target); err != nil {
			_ = unix.Close(fd)
			return nil, err
		}
		local, _ := unix.Getsockname(fd)
		key := stalePort{protocol, addrPort(local), target}
		if e.stale.of(key, spec.Mark) {
			_ = unix.Close(fd)
			continue
		}
		s, err := adopt(fd)
		if err == nil {
			s.unmet = func() { e.stale.add(key, spec.Mark) }
		}
		return s, err
	}
	return nil, &pathError{"the kernel remembers each local port tried as one of another real server; check less often or by path direct"}
}

func connectMarked(fd int, mark uint32, from netip.Addr, target netip.AddrPort) error {
	if err := setMark(fd, mark); err != nil {
		return err
	}
	// A reset is the end that makes IPVS forget which real server the local port
	// belongs to (conn_reuse_mode); after a FIN it remembers it for two minutes.
	linger(fd)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) // else the port is chosen sooner, among fewer
	if err := unix.Bind(fd, sockaddr(from)); err != nil {
		return &socketError{err}
	}
	if err := rawConnect(fd, target, 0); err != nil && err != unix.EINPROGRESS {
		return noWay(target.Addr(), err)
	}
	return nil
}

func setMark(fd int, mark uint32) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)); err != nil {
		return &pathError{fmt.Sprintf("mark the check's packets: %v (path vip needs CAP_NET_ADMIN)", err)}
	}
	return nil
}

// noWay: what connect says at once is about this machine's routes and ports.
func noWay(to netip.Addr, err error) error {
	return &pathError{fmt.Sprintf("connect to the virtual address %s: %v (path vip needs a route to it, also while another director has it)", to, err)}
}

// ownAddress is where the director's packets to the real server come from. The
// kernel's choice for the virtual address would be that address itself while it
// is here, and no answer would come back.
func ownAddress(spec *Spec, virtual netip.Addr) (netip.Addr, error) {
	real := spec.Via.Addr()
	fd, err := unix.Socket(familyOf(real), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return netip.Addr{}, &socketError{err}
	}
	defer unix.Close(fd)
	if err := rawConnect(fd, netip.AddrPortFrom(real, 9), 0); err != nil { // sends nothing; no port matters
		return netip.Addr{}, err
	}
	local, err := unix.Getsockname(fd)
	if err != nil {
		return netip.Addr{}, &socketError{err}
	}
	from := addrPort(local).Addr()
	if from == virtual.Unmap() {
		return from, &pathError{fmt.Sprintf("the director has no address towards %s but the virtual one, %s; give the interface one of its own", real, virtual)}
	}
	return from, nil
}

func sockaddr(a netip.Addr) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Addr: a.As16()}
}

// dialUDP opens a connected UDP socket to the Spec's target.
func dialUDP(spec *Spec) (*net.UDPConn, error) {
	target := net.UDPAddrFromAddrPort(spec.Target)
	if spec.Mark == 0 {
		return net.DialUDP("udp", nil, target)
	}
	from, err := ownAddress(spec, spec.Target.Addr())
	if err != nil {
		return nil, err
	}
	var refused error
	d := net.Dialer{
		LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)),
		Control: func(_, _ string, c syscall.RawConn) error {
			if err := c.Control(func(fd uintptr) { refused = setMark(int(fd), spec.Mark) }); err != nil {
				return err
			}
			return refused
		},
	}
	conn, err := d.Dial("udp", target.String())
	switch {
	case refused != nil:
		return nil, refused
	case err != nil:
		return nil, noWay(spec.Target.Addr(), err)
	}
	return conn.(*net.UDPConn), nil
}

// staleTime is how long IPVS at most remembers a connection of which it saw the
// first packet only: 60 s (tcp_timeouts of ip_vs_proto_tcp.c), and its timers'
// slack.
const staleTime = 75 * time.Second

// stalePorts are the local ports from which a connection was tried that never
// stood. While IPVS remembers such a try, whatever comes from the same port to
// the same address goes to the same real server, and its mark isn't looked at.
type stalePorts struct {
	mu sync.Mutex
	at map[stalePort]staleUse
}

type stalePort struct {
	protocol   int
	from, here netip.AddrPort
}

type staleUse struct {
	mark uint32
	when time.Time
}

// of tells whether a port is still that of another mark.
func (p *stalePorts) of(key stalePort, mark uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	use, ok := p.at[key]
	return ok && use.mark != mark && time.Since(use.when) < staleTime
}

func (p *stalePorts) add(key stalePort, mark uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at == nil {
		p.at = map[stalePort]staleUse{}
	}
	if n := len(p.at); n >= 1024 && n&(n-1) == 0 { // now and then, so that it costs little each time
		for k, use := range p.at {
			if time.Since(use.when) >= staleTime {
				delete(p.at, k)
			}
		}
	}
	p.at[key] = staleUse{mark, time.Now()}
}
