package checker

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
)

// RADIUS as far as a check needs it: RFC 2865 (Access-Request with PAP),
// RFC 5997 (Status-Server), RFC 3579 section 3.2 (Message-Authenticator).

// radiusCode is a packet's kind.
type radiusCode byte

const (
	accessRequest      radiusCode = 1
	accessAccept       radiusCode = 2
	accessReject       radiusCode = 3
	accountingResponse radiusCode = 5
	accessChallenge    radiusCode = 11
	statusServer       radiusCode = 12
)

func (c radiusCode) String() string {
	switch c {
	case accessRequest:
		return "Access-Request"
	case accessAccept:
		return "Access-Accept"
	case accessReject:
		return "Access-Reject"
	case accountingResponse:
		return "Accounting-Response"
	case accessChallenge:
		return "Access-Challenge"
	case statusServer:
		return "Status-Server"
	}
	return fmt.Sprintf("RADIUS code %d", byte(c))
}

// The attributes that are written or read.
const (
	attrUserName             = 1
	attrUserPassword         = 2
	attrReplyMessage         = 18
	attrNASIdentifier        = 32
	attrMessageAuthenticator = 80
)

const (
	radiusHead = 20   // code, identifier, length, authenticator
	maxRADIUS  = 4096 // RFC 2865 section 3
)

// radiusQuestion is a request as sent, and what its answers are held against.
type radiusQuestion struct {
	packet []byte
	secret []byte
}

// newRADIUSQuestion writes an Access-Request for a login, or a Status-Server
// where there is none. The Message-Authenticator comes first: whoever wanted to
// forge an answer by a collision (CVE-2024-3596) could put nothing before it.
func newRADIUSQuestion(login, password string, secret []byte) (radiusQuestion, error) {
	if len(login) > 253 {
		return radiusQuestion{}, errors.New("a RADIUS user name has at most 253 bytes")
	}
	if len(password) > 128 {
		return radiusQuestion{}, errors.New("a RADIUS password has at most 128 bytes")
	}
	p := make([]byte, radiusHead, 512)
	p[0] = byte(statusServer)
	if login != "" {
		p[0] = byte(accessRequest)
	}
	_, _ = rand.Read(p[1:2])
	authenticator := p[4:radiusHead]
	_, _ = rand.Read(authenticator)
	p = appendAttr(p, attrMessageAuthenticator, make([]byte, md5.Size))
	if login != "" {
		p = appendAttr(p, attrUserName, []byte(login))
		p = appendAttr(p, attrUserPassword, hidePassword(password, secret, authenticator))
	}
	p = appendAttr(p, attrNASIdentifier, []byte("ipvsd"))
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	copy(p[radiusHead+2:], messageAuthenticator(p, secret))
	return radiusQuestion{p, secret}, nil
}

func appendAttr(p []byte, kind byte, value []byte) []byte {
	return append(append(p, kind, byte(len(value)+2)), value...)
}

// hidePassword is PAP: RFC 2865 section 5.2.
func hidePassword(password string, secret, authenticator []byte) []byte {
	out := make([]byte, max(16, (len(password)+15)/16*16))
	copy(out, password)
	last := authenticator
	for i := 0; i < len(out); i += 16 {
		block := out[i : i+16]
		mask := md5.Sum(append(append([]byte{}, secret...), last...))
		for j := range block {
			block[j] ^= mask[j]
		}
		last = block
	}
	return out
}

func messageAuthenticator(p, secret []byte) []byte {
	mac := hmac.New(md5.New, secret)
	mac.Write(p)
	return mac.Sum(nil)
}

// radiusAnswer is an answer that was made by one who knows the secret.
type radiusAnswer struct {
	code    radiusCode
	message string // Reply-Message
}

var (
	errNotRADIUS  = errors.New("not a RADIUS packet")
	errOtherReply = errors.New("the answer to another request")
	errSecret     = errors.New("an answer made with another secret")
)

// answer reads an answer to q and verifies it.
func (q radiusQuestion) answer(b []byte) (radiusAnswer, error) {
	if len(b) < radiusHead {
		return radiusAnswer{}, errNotRADIUS
	}
	size := int(binary.BigEndian.Uint16(b[2:]))
	if size < radiusHead || size > len(b) || size > maxRADIUS {
		return radiusAnswer{}, errNotRADIUS
	}
	b = b[:size] // what follows is padding
	if b[1] != q.packet[1] {
		return radiusAnswer{}, errOtherReply
	}
	a := radiusAnswer{code: radiusCode(b[0])}
	signed := -1
	for at := radiusHead; at < size; {
		if size-at < 2 || int(b[at+1]) < 2 || at+int(b[at+1]) > size {
			return radiusAnswer{}, errNotRADIUS
		}
		value := b[at+2 : at+int(b[at+1])]
		switch b[at] {
		case attrReplyMessage:
			a.message += string(value)
		case attrMessageAuthenticator:
			if len(value) != md5.Size {
				return radiusAnswer{}, errNotRADIUS
			}
			signed = at + 2
		}
		at += int(b[at+1])
	}
	if !q.made(b, signed) {
		return radiusAnswer{}, errSecret
	}
	return a, nil
}

// made tells whether an answer was made with the secret, as an answer to q:
// by the Response Authenticator, and by the Message-Authenticator if there is
// one, at signed.
func (q radiusQuestion) made(b []byte, signed int) bool {
	sum := md5.New()
	sum.Write(b[:4])
	sum.Write(q.packet[4:radiusHead])
	sum.Write(b[radiusHead:])
	sum.Write(q.secret)
	if !hmac.Equal(sum.Sum(nil), b[4:radiusHead]) {
		return false
	}
	if signed < 0 {
		return true
	}
	plain := append([]byte{}, b...)
	copy(plain[4:], q.packet[4:radiusHead])
	clear(plain[signed : signed+md5.Size])
	return hmac.Equal(messageAuthenticator(plain, q.secret), b[signed:signed+md5.Size])
}
