package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ipvsd/ipvsd/director"
)

// order is how virtual services, and the real servers of each, are sorted.
type order string

// The orders.
const (
	byFile    order = "file"    // as the file has them
	byTrouble order = "trouble" // what isn't well first
	byLoad    order = "load"    // most active connections first
	byName    order = "name"
)

var orders = []order{byFile, byTrouble, byLoad, byName}

// String, Set and Type make it a flag.
func (o *order) String() string { return string(*o) }

func (o *order) Type() string { return "ORDER" }

func (o *order) Set(text string) error {
	if !slices.Contains(orders, order(text)) {
		return fmt.Errorf("%q is none of file, trouble, load, name", text)
	}
	*o = order(text)
	return nil
}

// next is the order after this one, round and round.
func (o order) next() order { return orders[(slices.Index(orders, o)+1)%len(orders)] }

// arrangement is which part of the table is shown, and in which order.
type arrangement struct {
	order  order  // "": as the file has them
	filter string // only what has this text in it, in whatever case
}

// arrange returns the virtual services to show. What it is given stays as it is.
func (a arrangement) arrange(all []director.VirtualStatus) []director.VirtualStatus {
	var out []director.VirtualStatus
	filter := strings.ToLower(a.filter)
	for _, v := range all {
		if !contains(filter, v.Name, v.Service, v.Comment, v.Scheduler) {
			var reals []director.RealStatus
			for _, r := range v.Reals {
				if contains(filter, r.Address, r.State, r.Forward, r.Reason, r.WeightReason) {
					reals = append(reals, r)
				}
			}
			if len(reals) == 0 {
				continue
			}
			v.Reals = reals
		}
		if a.order != byFile && a.order != "" {
			v.Reals = slices.SortedStableFunc(slices.Values(v.Reals), func(x, y director.RealStatus) int { return a.compareReals(&x, &y) })
		}
		out = append(out, v)
	}
	slices.SortStableFunc(out, func(x, y director.VirtualStatus) int { return a.compareVirtuals(&x, &y) })
	return out
}

func contains(filter string, texts ...string) bool {
	return slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(strings.ToLower(s), filter) })
}

func (a arrangement) compareReals(x, y *director.RealStatus) int {
	switch a.order {
	case byTrouble:
		return cmp.Compare(trouble(y), trouble(x))
	case byLoad:
		return cmp.Or(cmp.Compare(y.Active, x.Active), cmp.Compare(y.Inactive, x.Inactive))
	case byName:
		return cmp.Compare(x.Address, y.Address)
	}
	return 0
}

func (a arrangement) compareVirtuals(x, y *director.VirtualStatus) int {
	switch a.order {
	case byTrouble:
		return cmp.Compare(worst(y), worst(x))
	case byLoad:
		return cmp.Compare(load(y), load(x))
	case byName:
		return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.Service, y.Service))
	}
	return 0
}

// trouble is the greater the worse.
func trouble(r *director.RealStatus) int {
	switch stateStyle(r.State) {
	case red:
		return 3
	case yellow:
		return 2
	case dim:
		return 1
	}
	return 0
}

// worst puts a virtual service that nobody serves before one that lacks a few.
func worst(v *director.VirtualStatus) int {
	w := 0
	if !v.Up && !serves(v) {
		w = 20
	}
	if v.Fallback {
		w = max(w, 10)
	}
	most := 0
	for i := range v.Reals {
		most = max(most, trouble(&v.Reals[i]))
	}
	return w + most
}

func load(v *director.VirtualStatus) uint64 {
	var n uint64
	for i := range v.Reals {
		n += uint64(v.Reals[i].Active)
	}
	return n
}
