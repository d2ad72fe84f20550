package ldirectord

import (
	"fmt"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/checker"
)

// plan is the check of a virtual service, before it is written.
type plan struct {
	*parsed
	v        *virtual
	kind     checker.Type
	ratio    int64  // connects after a negotiate
	why      string // a comment for the type
	interval time.Duration
	timeout  time.Duration
	fall     int64
}

// takes says which directives each type uses. Others have no effect in
// ldirectord either.
var takes = map[checker.Type]string{
	checker.HTTP: "request receive httpmethod virtualhost", checker.HTTPS: "request receive httpmethod virtualhost",
	checker.HTTPProxy: "request receive httpmethod", checker.DNS: "request receive", checker.FTP: "request receive login passwd",
	checker.IMAP: "login passwd", checker.IMAPS: "login passwd", checker.POP: "login passwd", checker.POPS: "login passwd",
	checker.LDAP: "request receive login passwd", checker.LDAPS: "request receive login passwd",
	checker.MySQL: "request login passwd database", checker.PgSQL: "request login passwd database", checker.Oracle: "database",
	checker.Radius: "login passwd secret", checker.SimpleTCP: "request receive", checker.SIP: "login", checker.External: "checkcommand",
}

func (pl *plan) takes(name string) bool {
	for t := range strings.FieldsSeq(takes[pl.kind]) {
		if t == name {
			return true
		}
	}
	return false
}

// plan decides how a virtual service is checked.
func (p *parsed) plan(v *virtual) *plan {
	pl := &plan{parsed: p, v: v, kind: checker.Type(v.service), interval: 10 * time.Second, fall: 1}
	mode := "negotiate"
	if i := v.own("checktype"); i != nil {
		mode, pl.ratio = i.text, i.num
	}
	switch mode {
	case "connect":
		pl.connect()
	case "ping", "on", "off", "external":
		pl.kind = checker.Type(mode)
	case "external-perl":
		pl.kind = checker.External
	default:
		if v.service == "none" && v.vague {
			pl.kind = checker.On
		} else if v.service == "none" {
			pl.unchecked()
		}
	}
	pl.hopeless()
	pl.unlike()
	pl.times(mode)
	return pl
}

// connect is a connection, or what ldirectord makes of it where there is none.
func (pl *plan) connect() {
	pl.kind = checker.Connect
	if pl.v.protocol == "udp" {
		pl.kind, pl.why = checker.Ping, "udp has no connections"
		pl.remark(pl.v.set["checktype"].line, "checktype: with protocol=udp ldirectord pings instead of connecting; so does the output")
	}
}

// unchecked is a negotiate without a service.
func (pl *plan) unchecked() {
	v, i := pl.v, pl.v.own("service")
	switch {
	case pl.ratio > 0 && v.protocol == "tcp":
		pl.kind, pl.ratio = checker.Connect, 0
		pl.remark(v.set["checktype"].line, "checktype: there is no service to negotiate with, so ldirectord only connects; so does the output")
		return
	case i != nil:
		pl.why = "service=none"
		pl.remark(i.line, "service: ldirectord checks nothing with none and counts the servers as up; so does the output, with type = \"on\"")
	case v.host == "":
		pl.why = "never checked by ldirectord: a firewall mark without a service"
		pl.remark(v.line, "a firewall mark without service= and checktype= is never checked by ldirectord, its servers always count as up; so does the output, with type = \"on\". Better give [virtual.check] a type and a port")
	default:
		pl.why = fmt.Sprintf("never checked by ldirectord: it knows no service of port %s", v.port)
		pl.remark(v.line, fmt.Sprintf("ldirectord knows no service of port %s and never checks its servers, they always count as up; so does the output, with type = \"on\". Better give [virtual.check] a type, such as \"connect\"", v.port))
	}
	pl.kind, pl.ratio = checker.On, 0
}

// hopeless finds checks that can't ever be good. Such a service has only its
// fallback, and so the output says off.
func (pl *plan) hopeless() {
	var without string
	need := func(names ...string) {
		for _, name := range names {
			if pl.v.own(name) == nil && without == "" {
				without = name
			}
		}
	}
	switch pl.kind {
	case checker.DNS:
		need("request", "receive")
	case checker.MySQL, checker.PgSQL, checker.Oracle:
		need("login", "request")
	case checker.Radius:
		need("secret")
	case checker.FTP:
		if pl.v.own("receive") != nil {
			need("request")
		}
	}
	if without != "" {
		pl.lose(pl.v.line, fmt.Sprintf("a check of %s without %s is never good for ldirectord: its servers are always down. The output has type = \"off\"; give [virtual.check] type = %q and what is missing", pl.kind, without, string(pl.kind)))
		pl.never(fmt.Sprintf("ldirectord's check of %s can't succeed without %s", pl.kind, without))
	}
}

func (pl *plan) never(why string) {
	pl.kind, pl.why, pl.ratio = checker.Off, why, 0
}

// unlike finds checks that ipvsd makes in another way.
func (pl *plan) unlike() {
	switch request := pl.v.own("request"); pl.kind {
	case checker.HTTPProxy:
		if request == nil || !strings.HasPrefix(strings.TrimPrefix(request.text, "/"), "http://") {
			pl.kind, pl.ratio, pl.why = checker.Connect, 0, "no http:// URL to fetch through the proxy"
			pl.lose(pl.v.line, `ldirectord asks the proxy for the proxy's own address; ipvsd asks for a whole URL. The output only connects: write type = "http_proxy" and request = "http://…" there`)
		}
	case checker.Oracle:
		pl.lose(pl.v.line, "ldirectord logs in to Oracle and asks a query; ipvsd asks the listener for the service only")
	}
}

// times picks interval, timeout and the number of failures. The two timeouts
// of ldirectord are each other's default, in an order of their own.
func (pl *plan) times(mode string) {
	if i := pl.either(pl.v, "checkinterval"); i != nil {
		pl.interval = secondsOf(i.num)
	}
	if i := pl.either(pl.v, "failurecount"); i != nil {
		pl.fall = min(i.num, 65535)
	}
	short, long := "checktimeout", "negotiatetimeout"
	fallback := int64(5)
	if !pl.onCheckTimeout(mode) {
		short, long, fallback = long, short, 30
	}
	n := fallback
	for _, i := range []*item{pl.v.own(short), pl.v.own(long), pl.global(short), pl.global(long)} {
		if i != nil && i.num > 0 {
			n = i.num
			break
		}
	}
	if pl.kind == checker.Ping && mode == "ping" {
		if i := pl.either(pl.v, "checkcount"); i != nil {
			n *= min(i.num, 1000)
		}
	}
	pl.timeout = secondsOf(n)
}

// onCheckTimeout tells which of the two limits a check.
func (pl *plan) onCheckTimeout(mode string) bool {
	switch pl.kind {
	case checker.LDAP, checker.LDAPS, checker.Radius:
		return true
	}
	return mode == "connect" || mode == "ping" || strings.HasPrefix(mode, "external") || pl.kind == checker.Connect
}

// secondsOf makes a duration that no one can wait for at most.
func secondsOf(n int64) time.Duration {
	return time.Duration(min(n, 366*86400)) * time.Second
}
