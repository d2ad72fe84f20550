package checker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// LDAP as far as a check needs it: RFC 4511. The encoding is left to a library:
// servers write lengths in more ways than encoding/asn1 reads.

// The operations that are sent or come.
const (
	ldapBind         ber.Tag = 0
	ldapBindDone     ber.Tag = 1
	ldapUnbind       ber.Tag = 2
	ldapSearch       ber.Tag = 3
	ldapEntry        ber.Tag = 4
	ldapSearchDone   ber.Tag = 5
	ldapReference    ber.Tag = 19
	ldapExtended     ber.Tag = 23
	ldapExtendedDone ber.Tag = 24
	startTLSName             = "1.3.6.1.4.1.1466.20037" // section 4.14.1
	ldapNoAttributes         = "1.1"                    // section 4.5.1.8
	ldapSuccess              = 0
	ldapNoSuchObject         = 32
)

// ldapOperation encodes a message.
func ldapOperation(id int, op ber.Tag, parts ...*ber.Packet) []byte {
	message := ber.NewSequence("")
	message.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, int64(id), ""))
	body := ber.Encode(ber.ClassApplication, ber.TypeConstructed, op, nil, "")
	for _, part := range parts {
		body.AppendChild(part)
	}
	message.AppendChild(body)
	return message.Bytes()
}

func ldapText(text string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, text, "")
}

func ldapContext(tag ber.Tag, text string) *ber.Packet {
	return ber.NewString(ber.ClassContext, ber.TypePrimitive, tag, text, "")
}

func ldapNumber(tag ber.Tag, n int64) *ber.Packet {
	return ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, tag, n, "")
}

// bindRequest is a simple bind; two empty strings are anonymous.
func bindRequest(id int, dn, password string) []byte {
	return ldapOperation(id, ldapBind, ldapNumber(ber.TagInteger, 3), ldapText(dn), ldapContext(0, password))
}

// searchRequest asks for the entry of that name, whatever it is, and for none
// or all of its attributes.
func searchRequest(id int, base string, attributes bool) []byte {
	wanted := ber.NewSequence("")
	if !attributes {
		wanted.AppendChild(ldapText(ldapNoAttributes))
	}
	return ldapOperation(
		id, ldapSearch, ldapText(base),
		ldapNumber(ber.TagEnumerated, 0), // scope: base
		ldapNumber(ber.TagEnumerated, 0), // aliases: as they are
		ldapNumber(ber.TagInteger, 2),    // entries at most; more than one would be wrong
		ldapNumber(ber.TagInteger, 0),    // seconds: the deadline is ours
		ber.NewBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, false, ""), // values too
		ldapContext(7, "objectClass"), // filter: present
		wanted,
	)
}

func startTLSRequest(id int) []byte {
	return ldapOperation(id, ldapExtended, ldapContext(0, startTLSName))
}

// ldapReply is a message of a server.
type ldapReply struct {
	id   int64
	op   ber.Tag
	code int64    // of those that have one
	text string   // its diagnostic message
	dn   string   // of an entry
	all  []string // an entry's "attribute: value" lines
}

// ldapFirst is the first byte of every message: a sequence.
const ldapFirst = 0x30

var errNotLDAP = errors.New("not an LDAP answer")

// readLDAP reads one message. An error of the connection is returned as it is.
func readLDAP(r *bufio.Reader) (ldapReply, error) {
	if first, err := r.Peek(1); err != nil {
		return ldapReply{}, err
	} else if first[0] != ldapFirst {
		return ldapReply{}, errNotLDAP
	}
	keep := &keptError{r: r}
	p, err := ber.ReadPacket(keep)
	switch {
	case keep.err != nil && (keep.err != io.EOF || err != nil):
		if keep.err == io.EOF && keep.got {
			return ldapReply{}, io.ErrUnexpectedEOF
		}
		return ldapReply{}, keep.err
	case err != nil:
		return ldapReply{}, errNotLDAP
	}
	return parseLDAP(p)
}

// keptError keeps the error of a reader that is read through a library.
type keptError struct {
	r   io.Reader
	err error
	got bool
}

func (k *keptError) Read(p []byte) (int, error) {
	n, err := k.r.Read(p)
	k.got = k.got || n > 0
	if err != nil {
		k.err = err
	}
	return n, err
}

func parseLDAP(p *ber.Packet) (ldapReply, error) {
	if p.Tag != ber.TagSequence || len(p.Children) < 2 {
		return ldapReply{}, errNotLDAP
	}
	id, ok := p.Children[0].Value.(int64)
	body := p.Children[1]
	if !ok || body.ClassType != ber.ClassApplication {
		return ldapReply{}, errNotLDAP
	}
	reply := ldapReply{id: id, op: body.Tag}
	switch body.Tag {
	case ldapBindDone, ldapSearchDone, ldapExtendedDone:
		if len(body.Children) < 3 {
			return ldapReply{}, errNotLDAP
		}
		if reply.code, ok = body.Children[0].Value.(int64); !ok {
			return ldapReply{}, errNotLDAP
		}
		reply.text = string(body.Children[2].ByteValue)
	case ldapEntry:
		if len(body.Children) < 2 {
			return ldapReply{}, errNotLDAP
		}
		reply.dn = string(body.Children[0].ByteValue)
		reply.all = ldapLines(body.Children[1].Children)
	}
	return reply, nil
}

func ldapLines(attributes []*ber.Packet) []string {
	var lines []string
	for _, a := range attributes {
		if len(a.Children) < 2 {
			continue
		}
		for _, value := range a.Children[1].Children {
			lines = append(lines, string(a.Children[0].ByteValue)+": "+string(value.ByteValue))
		}
	}
	return lines
}

// ldapWords are the result codes that an operator meets: RFC 4511 appendix A.
var ldapWords = map[int64]string{
	1: "operations error", 2: "protocol error", 3: "time limit exceeded", 4: "size limit exceeded",
	7: "authentication method not supported", 8: "stronger authentication required", 10: "referral",
	11: "administrative limit exceeded", 13: "confidentiality required", 14: "SASL bind in progress",
	ldapNoSuchObject: "no such object", 34: "invalid DN syntax", 48: "inappropriate authentication",
	49: "invalid credentials", 50: "insufficient access rights", 51: "busy", 52: "unavailable",
	53: "unwilling to perform", 54: "loop detected", 80: "other error",
}

// reason puts a result code into words.
func (r ldapReply) reason() string {
	word := or(ldapWords[r.code], "LDAP error "+strconv.FormatInt(r.code, 10))
	if text := strings.TrimSpace(r.text); text != "" {
		return fmt.Sprintf("%s (%s)", word, sample([]byte(text), ""))
	}
	return word
}
