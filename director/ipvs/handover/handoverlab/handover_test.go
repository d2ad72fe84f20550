// Package handoverlab tests package handover in the lab: the kernel's own sync
// daemon takes in what we send, and resets are held back on the wire. It is a
// folder of its own because all tests of a binary run in the lab.
package handoverlab

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director/ipvs/handover"
	"github.com/ipvsd/ipvsd/director/ipvs/syncd"
	"github.com/ipvsd/ipvsd/director/table"
	"github.com/ipvsd/ipvsd/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

const (
	vip4, vip6 = "192.0.2.100", "2001:db8::100"
	echo4      = vip4 + ":7"
	echo6      = "[" + vip6 + "]:7"
)

// pair is two directors of which the second has nothing but a backup daemon,
// a real server behind them by dr, and a client. The first has the addresses.
type pair struct {
	client *lab.Host
	dirs   [2]*lab.Host
}

func newPair(t *testing.T) pair {
	n := lab.New(t)
	p := pair{client: n.Host("client", "192.0.2.1/24", "2001:db8::1/64")}
	r := n.Host("real", "192.0.2.21/24", "2001:db8::21/64")
	r.SetSysctl("net.ipv4.conf.all.arp_ignore", "1")
	r.SetSysctl("net.ipv4.conf.all.arp_announce", "2")
	r.AddAddr("lo", vip4+"/32")
	r.AddAddr("lo", vip6+"/128")
	r.Echo("tcp", echo4, r.Name)
	r.Echo("tcp", echo6, r.Name)
	for i := range p.dirs {
		d := n.Host(fmt.Sprintf("director%d", i+1), fmt.Sprintf("192.0.2.%d/24", 11+i), fmt.Sprintf("2001:db8::%d/64", 11+i))
		d.Run("ipvsadm", "-A", "-t", echo4, "-s", "rr")
		d.Run("ipvsadm", "-a", "-t", echo4, "-r", "192.0.2.21:7", "-g")
		d.Run("ipvsadm", "-A", "-t", echo6, "-s", "rr")
		d.Run("ipvsadm", "-a", "-t", echo6, "-r", "[2001:db8::21]:7", "-g")
		p.dirs[i] = d
	}
	p.dirs[1].Run("ipvsadm", "--start-daemon", "backup", "--mcast-interface", "eth0", "--syncid", "5")
	p.dirs[0].AddAddr("eth0", vip4+"/32")
	p.dirs[0].AddAddr("eth0", vip6+"/128")
	return p
}

// services are those of the pair, as a file would say.
func services() []handover.Service {
	var out []handover.Service
	for echo, real := range map[string]string{echo4: "192.0.2.21:7", echo6: "[2001:db8::21]:7"} {
		out = append(out, handover.Service{
			Key:   table.ByAddr(table.TCP, netip.MustParseAddrPort(echo)),
			Reals: []table.Real{{Addr: netip.MustParseAddrPort(real), Forward: table.DR}},
		})
	}
	return out
}

// carry has the first director tell of the connections to both addresses.
func (p pair) carry(t *testing.T) {
	t.Helper()
	pick := handover.NewPick(services(), []netip.Addr{netip.MustParseAddr(vip4), netip.MustParseAddr(vip6)})
	d := syncd.Want{Interface: "eth0", SyncID: 5}.Daemon(syncd.Master)
	var n int
	err := p.dirs[0].Do(func() (err error) {
		n, err = (&handover.Linux{}).Carry(context.Background(), d, pick)
		return err
	})
	if err != nil || n != 2 {
		t.Errorf("carried %d connections, %v", n, err)
	}
}

// move gives the addresses to the second director.
func (p pair) move() {
	for _, a := range []string{vip4 + "/32", vip6 + "/128"} {
		p.dirs[0].DelAddr("eth0", a)
		p.dirs[1].AddAddr("eth0", a)
	}
	p.dirs[1].Announce(netip.MustParseAddr(vip4))
	p.dirs[1].Announce(netip.MustParseAddr(vip6))
}

func (p pair) hold() []*lab.Hold {
	return []*lab.Hold{p.client.Hold("tcp", echo4), p.client.Hold("tcp", echo6)}
}

// TestYoung: a connection that was opened a moment ago outlives a move once it
// was carried, whatever the scheduler.
func TestYoung(t *testing.T) {
	p := newPair(t)
	held := p.hold()
	p.carry(t)
	lab.Eventually(t, 2*time.Second, "the second director knows both connections", func() bool {
		return strings.Count(p.dirs[1].Run("ipvsadm", "-Lnc"), "ESTABLISHED") == 2
	})
	for _, h := range p.dirs {
		t.Logf("%s:\n%s%s", h.Name, h.Run("ipvsadm", "-Lnc"), h.Run("ipvsadm", "-Ln"))
	}
	p.move()
	time.Sleep(2 * time.Second)
	for _, h := range held {
		if r := h.Stop(); r.Broken != nil || r.Silence > time.Second {
			t.Errorf("%v", r)
		}
	}
}

// TestSilence: the client of a connection that isn't known yet is not reset,
// and goes on as soon as it is known. Without silence it is reset at once.
func TestSilence(t *testing.T) {
	for _, silent := range []bool{true, false} {
		t.Run(fmt.Sprintf("silent=%v", silent), func(t *testing.T) {
			p := newPair(t)
			sys := &handover.Linux{}
			silence := func(addrs ...netip.Addr) {
				t.Helper()
				if err := p.dirs[1].Do(func() error { return sys.Silence(addrs) }); err != nil {
					t.Error(err)
				}
			}
			if silent {
				silence(netip.MustParseAddr(vip4), netip.MustParseAddr(vip6))
				silence(netip.MustParseAddr(vip6), netip.MustParseAddr(vip4)) // may be repeated
			}
			held := p.hold()
			p.move()
			time.Sleep(300 * time.Millisecond)
			for _, h := range held {
				if r := h.Report(); (r.Broken == nil) != silent {
					t.Errorf("after the move: %v", r)
				}
			}
			if !silent {
				return
			}
			t.Log(p.dirs[1].Run("tc", "-s", "filter", "show", "dev", "eth0", "egress"))
			p.carry(t)
			time.Sleep(2 * time.Second)
			for _, h := range held {
				if r := h.Stop(); r.Broken != nil || r.Answered < 5 {
					t.Errorf("after it was known: %v", r)
				}
			}
			// What isn't ours stays.
			p.dirs[1].Run("tc", "filter", "add", "dev", "eth0", "ingress", "matchall", "action", "ok")
			silence()
			if out := p.dirs[1].Run("tc", "filter", "show", "dev", "eth0", "egress"); strings.Contains(out, "u32") {
				t.Errorf("filters stayed:\n%s", out)
			}
			if out := p.dirs[1].Run("tc", "qdisc", "show", "dev", "eth0"); !strings.Contains(out, "clsact") {
				t.Errorf("a qdisc that another program uses by now was removed:\n%s", out)
			}
			p.dirs[1].Run("tc", "filter", "del", "dev", "eth0", "ingress")
			silence(netip.MustParseAddr(vip4))
			silence()
			if out := p.dirs[1].Run("tc", "qdisc", "show", "dev", "eth0"); strings.Contains(out, "clsact") {
				t.Errorf("the qdisc stayed:\n%s", out)
			}
		})
	}
}
