package scenario

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/deploy/cloud/standin"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

// vpc is the network of docs/clouds.md: what goes to the public address goes to
// the machine that the API says, whatever the machines themselves announce.
type vpc struct {
	t      *testing.T
	client *lab.Host
	router *lab.Host
	lbs    []*lab.Host
	procs  []*lab.Proc
	cloud  *standin.Cloud
	env    []string
}

const publicIP = "203.0.113.5"

// provider is what differs between the clouds.
type provider struct {
	kind     standin.Kind
	address  string                  // as the API names it
	machines []string                // what the API calls the two directors
	deliver  func(v *vpc, lb string) // lets the router send to a director
}

var providers = []provider{
	{
		kind: standin.Hetzner, address: "4711", machines: []string{"42", "43"},
		deliver: func(v *vpc, lb string) { v.router.Run("ip", "route", "replace", publicIP+"/32", "via", lb) },
	},
	{
		kind: standin.AWS, address: "eipalloc-0a", machines: []string{"eni-01", "eni-02"},
		// The packet arrives with the machine's own address.
		deliver: func(v *vpc, lb string) {
			v.router.Run("iptables", "-t", "nat", "-F", "PREROUTING")
			v.router.Run("iptables", "-t", "nat", "-A", "PREROUTING", "-d", publicIP, "-j", "DNAT", "--to-destination", lb)
		},
	},
}

// newVPC builds a client, the cloud's router with API and metadata on it, two
// directors and two web servers.
func newVPC(t *testing.T, p provider) *vpc {
	t.Helper()
	n := lab.New(t)
	v := &vpc{t: t}
	v.client = n.Bare("client").Attach("internet", "eth0", "198.51.100.1/24")
	v.client.Route("default", "198.51.100.254")
	v.router = n.Bare("router").Attach("internet", "eth0", "198.51.100.254/24").Attach("lan", "eth1", "10.0.1.1/24")
	v.router.SetSysctl("net.ipv4.ip_forward", "1")
	v.router.AddAddr("lo", "169.254.169.254/32")
	v.router.AddAddr("lo", "10.0.2.10/32") // the witness
	machines, addresses := map[string]string{}, map[string]string{}
	for i, m := range p.machines {
		address := fmt.Sprintf("10.0.1.%d", 11+i)
		h := n.Host(fmt.Sprintf("lb%d", i+1), address+"/24")
		h.Route("default", "10.0.1.1")
		v.lbs = append(v.lbs, h)
		machines[address], addresses[m] = m, address
	}
	for i := range 2 {
		h := n.Host(fmt.Sprintf("web%d", i+1), fmt.Sprintf("10.0.1.%d/24", 21+i))
		h.Route("default", "10.0.1.1")
		h.Web(":80", h.Name)
	}
	v.cloud = standin.New(p.kind, p.address, publicIP, p.machines, func(m string) { p.deliver(v, addresses[m]) })
	v.serve("169.254.169.254:80", v.cloud.Metadata(func(r *http.Request) string {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		return machines[host]
	}))
	v.serve("10.0.1.1:8080", v.cloud.API())
	v.env = append(os.Environ(), "API_ENDPOINT=http://10.0.1.1:8080", "EC2_ENDPOINT=http://10.0.1.1:8080")
	return v
}

func (v *vpc) serve(addr string, h http.Handler) {
	v.t.Helper()
	l, err := v.router.Listen("tcp", addr)
	if err != nil {
		v.t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	go func() { _ = srv.Serve(l) }() // ErrServerClosed
	v.t.Cleanup(func() { _ = srv.Close() })
}

// cloudBlocks are the blocks of docs/clouds.md that are for a cloud, by their
// language.
func cloudBlocks(t *testing.T, kind standin.Kind) map[string]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/clouds.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string]string{}
	for i, part := range strings.Split(string(page), "\n```") {
		info, body, _ := strings.Cut(part, "\n")
		language, cloud, _ := strings.Cut(info, " cloud=")
		if i%2 == 1 && (cloud == string(kind) || cloud == "all") {
			blocks[language] += body + "\n"
		}
	}
	return blocks
}

// start sets a director up as the page says and starts it.
func (v *vpc) start(h *lab.Host, blocks map[string]string, key []byte) {
	v.t.Helper()
	h.Private("/etc/ipvsd", "/run/ipvsd", "/var/lib/ipvsd", "/usr/lib/ipvsd")
	h.Run("sh", "-ec", blocks["sh"])
	scripts, err := filepath.Abs("../../deploy/cloud")
	if err != nil {
		v.t.Fatal(err)
	}
	h.Run("cp", filepath.Join(scripts, "move-elastic-ip"), filepath.Join(scripts, "move-reserved-ip"), "/usr/lib/ipvsd/")
	for name, text := range map[string]string{
		"cluster.key": string(key), "ipvsd.toml": blocks["toml"],
		"cloud.conf": strings.ReplaceAll(blocks["text"], "TOKEN", standin.Token),
	} {
		err := h.Do(func() error { return os.WriteFile("/etc/ipvsd/"+name, []byte(text), 0o600) })
		if err != nil {
			v.t.Fatal(err)
		}
	}
	cmd := h.Command(v.t.Context(), os.Getenv(binaryVar), "director")
	cmd.Env = v.env
	proc := h.StartCmd(cmd)
	v.procs = append(v.procs, proc)
	v.t.Cleanup(func() {
		if v.t.Failed() {
			v.t.Logf("%s:\n%s", h.Name, proc.Output())
		}
	})
}

