package table

import (
	"net/netip"
	"slices"
)

// Phase is the rank of a step in a plan. All steps of one phase may be sent
// to the kernel as one batch; a phase begins when the one before it is over.
type Phase uint8

// The phases, in the order of their execution. Traffic has to keep flowing at
// every moment between, so whatever brings a server comes before whatever
// takes one away:
//
//   - services come first, because a real server needs its service. A new one
//     is without servers for the moment until the next phase, in which its
//     clients are told what they were told before: nobody listens here;
//   - servers come in and weights change to another number above zero. A
//     changed forwarding method is one edit in place, which the kernel does
//     without a moment between. A changed port is another server to the
//     kernel: the new one comes here, the old one leaves below;
//   - weight 0 takes new connections away from the servers that shall have
//     none, those about to leave among them: between this and the next phase
//     no connection is given to a server that is gone a moment later;
//   - servers leave;
//   - services leave, with their servers in one step. Weight 0 for those
//     before would be pointless: nobody is left to take the connections, and
//     clients would only be refused a moment sooner.
const (
	PhaseService Phase = iota + 1
	PhaseServe
	PhaseQuiesce
	PhaseDeleteReal
	PhaseDeleteService
)

// Phase tells where in a plan the step belongs.
func (s Step) Phase() Phase {
	switch s.Op {
	case AddService, EditService:
		return PhaseService
	case EditReal:
		if s.Real.Weight == 0 {
			return PhaseQuiesce
		}
		return PhaseServe
	case DeleteReal:
		return PhaseDeleteReal
	case DeleteService:
		return PhaseDeleteService
	}
	return PhaseServe
}

// Plan lists the steps that lead from have to want, in the order of their
// phases and then by service and real server. A wanted service is made equal
// to want, and every real server there that isn't wanted leaves, whoever
// added it. A service that isn't wanted is deleted where it is ours; those of
// others are left alone.
func Plan(have, want State, ours func(ServiceKey) bool) []Step {
	var changed, gone []ServiceKey
	for k, w := range want {
		if h, ok := have[k]; !ok || !same(k, h, w) {
			changed = append(changed, k)
		}
	}
	for k := range have {
		if _, ok := want[k]; !ok && ours(k) {
			gone = append(gone, k)
		}
	}
	if len(changed)+len(gone) == 0 {
		return nil
	}
	slices.SortFunc(changed, ServiceKey.Compare)
	slices.SortFunc(gone, ServiceKey.Compare)
	var p phases
	for _, k := range changed {
		h, ok := have[k]
		p.service(k, h.Service, want[k].Service, ok)
		p.reals(k, h, want[k])
	}
	for _, k := range gone {
		p.add(Step{Op: DeleteService, Service: Service{ServiceKey: k}})
	}
	return slices.Concat(p[:]...)
}

// same tells whether the kernel holds service k as it is wanted. It is all that
// happens while nothing changes, and allocates nothing.
func same(k ServiceKey, have, want Entry) bool {
	want.Service.ServiceKey = k
	if len(have.Reals) != len(want.Reals) || have.Service.Normal() != want.Service.Normal() {
		return false
	}
	for a, w := range want.Reals {
		if h, ok := have.Reals[a]; !ok || h.Normal() != normalAt(w, a) {
			return false
		}
	}
	return true
}

// normalAt is the real server under the address that is its key.
func normalAt(r Real, a netip.AddrPort) Real {
	r = r.Normal()
	r.Addr = a
	return r
}

// phases collects the steps of each phase.
type phases [PhaseDeleteService + 1][]Step

func (p *phases) add(s Step) {
	n := s.Phase()
	p[n] = append(p[n], s)
}

func (p *phases) service(k ServiceKey, have, want Service, exists bool) {
	want.ServiceKey = k
	want = want.Normal()
	switch {
	case !exists:
		p.add(Step{Op: AddService, Service: want})
	case have.Normal() != want:
		p.add(Step{Op: EditService, Service: want})
	}
}

// reals adds the steps for the real servers of service k.
func (p *phases) reals(k ServiceKey, have, want Entry) {
	s := Service{ServiceKey: k}
	for _, a := range want.Addrs() {
		w := normalAt(want.Reals[a], a)
		h, ok := have.Reals[a]
		switch {
		case !ok:
			p.add(Step{Op: AddReal, Service: s, Real: w})
		case h.Normal() != w:
			p.add(Step{Op: EditReal, Service: s, Real: w})
		}
	}
	for _, a := range have.Addrs() {
		if _, ok := want.Reals[a]; ok {
			continue
		}
		// A foreign hand can have made what no step describes, such as the
		// forwarding method local; that goes as it is.
		h := have.Reals[a]
		if h.Weight > 0 && h.Validate(k) == nil {
			h.Weight = 0
			p.add(Step{Op: EditReal, Service: s, Real: h})
		}
		p.add(Step{Op: DeleteReal, Service: s, Real: Real{Addr: a}})
	}
}
