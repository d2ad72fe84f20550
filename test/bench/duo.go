package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ipvsd/ipvsd/director/api"
	"github.com/ipvsd/ipvsd/test/lab"
)

// segment is a bridge with a client, which is the directors' witness too, and,
// where there shall be traffic, two web nodes behind direct routing.
type segment struct {
	b      *bench
	net    *lab.Net
	bridge string
	client *lab.Host
	webs   []string
	hosts  int // directors so far
}

// Every segment has the addresses of the Debian tutorial: no two of them meet.
const (
	clientAddr = "192.168.0.1"
	shared     = "192.168.0.105"
	sharedURL  = "http://" + shared + "/"
	sharedEcho = shared + ":7"
)

func (b *bench) segment(net *lab.Net, bridge string, webs int) *segment {
	s := &segment{b: b, net: net, bridge: bridge}
	s.client = s.host(bridge+"-client", clientAddr)
	for i := range webs {
		addr := fmt.Sprintf("192.168.0.%d", 101+i)
		h := s.host(fmt.Sprintf("%s-web%d", bridge, i+1), addr)
		h.SetSysctl("net.ipv4.conf.all.arp_ignore", "1")
		h.SetSysctl("net.ipv4.conf.all.arp_announce", "2")
		h.AddAddr("lo", shared+"/32")
		h.Web(":80", h.Name)
		h.Echo("tcp", ":7", h.Name)
		s.webs = append(s.webs, addr)
	}
	return s
}

func (s *segment) host(name, addr string) *lab.Host {
	return s.net.Bare(name).Attach(s.bridge, "eth0", addr+"/24")
}

// kind is what runs on both directors of a duo.
type kind struct {
	name    string
	profile string // ipvsd's; "": its default
	quorum  string // ipvsd's; "": its default
	advert  string // keepalived's, in seconds; "": it is ipvsd
	beside  string // keepalived's: the kind of ours that it is compared with
}

// kinds that are measured beside one another.
var kinds = []kind{
	{name: "ipvsd"},
	{name: "ipvsd fast", profile: "fast"},
	{name: "keepalived 1 s", advert: "1", beside: "ipvsd"},
	{name: "keepalived 0.1 s", advert: "0.1", beside: "ipvsd fast"},
}

func (k kind) ours() bool { return k.advert == "" }

// duo is two directors of one kind.
type duo struct {
	*segment
	kind
	dir       string
	directors [2]*director
	rested    time.Time // from then on the next fault is one by itself
}

// director is one of them.
type director struct {
	name, addr string
	dir        string
	host       *lab.Host
	holds      *holding
	argv       []string
	api        *api.Client // nil: keepalived
	proc       *lab.Proc   // the last one
}

// duo puts two more directors on the segment. They don't run yet.
func (s *segment) duo(k kind) *duo {
	dir, err := os.MkdirTemp("/run", "duo-")
	s.b.stage.must(err)
	d := &duo{segment: s, kind: k, dir: dir}
	for i := range d.directors {
		l := &director{name: fmt.Sprintf("loadb%d", i+1), addr: fmt.Sprintf("192.168.0.%d", 111+s.hosts)}
		s.hosts++
		l.dir = filepath.Join(dir, l.name)
		s.b.stage.must(os.Mkdir(l.dir, 0o755))
		l.host = s.host(s.bridge+"-"+l.name, l.addr)
		l.holds = s.b.watch(l.host, netip.MustParseAddr(shared))
		d.directors[i] = l
	}
	for i, l := range d.directors {
		if k.ours() {
			socket := filepath.Join(l.dir, "ipvsd.sock")
			l.argv = []string{s.b.ipvsd, "director", "-c", d.write(l, d.ipvsdFile(i)), "--socket", socket}
			l.api = api.NewClient(socket)
			s.b.stage.Cleanup(l.api.Close)
			continue
		}
		l.argv = []string{
			"/usr/sbin/keepalived", "--dont-fork", "--log-console", "--use-file", d.write(l, d.keepalivedFile(i)),
			"--pid", filepath.Join(l.dir, "main.pid"), "--vrrp_pid", filepath.Join(l.dir, "vrrp.pid"),
			"--checkers_pid", filepath.Join(l.dir, "checkers.pid"),
		}
	}
	if k.ours() {
		d.directors[0].host.Run(s.b.ipvsd, "cluster", "keygen", "-o", d.key())
	}
	return d
}

func (d *duo) key() string { return filepath.Join(d.dir, "cluster.key") }

func (d *duo) write(l *director, text string) string {
	path := filepath.Join(l.dir, "director.conf")
	d.b.stage.must(os.WriteFile(path, []byte(text), 0o600))
	return path
}

// ipvsdFile has the defaults in all that isn't named here.
func (d *duo) ipvsdFile(i int) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	l := d.directors[i]
	line("[director]\nstate_dir = %q\n[http]\nlisten = \"\"", filepath.Join(l.dir, "state"))
	line("[cluster]\nname = %q\nlisten = \"%s:7946\"\nkey_file = %q\ninterface = \"eth0\"", l.name, l.addr, d.key())
	line("join = [%q, %q]\npriority = %d", d.directors[0].addr, d.directors[1].addr, 101-i)
	if d.profile != "" {
		line("profile = %q", d.profile)
	}
	if d.quorum != "" {
		line("quorum = %q", d.quorum)
	} else {
		line("witnesses = [%q]", clientAddr) // there is no gateway
	}
	for _, port := range []int{80, 7} {
		line("[[virtual]]\nname = \"port%d\"\naddress = \"%s:%d\"\nscheduler = \"rr\"", port, shared, port)
		if len(d.webs) == 0 {
			line("[virtual.check]\ntype = \"on\"\n[[virtual.real]]\naddress = %q", clientAddr)
		}
		for _, w := range d.webs {
			line("[[virtual.real]]\naddress = %q", w)
		}
	}
	return b.String()
}

