package gen

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// Farm is what a lab can play: web servers on ports 80 and 8080 with a few
// pages, an echo on port 7, pings, and a program for external checks. Its files
// have no slips and name nothing else, so that a real ldirectord can run them.
type Farm struct {
	VIPs    []string // one for each virtual service
	Mark    int      // the firewall mark that stands for the first VIP, if it does; the others follow
	Reals   []string // neighbours, as a file may have a range of them
	Sorry   string   // the fallback
	Command string   // of external checks
}

// File returns a file with a virtual service for each VIP. Checks are often, as a
// lab has no time, and patient, as it is slow.
func (f Farm) File(r *rand.Rand) []byte {
	g := &player{&generator{Rand: r}, f}
	g.line("", "checkinterval=2")
	g.line("", "checktimeout=3")
	g.line("", "negotiatetimeout=5") // its first http check loads libraries; one that was cut short never works again
	for _, text := range []string{
		"quiescent=" + g.yes(), "readdquiescent=" + g.yes(), "failurecount=" + g.pick("1", "2"), "fallback=" + g.sorry(), "# a comment", "cleanstop=" + g.yes(),
	} {
		if g.maybe(0.5) {
			g.line("", text)
		}
	}
	for n, vip := range f.VIPs {
		g.service(n, vip)
		g.out.WriteString(g.pick("\n", "\n# another\n", "\n\n"))
	}
	return []byte(g.out.String())
}

type player struct {
	*generator
	farm Farm
}

func (g *player) service(n int, vip string) {
	indent := g.pick("    ", "\t", "      ")
	var options []string
	port, kind := "80", g.IntN(10)
	switch {
	case kind < 5:
		options = g.web()
	case kind < 7:
		port, options = "7", g.echo()
	case kind < 8:
		port, options = "53", []string{"protocol=udp", "checktype=" + g.pick("connect", "ping", "on"), "ops=" + g.yes()}
	case kind < 9:
		vip, port, options = fmt.Sprint(g.farm.Mark+n), "", append(g.web(), "service=http", "checkport=80")
	default:
		port, options = g.pick("2525", "8081"), []string{"checktype=" + g.pick("connect", "ping"), "checkport=80"}
	}
	if port != "" {
		vip += ":" + port
	}
	g.line("", "virtual="+vip)
	reals := g.reals(port)
	for _, text := range append(options, g.balance()...) {
		if g.maybe(0.2) && len(reals) > 0 { // the lines of a section have no order
			g.line(indent, reals[0])
			reals = reals[1:]
		}
		g.line(indent, text)
	}
	for _, text := range reals {
		g.line(indent, text)
	}
}

// web is a check of a page, or one that doesn't look at it.
func (g *player) web() []string {
	var out []string
	switch g.IntN(8) {
	case 0:
		return []string{"checktype=external", `checkcommand="` + g.farm.Command + `"`}
	case 1:
		return []string{"checktype=" + g.pick("ping", "on", "connect")}
	case 2:
		out = append(out, "checktype=2")
	case 3:
		out = append(out, "checktype=negotiate", "service=http")
	}
	if g.maybe(0.8) {
		out = append(out, `request="`+g.pick("index.html", "/index.html", "/", "moved", "/index.html?a=b&c=d", "deep/page.html")+`"`)
	}
	if g.maybe(0.2) {
		return append(out, "httpmethod="+g.pick("HEAD", "head", "GET"))
	}
	if g.maybe(0.8) {
		out = append(out, `receive="`+g.pick("Test Page", `T[e]st\s+Page`, "web[12]", "(?i)test page", "^This")+`"`)
	}
	if g.maybe(0.3) {
		out = append(out, "virtualhost="+g.pick("www.example.org", `"shop.example.org"`))
	}
	if g.maybe(0.2) {
		out = append(out, "checkport=8080")
	}
	return out
}

func (g *player) echo() []string {
	if g.maybe(0.4) {
		return []string{"checktype=connect"}
	}
	out := []string{"service=simpletcp", `request="` + g.pick("PING", `PING\n`, "/PING", `one\ntwo\n`) + `"`}
	return append(out, `receive="`+g.pick("web", "^web[123] ", "[A-Za-z]+$")+`"`)
}

// balance has what is not about the check.
func (g *player) balance() []string {
	var out []string
	if g.maybe(0.7) {
		s := g.pick("rr", "wrr", "lc", "wlc", "sh", "mh", "sed", "nq")
		out = append(out, "scheduler="+s)
		if (s == "sh" || s == "mh") && g.maybe(0.5) {
			out = append(out, "schedflags="+g.pick(s+"-port", s+"-fallback", s+"-fallback,"+s+"-port"))
		}
	}
	if g.maybe(0.3) {
		out = append(out, "persistent="+g.pick("60", "600", "3600"))
		if g.maybe(0.5) {
			out = append(out, "netmask="+g.pick("255.255.255.0", "255.255.0.0", "255.255.255.255"))
		}
	}
	for _, text := range []string{"quiescent=" + g.yes(), "failurecount=" + g.pick("1", "2"), "fallback=" + g.sorry(), "# comment", "checkinterval=2"} {
		if g.maybe(0.3) {
			out = append(out, text)
		}
	}
	return out
}

func (g *player) sorry() string {
	return g.farm.Sorry + g.pick("", ":80", ":80 gate", " masq", ":8080 masq", ":80 ipip")
}

// reals are one to three different servers, perhaps as a range.
func (g *player) reals(port string) []string {
	hosts := slices.Clone(g.farm.Reals)
	var out []string
	if g.maybe(0.2) {
		out = append(out, "real="+hosts[0]+"->"+hosts[1]+g.portAndMethod(port))
		hosts = hosts[2:]
	}
	g.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	for range max(1-len(out), g.IntN(3)) {
		if len(hosts) == 0 {
			break
		}
		out = append(out, "real="+hosts[0]+g.portAndMethod(port))
		hosts = hosts[1:]
	}
	return out
}

// portAndMethod is the rest of a real line. Only masq has a port of its own.
func (g *player) portAndMethod(port string) string {
	method, rest := g.pick("gate", "ipip", "masq"), ""
	switch {
	case port == "":
	case method == "masq" && port == "80":
		rest = g.pick(":80", ":8080")
	default: // a server without one doesn't come back with quiescent=yes: ldirectord adds what is there already
		rest = ":" + port
	}
	rest += " " + method
	if g.maybe(0.5) {
		rest += " " + g.pick("1", "5", "100")
	}
	if port == "80" && g.maybe(0.15) {
		rest += " " + g.pick(`"index.html","Test"`, `"deep/page.html", "web"`, `"moved" "Page"`) // with a / it forgets the second
	}
	if g.maybe(0.2) {
		rest += " " + g.pick("u:100", "l:50 u:100") // ipvsadm refuses the one without the other
	}
	return rest
}
