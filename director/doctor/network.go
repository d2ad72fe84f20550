package doctor

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/ipvsd/ipvsd/director/table"
	"github.com/ipvsd/ipvsd/realserver"
)

// number is a sysctl's value; 0 where there is none.
func (f *Facts) number(path string) int {
	n, _ := strconv.Atoi(f.Sysctls[path])
	return n
}

func conf(link, name string) string { return "net/ipv4/conf/" + link + "/" + name }

func interfaces(f *Facts) (out []Finding) {
	seen := map[string][]string{}
	for _, addr := range f.addresses {
		name := f.places[addr]
		if name != "" {
			seen[name] = append(seen[name], addr.String())
			continue
		}
		if _, err := f.Net.InterfaceFor(addr); err != nil && len(f.Net.Links) > 0 {
			out = append(out, Finding{
				Object: addr.String(), Reason: err.Error(),
				Cure: fmt.Sprintf("in the file: [[vip]] with address = %q and interface = the interface of the clients' side", addr),
			})
		}
	}
	for name, addrs := range seen {
		if err := f.Net.Problem(name); err != nil && len(f.Net.Links) > 0 {
			cure := "ip link set " + name + " up"
			switch l, ok := f.Net.Link(name); {
			case !ok:
				cure = "name another interface in [[vip]] or [cluster] of the file; `ip link` lists them"
			case l.Up:
				cure = "look at the cable and the switch"
			}
			out = append(out, Finding{Object: name, Reason: fmt.Sprintf("%v, and %s belongs there", err, some(addrs)), Cure: cure})
		}
	}
	return out
}

func ipv6Off(f *Facts) (out []Finding) {
	told := map[string]bool{}
	for _, addr := range f.addresses {
		name := f.places[addr]
		path := "net/ipv6/conf/" + name + "/disable_ipv6"
		if !addr.Is6() || name == "" || told[name] || f.number(path) == 0 {
			continue
		}
		told[name] = true
		out = append(out, Finding{
			Object: name,
			Reason: fmt.Sprintf("%s is 1, so that %s can't be added", realserver.Key(path), addr),
			Cure:   Action{Op: SetSysctl, Name: path, New: "0"}.String(),
		})
	}
	return out
}

// reversePath: with the strict filter, of conf.all and the interface's value the
// larger counts (IN_DEV_MAXCONF), a packet is dropped unless the answer to it
// would leave where it came in. So it takes clients only from where the way back
// from the virtual address leads; f.Far is that for clients far away.
func reversePath(f *Facts) (out []Finding) {
	told := map[string]bool{}
	for _, addr := range f.addresses {
		name := f.places[addr]
		back, known := f.Far[addr]
		if _, there := f.Net.Link(name); !there || !known || back.Interface == name || told[name] {
			continue
		}
		if max(f.number(conf("all", "rp_filter")), f.number(conf(name, "rp_filter"))) != 1 {
			continue
		}
		told[name] = true
		path := conf(name, "rp_filter")
		out = append(out, Finding{
			Object: name,
			Reason: fmt.Sprintf("rp_filter is strict (1), and the way from %s to clients beyond its subnet leads through %s: "+
				"what those send to %s is dropped without a trace", addr, back.Interface, name),
			Actions: []Action{{SetSysctl, path, f.Sysctls[path], "2"}},
		})
	}
	return out
}

