package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

// diagnosis is what `ipvsd doctor --json` says.
type diagnosis struct {
	t        *testing.T
	code     int
	Machine  string
	Findings []struct {
		Check, Severity, Object, Reason, Cure string
		Fixable                               bool
	}
	Fixed, Failed, Lasting, Unseen []string
	Clocks                         map[string]float64
}

func examine(t *testing.T, h *lab.Host, args ...string) diagnosis {
	t.Helper()
	out, code := tryOn(t, h, append([]string{"doctor", "--json"}, args...)...)
	d := diagnosis{t: t, code: code}
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatalf("doctor --json: %v\n%s", err, out)
	}
	if len(d.Unseen) > 0 || len(d.Failed) > 0 {
		t.Errorf("doctor: not seen %q, failed %q", d.Unseen, d.Failed)
	}
	return d
}

// has wants exactly these findings, notes left out, as "check object", and the
// exit status that fits.
func (d diagnosis) has(when string, want ...string) {
	d.t.Helper()
	var got []string
	for _, f := range d.Findings {
		if f.Severity != "note" {
			got = append(got, f.Check+" "+f.Object)
		}
	}
	code := 0
	if len(want) > 0 {
		code = 2
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || d.code != code {
		d.t.Errorf("%s: exit %d, found\n  %s\nwant exit %d and\n  %s", when, d.code, strings.Join(got, "\n  "), code, strings.Join(want, "\n  "))
	}
}

// finding is the only one of a check.
func (d diagnosis) finding(check string) (reason, cure string) {
	d.t.Helper()
	for _, f := range d.Findings {
		if f.Check == check {
			return f.Reason, f.Cure
		}
	}
	d.t.Errorf("no finding of %s", check)
	return "", ""
}

// TestDoctor sets a director up wrongly in one way after the other. Each is
// found, the far client that a strict filter locks out gets in after --fix, and
// nothing is left then.
func TestDoctor(t *testing.T) {
	f, _ := drFarm(t, 2)
	// Far clients come in by a router on the lan, and the director's way to them
	// leads through another of its interfaces.
	router := f.net.Host("router", "192.168.0.254/24")
	router.Attach("inside", "eth1", "10.0.0.254/24").Attach("far", "eth2", "203.0.113.254/24")
	router.SetSysctl("net.ipv4.ip_forward", "1")
	f.net.Bridge("far")
	far := f.net.Bare("far").Attach("far", "eth0", "203.0.113.5/24")
	far.Route("default", "203.0.113.254")
	f.director.Attach("inside", "eth1", "10.0.0.1/24")
	f.director.Route("default", "10.0.0.254")
	for _, h := range f.nodes {
		h.Route("default", "192.168.0.254")
	}
	file := quick(`scheduler = "rr"`, rs1, rs2)
	args := []string{"-c", f.file(), "--socket", f.socket()}
	look := func(more ...string) diagnosis { return examine(t, f.director, append(args, more...)...) }
	f.write(file)
	for _, key := range []string{"net.ipv4.conf.all.rp_filter", "net.ipv4.conf.eth0.rp_filter"} {
		f.director.SetSysctl(key, "0")
	}
	f.director.SetSysctl("net.ipv4.vs.expire_nodest_conn", "0")

	// Before the director runs: it would set this one itself.
	look().has("not started", "expire net.ipv4.vs.expire_nodest_conn")
	f.restart()
	look().has("started")
	if out, code := f.try(append([]string{"doctor"}, args...)...); code != 0 || !strings.Contains(out, "a director by "+f.file()) || !strings.Contains(out, "nothing found") {
		t.Errorf("doctor as text: exit %d\n%s", code, out)
	}

	// A strict filter.
	f.director.SetSysctl("net.ipv4.conf.all.rp_filter", "1")
	get := func() error { _, err := far.Get("http://192.168.0.105/", 2*time.Second); return err }
	if err := get(); err == nil {
		t.Error("rp_filter lets the far client in, so that there is nothing to find")
	}
	look().has("rp_filter", "rp-filter eth0")
	fixed := look("--fix")
	fixed.has("rp_filter mended")
	if !slices.Equal(fixed.Fixed, []string{"net.ipv4.conf.eth0.rp_filter: 0 -> 2"}) ||
		!slices.Equal(fixed.Lasting, []string{"echo 'net.ipv4.conf.eth0.rp_filter = 2' >> /etc/sysctl.d/60-ipvsd.conf"}) {
		t.Errorf("--fix: %q, to last %q", fixed.Fixed, fixed.Lasting)
	}
	lab.Eventually(t, 5*time.Second, "the far client gets an answer", func() bool { return get() == nil })
	look("--fix").has("mended twice")

	// nat on one arm, without forwarding, and what the running director sets.
	f.write(quick(`scheduler = "rr"`, rs1+"\n  forward = \"nat\"", rs2))
	f.director.SetSysctl("net.ipv4.ip_forward", "0")
	f.director.SetSysctl("net.ipv4.conf.all.send_redirects", "1")
	f.director.SetSysctl("net.ipv4.vs.conn_reuse_mode", "0")
	look().has("nat", "forwarding net.ipv4.ip_forward", "redirects eth0", "conn-reuse net.ipv4.vs.conn_reuse_mode")
	look("--fix").has("nat mended")
	if got := f.director.Sysctl("net.ipv4.ip_forward") + f.director.Sysctl("net.ipv4.conf.all.send_redirects") + f.director.Sysctl("net.ipv4.conf.eth0.send_redirects"); got != "100" {
		t.Errorf("ip_forward and send_redirects are %s", got)
	}

	// A scheduler that this kernel lacks, and a file with a mistake.
	f.write(quick(`scheduler = "twos"`, rs1))
	look().has("scheduler", "scheduler ip_vs_twos")
	f.write(quick(`sheduler = "rr"`, rs1))
	d := look()
	if len(d.Findings) != 1 || d.Findings[0].Check != "file" || d.code != 2 {
		t.Errorf("a wrong file: exit %d, %+v", d.code, d.Findings)
	}

	// An interface that is down.
	f.write(file + "\n[[vip]]\naddress = \"192.168.0.105\"\ninterface = \"eth7\"\n")
	look().has("interface", "interface eth7")

	// Exit status 1: a file that isn't there, but was asked for.
	if out, code := f.try("doctor", "-c", f.file()+".not"); code != 1 || !strings.Contains(out, "no such file") {
		t.Errorf("doctor without its file: exit %d\n%s", code, out)
	}
}

// TestDoctorAnswers has a web node answer ARP and neighbour solicitations for
// the addresses: the finding names the node and the command that mends it there.
func TestDoctorAnswers(t *testing.T) {
	f, _ := drFarm(t, 2)
	file := quick(`scheduler = "rr"`, rs1, rs2) +
		"[[virtual]]\nname = \"six\"\naddress = \"[fd00::105]:80\"\n[virtual.check]\ntype = \"off\"\n[[virtual.real]]\naddress = \"fd00::102\"\n"
	f.start(file)
	look := func() diagnosis { return examine(t, f.director, "-c", f.file(), "--socket", f.socket()) }
	lab.Eventually(t, 10*time.Second, "the director holds both addresses", func() bool {
		n := 0
		for _, a := range f.status().Addresses {
			if a.State == director.AddressAdded {
				n++
			}
		}
		return n == 2
	})
	look().has("set up well")

	f.nodes[0].SetSysctl("net.ipv4.conf.all.arp_ignore", "0")
	f.nodes[1].AddAddr("eth0", vip6+"/128")
	d := look()
	d.has("both answer", "arp-answer 192.168.0.105 on eth0", "arp-answer fd00::105 on eth0")
	reason, cure := d.finding("arp-answer")
	if !strings.Contains(reason, f.nodes[0].MAC().String()+" answers for it, which is real server 192.168.0.101") ||
		cure != "on 192.168.0.101: ipvsd realserver setup --vip 192.168.0.105" {
		t.Errorf("reason %q, cure %q", reason, cure)
	}
	f.nodes[1].DelAddr("eth0", vip6+"/128")
	f.nodes[0].Run(os.Getenv(binaryVar), "realserver", "setup", "--vip", vip4)
	look().has("mended on the node")
}

// TestDoctorNeighbours finds other programs: one on the director's port, and the
// real ldirectord, in this network namespace only.
func TestDoctorNeighbours(t *testing.T) {
	f, _ := drFarm(t, 1)
	f.write(quick(`scheduler = "rr"`, rs1))
	look := func(more ...string) diagnosis {
		return examine(t, f.director, append([]string{"-c", f.file(), "--socket", f.socket()}, more...)...)
	}
	look("--fix").has("alone")

	server := f.director.Web("127.0.0.1:9117", "other")
	d := look()
	d.has("port", "port tcp 127.0.0.1:9117")
	if reason, _ := d.finding("port"); !strings.Contains(reason, fmt.Sprintf("(pid %d) listens on 127.0.0.1:9117", os.Getpid())) {
		t.Errorf("reason %q", reason)
	}
	server.Close()

	cf := filepath.Join(f.dir, "ldirectord.cf")
	if err := os.WriteFile(cf, []byte("checkinterval=60\nvirtual=192.168.0.106:80\n\treal=192.168.0.101:80 gate\n\tservice=http\n\tprotocol=tcp\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	elsewhere := f.nodes[0]
	for _, h := range []*lab.Host{elsewhere, f.director} {
		cmd := h.Command(context.Background(), "ldirectord", "-d", cf, "start")
		cmd.Env = append(os.Environ(), "PERLIO=perlio") // else it starts itself again
		p := h.StartCmd(cmd)
		lab.Eventually(t, 30*time.Second, "ldirectord has its virtual service", func() bool {
			return strings.Contains(h.Run("ipvsadm", "-Sn"), "192.168.0.106:80") || !p.Running()
		})
		if !p.Running() {
			t.Fatalf("ldirectord ended:\n%s", p.Output())
		}
		if h == elsewhere {
			look().has("ldirectord on another host")
		} else {
			look().has("ldirectord", "owner ldirectord")
			look("--fix").has("ldirectord is left alone", "owner ldirectord")
			if !p.Running() {
				t.Error("--fix stopped ldirectord")
			}
		}
		p.Kill()
	}
	look().has("ldirectord is gone")
}

// TestDoctorCluster is what only clusters have: the key's mode, backup_only, the
// synchronisation, a director that is a real server, the clock.
func TestDoctorCluster(t *testing.T) {
	c := newCluster(t, 2)
	l := c.lbs[0]
	write := func(file string) {
		t.Helper()
		if err := os.WriteFile(l.config(), []byte(file), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	look := func(more ...string) diagnosis {
		return examine(t, l.host, append([]string{"-c", l.config(), "--socket", l.socket()}, more...)...)
	}
	// The lab's kernel is a machine whose clock nobody disciplines.
	var left []string
	var tx unix.Timex
	if _, err := unix.Adjtimex(&tx); err != nil {
		t.Fatal(err)
	}
	if tx.Status&unix.STA_UNSYNC != 0 {
		left = append(left, "clock clock")
	}
	write(c.file(0, witnessed))
	look("--fix").has("mended", left...)

	l.host.SetSysctl("net.ipv4.vs.backup_only", "1")
	l.host.SetSysctl("net.ipv4.vs.sync_threshold", "3 50")
	if err := os.Chmod(c.key, 0o644); err != nil {
		t.Fatal(err)
	}
	want := append([]string{"backup-only net.ipv4.vs.backup_only", "sync net.ipv4.vs.sync_threshold", "key-mode " + c.key}, left...)
	look().has("wrong in three ways", want...)
	fixed := look("--fix")
	fixed.has("mended again", left...)
	if !slices.Contains(fixed.Fixed, "mode of "+c.key+": 0644 -> 600") || len(fixed.Fixed) != 3 || len(fixed.Lasting) != 0 {
		t.Errorf("--fix: %q, to last %q", fixed.Fixed, fixed.Lasting)
	}
	if info, err := os.Stat(c.key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode: %v, %v", info, err)
	}

	write(c.file(0, witnessed) + "[[virtual.real]]\naddress = \"192.168.0.112\"\n")
	look().has("the other director is a real server", append([]string{"director-is-real 192.168.0.112"}, left...)...)

	// A standby takes the active director's answers for what they are.
	for i := range c.lbs {
		c.lbs[i].start(c.file(i, witnessed))
	}
	lab.Eventually(t, 20*time.Second, "one holds the address", func() bool { return c.lbs[0].hasVIP() != c.lbs[1].hasVIP() })
	for i, l := range c.lbs {
		d := examine(t, l.host, "-c", l.config(), "--socket", l.socket())
		d.has(l.name, left...)
		other := fmt.Sprintf("192.168.0.%d", 112-i)
		if ahead, told := d.Clocks[other]; !told || math.Abs(ahead) > 1 {
			t.Errorf("%s: the clocks of the others are %v; both are the lab's", l.name, d.Clocks)
		}
	}
}

// TestDoctorNode looks after a web node, and after a machine that is nothing.
func TestDoctorNode(t *testing.T) {
	f := newFarm(t, 1)
	h := f.nodes[0]
	h.Private("/etc/ipvsd", "/var/lib/ipvsd")
	d := examine(t, h)
	d.has("fresh")
	if !strings.HasPrefix(d.Machine, "neither a director (there is no /etc/ipvsd/ipvsd.toml) nor a web node") {
		t.Errorf("a fresh machine is %q", d.Machine)
	}
	h.Run(os.Getenv(binaryVar), "realserver", "setup", "--vip", vip4)
	examine(t, h).has("set up")
	h.SetSysctl("net.ipv4.conf.all.arp_ignore", "0")
	h.DelAddr("lo", vip4+"/32")
	examine(t, h).has("two pieces are missing", "node net.ipv4.conf.all.arp_ignore is 0", "node 192.168.0.105/32 is not on lo")
	fixed := examine(t, h, "--fix")
	fixed.has("mended")
	if want := []string{"net.ipv4.conf.all.arp_ignore: 0 -> 1; added 192.168.0.105/32 to lo (label lo:0)"}; !slices.Equal(fixed.Fixed, want) {
		t.Errorf("--fix: %q, want %q", fixed.Fixed, want)
	}
	if macs := f.client.ARP(nodeVIP4, 3); len(macs) != 0 {
		t.Errorf("after --fix %v answers ARP", macs)
	}
}

// TestDoctorRounds: the running director counts what is wrong, in the gauge and
// in the status.
func TestDoctorRounds(t *testing.T) {
	f, _ := drFarm(t, 1)
	f.director.Attach("inside", "eth1", "10.0.0.1/24")
	f.director.Route("default", "10.0.0.254")
	f.director.SetSysctl("net.ipv4.conf.all.rp_filter", "1")
	f.start(quick(`scheduler = "rr"`, rs1))
	f.eventually(20*time.Second, "the first round is over", func(s director.Status) bool { return s.Doctor != nil && s.Doctor.Findings == 1 })
	metrics := f.director.Run("curl", "-sf", "http://127.0.0.1:9117/metrics")
	for _, line := range []string{`ipvsd_doctor_findings{check="rp-filter",severity="warning"} 1`, `ipvsd_doctor_findings{check="module",severity="error"} 0`} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("no %s in the metrics", line)
		}
	}
	out, _ := f.try("status", "--socket", f.socket())
	if !strings.Contains(out, "1 finding; run \"ipvsd doctor\"") {
		t.Errorf("status:\n%s", out)
	}
	if !strings.Contains(f.proc.Output(), "cure=\"sysctl -w net.ipv4.conf.eth0.rp_filter=2\"") {
		t.Error("the log doesn't have the finding with its cure")
	}
}
