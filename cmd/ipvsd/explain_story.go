package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/journal"
)

// explainer puts the journal and the present state into sentences. It is pure
// but for lookup.
type explainer struct {
	now     time.Time
	about   string                     // the question; "": whatever happened
	since   time.Duration              // 0: the last changes
	entries []journal.Entry            // all there are
	status  *director.Status           // nil: no director is running
	dir     string                     // then: where entries are from
	skipped int                        // and how many lines there were unreadable
	lookup  func(host string) []string // addresses of a name

	out  []sentence
	told []journal.Entry // those behind the sentences
}

// sentence names a time and ends with a full stop. Lines are what it is about
// word for word: steps of the kernel, errors, changes.
type sentence struct {
	Text  string   `json:"text"`
	Lines []string `json:"lines,omitempty"`
}

// How many changes a story has without --since.
const (
	lastChanges = 4  // of a real server
	lastOfAll   = 12 // of a virtual service, or of everything
)

func (s *explainer) say(format string, args ...any) { s.quote(nil, format, args...) }

// quote is a sentence with lines. The journal's texts come from outside, among
// them what real servers answer.
func (s *explainer) quote(lines []string, format string, args ...any) {
	one := sentence{Text: clean(fmt.Sprintf(format, args...))}
	for _, line := range lines {
		one.Lines = append(one.Lines, clean(line))
	}
	s.out = append(s.out, one)
}

// tell makes the sentences, or says that nothing is known.
func (s *explainer) tell() error {
	if s.status == nil {
		s.say("No director is running at %s; this is what its journal in %s tells.", s.clock(s.now), s.dir)
		if s.skipped > 0 {
			s.say("Lines of it that can't be read at %s and are left out: %d.", s.clock(s.now), s.skipped)
		}
	}
	switch s.about {
	case "":
		return s.everything()
	case "failover":
		return s.failover()
	case "reload":
		return s.reload()
	}
	return s.thing()
}

// choose takes the entries that the question is about: the last n, or with
// --since all of that time.
func (s *explainer) choose(n int, about func(journal.Entry) bool) []journal.Entry {
	var out []journal.Entry
	for _, e := range s.entries {
		if about(e) && (s.since == 0 || s.now.Sub(e.Time) <= s.since) {
			out = append(out, e)
		}
	}
	if s.since == 0 && len(out) > n {
		out = out[len(out)-n:]
	}
	s.told = append(s.told, out...)
	return out
}

// everything tells what happened last, whatever it was.
func (s *explainer) everything() error {
	for _, e := range s.choose(lastOfAll, func(journal.Entry) bool { return true }) {
		s.entry(e)
	}
	if len(s.told) == 0 {
		s.nothing("Nothing has happened")
	}
	if s.status == nil {
		return nil
	}
	for i := range s.status.Virtuals {
		s.virtualNow(&s.status.Virtuals[i])
	}
	s.clusterNow()
	return nil
}

// nothing says how far back nothing is known.
func (s *explainer) nothing(what string) {
	switch {
	case s.since > 0:
		s.say("%s since %s.", what, s.when(s.now.Add(-s.since)))
	case len(s.entries) > 0:
		s.say("%s since the journal begins, at %s.", what, s.when(s.entries[0].Time))
	default:
		s.say("%s until %s as far as the journal tells: it is empty.", what, s.clock(s.now))
	}
}

// thing tells of a real server or a virtual service.
func (s *explainer) thing() error {
	reals, virtuals := s.known()
	if slices.Contains(virtuals, s.about) || s.alias() != "" {
		return s.virtual(cmp.Or(s.alias(), s.about))
	}
	names := []string{s.about}
	if _, err := netip.ParseAddr(strings.Trim(s.about, "[]")); err != nil && !strings.Contains(s.about, ":") && s.lookup != nil {
		names = append(names, s.lookup(s.about)...)
	}
	var meant []string
	for _, r := range reals {
		if slices.ContainsFunc(names, func(n string) bool { return journal.Means(n, r) }) {
			meant = append(meant, r)
		}
	}
	if len(meant) > 0 {
		return s.reals(meant)
	}
	known := slices.Concat(virtuals, reals, []string{"failover", "reload"})
	hint := "there are " + strings.Join(known[:min(len(known), 12)], ", ")
	if near := config.Nearest(s.about, known); near != "" {
		hint = fmt.Sprintf("did you mean %q? Else %s", near, hint)
	}
	return fmt.Errorf("explain: nothing is known of %q; %s", s.about, hint)
}

