package config

import (
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/ipvsd/ipvsd/checker"
)

// Email is the section [email]: who is told what, and by which mail server.
type Email struct {
	To           []string // where a virtual service doesn't say it; each as net/mail reads it
	From         string   // "": ipvsd at this host
	SMTP         string   // host:port
	StartTLS     StartTLS
	Login        string // "": none
	PasswordFile string
	Only         []Phase       // empty: nothing is told
	Repeat       time.Duration // how often what is still down is told again; 0: never
}

// StartTLS says whether mail goes encrypted.
type StartTLS string

// The words of starttls.
const (
	AutoTLS   StartTLS = "auto" // where the server offers it
	AlwaysTLS StartTLS = "always"
	NeverTLS  StartTLS = "never"
)

// Phase is what the director was doing when it saw a change.
type Phase string

// The phases.
const (
	Starting  Phase = "starting"  // the first verdicts after the start
	Running   Phase = "running"   //
	Stopping  Phase = "stopping"  // a stop that empties the table
	Reloading Phase = "reloading" // the first verdicts over what a reload brought
)

const (
	smtpPort     = 25
	smtpsPort    = 465
	allPhases    = "all"  // ldirectord's words for every
	noPhases     = "none" // and for no phase
	maxMailTo    = 100
	minRepeat    = 10 * time.Second
	maxComment   = 300
	mailCure     = `write it like "ops@example.org"`
	smtpCure     = `write it like "mail.example.org:25"`
	starttlsCure = "a password would be readable on the way"
)

var (
	startTLSWords = []string{string(AutoTLS), string(AlwaysTLS), string(NeverTLS)}
	phaseWords    = []string{string(Starting), string(Running), string(Stopping), string(Reloading)}
)

// mailTo is a virtual service's own list of addresses, or "off".
type mailTo []string

func (m *mailTo) read(key string, v any) string {
	*m = mailTo{}
	if s, ok := v.(string); ok {
		if s == "off" || s == noPhases {
			return ""
		}
		return fmt.Sprintf("a list is needed: write %s = [%q], or %s = \"off\"", key, s, key)
	}
	return (*list)(m).read(key, v)
}

func (r *report) email(raw *rawEmail) Email {
	e := Email{
		To:           r.mailList(&raw.at, "to", or(raw.To, nil)),
		From:         or(raw.From, ""),
		SMTP:         r.smtp(raw),
		StartTLS:     StartTLS(startTLSWords[r.word(&raw.at, "starttls", or(raw.StartTLS, startTLSWords[0]), startTLSWords)]),
		Login:        or(raw.Login, ""),
		PasswordFile: or(raw.PasswordFile, ""),
		Only:         r.phases(raw),
		Repeat:       or(raw.Repeat, 0).duration(),
	}
	if raw.From != nil {
		if p := mailProblem(e.From); p != "" {
			r.key(&raw.at, "from", "%s", p)
		}
	}
	if e.Repeat > 0 && e.Repeat < minRepeat {
		r.key(&raw.at, "repeat", "%q would be a flood of mail; write \"0s\" for never, or %q and more", e.Repeat, minRepeat)
	}
	r.mailLogin(raw, e)
	return e
}

