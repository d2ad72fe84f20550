package director

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/ipvsd/ipvsd/cluster"
	"github.com/ipvsd/ipvsd/cluster/gossip"
	"github.com/ipvsd/ipvsd/director/journal"
)

// observeEvery is the time between two looks at addresses and cluster, which
// publish how they stand and not what happened. Changes of role come by
// themselves, from Member.
const observeEvery = 500 * time.Millisecond

// observe puts into the journal what becomes of addresses and cluster, until ctx
// ends.
func (d *Director) observe(ctx context.Context) {
	tick := time.NewTicker(observeEvery)
	defer tick.Stop()
	var before ClusterLook
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var now ClusterLook
		switch {
		case d.opts.Cluster != nil:
			now = d.opts.Cluster.Look()
		case d.opts.Addresses != nil:
			now.Addresses = d.opts.Addresses.Status()
		}
		d.opts.Journal.Put(observed(before, now)...)
		before = now
	}
}

// observed is what happened between two looks, as far as they tell. Before the
// first look there was nothing.
func observed(before, now ClusterLook) []journal.Entry {
	out := observedAddresses(before.Addresses, now.Addresses)
	if now.Cluster == nil {
		return out
	}
	was := before.Cluster
	if was == nil {
		was = &ClusterStatus{}
	}
	for _, m := range now.Cluster.Members {
		i := slices.IndexFunc(was.Members, func(o MemberStatus) bool { return o.Name == m.Name })
		old := MemberStatus{}
		if i >= 0 {
			old = was.Members[i]
		}
		out = append(out, observedMember(old, m)...)
	}
	for _, g := range now.Cluster.Groups {
		i := slices.IndexFunc(was.Groups, func(o ClusterGroupStatus) bool { return o.Name == g.Name })
		old := ClusterGroupStatus{}
		if i >= 0 {
			old = was.Groups[i]
		}
		out = append(out, observedGroup(old, g, now.Cluster.Name)...)
	}
	out = append(out, observedSync(was.Sync, now.Cluster.Sync)...)
	told := map[string]bool{}
	for _, list := range [][]string{was.Problems, was.Notes} {
		for _, text := range list {
			told[withoutFigures(text)] = true
		}
	}
	for _, text := range slices.Concat(now.Cluster.Problems, now.Cluster.Notes) {
		if key := withoutFigures(text); !told[key] {
			told[key] = true
			out = append(out, journal.Entry{Kind: journal.Member, Cause: text, Text: "the cluster tells: " + text + "."})
		}
	}
	return out
}

// withoutFigures is a text by which it is known again when only an age in it has
// grown.
func withoutFigures(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, text)
}

// observedMember tells of another director. One that was never seen is no news.
func observedMember(old, m MemberStatus) []journal.Entry {
	if m.Self || m.Name == "" {
		return nil
	}
	var out []journal.Entry
	if m.State != old.State && (old.State != "" || m.State == gossip.Alive.String()) {
		text := map[string]string{
			gossip.Alive.String(): "director %s is there.", gossip.Left.String(): "director %s said goodbye.",
			gossip.Dead.String():    "director %s is dead: it fell silent and answers nothing.",
			gossip.Suspect.String(): "director %s answers no probe; it may be dead.",
			"silent":                "director %s is silent: no advert from it comes.",
		}[m.State]
		if text == "" {
			text = "director %s is " + m.State + "."
		}
		out = append(out, journal.Entry{
			Kind: journal.Member, Time: m.Since, Before: old.State, After: m.State, Cause: m.Error, Text: fmt.Sprintf(text, m.Name),
		})
		// Only gossip's states have a time of their own.
		if m.State != gossip.Dead.String() && m.State != gossip.Left.String() {
			out[0].Time = time.Time{}
		}
	}
	if m.Skew != old.Skew {
		e := journal.Entry{Kind: journal.Member, Before: "another file", After: "the same file", Text: fmt.Sprintf("director %s runs the same file again.", m.Name)}
		if m.Skew {
			e.Before, e.After = e.After, e.Before
			e.Text = fmt.Sprintf("director %s runs another file than this one: virtual services, real servers, checks or addresses differ.", m.Name)
		}
		out = append(out, e)
	}
	return out
}

// observedGroup tells who holds a group now, where that is somebody else, and how
// a failover to this director went.
func observedGroup(old, g ClusterGroupStatus, self string) []journal.Entry {
	var out []journal.Entry
	if g.Holder != old.Holder && g.Holder != self && g.Holder != "" {
		text := fmt.Sprintf("%s holds group %s.", g.Holder, g.Name)
		if old.Holder != "" {
			text = fmt.Sprintf("%s holds group %s, which %s held before.", g.Holder, g.Name, old.Holder)
		}
		out = append(out, journal.Entry{Kind: journal.Role, Group: g.Name, Before: old.Holder, After: g.Holder, Cause: g.Reason, Text: text})
	}
	if f := g.Last; f != nil && (old.Last == nil || !old.Last.At.Equal(f.At)) {
		out = append(out, failoverEntry(g, f))
	}
	return out
}

