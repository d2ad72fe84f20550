package checker

import "context"

var udpKind = kind{
	typ:   UDP,
	keys:  keysOf("send", "expect"),
	valid: (*problems).udp,
	build: newUDPProbe,
}

func (v *problems) udp(s Spec) {
	v.exchange(s)
	if s.Send == "" {
		v.add("send", `check type "udp" needs something to send, as text or as "hex:0a1b"`)
	}
	if len(s.Send) > maxSend {
		v.add("send", "is too long for one packet; %d characters at most", maxSend)
	}
	if s.Expect == "" {
		v.add("expect", `check type "udp" needs what the answer must have: a port that doesn't answer looks like one where nothing is; write expect = "." for any answer, or use type ping`)
	}
}

// maxSend keeps a question in one packet, whatever the network.
const maxSend = 1200

// udpProbe sends one datagram and wants one back.
type udpProbe struct {
	spec   *Spec
	send   []byte
	expect func([]byte) bool
}

func newUDPProbe(spec *Spec, with workshop) (probe, error) {
	send, hex, err := unhex(spec.Send)
	if err != nil {
		return nil, err
	}
	if !hex {
		send = []byte(spec.Send)
	}
	expect, err := expectation(spec.Expect, with)
	return &udpProbe{spec, send, expect}, err
}

func (p *udpProbe) check(ctx context.Context, t *transcript) Result {
	d, err := openDatagrams(ctx, p.spec, t)
	if err != nil {
		return failed(err, connecting, p.spec.Timeout)
	}
	defer d.close()
	return d.ask(p.send, func(b []byte) (Result, error) {
		if !p.expect(b) {
			return bad("the answer lacks " + quote(p.spec.Expect)), nil
		}
		return good("the answer has " + quote(p.spec.Expect)), nil
	})
}
