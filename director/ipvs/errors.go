package ipvs

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/director/table"
)

// errno is the kernel's verdict in an error or end message; nil is success.
func errno(body []byte) error {
	if len(body) < 4 {
		return nil // an end mark of an older kernel
	}
	if n := int32(num32(body)); n != 0 {
		return unix.Errno(-n)
	}
	return nil
}

// plain turns the kernel's errnos into the errors of package table. ENOENT has
// several meanings and is turned where the question is known.
func plain(err error) error {
	var n unix.Errno
	if !errors.As(err, &n) {
		return err
	}
	switch n {
	case unix.EEXIST:
		return table.ErrExist
	case unix.ESRCH:
		return table.ErrNoService
	case unix.EPERM:
		return fmt.Errorf("%w: changing IPVS needs root or CAP_NET_ADMIN", table.ErrPermission)
	case unix.EINVAL, unix.ERANGE, unix.EAFNOSUPPORT:
		return fmt.Errorf("%w for the kernel (%v)", table.ErrInvalid, n)
	case unix.ENOBUFS:
		return fmt.Errorf("%w: %v", table.ErrTimeout, n)
	}
	return err
}

// explain turns the errors of steps into those of package table. ENOENT
// answers three questions alike: a message to a family that is no more, a
// scheduler and a real server that aren't there. So the family is looked up
// again, once for all.
func (t *Table) explain(ctx context.Context, steps []table.Step, errs []error) {
	var family error
	looked := false
	for i, err := range errs {
		if !errors.Is(err, unix.ENOENT) {
			errs[i] = plain(err)
			continue
		}
		if !looked {
			family, looked = t.stillThere(ctx), true
		}
		switch {
		case family != nil:
			errs[i] = family
		case onService(steps[i].Op):
			errs[i] = missing(steps[i].Service)
		default:
			errs[i] = table.ErrNoReal
		}
	}
}

// missing names what a new or edited service wants and the kernel lacks.
func missing(s table.Service) error {
	if s.PE != "" {
		return fmt.Errorf("%w: %s or %s", table.ErrScheduler, s.Scheduler, s.PE)
	}
	return fmt.Errorf("%w: %s", table.ErrScheduler, s.Scheduler)
}

// stillThere tells whether the kernel's IPVS is the one that Open found.
func (t *Table) stillThere(ctx context.Context) error {
	id, err := resolveOnce(ctx, t.services.timeout)
	if err != nil {
		return cure(err, "")
	}
	if id != t.services.family {
		// moby/ipvs keeps the family's number for the life of the process.
		return table.ErrReloaded
	}
	return nil
}
