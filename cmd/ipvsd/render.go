package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ipvsd/ipvsd/director"
)

// renderOptions says for whom a status is written.
type renderOptions struct {
	now   time.Time // ages are told from here
	width int       // columns; what doesn't fit is cut; 0: no limit
	color bool

	arranged arrangement // of the table
}

// renderStatus writes all that a person wants to know: the daemon, the table,
// the addresses, the cluster, and at the end what isn't well.
func renderStatus(w io.Writer, st director.Status, o renderOptions) error {
	r := &renderer{opts: o}
	r.head(&st)
	r.table(&st)
	r.held(&st)
	r.addresses(st.Addresses)
	r.cluster(st.Cluster)
	r.problems(&st)
	_, err := w.Write(r.out.Bytes())
	return err
}

// renderTable writes the virtual services and real servers only.
func renderTable(w io.Writer, st director.Status, o renderOptions) error {
	r := &renderer{opts: o}
	r.table(&st)
	_, err := w.Write(r.out.Bytes())
	return err
}

// style is the number of an ANSI sequence (ECMA-48 SGR).
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

type renderer struct {
	opts renderOptions
	out  bytes.Buffer
}

func (r *renderer) write(s style, text string) {
	if s == plain || !r.opts.color || text == "" {
		r.out.WriteString(text)
		return
	}
	fmt.Fprintf(&r.out, "\x1b[%sm%s\x1b[0m", s, text)
}

func (r *renderer) newline() { r.out.WriteByte('\n') }

func (r *renderer) head(st *director.Status) {
	name, rest := "ipvsd "+clean(st.Version), fmt.Sprintf(", pid %d, running %s", st.PID, r.age(st.Started))
	room := r.opts.width
	if room > 0 {
		room = max(room-len(name)-len(", ")-len(rest), 1)
	}
	r.write(bold, name)
	fmt.Fprintf(&r.out, ", %s%s\n", role(st, room), rest)

	r.labelled("file", plain, fmt.Sprintf("%s, loaded %s ago", st.Config.File, r.age(st.Config.Loaded)))
	if t := st.Config.Trial; t != nil {
		left := t.Deadline.Sub(r.opts.now).Round(time.Second)
		r.labelled("", yellow, fmt.Sprintf("on trial since %s applied it: without \"ipvsd confirm\" within %s the one before comes back", t.By, left))
	}
	if st.Config.Error != "" {
		r.labelled("", yellow, "the last reload was refused, the running file stays:")
		for line := range strings.Lines(st.Config.Error) {
			r.labelled("", yellow, line)
		}
	}
	r.kernel(&st.Kernel)
	if d := st.Doctor; d != nil && d.Findings > 0 {
		r.labelled("doctor", yellow, count(d.Findings, "finding")+"; run \"ipvsd doctor\"")
	}

	count := tally(st)
	r.labelled("virtual", plain, count.virtuals)
	r.labelled("real", plain, count.reals)
	r.newline()
}

func (r *renderer) kernel(k *director.KernelStatus) {
	var parts []string
	switch {
	case k.Synced.IsZero() && k.Error == "" && k.ReadError == "":
		parts = append(parts, "not programmed yet")
	case k.Synced.IsZero():
		parts = append(parts, "not programmed")
	case k.Error != "":
		parts = append(parts, "last as wanted "+r.age(k.Synced)+" ago")
	default:
		parts = append(parts, "as wanted "+r.age(k.Synced)+" ago")
	}
	if k.Foreign > 0 {
		parts = append(parts, count(k.Foreign, "virtual service")+" of others left alone")
	}
	r.labelled("kernel", plain, strings.Join(parts, ", "))
	if k.Error != "" {
		r.labelled("", red, k.Error)
	}
	if k.ReadError != "" {
		r.labelled("", red, "weights and connections unknown: "+k.ReadError)
	}
	if drift := driftText(k.Drifts); drift != "" {
		r.labelled("drift", plain, drift+", repaired since the start")
	}
}

