package ipvs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/director/table"
)

// reader reads the table over a link of its own.
type reader struct {
	link
	keys   []table.ServiceKey // of the read under way, in the kernel's order
	pieces []counted          // real servers of the service under way
	reals  int                // real servers in the last full read, to size the next

	sockopt sockopt // see ReadState
	glances int
	last    table.State // what the last ReadState answered
	mixed   *mixed
}

func (r *reader) close() error { return errors.Join(r.link.close(), r.sockopt.close()) }

// counted is a real server with its counters.
type counted struct {
	real     table.Real
	counters table.Counters
}

var (
	errInterrupted = errors.New("the table changed all the time while it was read")
	errGone        = errors.New("gone")
)

// rereads bounds how often a dump is repeated that others changed meanwhile.
const rereads = 10

func (r *reader) read(ctx context.Context, only []table.ServiceKey) (table.Have, error) {
	return r.retried(ctx, func() (table.Have, error) { return r.attempt(ctx, only) })
}

// retried reads a second time where IPVS has another family number than
// before. A message to a family that is gone is answered with ENOENT, which
// none of the questions here has as an answer of its own.
func (r *reader) retried(ctx context.Context, read func() (table.Have, error)) (table.Have, error) {
	have, err := read()
	if errors.Is(err, unix.ENOENT) {
		if err := r.link.close(); err != nil {
			return table.Have{}, err
		}
		have, err = read()
	}
	if err != nil {
		return table.Have{}, cure(plain(err), "")
	}
	return have, nil
}

func (r *reader) attempt(ctx context.Context, only []table.ServiceKey) (table.Have, error) {
	if err := r.ensure(ctx); err != nil {
		return table.Have{}, err
	}
	var have table.Have
	var err error
	if len(only) == 0 {
		have, err = r.services(ctx, newHave(len(r.keys), r.reals))
	} else {
		have, err = r.named(ctx, only)
	}
	if err != nil {
		return table.Have{}, err
	}
	for _, k := range r.keys {
		if err := ctx.Err(); err != nil {
			return table.Have{}, err
		}
		if err := r.realsOf(ctx, &have, k); err != nil {
			return table.Have{}, fmt.Errorf("real servers of %s: %w", k, err)
		}
	}
	if len(only) == 0 {
		r.reals = len(have.Reals)
	}
	return have, nil
}

func newHave(services, reals int) table.Have {
	return table.Have{
		State:    make(table.State, services),
		Services: make(map[table.ServiceKey]table.Counters, services),
		Reals:    make(map[table.Pair]table.Counters, reals),
	}
}

// services dumps all services into have, without their real servers.
func (r *reader) services(ctx context.Context, have table.Have) (table.Have, error) {
	for range rereads {
		r.keys = r.keys[:0]
		clear(have.State)
		clear(have.Services)
		at := r.begin(r.family, cmdGetService, unix.NLM_F_DUMP)
		r.end(at)
		err := r.dump(ctx, func(body []byte) error { return r.service(&have, body) })
		if !errors.Is(err, errInterrupted) {
			return have, err
		}
	}
	return table.Have{}, errInterrupted
}

// named asks for single services, without their real servers.
func (r *reader) named(ctx context.Context, only []table.ServiceKey) (table.Have, error) {
	have := newHave(len(only), 0)
	r.keys = r.keys[:0]
	for _, k := range only {
		if _, ok := have.State[k]; ok {
			continue
		}
		err := r.oneService(ctx, k, func(body []byte) error { return r.service(&have, body) })
		if err != nil && !errors.Is(err, errGone) {
			return table.Have{}, fmt.Errorf("service %s: %w", k, err)
		}
	}
	return have, nil
}

// oneService hands over the kernel's answer about one service, or errGone.
func (r *reader) oneService(ctx context.Context, k table.ServiceKey, answer func([]byte) error) error {
	if err := k.Validate(); err != nil {
		return errGone // the kernel can't hold it
	}
	at := r.begin(r.family, cmdGetService, 0)
	r.serviceKey(k)
	r.end(at)
	err := r.ask(ctx, answer)
	if errors.Is(err, unix.ESRCH) {
		return errGone
	}
	return err
}

