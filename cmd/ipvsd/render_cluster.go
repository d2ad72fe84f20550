package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ipvsd/ipvsd/director"
)

// role is what this director is, in as many words as fit into width; 0 is no
// limit.
func role(st *director.Status, width int) string {
	var active, standby []string
	if st.Cluster != nil {
		for i := range st.Cluster.Groups {
			if g := &st.Cluster.Groups[i]; holds(g) {
				active = append(active, g.Name)
			} else {
				standby = append(standby, g.Name)
			}
		}
	}
	switch {
	case len(active) > 0 && len(standby) > 0:
		text := clean("active for " + strings.Join(active, ", ") + ", standby for " + strings.Join(standby, ", "))
		if width > 0 && len(text) > width {
			text = fmt.Sprintf("active for %d of %d groups", len(active), len(active)+len(standby))
		}
		return text
	case st.Active:
		return "active"
	}
	return "standby"
}

// holds reports whether the group's addresses are this director's; releasing, it
// has them until the successor does.
func holds(g *director.ClusterGroupStatus) bool { return g.State == "active" || g.State == "releasing" }

// cluster writes the directors, who has which addresses, how they came here, and
// what there is to say of it.
func (r *renderer) cluster(c *director.ClusterStatus) {
	if c == nil {
		return
	}
	r.newline()
	r.labelled("CLUSTER", plain, fmt.Sprintf("%s; this is %s", directors(c.Members), c.Name))
	rows := [][]cell{heading("MEMBER", "ADDRESS", "STATE", "PRIO", "ACTIVE FOR", "SINCE", "PROBLEM")}
	for i := range c.Members {
		rows = append(rows, r.memberRow(&c.Members[i]))
	}
	rightHead(rows[0], 3, 5)
	r.rows(2, rows, widths(rows))
	if len(c.Groups) > 0 {
		rows = [][]cell{heading("GROUP", "STATE", "HOLDER", "TERM", "SINCE", "WHY")}
		for i := range c.Groups {
			rows = append(rows, r.groupRow(&c.Groups[i]))
		}
		rightHead(rows[0], 3, 4)
		r.rows(2, rows, widths(rows))
	}
	for i := range c.Groups {
		if g := &c.Groups[i]; g.Last != nil {
			r.labelled("failover", plain, fmt.Sprintf("of %s%s to this director %s ago, %s: %s", g.Name, from(g.Last), r.age(g.Last.At), g.Last.Reason, phases(g.Last)))
		}
	}
	r.sync(&c.Sync)
	for _, p := range c.Problems {
		r.labelled("problem", red, p)
	}
	for _, n := range c.Notes {
		r.labelled("note", yellow, n)
	}
}

func heading(names ...string) []cell {
	row := make([]cell, len(names))
	for i, name := range names {
		row[i] = cell{text: name, style: dim}
	}
	return row
}

func rightHead(row []cell, columns ...int) {
	for _, i := range columns {
		row[i].right = true
	}
}

// directors counts the members by state.
func directors(members []director.MemberStatus) string {
	states := map[string]int{}
	var seen []string
	for i := range members {
		s := members[i].State
		if states[s]++; states[s] == 1 {
			seen = append(seen, s)
		}
	}
	order := []string{"alive", "suspect", "silent", "dead", "absent", "left"}
	slices.SortStableFunc(seen, func(a, b string) int { return cmp.Compare(slices.Index(order, a), slices.Index(order, b)) })
	var parts []string
	for _, s := range seen {
		parts = append(parts, fmt.Sprintf("%d %s", states[s], s))
	}
	text := count(len(members), "director")
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}

func (r *renderer) memberRow(m *director.MemberStatus) []cell {
	s := plain
	switch m.State {
	case "alive":
		s = green
	case "dead", "absent", "silent":
		s = red
	case "suspect":
		s = yellow
	case "left":
		s = dim
	}
	var why []string
	if m.Skew {
		why = append(why, "its file differs")
	}
	for _, text := range []string{m.Faults, m.Error} {
		if text != "" {
			why = append(why, text)
		}
	}
	problem := cell{text: cmp.Or(strings.Join(why, "; "), "-"), style: s}
	if len(why) > 0 && (m.Skew || m.State == "alive") {
		problem.style = yellow
	}
	priority := strconv.Itoa(m.Priority)
	if m.Name == "" {
		priority = "-" // never heard of
	}
	return []cell{
		{text: r.short(cmp.Or(m.Name, "-"))},
		{text: cmp.Or(m.Address, "-")},
		{text: m.State, style: s},
		{text: priority, right: true},
		{text: r.short(cmp.Or(strings.Join(m.Active, ","), "-"))},
		{text: r.age(m.Since), right: true},
		problem,
	}
}

