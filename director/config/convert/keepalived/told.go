package keepalived

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ipvsd/ipvsd/director/config/convert"
)

// alerts is what smtp_alert is where a block doesn't say it.
type alerts struct {
	to            bool // somebody is told at all
	virtual, real bool
}

const (
	maxMailTo   = 100
	smtpPort    = 25
	maxHookText = 100_000 // the kernel takes 128 KiB for one argument
)

// mail writes [email].
func (im *importer) mail(globals []*node) {
	im.alerts = alerts{real: true} // not what is usual elsewhere, but keepalived's
	var to []string
	var from *node
	for _, g := range globals {
		for _, key := range []string{"smtp_alert", "smtp_alert_checker"} { // the second wins
			if n := g.last(key); n != nil {
				im.alerts.virtual, im.alerts.real = enabled(n), enabled(n)
			}
		}
		for _, block := range g.blocks("notification_email") {
			from = block
			for _, e := range block.body {
				if a, ok := convert.MailAddress(e.text); !ok {
					im.lose(block, "%q is not an address for mail", e.text)
				} else if !slices.Contains(to, a) {
					to = append(to, a)
				}
			}
		}
	}
	if len(to) > maxMailTo {
		im.lose(from, "%d addresses; there can be %d, the rest aren't told", len(to), maxMailTo)
		to = to[:maxMailTo]
	}
	if im.alerts.to = len(to) > 0; im.alerts.to {
		im.set(im.doc.Table("email"), from, "to", to)
		im.tell(from, "one message tells what changed within 5 s, of virtual services, too, and the active director alone sends it; keepalived sends one for each change, from each director")
	}
	for _, g := range globals {
		if n := g.last("notification_email_from"); n != nil {
			if a, ok := convert.MailAddress(strings.TrimSpace(strings.TrimPrefix(n.text, n.key()))); ok {
				im.set(im.doc.Table("email"), n, "from", a)
			} else {
				im.lose(n, "%q is not an address for mail", n.arg(0))
			}
		}
		if n := g.last("smtp_server"); n != nil {
			im.smtpServer(n)
		}
	}
}

// smtpServer writes smtp, which may be a name.
func (im *importer) smtpServer(n *node) {
	host, port := n.arg(0), int64(smtpPort)
	if n.arg(1) != "" {
		port = im.number(n, 1, smtpPort, 1, 65535)
	}
	_, err := netip.ParseAddr(host)
	name := strings.Trim(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == ""
	if host == "" || err != nil && !name {
		im.lose(n, "%q is not a mail server", host)
		return
	}
	im.set(im.doc.Table("email"), n, "smtp", net.JoinHostPort(host, strconv.FormatInt(port, 10)))
}

// email writes whether somebody is told of this virtual service. Here all of
// it is told or nothing.
func (v *virtual) email() {
	told := func(n *node, def bool) bool {
		if n = n.last("smtp_alert"); n != nil {
			return enabled(n)
		}
		return def
	}
	all := v.n.all("real_server")
	silent := slices.DeleteFunc(slices.Clone(all), func(n *node) bool { return told(n, v.alerts.real) })
	switch {
	case !v.alerts.to:
		for _, n := range append(all, v.n) {
			if a := n.last("smtp_alert"); a != nil {
				v.tell(a, "there is no notification_email, so nobody is told")
			}
		}
	case !told(v.n, v.alerts.virtual) && len(silent) == len(all):
		if a := v.n.last("smtp_alert"); a != nil {
			v.set(a, "email", "off")
		} else {
			v.t.Set("email", "off")
		}
	case len(silent) > 0:
		v.lose(silent[0], "no mail was sent about it; here the mail about a virtual service is about all of its real servers")
	}
}

// hooks writes [virtual.hooks].
func (v *virtual) hooks(reals []*real) {
	for _, k := range []struct{ key, word string }{{"real_up", "notify_up"}, {"real_down", "notify_down"}} {
		v.realHook(reals, k.key, k.word)
	}
	for _, k := range []struct{ key, word, more string }{
		{"virtual_up", "quorum_up", " keepalived runs it at its start, too; ipvsd only after a virtual_down."},
		{"virtual_down", "quorum_down", ""},
	} {
		n := v.n.last(k.word)
		if n == nil {
			continue
		}
		if argv := v.command(n); len(argv) > 0 {
			v.hook(n, k.key, argv, k.more)
		}
	}
}

// hook writes one program, and says what is otherwise with it.
func (v *virtual) hook(n *node, key string, argv []string, more string) {
	variable := "IPVSD_REAL"
	if strings.HasPrefix(key, "virtual_") {
		variable = "IPVSD_VIRTUAL"
	}
	if v.to.n != v.n {
		more += " Each address of the group has its own run."
	}
	v.tell(n, "it is %s of [virtual.hooks], with the same arguments; what happened is in its environment, too, such as %s.%s It runs as ipvsd's user, 10 s at most, and again where it fails: timeout and retries of [hooks]", key, variable, more)
	v.importer.set(v.t.Table("hooks"), n, key, argv)
}

// realHook writes the program for real servers. Where they have different
// ones, a shell chooses.
func (v *virtual) realHook(reals []*real, key, word string) {
	var first *node
	var programs []string // in a shell's words
	var direct []string   // the last one as it is
	of := make(map[string][]string)
	count := 0
	for _, r := range reals {
		n := r.n.last(word)
		if r.bad != "" {
			continue
		}
		count++
		if n == nil {
			continue
		}
		argv := v.command(n)
		if len(argv) == 0 {
			continue
		}
		if first == nil {
			first = n
		}
		words := make([]string, len(argv))
		for i, w := range argv {
			words[i] = quoted(w)
		}
		text := strings.Join(words, " ")
		if of[text] == nil {
			programs = append(programs, text)
		}
		of[text] = append(of[text], quoted(netip.AddrPortFrom(r.addr, r.port).String()))
		direct = argv
	}
	switch {
	case first == nil:
	case len(programs) == 1 && len(of[programs[0]]) == count:
		v.hook(first, key, direct, "")
	default:
		var b strings.Builder
		b.WriteString("case $IPVSD_REAL in")
		for _, p := range programs {
			b.WriteString(" " + strings.Join(of[p], "|") + ") exec " + p + ";;")
		}
		b.WriteString(" esac")
		if b.Len() > maxHookText {
			v.lose(first, "too many different programs; write one to %s in [virtual.hooks] that looks at IPVSD_REAL", key)
			return
		}
		v.hook(first, key, []string{"/bin/sh", "-c", b.String()}, " The shell chooses the real server's own.")
	}
}