// sendRedirects: the director routes the answers of real servers by nat. Where
// they leave by the interface on which they came in, it tells the real server
// the shorter way, past itself (ip_rt_send_redirect, before IPVS rewrites the
// packet). Either of conf.all and the interface's value is enough
// (IN_DEV_ORCONF). IPv6 has no such setting.
func sendRedirects(f *Facts) (out []Finding) {
	if f.Config == nil {
		return nil
	}
	told := map[string]bool{}
	for _, v := range f.Config.Virtuals {
		place := f.places[v.Service.Addr.Addr()]
		for _, r := range v.Reals {
			addr := r.Addr.Addr()
			if r.Forward != table.NAT || !addr.Is4() || place == "" || told[place] || f.Routes[addr].Interface != place {
				continue
			}
			told[place] = true
			var actions []Action
			for _, path := range []string{conf("all", "send_redirects"), conf(place, "send_redirects")} {
				if f.number(path) != 0 {
					actions = append(actions, Action{SetSysctl, path, f.Sysctls[path], "0"})
				}
			}
			if len(actions) > 0 {
				out = append(out, Finding{
					Object: place,
					Reason: fmt.Sprintf("send_redirects is on, and %s (nat) is behind the interface of %s: a redirect leads its answers "+
						"straight to the client, who doesn't know them", addr, v.Service.Addr.Addr()),
					Actions: actions,
				})
			}
		}
	}
	return out
}

// overhead is what a tunnel adds to a packet: the outer IP header, and what is
// between it and the inner one.
func overhead(addr netip.Addr, t table.Tunnel) int {
	n := 20
	if addr.Is6() {
		n = 40
	}
	switch t.Type {
	case 1: // GUE: UDP and a header of 4 bytes, with private data for a remote checksum
		n += 12
		if t.Flags&2 != 0 {
			n += 8
		}
	case 2: // GRE
		n += 4
		if t.Flags&1 != 0 {
			n += 4
		}
	}
	return n
}

// tunnelMTU: with pmtu_disc, IPVS refuses packets that must not be fragmented
// and don't fit, and tells the client by ICMP. Without, it fragments.
func tunnelMTU(f *Facts) (out []Finding) {
	if f.Config == nil || f.Sysctls["net/ipv4/vs/pmtu_disc"] == "0" {
		return nil
	}
	type way struct {
		in, out string
		need    int
	}
	told := map[way]bool{}
	for _, v := range f.Config.Virtuals {
		in := f.places[v.Service.Addr.Addr()]
		for _, r := range v.Reals {
			addr := r.Addr.Addr()
			route := f.Routes[addr]
			need := f.MTU[in] + overhead(addr, r.Tunnel)
			w := way{in, route.Interface, need}
			if r.Forward != table.Tun || f.MTU[in] == 0 || route.MTU == 0 || need <= route.MTU || told[w] {
				continue
			}
			told[w] = true
			headers := 40 // IP's and TCP's, of the inner packet
			if v.Service.Family == table.IPv6 {
				headers = 60
			}
			out = append(out, Finding{
				Object: route.Interface,
				Reason: fmt.Sprintf("a client's packet of %d bytes (%s) makes %d in the tunnel to %s, and that way takes %d: "+
					"the director refuses it and tells the client by ICMP, which some firewalls drop", f.MTU[in], in, need, addr, route.MTU),
				Cure: fmt.Sprintf("on each real server behind it, `ip route change default … advmss %d`; or an MTU of %d between them; "+
					"or `sysctl -w net.ipv4.vs.pmtu_disc=0`, and the director fragments", route.MTU-(need-f.MTU[in])-headers, need),
			})
		}
	}
	return out
}

// directorIsReal: backup_only acts where a backup sync daemon runs, whether or
// not a master does (sysctl_backup_only in the kernel), and ours run both.
func directorIsReal(f *Facts) (out []Finding) {
	for _, d := range f.directors() {
		var names []string
		for _, v := range f.Config.Virtuals {
			for _, r := range v.Reals {
				if r.Addr.Addr() == d && (r.Forward == table.DR || r.Forward == table.Tun) {
					names = append(names, v.Name)
				}
			}
		}
		if len(names) > 0 {
			out = append(out, Finding{
				Object: d.String(),
				Reason: fmt.Sprintf("this director is a real server of %s: what the active director sends to it, it balances once more "+
					"while it is a standby, so that packets can go in circles; backup_only is no way out, because beside a sync daemon for both "+
					"roles it stops the active director, too", some(names)),
				Cure: "run the server on a machine of its own, or write forward = \"nat\" for it in the file",
			})
		}
	}
	return out
}