func (r *renderer) groupRow(g *director.ClusterGroupStatus) []cell {
	s := plain
	switch {
	case g.State == "fault":
		s = red
	case holds(g):
		s = green
	case g.State != "standby":
		s = yellow
	}
	holder := cell{text: r.short(g.Holder)}
	if g.Holder == "" {
		holder = cell{text: "nobody", style: red}
	}
	why := g.Reason
	if g.Waits != "" {
		why += "; " + g.Waits
	}
	return []cell{
		{text: r.short(g.Name)},
		{text: g.State, style: s},
		holder,
		{text: strconv.FormatUint(uint64(g.Term), 10), right: true},
		{text: r.age(g.Since), right: true},
		{text: why, style: whyStyle(s)},
	}
}

// short cuts a name where the width is limited, so that the columns behind it
// have room.
func (r *renderer) short(name string) string {
	if r.opts.width <= 0 {
		return name
	}
	return cut(clean(name), 14)
}

// from says who had a group before.
func from(f *director.FailoverStatus) string {
	if f.From == "" {
		return ""
	}
	return " from " + f.From
}

// phases are the times of a failover in milliseconds.
func phases(f *director.FailoverStatus) string {
	type phase struct {
		name    string
		seconds float64
		always  bool
	}
	list := []phase{{"decided", 0, true}}
	if f.Suspected > 0 {
		list = []phase{{"last heard", 0, true}, {"suspected", f.Suspected, true}, {"decided", f.Decided, true}}
	}
	list = append(list, phase{"address up", f.AddressUp, false}, phase{"announced", f.Announced, false})
	var parts []string
	for _, p := range list {
		if p.seconds == 0 && !p.always {
			continue // it didn't come to that
		}
		text := fmt.Sprintf("%s %.0f", p.name, p.seconds*1000)
		if len(parts) == 0 {
			text += " ms"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

func (r *renderer) sync(s *director.SyncStatus) {
	where := fmt.Sprintf("id %d on %s", s.ID, cmp.Or(s.Interface, "no interface"))
	if k := s.Known; k != nil {
		where += fmt.Sprintf("; %.0f %% of the connections of %s are known here", 100*k.Share, k.Holder)
	}
	switch {
	case s.Running && s.Error == "":
		r.labelled("sync", plain, "daemon running, "+where)
	case s.Running:
		r.labelled("sync", red, "daemon running, "+where+": "+s.Error)
	case s.Enabled || s.Error != "":
		r.labelled("sync", red, "daemon not running, "+where+": "+cmp.Or(s.Error, "no reason known"))
	default:
		r.labelled("sync", dim, "off; established connections don't survive a failover")
	}
}

// clusterProblems says what isn't as it should be with the other directors.
func clusterProblems(c *director.ClusterStatus) []string {
	if c == nil {
		return nil
	}
	var list []string
	for i := range c.Groups {
		if g := &c.Groups[i]; g.Holder == "" {
			list = append(list, strings.TrimSuffix(fmt.Sprintf("group %s: nobody holds it: %s", g.Name, g.Reason), ": "))
		}
	}
	for i := range c.Members {
		m := &c.Members[i]
		switch m.State {
		case "dead", "absent", "silent":
			list = append(list, strings.TrimSuffix(fmt.Sprintf("director %s is %s: %s", cmp.Or(m.Name, m.Address), m.State, m.Error), ": "))
		}
	}
	switch {
	case c.Sync.Error != "":
		list = append(list, "sync: "+c.Sync.Error)
	case c.Sync.Enabled && !c.Sync.Running:
		list = append(list, "sync: not running")
	}
	for _, p := range c.Problems {
		list = append(list, "cluster: "+p)
	}
	return list
}