// mailLogin judges what goes with a login.
func (r *report) mailLogin(raw *rawEmail, e Email) {
	host, port, _ := net.SplitHostPort(e.SMTP)
	switch {
	case e.Login == "" && e.PasswordFile != "":
		r.key(&raw.at, "password_file", "needs login, the name that goes with it")
	case e.Login != "" && !raw.has("password_file"):
		r.key(&raw.at, "login", "needs password_file, a file that holds the password and nothing else")
	case e.PasswordFile == "":
	case !strings.HasPrefix(e.PasswordFile, "/"):
		r.key(&raw.at, "password_file", "%q doesn't begin with /; write the whole path, such as \"/etc/ipvsd/mail.password\"", e.PasswordFile)
	case r.here != nil:
		if _, err := checker.ReadSecret(e.PasswordFile); err != nil {
			r.key(&raw.at, "password_file", "%v", err)
		}
	}
	if e.Login != "" && e.StartTLS == NeverTLS && port != strconv.Itoa(smtpsPort) && !isLoopback(host) && !raw.bad["starttls"] {
		r.key(&raw.at, "starttls", "%q with login: %s; write \"always\"", NeverTLS, starttlsCure)
	}
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// smtp reads the mail server; of all addresses in the file only this one may be
// a name, because mail is not on the way of any traffic.
func (r *report) smtp(raw *rawEmail) string {
	if raw.SMTP == nil {
		return net.JoinHostPort("localhost", strconv.Itoa(smtpPort))
	}
	text := *raw.SMTP
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = strings.Trim(text, "[]"), strconv.Itoa(smtpPort)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	_, notIP := netip.ParseAddr(host)
	switch {
	case host == "" || strings.ContainsFunc(host, notHost) || notIP != nil && strings.Contains(host, ":"):
		r.key(&raw.at, "smtp", "%q is not a mail server; %s", text, smtpCure)
	case err != nil || n == 0:
		r.key(&raw.at, "smtp", "%q: %q is not a port; %s", text, port, smtpCure)
	}
	return net.JoinHostPort(host, port)
}

func notHost(c rune) bool {
	return c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune(".-_:%", c)
}

func (r *report) mailList(t *at, key string, list []string) []string {
	if len(list) > maxMailTo {
		r.key(t, key, "%d addresses; there can be %d: let the mail server keep a list", len(list), maxMailTo)
		return nil
	}
	for _, a := range list {
		if p := mailProblem(a); p != "" {
			r.key(t, key, "%s", p)
		}
	}
	return list
}

// mailProblem says why something is no address for mail, or "".
func mailProblem(s string) string {
	a, err := mail.ParseAddress(s)
	switch {
	case err != nil && strings.ContainsAny(s, ",;") && !strings.Contains(s, `"`):
		return fmt.Sprintf("%q is more than one address; write each in quotes of its own", s)
	case err != nil:
		return fmt.Sprintf("%q is not an address for mail; %s", s, mailCure)
	case strings.ContainsFunc(a.Address, func(c rune) bool { return c > unicode.MaxASCII }):
		return fmt.Sprintf("%q: not every mail server takes letters beyond ASCII in an address (in the name before it they are fine)", s)
	}
	return ""
}

// phases reads only, in which ldirectord's all and none may stand by themselves.
func (r *report) phases(raw *rawEmail) []Phase {
	words := []string(or(raw.Only, nil))
	switch {
	case raw.Only == nil, slices.Equal(words, []string{allPhases}):
		return []Phase{Starting, Running, Stopping, Reloading}
	case slices.Equal(words, []string{noPhases}):
		return nil
	}
	var out []Phase
	for _, w := range words {
		switch known := slices.Contains(phaseWords, w); {
		case w == allPhases || w == noPhases:
			r.key(&raw.at, "only", "%q goes with no other word; write only = [%q]", w, w)
		case !known:
			r.key(&raw.at, "only", "%q is not known; %s", w, didYouMean(w, append(slices.Clone(phaseWords), allPhases, noPhases)))
		case !slices.Contains(out, Phase(w)):
			out = append(out, Phase(w))
		}
	}
	return out
}

// email returns who is told of the virtual service.
func (b *virtualReader) email(def []string) []string {
	if b.raw.Email == nil {
		return def
	}
	return b.mailList(&b.raw.at, "email", *b.raw.Email)
}

// comment returns what an operator wrote about the virtual service.
func (b *virtualReader) comment() string {
	text := strings.TrimSpace(or(b.raw.Comment, ""))
	switch {
	case strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }):
		b.fail("comment", "it has characters that can't be printed, or more than one line; take them out")
	case len(text) > maxComment:
		b.fail("comment", "longer than %d characters; write a shorter one", maxComment)
	}
	return text
}