// driftText is what others changed in the kernel, most frequent first.
func driftText(drifts map[string]uint64) string {
	type drift struct {
		kind string
		n    uint64
	}
	var list []drift
	for kind, n := range drifts {
		if n > 0 {
			list = append(list, drift{kind, n})
		}
	}
	slices.SortFunc(list, func(a, b drift) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.kind, b.kind)) })
	var parts []string
	for _, d := range list {
		parts = append(parts, fmt.Sprintf("%d %s", d.n, strings.ReplaceAll(d.kind, "_", " ")))
	}
	return strings.Join(parts, ", ")
}

// labelWidth is the indent of the head's text.
const labelWidth = 9

// labelled writes a paragraph with a word in front, broken at the width.
func (r *renderer) labelled(label string, s style, text string) {
	for i, line := range wrap(clean(text), r.opts.width-labelWidth) {
		if i > 0 {
			label = ""
		}
		r.write(dim, label)
		r.out.WriteString(strings.Repeat(" ", labelWidth-len(label)))
		r.write(s, line)
		r.newline()
	}
}

// wrap breaks text between words; width below 20 means no limit.
func wrap(text string, width int) []string {
	if width < 20 {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

func (r *renderer) addresses(list []director.AddressStatus) {
	if len(list) == 0 {
		return
	}
	rows := [][]cell{{{text: "ADDRESS", style: dim}, {text: "INTERFACE", style: dim}, {text: "STATE", style: dim}}}
	for _, a := range list {
		s, text := plain, a.State
		switch a.State {
		case director.AddressAdded:
			s, text = green, "added by ipvsd"
			if !a.Since.IsZero() {
				text += " " + r.age(a.Since) + " ago"
			}
		case director.AddressOwn:
			text = "the host's own"
		case director.AddressElsewhere:
			if a.Holder != "" {
				text += ": on " + a.Holder
			}
		case director.AddressMissing:
			s = red
		}
		if a.Error != "" {
			s = red
			text += ": " + a.Error
		}
		rows = append(rows, []cell{{text: a.Address}, {text: cmp.Or(a.Interface, "-")}, {text: text, style: s}})
	}
	r.newline()
	r.rows(0, rows, widths(rows))
}

// problems lists what makes the exit status 2.
func (r *renderer) problems(st *director.Status) {
	const most = 30
	list := problems(st)
	if len(list) == 0 {
		return
	}
	r.newline()
	r.write(bold, "Not well:")
	r.newline()
	for _, p := range list[:min(most, len(list))] {
		r.out.WriteString("  ")
		r.write(red, cut(clean(p), r.opts.width-2))
		r.newline()
	}
	if more := len(list) - most; more > 0 {
		fmt.Fprintf(&r.out, "  and %d more; --json has all\n", more)
	}
}

// problems says what isn't as it should be: a virtual service without a real
// server, a real server that isn't up, a missing address, a kernel that isn't
// as wanted, a group that nobody holds, a director that isn't there. A real
// server that a person took out is as it should be.
func problems(st *director.Status) []string {
	var list []string
	if st.Kernel.Error != "" {
		list = append(list, "kernel: "+st.Kernel.Error)
	}
	if st.Kernel.ReadError != "" && st.Kernel.ReadError != st.Kernel.Error {
		list = append(list, "kernel: "+st.Kernel.ReadError)
	}
	list = append(list, clusterProblems(st.Cluster)...)
	for _, a := range st.Addresses {
		if a.State == director.AddressMissing || a.Error != "" {
			list = append(list, strings.TrimSuffix(fmt.Sprintf("address %s is %s: %s", a.Address, a.State, a.Error), ": "))
		}
	}
	for i := range st.Virtuals {
		v := &st.Virtuals[i]
		if v.FailOpen != "" {
			list = append(list, v.Name+": "+v.FailOpen)
		}
		switch {
		case v.Up && v.Fallback:
			list = append(list, v.Name+": too few real servers are up, the fallback has the traffic")
		case serves(v), waits(v):
		case v.Fallback:
			list = append(list, v.Name+": no real server is up, the fallback has the traffic")
		default:
			list = append(list, v.Name+": no real server is up")
		}
		for _, real := range v.Reals {
			if real.Damped {
				list = append(list, fmt.Sprintf("%s: %s is %s", v.Name, real.Address, real.WeightReason))
			}
			switch real.State {
			case director.StateDown:
				list = append(list, fmt.Sprintf("%s: %s is down: %s", v.Name, real.Address, real.Reason))
			case director.StateUnknown:
				list = append(list, fmt.Sprintf("%s: %s has no verdict yet", v.Name, real.Address))
			}
		}
	}
	return list
}

// serves reports whether a real server has the traffic: one that is up, or one
// that isn't checked and that the kernel uses.
func serves(v *director.VirtualStatus) bool {
	return v.Up || slices.ContainsFunc(v.Reals, func(r director.RealStatus) bool {
		return r.State == director.StateUnchecked && r.InKernel && r.Weight > 0
	})
}

// waits reports whether no real server is up because there was no verdict yet.
func waits(v *director.VirtualStatus) bool {
	return !v.Up && !v.Fallback && slices.ContainsFunc(v.Reals, func(r director.RealStatus) bool {
		return r.State == director.StateUnknown
	})
}

// summary is the count of everything by state, in words.
type summary struct{ virtuals, reals string }

func tally(st *director.Status) summary {
	up, fallback, unknown, all := 0, 0, 0, 0
	states := map[string]int{}
	for i := range st.Virtuals {
		v := &st.Virtuals[i]
		switch {
		case serves(v):
			up++
		case v.Fallback:
			fallback++
		case waits(v):
			unknown++
		}
		for _, real := range v.Reals {
			if real.State != director.StateFallback {
				states[real.State]++
				all++
			}
		}
	}
	s := summary{virtuals: fmt.Sprintf("%s: %d up", count(len(st.Virtuals), "service"), up)}
	if fallback > 0 {
		s.virtuals += fmt.Sprintf(", %d on the fallback", fallback)
	}
	if down := len(st.Virtuals) - up - fallback - unknown; down > 0 {
		s.virtuals += fmt.Sprintf(", %d down", down)
	}
	if unknown > 0 {
		s.virtuals += fmt.Sprintf(", %d not known yet", unknown)
	}
	s.reals = fmt.Sprintf("%s: %d up", count(all, "server"), states[director.StateUp])
	for _, state := range []string{
		director.StateDown, director.StateUnknown, director.StateUnchecked, director.StateLeaving,
		director.StateDraining, director.StateDrained, director.StateDisabled,
	} {
		if n := states[state]; n > 0 {
			s.reals += fmt.Sprintf(", %d %s", n, state)
		}
	}
	if n := states[director.StateMaintenance]; n > 0 {
		s.reals += fmt.Sprintf(", %d in maintenance", n)
	}
	return s
}

// age is how long ago t was, in one unit.
func (r *renderer) age(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := max(r.opts.now.Sub(t), 0)
	switch {
	case d < 100*time.Second:
		return strconv.Itoa(int(d/time.Second)) + "s"
	case d < 100*time.Minute:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	}
	return strconv.Itoa(int(d/(24*time.Hour))) + "d"
}

// clean takes from a text what a terminal would obey: reasons quote what real
// servers answer.
func clean(text string) string {
	if !strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return text
	}
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case !unicode.IsPrint(c):
			return '?'
		}
		return c
	}, text))
}

// cut shortens text to width columns; less than 12 of them means 12, and
// renderOptions' 0 no limit.
func cut(text string, width int) string {
	if width < 0 {
		return text
	}
	width = max(width, 12)
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}
