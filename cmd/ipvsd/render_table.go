package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ipvsd/ipvsd/director"
)

// cell is one field of a row.
type cell struct {
	text  string
	style style
	right bool // a number
}

func number(n uint32) cell { return cell{text: strconv.FormatUint(uint64(n), 10), right: true} }

// table writes each virtual service in a line with its real servers below, with
// the same columns for all of them.
func (r *renderer) table(st *director.Status) {
	if len(st.Virtuals) == 0 {
		r.out.WriteString("no virtual services\n")
		return
	}
	shown := r.opts.arranged.arrange(st.Virtuals)
	if len(shown) == 0 {
		fmt.Fprintf(&r.out, "nothing of %s has %q in it\n", count(len(st.Virtuals), "virtual service"), r.opts.arranged.filter)
		return
	}
	virtuals := [][]cell{{{text: "VIRTUAL", style: dim}, {text: "SERVICE", style: dim}, {text: "SCHEDULER", style: dim}, {text: "STATE", style: dim}}}
	reals := [][]cell{{
		{text: "REAL SERVER", style: dim},
		{text: "FWD", style: dim},
		{text: "STATE", style: dim},
		{text: "WEIGHT", style: dim, right: true},
		{text: "ACTIVE", style: dim, right: true},
		{text: "INACT", style: dim, right: true},
		{text: "SINCE", style: dim, right: true},
		{text: "CHECK", style: dim, right: true},
		{text: "WHY", style: dim},
	}}
	for i := range shown {
		v := &shown[i]
		virtuals = append(virtuals, virtualRow(v))
		for j := range v.Reals {
			reals = append(reals, r.realRow(&v.Reals[j], st.Kernel.ReadError == ""))
		}
	}
	virtualWidths, realWidths := widths(virtuals), widths(reals)
	r.row(0, virtuals[0], virtualWidths)
	r.row(2, reals[0], realWidths)
	next := 1
	for i := range shown {
		r.row(0, virtuals[i+1], virtualWidths)
		n := len(shown[i].Reals)
		r.rows(2, reals[next:next+n], realWidths)
		next += n
	}
}

func virtualRow(v *director.VirtualStatus) []cell {
	up, all := 0, 0
	for _, real := range v.Reals {
		if real.State == director.StateFallback || real.State == director.StateLeaving {
			continue
		}
		all++
		if real.State == director.StateUp {
			up++
		}
	}
	state := cell{text: fmt.Sprintf("up, %d of %d", up, all), style: green}
	switch {
	case v.Up && v.Fallback:
		state = cell{text: fmt.Sprintf("fallback, %d of %d", up, all), style: red}
	case v.Up && (up < all || v.FailOpen != ""):
		state.style = yellow
	case v.Up:
	case serves(v):
		state = cell{text: "not checked"}
	case v.Fallback:
		state = cell{text: "fallback, 0 of " + strconv.Itoa(all), style: red}
	case waits(v):
		state = cell{text: "unknown, 0 of " + strconv.Itoa(all), style: yellow}
	default:
		state = cell{text: "down, 0 of " + strconv.Itoa(all), style: red}
	}
	row := []cell{{text: v.Name, style: bold}, {text: v.Service}, {text: v.Scheduler}, state}
	if v.Comment != "" {
		row = append(row, cell{text: v.Comment, style: dim})
	}
	return row
}

func (r *renderer) realRow(real *director.RealStatus, kernelRead bool) []cell {
	active, inactive := number(real.Active), number(real.Inactive)
	if !kernelRead {
		active.text, inactive.text = "-", "-"
	}
	check := "-"
	if real.Check.Last != nil {
		check = r.age(real.Check.Last.At)
	}
	s := stateStyle(real.State)
	reason, look := why(real), whyStyle(s)
	switch cert, soon := r.certificate(real); {
	case cert == "":
	case soon && s == green: // first: the line may be cut
		reason, look = cert+"; "+reason, yellow
	default:
		reason += "; " + cert
	}
	return []cell{
		{text: real.Address},
		{text: real.Forward},
		{text: real.State, style: s},
		{text: weight(real, kernelRead), right: true},
		active,
		inactive,
		{text: r.age(real.Since), right: true},
		{text: check, right: true},
		{text: reason, style: look},
	}
}

