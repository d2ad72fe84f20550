package handover

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ipvsd/ipvsd/director/table"
)

// conn is a connection of the kernel's, or a template of persistence.
type conn struct {
	proto    table.Protocol
	client   netip.AddrPort
	virtual  netip.AddrPort
	real     netip.AddrPort
	state    uint16
	active   bool
	template bool
	left     uint32 // seconds until it is forgotten
}

// state is a protocol's state, by the name that the kernel prints
// (ip_vs_proto_*.c); active is whether the kernel counts it so.
type state struct {
	number uint16
	active bool
}

var states = map[table.Protocol]map[string]state{
	table.TCP: {
		"NONE": {0, false}, "ESTABLISHED": {1, true}, "SYN_SENT": {2, true}, "SYN_RECV": {3, true}, "FIN_WAIT": {4, false},
		"TIME_WAIT": {5, false}, "CLOSE": {6, false}, "CLOSE_WAIT": {7, false}, "LAST_ACK": {8, false}, "SYNACK": {10, true},
	},
	table.UDP: {"UDP": {0, true}},
	table.SCTP: {
		"NONE": {0, true}, "INIT1": {1, true}, "INIT": {2, true}, "COOKIE_SENT": {3, true}, "COOKIE_REPLIED": {4, true},
		"COOKIE_WAIT": {5, true}, "COOKIE": {6, true}, "COOKIE_ECHOED": {7, true}, "ESTABLISHED": {8, true},
		"SHUTDOWN_SENT": {9, true}, "SHUTDOWN_RECEIVED": {10, true}, "SHUTDOWN_ACK_SENT": {11, true},
		"REJECTED": {12, true}, "CLOSED": {13, false},
	},
}

// templateStates are those of templates (IP_VS_CTPL_S_*).
var templateStates = map[string]uint16{"NONE": 0, "ASSURED": 1}

var protocols = map[string]table.Protocol{"TCP": table.TCP, "UDP": table.UDP, "SCTP": table.SCTP, "IP": 0}

// parseConn reads a line of /proc/net/ip_vs_conn, such as
//
//	TCP C0A80001 D431 C0A80069 0050 C0A80065 0050 ESTABLISHED     897
//
// Connections with a persistence engine's data and what isn't understood are
// not for us.
func parseConn(line string) (c conn, ok bool) {
	f := strings.Fields(line)
	if len(f) != 9 {
		return c, false
	}
	c.proto, ok = protocols[f[0]]
	if !ok {
		return c, false
	}
	for i, to := range []*netip.AddrPort{&c.client, &c.virtual, &c.real} {
		if *to, ok = parseAddr(f[1+2*i], f[2+2*i]); !ok || to.Addr().Is4() != c.client.Addr().Is4() {
			return c, false
		}
	}
	left, err := strconv.ParseUint(f[8], 10, 32)
	if err != nil {
		return c, false
	}
	c.left = uint32(left)
	if c.template = c.client.Port() == 0; c.template {
		c.state, ok = templateStates[f[7]]
		return c, ok
	}
	s, ok := states[c.proto][f[7]]
	c.state, c.active = s.number, s.active
	return c, ok
}

func parseAddr(addr, port string) (ap netip.AddrPort, ok bool) {
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return ap, false
	}
	if len(addr) == 8 {
		b, err := hex.DecodeString(addr)
		if err != nil {
			return ap, false
		}
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), uint16(n)), true
	}
	a, err := netip.ParseAddr(strings.Trim(addr, "[]"))
	return netip.AddrPortFrom(a, uint16(n)), err == nil && a.Is6() && a.Zone() == ""
}

// The layout of messages, version 1 (ip_vs_sync.c): a header, then the
// connections.
const (
	headerSize = 8
	version    = 1

	connSize4 = 36
	connSize6 = 72

	typeIPv6 = 1

	flagInactive = 0x0100
	flagTemplate = 0x1000
)

// message gathers connections until it is full.
type message struct {
	syncID uint8
	max    int
	buf    []byte
	count  uint8
}

// add appends a connection and reports false where there is no room.
func (m *message) add(c conn, mark uint32) bool {
	size := connSize4
	if c.client.Addr().Is6() {
		size = connSize6
	}
	if m.count == 255 || max(len(m.buf), headerSize)+size > m.max {
		return false
	}
	if len(m.buf) == 0 {
		m.buf = append(m.buf, make([]byte, headerSize)...)
	}
	var kind byte
	if c.client.Addr().Is6() {
		kind = typeIPv6
	}
	flags := uint32(0) // a forwarding method comes with the real server
	if c.template {
		flags |= flagTemplate
	} else if !c.active {
		flags |= flagInactive
	}
	be := binary.BigEndian
	b := append(m.buf, kind, byte(c.proto))
	b = be.AppendUint16(b, uint16(size)) // the version in the upper 4 bits is 0
	b = be.AppendUint32(b, flags)
	b = be.AppendUint16(b, c.state)
	b = be.AppendUint16(b, c.client.Port())
	b = be.AppendUint16(b, c.virtual.Port())
	b = be.AppendUint16(b, c.real.Port())
	b = be.AppendUint32(b, mark)
	b = be.AppendUint32(b, c.left)
	for _, a := range []netip.Addr{c.client.Addr(), c.virtual.Addr(), c.real.Addr()} {
		b = append(b, a.AsSlice()...)
	}
	m.buf = b
	m.count++
	return true
}

// take returns the message, if there is any, and begins another.
func (m *message) take() []byte {
	b := m.buf
	if m.count == 0 {
		return nil
	}
	b[1] = m.syncID
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[4], b[5] = m.count, version
	m.buf, m.count = b[:0:0], 0
	return b
}