func (r *reader) service(have *table.Have, body []byte) error {
	b, ok := nested(body, attrService)
	if !ok {
		return errMalformed
	}
	s, counters, err := decodeService(b)
	if err != nil {
		return err
	}
	r.keys = append(r.keys, s.ServiceKey)
	have.State[s.ServiceKey] = table.Entry{Service: s}
	if have.Services != nil {
		have.Services[s.ServiceKey] = counters
	}
	return nil
}

// realsOf adds the real servers of service k to have. A service without any
// may have been deleted since it was listed, which the kernel answers in the
// same way: then it leaves have.
func (r *reader) realsOf(ctx context.Context, have *table.Have, k table.ServiceKey) error {
	err := errInterrupted
	for n := 0; errors.Is(err, errInterrupted) && n < rereads; n++ {
		r.pieces = r.pieces[:0]
		at := r.begin(r.family, cmdGetReal, unix.NLM_F_DUMP)
		r.serviceKey(k)
		r.end(at)
		err = r.dump(ctx, r.piece)
	}
	if err == nil && len(r.pieces) == 0 {
		err = r.oneService(ctx, k, func([]byte) error { return nil })
		if errors.Is(err, errGone) {
			delete(have.State, k)
			delete(have.Services, k)
			return nil
		}
	}
	if err != nil {
		return err
	}
	e := have.State[k]
	e.Reals = make(map[netip.AddrPort]table.Real, len(r.pieces))
	for i := range r.pieces {
		p := &r.pieces[i]
		r.mixed.note(k, p.real.Addr)
		e.Reals[p.real.Addr] = p.real
		if have.Reals != nil {
			have.Reals[table.Pair{Service: k, Real: p.real.Addr}] = p.counters
		}
	}
	have.State[k] = e
	return nil
}

func (r *reader) piece(body []byte) error {
	b, ok := nested(body, attrReal)
	if !ok {
		return errMalformed
	}
	var c counted
	if err := decodeReal(b, &c); err != nil {
		return err
	}
	r.pieces = append(r.pieces, c)
	return nil
}

// dump sends the one request in l.out and hands over the answers up to the end
// mark. It is errInterrupted where the kernel says that the table changed
// meanwhile.
func (l *link) dump(ctx context.Context, answer func(body []byte) error) error {
	seq := l.seq
	if err := l.send(); err != nil {
		return errors.Join(err, l.close())
	}
	var refused error
	interrupted := false
	err := l.receive(ctx, func(m message) (bool, error) {
		if m.seq != seq {
			return false, nil
		}
		interrupted = interrupted || m.flags&unix.NLM_F_DUMP_INTR != 0
		switch m.kind {
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			refused = errno(m.body)
			return true, nil
		}
		return false, answer(m.body)
	})
	if err == nil && refused == nil && interrupted {
		return errInterrupted
	}
	if err == nil {
		return refused
	}
	return err
}

// serviceKey appends the attribute that names a service.
func (l *link) serviceKey(k table.ServiceKey) {
	at := l.nest(attrService)
	l.attr16(svcFamily, addressFamily(k.Family))
	if k.Protocol == 0 {
		l.attr32(svcFWMark, k.FWMark)
	} else {
		l.attr16(svcProtocol, uint16(k.Protocol))
		l.address(svcAddr, k.Addr.Addr())
		l.attr16be(svcPort, k.Addr.Port())
	}
	l.unnest(at)
}

func (l *link) address(kind uint16, a netip.Addr) {
	if a.Is4() {
		b := a.As4()
		l.attr(kind, b[:]...)
		return
	}
	b := a.As16()
	l.attr(kind, b[:]...)
}

func addressFamily(f table.Family) uint16 {
	if f == table.IPv6 {
		return unix.AF_INET6
	}
	return unix.AF_INET
}
