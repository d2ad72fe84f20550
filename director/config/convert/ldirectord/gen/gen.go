// Package gen writes files for ldirectord's parser: whole ones from its
// grammar, with a slip here and there. Tests import them, and a lab with the
// real program compares what it accepts. The files name only numeric addresses,
// and log only where it does no harm.
package gen

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Options say how wild the files are.
type Options struct {
	Slips float64 // the part of the lines that are wrong, 0 to 1
}

// File returns a file. The same source of chance gives the same file.
func File(r *rand.Rand, o Options) []byte {
	g := &generator{Rand: r, Options: o}
	for range g.IntN(6) {
		g.global()
	}
	for range g.IntN(4) {
		g.section()
		if g.maybe(0.1) {
			g.global()
		}
	}
	text := g.out.String()
	if g.slip() && g.maybe(0.3) {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	if g.maybe(0.1) {
		text = strings.TrimSuffix(text, "\n")
	}
	return []byte(text)
}

type generator struct {
	*rand.Rand
	Options
	out strings.Builder
}

func (g *generator) maybe(p float64) bool { return g.Float64() < p }
func (g *generator) slip() bool           { return g.maybe(g.Slips) }

func (g *generator) pick(words ...string) string { return words[g.IntN(len(words))] }

// line writes one line, perhaps spoiled.
func (g *generator) line(indent, text string) {
	if g.slip() {
		text = g.spoil(text)
	}
	if g.slip() {
		indent = g.pick("", " ", "  ", "   ", "    ", "\t", " \t", "        ")
	}
	g.out.WriteString(indent + text + "\n")
	if g.slip() {
		g.out.WriteString(g.pick("\n", "    \n", "     \n", "\t\n", "\t\t\n", "# c\n", "    # c\n", " # c\n", "\r\n"))
	}
}

// spoil changes a few characters.
func (g *generator) spoil(s string) string {
	i := g.IntN(len(s) + 1)
	switch g.IntN(5) {
	case 0:
		return s[:i] + g.pick(" ", "#", `"`, ",", ":", "-", "_", ".", "=", "0", "5", "x", "\t", "\r", "\v", "'", "[", "]", "é", "->", "::") + s[i:]
	case 1:
		return s[:i] + s[min(i+1, len(s)):]
	case 2:
		return s + g.pick(" ", " # comment", "#", " x", "\r", " 5", `"`, ";")
	case 3:
		return strings.Replace(s, "=", g.pick(" = ", " =", "= ", " ", ":", "=="), 1)
	}
	return g.pick(strings.ToUpper(s), " "+s, strings.ReplaceAll(s, `"`, "'"), strings.ReplaceAll(s, `"`, ""))
}

func (g *generator) number() string {
	if g.slip() {
		return g.pick("0", "00", "-3", "1.5", "5s", "abc7", "", "0.5", "500ms", "007", `"4"`, "99999999999")
	}
	return fmt.Sprint(1 + g.IntN(30))
}

func (g *generator) yes() string {
	if g.slip() {
		return g.pick("Yes", "yes ", "true", `"yes"`, "", "no # c", "on", "yesno")
	}
	return g.pick("yes", "no")
}

func (g *generator) text() string {
	if g.slip() {
		return g.pick(`""`, `"a" "b"`, `x`, `"x`, `x"`, `"a#b"`, `'a'`, `"a"b`, `" "`, `"/x 5 y"`, "“a”", `"a" # "c"`)
	}
	return g.pick(`"/index.html"`, `"index.html"`, `"OK"`, `"a b"`, `"dc=x, dc=y"`, `"SELECT 1"`, `"say "hi""`)
}

func (g *generator) global() {
	g.line("", g.globalText())
}

func (g *generator) globalText() string {
	switch g.IntN(14) {
	case 0, 1, 2:
		return g.pick("checktimeout", "negotiatetimeout", "checkinterval", "checkcount", "failurecount") + "=" + g.number()
	case 3, 4:
		return g.pick("autoreload", "fork", "quiescent", "readdquiescent", "cleanstop", "supervised") + "=" + g.yes()
	case 5:
		return "fallback=" + g.fallback(false)
	case 6:
		return "fallback6=" + g.fallback(true)
	case 7:
		return "logfile=" + g.pick(`"local0"`, `"/dev/null"`, `local0`, `"daemon" # x`)
	case 8:
		return g.mail()
	case 9:
		return g.pick("callback", "execute", "fallbackcommand", "maintenancedir", "emailalertfrom") + "=" + g.pick(`"/bin/true"`, "/nonexistent", "", `""`, "x # y")
	case 10:
		return g.pick("# a comment", "#", "  # indented", "supervised", "supervised ", "supervised yes", "supervisedx")
	case 11:
		return g.pick("", " ", "\t")
	}
	if g.slip() {
		return g.pick("timeout=3", "connecttimeout=3", "service=http", "foo", "[vip]", "scheduler=rr", "Checktimeout=3", "load=3", "monitorfile=/dev/null")
	}
	return "checkinterval = " + g.number()
}

func (g *generator) mail() string {
	switch g.IntN(4) {
	case 0:
		return "emailalert=" + g.pick("a@example.org", `"a@example.org"`, `"a@example.org" # x`, "", `""`, "a@example.org, b@example.org")
	case 1:
		return "emailalertfreq=" + g.pick("0", "3600", "x", "", " 5", `"5"`, "-1")
	case 2:
		return "emailalertstatus=" + g.pick("all", "none", "starting,stopping", "starting, stopping ", "none,all", "", "all,", ",all", "All", "none,none", "running , reloading")
	}
	return "smtp=" + g.pick("mail.example.org", `"mail"`, "192.0.2.25", "", "[::1]", "mail:25")
}

func (g *generator) quad() string {
	if g.slip() {
		return g.pick("10.1", "0x0a.1.2.3", "010.0.0.1", "300.1.1.1", "1.2.3", "1.2.3.4.5", "5060", "0.0.0.0", "1.2.3.4.")
	}
	return fmt.Sprintf("10.%d.%d.%d", g.IntN(3), g.IntN(3), 1+g.IntN(9))
}

func (g *generator) six() string {
	if g.slip() {
		return g.pick("[::]", "[2001:db8::g]", "2001:db8::1", "[::1", "[1:2:3:4:5:6:7:8]", "[::ffff:192.0.2.1]", "[2001:db8::1%eth0]", "[]", "192.0.2.1")
	}
	return fmt.Sprintf("[2001:db8::%x]", 1+g.IntN(30))
}

func (g *generator) port() string {
	if g.slip() {
		return g.pick("0", "65535", "65536", "080", "nosuch", "", "a_b", "00", "domain", "www", "radius")
	}
	return g.pick("80", "443", "53", "25", "8080", "http", "https", "21", "3306", "5060", "1812")
}

func (g *generator) fallback(v6 bool) string {
	host := g.quad()
	if v6 {
		host = g.six()
	}
	if g.maybe(0.7) {
		host += ":" + g.port()
	}
	if g.maybe(0.6) {
		host += g.pick(" ", "  ", "\t") + g.method()
	}
	if g.slip() {
		host = g.pick(host+" # c", host+" ", "x "+host, "", host+" gate gate", host+" #gate")
	}
	return host
}

func (g *generator) method() string {
	if g.slip() {
		return g.pick("Gate", "dr", "", "gatex", `"gate"`, "-gate", "gate,", "nat", "gate masq")
	}
	return g.pick("gate", "masq", "ipip")
}
