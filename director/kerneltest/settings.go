package kerneltest

import (
	"errors"
	"math"
	"net/netip"
	"testing"

	"github.com/ipvsd/ipvsd/director/table"
)

func testSchedulers(t *testing.T, k Subject) {
	for _, sched := range table.Schedulers {
		for _, key := range []table.ServiceKey{web4, web6} {
			s := service(key, func(s *table.Service) { s.Scheduler = sched })
			r1, r2 := real(key, 1), real(key, 2, func(r *table.Real) { r.Weight = 5 })
			if err := k.Do(t.Context(), []table.Step{step(table.AddService, s)})[0]; err != nil {
				if !isUncommon(sched) || !errors.Is(err, table.ErrScheduler) {
					t.Fatal(err)
				}
				t.Logf("this kernel has no scheduler %s", sched)
				mustHold(t, k, nil)
				continue
			}
			mustDo(t, k, step(table.AddReal, s, r1), step(table.AddReal, s, r2))
			mustHold(t, k, state(entry(s, r1, r2)))
			r1.Weight, r2.Weight = 3, 0
			mustDo(t, k, step(table.EditReal, s, r1), step(table.EditReal, s, r2))
			mustHold(t, k, state(entry(s, r1, r2)))
			mustDo(t, k, step(table.DeleteReal, s, r2))
			mustHold(t, k, state(entry(s, r1)))
			mustDo(t, k, step(table.DeleteService, s))
		}
	}
	unknown := service(web4, func(s *table.Service) { s.Scheduler = "nosuch" })
	mustFail(t, k, step(table.AddService, unknown), table.ErrScheduler)
	mustDo(t, k, step(table.AddService, service(web4)))
	mustFail(t, k, step(table.EditService, unknown), table.ErrScheduler)
}

// variants are the settings that a service of the kind may have, beside the
// plain one.
func variants(key table.ServiceKey) map[string]func(*table.Service) {
	vs := map[string]func(*table.Service){
		"sh with flags": func(s *table.Service) { s.Scheduler, s.Flags = "sh", table.Sched1|table.Sched2 },
		"mh with flags": func(s *table.Service) { s.Scheduler, s.Flags = "mh", table.Sched1|table.Sched2 },
		"flag-3":        func(s *table.Service) { s.Flags = table.Sched3 },
		"persistent":    func(s *table.Service) { s.Timeout, s.PrefixLen = 300, keyBits(key) },
		"persistent for one second": func(s *table.Service) {
			s.Timeout, s.PrefixLen = 1, keyBits(key)
		},
		"persistent for a month": func(s *table.Service) {
			s.Timeout, s.PrefixLen = table.MaxTimeout, keyBits(key)
		},
		"persistent by /24": func(s *table.Service) { s.Timeout, s.PrefixLen = 360, 24 },
		"persistent by /1":  func(s *table.Service) { s.Timeout, s.PrefixLen = 360, 1 },
		"sip":               func(s *table.Service) { s.Timeout, s.PrefixLen, s.PE = 300, keyBits(key), "sip" },
		"all at once": func(s *table.Service) {
			s.Scheduler, s.Flags = "mh", table.Sched1|table.Sched2|table.Sched3
			s.Timeout, s.PrefixLen, s.PE = 7, 17, "sip"
		},
	}
	if key.Family == table.IPv4 {
		vs["persistent by /0"] = func(s *table.Service) { s.Timeout, s.PrefixLen = 360, 0 }
	}
	if key.Protocol == 0 || key.Protocol == table.UDP {
		vs["one-packet"] = func(s *table.Service) { s.Flags = table.OnePacket }
		vs["one-packet with flags"] = func(s *table.Service) {
			s.Scheduler, s.Flags = "sh", table.OnePacket|table.Sched2
		}
	}
	return vs
}

func keyBits(k table.ServiceKey) uint8 {
	if k.Family == table.IPv6 {
		return 128
	}
	return 32
}

func testServices(t *testing.T, k Subject) {
	for _, key := range keys() {
		for what, change := range variants(key) {
			t.Run(name("%s %s", key, what), func(t *testing.T) {
				s := service(key, change)
				mustDo(t, k, step(table.AddService, s))
				mustHold(t, k, state(entry(s)))
				mustDo(t, k, step(table.DeleteService, table.Service{ServiceKey: key}))
				mustHold(t, k, nil)
			})
		}
	}
	every := table.ByAddr(table.TCP, netip.AddrPortFrom(web4.Addr.Addr(), 0))
	s := service(every, func(s *table.Service) { s.Timeout, s.PrefixLen = 300, 32 })
	mustDo(t, k, step(table.AddService, s), step(table.AddReal, s, real(every, 1)))
	mustHold(t, k, state(entry(s, real(every, 1))))
}

func testEditService(t *testing.T, k Subject) {
	for _, key := range keys() {
		plain, r := service(key), real(key, 1)
		mustDo(t, k, step(table.AddService, plain), step(table.AddReal, plain, r))
		for what, change := range variants(key) {
			t.Run(name("%s %s", key, what), func(t *testing.T) {
				s := service(key, change)
				mustDo(t, k, step(table.EditService, s))
				mustHold(t, k, state(entry(s, r)))
				mustDo(t, k, step(table.EditService, plain))
				mustHold(t, k, state(entry(plain, r)))
			})
		}
		mustDo(t, k, step(table.DeleteService, plain))
	}
}

