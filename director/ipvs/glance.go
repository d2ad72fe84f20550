package ipvs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/director/table"
)

// ReadState answers with the whole table without its counters, for the
// director's loop, which compares it every few seconds with what it wants.
// That is the same as the State of Read, at a third of the price: it takes the
// services from netlink, which costs a system call for every forty, and the
// real servers of IPv4 services from the older getsockopt interface, which
// copies them out in one call where a netlink dump takes two and describes
// every number. That interface knows neither IPv6 nor tunnels nor 64-bit
// counters; services that may have those are dumped.
//
// The answer must not be changed: it shares with the next ones what stays the
// same, which is everything as a rule.
func (t *Table) ReadState(ctx context.Context) (table.State, error) {
	if err := t.reading.take(ctx); err != nil {
		return nil, fmt.Errorf("read the table: %w", err)
	}
	defer t.reading.release()
	st, err := t.reader.state(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the table: %w", err)
	}
	return st, nil
}

// audit is how many glances there are between full dumps. One thing escapes a
// glance: a real server with an IPv6 address that a foreign hand put into an
// IPv4 service which had none. It is found at the next full dump, or as soon as
// somebody reads the counters.
const audit = 60

func (r *reader) state(ctx context.Context) (table.State, error) {
	glance := r.glance
	if r.glances++; r.glances%audit == 1 {
		glance = func(ctx context.Context) (table.Have, error) { return r.attempt(ctx, nil) }
	}
	have, err := r.retried(ctx, func() (table.Have, error) { return glance(ctx) })
	if err == nil {
		r.last = have.State
	}
	return have.State, err
}

func (r *reader) glance(ctx context.Context) (table.Have, error) {
	if err := r.ensure(ctx); err != nil {
		return table.Have{}, err
	}
	have, err := r.services(ctx, table.Have{State: make(table.State, len(r.keys))})
	if err != nil {
		return have, err
	}
	for _, k := range r.keys {
		if err := ctx.Err(); err != nil {
			return have, err
		}
		if k.Family == table.IPv4 && !r.mixed.has(k) {
			if reals, ok := r.sockopt.reals(k, r.last[k].Reals); ok {
				e := have.State[k]
				e.Reals = reals
				have.State[k] = e
				continue
			}
		}
		if err := r.realsOf(ctx, &have, k); err != nil {
			return have, fmt.Errorf("real servers of %s: %w", k, err)
		}
	}
	return have, nil
}

// mixed remembers the IPv4 services that were seen with a real server of IPv6.
// Reader and doer both write to it.
type mixed struct {
	mu   sync.Mutex
	keys map[table.ServiceKey]bool
}

func (m *mixed) has(k table.ServiceKey) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.keys[k]
}

// note remembers k if a real server makes it mixed.
func (m *mixed) note(k table.ServiceKey, real netip.AddrPort) {
	if k.Family != table.IPv4 || real.Addr().Is4() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.keys == nil {
		m.keys = map[table.ServiceKey]bool{}
	}
	m.keys[k] = true
}

// The getsockopt interface (include/uapi/linux/ip_vs.h). Go lays the structs
// out as C does, except on 32-bit ARM; there the kernel refuses the length.
const getDests = 64 + 1024 + 64 + 4 // IP_VS_SO_GET_DESTS

type getDestsHead struct {
	_        [0]uint64 // aligned as what follows it
	protocol uint16
	addr     uint32 // in network order, as port
	port     uint16
	fwmark   uint32
	count    uint32
}

type destEntry struct {
	addr                         uint32
	port                         uint16
	flags, weight                uint32
	upper, lower                 uint32
	active, inactive, persistent uint32
	_                            struct {
		conns, packetsIn, packetsOut uint32
		bytesIn, bytesOut            uint64
		rates                        [5]uint32
	}
}

// sockopt is the getsockopt interface with its buffer.
type sockopt struct {
	fd     int // valid where opened
	opened bool
	broken bool // this kernel doesn't have it as we know it
	buf    []uint64
}

func (s *sockopt) close() error {
	if !s.opened {
		return nil
	}
	s.opened = false
	return os.NewSyscallError("close", unix.Close(s.fd))
}