// keepalivedFile is the same for keepalived, with its defaults: the better
// director takes the addresses back.
func (d *duo) keepalivedFile(i int) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	l := d.directors[i]
	version := 2
	if strings.Contains(d.advert, ".") {
		version = 3 // the older one knows whole seconds only
	}
	line("global_defs {\n  router_id %s\n  vrrp_version %d\n  lvs_sync_daemon eth0 VI_1 id 7\n}", l.name, version)
	line("vrrp_instance VI_1 {\n  state %s\n  interface eth0\n  virtual_router_id 51", []string{"MASTER", "BACKUP"}[i])
	line("  priority %d\n  advert_int %s\n  virtual_ipaddress {\n    %s\n  }\n}", 101-i, d.advert, shared)
	for _, port := range []int{80, 7} {
		line("virtual_server %s %d {\n  delay_loop 10\n  lb_algo rr\n  lb_kind DR\n  protocol TCP", shared, port)
		if len(d.webs) == 0 {
			line("  real_server %s %d {\n    weight 1\n  }", clientAddr, port)
		}
		for _, w := range d.webs {
			line("  real_server %s %d {\n    weight 1\n    TCP_CHECK {\n      connect_timeout 5\n    }\n  }", w, port)
		}
		line("}")
	}
	return b.String()
}

func (l *director) start() { l.proc = l.host.Start(l.argv...) }

// slay kills the director's processes as kill -9 does. keepalived's parent must
// neither start a new child before it is killed itself, nor end in a way that
// its children notice and stop cleanly.
func (l *director) slay() {
	l.signal(syscall.SIGSTOP)
	l.signal(syscall.SIGKILL)
	_ = l.proc.Wait(5 * time.Second) // killed
}

// signal reaches the parent first when it shall stop, and else last.
func (l *director) signal(sig syscall.Signal) {
	parent := l.proc.PID()
	pids := []int{parent}
	for pid := range family(parent) {
		if pid != parent {
			pids = append(pids, pid)
		}
	}
	if sig != syscall.SIGSTOP {
		slices.Reverse(pids)
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, sig) // one that has ended is fine
	}
}

// clear does to the kernel what a reboot does.
func (l *director) clear() {
	if l.holds.has() {
		l.host.DelAddr("eth0", shared+"/32")
	}
	l.host.Run("ipvsadm", "-C")
	for _, role := range []string{"master", "backup"} {
		_, _ = l.host.Try("ipvsadm", "--stop-daemon", role) // there may be none
	}
}

func (d *duo) start() {
	for _, l := range d.directors {
		l.start()
	}
}

// stop ends both directors and leaves nothing of them.
func (d *duo) stop() {
	for _, l := range d.directors {
		d.b.stop(l.proc)
		l.clear()
	}
}

// holder is who alone has the address, once nothing is left to come: everybody
// is well, knows of it, and serves.
func (d *duo) holder() (active, other *director, ok bool) {
	for i, l := range d.directors {
		if !l.proc.Running() {
			return nil, nil, false
		}
		if l.holds.has() {
			if active != nil {
				return nil, nil, false
			}
			active, other = l, d.directors[1-i]
		}
	}
	if active == nil {
		return nil, nil, false
	}
	if d.ours() {
		ok = active.agrees(active.name) && other.agrees(active.name)
	} else {
		// It tells nobody how it stands; the better one takes the address, and
		// whatever was begun is over after a while.
		_, since := active.holds.now()
		_, left := other.holds.now()
		ok = active == d.directors[0] && time.Since(since) > 2*time.Second && time.Since(left) > 2*time.Second
	}
	if ok && len(d.webs) > 0 {
		_, err := d.client.Get(sharedURL, time.Second)
		ok = err == nil
	}
	return active, other, ok
}

// agrees is whether ipvsd is ready, sees both and takes that one for the holder.
func (l *director) agrees(holder string) bool {
	s, err := l.api.Status(context.Background())
	if err != nil || !s.Ready || s.Cluster == nil || len(s.Cluster.Groups) == 0 {
		return false
	}
	alive := 0
	for _, m := range s.Cluster.Members {
		if m.State == "alive" {
			alive++
		}
	}
	return alive == 2 && s.Cluster.Groups[0].Holder == holder
}

// settled waits until the duo is whole and returns who is active. A duo that
// doesn't come to rest is started anew: keepalived 2.2.7 was seen to leave the
// address on a backup that had been master for a moment.
func (d *duo) settled() (active, other *director) {
	const limit = 30 * time.Second
	if a, o, ok := d.await(limit); ok {
		return a, o
	}
	d.b.tell("%s: the directors don't come to rest, and are started anew\n%s", d.name, d.said())
	d.stop()
	d.start()
	a, o, ok := d.await(limit)
	if !ok {
		d.b.stage.Fatalf("%s: the directors don't come to rest\n%s", d.name, d.said())
	}
	return a, o
}

func (d *duo) await(limit time.Duration) (active, other *director, ok bool) {
	for deadline := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		if a, o, ok := d.holder(); ok || time.Now().After(deadline) {
			return a, o, ok
		}
	}
}

// said is what the directors wrote at last.
func (d *duo) said() string {
	var b strings.Builder
	for _, l := range d.directors {
		has := l.holds.has()
		fmt.Fprintf(&b, "%s (has the address: %t):\n%s\n", l.name, has, tail(l.proc.Output()))
	}
	return b.String()
}

// tail is the end of what a process wrote.
func tail(text string) string { return text[max(0, len(text)-4000):] }
