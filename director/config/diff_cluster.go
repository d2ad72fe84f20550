package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

func diffCluster(before, after *Cluster) []string {
	switch {
	case before == nil && after == nil:
		return nil
	case before == nil:
		return []string{fmt.Sprintf("[cluster] added, directors: %d", after.Directors())}
	case after == nil:
		return []string{"[cluster] removed, a single director"}
	}
	out := changes("", clusterSettings(before), clusterSettings(after))
	return append(out, diffKeyed(before.Tracks, after.Tracks, Track.String,
		func(t Track) string { return fmt.Sprintf("track %s removed", t) },
		func(t Track) string { return fmt.Sprintf("track %s added, weight %d", t, t.Weight) },
		func(b, a Track) []string {
			return changes(fmt.Sprintf("track %s: ", a), trackSettings(b), trackSettings(a))
		})...)
}

func clusterSettings(c *Cluster) []setting {
	return []setting{
		{"[cluster] name", strconv.Quote(c.Name)},
		{"[cluster] listen", c.Listen.String()},
		{"[cluster] join", sorted(c.Join, netip.AddrPort.Compare)},
		{"[cluster] key_file", strconv.Quote(c.KeyFile)},
		{"[cluster] insecure", fmt.Sprint(c.Insecure)},
		{"[cluster] priority", fmt.Sprint(c.Priority)},
		{"[cluster] profile", string(c.Profile)},
		{"[cluster] preempt", fmt.Sprint(c.Preempt)},
		{"[cluster] preempt_delay", c.PreemptDelay.String()},
		{"[cluster] interface", strconv.Quote(c.Interface)},
		{"[cluster] quorum", string(c.Quorum)},
		{"[cluster] isolated", string(c.Isolated)},
		{"[cluster] witnesses", sorted(c.Witnesses, netip.Addr.Compare)},
		{"[cluster.sync] enabled", fmt.Sprint(c.Sync.Enabled)},
		{"[cluster.sync] id", fmt.Sprint(c.Sync.ID)},
		{"[cluster.sync] interface", strconv.Quote(c.Sync.Interface)},
		{"[cluster.hooks] active", programWords(c.Hooks.Active)},
		{"[cluster.hooks] standby", programWords(c.Hooks.Standby)},
		{"[cluster.hooks] fault", programWords(c.Hooks.Fault)},
		{"[cluster.hooks] timeout", c.Hooks.Timeout.String()},
		{"[cluster.hooks] retries", fmt.Sprint(c.Hooks.Retries)},
		{"[cluster.hooks] retry_interval", c.Hooks.RetryInterval.String()},
	}
}

func trackSettings(t Track) []setting {
	return []setting{
		{"fewer_reals", fmt.Sprint(t.FewerReals)},
		{"weight", fmt.Sprint(t.Weight)},
		{"interval", t.Interval.String()},
		{"timeout", t.Timeout.String()},
		{"rise", fmt.Sprint(t.Rise)},
		{"fall", fmt.Sprint(t.Fall)},
	}
}

func diffGroups(before, after []Group) []string {
	return diffKeyed(before, after,
		func(g Group) string { return g.Name },
		func(g Group) string { return fmt.Sprintf("group %s removed", g.Name) },
		func(g Group) string {
			return fmt.Sprintf("group %s added with %s", g.Name, sorted(g.VIPs, netip.Addr.Compare))
		},
		func(b, a Group) []string {
			return changes(fmt.Sprintf("group %s: ", a.Name), groupSettings(b), groupSettings(a))
		})
}

func groupSettings(g Group) []setting {
	return []setting{
		{"vips", sorted(g.VIPs, netip.Addr.Compare)},
		{"priority", fmt.Sprint(g.Priority)},
	}
}

func programWords(s string) string { return strconv.Quote(strings.ReplaceAll(s, "\x00", " ")) }

// sorted prints a list whose order means nothing.
func sorted[T fmt.Stringer](list []T, compare func(a, b T) int) string {
	if len(list) == 0 {
		return "none"
	}
	list = slices.SortedFunc(slices.Values(list), compare)
	text := make([]string, len(list))
	for i, e := range list {
		text[i] = e.String()
	}
	return strings.Join(text, ", ")
}