// weight is the one in the kernel, with the file's behind it where that is
// another: 0/1 is quiescent, -/1 not in the kernel.
func weight(real *director.RealStatus, kernelRead bool) string {
	now := strconv.FormatUint(uint64(real.Weight), 10)
	switch {
	case !kernelRead:
		now = "?"
	case !real.InKernel:
		now = "-"
	case real.Weight == real.Configured, real.State == director.StateLeaving:
		return now
	}
	return now + "/" + strconv.FormatUint(uint64(real.Configured), 10)
}

func why(real *director.RealStatus) string {
	switch {
	case real.WeightReason != "" && real.State == director.StateUp: // the rarer one first: the line may be cut
		return real.WeightReason + "; " + real.Reason
	case real.WeightReason != "" && real.Reason != "":
		return real.Reason + "; " + real.WeightReason
	case real.Reason != "":
		return real.Reason
	case real.State == director.StateUnknown:
		return "no check yet"
	case real.State == director.StateUnchecked:
		return "not checked"
	}
	return ""
}

// certificate says how long the certificate is valid that the check was shown,
// and whether that is too short; "" where it sees none.
func (r *renderer) certificate(real *director.RealStatus) (text string, soon bool) {
	const day, short = 24 * time.Hour, 14 * 24 * time.Hour
	until := real.Check.CertUntil
	if until == nil {
		return "", false
	}
	left := until.Sub(r.opts.now)
	switch {
	case left < 0:
		return "cert expired " + r.age(*until) + " ago", true
	case left < 2*day:
		return fmt.Sprintf("cert %d hours left", left/time.Hour), true
	}
	return fmt.Sprintf("cert %d days left", left/day), left < short
}

func stateStyle(state string) style {
	switch state {
	case director.StateUp:
		return green
	case director.StateDown:
		return red
	case director.StateUnknown, director.StateFallback, director.StateDraining, director.StateMaintenance:
		return yellow
	case director.StateLeaving, director.StateUnchecked, director.StateDrained, director.StateDisabled:
		return dim
	}
	return plain
}

// whyStyle keeps good news quiet.
func whyStyle(state style) style {
	if state == green || state == dim {
		return dim
	}
	return state
}

// widths is the widest text of each column.
func widths(rows [][]cell) []int {
	var list []int
	for _, row := range rows {
		for i := range row {
			row[i].text = clean(row[i].text)
			if i == len(list) {
				list = append(list, 0)
			}
			list[i] = max(list[i], utf8.RuneCountInString(row[i].text))
		}
	}
	return list
}

func (r *renderer) rows(indent int, rows [][]cell, widths []int) {
	for _, row := range rows {
		r.row(indent, row, widths)
	}
}

// row writes one line. The last column gets what is left of the width.
func (r *renderer) row(indent int, row []cell, widths []int) {
	const gap = " "
	used := indent
	r.out.WriteString(strings.Repeat(" ", indent))
	for i, c := range row {
		if i == len(row)-1 {
			if r.opts.width > 0 {
				c.text = cut(c.text, r.opts.width-used)
			}
			r.write(c.style, c.text)
			break
		}
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text))
		if c.right {
			r.out.WriteString(pad)
		}
		r.write(c.style, c.text)
		if !c.right {
			r.out.WriteString(pad)
		}
		r.out.WriteString(gap)
		used += widths[i] + len(gap)
	}
	r.newline()
}

// held lists who is held back by a person, in full: the table's last column has
// no room for it.
func (r *renderer) held(st *director.Status) {
	const most, indent = 30, "  "
	n := 0
	for i := range st.Virtuals {
		v := &st.Virtuals[i]
		for j := range v.Reals {
			real := &v.Reals[j]
			if real.Hold == nil {
				continue
			}
			if n++; n > most {
				continue
			}
			if n == 1 {
				r.newline()
				r.write(bold, "Held back:")
				r.newline()
			}
			state := real.State
			if state == director.StateMaintenance {
				state = "in maintenance"
			}
			text := fmt.Sprintf("%s of %s is %s: %s", real.Address, v.Name, state, real.Reason)
			for k, line := range wrap(clean(text), r.opts.width-2*len(indent)) {
				r.out.WriteString(indent)
				if k > 0 {
					r.out.WriteString(indent)
				}
				r.write(stateStyle(real.State), line)
				r.newline()
			}
		}
	}
	if n > most {
		fmt.Fprintf(&r.out, "%sand %d more; --json has all\n", indent, n-most)
	}
}
