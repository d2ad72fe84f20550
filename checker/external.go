package checker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/checker/child"
)

var externalKind = kind{
	typ:    External,
	keys:   keysOf("command", "protocol", "virtual"),
	target: portPassed,
	valid:  (*problems).command,
	build:  func(s *Spec, _ workshop) (probe, error) { return newCommandProbe(s), nil },
}

// commandProbe runs a command: exit status 0 is up, everything else down.
type commandProbe struct {
	spec *Spec
	argv []string
	env  []string
}

// newCommandProbe adds the four arguments that ldirectord passes to those of
// the command itself, unless no virtual service is concerned.
func newCommandProbe(spec *Spec) *commandProbe {
	argv := strings.Split(spec.Command, "\x00")
	if spec.Virtual == "" {
		return &commandProbe{spec: spec, argv: argv}
	}
	args := ldirectordArgs(spec)
	return &commandProbe{spec: spec, argv: append(argv, args[:]...), env: ownEnv(spec, args)}
}

// ldirectordArgs are virtual address or mark, virtual port, real address, real
// port.
func ldirectordArgs(spec *Spec) [4]string {
	real := spec.Target.Addr().Unmap()
	host := real.String()
	if real.Is6() {
		host = "[" + host + "]"
	}
	virtual := spec.Virtual
	if addr, err := netip.ParseAddr(virtual); err == nil && addr.Is6() {
		virtual = "[" + virtual + "]"
	}
	return [4]string{virtual, strconv.Itoa(int(spec.VPort)), host, strconv.Itoa(int(spec.RPort))}
}

// ownEnv tells a command by name what the arguments tell by position, and more:
// docs/checks.md lists it. Addresses have no brackets here.
func ownEnv(spec *Spec, args [4]string) []string {
	family := "ipv4"
	if spec.Target.Addr().Unmap().Is6() {
		family = "ipv6"
	}
	return []string{
		"IPVSD_VIRTUAL=" + strings.Trim(spec.Virtual, "[]"),
		"IPVSD_VIRTUAL_PORT=" + args[1],
		"IPVSD_VIRTUAL_NAME=" + spec.VirtualName,
		"IPVSD_PROTOCOL=" + or(spec.Protocol, "fwmark"),
		"IPVSD_REAL=" + spec.Target.Addr().Unmap().String(),
		"IPVSD_REAL_PORT=" + args[3],
		"IPVSD_PORT=" + strconv.Itoa(int(spec.Target.Port())),
		"IPVSD_ADDRESS_FAMILY=" + family,
		"IPVSD_CHECK_TIMEOUT=" + strconv.FormatFloat(spec.Timeout.Seconds(), 'f', -1, 64),
		"IPVSD_CHECK_INTERVAL=" + strconv.FormatFloat(spec.Interval.Seconds(), 'f', -1, 64),
	}
}

func (p *commandProbe) check(ctx context.Context, t *transcript) Result {
	if t != nil {
		t.note("run %s, timeout %s", strings.Join(p.argv, " "), p.spec.Timeout)
	}
	ctx, cancel := context.WithTimeout(ctx, p.spec.Timeout)
	defer cancel()
	end, err := child.Run(ctx, p.argv, p.env)
	if err != nil {
		return p.notStarted(err)
	}
	if t != nil {
		t.came(end.Output)
		t.done("%s", end.State)
	}
	r := p.judge(ctx, end.Status(), lastLine(end.Output))
	r.Sample = sample([]byte(end.Output), "")
	return r
}

// judge goes by the exit status alone, as long as the command ended by itself.
func (p *commandProbe) judge(ctx context.Context, status syscall.WaitStatus, line string) Result {
	switch {
	case ctx.Err() != nil && status.Signaled():
		return bad("timeout after " + p.spec.Timeout.String() + ", killed" + after(line))
	case status.Signaled():
		return bad("killed by signal " + unix.SignalName(status.Signal()) + after(line))
	case status.ExitStatus() != 0:
		return bad("exit status " + strconv.Itoa(status.ExitStatus()) + after(line))
	}
	return good("exit status 0" + after(line))
}

func after(line string) string {
	if line == "" {
		return ""
	}
	return ": " + line
}

// notStarted: a command that cannot be run is down, as it always was; a machine
// that cannot fork is ours.
func (p *commandProbe) notStarted(err error) Result {
	reason := fmt.Sprintf("run %s: %v", p.argv[0], err)
	var path *os.PathError
	if errors.As(err, &path) {
		reason = fmt.Sprintf("run %s: %v", p.argv[0], path.Err)
	}
	if ours(err) || errors.Is(err, unix.EAGAIN) {
		return void(reason)
	}
	return bad(reason)
}

// lastLine is the last line of an output that says something, printable and
// short.
func lastLine(output string) string {
	b := bytes.TrimSpace([]byte(output))
	return sample(b[bytes.LastIndexByte(b, '\n')+1:], "")
}
