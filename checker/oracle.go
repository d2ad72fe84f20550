package checker

import (
	"context"
	"errors"
	"strings"
)

var oracleKind = kind{
	typ:    Oracle,
	keys:   keysOf("database", "tls"),
	port:   1521,
	secure: 2484,
	valid:  (*problems).oracle,
	build:  dialogue(talkOracle),
}

func (v *problems) oracle(s Spec) {
	if strings.ContainsFunc(s.Database, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()=\"'`, r) }) {
		v.add("database", `%q is no service name; write it as the listener has it, such as "orders.example.org"`, s.Database)
	}
}

// talkOracle asks the listener for a service, or where none is named, how it is
// itself. It never comes to a login: that takes Oracle's own client.
func talkOracle(_ context.Context, s *session) Result {
	data := tnsPing
	if s.spec.Database != "" {
		data = tnsDescriptor(s.spec.Database, s.spec.Target)
	}
	if s.t != nil {
		s.t.note("TNS CONNECT %s", data)
	}
	for range 3 {
		if err := s.write(connectPacket(data), "the answer to CONNECT"); err != nil {
			return s.fail(err)
		}
		reply, err := readTNS(s.in)
		switch {
		case errors.Is(err, errNotTNS):
			return bad(err.Error())
		case err != nil:
			return s.fail(err)
		}
		if s.t != nil {
			s.t.came(strings.TrimSpace(reply.kind.String() + " " + reply.data))
		}
		if reply.kind != tnsResend { // which it says once it has a process for us
			r := reply.verdict(s.spec.Database)
			r.Sample = sample([]byte(reply.data), "")
			return r
		}
	}
	return bad("the listener asks for the CONNECT again and again")
}

// verdict judges the answer to the request for a service, or to a ping.
func (r tnsReply) verdict(service string) Result {
	switch r.kind {
	case tnsAccept:
		return good("accepted by the listener")
	case tnsRedirect:
		return good("accepted by the listener, which redirects")
	}
	if n, ok := r.code(); service == "" && ok && n == 0 {
		return good("the listener answers the ping")
	}
	return bad(r.refusal())
}
