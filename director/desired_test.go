package director_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/table"
)

var (
	webKey = table.ByAddr(table.TCP, netip.MustParseAddrPort("192.168.0.105:80"))
	web1   = netip.MustParseAddrPort("192.168.0.101:80")
	web2   = netip.MustParseAddrPort("192.168.0.102:80")
	sorry  = netip.MustParseAddrPort("127.0.0.1:80")
)

func pair(real netip.AddrPort) table.Pair { return table.Pair{Service: webKey, Real: real} }

// webConfig is one virtual service with two real servers of weight 3 and 5 and
// a fallback.
func webConfig(quiescent bool) *config.Config {
	return &config.Config{Virtuals: []config.Virtual{{
		Name:      "web",
		Service:   table.Service{ServiceKey: webKey, Scheduler: "rr", PrefixLen: 32},
		Quiescent: quiescent,
		Fallback:  &table.Real{Addr: sorry, Forward: table.DR, Weight: 1},
		Reals: []config.Real{
			{Real: table.Real{Addr: web1, Forward: table.DR, Weight: 3}, Rise: 1, Fall: 1},
			{Real: table.Real{Addr: web2, Forward: table.DR, Weight: 5}, Rise: 1, Fall: 1},
		},
	}}}
}

// weights are the weights of an entry; an absent real server isn't in it.
func weights(e table.Entry) map[string]uint32 {
	out := map[string]uint32{}
	for a, r := range e.Reals {
		out[a.String()] = r.Weight
	}
	return out
}

