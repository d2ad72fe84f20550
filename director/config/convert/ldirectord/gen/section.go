package gen

import "fmt"

func (g *generator) section() {
	v6 := g.maybe(0.15)
	g.line("", g.virtual(v6))
	indent := g.pick("    ", "\t", "        ", "      ")
	for range g.IntN(4) {
		g.line(indent, g.real(v6))
	}
	for range g.IntN(6) {
		g.line(indent, g.option(v6))
	}
	if g.maybe(0.8) {
		g.out.WriteString("\n")
	}
}

func (g *generator) virtual(v6 bool) string {
	name, host := "virtual", g.quad()
	if v6 {
		name, host = "virtual6", g.six()
	}
	if g.slip() {
		return name + "=" + g.pick("0", "5 # mark", host, host+":", "x.y.z:80", "[::1]:80", host+":80 tail", "", host+":80,443", `"`+host+`:80"`, "7x")
	}
	if g.maybe(0.15) {
		return name + "=" + fmt.Sprint(1+g.IntN(9))
	}
	return name + "=" + host + ":" + g.port()
}

func (g *generator) real(v6 bool) string {
	name, host := "real", g.quad()
	if v6 {
		name, host = "real6", g.six()
	}
	if g.slip() {
		name = g.pick("real", "real6")
	}
	if !v6 && g.maybe(0.15) {
		host = "10.0.0.1->10.0.0." + fmt.Sprint(g.IntN(4))
	}
	if g.slip() {
		host = g.pick(host+":", host+"::5060", "my_"+host, host+"->", "->"+host, host+" :80", "_x", host+"->"+host)
	}
	if g.maybe(0.6) {
		host += ":" + g.port()
	}
	text := name + "=" + host + g.pick(" ", "  ", "\t") + g.method()
	if g.maybe(0.6) {
		text += " " + g.weight()
	}
	if g.maybe(0.2) {
		text += " " + g.texts()
	}
	if g.maybe(0.2) {
		text += " " + g.thresholds()
	}
	return text
}

func (g *generator) weight() string {
	if g.slip() {
		return g.pick("-1", "0", "-w 3", "w3", "3x", "1.5", `"3"`, "70000", "03", "1 2")
	}
	return fmt.Sprint(g.IntN(100))
}

func (g *generator) texts() string {
	if g.slip() {
		return g.pick(`"a"`, `"a" , "b"`, `"a""b"`, `"a",,"b"`, `"a 5 b","c"`, `a,b`, `"a";"b"`, `"a","b","c"`, `"","b"`, `"a",""`, `"a","b" 7`)
	}
	return g.pick(`"a","b"`, `"/a", "b c"`, `"a" "b"`, `"http://192.0.2.9/x","y"`, `"a","b"`+"\t")
}

func (g *generator) thresholds() string {
	if g.slip() {
		return g.pick(`"l:50" "u:100"`, "u:100 l:50", "l:x", "l:50,u:100", "L:50", "u:50u", "l:5 l:6")
	}
	return g.pick("l:50 u:100", "u:100", "l:50")
}

func (g *generator) option(v6 bool) string {
	six := ""
	if v6 != g.slip() {
		six = "6"
	}
	switch g.IntN(16) {
	case 0:
		if g.slip() {
			return "checktype=" + g.pick("connect2", "Connect", `"ping"`, "external perl", "none", "", "0", "negotiate # c", "-1", "off on")
		}
		return "checktype=" + g.pick("connect", "negotiate", "ping", "off", "on", "external", "external-perl", "3")
	case 1:
		if g.slip() {
			return "service=" + g.pick("ssh", "HTTP", `"http"`, "http-proxy", "", "https x", "telnet")
		}
		return "service=" + g.pick("dns", "ftp", "http", "https", "http_proxy", "imap", "imaps", "ldap", "ldaps", "mysql", "nntp", "none",
			"oracle", "pgsql", "pop", "pops", "radius", "simpletcp", "sip", "smtp", "submission")
	case 2, 3:
		return g.pick("request", "receive", "login", "passwd", "database", "secret", "load") + "=" + g.text()
	case 4:
		return "checkcommand=" + g.pick(`"/bin/true"`, "/bin/true", `"/bin/true -x"`, "", `""`, `"true"`, "/bin/a#b", `" "`)
	case 5:
		return "checkport=" + g.pick("80", "8080", "0", "65535", "65536", "http", "80 # c", `"80"`)
	case 6:
		return "httpmethod=" + g.pick("GET", "HEAD", "get", "Head", "POST", "", `"GET"`, "GETX")
	case 7:
		return "virtualhost=" + g.pick("www.example.org", `"www.example.org"`, "", "a b", `"a`, "www.example.org ", "x#y")
	case 8:
		return "scheduler=" + g.pick("rr", "wrr", "wlc", "sh-port", "WLC", "Wlc", "", "mh # c", `"lc"`, "x1")
	case 9:
		return "persistent=" + g.pick("600", "0", "x", "", "600s", "10m") + g.pick("", "\n\tnetmask="+g.pick("255.255.255.0", "24", "255.255.255.0 ", "64", "129", "999.1.1.1", "255.0.255.0"))
	case 10:
		return "protocol=" + g.pick("tcp", "udp", "fwm", "TCP", "", `"udp"`, "sctp", "tcp # c")
	case 11:
		return g.pick("quiescent", "cleanstop", "ops") + "=" + g.yes()
	case 12:
		return g.pick("checktimeout", "negotiatetimeout", "checkinterval", "checkcount", "failurecount") + "=" + g.number()
	case 13:
		return "fallback" + six + "=" + g.fallback(v6)
	case 14:
		return g.pick(g.mail(), "fallbackcommand=/bin/true", `fallbackcommand=""`, "servicename=shop", "comment=a b # c", "monitorfile=/dev/null", `monitorfile="/dev/null"`,
			"schedflags=sh-port", "schedflags=")
	}
	if g.slip() {
		return g.pick("autoreload=yes", "connecttimeout=3", "foo=bar", "weight=3", "virtual=10.0.0.9:80", "netmask=255.255.255.255", "real 10.0.0.1 gate", "timeout=3")
	}
	return g.pick("# comment", "netmask=255.255.255.0", "checktype = negotiate", "scheduler  =  wlc")
}