// forwards are the settings that a real server in such a service may have.
func forwards(key table.ServiceKey) map[string]func(*table.Real) {
	other := web4
	if key.Family == table.IPv4 {
		other = web6
	}
	fs := map[string]func(*table.Real){
		"dr":   func(*table.Real) {},
		"nat":  func(r *table.Real) { r.Forward = table.NAT },
		"ipip": func(r *table.Real) { r.Forward = table.Tun },
		"gue": func(r *table.Real) {
			r.Forward, r.Tunnel = table.Tun, table.Tunnel{Type: table.TunnelGUE, Port: 6080}
		},
		"gue with checksum": func(r *table.Real) {
			r.Forward = table.Tun
			r.Tunnel = table.Tunnel{Type: table.TunnelGUE, Port: 65535, Flags: table.TunnelChecksum}
		},
		"gue with remote checksum": func(r *table.Real) {
			r.Forward = table.Tun
			r.Tunnel = table.Tunnel{Type: table.TunnelGUE, Port: 1, Flags: table.TunnelRemoteChecksum}
		},
		"gre": func(r *table.Real) { r.Forward, r.Tunnel = table.Tun, table.Tunnel{Type: table.TunnelGRE} },
		"gre with checksum": func(r *table.Real) {
			r.Forward, r.Tunnel = table.Tun, table.Tunnel{Type: table.TunnelGRE, Flags: table.TunnelChecksum}
		},
		"ipip to the other family": func(r *table.Real) {
			r.Addr = netip.AddrPortFrom(real(other, 77).Addr.Addr(), key.Addr.Port())
			r.Forward = table.Tun
		},
		"gue to the other family": func(r *table.Real) {
			r.Addr = netip.AddrPortFrom(real(other, 77).Addr.Addr(), key.Addr.Port())
			r.Forward, r.Tunnel = table.Tun, table.Tunnel{Type: table.TunnelGUE, Port: 6080}
		},
		"thresholds":      func(r *table.Real) { r.Upper, r.Lower = 2000, 1500 },
		"upper threshold": func(r *table.Real) { r.Upper = math.MaxInt32 },
		"equal thresholds": func(r *table.Real) {
			r.Upper, r.Lower = 10, 10
		},
	}
	if key.Protocol != 0 {
		fs["nat to another port"] = func(r *table.Real) {
			r.Addr, r.Forward = netip.AddrPortFrom(r.Addr.Addr(), 8080), table.NAT
		}
	}
	return fs
}

func testReals(t *testing.T, k Subject) {
	for _, key := range keys() {
		s := service(key)
		mustDo(t, k, step(table.AddService, s))
		for what, change := range forwards(key) {
			t.Run(name("%s %s", key, what), func(t *testing.T) {
				r := real(key, 1, change)
				mustDo(t, k, step(table.AddReal, s, r))
				mustHold(t, k, state(entry(s, r)))
				mustDo(t, k, step(table.DeleteReal, s, table.Real{Addr: r.Addr}))
				mustHold(t, k, state(entry(s)))
			})
		}
		mustDo(t, k, step(table.DeleteService, s))
	}
}

// testEditReal also turns every setting into every other in place.
func testEditReal(t *testing.T, k Subject) {
	for _, key := range []table.ServiceKey{web4, web6, mark4, mark6} {
		s, plain := service(key), real(key, 1)
		mustDo(t, k, step(table.AddService, s), step(table.AddReal, s, plain))
		for what, from := range forwards(key) {
			for into, to := range forwards(key) {
				a, b := real(key, 1, from), real(key, 1, to)
				if a.Addr != plain.Addr || b.Addr != plain.Addr {
					continue // another address is another server
				}
				mustDo(t, k, step(table.EditReal, s, a), step(table.EditReal, s, b))
				if d := Diff(state(entry(s, b)), mustRead(t, k).State); d != "" {
					t.Errorf("%s from %s to %s (-want +got):\n%s", key, what, into, d)
				}
			}
		}
		mustDo(t, k, step(table.DeleteService, s))
	}
}

func testWeights(t *testing.T, k Subject) {
	for _, sched := range []string{"rr", "wrr", "mh", "sh"} {
		s := service(web4, func(s *table.Service) { s.Scheduler = sched })
		mustDo(t, k, step(table.AddService, s), step(table.AddReal, s, real(web4, 1)))
		for _, w := range []uint32{0, 1, 2, 100, 32768, 65535, 65536, 70000, 1 << 24, table.MaxWeight} {
			r := real(web4, 1, func(r *table.Real) { r.Weight = w })
			mustDo(t, k, step(table.EditReal, s, r))
			mustHold(t, k, state(entry(s, r)))
			r2 := real(web4, 2, func(r *table.Real) { r.Weight = w })
			mustDo(t, k, step(table.AddReal, s, r2))
			mustHold(t, k, state(entry(s, r, r2)))
			mustDo(t, k, step(table.DeleteReal, s, r2))
		}
		mustFail(t, k, step(table.EditReal, s, real(web4, 1, func(r *table.Real) { r.Weight = table.MaxWeight + 1 })),
			table.ErrInvalid)
		mustDo(t, k, step(table.DeleteService, s))
	}
}
