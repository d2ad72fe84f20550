package scenario

import (
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

// TestKinds balances what isn't the tutorial's web service: udp, sctp, firewall
// marks and persistence, each with spread, death and return.
func TestKinds(t *testing.T) {
	for _, k := range []kind{
		{
			name: "udp", url: "udp://192.168.0.105:53", network: "udp", port: ":53",
			file: `
[[virtual]]
name = "svc"
address = "192.168.0.105:53"
protocol = "udp"
scheduler = "rr"
one_packet = true
[virtual.check]
type = "ping"
` + kindCheck,
			table: "-A -u 192.168.0.105:53 -s rr -o", real: "192.168.0.101:53", reason: "no echo reply within 400ms",
			kill: func(f *farm, _ *lab.Echo) { f.nodes[0].Cut() }, heal: func(f *farm, _ *lab.Echo) { f.nodes[0].Heal() },
		},
		{
			name: "sctp", url: "sctp://192.168.0.105:3868", network: "sctp", port: ":3868",
			file: `
[[virtual]]
name = "svc"
address = "192.168.0.105:3868"
protocol = "sctp"
scheduler = "rr"
[virtual.check]
type = "connect"
` + kindCheck,
			table: "-A --sctp-service 192.168.0.105:3868 -s rr", real: "192.168.0.101:3868", reason: "connection refused",
			kill: closeEcho, heal: reopenEcho,
		},
		{
			name: "ipv6-udp", url: "udp://[fd00::105]:53", network: "udp", port: ":53",
			file: `
[[virtual]]
name = "svc"
address = "[fd00::105]:53"
protocol = "udp"
scheduler = "rr"
one_packet = true
[virtual.check]
type = "ping"
` + kindCheck6,
			table: "-A -u [fd00::105]:53 -s rr -o", real: "[fd00::101]:53", reason: "no echo reply within 400ms",
			kill: func(f *farm, _ *lab.Echo) { f.nodes[0].Cut() }, heal: func(f *farm, _ *lab.Echo) { f.nodes[0].Heal() },
		},
		{
			name: "fwmark", url: "tcp://192.168.0.105:7", network: "tcp", port: ":7",
			file: `
[[virtual]]
name = "svc"
fwmark = 5
family = "ipv4"
scheduler = "rr"
[virtual.check]
type = "connect"
port = 7
` + kindCheck + "\n[[vip]]\naddress = \"192.168.0.105/32\"\ninterface = \"eth0\"\n",
			table: "-A -f 5 -s rr", real: "192.168.0.101:0", reason: "connection refused",
			prepare: func(f *farm) {
				f.director.Run("iptables", "-t", "mangle", "-A", "PREROUTING", "-d", vip4, "-j", "MARK", "--set-mark", "5")
			},
			kill: closeEcho, heal: reopenEcho,
		},
	} {
		t.Run(k.name, k.run)
	}
}

const (
	kindCheck = `
interval = "500ms"
timeout = "400ms"
[[virtual.real]]
address = "192.168.0.101"
[[virtual.real]]
address = "192.168.0.102"
`
	kindCheck6 = `
interval = "500ms"
timeout = "400ms"
[[virtual.real]]
address = "fd00::101"
[[virtual.real]]
address = "fd00::102"
`
)

func closeEcho(_ *farm, e *lab.Echo)  { e.Close() }
func reopenEcho(_ *farm, e *lab.Echo) { e.Reopen() }

// kind is one kind of virtual service and how to hurt its first real server.
type kind struct {
	name, file, table, url, network, port, real, reason string

	prepare    func(*farm)
	kill, heal func(*farm, *lab.Echo)
}

func (k kind) run(t *testing.T) {
	f := newFarm(t, 2)
	f.setup("dr", vip4, vip6)
	var first *lab.Echo
	for i, h := range f.nodes {
		// A datagram's answer has to come from the VIP, so the server binds to it.
		addr := k.port
		switch {
		case k.network == "udp" && k.name == "ipv6-udp":
			addr = "[" + vip6 + "]" + k.port
		case k.network == "udp":
			addr = vip4 + k.port
		}
		e := h.Echo(k.network, addr, h.Name)
		if i == 0 {
			first = e
		}
	}
	if k.prepare != nil {
		k.prepare(f)
	}
	f.start(k.file)
	f.awaitTable(3*time.Second, k.table)
	lab.Eventually(t, 5*time.Second, "the service answers", func() bool {
		_, err := f.client.Get(k.url, time.Second)
		return err == nil
	})
	load := f.client.Load(k.url)
	both := func(r lab.Report) bool { return r.Servers["web1"].Count >= 10 && r.Servers["web2"].Count >= 10 }
	if !load.WaitFor(both, 5*time.Second) {
		t.Fatalf("no spread: %v", load.Report())
	}
	noneFailed(t, load.Stop())

	k.kill(f, first)
	f.awaitState("svc", k.real, director.StateDown, 4*time.Second)
	f.eventually(4*time.Second, "weight 0: "+k.reason, func(s director.Status) bool {
		r := real(s, "svc", k.real)
		return r.Weight == 0 && strings.HasPrefix(r.Reason, k.reason)
	})
	load = f.client.Load(k.url)
	time.Sleep(time.Second)
	r := load.Stop()
	noneFailed(t, r)
	if n := r.Servers["web1"].Count; n != 0 {
		t.Errorf("the dead server answered %d requests", n)
	}
	k.heal(f, first)
	f.awaitState("svc", k.real, director.StateUp, 5*time.Second)
	load = f.client.Load(k.url)
	if !load.WaitFor(both, 5*time.Second) {
		t.Errorf("no spread after the return: %v", load.Report())
	}
	load.Stop()
}

// TestPersistence keeps a client with its real server, and moves it when that
// server dies.
func TestPersistence(t *testing.T) {
	f, webs := drFarm(t, 2)
	f.start(quick("scheduler = \"rr\"\npersistence = \"1m\"\npersistence_netmask = 24", rs1, rs2))
	f.awaitTable(3*time.Second, "-A -t 192.168.0.105:80 -s rr -p 60 -M 255.255.255.0")
	if got := f.director.Sysctl("net.ipv4.vs.expire_quiescent_template"); got != "1" {
		t.Errorf("expire_quiescent_template is %s", got)
	}
	load := f.client.Load("http://192.168.0.105/")
	time.Sleep(time.Second)
	r := load.Report()
	if len(r.Servers) != 1 || len(r.Failed) > 0 {
		t.Fatalf("want one server for one client: %v", r)
	}
	stuck, other := webs[0], webs[1]
	if r.Servers["web2"].Count > 0 {
		stuck, other = other, stuck
	}
	// A second client of the same /24 goes to the same server.
	if got, err := f.net.Host("neighbour", "192.168.0.77/24").Get("http://192.168.0.105/", time.Second); err != nil || got != stuck.Name {
		t.Errorf("the neighbour is served by %q (%v), want %s", got, err, stuck.Name)
	}
	stuck.Page(testPage, 500, "no")
	if !load.WaitFor(func(r lab.Report) bool { return r.Servers[other.Name].Count > 10 }, 5*time.Second) {
		t.Errorf("the client was not moved: %v", load.Report())
	}
	noneFailed(t, load.Stop())
}
