package ldirectord

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/config/convert"
	"github.com/ipvsd/ipvsd/director/config/convert/emit"
)

// sectionMail are the directives about mail that a section may have and that are
// for all virtual services in ipvsd.
var sectionMail = []string{"smtp", "emailalertstatus", "emailalertfreq"}

// told writes [hooks] and [email], and maintenance_dir. The first file decides.
func (b *builder) told(p *parsed) {
	if i := p.global("maintenancedir"); i != nil {
		if strings.HasPrefix(i.text, "/") {
			b.once(p, "director", "maintenance_dir", i.text, i)
			p.remark(i.line, "maintenancedir: for a file that is named after a host, ldirectord looks up the name of each server's address, and takes it with or without its domain; ipvsd looks up the addresses of the file's name, once a minute. A port in a file's name is the one in the kernel's table. Files named after addresses mean the same")
		} else {
			p.lose(i.line, fmt.Sprintf("maintenancedir: %q doesn't begin with /; it was left out", i.text))
		}
	}
	b.callback(p)
	if i := p.global("emailalert"); i != nil {
		if list := p.addresses(i); len(list) > 0 {
			b.once(p, "email", "to", list, i)
		}
		if p.global("smtp") == nil {
			p.remark(i.line, "emailalert: ldirectord calls this machine's mail program; ipvsd speaks SMTP to localhost:25, where the same mail server should listen")
		}
	}
	if i := p.global("emailalertfrom"); i != nil {
		if from, ok := convert.MailAddress(i.text); ok {
			b.once(p, "email", "from", from, i)
		} else {
			p.lose(i.line, fmt.Sprintf("emailalertfrom: %q is not an address for mail; it was left out", i.text))
		}
	}
	for _, name := range sectionMail {
		if i := p.global(name); i != nil {
			b.mailSetting(p, i)
		}
		for _, v := range p.virtuals {
			if i := v.own(name); i != nil && !quietSection(p, v, i) {
				b.mailSetting(p, i)
			}
		}
	}
}

// quietSection tells whether a section's emailalertstatus only turns its own
// mail off, which email = "off" does.
func quietSection(p *parsed, v *virtual, i *item) bool {
	return i.name == "emailalertstatus" && len(noneLeft(i)) == 0 && p.either(v, "emailalert") != nil
}

// noneLeft are the states in which mail is sent.
func noneLeft(i *item) []string {
	return slices.DeleteFunc(splitStates(i.text), func(s string) bool { return s == "none" || s == "" })
}

// mailSetting writes one of sectionMail.
func (b *builder) mailSetting(p *parsed, i *item) {
	switch i.name {
	case "smtp":
		if strings.Contains(i.text, "+") {
			p.lose(i.line, fmt.Sprintf("smtp: %q is not a host; it was left out", i.text))
			return
		}
		b.once(p, "email", "smtp", i.text+":25", i)
	case "emailalertfreq":
		if i.num == 0 {
			return
		}
		if i.num < 10 {
			p.remark(i.line, "emailalertfreq: ipvsd repeats a mail each 10 s at most; so does the output")
		}
		b.once(p, "email", "repeat", secondsOf(max(i.num, 10)), i)
	case "emailalertstatus":
		states := noneLeft(i)
		switch {
		case len(states) == 0:
			states = []string{"none"}
		case slices.Contains(states, "all"):
			states = []string{"all"}
		}
		b.once(p, "email", "only", states, i)
	}
}

// once sets a key of a table that all files share.
func (b *builder) once(p *parsed, table, key string, value any, i *item) {
	t := b.doc.Table(table)
	b.places[t] = place{p, i.line}
	if was := t.Get(key); was != nil {
		i.told = true
		if fmt.Sprint(was.Value()) != fmt.Sprint(value) {
			p.lose(i.line, fmt.Sprintf("%s: it is for all virtual services in ipvsd; the output has %s = %v", i.name, key, was.Value()))
		}
		return
	}
	put(t, key, value, i)
}

func (p *parsed) addresses(i *item) []string {
	var out []string
	for text := range strings.SplitSeq(i.text, ",") {
		a, ok := convert.MailAddress(text)
		switch {
		case strings.TrimSpace(text) == "":
		case !ok:
			p.lose(i.line, fmt.Sprintf("emailalert: %q is not an address for mail; it was left out", strings.TrimSpace(text)))
		default:
			out = append(out, a)
		}
	}
	return out
}

// callback is run with the file as its only argument.
func (b *builder) callback(p *parsed) {
	i := p.global("callback")
	if i == nil || i.text == "" {
		return
	}
	switch words := strings.Fields(i.text); {
	case len(words) == 0:
		return
	case len(words) > 1:
		p.remark(i.line, "callback: with arguments ldirectord never runs it; the output does")
	}
	p.remark(i.line, "callback: it is given ipvsd's file, and is run after that was taken over; look that it copies the right one")
	b.once(p, "hooks", "reload", append(shell(i.text), config.DefaultFile), i)
}

// shell is a command line as a list: its words where that is all there is to it,
// else a shell that reads it and whatever comes behind.
func shell(line string) []string {
	words := strings.Fields(line)
	if len(words) > 0 && strings.HasPrefix(words[0], "/") && !strings.ContainsAny(line, "$`\\;|&<>()*?~'\"[]{}!#=\x00") {
		return words
	}
	return []string{"/bin/sh", "-c", strings.ReplaceAll(line, "\x00", "") + ` "$@"`, "sh"}
}

// hooks writes the fallbackcommand. Its arguments say which virtual service it
// is about, so that each has its own.
func (b *builder) hooks(pl *plan, t *emit.Table) {
	i := pl.either(pl.v, "fallbackcommand")
	if i == nil || i.text == "" || i.text == `""` || pl.v.off {
		return
	}
	where, protocol := ":0", "fwm"
	if v := pl.v; v.host != "" {
		where, protocol = v.addr.Addr.String()+":"+strconv.Itoa(int(v.number)), v.protocol
		if v.v6 {
			where = "[" + v.addr.Addr.String() + "]:" + strconv.Itoa(int(v.number))
		}
	}
	h := t.Table("hooks")
	b.places[h] = place{pl.parsed, i.line}
	command := shell(i.text)
	arguments := func(word string) []string { return append(slices.Clone(command), word, where, protocol) }
	put(h, "virtual_down", arguments("start"), i)
	h.Set("virtual_up", arguments("stop"))
}

// email writes who is told of one virtual service, where that is not [email]'s.
func (b *builder) email(pl *plan, t *emit.Table) {
	v := pl.v
	if i := v.own("emailalertstatus"); i != nil && quietSection(pl.parsed, v, i) {
		put(t, "email", "off", i)
		return
	}
	if i := v.own("emailalert"); i != nil {
		if list := pl.addresses(i); len(list) > 0 {
			put(t, "email", list, i)
		}
	}
}

// comment writes what people said about the service.
func (b *builder) comment(pl *plan, t *emit.Table) {
	const most = 300 // bytes, in director/config
	i := pl.v.own("comment")
	if i == nil {
		return
	}
	text := strings.TrimSpace(unquote(i.text))
	switch {
	case text == "":
	case len(text) > most || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }):
		pl.lose(i.line, "comment: it is too long, or has characters that can't be printed; it was left out")
	default:
		put(t, "comment", text, i)
	}
}