func TestDesired(t *testing.T) {
	held := func(addr netip.AddrPort, weight uint32) map[table.Pair]table.Real {
		return map[table.Pair]table.Real{pair(addr): {Addr: addr, Forward: table.DR, Weight: weight}}
	}
	for _, tt := range []struct {
		name      string
		quiescent bool
		verdicts  director.Verdicts
		adopted   map[table.Pair]table.Real
		want      map[string]uint32
	}{
		{
			name: "both up", quiescent: true,
			verdicts: director.Verdicts{pair(web1): checker.Up, pair(web2): checker.Up},
			want:     map[string]uint32{"192.168.0.101:80": 3, "192.168.0.102:80": 5},
		},
		{
			name: "one down stays at weight 0", quiescent: true,
			verdicts: director.Verdicts{pair(web1): checker.Up, pair(web2): checker.Down},
			want:     map[string]uint32{"192.168.0.101:80": 3, "192.168.0.102:80": 0},
		},
		{
			name:     "one down is removed where not quiescent",
			verdicts: director.Verdicts{pair(web1): checker.Up, pair(web2): checker.Down},
			want:     map[string]uint32{"192.168.0.101:80": 3},
		},
		{
			name: "none up", quiescent: true,
			verdicts: director.Verdicts{pair(web1): checker.Down, pair(web2): checker.Down},
			want:     map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 0, "127.0.0.1:80": 1},
		},
		{
			name: "never checked gets no traffic", quiescent: true,
			want: map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 0, "127.0.0.1:80": 1},
		},
		{
			name: "never checked isn't there where not quiescent",
			want: map[string]uint32{"127.0.0.1:80": 1},
		},
		{
			name: "the kernel gave it traffic", quiescent: true, adopted: held(web1, 7),
			want: map[string]uint32{"192.168.0.101:80": 7, "192.168.0.102:80": 0},
		},
		{
			name: "drained by hand stays drained", adopted: held(web1, 0),
			verdicts: director.Verdicts{pair(web2): checker.Up},
			want:     map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 5},
		},
		{
			name: "the verdict ends the adoption", quiescent: true, adopted: held(web1, 0),
			verdicts: director.Verdicts{pair(web1): checker.Up, pair(web2): checker.Up},
			want:     map[string]uint32{"192.168.0.101:80": 3, "192.168.0.102:80": 5},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := director.Desired(webConfig(tt.quiescent), tt.verdicts, tt.adopted, nil)
			if diff := cmp.Diff(tt.want, weights(got.State[webKey])); diff != "" {
				t.Errorf("weights (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRetainConnections(t *testing.T) {
	gone := netip.MustParseAddrPort("192.168.0.109:80")
	idle := netip.MustParseAddrPort("192.168.0.110:80")
	foreign := table.ByMark(table.IPv4, 7)
	ours := table.ByMark(table.IPv4, 8)
	reals := func() map[netip.AddrPort]table.Real {
		return map[netip.AddrPort]table.Real{
			gone: {Addr: gone, Forward: table.DR, Weight: 4},
			idle: {Addr: idle, Forward: table.DR, Weight: 4},
		}
	}
	have := table.Have{
		State: table.State{
			webKey:  {Service: table.Service{ServiceKey: webKey, Scheduler: "rr"}, Reals: reals()},
			foreign: {Service: table.Service{ServiceKey: foreign}, Reals: reals()},
			ours:    {Service: table.Service{ServiceKey: ours}, Reals: reals()},
		},
		Reals: map[table.Pair]table.Counters{},
	}
	for key := range have.State {
		have.Reals[table.Pair{Service: key, Real: gone}] = table.Counters{Active: 2}
	}
	want := director.Wanted{State: table.State{webKey: {Service: have.State[webKey].Service}}}

	for _, tt := range []struct {
		name string
		left bool
		want map[string]map[string]uint32
	}{
		{"within the grace", true, map[string]map[string]uint32{
			webKey.String(): {gone.String(): 0},
			ours.String():   {gone.String(): 0},
		}},
		{"after it", false, map[string]map[string]uint32{webKey.String(): {}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, leaving := director.Retain(want, have, func(k table.ServiceKey) bool { return k == ours },
				func(table.Pair) bool { return tt.left })
			all := map[string]map[string]uint32{}
			for key, e := range got {
				all[key.String()] = weights(e)
			}
			if diff := cmp.Diff(tt.want, all); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
			if tt.left != leaving[pair(gone)] {
				t.Errorf("leaving: %v", leaving)
			}
			if len(want.State[webKey].Reals) != 0 {
				t.Error("the wanted state itself was changed")
			}
		})
	}
}

// TestRetainServing replaces all real servers of a virtual service: the old ones
// serve until the new ones have had a verdict.
func TestRetainServing(t *testing.T) {
	old := netip.MustParseAddrPort("192.168.0.109:80")
	dead := netip.MustParseAddrPort("192.168.0.110:80")
	have := table.Have{State: table.State{webKey: {
		Service: table.Service{ServiceKey: webKey, Scheduler: "rr", PrefixLen: 32},
		Reals: map[netip.AddrPort]table.Real{
			old:  {Addr: old, Forward: table.DR, Weight: 4},
			dead: {Addr: dead, Forward: table.DR, Weight: 0},
		},
	}}}
	for _, tt := range []struct {
		name     string
		verdicts director.Verdicts
		want     map[string]uint32
	}{
		{"no verdict", nil, map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 0, "192.168.0.109:80": 4}},
		{
			"one is down",
			director.Verdicts{pair(web1): checker.Down},
			map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 0, "192.168.0.109:80": 4},
		},
		{
			"one is up",
			director.Verdicts{pair(web1): checker.Up},
			map[string]uint32{"192.168.0.101:80": 3, "192.168.0.102:80": 0},
		},
		{
			"all are down",
			director.Verdicts{pair(web1): checker.Down, pair(web2): checker.Down},
			map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 0, "127.0.0.1:80": 1},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := director.Retain(director.Desired(webConfig(true), tt.verdicts, nil, nil), have,
				func(table.ServiceKey) bool { return true }, func(table.Pair) bool { return true })
			if diff := cmp.Diff(tt.want, weights(got[webKey])); diff != "" {
				t.Errorf("weights (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPreview(t *testing.T) {
	gone := netip.MustParseAddrPort("192.168.0.109:80")
	old := table.ByAddr(table.TCP, netip.MustParseAddrPort("192.168.0.106:80"))
	have := table.Have{
		State: table.State{
			webKey: {
				Service: table.Service{ServiceKey: webKey, Scheduler: "rr", PrefixLen: 32},
				Reals: map[netip.AddrPort]table.Real{
					web1: {Addr: web1, Forward: table.DR, Weight: 3},
					web2: {Addr: web2, Forward: table.DR, Weight: 0},
					gone: {Addr: gone, Forward: table.DR, Weight: 1},
				},
			},
			old: {
				Service: table.Service{ServiceKey: old, Scheduler: "rr", PrefixLen: 32},
				Reals:   map[netip.AddrPort]table.Real{web1: {Addr: web1, Forward: table.DR, Weight: 3}},
			},
		},
		Reals: map[table.Pair]table.Counters{
			pair(gone):                 {Active: 4},
			{Service: old, Real: web1}: {Active: 9},
		},
	}
	text := func(grace bool, verdicts director.Verdicts) []string {
		cfg := webConfig(true)
		if grace {
			cfg.Director.RemovalGrace = 1
		}
		var out []string
		for _, p := range director.Preview(cfg, have, verdicts, nil, map[table.ServiceKey]bool{old: true}) {
			line := p.String()
			if p.Cuts > 0 {
				line += " cuts"
			}
			if p.Finishing > 0 {
				line += " finishing"
			}
			out = append(out, line)
		}
		return out
	}
	want := []string{
		"-e -t 192.168.0.105:80 -r 192.168.0.109:80 -g -w 0 finishing",
		"-e -t 192.168.0.106:80 -r 192.168.0.101:80 -g -w 0 finishing",
	}
	if diff := cmp.Diff(want, text(true, nil)); diff != "" {
		t.Errorf("no director, grace (-want +got):\n%s", diff)
	}
	want = []string{
		"-e -t 192.168.0.105:80 -r 192.168.0.102:80 -g -w 5",
		"-e -t 192.168.0.105:80 -r 192.168.0.109:80 -g -w 0",
		"-d -t 192.168.0.105:80 -r 192.168.0.109:80 cuts",
		"-D -t 192.168.0.106:80 cuts",
	}
	if diff := cmp.Diff(want, text(false, director.Verdicts{pair(web2): checker.Up})); diff != "" {
		t.Errorf("with verdicts, no grace (-want +got):\n%s", diff)
	}
}
