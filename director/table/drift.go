package table

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// DriftKind classifies a deviation; it is the label of the metric
// ipvsd_kernel_drift_total.
type DriftKind string

// The kinds of deviation. A service that nobody expected isn't one: it is
// foreign, and foreign services are left alone.
const (
	ServiceMissing DriftKind = "service_missing"
	ServiceChanged DriftKind = "service_changed"
	RealMissing    DriftKind = "real_missing"
	RealChanged    DriftKind = "real_changed"
	RealUnexpected DriftKind = "real_unexpected"
)

// Deviation is one difference between the table as we left it and as the
// kernel holds it now. Before and After are for people; of a change they name
// only what changed.
type Deviation struct {
	Kind          DriftKind
	Pair          Pair // Real is zero where the service itself deviates
	Before, After string
}

// Drift lists what others did to our services since we left them as expected,
// by service and real server. Of a missing service its real servers aren't
// listed one by one.
func Drift(expected, have State) []Deviation {
	var ds []Deviation
	for k, e := range expected {
		h, ok := have[k]
		if !ok {
			ds = append(ds, Deviation{
				Kind: ServiceMissing, Pair: Pair{Service: k},
				Before: fmt.Sprintf("%s with %s", e.Service.describe(), count(len(e.Reals))), After: "missing",
			})
			continue
		}
		if want, got := e.Service.Normal(), h.Service.Normal(); want.differs(got) {
			before, after := differences(want.words(), got.words())
			ds = append(ds, Deviation{Kind: ServiceChanged, Pair: Pair{Service: k}, Before: before, After: after})
		}
		ds = driftReals(ds, k, e.Reals, h.Reals)
	}
	slices.SortFunc(ds, func(a, b Deviation) int {
		return cmp.Or(a.Pair.Compare(b.Pair), cmp.Compare(a.Kind, b.Kind))
	})
	return ds
}

func driftReals(ds []Deviation, k ServiceKey, expected, have map[netip.AddrPort]Real) []Deviation {
	for a, e := range expected {
		p := Pair{Service: k, Real: a}
		h, ok := have[a]
		if !ok {
			ds = append(ds, Deviation{Kind: RealMissing, Pair: p, Before: e.describe(), After: "missing"})
			continue
		}
		e, h = e.Normal(), h.Normal()
		if h.Addr = e.Addr; e != h {
			before, after := differences(e.words(), h.words())
			ds = append(ds, Deviation{Kind: RealChanged, Pair: p, Before: before, After: after})
		}
	}
	for a, h := range have {
		if _, ok := expected[a]; !ok {
			p := Pair{Service: k, Real: a}
			ds = append(ds, Deviation{Kind: RealUnexpected, Pair: p, Before: "missing", After: h.describe()})
		}
	}
	return ds
}

// differs compares the settings, not the key.
func (s Service) differs(o Service) bool {
	o.ServiceKey = s.ServiceKey
	return s != o
}

// words are the settings in words, always as many and in the same order.
func (s Service) words() []string {
	flags := FlagNames(s.Scheduler, s.Flags)
	if s.Flags&OnePacket != 0 {
		flags = append(flags, "one-packet")
	}
	return []string{
		"scheduler " + s.Scheduler,
		"flags " + cmp.Or(strings.Join(flags, ","), "none"),
		fmt.Sprintf("persistence %ds", s.Timeout),
		fmt.Sprintf("prefix /%d", s.PrefixLen),
		"persistence engine " + cmp.Or(s.PE, "none"),
	}
}

func (s Service) describe() string {
	s = s.Normal()
	shown, _ := differences(s.words(), Service{ServiceKey: s.ServiceKey}.Normal().words())
	return shown
}

func (r Real) words() []string {
	tunnel := "tunnel " + tunnelName(r.Tunnel.Type)
	if r.Tunnel.Port != 0 {
		tunnel += fmt.Sprintf(" port %d", r.Tunnel.Port)
	}
	if r.Tunnel.Flags != 0 {
		tunnel += fmt.Sprintf(" flags %#x", r.Tunnel.Flags)
	}
	return []string{
		"forward " + r.Forward.String(),
		fmt.Sprintf("weight %d", r.Weight),
		fmt.Sprintf("upper threshold %d", r.Upper),
		fmt.Sprintf("lower threshold %d", r.Lower),
		tunnel,
	}
}

// describe names the forwarding method, the weight, and what else is set.
func (r Real) describe() string {
	r = r.Normal()
	w := r.words()
	rest, _ := differences(w[2:], Real{}.words()[2:])
	return strings.TrimSuffix(strings.Join(append(w[:2:2], rest), ", "), ", ")
}

// differences keeps the words that are not the same on both sides.
func differences(a, b []string) (before, after string) {
	var as, bs []string
	for i := range a {
		if a[i] != b[i] {
			as, bs = append(as, a[i]), append(bs, b[i])
		}
	}
	return strings.Join(as, ", "), strings.Join(bs, ", ")
}

func count(reals int) string {
	if reals == 1 {
		return "1 real server"
	}
	return fmt.Sprintf("%d real servers", reals)
}
