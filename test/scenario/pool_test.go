package scenario

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

// poolFarm is a farm with three web servers behind direct routing, and the
// director itself as the fallback.
func poolFarm(t *testing.T) (*farm, []*lab.Web) {
	t.Helper()
	f, webs := drFarm(t, 3)
	f.nodes[2].DelAddr("eth0", "192.168.0.103/24") // the director's own
	f.nodes[2].AddAddr("eth0", "192.168.0.104/24")
	f.director.Web(":80", "sorry")
	return f, webs
}

const rs3 = `address = "192.168.0.104"`

const sorryKey = "fallback = { address = \"127.0.0.1\" }\n"

// good and bad are what the check sees; clients are served all the same, so that
// each of their failures is the director's.
func good(webs ...*lab.Web) { pages(200, testBody, webs) }
func bad(webs ...*lab.Web)  { pages(503, "overloaded", webs) }

func pages(status int, body string, webs []*lab.Web) {
	for _, w := range webs {
		w.Page(testPage, status, body)
	}
}

// at is the line of a real server in the table.
func at(addr string, weight int) string {
	return fmt.Sprintf("-a -t 192.168.0.105:80 -r %s:80 -g -w %d", addr, weight)
}

const (
	web1, web2, web3 = "192.168.0.101", "192.168.0.102", "192.168.0.104"
	sorryLine        = "-a -t 192.168.0.105:80 -r 127.0.0.1:80 -g -w 1"
)

// patient is a client that waits for a starved lab kernel: a request that the
// director fails is refused, or never answered.
func patient(f *farm) *lab.Load {
	return f.client.Load("http://192.168.0.105/", lab.Every(30*time.Millisecond), lab.Deadline(4*time.Second))
}

// share says how many of the answers since a moment came from a server.
func share(l *lab.Load, since time.Time, server string) float64 {
	r := l.Between(since, time.Now())
	return float64(r.Servers[server].Count) / float64(max(r.OK, 1))
}

// only waits until for half a second all answers came from these servers.
func only(t *testing.T, l *lab.Load, servers ...string) {
	t.Helper()
	lab.Eventually(t, 8*time.Second, "only "+strings.Join(servers, " and ")+" answer", func() bool {
		time.Sleep(500 * time.Millisecond)
		r := l.Between(time.Now().Add(-500*time.Millisecond), time.Now())
		n := 0
		for _, s := range servers {
			if r.Servers[s].Count == 0 {
				return false
			}
			n += r.Servers[s].Count
		}
		return n == r.OK
	})
}

// TestPoolTiers takes the first tier away one by one: the backup comes in when
// nobody else is left, and leaves when one is back.
func TestPoolTiers(t *testing.T) {
	f, webs := poolFarm(t)
	f.start(quick("scheduler = \"wrr\"\n"+sorryKey, rs1, rs2, rs3+"\ntier = 2"))
	load := patient(f)
	only(t, load, "web1", "web2")
	bad(webs[0])
	only(t, load, "web2")
	bad(webs[1])
	only(t, load, "web3")
	good(webs[0])
	only(t, load, "web1")
	f.awaitTable(5*time.Second, at(web3, 0))
	if why := real(f.status(), "web", web3+":80").WeightReason; why != "backup: 1 of the tiers before are up" {
		t.Errorf("why: %q", why)
	}
	noneFailed(t, load.Stop())
}

// TestPoolMinUp leaves fewer up than min_up asks for: the fallback takes over
// from them, and gives the traffic back.
func TestPoolMinUp(t *testing.T) {
	f, webs := poolFarm(t)
	f.start(quick("scheduler = \"wrr\"\nmin_up = 2\n"+sorryKey, rs1, rs2, rs3))
	load := patient(f)
	only(t, load, "web1", "web2", "web3")
	bad(webs[0])
	only(t, load, "web2", "web3")
	bad(webs[1])
	only(t, load, "sorry")
	f.awaitTable(5*time.Second, sorryLine, at(web3, 0))
	good(webs[0])
	only(t, load, "web1", "web3")
	f.awaitTable(5*time.Second, "!"+sorryLine)
	noneFailed(t, load.Stop())
}

