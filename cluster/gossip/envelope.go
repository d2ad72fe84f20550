package gossip

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"time"

	"github.com/hashicorp/memberlist"
)

// Message is what another director said.
type Message struct {
	From    string         // its name
	Addr    netip.AddrPort // as it advertises it
	Boot    uint64         // of the process that sent it
	Payload []byte
	At      time.Time // when it was received, with its monotonic reading
}

const (
	// MaxPayload keeps a message with everything around it in one Ethernet
	// frame.
	MaxPayload = 1200
	// MaxMeta is what memberlist's 512 bytes leave beside our own head.
	MaxMeta = memberlist.MetaMaxSize - metaHead - maxKeys*fingerprintSize

	maxName  = 63
	metaHead = 1 + 8 + 1
	version  = 1 // of envelope and metadata
)

type kind byte

const (
	said     kind = 1 // the payload is the caller's
	farewell kind = 2 // the process of this boot id is leaving
	asked    kind = 3 // a question, see Ask
	answered kind = 4 // its answer
)

// envelope goes around each payload, since memberlist hands over a message
// without its sender:
//
//	version 1 | kind 1 | boot id 8 | port 2 | length 1, address | length 1, name | payload
type envelope struct {
	kind    kind
	boot    uint64
	addr    netip.AddrPort
	name    string
	payload []byte
}

func (e envelope) encode() []byte {
	ip := e.addr.Addr().AsSlice()
	b := make([]byte, 0, 14+len(ip)+len(e.name)+len(e.payload))
	b = append(b, version, byte(e.kind))
	b = binary.BigEndian.AppendUint64(b, e.boot)
	b = binary.BigEndian.AppendUint16(b, e.addr.Port())
	b = append(append(b, byte(len(ip))), ip...)
	b = append(append(b, byte(len(e.name))), e.name...)
	return append(b, e.payload...)
}

var errShort = errors.New("truncated")

// decodeEnvelope's result shares the bytes of b.
func decodeEnvelope(b []byte) (envelope, error) {
	if len(b) < 14 {
		return envelope{}, errShort
	}
	if b[0] != version {
		return envelope{}, errors.New("another version")
	}
	e := envelope{kind: kind(b[1]), boot: binary.BigEndian.Uint64(b[2:])}
	port := binary.BigEndian.Uint16(b[10:])
	ip, b, ok := counted(b[12:])
	if !ok {
		return envelope{}, errShort
	}
	addr, ok := netip.AddrFromSlice(ip)
	if !ok || addr.Is4In6() {
		return envelope{}, errors.New("not an address")
	}
	e.addr = netip.AddrPortFrom(addr, port)
	name, b, ok := counted(b)
	if !ok {
		return envelope{}, errShort
	}
	e.name, e.payload = string(name), b
	return e, checkName(e.name)
}

// counted splits a field off whose first byte is its length.
func counted(b []byte) (field, rest []byte, ok bool) {
	if len(b) < 1 || len(b)-1 < int(b[0]) {
		return nil, nil, false
	}
	n := 1 + int(b[0])
	return b[1:n], b[n:], true
}

// metadata is what a director says of itself through memberlist's gossip:
//
//	version 1 | boot id 8 | keys 1, fingerprint 4 each | the caller's
type metadata struct {
	boot uint64
	keys []string // fingerprints, the encrypting one first
	user []byte
}

func encodeMeta(boot uint64, keys []Key, user []byte) []byte {
	keys = keys[:min(len(keys), maxKeys)]
	b := append(make([]byte, 0, metaHead+len(keys)*fingerprintSize+len(user)), version)
	b = binary.BigEndian.AppendUint64(b, boot)
	b = append(b, byte(len(keys)))
	for _, k := range keys {
		f := k.fingerprint()
		b = append(b, f[:]...)
	}
	return append(b, user...)
}

// decodeMeta's result shares the bytes of b.
func decodeMeta(b []byte) (metadata, error) {
	if len(b) < metaHead {
		return metadata{}, errShort
	}
	if b[0] != version {
		return metadata{}, errors.New("another version")
	}
	m := metadata{boot: binary.BigEndian.Uint64(b[1:])}
	n, b := int(b[9]), b[metaHead:]
	if n > maxKeys || len(b) < n*fingerprintSize {
		return metadata{}, errShort
	}
	for range n {
		m.keys = append(m.keys, hex.EncodeToString(b[:fingerprintSize]))
		b = b[fingerprintSize:]
	}
	m.user = b
	return m, nil
}
