package syncd

import (
	"encoding/binary"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The kernel tells a daemon's settings but not whether it works. Its UDP socket
// does tell: sock_diag(7) shows the kernel's own sockets, too, a backup's with
// the interface that it is bound to, a master's with the address that it sends
// from. That is truer than remembering when we started what, and works for
// daemons that were started before us.

// Layout and numbers of include/uapi/linux/inet_diag.h.
const (
	sockDiagByFamily = 20
	diagSkMeminfo    = 7 // INET_DIAG_SKMEMINFO
	meminfoDrops     = 8 // SK_MEMINFO_DROPS
	diagReqSize      = 8 + diagIDSize
	diagIDSize       = 48
	diagMsgSize      = 4 + diagIDSize + 20
)

// diagRequest asks for the UDP sockets with a local or a remote port.
type diagRequest struct {
	family       uint8
	local, other uint16
}

func (diagRequest) Len() int { return diagReqSize }

func (r diagRequest) Serialize() []byte {
	b := make([]byte, diagReqSize)
	b[0], b[1], b[2] = r.family, unix.IPPROTO_UDP, 1<<(diagSkMeminfo-1)
	nl.NativeEndian().PutUint32(b[4:], 0xffffffff) // in any state
	binary.BigEndian.PutUint16(b[8:], r.local)
	binary.BigEndian.PutUint16(b[10:], r.other)
	return b
}

// socket is one answer.
type socket struct {
	local, remote netip.AddrPort
	index         int
	dropped       uint32
}

// inspect finds a daemon's socket. What it can't find out stays unknown: a
// kernel without sock_diag for UDP still synchronises.
func inspect(d Daemon) Running {
	r := Running{Daemon: d}
	want := netip.AddrPortFrom(d.Group, d.Port)
	req := diagRequest{family: unix.AF_INET, other: d.Port}
	if d.Role == Backup {
		req.local, req.other = d.Port, 0
	}
	if d.Group.Is6() {
		req.family = unix.AF_INET6
	}
	q := nl.NewNetlinkRequest(sockDiagByFamily, unix.NLM_F_DUMP)
	q.AddData(req)
	msgs, err := q.Execute(unix.NETLINK_SOCK_DIAG, 0)
	if err != nil {
		return r
	}
	for _, m := range msgs {
		s, ok := decodeSocket(m)
		switch {
		case !ok:
		case d.Role == Master && s.remote == want:
			r.Source = s.local.Addr()
		case d.Role == Backup && s.local == want:
			r.Index, r.Dropped = s.index, s.dropped
		}
	}
	return r
}

func decodeSocket(b []byte) (socket, bool) {
	if len(b) < diagMsgSize {
		return socket{}, false
	}
	size := 4
	if b[0] == unix.AF_INET6 {
		size = 16
	}
	id := b[4:]
	src, _ := netip.AddrFromSlice(id[4 : 4+size])
	dst, _ := netip.AddrFromSlice(id[20 : 20+size])
	s := socket{
		local:  netip.AddrPortFrom(src, binary.BigEndian.Uint16(id)),
		remote: netip.AddrPortFrom(dst, binary.BigEndian.Uint16(id[2:])),
		index:  int(nl.NativeEndian().Uint32(id[36:])),
	}
	for kind, v := range attrs(b[diagMsgSize:]) {
		if kind == diagSkMeminfo && len(v) >= 4*(meminfoDrops+1) {
			s.dropped = nl.NativeEndian().Uint32(v[4*meminfoDrops:])
		}
	}
	return s, true
}
