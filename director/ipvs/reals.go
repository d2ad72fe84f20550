package ipvs

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/director/table"
)

// batchSize is how many steps travel in one message to the kernel. Should all
// of them fail, the errors still fit into a socket's default receive buffer.
const batchSize = 128

// reals carries out steps on real servers over a link of its own.
type reals struct {
	link
	first uint32 // sequence number of the batch's first step
	index []int  // which step each message of the batch is
	mixed *mixed
}

// do carries out steps on real servers. Errors go to their slots.
func (r *reals) do(ctx context.Context, steps []table.Step, errs []error) {
	for start := 0; start < len(steps); start += batchSize {
		end := min(start+batchSize, len(steps))
		err := ctx.Err()
		if err == nil {
			err = r.ensure(ctx)
		}
		if err == nil {
			err = r.batch(ctx, steps[start:end], errs[start:end])
		}
		if err != nil {
			// Of these it isn't known whether they were done; the rest wasn't.
			fill(errs[start:], err)
			return
		}
	}
}

// batch sends one system call's worth of steps. Only the last message asks for
// an acknowledgement: the kernel works through them in order and reports every
// failure on its own, so that silence means success once the last one is
// answered. An error means that an answer is lost.
func (r *reals) batch(ctx context.Context, steps []table.Step, errs []error) error {
	r.first, r.index = r.seq+1, r.index[:0]
	last := -1
	for i, s := range steps {
		if err := s.Validate(); err != nil {
			errs[i] = err
			continue
		}
		last = r.build(s)
		r.index = append(r.index, i)
	}
	if last < 0 {
		return nil
	}
	native.PutUint16(r.out[last+6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	if err := r.send(); err != nil {
		return errors.Join(err, r.close())
	}
	return r.receive(ctx, func(m message) (bool, error) {
		n := int(m.seq - r.first)
		if m.kind != unix.NLMSG_ERROR || n < 0 || n >= len(r.index) {
			return false, nil
		}
		i := r.index[n]
		errs[i] = errno(m.body)
		return n == len(r.index)-1, nil
	})
}

// build appends the message for one step and returns its place.
func (r *reals) build(s table.Step) (at int) {
	cmd := uint8(cmdNewReal)
	switch s.Op {
	case table.EditReal:
		cmd = cmdSetReal
	case table.DeleteReal:
		cmd = cmdDelReal
	}
	r.mixed.note(s.Service.ServiceKey, s.Real.Addr)
	at = r.begin(r.family, cmd, 0)
	r.serviceKey(s.Service.ServiceKey)
	r.real(s.Real.Normal(), s.Op != table.DeleteReal)
	r.end(at)
	return at
}

// real appends the attribute that names a real server, and with full its
// settings. The family goes along in any case: without it the kernel takes an
// IPv6 address for the service's family.
func (r *reals) real(v table.Real, full bool) {
	at := r.nest(attrReal)
	r.attr16(realFamily, addressFamily(table.FamilyOf(v.Addr.Addr())))
	r.address(realAddr, v.Addr.Addr())
	r.attr16be(realPort, v.Addr.Port())
	if full {
		r.attr32(realForward, uint32(v.Forward))
		r.attr32(realWeight, v.Weight)
		r.attr32(realUpper, v.Upper)
		r.attr32(realLower, v.Lower)
		if v.Forward == table.Tun {
			r.attr(realTunnelType, v.Tunnel.Type)
			r.attr16be(realTunnelPort, v.Tunnel.Port)
			r.attr16(realTunnelFlags, v.Tunnel.Flags)
		}
	}
	r.unnest(at)
}