// reals returns the real servers of an IPv4 service, and whether that is all
// there is to say of them; else they have to be dumped. Where they are what
// they were, that is the answer.
func (s *sockopt) reals(k table.ServiceKey, last map[netip.AddrPort]table.Real) (map[netip.AddrPort]table.Real, bool) {
	const head, entry = unsafe.Sizeof(getDestsHead{}), unsafe.Sizeof(destEntry{})
	for n := max(32, s.room()); ; n *= 2 {
		s.grow(n)
		if !s.get(k, n) {
			return nil, false
		}
		es := unsafe.Slice((*destEntry)(unsafe.Add(unsafe.Pointer(&s.buf[0]), head)), n)
		// The kernel doesn't say how many it wrote. No real server has the
		// address 0.0.0.0, so the first one that has wasn't written.
		used := 0
		for used < n && es[used].addr != 0 {
			used++
		}
		if used == n {
			continue
		}
		reals, ok := convert(es[:used], last)
		clear(s.buf[:(head+uintptr(used)*entry+7)/8])
		// None may also mean that the service isn't there any more.
		return reals, ok && used > 0
	}
}

// convert makes a map of the entries, or takes the last one if that is it. It
// isn't ok where a tunnel is among them: of which type isn't said, and IPv6
// ones are left out.
func convert(es []destEntry, last map[netip.AddrPort]table.Real) (reals map[netip.AddrPort]table.Real, ok bool) {
	same := len(es) == len(last)
	for i := range es {
		r := es[i].real()
		if r.Forward == table.Tun {
			return nil, false
		}
		if same = same && last[r.Addr] == r; !same {
			break
		}
	}
	if same {
		return last, true
	}
	reals = make(map[netip.AddrPort]table.Real, len(es))
	for i := range es {
		r := es[i].real()
		if r.Forward == table.Tun {
			return nil, false
		}
		reals[r.Addr] = r
	}
	return reals, true
}

func (e *destEntry) real() table.Real {
	var addr [4]byte
	native.PutUint32(addr[:], e.addr)
	return table.Real{
		Addr:    netip.AddrPortFrom(netip.AddrFrom4(addr), networkOrder(e.port)),
		Forward: table.Forward(e.flags & forwardMask),
		Weight:  e.weight, Upper: e.upper, Lower: e.lower,
	}
}

// networkOrder turns a port in network order into its number, and back.
func networkOrder(port uint16) uint16 {
	var b [2]byte
	native.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}

// room is how many real servers fit into the buffer.
func (s *sockopt) room() int {
	n := len(s.buf)*8 - int(unsafe.Sizeof(getDestsHead{}))
	return n / int(unsafe.Sizeof(destEntry{}))
}

func (s *sockopt) grow(n int) {
	size := unsafe.Sizeof(getDestsHead{}) + uintptr(n)*unsafe.Sizeof(destEntry{})
	if n > s.room() {
		s.buf = make([]uint64, (size+7)/8)
	}
}

// get asks for up to n real servers of a service; the buffer has to be zero
// beyond what the last call used.
func (s *sockopt) get(k table.ServiceKey, n int) bool {
	if s.broken {
		return false
	}
	if !s.opened {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return false
		}
		s.fd, s.opened = fd, true
	}
	h := (*getDestsHead)(unsafe.Pointer(&s.buf[0]))
	*h = getDestsHead{protocol: uint16(k.Protocol), fwmark: k.FWMark, count: uint32(n)}
	if k.Protocol != 0 {
		addr := k.Addr.Addr().As4()
		h.addr, h.port = native.Uint32(addr[:]), networkOrder(k.Addr.Port())
	}
	size := uint32(unsafe.Sizeof(getDestsHead{}) + uintptr(n)*unsafe.Sizeof(destEntry{}))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_IP, getDests,
		uintptr(unsafe.Pointer(&s.buf[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errors.Is(errno, unix.EINVAL) || errors.Is(errno, unix.ENOPROTOOPT) {
		s.broken = true
	}
	return errno == 0
}
