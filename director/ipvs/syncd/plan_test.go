package syncd

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director/table"
)

var (
	want = Want{Interface: "eth0", SyncID: 1, ManageSysctl: true}
	link = Link{Name: "eth0", Index: 2, Up: true, Usable: true, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
)

// fine is what the kernel holds when all is as wanted.
func fine() Have {
	m, b := want.Daemon(Master), want.Daemon(Backup)
	m.MaxLen, b.MaxLen = 1472, 8972
	return Have{Link: link, Running: []Running{{Daemon: m, Source: link.Addrs[0]}, {Daemon: b, Index: 2}}}
}

func TestPlan(t *testing.T) {
	const (
		startM, stopM = "--start-daemon master --mcast-interface eth0 --syncid 1", "--stop-daemon master"
		startB, stopB = "--start-daemon backup --mcast-interface eth0 --syncid 1", "--stop-daemon backup"
		clearSysctl   = "sysctl -w net.ipv4.vs.backup_only=0"
	)
	all := []string{stopB, startB, stopM, startM}
	for _, tc := range []struct {
		name     string
		change   func(*Have, *Want)
		steps    []string
		reason   string // of the first step
		problems []string
	}{
		{"in order", func(*Have, *Want) {}, nil, "", nil},
		{"none runs", func(h *Have, _ *Want) { h.Running = nil }, []string{startB, startM}, "not running", nil},
		{"the master is missing", func(h *Have, _ *Want) { h.Running = h.Running[1:] }, []string{startM}, "not running", nil},
		{"nothing wanted", func(_ *Have, w *Want) { *w = Want{} }, nil, "", nil},
		{"nonsense wanted", func(_ *Have, w *Want) { w.SyncID = 0 }, nil, "", []string{
			"sync id 0: the kernel would take in the connections of every cluster it hears; use 1 to 255",
		}},
		{"another sync id", func(h *Have, _ *Want) { h.Running[1].SyncID = 7 }, []string{stopB, startB}, "has sync id 7, not 1", nil},
		{"another interface", func(h *Have, _ *Want) { h.Running[0].Interface = "eth1" }, []string{stopM, startM}, "on interface eth1, not eth0", nil},
		{"another group", func(h *Have, _ *Want) { h.Running[0].Group = netip.MustParseAddr("239.0.0.1") }, []string{stopM, startM}, "in group 239.0.0.1, not 224.0.0.81", nil},
		{"another port", func(h *Have, _ *Want) { h.Running[0].Port = 1 }, []string{stopM, startM}, "on port 1, not 8848", nil},
		{"another TTL", func(h *Have, _ *Want) { h.Running[0].TTL = 9 }, []string{stopM, startM}, "has TTL 9, not 1", nil},
		{"a longer message", func(h *Have, _ *Want) { h.Running[0].MaxLen = 4000 }, []string{stopM, startM}, "has messages of 4000 bytes, not 1472", nil},
		{"a shorter buffer", func(h *Have, _ *Want) { h.Running[1].MaxLen = 1024 }, []string{stopB, startB}, "has messages of 1024 bytes, not 1472", nil},
		{"all that, wanted", func(h *Have, w *Want) {
			w.SyncID, w.MaxLen, w.Group, w.Port, w.TTL = 3, 1400, netip.MustParseAddr("239.0.0.1"), 99, 2
			h.Running = h.Running[:1]
		}, []string{
			"--start-daemon backup --mcast-interface eth0 --syncid 3 --sync-maxlen 1400 --mcast-group 239.0.0.1 --mcast-port 99 --mcast-ttl 2",
			stopM,
			"--start-daemon master --mcast-interface eth0 --syncid 3 --sync-maxlen 1400 --mcast-group 239.0.0.1 --mcast-port 99 --mcast-ttl 2",
		}, "not running", nil},
		{"made anew, by the number", func(h *Have, _ *Want) { h.Link.Index = 9 }, all, "interface eth0 was made anew", nil},
		{"made anew, seen by the keeper", func(h *Have, _ *Want) { h.Remade = true }, all, "interface eth0 was made anew", nil},
		{"number unknown", func(h *Have, _ *Want) { h.Running[1].Index = 0 }, nil, "", nil},
		{"the source went", func(h *Have, _ *Want) { h.Link.Addrs = []netip.Addr{netip.MustParseAddr("192.0.2.2")} }, []string{stopM, startM}, "sends from 192.0.2.1, which interface eth0 doesn't have", nil},
		{"no address", func(h *Have, _ *Want) { h.Link.Addrs, h.Link.Usable, h.Running = nil, false, nil }, nil, "", []string{
			"interface eth0 has no IPv4 address: the kernel can't send connections from it, and wouldn't say so",
		}},
		{"no IPv6 address", func(h *Have, w *Want) {
			h.Link.Usable, h.Running, w.Group = false, nil, netip.MustParseAddr("ff02::81")
		}, nil, "", []string{
			"interface eth0 has no IPv6 address: the kernel can't send connections from it, and wouldn't say so",
		}},
		{"no interface", func(h *Have, _ *Want) { h.Link = Link{} }, nil, "", []string{"there is no interface eth0"}},
		{"down", func(h *Have, _ *Want) { h.Link.Up = false }, nil, "", []string{"interface eth0 is down"}},
		{"backup_only", func(h *Have, _ *Want) { h.BackupOnly, h.Running = true, nil }, []string{clearSysctl, startB, startM}, "with a backup daemon this director would refuse its own traffic", nil},
		{"backup_only, untouchable", func(h *Have, w *Want) { h.BackupOnly, w.ManageSysctl = true, false }, []string{stopB}, "backup_only is 1: it makes this director refuse its own traffic", []string{
			"net.ipv4.vs.backup_only is 1: with a backup daemon this director would refuse its own traffic, so none is run and no connection is taken in; set it to 0",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			have, w := fine(), want
			tc.change(&have, &w)
			var got []string
			steps := Plan(have, w)
			for _, s := range steps {
				got = append(got, s.String())
			}
			if diff := cmp.Diff(tc.steps, got); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if len(steps) > 0 && steps[0].Reason != tc.reason {
				t.Errorf("reason %q, want %q", steps[0].Reason, tc.reason)
			}
			if diff := cmp.Diff(tc.problems, Problems(have, w)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTeardown(t *testing.T) {
	have := fine()
	if s := Teardown(have, want); len(s) != 2 || s[0].Daemon.Role != Backup || s[1].Daemon.Role != Master {
		t.Errorf("got %v", s)
	}
	have.Running[1].SyncID = 9 // somebody else's
	if s := Teardown(have, want); len(s) != 1 || s[0].Daemon.Role != Master {
		t.Errorf("got %v", s)
	}
	if s := Teardown(have, Want{}); len(s) > 0 {
		t.Errorf("got %v", s)
	}
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		change func(*Want)
		want   string
	}{
		{func(*Want) {}, ""},
		{func(w *Want) { w.MaxLen, w.Group = 1024, netip.MustParseAddr("ff02::81") }, ""},
		{func(w *Want) { w.Interface = "" }, "no interface"},
		{func(w *Want) { w.Interface = "sixteen-letters!" }, `interface "sixteen-letters!": not a name of at most 15 characters`},
		{func(w *Want) { w.MaxLen = 60 }, "maximum length 60: not within 1024 to 65487"},
		{func(w *Want) { w.Group = netip.MustParseAddr("192.0.2.1") }, "group 192.0.2.1: not a multicast address"},
		{func(w *Want) { w.Interface, w.Group = "a/b", netip.MustParseAddr("ff02::1%eth0") }, "interface \"a/b\": not a name of at most 15 characters\ngroup ff02::1%eth0: not a multicast address"},
	} {
		w := want
		tc.change(&w)
		got := ""
		if err := w.Validate(); err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%+v: got %q, want %q", w, got, tc.want)
		}
	}
}

func TestWarm(t *testing.T) {
	type counts = map[string]Count
	n := func(est, young uint64) Count { return Count{est, young} }
	for _, tc := range []struct {
		name        string
		own, active counts
		want        float64
	}{
		{"nothing to lose", nil, nil, 1},
		{"just rebooted", nil, counts{"a": n(100, 0)}, 0},
		{"half", counts{"a": n(50, 0)}, counts{"a": n(100, 0)}, 0.5},
		{"too many at one", counts{"a": n(500, 0)}, counts{"a": n(100, 0), "b": n(100, 0)}, 0.5},
		{"all but the young", counts{"a": n(70, 0)}, counts{"a": n(100, 30)}, 1},
		{"only young ones", nil, counts{"a": n(10, 500)}, 1},
		{"gone from the active", counts{"a": n(7, 0)}, counts{"b": n(3, 0)}, 0},
	} {
		if got := Warm(tc.own, tc.active); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestSysctls(t *testing.T) {
	for _, tc := range []struct {
		name     string
		services []table.Service
		want     string
	}{
		{"none", nil, ""},
		{"counters", []table.Service{{ServiceKey: table.ServiceKey{Protocol: table.TCP}, Scheduler: "wlc"}}, ""},
		{"one hash", []table.Service{
			{ServiceKey: table.ServiceKey{Protocol: table.TCP}, Scheduler: "rr"},
			{ServiceKey: table.ServiceKey{Protocol: table.TCP}, Scheduler: "mh"},
		}, " sloppy_tcp=1"},
		{"udp", []table.Service{{ServiceKey: table.ServiceKey{Protocol: table.UDP}, Scheduler: "mh"}}, ""},
		{"persistent sctp", []table.Service{{ServiceKey: table.ServiceKey{Protocol: table.SCTP}, Scheduler: "rr", Timeout: 300}}, " sloppy_sctp=1"},
		{"mark", []table.Service{{ServiceKey: table.ByMark(table.IPv4, 1), Scheduler: "sh"}}, " sloppy_tcp=1 sloppy_sctp=1"},
	} {
		got := ""
		for _, s := range Sysctls(tc.services) {
			if s.Reason == "" {
				t.Errorf("%s: %s has no reason", tc.name, s.Path)
			}
			got += " " + strings.TrimPrefix(s.Path, "net/ipv4/vs/") + "=" + s.Value
		}
		const base = " backup_only=0 sync_threshold=3 0 sync_refresh_period=10 sync_retries=3"
		if got != base+tc.want {
			t.Errorf("%s: got%s, want%s", tc.name, got, base+tc.want)
		}
	}
}

// FuzzDecode: an answer of any form is an error or a daemon.
func FuzzDecode(f *testing.F) {
	seed := func(d Daemon) []byte { return append([]byte{cmdNewDaemon, 1, 0, 0}, encode(d).Serialize()...) }
	f.Add(seed(want.Daemon(Master)))
	f.Add(seed(Daemon{Role: Backup, Interface: "eth0", SyncID: 9, MaxLen: 2000, Group: netip.MustParseAddr("ff02::1"), Port: 1, TTL: 2}))
	f.Fuzz(func(t *testing.T, b []byte) {
		decodeSocket(b)
		d, err := decode(b)
		if err != nil {
			return
		}
		if again, err := decode(seed(d)); err != nil || again != d {
			t.Errorf("%+v comes back as %+v, error %v", d, again, err)
		}
	})
}
