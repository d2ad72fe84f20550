package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// site is a director and a web node on one segment. The node has thousands of
// addresses, each of which is a real server; virtual services are ports of one
// address.
type site struct {
	b        *bench
	net      *lab.Net
	director *lab.Host
	node     *lab.Host
	dir      string
}

var (
	vip      = netip.MustParseAddr("192.0.2.100")
	nodeAddr = netip.MustParseAddr("192.0.2.2")
)

const page = "/check.html"

func (b *bench) site() *site {
	s := &site{b: b, net: lab.New(b.stage)}
	s.director = s.net.Host("director", "192.0.2.1/24", "192.0.2.100/32")
	s.node = s.net.Host("node", nodeAddr.String()+"/24")
	s.node.Run("ip", "route", "add", "local", "10.0.0.0/8", "dev", "lo")
	s.node.SetSysctl("net.core.somaxconn", "65535")
	s.node.SetSysctl("net.ipv4.tcp_max_syn_backlog", "65535")
	s.director.Route("10.0.0.0/8", nodeAddr.String())
	dir, err := os.MkdirTemp("/run", "bench-")
	b.stage.must(err)
	s.dir = dir
	return s
}

// plan is what all directors are given alike.
type plan struct {
	virtuals, reals int // reals: of each virtual service
	check           string
	interval        time.Duration
	timeout         time.Duration
	http            string // ipvsd's [http] listen; "": off
	fork            yesNo  // ldirectord: a process for each virtual service
	extra           string // of ipvsd's file
}

// yesNo is a boolean in ldirectord's words.
type yesNo bool

func (y yesNo) String() string {
	if y {
		return "yes"
	}
	return "no"
}

func (p plan) vip(i int) netip.AddrPort { return netip.AddrPortFrom(vip, uint16(1000+i)) }

// real is the address of a real server; every one is another.
func (p plan) real(i, j int) netip.AddrPort {
	n := i*p.reals + j
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, byte(n / 250), byte(n%250 + 1)}), cmp.Or(ports[p.kind(i)], 80))
}

// mixed is a plan.check: some virtual services with each of three checks, which
// all directors have.
const mixed = "mixed"

// kind is how the real servers of virtual service i are checked.
func (p plan) kind(i int) string {
	switch {
	case p.check != mixed:
		return p.check
	case i%10 < 5:
		return "http"
	case i%10 < 8:
		return "connect"
	}
	return "smtp"
}

func (s *site) write(name, text string) string {
	path := filepath.Join(s.dir, name)
	s.b.stage.must(os.WriteFile(path, []byte(text), 0o600))
	return path
}

// ipvsdFile is ipvsd's file for a plan.
func (s *site) ipvsdFile(p plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[director]\nstate_dir = %q\nremoval_grace = \"0s\"\nclean_stop = true\n", filepath.Join(s.dir, "state"))
	fmt.Fprintf(&b, "[http]\nlisten = %q\n", p.http)
	fmt.Fprintf(&b, "[check]\ninterval = %q\ntimeout = %q\n", p.interval, p.timeout)
	b.WriteString(p.extra)
	for i := range p.virtuals {
		fmt.Fprintf(&b, "[[virtual]]\naddress = %q\nscheduler = \"rr\"\nforward = \"nat\"\n", p.vip(i))
		fmt.Fprintf(&b, "[virtual.check]\ntype = %q\n", p.kind(i))
		if p.kind(i) == "http" {
			fmt.Fprintf(&b, "request = %q\nstatus = 200\n", page)
		}
		for j := range p.reals {
			fmt.Fprintf(&b, "[[virtual.real]]\naddress = %q\n", p.real(i, j))
		}
	}
	return s.write("ipvsd.toml", b.String())
}

func (s *site) ipvsdArgs(file string) []string {
	return []string{s.b.ipvsd, "director", "-c", file, "--socket", filepath.Join(s.dir, "ipvsd.sock")}
}

// ipvsd starts the director's daemon.
func (s *site) ipvsd(p plan) *lab.Proc { return s.director.Start(s.ipvsdArgs(s.ipvsdFile(p))...) }

// keepalived starts keepalived's checker alone.
func (s *site) keepalived(p plan) *lab.Proc {
	var b strings.Builder
	seconds := func(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
	for i := range p.virtuals {
		fmt.Fprintf(&b, "virtual_server %s %d {\n  delay_loop %s\n  lb_algo rr\n  lb_kind NAT\n  protocol TCP\n", vip, p.vip(i).Port(), seconds(p.interval))
		for j := range p.reals {
			fmt.Fprintf(&b, "  real_server %s %d {\n    weight 1\n    inhibit_on_failure\n", p.real(i, j).Addr(), p.real(i, j).Port())
			switch p.kind(i) {
			case "http":
				fmt.Fprintf(&b, "    HTTP_GET {\n      url {\n        path %s\n        status_code 200\n      }\n", page)
			case "connect":
				b.WriteString("    TCP_CHECK {\n")
			case "smtp":
				b.WriteString("    SMTP_CHECK {\n")
			}
			fmt.Fprintf(&b, "      connect_timeout %s\n      retry 0\n    }\n  }\n", seconds(p.timeout))
		}
		b.WriteString("}\n")
	}
	return s.director.Start("/usr/sbin/keepalived", "--dont-fork", "--log-console", "--check",
		"--use-file", s.write("keepalived.conf", b.String()),
		"--pid", filepath.Join(s.dir, "keepalived.pid"), "--checkers_pid", filepath.Join(s.dir, "checkers.pid"))
}

// ldirectord starts ldirectord, one process for all.
func (s *site) ldirectord(p plan) *lab.Proc {
	var b strings.Builder
	fmt.Fprintf(&b, "supervised=yes\nquiescent=yes\nfork=%s\ncheckinterval=%d\nchecktimeout=%d\nnegotiatetimeout=%d\n", p.fork,
		int(p.interval.Seconds()), int(p.timeout.Seconds()), int(p.timeout.Seconds()))
	for i := range p.virtuals {
		fmt.Fprintf(&b, "virtual=%s\n", p.vip(i))
		for j := range p.reals {
			fmt.Fprintf(&b, "\treal=%s masq\n", p.real(i, j))
		}
		b.WriteString("\tscheduler=rr\n\tprotocol=tcp\n")
		switch p.kind(i) {
		case "http":
			fmt.Fprintf(&b, "\tservice=http\n\tchecktype=negotiate\n\trequest=%q\n\treceive=\"Test Page\"\n", page[1:])
		case "connect":
			b.WriteString("\tservice=none\n\tchecktype=connect\n")
		case "smtp":
			b.WriteString("\tservice=smtp\n\tchecktype=negotiate\n")
		}
	}
	return s.director.Start("/usr/sbin/ldirectord", s.write("ldirectord.cf", b.String()), "start")
}

// end stops a daemon, and its children with it, and empties the table.
func (s *site) end(p *lab.Proc) {
	s.b.stop(p)
	s.director.Run("ipvsadm", "-C")
}
