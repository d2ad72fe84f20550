package checker

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// SIP as far as a check needs it: one OPTIONS request outside of a dialogue and
// its answers, RFC 3261 sections 7, 8.1.1, 11.1 and 18.2, rport of RFC 3581.

// sipOptions is an OPTIONS request.
type sipOptions struct {
	transport string         // "UDP" or "TCP", which the Via must tell the truth of
	local     netip.AddrPort // where the answer comes to
	uri       string         // what is asked: "sip:…"
	from      string         // who asks: user@host
	branch    string         // of the transaction: the answer repeats it …
	callID    string         // … and this
	tag       string
}

// newSIPOptions names the transaction with chance, so that a late answer to an
// earlier check isn't taken for one to this.
func newSIPOptions(transport, uri, from string, local netip.AddrPort) sipOptions {
	local = netip.AddrPortFrom(local.Addr().Unmap().WithZone(""), local.Port())
	if from == "" {
		from = "ipvsd@" + sipHost(local.Addr())
	}
	return sipOptions{
		transport: transport, local: local, uri: uri, from: from,
		branch: "z9hG4bK" + rand.Text(), callID: rand.Text(), tag: rand.Text()[:10],
	}
}

// String is the request as it goes over the wire.
func (q sipOptions) String() string {
	to := q.uri
	if i := strings.IndexAny(to, ";?"); i >= 0 {
		to = to[:i] // parameters are of the Request-URI alone: section 19.1.1
	}
	return strings.Join([]string{
		"OPTIONS " + q.uri + " SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/%s %s;branch=%s;rport", q.transport, q.local, q.branch),
		"Max-Forwards: 70",
		fmt.Sprintf("From: <sip:%s>;tag=%s", q.from, q.tag),
		"To: <" + to + ">",
		"Call-ID: " + q.callID,
		"CSeq: 1 OPTIONS",
		fmt.Sprintf("Contact: <sip:ipvsd@%s;transport=%s>", q.local, strings.ToLower(q.transport)),
		"Accept: application/sdp",
		"User-Agent: " + userAgent,
		"Content-Length: 0",
		"", "",
	}, "\r\n")
}

func sipHost(addr netip.Addr) string {
	if addr.Is6() {
		return "[" + addr.String() + "]"
	}
	return addr.String()
}

// sipAnswer is an answer to an OPTIONS request.
type sipAnswer struct {
	code   int
	phrase string
	head   string // all of it, for transcripts and patterns
}

func (a sipAnswer) status() string {
	return strings.TrimSpace(fmt.Sprintf("SIP status %d %s", a.code, printable(a.phrase)))
}

var (
	errNotSIP   = errors.New("not a SIP answer")
	errOtherSIP = errors.New("the answer to another request")
)

// read takes one answer, without its body, from r.
func (q sipOptions) read(r *bufio.Reader) (sipAnswer, error) {
	lines := textproto.NewReader(r)
	first, err := lines.ReadLine()
	if err != nil {
		return sipAnswer{}, err
	}
	version, rest, _ := strings.Cut(first, " ")
	digits, phrase, _ := strings.Cut(rest, " ")
	code, err := strconv.Atoi(digits)
	if version != "SIP/2.0" || err != nil || len(digits) != 3 || code < 100 || code > 699 {
		return sipAnswer{}, errNotSIP
	}
	fields, err := lines.ReadMIMEHeader()
	switch {
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
		return sipAnswer{}, io.ErrUnexpectedEOF
	case errors.As(err, new(textproto.ProtocolError)):
		return sipAnswer{}, errNotSIP
	case err != nil:
		return sipAnswer{}, err
	}
	if !q.answeredBy(fields) {
		return sipAnswer{}, errOtherSIP
	}
	return sipAnswer{code: code, phrase: phrase, head: first + "\n" + sipHead(fields)}, nil
}

// answeredBy tells whether an answer is to q. Compact names count: section
// 7.3.3.
func (q sipOptions) answeredBy(fields textproto.MIMEHeader) bool {
	id := or(fields.Get("Call-ID"), fields.Get("i"))
	seq := strings.Fields(fields.Get("CSeq"))
	via := or(fields.Get("Via"), fields.Get("v"))
	return id == q.callID && len(seq) == 2 && seq[0] == "1" && seq[1] == "OPTIONS" && strings.Contains(via, q.branch)
}

func sipHead(fields textproto.MIMEHeader) string {
	var lines []string
	for name, values := range fields {
		for _, v := range values {
			lines = append(lines, name+": "+v)
		}
	}
	// The order of a map is none.
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