// status is what a director says, empty while it says nothing.
func (v *vpc) status(i int) (s director.Status) {
	v.t.Helper()
	out, code := tryOn(v.t, v.lbs[i], "status", "--json")
	if code != 1 {
		if err := json.Unmarshal([]byte(out), &s); err != nil {
			v.t.Fatalf("status --json: %v\n%s", err, out)
		}
	}
	return s
}

// active moves the role to director i; it doesn't wait for the cloud. A starved
// lab may move it elsewhere meanwhile, which is not what this is about.
func (v *vpc) active(i int) bool {
	v.t.Helper()
	s := v.status(i)
	if s.Ready && !s.Active {
		tryOn(v.t, v.lbs[i], "failover", "--to", v.lbs[i].Name)
	}
	return s.Active
}

// move moves the role to director i and waits until the cloud has given its
// machine the address, and a client gets answers from both web servers there.
func (v *vpc) move(i int, machine string) {
	v.t.Helper()
	lab.Eventually(v.t, 3*time.Minute, machine+" has the address", func() bool { return v.active(i) && v.cloud.Holder() == machine })
	v.served()
}

func (v *vpc) served() {
	v.t.Helper()
	seen := map[string]bool{}
	lab.Eventually(v.t, time.Minute, "both web servers answer", func() bool {
		if name, err := v.client.Get("http://"+publicIP+"/", 2*time.Second); err == nil {
			seen[name] = true
		}
		return len(seen) == 2
	})
}

// health is what a load balancer of the cloud's gets for a path of a director.
func (v *vpc) health(i int, path string) string {
	v.t.Helper()
	return v.router.Run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", fmt.Sprintf("http://10.0.1.%d:9117%s", 11+i, path))
}

// TestClouds sets two directors up as docs/clouds.md says and moves the public
// address by the scripts of deploy/cloud: planned; while the API fails, which is
// tried again and is in nobody's way; and by the death of a director.
func TestClouds(t *testing.T) {
	for _, p := range providers {
		t.Run(string(p.kind), func(t *testing.T) {
			v := newVPC(t, p)
			file := filepath.Join(t.TempDir(), "cluster.key")
			v.router.Run(os.Getenv(binaryVar), "cluster", "keygen", "-o", file)
			key, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range v.lbs {
				v.start(h, cloudBlocks(t, p.kind), key)
			}
			v.move(0, p.machines[0])
			if p.kind == standin.AWS { // its file lets a load balancer ask
				lab.Eventually(t, time.Minute, "lb1 is active and both are ready, by their health", func() bool {
					return v.health(0, "/active") == "200" && v.health(1, "/active") == "503" &&
						v.health(0, "/readyz") == "200" && v.health(1, "/readyz") == "200"
				})
			}
			v.move(1, p.machines[1])

			asked := len(v.cloud.Asked())
			v.cloud.Fail(standin.Throttled, standin.Hangs)
			v.cloud.Fail(slices.Repeat([]standin.Fault{standin.Broken}, 1000)...)
			lab.Eventually(t, 3*time.Minute, "lb1 is active, and the API was asked again and again", func() bool {
				return v.active(0) && len(v.cloud.Asked()) >= asked+3
			})
			if v.cloud.Holder() != p.machines[1] {
				t.Error("the address has moved, and the API was down")
			}
			v.cloud.Heal()
			v.move(0, p.machines[0])
			for _, want := range []string{`msg="hook failed" event=active`, "msg=hook event=active"} {
				if !strings.Contains(v.procs[0].Output(), want) {
					t.Errorf("lb1's log lacks %q", want)
				}
			}

			v.lbs[0].Cut()
			v.procs[0].Kill()
			lab.Eventually(t, 3*time.Minute, "lb2 has the address of the dead one", func() bool { return v.cloud.Holder() == p.machines[1] })
			v.served()
			for _, bad := range v.cloud.Bad() {
				t.Errorf("a bad request: %s", bad)
			}
		})
	}
}

// The settings of each cloud on the page are those that the scripts know, and
// the file is good.
func TestCloudBlocks(t *testing.T) {
	for kind, want := range map[standin.Kind][]string{
		standin.AWS: {"sh", "toml", "text"}, standin.Hetzner: {"sh", "toml", "text"}, standin.DigitalOcean: {"sh", "text"},
	} {
		for _, language := range want {
			if cloudBlocks(t, kind)[language] == "" {
				t.Errorf("docs/clouds.md has no block of %s for %s", language, kind)
			}
		}
	}
}
