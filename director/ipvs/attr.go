package ipvs

import (
	"encoding/binary"
	"errors"
	"iter"

	"golang.org/x/sys/unix"
)

// Generic netlink commands and attributes of IPVS (include/uapi/linux/ip_vs.h).
const (
	familyName    = "IPVS"
	familyVersion = 1

	cmdGetService = 4
	cmdNewReal    = 5
	cmdSetReal    = 6
	cmdDelReal    = 7
	cmdGetReal    = 8
	cmdGetInfo    = 15

	attrService = 1
	attrReal    = 2

	svcFamily    = 1
	svcProtocol  = 2
	svcAddr      = 3
	svcPort      = 4
	svcFWMark    = 5
	svcScheduler = 6
	svcFlags     = 7
	svcTimeout   = 8
	svcNetmask   = 9
	svcStats     = 10
	svcPE        = 11
	svcStats64   = 12

	realAddr        = 1
	realPort        = 2
	realForward     = 3
	realWeight      = 4
	realUpper       = 5
	realLower       = 6
	realActive      = 7
	realInactive    = 8
	realPersistent  = 9
	realStats       = 10
	realFamily      = 11
	realStats64     = 12
	realTunnelType  = 13
	realTunnelPort  = 14
	realTunnelFlags = 15

	statsConns      = 1
	statsPacketsIn  = 2
	statsPacketsOut = 3
	statsBytesIn    = 4
	statsBytesOut   = 5

	flagPersistent = 0x0001 // IP_VS_SVC_F_PERSISTENT
	forwardMask    = 0x0007 // IP_VS_CONN_F_FWD_MASK
)

var errMalformed = errors.New("an answer of the kernel is malformed")

func align(n int) int { return (n + 3) &^ 3 }

// begin starts a generic netlink message at the end of l.out and returns its
// place for end.
func (l *link) begin(family uint16, cmd uint8, flags uint16) (at int) {
	at = len(l.out)
	l.seq++
	l.out = append(l.out, make([]byte, unix.NLMSG_HDRLEN)...)
	native.PutUint16(l.out[at+4:], family)
	native.PutUint16(l.out[at+6:], unix.NLM_F_REQUEST|flags)
	native.PutUint32(l.out[at+8:], l.seq)
	native.PutUint32(l.out[at+12:], l.port)
	l.out = append(l.out, cmd, familyVersion, 0, 0)
	return at
}

// end closes the message that begin started.
func (l *link) end(at int) { native.PutUint32(l.out[at:], uint32(len(l.out)-at)) }

// attr appends an attribute with its padding.
func (l *link) attr(kind uint16, value ...byte) {
	l.out = native.AppendUint16(l.out, uint16(unix.SizeofNlAttr+len(value)))
	l.out = native.AppendUint16(l.out, kind)
	l.out = append(l.out, value...)
	for len(l.out)%4 != 0 {
		l.out = append(l.out, 0)
	}
}

func (l *link) attr16(kind, v uint16) {
	var b [2]byte
	native.PutUint16(b[:], v)
	l.attr(kind, b[:]...)
}

func (l *link) attr16be(kind, v uint16) {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	l.attr(kind, b[:]...)
}

func (l *link) attr32(kind uint16, v uint32) {
	var b [4]byte
	native.PutUint32(b[:], v)
	l.attr(kind, b[:]...)
}

// nest starts an attribute that holds others; unnest ends it.
func (l *link) nest(kind uint16) (at int) {
	at = len(l.out)
	l.attr(kind | unix.NLA_F_NESTED)
	return at
}

func (l *link) unnest(at int) { native.PutUint16(l.out[at:], uint16(len(l.out)-at)) }

// attrs walks over the attributes in b. Of a malformed rest it stops short;
// what then is missing shows where it is looked for.
func attrs(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofNlAttr {
			n := int(native.Uint16(b))
			if n < unix.SizeofNlAttr || n > len(b) {
				return
			}
			kind := native.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
			if !yield(kind, b[unix.SizeofNlAttr:n]) {
				return
			}
			b = b[min(align(n), len(b)):]
		}
	}
}

// nested finds the attribute of this kind in the body of a generic netlink
// message.
func nested(body []byte, kind uint16) (value []byte, ok bool) {
	if len(body) < unix.GENL_HDRLEN {
		return nil, false
	}
	for k, v := range attrs(body[unix.GENL_HDRLEN:]) {
		if k == kind {
			return v, true
		}
	}
	return nil, false
}

// The numbers of an attribute; 0 where the kernel sent too few bytes.

func num16(b []byte) uint16 {
	if len(b) < 2 {
		return 0
	}
	return native.Uint16(b)
}

func num16be(b []byte) uint16 {
	if len(b) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(b)
}

func num32(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return native.Uint32(b)
}

// num is a number of 4 or 8 bytes.
func num(b []byte) uint64 {
	if len(b) < 8 {
		return uint64(num32(b))
	}
	return native.Uint64(b)
}