func failoverEntry(g ClusterGroupStatus, f *FailoverStatus) journal.Entry {
	p := &journal.Phases{
		From: f.From, Suspected: f.Suspected, Decided: f.Decided, AddressUp: f.AddressUp, Announced: f.Announced,
	}
	since := "the decision"
	if f.Decided > 0 { // else nobody fell silent
		p.LastHeard = f.At.Add(-seconds(f.Decided))
		since = f.From + " was last heard"
		if f.From == "" {
			since = "its holder was last heard"
		}
	}
	return journal.Entry{
		Kind: journal.Failover, Time: f.At, Group: g.Name, Before: f.From, Cause: f.Reason, Phases: p, Took: seconds(f.Announced - f.Decided),
		Text: fmt.Sprintf("the addresses of group %s are up here, %.0f ms after %s: %s.", g.Name, 1000*f.Announced, since, f.Reason),
	}
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Microsecond)
}

// observedAddresses tells what became of the addresses. That one waits for its
// first try is no news.
func observedAddresses(before, now []AddressStatus) []journal.Entry {
	var out []journal.Entry
	was := map[string]AddressStatus{}
	for _, a := range before {
		was[a.Address] = a
	}
	for _, a := range now {
		old := was[a.Address]
		delete(was, a.Address)
		text := ""
		switch {
		case a.Repaired > old.Repaired && a.State == old.State:
			text = fmt.Sprintf("somebody removed the address %s from %s; it was put back.", a.Address, a.Interface)
		case a.State == old.State && withoutFigures(a.Error) == withoutFigures(old.Error):
			continue
		case a.Error != "":
			text = fmt.Sprintf("the address %s is %s: %s.", a.Address, a.State, a.Error)
		case a.State == AddressElsewhere:
			text = fmt.Sprintf("the address %s is on %s.", a.Address, a.Holder)
		case a.State == AddressAdded:
			text = fmt.Sprintf("the address %s is on %s, by us.", a.Address, a.Interface)
		case a.State == AddressOwn:
			text = fmt.Sprintf("the address %s is on %s without us, and is left alone.", a.Address, a.Interface)
		default:
			continue
		}
		e := journal.Entry{Kind: journal.Address, Before: old.State, After: a.State, Cause: a.Error, Text: text}
		if a.State != old.State && (a.State == AddressAdded || a.State == AddressOwn) {
			e.Time = a.Since // of the others it is the group's
		}
		out = append(out, e)
	}
	for _, a := range before {
		if _, gone := was[a.Address]; gone {
			out = append(out, journal.Entry{Kind: journal.Address, Before: a.State, After: "unwanted", Text: fmt.Sprintf("the address %s is no longer in the file.", a.Address)})
		}
	}
	return out
}

// observedSync tells whether connections are synchronised.
func observedSync(old, now SyncStatus) []journal.Entry {
	word := func(s SyncStatus) string {
		switch {
		case !s.Enabled:
			return "off"
		case s.Error != "":
			return "in trouble"
		case s.Running:
			return "running"
		}
		return ""
	}
	before, after := word(old), word(now)
	if after == "" || after == before || before == "off" && after == "off" {
		return nil
	}
	e := journal.Entry{Kind: journal.Sync, Before: before, After: after, Cause: now.Error}
	switch after {
	case "off":
		e.Text = "connections are no longer synchronised, by the file."
	case "running":
		e.Text = "connections are synchronised on " + now.Interface + "."
	default:
		e.Text = "connections are not synchronised: " + now.Error + "."
	}
	return []journal.Entry{e}
}

// roleEntry is a change of this director's role.
func roleEntry(name string, e cluster.Event) journal.Entry {
	return journal.Entry{
		Kind: journal.Role, Time: e.Time, Group: e.Group, Before: string(e.From), After: string(e.To), Cause: e.Reason.String(),
		Text: fmt.Sprintf("%s is %s for group %s, after %s: %s.", name, e.To, e.Group, e.From, e.Reason),
	}
}

// failoverAsked is an operator's failover that has ended.
func failoverAsked(group, to string, a FailoverAnswer, err error) journal.Entry {
	what := "an operator's failover"
	if group != "" {
		what += " of group " + group
	}
	if to != "" {
		what += " to " + to
	}
	e := journal.Entry{Kind: journal.Operator, Group: group, After: "failover", Cause: a.Reason}
	switch {
	case err != nil:
		e.Cause, e.Text = err.Error(), fmt.Sprintf("%s failed: %v.", what, err)
	case !a.OK:
		e.Text = fmt.Sprintf("%s was refused: %s.", what, a.Reason)
	default:
		e.Text = fmt.Sprintf("%s is done: %s; the addresses were nobody's for %.0f ms.", what, a.Reason, 1000*a.Nobody)
	}
	return e
}