// known are the real servers and virtual services of the present and of the
// journal.
func (s *explainer) known() (reals, virtuals []string) {
	add := func(list *[]string, name string) {
		if name != "" && !slices.Contains(*list, name) {
			*list = append(*list, name)
		}
	}
	if s.status != nil {
		for _, v := range s.status.Virtuals {
			add(&virtuals, v.Name)
			for _, r := range v.Reals {
				add(&reals, r.Address)
			}
		}
	}
	for _, e := range s.entries {
		add(&virtuals, e.Virtual)
		add(&reals, e.Real)
	}
	return reals, virtuals
}

// alias is the virtual service that has the address or mark which is asked for.
func (s *explainer) alias() string {
	if s.status == nil {
		return ""
	}
	for _, v := range s.status.Virtuals {
		addr, _, _ := strings.Cut(v.Service, "/")
		if s.about == v.Service || s.about == addr || journal.Means(s.about, addr) {
			return v.Name
		}
	}
	return ""
}

// reals tells of real servers, in each virtual service by itself.
func (s *explainer) reals(meant []string) error {
	type place struct{ virtual, real string }
	var places []place
	add := func(p place) {
		if !slices.Contains(places, p) {
			places = append(places, p)
		}
	}
	if s.status != nil {
		for _, v := range s.status.Virtuals {
			for _, r := range v.Reals {
				if slices.Contains(meant, r.Address) {
					add(place{v.Name, r.Address})
				}
			}
		}
	}
	for _, e := range s.entries {
		if slices.Contains(meant, e.Real) {
			add(place{e.Virtual, e.Real})
		}
	}
	for _, p := range places {
		list := s.choose(lastChanges, func(e journal.Entry) bool {
			return e.Virtual == p.virtual && e.Real == p.real || e.Kind == journal.Verdict && e.Real == ""
		})
		for _, e := range list {
			s.entry(e)
		}
		if len(list) == 0 {
			s.nothing(fmt.Sprintf("Nothing has happened to %s of %s", p.real, p.virtual))
		}
		s.realNow(p.virtual, p.real)
	}
	return nil
}

// virtual tells of a virtual service and its real servers.
func (s *explainer) virtual(name string) error {
	list := s.choose(lastOfAll, func(e journal.Entry) bool {
		return e.Virtual == name || e.Kind == journal.Verdict && e.Virtual == ""
	})
	for _, e := range list {
		s.entry(e)
	}
	if len(list) == 0 {
		s.nothing("Nothing has happened to " + name)
	}
	if s.status == nil {
		return nil
	}
	for i := range s.status.Virtuals {
		if v := &s.status.Virtuals[i]; v.Name == name {
			s.virtualNow(v)
			return nil
		}
	}
	s.say("At %s the running file has no %s any more.", s.clock(s.now), name)
	return nil
}

// entry is one entry, the cause first, then what the kernel was told.
func (s *explainer) entry(e journal.Entry) {
	if e.Kind == journal.Verdict && e.Real != "" {
		s.verdict(e)
	} else {
		s.say("At %s %s.", s.when(e.Time), open(e.Text))
	}
	s.steps(e)
}

func (s *explainer) verdict(e journal.Entry) {
	said := "succeeded"
	if e.After == "down" {
		said = "failed"
	}
	if e.Before == "unknown" {
		said += " for the first time"
	} else if e.Checks > 1 {
		said += fmt.Sprintf(" %d times in a row", e.Checks)
	}
	s.say("At %s the check of %s in %s %s: %s.", s.when(e.Time), e.Real, e.Virtual, said, open(e.Cause))
	if e.After == "down" && len(e.Steps) == 0 {
		s.say("The kernel's table stayed as it was at %s.", s.exact(e.Time))
	}
}

// steps tells what an entry had the kernel do, and how soon.
func (s *explainer) steps(e journal.Entry) {
	if len(e.Steps) == 0 {
		return
	}
	end := e.Time.Add(e.Took)
	lines := slices.Clip(e.Steps)
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", e.More))
	}
	text := "the kernel was told"
	switch c := e.Weight; {
	case c == nil || e.Kind != journal.Verdict: // its text says it
	case c.After < 0:
		text = "it went out of the kernel's table"
	case c.Before < 0:
		text = fmt.Sprintf("it came into the kernel's table with weight %d", c.After)
	default:
		text = fmt.Sprintf("its weight in the kernel went from %d to %d", c.Before, c.After)
	}
	s.quote(lines, "%s later, at %s, %s.", brief(e.Took), s.exact(end), text)
}
