package checker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/miekg/dns"
)

var dnsKind = kind{
	typ:    DNS,
	keys:   keysOf("request", "receive", "record", "protocol", "tls"),
	port:   53,
	secure: 853,
	fill:   fillDNS,
	valid:  (*problems).dns,
	build:  newDNSProbe,
}

func fillDNS(s *Spec) {
	if s.Protocol != "tcp" { // behind a firewall mark may be both
		s.Protocol = "udp"
	}
	if s.TLS {
		s.Protocol = "tcp" // RFC 7858
	}
	if _, err := netip.ParseAddr(s.Request); s.Record == "" && err == nil {
		s.Record = "PTR"
	}
	s.Record = strings.ToUpper(or(s.Record, "A"))
}

func (v *problems) dns(s Spec) {
	if s.Request == "" {
		v.add("request", `check type "dns" needs a name to ask for, such as request = "www.example.org"`)
		return
	}
	fillDNS(&s)
	if _, err := dnsQuestion(&s); err != nil {
		v.add("request", "%v", err)
	}
	if t, ok := dns.StringToType[s.Record]; !ok || t == dns.TypeNone || t == dns.TypeOPT || t >= 128 && t < 256 {
		v.add("record", `%q is no type of record to ask for; write "A", "AAAA", "MX", "NS", "SOA", "TXT", …`, s.Record)
	}
}

// dnsQuestion is the question for a Spec, without an identifier.
func dnsQuestion(s *Spec) (*dns.Msg, error) {
	name := s.Request
	if addr, err := netip.ParseAddr(name); err == nil && s.Record == "PTR" {
		if name, err = dns.ReverseAddr(addr.Unmap().WithZone("").String()); err != nil {
			return nil, err
		}
	}
	if _, ok := dns.IsDomainName(name); !ok || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return nil, fmt.Errorf("%q is no name to ask for", name)
	}
	return new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.StringToType[s.Record]), nil
}

// dnsProbe asks one question, with recursion desired, and wants a record of the
// type asked for that matches.
type dnsProbe struct {
	spec     *Spec
	question *dns.Msg
	receive  *regexp.Regexp // nil: any record of that type
	stream   probe          // the same over TCP
}

func newDNSProbe(spec *Spec, with workshop) (probe, error) {
	p := &dnsProbe{spec: spec}
	var err error
	if p.question, err = dnsQuestion(spec); err != nil {
		return nil, err
	}
	if p.receive, err = with.pattern(spec.Receive); err != nil {
		return nil, err
	}
	if p.stream, err = dialogue(p.talk)(spec, with); err != nil {
		return nil, err
	}
	if spec.Protocol == "tcp" {
		return p.stream, nil
	}
	return p, nil
}

func (p *dnsProbe) check(ctx context.Context, t *transcript) Result {
	d, err := openDatagrams(ctx, p.spec, t)
	if err != nil {
		return failed(err, connecting, p.spec.Timeout)
	}
	defer d.close()
	id, question, err := p.packet()
	if err != nil {
		return void(err.Error())
	}
	if t != nil {
		t.note("query %s %s", p.spec.Record, p.question.Question[0].Name)
	}
	cut := false
	r := d.ask(question, func(b []byte) (Result, error) {
		r, err := p.judge(id, b, t)
		if errors.Is(err, errTruncated) {
			cut, err = true, nil
		}
		return r, err
	})
	if !cut {
		return r
	}
	if t != nil {
		t.note("the answer is longer than a datagram of this kind, so over TCP")
	}
	return p.overTCP(ctx, d, t)
}

// overTCP asks again, in what is left of the time.
func (p *dnsProbe) overTCP(ctx context.Context, d *datagrams, t *transcript) Result {
	ctx, cancel := context.WithDeadline(ctx, d.start.Add(p.spec.Timeout))
	defer cancel()
	r := p.stream.check(ctx, t)
	if !r.OK {
		r.Reason = "over TCP, after a truncated answer: " + r.Reason
	}
	return r
}

