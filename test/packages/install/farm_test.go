package install

import (
	"fmt"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

const vip = "192.168.0.105"

// farm is a client and two web nodes that were set up by hand; the directors
// are the tests'.
func farm(t *testing.T) (n *lab.Net, client *lab.Host) {
	t.Helper()
	n = lab.New(t)
	client = n.Host("client", "192.168.0.1/24")
	for i := range 2 {
		h := n.Host(fmt.Sprintf("web%d", i+1), fmt.Sprintf("192.168.0.%d/24", 101+i))
		h.SetSysctl("net.ipv4.conf.all.arp_ignore", "1")
		h.SetSysctl("net.ipv4.conf.all.arp_announce", "2")
		h.AddAddr("lo", vip+"/32")
		h.Web(":80", h.Name)
		h.Echo("tcp", ":7", h.Name)
	}
	return n, client
}

// services are a file that needs everything the unit has to allow: checks over
// a connection, by ping (a raw socket) and by a program, settings below and
// beside net.ipv4.vs.
const services = `
[check]
interval = "5s"
timeout = "4s"

[[virtual]]
name = "web"
address = "192.168.0.105:80"
scheduler = "rr"
  [virtual.check]
  type = "http"
  request = "/"
  [[virtual.real]]
  address = "192.168.0.101"
  [[virtual.real]]
  address = "192.168.0.102"

[[virtual]]
name = "echo"
address = "192.168.0.105:7"
scheduler = "wlc"
persistence = "5m"
  [virtual.check]
  type = "external"
  command = "/bin/true"
  [[virtual.real]]
  address = "192.168.0.101"

[[virtual]]
name = "nat"
address = "192.168.0.105:81"
scheduler = "sed"
forward = "nat"
  [virtual.check]
  type = "ping"
  [[virtual.real]]
  address = "192.168.0.102:80"
`

// unharmed watches a new connection every 50 ms and one that is held, while
// something is done to the directors. A starved lab may answer late, which is
// no failure; a connection that is refused, reset or lost is one.
func unharmed(t *testing.T, client *lab.Host, what string, do func()) {
	t.Helper()
	load := client.Load("http://"+vip+"/", lab.Every(50*time.Millisecond), lab.Deadline(5*time.Second))
	hold := client.Hold("tcp", vip+":7")
	warm := load.WaitFor(func(r lab.Report) bool { return r.OK >= 20 }, patience)
	do()
	after := load.Report().Sent
	done := load.WaitFor(func(r lab.Report) bool { return r.OK >= after+20 }, patience)
	r, h := load.Stop(), hold.Stop()
	if !warm || !done || len(r.Failed) > 0 {
		t.Errorf("%s: want no failed request: %v", what, r)
	}
	if h.Broken != nil {
		t.Errorf("%s: the held connection broke: %v", what, h)
	}
	t.Logf("%s: %v; held: %v", what, r, h)
}