// TestPoolFailOpen overloads all web servers, as far as their checks can tell:
// nobody is taken out, until one refuses connections and until hold is over.
func TestPoolFailOpen(t *testing.T) {
	f, webs := poolFarm(t)
	f.start(quick("scheduler = \"wrr\"\nfail_open = { percent = 50, within = \"5s\", hold = \"12s\" }\n"+sorryKey, rs1, rs2, rs3))
	load := patient(f)
	only(t, load, "web1", "web2", "web3")
	bad(webs...)
	f.eventually(5*time.Second, "fail-open", func(s director.Status) bool { return strings.Contains(s.Virtuals[0].FailOpen, "3 of 3") })
	only(t, load, "web1", "web2", "web3")
	f.awaitTable(time.Second, at(web1, 1), at(web2, 1), at(web3, 1), "!"+sorryLine)
	if m := f.director.Run("curl", "-s", "http://127.0.0.1:9117/metrics"); !strings.Contains(m, "ipvsd_virtual_fail_open{virtual=\"web\"} 1") {
		t.Error("no metric says so")
	}
	good(webs[:2]...)
	f.eventually(8*time.Second, "fail-open is over", func(s director.Status) bool { return s.Virtuals[0].FailOpen == "" })
	f.awaitTable(3*time.Second, at(web1, 1), at(web2, 1), at(web3, 0))
	noneFailed(t, load.Report())

	// Again, and for good: at last the fallback has the traffic.
	good(webs...)
	f.awaitTable(5*time.Second, at(web3, 1))
	bad(webs...)
	f.eventually(5*time.Second, "fail-open again", func(s director.Status) bool { return s.Virtuals[0].FailOpen != "" })
	before := load.Report()
	webs[2].Close()
	f.awaitTable(8*time.Second, at(web1, 1), at(web2, 1), at(web3, 0))
	webs[2].Reopen()
	f.awaitTable(20*time.Second, at(web1, 0), at(web2, 0), at(web3, 0), sorryLine)
	only(t, load, "sorry")
	r := load.Stop()
	if len(r.Failed) > 0 {
		t.Logf("while web3 refused connections and wasn't out yet: %d requests failed, %d before", len(r.Failed), len(before.Failed))
	}
	for _, x := range r.Failed {
		if !strings.Contains(x.Err.Error(), "refused") && !strings.Contains(x.Err.Error(), "reset") && !strings.Contains(x.Err.Error(), "EOF") {
			t.Errorf("failed: %+v", x)
		}
	}
}

// TestPoolSlowStart brings a web server back: its part of the traffic grows.
func TestPoolSlowStart(t *testing.T) {
	f, webs := drFarm(t, 2)
	f.start(quick("scheduler = \"wrr\"\nslow_start = \"10s\"\n", rs1, rs2))
	f.awaitTable(3*time.Second, at(web1, 100), at(web2, 100))
	load := patient(f)
	only(t, load, "web1", "web2")
	bad(webs[1])
	only(t, load, "web1")
	good(webs[1])
	f.awaitTable(5*time.Second, at(web1, 100), at(web2, 20))
	begun := time.Now()
	f.eventually(3*time.Second, "the status says so", func(s director.Status) bool {
		return strings.HasPrefix(real(s, "web", web2+":80").WeightReason, "slow start: ")
	})
	f.reload(quick("scheduler = \"wrr\"\nslow_start = \"10s\"\nfallback = { address = \"127.0.0.1\" }\n", rs1, rs2))
	f.awaitTable(8*time.Second, at(web1, 100), at(web2, 60))
	if s := share(load, begun, "web2"); s < 0.05 || s > 0.4 {
		t.Errorf("while it began web2 had %.0f %% of the traffic", 100*s)
	}
	f.awaitTable(8*time.Second, at(web1, 100), at(web2, 100))
	if took := time.Since(begun); took < 5*time.Second {
		t.Errorf("it took %s only, the reload has cut it short", took)
	}
	whole := time.Now()
	time.Sleep(3 * time.Second)
	if s := share(load, whole, "web2"); s < 0.4 || s > 0.6 {
		t.Errorf("in the end web2 had %.0f %% of the traffic", 100*s)
	}
	noneFailed(t, load.Stop())
}