// talk is the same over a stream: RFC 1035 section 4.2.2.
func (p *dnsProbe) talk(_ context.Context, s *session) Result {
	id, question, err := p.packet()
	if err != nil {
		return void(err.Error())
	}
	framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(question))), question...)
	if err := s.write(framed, "the answer"); err != nil {
		return s.fail(err)
	}
	var size [2]byte
	if err := s.read(size[:]); err != nil {
		return s.fail(err)
	}
	answer := make([]byte, binary.BigEndian.Uint16(size[:]))
	if err := s.read(answer); err != nil {
		return s.fail(err)
	}
	r, err := p.judge(id, answer, s.t)
	if err != nil {
		return bad(err.Error())
	}
	return r
}

// packet is the question under a new identifier.
func (p *dnsProbe) packet() (uint16, []byte, error) {
	q := *p.question
	q.Id = dns.Id()
	b, err := q.Pack()
	return q.Id, b, err
}

var (
	errNotDNS    = errors.New("not a DNS answer")
	errOtherDNS  = errors.New("the answer to another question")
	errTruncated = errors.New("a truncated answer")
)

// judge reads an answer. An error says that it is none.
func (p *dnsProbe) judge(id uint16, b []byte, t *transcript) (Result, error) {
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil || !m.Response {
		return Result{}, errNotDNS
	}
	// A server that understood nothing repeats nothing.
	if m.Id != id || m.Rcode == dns.RcodeSuccess && !p.asked(m) {
		return Result{}, errOtherDNS
	}
	if t != nil {
		t.came(m.String())
	}
	if m.Rcode != dns.RcodeSuccess {
		return bad(p.refusal(m.Rcode)), nil
	}
	r, some := p.records(m)
	if !r.OK && m.Truncated {
		return Result{}, errTruncated
	}
	r.Sample = sample([]byte(strings.Join(some, ", ")), "")
	return r, nil
}

// asked tells whether an answer is to our question. Case is the server's to
// keep or not.
func (p *dnsProbe) asked(m *dns.Msg) bool {
	q := p.question.Question[0]
	return len(m.Question) == 1 && m.Question[0].Qtype == q.Qtype && strings.EqualFold(m.Question[0].Name, q.Name)
}

func (p *dnsProbe) refusal(code int) string {
	name := p.question.Question[0].Name
	switch code {
	case dns.RcodeNameError:
		return "NXDOMAIN: the server knows no " + name
	case dns.RcodeServerFailure:
		return "SERVFAIL: the server couldn't find out about " + name
	case dns.RcodeRefused:
		return "REFUSED: the server won't tell us about " + name
	}
	if word, ok := dns.RcodeToString[code]; ok {
		return word + " for " + name
	}
	return fmt.Sprintf("DNS error %d for %s", code, name)
}

// records judges the records of the type asked for; others are on the way to
// them (CNAME, DNAME).
func (p *dnsProbe) records(m *dns.Msg) (Result, []string) {
	q := p.question.Question[0]
	var all []string
	for _, rr := range m.Answer {
		if rr.Header().Rrtype != q.Qtype {
			continue
		}
		text := strings.TrimPrefix(rr.String(), rr.Header().String())
		all = append(all, text)
		if p.receive == nil || p.receive.MatchString(text) || p.receive.MatchString(strings.TrimSuffix(text, ".")) {
			return good(fmt.Sprintf("%s %s is %s", p.spec.Record, q.Name, shortened(text))), all
		}
	}
	switch {
	case len(all) == 0:
		return bad(fmt.Sprintf("the server has no %s record of %s", p.spec.Record, q.Name)), nil
	case len(all) == 1:
		return bad(fmt.Sprintf("%s %s is %s, which lacks %s", p.spec.Record, q.Name, shortened(all[0]), quote(p.spec.Receive))), all
	}
	return bad(fmt.Sprintf("none of the %d %s records of %s has %s", len(all), p.spec.Record, q.Name, quote(p.spec.Receive))), all
}
