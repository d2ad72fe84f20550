package syncd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/director/table"
)

// Generic netlink commands and attributes (include/uapi/linux/ip_vs.h).
const (
	familyName    = "IPVS"
	familyVersion = 1

	cmdNewDaemon = 9
	cmdDelDaemon = 10
	cmdGetDaemon = 11

	attrDaemon = 3

	daemonState     = 1
	daemonInterface = 2
	daemonSyncID    = 3
	daemonMaxLen    = 4
	daemonGroup     = 5
	daemonGroup6    = 6
	daemonPort      = 7
	daemonTTL       = 8
)

const backupOnlyPath = "/proc/sys/net/ipv4/vs/backup_only"

// Linux is the kernel. Each request goes through a socket of its own,
// for requests are few; and looks the family up anew, so that a module that was
// reloaded is found again.
type Linux struct{}

// List tells which daemons run. The error is table.ErrNoIPVS or
// table.ErrPermission where it is that.
func List() ([]Daemon, error) {
	msgs, err := request(cmdGetDaemon, unix.NLM_F_DUMP, nil)
	if err != nil {
		return nil, fmt.Errorf("read sync daemons: %w", plain(err))
	}
	var ds []Daemon
	for _, m := range msgs {
		d, err := decode(m)
		if err != nil {
			return nil, fmt.Errorf("read sync daemons: %w", err)
		}
		ds = append(ds, d)
	}
	return ds, nil
}

// Read reads the daemons, and the interface that want names.
func (Linux) Read(want Want) (Have, error) {
	daemons, err := List()
	if err != nil {
		return Have{}, err
	}
	var have Have
	for _, d := range daemons {
		have.Running = append(have.Running, inspect(d))
	}
	if want.Interface != "" {
		if have.Link, err = readLink(want); err != nil {
			return Have{}, fmt.Errorf("read interface %s: %w", want.Interface, err)
		}
	}
	b, err := os.ReadFile(backupOnlyPath)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return Have{}, err
	}
	have.BackupOnly = len(b) > 0 && string(bytes.TrimSpace(b)) != "0"
	return have, nil
}

// Do carries out one step.
func (Linux) Do(s Step) error {
	var err error
	switch s.Op {
	case ClearBackupOnly:
		return os.WriteFile(backupOnlyPath, []byte("0"), 0)
	case Start:
		_, err = request(cmdNewDaemon, unix.NLM_F_ACK, encode(s.Daemon))
	case Stop:
		_, err = request(cmdDelDaemon, unix.NLM_F_ACK, encode(s.Daemon))
	default:
		panic(fmt.Sprintf("syncd: no message for step %q", s))
	}
	return explain(s, err)
}

// request sends one command and returns the bodies of the answer.
func request(cmd uint8, flags int, daemon *nl.RtAttr) ([][]byte, error) {
	family, err := netlink.GenlFamilyGet(familyName)
	if errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("%w: run modprobe ip_vs", table.ErrNoIPVS)
	}
	if err != nil {
		return nil, fmt.Errorf("find IPVS in the kernel: %w", err)
	}
	req := nl.NewNetlinkRequest(int(family.ID), flags)
	req.AddData(&nl.Genlmsg{Command: cmd, Version: familyVersion})
	if daemon != nil {
		req.AddData(daemon)
	}
	return req.Execute(unix.NETLINK_GENERIC, 0)
}

// encode makes the attribute of a daemon. Of one to be stopped the kernel looks
// at the role only.
func encode(d Daemon) *nl.RtAttr {
	d = d.Normal()
	a := nl.NewRtAttr(attrDaemon|unix.NLA_F_NESTED, nil)
	a.AddRtAttr(daemonState, nl.Uint32Attr(uint32(d.Role)))
	a.AddRtAttr(daemonInterface, nl.ZeroTerminated(d.Interface))
	a.AddRtAttr(daemonSyncID, nl.Uint32Attr(uint32(d.SyncID)))
	if d.MaxLen != 0 {
		a.AddRtAttr(daemonMaxLen, nl.Uint16Attr(d.MaxLen))
	}
	group := uint16(daemonGroup)
	if d.Group.Is6() {
		group = daemonGroup6
	}
	a.AddRtAttr(int(group), d.Group.AsSlice())
	a.AddRtAttr(daemonPort, nl.Uint16Attr(d.Port))
	a.AddRtAttr(daemonTTL, []byte{d.TTL})
	return a
}

var errMalformed = errors.New("an answer of the kernel is malformed")

