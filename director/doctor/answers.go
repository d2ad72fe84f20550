package doctor

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipvsd/ipvsd/director/table"
)

func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

const arpCheck = "arp-answer"

// arpAnswers judges who answered for each virtual address. Where this machine
// has it, nobody else may. Elsewhere one machine may, a director; with a daemon
// that knows the holder, only that one.
func arpAnswers(f *Facts) (out []Finding) {
	directors := map[string]bool{}
	for _, d := range f.directors() {
		directors[d.String()] = true
	}
	for _, a := range f.Answers {
		var strangers, holders []MAC
		for _, m := range a.MACs {
			reals := f.realsBehind(m, a.Addr)
			switch {
			case slices.ContainsFunc(f.Who[m], func(w string) bool { return directors[w] }):
				holders = append(holders, m)
			case len(reals) > 0:
				out = append(out, Finding{
					Object: a.Addr.String() + " on " + a.Interface,
					Reason: fmt.Sprintf("%s answers for it, which is real server %s", m, strings.Join(reals, ", ")),
					Cure:   "on " + strings.Join(reals, ", ") + ": ipvsd realserver setup --vip " + a.Addr.String() + f.methodFlag(a.Addr),
				})
			default:
				strangers = append(strangers, m)
			}
		}
		out = append(out, f.judge(a, holders, strangers)...)
	}
	return out
}

// judge is about those that are no real servers of the file.
func (f *Facts) judge(a Answer, holders, strangers []MAC) []Finding {
	object := a.Addr.String() + " on " + a.Interface
	all := slices.Concat(holders, strangers)
	switch {
	case len(all) == 0, len(all) == 1 && !f.holds(a.Addr) && f.Config.Cluster != nil:
		return nil // the holder, as it should be
	case f.holds(a.Addr) && len(holders) > 0:
		return []Finding{{
			Object: object,
			Reason: fmt.Sprintf("this machine has it, and the director %s answers for it, too (%s)", strings.Join(f.Who[holders[0]], ", "), holders[0]),
			Cure:   "`ipvsd status` on both tells why; most often they can't hear each other",
		}}
	case f.holds(a.Addr), len(all) == 1:
		return []Finding{{
			Object: object,
			Reason: fmt.Sprintf("another machine answers for it: %s%s", all[0], f.known(all[0])),
			Cure:   "find it (the switch's table has its port) and take the address from it, or, if it is a web node, run ipvsd realserver setup there",
		}}
	}
	var list []string
	for _, m := range all {
		list = append(list, m.String()+f.known(m))
	}
	return []Finding{{
		Object: object,
		Reason: "several machines answer for it: " + strings.Join(list, ", "),
		Cure:   "`ipvsd status` on the directors tells which of them holds it; take it from the others",
	}}
}

func (f *Facts) known(m MAC) string {
	if len(f.Who[m]) == 0 {
		return ""
	}
	return " (" + strings.Join(f.Who[m], ", ") + ")"
}

// realsBehind are the addresses of real servers of the file that the machine
// with this MAC answers for.
func (f *Facts) realsBehind(m MAC, vip netip.Addr) (out []string) {
	for _, v := range f.Config.Virtuals {
		for _, r := range v.Reals {
			if s := r.Addr.Addr().String(); slices.Contains(f.Who[m], s) && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}

// methodFlag is --method for the virtual address, where it isn't dr.
func (f *Facts) methodFlag(vip netip.Addr) string {
	for _, v := range f.Config.Virtuals {
		for _, r := range v.Reals {
			if v.Service.Addr.Addr() == vip && r.Forward != table.DR {
				return " --method " + r.Forward.String()
			}
		}
	}
	return ""
}
