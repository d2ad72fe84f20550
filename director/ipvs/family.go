package ipvs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/director/table"
)

// The generic netlink controller (include/uapi/linux/genetlink.h).
const (
	ctrlGetFamily = 3
	ctrlID        = 1
	ctrlName      = 2
)

// resolve asks the kernel for the number of IPVS's family. It changes when the
// module is loaded anew. The answer is table.ErrNoIPVS where there is none.
func (l *link) resolve(ctx context.Context) (uint16, error) {
	at := l.begin(unix.GENL_ID_CTRL, ctrlGetFamily, 0)
	l.attr(ctrlName, append([]byte(familyName), 0)...)
	l.end(at)
	var id uint16
	err := l.ask(ctx, func(body []byte) error {
		if len(body) < unix.GENL_HDRLEN {
			return errMalformed
		}
		for kind, v := range attrs(body[unix.GENL_HDRLEN:]) {
			if kind == ctrlID {
				id = num16(v)
			}
		}
		return nil
	})
	switch {
	case errors.Is(err, unix.ENOENT):
		return 0, table.ErrNoIPVS
	case err != nil:
		return 0, fmt.Errorf("find IPVS in the kernel: %w", err)
	case id == 0:
		return 0, errMalformed
	}
	return id, nil
}

// ask sends the one request in l.out and hands over the one answer, or returns
// the kernel's error.
func (l *link) ask(ctx context.Context, answer func(body []byte) error) error {
	seq := l.seq
	if err := l.send(); err != nil {
		return errors.Join(err, l.close())
	}
	var refused error
	err := l.receive(ctx, func(m message) (bool, error) {
		if m.seq != seq {
			return false, nil
		}
		if m.kind == unix.NLMSG_ERROR {
			refused = errno(m.body)
			return true, nil
		}
		return true, answer(m.body)
	})
	return errors.Join(err, refused)
}

// findFamily resolves the family on a socket of its own, loading the module
// where it is missing. Most kernels load it by themselves when they are asked
// for the family.
func findFamily(ctx context.Context, opts Options) (uint16, error) {
	id, err := resolveOnce(ctx, opts.Timeout)
	if !errors.Is(err, table.ErrNoIPVS) {
		return id, cure(err, "")
	}
	said := modprobe(ctx)
	id, err = resolveOnce(ctx, opts.Timeout)
	return id, cure(err, said)
}

func resolveOnce(ctx context.Context, timeout time.Duration) (uint16, error) {
	l := link{timeout: timeout}
	if err := l.ensure(ctx); err != nil {
		return 0, err
	}
	return l.family, l.close()
}

// modprobe loads the module ip_vs and returns what stood in the way.
func modprobe(ctx context.Context) string {
	path, err := exec.LookPath("modprobe")
	if err != nil {
		path = "/sbin/modprobe" // PATH often lacks it
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "ip_vs").CombinedOutput()
	if err == nil {
		return ""
	}
	if out = bytes.TrimSpace(out); len(out) > 0 {
		return strings.ReplaceAll(string(out), "\n", "; ")
	}
	return err.Error()
}

// cure adds to ErrNoIPVS what the operator can do, and what modprobe said.
func cure(err error, said string) error {
	if !errors.Is(err, table.ErrNoIPVS) {
		return err
	}
	if said != "" {
		said = " (it said: " + said + ")"
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: as root, run modprobe ip_vs%s", table.ErrNoIPVS, said)
	}
	return fmt.Errorf("%w: run modprobe ip_vs%s; if this kernel comes without the module, "+
		"install one that has it (Debian: package linux-image-%s) and boot it; "+
		"in a container, load it on the host", table.ErrNoIPVS, said, runtime.GOARCH)
}

// mayUse asks for something harmless that the kernel tells only to those who
// may change the table.
func mayUse(ctx context.Context, family uint16, timeout time.Duration) error {
	l := link{timeout: timeout}
	if err := l.open(); err != nil {
		return err
	}
	l.end(l.begin(family, cmdGetInfo, 0))
	err := l.ask(ctx, func([]byte) error { return nil })
	if errors.Is(err, unix.EPERM) {
		err = fmt.Errorf("%w: use of IPVS needs root or the capability CAP_NET_ADMIN "+
			"(systemd: AmbientCapabilities=CAP_NET_ADMIN)", table.ErrPermission)
	}
	return errors.Join(err, l.close())
}
