package api

import (
	"reflect"
	"slices"
	"time"

	"github.com/ipvsd/ipvsd/director"
)

// delta is what there is to tell after a look.
type delta struct {
	update  *Update  // nil: nothing but figures moved
	figures []Figure // of virtual services that aren't in update; never nil
}

// difference compares two looks. Fields that it doesn't know count as changes,
// not as figures.
func difference(before, now *director.Status) delta {
	d := delta{figures: []Figure{}}
	if !slices.EqualFunc(before.Virtuals, now.Virtuals, sameVirtual) {
		d.update = &Update{Status: *now}
		return d
	}
	changed := []director.VirtualStatus{}
	for v := range now.Virtuals {
		if !reflect.DeepEqual(stillVirtual(before.Virtuals[v]), stillVirtual(now.Virtuals[v])) ||
			!slices.EqualFunc(before.Virtuals[v].Reals, now.Virtuals[v].Reals, alike) {
			changed = append(changed, now.Virtuals[v])
			continue
		}
		for r := range now.Virtuals[v].Reals {
			from, to := figure(v, r, &before.Virtuals[v].Reals[r]), figure(v, r, &now.Virtuals[v].Reals[r])
			if from != to {
				d.figures = append(d.figures, to)
			}
		}
	}
	if len(changed) > 0 || !reflect.DeepEqual(stillStatus(*before), stillStatus(*now)) {
		d.update = &Update{Partial: true, Status: *now}
		d.update.Virtuals = changed
	}
	return d
}

func sameVirtual(a, b director.VirtualStatus) bool { return a.Name == b.Name }

// stillStatus is st without virtual services and what moves by itself.
func stillStatus(st director.Status) director.Status {
	st.Virtuals = nil
	st.Kernel.Synced = time.Time{}
	st.Addresses = slices.Clone(st.Addresses)
	for i := range st.Addresses {
		st.Addresses[i].Announced = 0
	}
	return st
}

// stillVirtual is v without real servers and what moves by itself.
func stillVirtual(v director.VirtualStatus) director.VirtualStatus {
	v.Reals, v.Counters = nil, director.Traffic{}
	return v
}

// alike reports whether only figures moved between two looks at a real server.
func alike(a, b director.RealStatus) bool {
	if !alikeResult(a.Check.Last, b.Check.Last) || !alikeResult(a.Check.LastFailure, b.Check.LastFailure) {
		return false
	}
	for _, r := range []*director.RealStatus{&a, &b} {
		r.Active, r.Inactive, r.Counters = 0, 0, director.Traffic{}
		r.Check.Good, r.Check.Bad, r.Check.Streak, r.Check.Last, r.Check.LastFailure = 0, 0, 0, nil, nil
	}
	return reflect.DeepEqual(a, b)
}

// alikeResult compares what two checks found. The answer to a good one is none
// of the news: it may have the time in it.
func alikeResult(a, b *director.CheckResult) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.OK == b.OK && a.Reason == b.Reason && (a.OK || a.Sample == b.Sample)
}

func figure(virtual, place int, r *director.RealStatus) Figure {
	f := Figure{
		int64(virtual), int64(place), int64(r.Active), int64(r.Inactive), int64(r.Counters.Connections),
		int64(r.Check.Good), int64(r.Check.Bad), int64(r.Check.Streak),
	}
	if last := r.Check.Last; last != nil {
		f[8], f[9] = last.At.UnixMilli(), int64(last.Seconds*1e6)
	}
	return f
}
