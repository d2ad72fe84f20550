package journal

import (
	"slices"
	"strings"
)

// Query chooses entries.
type Query struct {
	After   uint64 // only those with a higher number
	Limit   int    // at most so many; 0: all
	Newest  bool   // where there are more: the newest, else the oldest
	Kinds   []Kind // only these; none: all
	Virtual string // only of this virtual service
	Real    string // only of this real server: its address:port, or the address alone
}

// Select returns the entries that a query asks for, the oldest first.
func Select(list []Entry, q Query) []Entry {
	var out []Entry
	for _, e := range list {
		if e.Seq > q.After && q.matches(e) {
			out = append(out, e)
			if !q.Newest && len(out) == q.Limit {
				break
			}
		}
	}
	if q.Limit > 0 && len(out) > q.Limit {
		out = out[len(out)-q.Limit:]
	}
	return out
}

func (q Query) matches(e Entry) bool {
	return (len(q.Kinds) == 0 || slices.Contains(q.Kinds, e.Kind)) &&
		(q.Virtual == "" || e.Virtual == q.Virtual) &&
		(q.Real == "" || Means(q.Real, e.Real))
}

// Means says whether a person who writes name, an address:port or an address
// alone, means a real server.
func Means(name, real string) bool {
	return name == real || real != "" && strings.Trim(name, "[]") == host(real)
}

// host is an address:port without its port and brackets.
func host(real string) string {
	i := strings.LastIndexByte(real, ':')
	if i < 0 {
		return real
	}
	return strings.Trim(real[:i], "[]")
}
