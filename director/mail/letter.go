package mail

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"slices"
	"strings"
	"time"
)

// maxTold is how many changes a message names.
const maxTold = 200

const timeForm = "2006-01-02 15:04:05 MST"

// letter is one message before it is written.
type letter struct {
	settings Settings
	to       []string
	changes  []waiting
	dropped  int       // changes that nobody is told of
	since    time.Time // the oldest change
}

// message is one message as it is sent.
type message struct {
	from    string
	to      []string // addresses only
	subject string
	data    []byte
}

func (l letter) compose(now time.Time) message {
	slices.SortFunc(l.changes, func(a, b waiting) int { // the virtual service itself before its real servers
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.Service.Compare(b.Service), boolCompare(a.Real.IsValid(), b.Real.IsValid()),
			cmp.Compare(a.State.rank(), b.State.rank()), a.Real.Compare(b.Real))
	})
	host := hostname()
	from, err := mail.ParseAddress(l.settings.From)
	if err != nil {
		from = &mail.Address{Address: "ipvsd@" + host}
	}
	m := message{from: from.Address, subject: "[ipvsd " + l.settings.Director + "] " + l.subject()}
	var shown []string
	for _, text := range l.to {
		if a, err := mail.ParseAddress(text); err == nil {
			m.to, shown = append(m.to, a.Address), append(shown, a.String())
		}
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", from.String()},
		{"To", strings.Join(shown, ",\r\n ")},
		{"Subject", mime.QEncoding.Encode("utf-8", m.subject)},
		{"Date", now.Format(time.RFC1123Z)},
		{"Message-ID", "<" + strings.ToLower(rand.Text()) + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(strings.ReplaceAll(l.text(now), "\n", "\r\n"))) // a Buffer takes all
	_ = w.Close()
	m.data = b.Bytes()
	return m
}

// boolCompare puts false first.
func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// rank puts what is bad first.
func (s State) rank() int {
	return slices.Index([]State{Down, Removed, Up}, s)
}

// hostname is this machine's, in letters that any mail server takes.
func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" || strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.'
	}) {
		return "localhost"
	}
	return name
}

// subject says it all where it is one thing, else how many.
func (l letter) subject() string {
	services, reals := map[State]int{}, map[State]int{}
	for _, w := range l.changes {
		if w.Real.IsValid() {
			reals[w.State]++
		} else {
			services[w.State]++
		}
	}
	w := l.changes[0]
	switch {
	case len(l.changes) == 1 && w.Real.IsValid():
		return shorten(fmt.Sprintf("%s: real server %s is %s", w.Name, w.Real, w.state()))
	case len(l.changes) == 1:
		return shorten(fmt.Sprintf("%s is %s", w.Name, w.state()))
	}
	var parts []string
	still := ""
	if !slices.ContainsFunc(l.changes, func(w waiting) bool { return !w.again }) {
		still = "still "
	}
	add := func(n int, one, state string) {
		if n == 0 {
			return
		}
		if n > 1 {
			one += "s"
		}
		parts = append(parts, fmt.Sprintf("%d %s %s%s", n, one, still, state))
	}
	for _, s := range []State{Down, Removed, Up} {
		add(services[s], "virtual service", s.String())
	}
	for _, s := range []State{Down, Up} {
		add(reals[s], "real server", s.String())
	}
	text := strings.Join(parts, ", ")
	if !slices.ContainsFunc(l.changes, func(o waiting) bool { return o.Service != w.Service }) {
		text = w.Name + ": " + text
	}
	return shorten(text)
}

func shorten(s string) string {
	const most = 150
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// String is the state in a word.
func (s State) String() string {
	switch s {
	case Up:
		return "up"
	case Down:
		return "down"
	}
	return "removed"
}

func (w waiting) state() string {
	if w.again {
		return "still " + w.State.String()
	}
	return w.State.String()
}

// text is the message itself: by virtual service what changed, since when and
// why, and who serves now.
func (l letter) text(now time.Time) string {
	var b strings.Builder
	left := len(l.changes)
	for i, w := range l.changes {
		if i == maxTold {
			break
		}
		left--
		if i == 0 || l.changes[i-1].Service != w.Service {
			if i > 0 {
				b.WriteString("\n")
			}
			l.service(&b, i)
		}
		w.line(&b)
	}
	if left+l.dropped > 0 {
		fmt.Fprintf(&b, "\nand %d further changes; \"ipvsd status\" shows how everything is now\n", left+l.dropped)
	}
	fmt.Fprintf(&b, "\nTold by ipvsd %s on the director %s at %s.\n", l.settings.Version, l.settings.Director, now.Format(timeForm))
	return b.String()
}

// service is the head of a virtual service's part, with who serves as of its
// newest change.
func (l letter) service(b *strings.Builder, first int) {
	newest := l.changes[first]
	for _, w := range l.changes[first:] {
		if w.Service == newest.Service && w.number > newest.number {
			newest = w
		}
	}
	b.WriteString(newest.Name)
	if where := newest.Service.String(); where != newest.Name {
		b.WriteString(", " + where)
	}
	b.WriteString("\n")
	if newest.Comment != "" {
		b.WriteString("(" + newest.Comment + ")\n")
	}
	if newest.Serving != "" && !newest.again {
		b.WriteString("now: " + newest.Serving + "\n")
	}
	b.WriteString("\n")
}

func (w waiting) line(b *strings.Builder) {
	what := "virtual service"
	if w.Real.IsValid() {
		what = "real server " + w.Real.String()
	}
	fmt.Fprintf(b, "  %s: %s", what, w.state())
	if !w.Since.IsZero() {
		fmt.Fprintf(b, " since %s", w.Since.Format(timeForm))
	}
	if w.count > 1 {
		fmt.Fprintf(b, ", after %d changes", w.count)
	}
	b.WriteString("\n")
	if w.Reason != "" {
		fmt.Fprintf(b, "    why: %s\n", w.Reason)
	}
}
