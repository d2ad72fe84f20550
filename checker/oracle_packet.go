package checker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// Oracle's Transparent Network Substrate as far as a check needs it. Oracle
// doesn't publish it; this follows what its listeners and the open clients
// (go-ora, python-oracledb) do.

// tnsType is the kind of a TNS packet.
type tnsType byte

const (
	tnsConnect  tnsType = 1
	tnsAccept   tnsType = 2
	tnsRefuse   tnsType = 4
	tnsRedirect tnsType = 5
	tnsResend   tnsType = 11
)

func (t tnsType) String() string {
	switch t {
	case tnsConnect:
		return "CONNECT"
	case tnsAccept:
		return "ACCEPT"
	case tnsRefuse:
		return "REFUSE"
	case tnsRedirect:
		return "REDIRECT"
	case tnsResend:
		return "RESEND"
	}
	return "TNS packet of type " + strconv.Itoa(int(t))
}

const (
	tnsHead        = 8  // length, checksum, type, flags, checksum of the head
	tnsConnectHead = 58 // where the connect data begin
	maxTNS         = 8 << 10
)

// tnsPing asks the listener itself, as the tnsping tool does.
const tnsPing = "(CONNECT_DATA=(COMMAND=ping))"

// tnsDescriptor asks the listener for a service.
func tnsDescriptor(service string, target netip.AddrPort) string {
	return fmt.Sprintf(
		"(DESCRIPTION=(CONNECT_DATA=(SERVICE_NAME=%s)(CID=(PROGRAM=ipvsd)(HOST=ipvsd)(USER=ipvsd)))(ADDRESS=(PROTOCOL=TCP)(HOST=%s)(PORT=%d)))",
		service, target.Addr().Unmap().WithZone(""), target.Port(),
	)
}

// connectPacket is the packet that begins every session.
func connectPacket(data string) []byte {
	p := make([]byte, tnsConnectHead, tnsConnectHead+len(data))
	be := binary.BigEndian
	be.PutUint16(p[0:], uint16(tnsConnectHead+len(data)))
	p[4] = byte(tnsConnect)
	be.PutUint16(p[8:], 314)     // version, of Oracle 11 …
	be.PutUint16(p[10:], 300)    // … and the oldest that will do
	be.PutUint16(p[12:], 0x0c41) // services
	be.PutUint16(p[14:], maxTNS) // session data unit
	be.PutUint16(p[16:], 0x7fff) // transport data unit
	be.PutUint16(p[18:], 0x7f08) // of the transport: asynchronous, full duplex, …
	be.PutUint16(p[22:], 1)      // a one in our order of bytes
	be.PutUint16(p[24:], uint16(len(data)))
	be.PutUint16(p[26:], tnsConnectHead)
	be.PutUint32(p[28:], 0x800) // so much we'd read of connect data
	p[32], p[33] = 0x41, 0x41   // no native services wanted
	return append(p, data...)
}

// tnsReply is an answer to a CONNECT.
type tnsReply struct {
	kind tnsType
	data string // of REFUSE and REDIRECT
}

var errNotTNS = errors.New("not a TNS answer")

// readTNS reads one answer.
func readTNS(r io.Reader) (tnsReply, error) {
	var head [tnsHead]byte
	if n, err := io.ReadFull(r, head[:]); err != nil {
		if n > 0 && !likeTNS(head[:n]) {
			return tnsReply{}, errNotTNS
		}
		return tnsReply{}, err
	}
	if !likeTNS(head[:]) {
		return tnsReply{}, errNotTNS
	}
	body := make([]byte, int(binary.BigEndian.Uint16(head[:]))-tnsHead)
	if _, err := io.ReadFull(r, body); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return tnsReply{}, err
	}
	return parseTNS(tnsType(head[4]), body)
}

// likeTNS tells whether a packet may begin so.
func likeTNS(head []byte) bool {
	if len(head) >= 2 {
		if n := binary.BigEndian.Uint16(head); n < tnsHead || n > maxTNS {
			return false
		}
	}
	return len(head) < 5 || head[4] > 0 && head[4] < 20
}

func parseTNS(kind tnsType, body []byte) (tnsReply, error) {
	at := -1 // of the data's length
	switch kind {
	case tnsAccept:
		if len(body) < 16 {
			return tnsReply{}, errNotTNS
		}
	case tnsRefuse:
		at = 2 // after two bytes of reason
	case tnsRedirect:
		at = 0
	case tnsResend:
	default:
		return tnsReply{}, fmt.Errorf("%w: %s after CONNECT", errNotTNS, kind)
	}
	if at < 0 {
		return tnsReply{kind: kind}, nil
	}
	if len(body) < at+2 {
		return tnsReply{}, errNotTNS
	}
	n := int(binary.BigEndian.Uint16(body[at:]))
	data := body[at+2:]
	if n < len(data) {
		data = data[:n] // else it goes on in a packet that nothing here needs
	}
	return tnsReply{kind: kind, data: string(data)}, nil
}

var tnsError = regexp.MustCompile(`\(ERR=(\d{1,5})\)`)

// code is the error in a REFUSE; 0 is how a listener answers a ping.
func (r tnsReply) code() (int, bool) {
	m := tnsError.FindStringSubmatch(r.data)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	return n, err == nil
}

// tnsReasons are the refusals that an operator meets.
var tnsReasons = map[int]string{
	1189:  "the listener could not authenticate us",
	12505: "the listener doesn't know the SID",
	12514: "the listener doesn't know the service",
	12516: "no handler for the service has room",
	12518: "the listener couldn't hand the connection over",
	12519: "no handler for the service is free",
	12520: "no handler of the kind asked for",
	12521: "the listener doesn't know the instance",
	12526: "the service is in restricted mode",
	12527: "the service is in restricted mode",
	12528: "the service is blocked: its instance takes no connections",
	12529: "the listener filters connections from here",
}

// refusal puts a REFUSE into words.
func (r tnsReply) refusal() string {
	n, ok := r.code()
	if !ok {
		return "refused by the listener: " + printable(strings.TrimSpace(r.data))
	}
	reason := fmt.Sprintf("refused by the listener: TNS-%05d", n)
	if text := tnsReasons[n]; text != "" {
		reason += ", " + text
	}
	return reason
}
