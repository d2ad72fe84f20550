package ldirectord

import (
	"fmt"
	"slices"
	"strings"
)

// reading is what a value was taken for.
type reading struct {
	text string
	num  int64
	bad  bool // no value can be made of it

	refused string // why ldirectord stops here, or ""
	misread string // what ldirectord takes it for without saying so, and what was made of it
}

// where is where a directive may stand.
type where uint8

const (
	global where = 1 << iota
	section
	both = global | section
)

// spec is a directive: where it may stand, and how its value is read.
type spec struct {
	where where
	read  func(value, full string, in where) reading
	quiet bool // its value is a secret
}

// specs are all directives but virtual and real.
var specs = map[string]spec{
	"checktimeout":     {where: both, read: timeout},
	"negotiatetimeout": {where: both, read: timeout},
	"checkinterval":    {where: both, read: number(1)},
	"checkcount":       {where: both, read: number(1)},
	"failurecount":     {where: both, read: number(1)},
	"quiescent":        {where: both, read: yesNo},
	"cleanstop":        {where: both, read: yesNo},
	"fallback":         {where: both, read: rest},
	"fallback6":        {where: both, read: rest},
	"fallbackcommand":  {where: both, read: command},
	"emailalert":       {where: both, read: mail},
	"emailalertfreq":   {where: both, read: leadingNumber},
	"emailalertstatus": {where: both, read: mailStates},
	"smtp":             {where: both, read: mailServer},

	"autoreload":     {where: global, read: yesNo},
	"fork":           {where: global, read: yesNo},
	"readdquiescent": {where: global, read: yesNo},
	"supervised":     {where: global, read: yesNo},
	"callback":       {where: global, read: quoted(true)},
	"logfile":        {where: global, read: quoted(true)},
	"execute":        {where: global, read: rest},
	"emailalertfrom": {where: global, read: notEmpty},
	"maintenancedir": {where: global, read: notEmpty},
	"timeout":        {where: global, read: gone("checktimeout and negotiatetimeout")},

	"connecttimeout": {where: both, read: gone("negotiatetimeout")},

	"real":         {where: section, read: rest},
	"real6":        {where: section, read: rest},
	"checktype":    {where: section, read: checkType},
	"service":      {where: section, read: word(services...)},
	"checkcommand": {where: section, read: command},
	"checkport":    {where: section, read: portNumber},
	"request":      {where: section, read: quoted(false)},
	"receive":      {where: section, read: quoted(false)},
	"httpmethod":   {where: section, read: method},
	"virtualhost":  {where: section, read: virtualHost},
	"login":        {where: section, read: quoted(false)},
	"passwd":       {where: section, read: quoted(false), quiet: true},
	"secret":       {where: section, read: quoted(false), quiet: true},
	"database":     {where: section, read: quoted(false)},
	"load":         {where: section, read: load},
	"scheduler":    {where: section, read: letters},
	"schedflags":   {where: section, read: firstWord},
	"persistent":   {where: section, read: number(0)},
	"netmask":      {where: section, read: bare},
	"protocol":     {where: section, read: word("tcp", "udp", "fwm")},
	"ops":          {where: section, read: yesNo},
	"monitorfile":  {where: section, read: command},
	"servicename":  {where: section, read: rest},
	"comment":      {where: section, read: rest},
}

var inGlobal, inSection = placed(global), placed(section)

func placed(w where) map[string]bool {
	names := make(map[string]bool)
	for name, s := range specs {
		if s.where&w != 0 {
			names[name] = true
		}
	}
	return names
}

// services are ldirectord's kinds of negotiate.
var services = []string{
	"dns", "ftp", "http", "https", "http_proxy", "imap", "imaps", "ldap", "ldaps", "mysql", "nntp", "none", "oracle",
	"pgsql", "pop", "pops", "radius", "simpletcp", "sip", "smtp", "submission",
}

// read reads an item's value and says what there is to say about it. v is the
// section it stands in, nil for none.
func (p *parsed) read(i *item, v *virtual) {
	in := global
	if v != nil {
		in = section
	}
	s := specs[i.name]
	i.reading = s.read(i.value, i.full, in)
	if v != nil {
		p.fits(i, v)
	}
	shown := fmt.Sprintf("%q", i.text)
	if s.quiet {
		shown = "what was probably meant"
	}
	switch {
	case i.bad && i.refused != "":
		p.find(finding{line: i.line, text: fmt.Sprintf("%s: %s; ldirectord stops here. It was left out", i.name, i.refused), lost: true, refused: true})
	case i.bad:
		p.lose(i.line, fmt.Sprintf("%s: %s", i.name, i.misread))
	case i.refused != "":
		p.refuse(i.line, fmt.Sprintf("%s: %s; ldirectord stops here. It was taken for %s", i.name, i.refused, shown))
	case i.misread != "":
		p.remark(i.line, fmt.Sprintf("%s: %s", i.name, i.misread))
	}
}

// fits judges what depends on the section.
func (p *parsed) fits(i *item, v *virtual) {
	switch i.name {
	case "fallback", "fallback6":
		if right := sixth("fallback", v.v6); i.name != right {
			i.name, i.refused = right, fmt.Sprintf("in a %s it is written %s", v.name, right)
		}
	case "protocol":
		switch {
		case i.bad:
		case v.host == "" && i.text != "fwm":
			i.bad, i.refused = true, "a firewall mark has no protocol of its own, only fwm"
		case v.host != "" && i.text == "fwm":
			i.bad, i.refused = true, "only a firewall mark can have fwm; an address has tcp or udp"
		}
	case "netmask":
		i.reading = netmask(i.value, v.v6)
	}
}

// sixth is a name with a 6 where that is wanted.
func sixth(name string, v6 bool) string {
	if v6 {
		return name + "6"
	}
	return name
}

// word reads the first word of a value, which must be one of a list. What comes
// after it is never looked at.
func word(list ...string) func(value, full string, in where) reading {
	return func(value, _ string, _ where) reading {
		return oneOf(value, list, wordChars)
	}
}

func oneOf(value string, list []string, chars string) reading {
	got := run(value, chars)
	r := reading{text: got}
	meant := lower(unquote(value))
	switch {
	case slices.Contains(list, got):
		if meant != got && slices.Contains(list, meant) {
			r.text = meant
			r.misread = fmt.Sprintf("ldirectord reads the first word of %q, which is %q; %q is in the output", value, got, meant)
		}
	case slices.Contains(list, meant):
		r.text, r.refused = meant, fmt.Sprintf("%q must be written %s", value, meant)
	default:
		r.bad, r.refused = true, fmt.Sprintf("%q is none of %s", shorten(unquote(value)), strings.Join(list, " "))
	}
	return r
}