// TestPoolPercent shares the traffic as the file says in percent.
func TestPoolPercent(t *testing.T) {
	f, _ := drFarm(t, 2)
	f.start(quick("scheduler = \"wrr\"\n", rs1+"\nweight = \"75%\"", rs2+"\nweight = \"25%\""))
	f.awaitTable(3*time.Second, at(web1, 75), at(web2, 25))
	load := patient(f)
	begun := time.Now()
	time.Sleep(6 * time.Second)
	if s := share(load, begun, "web1"); s < 0.68 || s > 0.82 {
		t.Errorf("web1 had %.0f %% of the traffic", 100*s)
	}
	noneFailed(t, load.Stop())
}

// TestPoolAgent lets an agent on a web server set its part of the traffic.
func TestPoolAgent(t *testing.T) {
	f, _ := drFarm(t, 2)
	var says atomic.Value
	says.Store("ready")
	agent(t, f.nodes[0], func() string { return says.Load().(string) })
	agent(t, f.nodes[1], func() string { return "up" })
	f.start(`
[[virtual]]
name = "web"
address = "192.168.0.105:80"
scheduler = "wrr"
[virtual.check]
type = "agent"
port = 9000
interval = "500ms"
timeout = "2s"
[[virtual.real]]
` + rs1 + "\n[[virtual.real]]\n" + rs2 + "\n")
	load := patient(f)
	f.awaitTable(3*time.Second, at(web1, 100), at(web2, 100))
	says.Store("up 25%")
	f.awaitTable(5*time.Second, at(web1, 25), at(web2, 100))
	begun := time.Now()
	time.Sleep(5 * time.Second)
	if s := share(load, begun, "web1"); s < 0.13 || s > 0.27 {
		t.Errorf("web1 had %.0f %% of the traffic", 100*s)
	}
	says.Store("drain")
	only(t, load, "web2")
	if r := real(f.status(), "web", web1+":80"); r.State != director.StateUp || r.WeightReason != "agent: 0 %, of weight 100" {
		t.Errorf("status: %s, %q", r.State, r.WeightReason)
	}
	says.Store("100%")
	only(t, load, "web1", "web2")
	noneFailed(t, load.Stop())
}

// agent answers every connection to port 9000 with a line.
func agent(t *testing.T, h *lab.Host, says func() string) {
	t.Helper()
	l, err := h.Listen("tcp", ":9000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(conn, says())
			_ = conn.Close()
		}
	}()
}

// TestPoolDamping lets a web server flap: it stays out while its check is good,
// over a reload, too, until it is calm.
func TestPoolDamping(t *testing.T) {
	f, webs := drFarm(t, 2)
	file := "scheduler = \"wrr\"\ndamping = { falls = 2, within = \"60s\", calm = \"8s\" }\n"
	f.start(quick(file, rs1, rs2))
	load := patient(f)
	only(t, load, "web1", "web2")
	for range 3 {
		bad(webs[0])
		f.awaitState("web", web1+":80", director.StateDown, 5*time.Second)
		good(webs[0])
		f.awaitState("web", web1+":80", director.StateUp, 5*time.Second)
	}
	calm := time.Now()
	only(t, load, "web2")
	f.reload(quick(file+sorryKey, rs1, rs2))
	if r := real(f.status(), "web", web1+":80"); !r.Damped || r.State != director.StateUp || r.Weight != 0 {
		t.Errorf("after the reload: %+v", r)
	}
	only(t, load, "web2")
	f.awaitTable(15*time.Second, at(web1, 1))
	if took := time.Since(calm); took < 7*time.Second {
		t.Errorf("back in after %s", took)
	}
	only(t, load, "web1", "web2")
	noneFailed(t, load.Stop())
}
