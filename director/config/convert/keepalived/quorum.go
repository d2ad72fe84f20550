package keepalived

import "slices"

// minUp writes the quorum. That adds weights, and min_up counts real servers:
// it is the same where any so many have the quorum, and no fewer do.
func (v *virtual) minUp(reals []*real, fallback bool) {
	if h := v.n.last("hysteresis"); h != nil && h.arg(0) != "0" {
		v.lose(h, "min_up has none; rise and fall in [virtual.check], or damping, calm who flaps")
	}
	n := v.n.last("quorum")
	if n == nil {
		return
	}
	var weights []int64
	total := int64(0)
	for _, r := range reals {
		if w, _ := v.weight(r); r.bad == "" && w > 0 {
			weights = append(weights, w)
			total += w
		}
	}
	quorum := v.number(n, 0, 1, 1, 1<<31-1)
	if quorum > total && total > 0 {
		v.tell(n, "more than the weights of all real servers; taken as %d, as keepalived does", total)
		quorum = total
	}
	slices.Sort(weights)
	most := fewest(weights, quorum) // the lightest first
	slices.Reverse(weights)
	least := fewest(weights, quorum)
	if most != least {
		v.lose(n, "it adds weights, and min_up counts real servers: from %d to %d of them have it; %d is taken", least, most, max(least, 1))
	}
	switch {
	case least <= 1:
		v.t.Comment(n.comments()...)
		return
	case fallback:
		v.set(n, "min_up", least)
		return
	case v.n.last("quorum_up", "quorum_down") != nil:
		v.lose(n, "without a sorry_server it only says when quorum_up and quorum_down are run, and here that is when no real server is up; with a fallback, or with a second tier, min_up could be %d", least)
	default:
		v.tell(n, "without a sorry_server it changes nothing, and min_up would need a fallback")
	}
	v.set(n, "min_up", least)
	v.t.Get("min_up").Note("needs a fallback or a second tier").Off()
}

// fewest returns how many of the first weights have a quorum.
func fewest(weights []int64, quorum int64) int {
	for i, w := range weights {
		if quorum -= w; quorum <= 0 {
			return i + 1
		}
	}
	return len(weights)
}