// decode reads one message of a dump.
func decode(msg []byte) (Daemon, error) {
	if len(msg) < unix.GENL_HDRLEN {
		return Daemon{}, errMalformed
	}
	for kind, v := range attrs(msg[unix.GENL_HDRLEN:]) {
		if kind == attrDaemon {
			return decodeDaemon(v)
		}
	}
	return Daemon{}, errMalformed
}

func decodeDaemon(b []byte) (Daemon, error) {
	var d Daemon
	for kind, v := range attrs(b) {
		n := len(v)
		switch {
		case kind == daemonState && n >= 4:
			d.Role = Role(nl.NativeEndian().Uint32(v))
		case kind == daemonInterface:
			name, _, _ := bytes.Cut(v, []byte{0})
			d.Interface = string(name)
		case kind == daemonSyncID && n >= 4:
			d.SyncID = uint8(nl.NativeEndian().Uint32(v))
		case kind == daemonMaxLen && n >= 2:
			d.MaxLen = nl.NativeEndian().Uint16(v)
		case kind == daemonGroup && n == 4, kind == daemonGroup6 && n == 16:
			d.Group, _ = netip.AddrFromSlice(v)
		case kind == daemonPort && n >= 2:
			d.Port = nl.NativeEndian().Uint16(v)
		case kind == daemonTTL && n >= 1:
			d.TTL = v[0]
		}
	}
	if d.Role != Master && d.Role != Backup {
		return Daemon{}, fmt.Errorf("%w: a sync daemon of role %d", errMalformed, d.Role)
	}
	return d.Normal(), nil
}

// attrs walks over the attributes in b and stops short of a malformed rest: the
// library's parser panics where the last one lacks its padding.
func attrs(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofNlAttr {
			n := int(nl.NativeEndian().Uint16(b))
			if n < unix.SizeofNlAttr || n > len(b) {
				return
			}
			kind := nl.NativeEndian().Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
			if !yield(kind, b[unix.SizeofNlAttr:n]) {
				return
			}
			b = b[min((n+3)&^3, len(b)):]
		}
	}
}

// plain turns the kernel's errnos into the errors of package table.
func plain(err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w: sync daemons need root or CAP_NET_ADMIN", table.ErrPermission)
	}
	return err
}

// explain turns the kernel's verdict on a step into words.
func explain(s Step, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ESRCH) && s.Op == Stop:
		return ErrNotRunning
	case errors.Is(err, unix.EEXIST):
		return ErrExist
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("there is no interface %s", s.Daemon.Interface)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w for the kernel (%v); it synchronises no table in which a service has real servers of the other IP version",
			table.ErrInvalid, err)
	}
	return plain(err)
}

// attempts is how often a dump is repeated that the kernel calls inconsistent
// because something changed under it.
const attempts = 5

func readLink(want Want) (Link, error) {
	l, err := netlink.LinkByName(want.Interface)
	if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
		return Link{}, nil
	}
	if err != nil {
		return Link{}, err
	}
	a := l.Attrs()
	link := Link{Name: want.Interface, Index: a.Index, Up: a.RawFlags&unix.IFF_UP != 0}
	family := netlink.FAMILY_V4
	if want.Daemon(Master).Group.Is6() {
		family = netlink.FAMILY_V6
	}
	var addrs []netlink.Addr
	for range attempts {
		if addrs, err = netlink.AddrList(l, family); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	for _, a := range addrs {
		addr, ok := netip.AddrFromSlice(a.IP)
		if !ok {
			continue
		}
		link.Addrs = append(link.Addrs, addr.Unmap())
		link.Usable = link.Usable || usable(a, family)
	}
	return link, err
}

// usable tells whether the kernel may send from the address.
func usable(a netlink.Addr, family int) bool {
	if family == netlink.FAMILY_V6 {
		return a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) == 0
	}
	return a.Flags&unix.IFA_F_SECONDARY == 0 && a.Scope == unix.RT_SCOPE_UNIVERSE
}

// Watch calls wake once it listens and then whenever an interface or address
// may have changed. It returns nil when ctx ends.
func (Linux) Watch(ctx context.Context, wake func()) error {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE,
		unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return fmt.Errorf("subscribe to interface changes: %w", err)
	}
	defer context.AfterFunc(ctx, s.Close)() // a closed socket ends Receive
	defer s.Close()
	wake()
	for {
		_, _, err := s.Receive()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil, errors.Is(err, unix.ENOBUFS): // lost some: the look at the kernel makes up for it
			wake()
		case errors.Is(err, unix.EINTR):
		default:
			return fmt.Errorf("receive interface changes: %w", err)
		}
	}
}
