package scenario

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

// tutorial is the set-up of Debian's tutorial: two web servers, round robin, a
// check every 2 s of a page for a text, and the director itself as fallback. The
// verbs are the VIP, the forwarding method, the addresses of the two web nodes
// and of the fallback.
const tutorial = `
[check]
type = "http"
request = "/ldirector.html"
receive = "Test Page"
interval = "2s"
timeout = "1s"

[[virtual]]
name = "web"
address = %q
scheduler = "rr"
forward = %q
fallback = { address = %q, forward = "dr" }
  [[virtual.real]]
  address = %q
  [[virtual.real]]
  address = %q
`

func tutorialFile(method string, ipv6 bool) string {
	if ipv6 {
		return fmt.Sprintf(tutorial, target(vip6, 80), method, "[::1]:80", "fd00::101", "fd00::102")
	}
	return fmt.Sprintf(tutorial, target(vip4, 80), method, "127.0.0.1:80", "192.168.0.101", "192.168.0.102")
}

// TestTutorial takes the tutorial's farm through its life, by every forwarding
// method and both families: spread, death, broken page, fallback, return.
func TestTutorial(t *testing.T) { eachMode(t, tutorialLife) }

// eachMode runs a test by every forwarding method and both families.
func eachMode(t *testing.T, life func(t *testing.T, method string, ipv6 bool)) {
	for _, mode := range []struct {
		method string
		ipv6   bool
	}{{"dr", false}, {"nat", false}, {"tun", false}, {"dr", true}, {"nat", true}, {"tun", true}} {
		name := mode.method + "-ipv4"
		if mode.ipv6 {
			name = mode.method + "-ipv6"
		}
		t.Run(name, func(t *testing.T) { life(t, mode.method, mode.ipv6) })
	}
}

func tutorialLife(t *testing.T, method string, ipv6 bool) {
	f := newFarm(t, 2)
	vip := vip4
	if ipv6 {
		vip = vip6
	}
	webs := f.webs()
	switch method {
	case "nat":
		f.behind()
	default:
		f.setup(method, vip)
	}
	sorry := f.director.Web(":80", "sorry")
	f.start(tutorialFile(method, ipv6))

	load := f.client.Load("http://" + target(vip, 80) + "/")
	spread := func(names ...string) {
		t.Helper()
		from := time.Now()
		ok := load.WaitFor(func(r lab.Report) bool {
			for _, n := range names {
				if r.Servers[n].Count < 10 || r.Servers[n].Last.Before(from.Add(500*time.Millisecond)) {
					return false
				}
			}
			for n, s := range r.Servers {
				if !slices.Contains(names, n) && s.Last.After(from) {
					return false
				}
			}
			return true
		}, 5*time.Second)
		if !ok {
			t.Fatalf("want answers of %v only: %v\n%s", names, load.Report(), f.table())
		}
	}
	spread("web1", "web2")

	// Death: out within the interval and the check's own time, in again after.
	webs[0].Close()
	f.awaitState("web", f.node(0, ipv6), director.StateDown, 4*time.Second)
	// The check that was under way when it died may have been cut off first.
	f.eventually(4*time.Second, "weight 0: connection refused", func(s director.Status) bool {
		r := real(s, "web", f.node(0, ipv6))
		return r.Weight == 0 && r.Reason == "connection refused"
	})
	spread("web2")
	webs[0].Reopen()
	f.awaitState("web", f.node(0, ipv6), director.StateUp, 4*time.Second)
	spread("web1", "web2")

	// A broken page, with the server alive.
	webs[1].Page(testPage, 200, "Wartung\n")
	f.awaitState("web", f.node(1, ipv6), director.StateDown, 4*time.Second)
	if r := real(f.status(), "web", f.node(1, ipv6)); r.Reason != `body lacks "Test Page"` {
		t.Errorf("broken page: reason %q", r.Reason)
	}
	spread("web1")

	// Nobody left: the fallback has the traffic, and only as long.
	webs[0].Page(testPage, 503, "no")
	f.awaitState("web", f.node(0, ipv6), director.StateDown, 4*time.Second)
	if r := real(f.status(), "web", f.node(0, ipv6)); r.Reason != "status 503" {
		t.Errorf("error page: reason %q", r.Reason)
	}
	spread("sorry")
	webs[0].Page(testPage, 200, testBody)
	webs[1].Page(testPage, 200, testBody)
	f.awaitState("web", f.node(0, ipv6), director.StateUp, 4*time.Second)
	f.awaitState("web", f.node(1, ipv6), director.StateUp, 4*time.Second)
	spread("web1", "web2")

	// Only the dead server's share may have failed, until its check saw it.
	r := load.Stop()
	for _, failure := range r.Failed {
		if failure.Err == nil {
			t.Errorf("a bad answer at %v from %s", failure.Time, failure.Server)
		}
	}
	if limit := r.Sent / 10; len(r.Failed) > limit {
		t.Errorf("%d failed requests, want at most %d: %v", len(r.Failed), limit, r)
	}
	if sorry.Requests() == 0 {
		t.Error("the fallback saw no request")
	}
}
