package checker

import "context"

// ratioProbe spares the server the whole check most of the time: after each one
// that was good come Ratio checks that only connect (a ping, where the check
// goes over UDP). A bad check of either kind is followed by a whole one. It is
// ldirectord's checktype of a number.
type ratioProbe struct {
	whole, light probe
	ratio        int
	left         int // light checks until the next whole one
}

func newRatioProbe(spec *Spec, whole probe, with workshop) (probe, error) {
	light := Spec{Type: Connect, Protocol: "tcp", Target: spec.Target, Mark: spec.Mark, Via: spec.Via, Interval: spec.Interval, Timeout: spec.Timeout}
	if overUDP(spec) {
		light.Protocol = "udp"
	}
	p, err := connectKind.build(&light, with)
	return &ratioProbe{whole: whole, light: p, ratio: spec.Ratio}, err
}

// overUDP tells whether a check sends datagrams.
func overUDP(spec *Spec) bool {
	switch spec.Type {
	case Radius, UDP:
		return true
	case DNS, SIP:
		return spec.Protocol == "udp"
	}
	return false
}

func (p *ratioProbe) check(ctx context.Context, t *transcript) Result {
	if p.left > 0 {
		p.left--
		r := p.light.check(ctx, t)
		if !r.OK {
			p.left = 0
		}
		return r
	}
	r := p.whole.check(ctx, t)
	if r.OK {
		p.left = p.ratio
	}
	return r
}
